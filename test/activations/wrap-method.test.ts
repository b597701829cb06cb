import { describe, expect, it } from 'vitest';
import { wrapMethod } from '../../src/activations/wrap-method.js';

class Counter {
  count = 0;
  add(by = 1): number {
    this.count += by;
    return this.count;
  }
}

describe('wrapMethod', () => {
  it('runs around the method, which keeps its this, its arguments and its result', () => {
    const counter = new Counter();
    const seen: unknown[] = [];
    const undo = wrapMethod(counter, 'add', (original, self, args) => {
      const result = original(...args);
      seen.push(self, args, result);
      return result;
    });
    expect(counter.add(3)).toBe(3);
    expect(seen).toEqual([counter, [3], 3]);
    undo();
    expect(counter.add()).toBe(4);
    expect(seen).toHaveLength(3);
  });

  it('shows neither in keys nor in JSON nor in spreads, and leaves no property behind', () => {
    const counter = new Counter();
    const undo = wrapMethod(counter, 'add', (original, _self, args) => original(...args));
    expect(Object.keys(counter)).toEqual(['count']);
    expect(JSON.stringify(counter)).toBe('{"count":0}');
    expect({ ...counter }).toEqual({ count: 0 });
    undo();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
  });

  it('changes one object only, not its class', () => {
    const [one, other] = [new Counter(), new Counter()];
    wrapMethod(one, 'add', () => -1);
    expect([one.add(), other.add()]).toEqual([-1, 1]);
  });

  it.each([
    [0, 1],
    [1, 0],
  ])('takes two wraps, the later outside, off in the order %d, %d', (first, second) => {
    const counter = new Counter();
    const order: string[] = [];
    const undo = ['inner', 'outer'].map((name) =>
      wrapMethod(counter, 'add', (original, _self, args) => {
        order.push(name);
        return original(...args);
      }),
    );
    counter.add();
    expect(order).toEqual(['outer', 'inner']);
    undo[first]();
    order.length = 0;
    counter.add();
    expect(order).toEqual([first === 0 ? 'outer' : 'inner']);
    undo[second]();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
    expect(counter.add()).toBe(3);
  });

  it('may be undone more than once, and from within', () => {
    const counter = new Counter();
    let calls = 0;
    const undo = wrapMethod(counter, 'add', (original, _self, args) => {
      calls++;
      undo();
      return original(...args);
    });
    expect([counter.add(), counter.add()]).toEqual([1, 2]);
    undo();
    expect(calls).toBe(1);
  });

  it('puts an own method of before back as it was', () => {
    const counter = new Counter();
    const own = () => 42;
    Object.defineProperty(counter, 'add', { value: own, configurable: true, enumerable: true, writable: false });
    const before = Object.getOwnPropertyDescriptor(counter, 'add');
    const undo = wrapMethod(counter, 'add', (original) => (original() as number) + 1);
    expect(counter.add()).toBe(43);
    undo();
    expect(Object.getOwnPropertyDescriptor(counter, 'add')).toEqual(before);
  });

  it("lets somebody else's wrapper around ours stay, and only passes on below it", () => {
    const counter = new Counter();
    let calls = 0;
    const around = (original: (...args: unknown[]) => unknown, _self: unknown, args: unknown[]) => {
      calls++;
      return original(...args);
    };
    const undo = wrapMethod(counter, 'add', around);
    const ours = counter.add;
    const theirs = function (this: Counter, by?: number) {
      return ours.call(this, by) * 10;
    };
    counter.add = theirs;
    undo();
    expect(counter.add).toBe(theirs);
    expect(counter.add()).toBe(10);
    expect(calls).toBe(0);
    const again = wrapMethod(counter, 'add', around);
    expect(counter.add()).toBe(20);
    expect(calls).toBe(1);
    again();
    expect(counter.add).toBe(theirs);
  });

  it('wraps anew where somebody replaced the method by one that knows nothing of ours', () => {
    const counter = new Counter();
    let [first, second] = [0, 0];
    const undoFirst = wrapMethod(counter, 'add', (original, _self, args) => {
      first++;
      return original(...args);
    });
    const theirs = () => 7;
    counter.add = theirs;
    const undoSecond = wrapMethod(counter, 'add', (original, _self, args) => {
      second++;
      return original(...args);
    });
    expect(counter.add()).toBe(7);
    expect([first, second]).toEqual([0, 1]);
    undoFirst();
    expect(counter.add()).toBe(7);
    undoSecond();
    expect(counter.add).toBe(theirs);
  });

  it('passes errors and rejections through', async () => {
    const broken = {
      now() {
        throw new Error('now');
      },
      async later() {
        throw new Error('later');
      },
    };
    for (const name of ['now', 'later']) wrapMethod(broken, name, (original, _self, args) => original(...args));
    expect(() => broken.now()).toThrow('now');
    await expect(broken.later()).rejects.toThrow('later');
  });

  it('does nothing where there is no such method', () => {
    const counter = new Counter();
    const undo = wrapMethod(counter, 'missing', () => 1);
    const undoValue = wrapMethod(counter, 'count', () => 1);
    undo();
    undoValue();
    expect(Reflect.ownKeys(counter)).toEqual(['count']);
    expect(counter.count).toBe(0);
  });
});
