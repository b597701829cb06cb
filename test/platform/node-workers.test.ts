import { getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import { startWorker, waitForChange } from '../../src/platform/node.js';

describe('startWorker', () => {
  it('runs a script that answers messages, and moves buffers', async () => {
    const source = 'globalThis.onmessage = ({ data }) => postMessage({ sum: data.reduce((a, b) => a + b) }, []);';
    const numbers = Float64Array.of(1, 2, 3.5);
    const answer = await new Promise((resolve, reject) => {
      const worker = startWorker(source, {
        onMessage: (message) => {
          resolve(message);
          worker?.terminate();
        },
        onError: reject,
      });
      worker?.setRef(true);
      worker?.post(numbers, [numbers.buffer]);
    });
    expect(answer).toEqual({ sum: 6.5 });
    expect(numbers.length).toBe(0);
  });

  it.runIf(process.platform === 'linux')('gives way to the thread that starts it', async () => {
    const source = `
      const { readlinkSync } = process.getBuiltinModule('node:fs');
      postMessage(Number(readlinkSync('/proc/thread-self').split('/').pop()), []);
      globalThis.onmessage = () => {};`;
    const before = getPriority();
    let worker: ReturnType<typeof startWorker>;
    const thread = await new Promise((resolve, reject) => {
      worker = startWorker(source, { onMessage: resolve, onError: reject });
    });
    expect(getPriority(thread as number)).toBe(19);
    expect(getPriority()).toBe(before);
    worker?.terminate();
  });

  it('reports a script that throws', async () => {
    const error = await new Promise<Error>((resolve) => {
      startWorker('throw new RangeError("out of order")', { onMessage: () => {}, onError: resolve })?.setRef(true);
    });
    expect(error.message).toContain('out of order');
  });
});

describe('waitForChange', () => {
  it('returns when another thread changes the counter, or at once when it has changed already', async () => {
    const counter = new Int32Array(new SharedArrayBuffer(4));
    expect(waitForChange(counter, 5)).toBe(true);
    const source = `globalThis.onmessage = ({ data }) => {
      postMessage('ready', []);
      setTimeout(() => { Atomics.store(data, 0, 1); Atomics.notify(data, 0); }, 20);
    };`;
    let worker: ReturnType<typeof startWorker>;
    await new Promise<unknown>((resolve, reject) => {
      worker = startWorker(source, { onMessage: resolve, onError: reject });
      worker?.setRef(true);
      worker?.post(counter, []);
    });
    expect(waitForChange(counter, 0)).toBe(true);
    expect(Atomics.load(counter, 0)).toBe(1);
    worker?.terminate();
  });
});
