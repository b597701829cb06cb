import { describe, expect, it } from 'vitest';
import { MemoryOutput, SummaryWriter } from '../../src/index.js';

describe('addHparams of one run', () => {
  it('lets a running session end, in whichever order its hyperparameters are given', () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addHparams({ a: 1, b: true }, {}, { status: 'running' });
    writer.addHparams({ b: true, a: 1 }, {}, { status: 'failure' });
    expect(() => writer.addHparams({ a: 1, b: true }, {}, { status: 'success' })).toThrow('its session has ended');
  });

  it('refuses other hyperparameters, which TensorBoard would never show, and says what to do', () => {
    const writer = new SummaryWriter(new MemoryOutput());
    writer.addHparams({ lr: 1 });
    expect(() => writer.addHparams({ lr: 2 })).toThrow(RangeError);
    expect(() => writer.addHparams({ lr: 2 })).toThrow("writer.run('name')");
    expect(() => new SummaryWriter(new MemoryOutput()).addHparams({ lr: 2 })).not.toThrow();
  });

  it('is shared by all writers of one Output', async () => {
    const output = new MemoryOutput();
    const [first, second] = [new SummaryWriter(output), new SummaryWriter(output)];
    first.addHparams({ lr: 1 }, {}, { status: 'running' });
    expect(() => second.addHparams({ lr: 2 })).toThrow(RangeError);
    second.addHparams({ lr: 1 });
    expect(() => first.addHparams({ lr: 1 })).toThrow('its session has ended');
    await Promise.all([first.close(), second.close()]);
  });
});
