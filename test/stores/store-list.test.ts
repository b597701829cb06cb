import { describe, expect, it } from 'vitest';
import { type Store, StoreList } from '../../src/stores/store.js';
import { epochOf } from '../support/epochs.js';

class Recorder implements Store {
  readonly calls: string[] = [];
  constructor(readonly fails = false) {}
  resume(initialEpoch: number): void {
    this.note(`resume ${initialEpoch}`);
  }
  add({ epoch }: { epoch: number }): void {
    this.note(`add ${epoch}`);
  }
  close(): void {
    this.note('close');
  }
  private note(call: string): void {
    this.calls.push(call);
    if (this.fails) throw new Error(`cannot ${call}`);
  }
}

describe('StoreList', () => {
  it('gives everything to every store, whatever becomes of the others', async () => {
    const stores = [new Recorder(true), new Recorder()];
    const list = new StoreList(stores);
    await expect(list.resume(2)).rejects.toThrow('cannot resume 2');
    await expect(list.add(epochOf(2, []))).rejects.toThrow('cannot add 2');
    await expect(list.close()).rejects.toThrow('cannot close');
    for (const store of stores) expect(store.calls).toEqual(['resume 2', 'add 2', 'close']);
  });

  it('names every failure', async () => {
    const list = new StoreList([new Recorder(true), new Recorder(true)]);
    await expect(list.close()).rejects.toThrow('2 stores failed: cannot close; cannot close');
  });

  it('takes stores that cannot resume or close', async () => {
    const list = new StoreList([{ add: () => {} }]);
    await expect(list.resume(1)).resolves.toBeUndefined();
    await expect(list.close()).resolves.toBeUndefined();
  });
});
