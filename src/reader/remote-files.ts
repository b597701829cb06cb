/** The files of other computers as a file system: of buckets and at addresses. What they hold is read in ranges. */
import type { ObjectStore } from '../output/object-store.js';
import type { OpenFile, SourceFiles } from '../platform/platform.js';

/** Scheme, bucket and key. */
const bucketPattern = /^(s3|gs):\/\/([^/]+)\/*(.*)$/i;
/** Bytes that are asked for at once. */
const windowBytes = 2 ** 22;

/** Reads what a function gets in ranges, a window at a time. */
function windowed(get: (from: number, end: number) => Promise<Uint8Array>): OpenFile {
  let start = 0;
  let bytes = new Uint8Array(0);
  /** Where the file ended when it was asked. */
  let end = Infinity;
  return {
    async read(buffer, position) {
      if (position >= end) return 0;
      if (position < start || position >= start + bytes.length) {
        bytes = new Uint8Array(await get(position, position + windowBytes));
        start = position;
        if (bytes.length < windowBytes) end = start + bytes.length;
      }
      const part = bytes.subarray(position - start, position - start + buffer.length);
      buffer.set(part);
      return part.length;
    },
    async close() {
      bytes = new Uint8Array(0);
    },
  };
}

/** Buckets, as the environment says how to reach them. What speaks to them is loaded when it is first needed. */
class BucketFiles implements SourceFiles {
  readonly #stores = new Map<string, Promise<ObjectStore>>();
  /** The sizes of the objects that were listed last: a followed run is asked for them one by one. */
  readonly #listed = new Map<string, { size: number; at: number }>();

  async kind(path: string): Promise<'file' | 'folder' | undefined> {
    const { store, key } = await this.#find(path);
    if (key === '') {
      await store.list('', { limit: 1 }); // rejects if there is no such bucket
      return 'folder';
    }
    const { objects } = await store.list(`${key}/`, { limit: 1 });
    if (objects.length > 0) return 'folder';
    return (await store.head(key)) === undefined ? undefined : 'file';
  }

  async list(folder: string): Promise<{ name: string; path: string; kind: 'file' | 'folder'; isLink: boolean }[]> {
    const { store, key } = await this.#find(folder);
    const prefix = key === '' ? '' : `${key}/`;
    const { objects, folders } = await store.list(prefix, { isFlat: true });
    const entry = (name: string, kind: 'file' | 'folder') => ({ name, path: `${folder}/${name}`, kind, isLink: false });
    const at = performance.now();
    const files = objects.filter((object) => object.key !== prefix); // some programs make an empty object for a folder
    for (const { key: name, size } of files) {
      this.#listed.set(`${folder}/${name.slice(prefix.length)}`, { size, at });
    }
    return [
      ...files.map((object) => entry(object.key.slice(prefix.length), 'file')),
      ...folders.map((one) => entry(one.slice(prefix.length, -1), 'folder')),
    ];
  }

  async realPath(folder: string): Promise<string> {
    return folder;
  }

  async size(path: string): Promise<number | undefined> {
    const listed = this.#listed.get(path);
    this.#listed.delete(path);
    if (listed !== undefined && performance.now() - listed.at < 2000) return listed.size;
    const { store, key } = await this.#find(path);
    return (await store.head(key))?.size;
  }

  async open(path: string): Promise<OpenFile> {
    const { store, key } = await this.#find(path);
    // An object that is gone since it was listed has nothing to read.
    return windowed(async (from, end) => (await store.get(key, { from, end })) ?? new Uint8Array(0));
  }

  async #find(path: string): Promise<{ store: ObjectStore; key: string }> {
    const [, scheme, bucket, key] = bucketPattern.exec(path)!;
    const name = `${scheme.toLowerCase()}://${bucket}`;
    let store = this.#stores.get(name);
    if (store === undefined) {
      store = openBucket(path).then((opened) => opened!.store);
      this.#stores.set(name, store);
    }
    return { store: await store, key };
  }
}

/** The store of a bucket as the environment says how to reach it, and the key in it; undefined if the path leads to none. */
export async function openBucket(path: string): Promise<{ store: ObjectStore; key: string } | undefined> {
  const [, scheme, bucket, key] = bucketPattern.exec(path) ?? [];
  if (scheme === undefined) return undefined;
  const { gcsStore, s3Store } = await import('../output/s3-store.js');
  return { store: scheme.toLowerCase() === 's3' ? s3Store({ bucket }) : gcsStore({ bucket }), key };
}

