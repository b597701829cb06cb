/**
 * Object stores: keys to bytes, as S3 and its relatives have them. `ObjectStore` is the contract, small enough to be put around
 * any client; MemoryObjectStore keeps all of it. s3-store.ts speaks to real ones.
 */
import { concat } from '../encoding/bytes.js';
import { describe } from '../errors.js';

/** An object, without its bytes. */
export interface ObjectInfo {
  /** The object's whole key. */
  readonly key: string;
  /** Its length in bytes. */
  readonly size: number;
}

/** What `ObjectStore.list` has found. */
export interface ObjectListing {
  /** The objects, sorted by key. */
  readonly objects: readonly ObjectInfo[];
  /** Prefixes that end in `/`, sorted, of which objects lie deeper; empty unless `isFlat` was asked for. */
  readonly folders: readonly string[];
}

/**
 * An object store, or a part of one: four functions, and two for stores that can do more. All reject with an Error if the
 * store cannot be reached or refuses. `s3Store` and `gcsStore` make one; put these functions around your own client for others.
 */
export interface ObjectStore {
  /**
   * Writes an object, in one step: nobody ever reads a part of it.
   *
   * @param options `ifNoneMatch: '*'`: only if there is no object with this key
   * @returns false if there is one, and so nothing was written
   */
  put(key: string, bytes: Uint8Array, options?: { ifNoneMatch?: '*' }): Promise<boolean>;
  /**
   * Reads an object, or the bytes `[from, end)` of it.
   *
   * @returns fewer bytes, down to none, where the object ends before `end`; undefined if there is no object
   */
  get(key: string, range?: { from: number; end: number }): Promise<Uint8Array | undefined>;
  /**
   * Lists all objects whose keys begin with `prefix`.
   *
   * @param options `isFlat`: do not go deeper than the next `/` behind the prefix; `limit`: so many are enough
   */
  list(prefix: string, options?: { isFlat?: boolean; limit?: number }): Promise<ObjectListing>;
  /** What is known of an object; undefined if there is none. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /**
   * Appends to an object of at least 5 MiB without sending again what it holds. An object that has grown by these bytes already
   * stays as it is: an earlier call did it, and its answer was lost. Without it, objects do not grow beyond what is sent at once.
   *
   * @param size the object's present length
   * @throws Error if the object has another length
   */
  append?(key: string, size: number, bytes: Uint8Array): Promise<void>;
  /** Removes an object; nothing happens if there is none. Only damaged partial results (`objectPartials`) are removed. */
  remove?(key: string): Promise<void>;
}

/** An object store could not do what it was asked for. */
export class ObjectStoreError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'ObjectStoreError';
  /** The status of the store's answer; undefined if none came. */
  readonly status?: number;
  /** The store's own name for the reason, such as `AccessDenied`; undefined if it gave none. */
  readonly code?: string;

  /**
   * The message says all of it.
   *
   * @param message what was asked for, and what came
   */
  constructor(message: string, options: { cause?: unknown; status?: number; code?: string } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    if (options.status !== undefined) this.status = options.status;
    if (options.code !== undefined) this.code = options.code;
  }
}

/** An object store in memory: for tests, and to try things out. */
export class MemoryObjectStore implements ObjectStore {
  /** The objects, by key. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly #objects = new Map<string, Uint8Array>();

  /** Begins empty. */
  constructor() {
    this.objects = this.#objects;
  }

  /** Keeps a copy of the bytes. */
  async put(key: string, bytes: Uint8Array, { ifNoneMatch }: { ifNoneMatch?: '*' } = {}): Promise<boolean> {
    if (ifNoneMatch !== undefined && this.#objects.has(key)) return false;
    this.#objects.set(key, bytes.slice());
    return true;
  }

  /** A copy of the bytes. */
  async get(key: string, { from, end } = { from: 0, end: Infinity }): Promise<Uint8Array | undefined> {
    return this.#objects.get(key)?.slice(from, end);
  }

  /** Lists as a real store does. */
  async list(prefix: string, options: { isFlat?: boolean; limit?: number } = {}): Promise<ObjectListing> {
    const objects: ObjectInfo[] = [];
    const folders = new Set<string>();
    for (const key of [...this.#objects.keys()].filter((one) => one.startsWith(prefix)).sort()) {
      if (objects.length + folders.size >= (options.limit ?? Infinity)) break;
      const slash = key.indexOf('/', prefix.length);
      if (options.isFlat === true && slash >= 0) folders.add(key.slice(0, slash + 1));
      else objects.push({ key, size: this.#objects.get(key)!.length });
    }
    return { objects, folders: [...folders] };
  }

  /** The length of an object. */
  async head(key: string): Promise<ObjectInfo | undefined> {
    const bytes = this.#objects.get(key);
    return bytes && { key, size: bytes.length };
  }

  /** Forgets an object. */
  async remove(key: string): Promise<void> {
    this.#objects.delete(key);
  }

  /** Appends as a real store does. */
  async append(key: string, size: number, bytes: Uint8Array): Promise<void> {
    const old = this.#objects.get(key);
    if (old?.length === size + bytes.length) return;
    if (old?.length !== size) throw changedError(key, size, old?.length);
    this.#objects.set(key, concat([old, bytes]));
  }
}

/** The error for an object that somebody else has changed or removed. */
export function changedError(key: string, expected: number, size: number | undefined): ObjectStoreError {
  const found = size === undefined ? 'none' : `${size}`;
  return new ObjectStoreError(`append '${key}': expected an object of ${expected} bytes, got ${found}`, {
    code: 'ObjectChanged',
  });
}

/**
 * A prefix without slashes at its ends.
 *
 * @throws TypeError if it is not a string, RangeError if a part of it is `.`, `..` or empty: URLs would lead elsewhere
 */
export function checkPrefix(prefix: unknown, option: string): string {
  if (typeof prefix !== 'string') throw new TypeError(`${option}: expected a string, got ${describe(prefix)}`);
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  const isPlain = trimmed === '' || trimmed.split('/').every((part) => !['', '.', '..'].includes(part));
  if (!isPlain) throw new RangeError(`${option}: expected parts that are not empty, . or .., got ${describe(prefix)}`);
  return trimmed;
}
