import { describe, expect, it } from 'vitest';
import { MemoryOutput } from '../../src/output/output.js';
import { continueSession } from '../../src/writer/run.js';

describe('continueSession', () => {
  it('lets a running session end, in whichever order its hyperparameters are given', () => {
    const run = new MemoryOutput();
    continueSession(run, { a: 1, b: true }, 'running');
    continueSession(run, { b: true, a: 1 }, 'failure');
    expect(() => continueSession(run, { a: 1, b: true }, 'success')).toThrow('its session has ended');
  });

  it('refuses other hyperparameters, which TensorBoard would never show, and says what to do', () => {
    const run = new MemoryOutput();
    continueSession(run, { lr: 1 });
    expect(() => continueSession(run, { lr: 2 })).toThrow(RangeError);
    expect(() => continueSession(run, { lr: 2 })).toThrow("writer.run('name')");
    expect(() => continueSession(new MemoryOutput(), { lr: 2 })).not.toThrow();
  });
});
