import { expect, it } from 'vitest';
import { boundedTest, SlowPatternError } from '../../src/platform/bounded-pattern.js';

const texts = ['', 'loss', 'epoch_loss', 'a/b/c', `${'a'.repeat(2000)}!`, '層の名前', 'aaa', 'line\nline'];

it.each(['loss', '^epoch_.*s$', 'a{2,}', '^(?:[a-z_]+/?)*$', '(.)\\1', '^a?b*/.+$', '^\\p{L}+$', ''])(
  'finds what the expression %s finds, however often it is asked',
  (source) => {
    const expression = new RegExp(source, 'u');
    const test = boundedTest(expression, 60_000);
    // The long text is too much for nested repetitions: they are what the time is for.
    const asked = source.includes(')*') ? texts.filter(({ length }) => length < 100) : texts;
    for (const text of [...asked, ...asked]) expect([text, test(text)]).toEqual([text, expression.test(text)]);
  },
);

it.each(['(a+)+$', '(a|a)*$', '(a|a)(a|a)*$', '(.*)*\\1b$'])('ends %s, and does not begin it again', (source) => {
  const test = boundedTest(new RegExp(source, 'u'), 100);
  const endless = `${'a'.repeat(59)}!`;
  expect(test('b')).toBe(new RegExp(source, 'u').test('b'));
  expect(() => test(endless)).toThrow(SlowPatternError);
  expect(() => test(`x${endless}`)).toThrow(SlowPatternError);
});
