import { afterEach, describe, expect, it, vi } from 'vitest';
import { startWorker, waitForChange } from '../../src/platform/browser.js';

/** As much of a page as startWorker touches. */
class FakeWorker extends EventTarget {
  static last: FakeWorker | undefined;
  readonly posted: unknown[] = [];
  terminated = false;
  constructor(readonly url: string) {
    super();
    FakeWorker.last = this;
  }
  postMessage(...message: unknown[]) {
    this.posted.push(message);
  }
  terminate() {
    this.terminated = true;
  }
}

const quiet = { onMessage: () => {}, onError: () => {} };

describe('startWorker in a page', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it('is undefined where there are no workers, and where a policy forbids them', () => {
    vi.stubGlobal('Worker', undefined);
    expect(startWorker('', quiet)).toBeUndefined();
    const revoke = vi.spyOn(URL, 'revokeObjectURL');
    vi.stubGlobal(
      'Worker',
      class {
        constructor() {
          throw new DOMException('blocked', 'SecurityError');
        }
      },
    );
    expect(startWorker('', quiet)).toBeUndefined();
    expect(revoke).toHaveBeenCalledOnce();
  });

  it('runs the source from a Blob, which is released once the worker speaks', async () => {
    vi.stubGlobal('Worker', FakeWorker);
    const blob = vi.spyOn(URL, 'createObjectURL');
    const revoke = vi.spyOn(URL, 'revokeObjectURL');
    const messages: unknown[] = [];
    const thread = startWorker('postMessage(1)', { ...quiet, onMessage: (message) => messages.push(message) });
    expect(await (blob.mock.calls[0][0] as Blob).text()).toBe('postMessage(1)');
    const worker = FakeWorker.last!;
    expect(revoke).not.toHaveBeenCalled();
    worker.dispatchEvent(new MessageEvent('message', { data: 'ready' }));
    expect(messages).toEqual(['ready']);
    expect(revoke).toHaveBeenCalledWith(worker.url);
    const buffer = new ArrayBuffer(8);
    thread?.post('work', [buffer]);
    thread?.setRef(true);
    expect(worker.posted).toEqual([['work', [buffer]]]);
    thread?.terminate();
    expect(worker.terminated).toBe(true);
  });

  it('reports an error that comes later', () => {
    vi.stubGlobal('Worker', FakeWorker);
    const errors: Error[] = [];
    startWorker('', { ...quiet, onError: (error) => errors.push(error) });
    FakeWorker.last?.dispatchEvent(new Event('error', { cancelable: true }));
    expect(errors.map(({ message }) => message)).toEqual(['The worker could not start.']);
  });
});

describe('waitForChange in a page', () => {
  it('is false where the thread must not wait', () => {
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new TypeError('Atomics.wait cannot be called in this context');
    });
    expect(waitForChange(new Int32Array(new SharedArrayBuffer(4)), 0)).toBe(false);
    vi.restoreAllMocks();
    expect(waitForChange(new Int32Array(new SharedArrayBuffer(4)), 1)).toBe(true);
  });
});