/** What `serve` and `share` say of a logdir. */
interface Listing {
  readonly runs: readonly { readonly run: string; readonly files: readonly { path: string; size: number }[] }[];
}

/**
 * Addresses: event files, and logdirs that have a listing beside them, as `serve` and `share` give them. The web has no folders: a
 * path below a logdir that was listed stands for a file below its `data/`.
 */
class WebFiles implements SourceFiles {
  readonly #listings = new Map<string, Listing>();

  async kind(path: string): Promise<'file' | 'folder' | undefined> {
    const known = this.#find(path);
    if (known !== undefined && known.path !== '') {
      const runs = known.listing.runs;
      if (runs.some(({ run }) => run === known.path || run.startsWith(`${known.path}/`))) return 'folder';
      return runs.some(({ files }) => files.some((file) => file.path === known.path)) ? 'file' : undefined;
    }
    if (!path.includes('tfevents') && (await this.#load(path)) !== undefined) return 'folder';
    return (await this.size(path)) === undefined ? undefined : 'file';
  }

  async list(folder: string): Promise<{ name: string; path: string; kind: 'file' | 'folder'; isLink: boolean }[]> {
    const root = this.#find(folder)?.root ?? folder;
    const listing = await this.#load(root);
    if (listing === undefined) throw new Error(`${root}: expected a listing runs.json, found none`);
    const prefix = folder === root ? '' : `${folder.slice(root.length + 1)}/`;
    const kinds = new Map<string, 'file' | 'folder'>();
    for (const { path } of listing.runs.flatMap(({ files }) => files)) {
      if (!path.startsWith(prefix)) continue;
      const [name, ...deeper] = path.slice(prefix.length).split('/');
      kinds.set(name, deeper.length > 0 ? 'folder' : 'file');
    }
    return Array.from(kinds, ([name, kind]) => ({ name, path: `${folder}/${name}`, kind, isLink: false }));
  }

  async realPath(folder: string): Promise<string> {
    return folder;
  }

  async size(path: string): Promise<number | undefined> {
    const response = await this.#fetch(path, { method: 'HEAD' });
    if (response.status === 404 || response.status === 410) return undefined;
    if (!response.ok) throw new Error(`${path}: expected status 200, got ${response.status}`);
    const size = response.headers.get('content-length');
    // What is packed on its way has another length than is said.
    return size === null || response.headers.has('content-encoding') ? Infinity : Number(size);
  }

  async open(path: string): Promise<OpenFile> {
    let whole: Uint8Array | undefined;
    return windowed(async (from, end) => {
      if (whole === undefined) {
        const response = await this.#fetch(path, { headers: { range: `bytes=${from}-${end - 1}` } });
        if (response.status === 416) return new Uint8Array(0);
        if (!response.ok) throw new Error(`${path}: expected status 200 or 206, got ${response.status}`);
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (response.status === 206) return bytes;
        whole = bytes; // this server knows no ranges
      }
      return whole.subarray(from, end);
    });
  }

  /** The listed logdir that a path is in, and the path below it. */
  #find(path: string): { root: string; path: string; listing: Listing } | undefined {
    for (const [root, listing] of this.#listings) {
      if (path === root || path.startsWith(`${root}/`)) return { root, path: path.slice(root.length + 1), listing };
    }
    return undefined;
  }

  async #load(root: string): Promise<Listing | undefined> {
    const response = await fetch(`${root}/runs.json`, { cache: 'no-store' });
    if (!response.ok) return undefined;
    const listing = (await response.json().catch(() => undefined)) as Listing | undefined;
    const isListing =
      Array.isArray(listing?.runs) &&
      listing.runs.every(
        ({ run, files }) =>
          typeof run === 'string' && files?.every?.(({ path }: { path: unknown }) => typeof path === 'string'),
      );
    if (!isListing) return undefined;
    this.#listings.set(root, listing);
    return listing;
  }

  #fetch(path: string, init: RequestInit): Promise<Response> {
    const known = this.#find(path);
    const below = known?.path.split('/').map(encodeURIComponent).join('/');
    return fetch(below ? `${known!.root}/data/${below}` : path, { ...init, cache: 'no-store' });
  }
}

/** The files of buckets. */
export const bucketFiles: SourceFiles = new BucketFiles();
/** The files at addresses. */
export const webFiles: SourceFiles = new WebFiles();
