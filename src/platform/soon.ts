/** What is found of a value that comes soon. */
export interface Found<T> {
  readonly value: T;
}

/**
 * A promise of what other threads compute, for those who can await it and for those who cannot: a thread that must have the
 * value computes what is missing itself.
 */
export class Soon<T> extends Promise<T> {
  /** About how much memory it takes until the value is there, in bytes. */
  readonly bytes: number = 0;
  #find!: (must: boolean) => Found<T> | undefined;

  /** What `then` returns is a promise like any other. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /**
   * @param ready resolves when the value can be found
   * @param find the value, if it is there or must be; whatever it throws, the promise rejects with
   */
  static from<T>(ready: Promise<unknown>, bytes: number, find: (must: boolean) => Found<T> | undefined): Soon<T> {
    const soon = new Soon<T>((resolve, reject) => {
      ready.then(() => resolve(find(true)!.value)).catch(reject);
    });
    soon.catch(() => {}); // whoever finds the value sees the error
    soon.#find = find;
    return Object.assign(soon, { bytes });
  }

  /** The value if it is there by now, for which nobody waits; with `must` it is computed. */
  find(must: boolean): Found<T> | undefined {
    return this.#find(must);
  }

  /** Changes the value, once, when it is there. */
  map<R>(change: (value: T) => R): Soon<R> {
    let changed: (() => R) | undefined;
    const find = (must: boolean) => {
      const found = changed === undefined ? this.#find(must) : undefined;
      if (found !== undefined) changed = outcomeOf(() => change(found.value));
      return changed && { value: changed() };
    };
    return Soon.from(this, this.bytes, find);
  }
}

/** Acts, and returns a function that returns or throws what that did. */
function outcomeOf<R>(act: () => R): () => R {
  try {
    const value = act();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
