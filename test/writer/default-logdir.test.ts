import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { defaultLogdir } from '../../src/writer/run-writer.js';

// The example of tensorboardX's own documentation: runs/May04_22-14-54_s-MacBook-Pro.localcomment
test('the default logdir is named as tensorboardX and torch name it', () => {
  expect(defaultLogdir('comment', new Date(2018, 4, 4, 22, 14, 54))).toBe(`runs/May04_22-14-54_${hostname()}comment`);
  expect(defaultLogdir('', new Date(2018, 11, 31, 1, 2, 3))).toBe(`runs/Dec31_01-02-03_${hostname()}`);
});

test('a comment cannot lead out of runs/', () => {
  expect(defaultLogdir('/../../x\0').split('/').length).toBe(2);
});
