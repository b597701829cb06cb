import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gcsStore, MemoryObjectStore, type ObjectStore, ObjectStoreError, s3Store } from '../../src/object-stores.js';
import { S3Server } from '../support/s3-server.js';

let server: S3Server;
beforeEach(async () => {
  server = await S3Server.start();
});
afterEach(() => server.close());

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (found: Uint8Array | undefined) => found && new TextDecoder().decode(found);

/** What every store does. */
const stores: [string, () => ObjectStore][] = [
  ['S3', () => s3Store(server.options)],
  [
    'Google Cloud Storage',
    () => {
      server.token = 'ya29';
      const { bucket, endpoint } = server.options;
      return gcsStore({ bucket, endpoint, token: async () => 'ya29' });
    },
  ],
  ['memory', () => new MemoryObjectStore()],
];

describe.each(stores)('an object store: %s', (_name, open) => {
  it('keeps bytes under keys of any characters', async () => {
    const store = open();
    const names = ['a', 'runs/a b+c/ü€😀', "it's (all) *here*!", 'q?x=1&y#z', '%2F', 'a=b;c:d@e,$'];
    for (const [i, key] of names.entries()) expect(await store.put(key, bytes(`value ${i}`))).toBe(true);
    for (const [i, key] of names.entries()) {
      expect(text(await store.get(key))).toBe(`value ${i}`);
      expect(await store.head(key)).toMatchObject({ key, size: 7 });
    }
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual([...names].sort());
  });

  it('knows nothing of what is not there', async () => {
    const store = open();
    expect(await store.get('none')).toBeUndefined();
    expect(await store.head('none')).toBeUndefined();
    expect(await store.list('none')).toEqual({ objects: [], folders: [] });
  });

  it('writes over an object, unless it is told not to', async () => {
    const store = open();
    expect(await store.put('a', bytes('one'), { ifNoneMatch: '*' })).toBe(true);
    expect(await store.put('a', bytes('two'), { ifNoneMatch: '*' })).toBe(false);
    expect(text(await store.get('a'))).toBe('one');
    expect(await store.put('a', bytes('three'))).toBe(true);
    expect(text(await store.get('a'))).toBe('three');
  });

  it('reads ranges, also beyond the end', async () => {
    const store = open();
    await store.put('a', bytes('0123456789'));
    const read = async (from: number, end: number) => text(await store.get('a', { from, end }));
    expect(await read(0, 4)).toBe('0123');
    expect(await read(4, 5)).toBe('4');
    expect(await read(8, 100)).toBe('89');
    expect(await read(8, Infinity)).toBe('89');
    expect(await read(10, 20)).toBe('');
    expect(await read(50, 60)).toBe('');
    expect(await read(3, 3)).toBe('');
  });

  it('lists what is in a folder, page by page', async () => {
    const store = open();
    const inFolder = Array.from({ length: 8 }, (_, i) => `runs/f${i}`);
    for (const key of [...inFolder, 'runs/a/x', 'runs/a/y', 'runs/b/c/z', 'other']) await store.put(key, bytes(key));
    const flat = await store.list('runs/', { isFlat: true });
    expect(flat.objects).toEqual(inFolder.map((key) => ({ key, size: 7 })));
    expect(flat.folders).toEqual(['runs/a/', 'runs/b/']);
    expect((await store.list('runs/')).objects).toHaveLength(11);
    expect((await store.list('runs/', { limit: 1 })).objects).toHaveLength(1);
  });

  it('appends once, and only to what it was told of', async () => {
    const store = open();
    const old = new Uint8Array(5 * 2 ** 20).fill(1);
    await store.put('a', old);
    await store.append!('a', old.length, bytes('new'));
    await store.append!('a', old.length, bytes('new')); // the answer to the first was lost
    const grown = (await store.get('a'))!;
    expect(grown.length).toBe(old.length + 3);
    expect(text(grown.subarray(old.length))).toBe('new');
    await expect(store.append!('a', 7, bytes('x'))).rejects.toThrow('expected an object of 7 bytes, got 5242883');
    await expect(store.append!('none', 7, bytes('x'))).rejects.toThrow('expected an object of 7 bytes, got none');
    expect((await store.list('')).objects).toHaveLength(1);
    expect(server.openUploads).toBe(0);
  });
});

describe('a store over HTTP', () => {
  it('makes a request again after 500, 503, a cut connection and silence', async () => {
    const faults: (number | 'cut' | 'silence')[] = [500, 503, 'cut', 'silence'];
    server.fault = () => faults.shift();
    const store = s3Store({ ...server.options, timeoutSecs: 0.3 });
    expect(await store.put('a', bytes('one'))).toBe(true);
    expect(text(await store.get('a'))).toBe('one');
    expect(server.count('put')).toBe(5);
  });

  it('gives up after as many attempts as it may make, and says what came', async () => {
    server.fault = () => 503;
    const error = await s3Store({ ...server.options, attempts: 2 })
      .put('runs/a', bytes('x'))
      .catch((cause) => cause);
    expect(error).toBeInstanceOf(ObjectStoreError);
    expect(error).toMatchObject({ status: 503, code: 'SlowDown' });
    expect(error.message).toBe(
      `PUT s3://logs/runs/a at ${server.endpoint}: expected status 200, got 503 (SlowDown: the server says <no>)`,
    );
    expect(server.seen).toHaveLength(2);
  });

  it('does not insist on what is forbidden', async () => {
    const credentials = { ...server.options.credentials, secretAccessKey: 'wrong' };
    const error = await s3Store({ ...server.options, credentials })
      .get('a')
      .catch((cause) => cause);
    expect(error).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    expect(server.seen).toHaveLength(1);
  });

  it('says that nobody answers', async () => {
    const { options } = server;
    await server.close();
    await expect(s3Store({ ...options, attempts: 2 }).head('a')).rejects.toThrow(
      /^HEAD s3:\/\/logs\/a at http:\/\/127.*ECONNREFUSED/,
    );
    server = await S3Server.start();
  });

  it('asks for temporary keys again before they end', async () => {
    server.sessionToken = 'first';
    let asked = 0;
    const credentials = async () => ({
      ...server.options.credentials,
      sessionToken: server.sessionToken!,
      expiration: Date.now() + (asked++ === 0 ? 1000 : 1e7),
    });
    const store = s3Store({ ...server.options, credentials });
    await store.put('a', bytes('x'));
    server.sessionToken = 'second';
    await store.put('a', bytes('x'));
    await store.put('a', bytes('x'));
    expect(asked).toBe(2);
  });

  it('appends once though the answer to the last request is lost', async () => {
    const store = s3Store(server.options);
    const old = new Uint8Array(5 * 2 ** 20);
    await store.put('a', old);
    let lost = 0;
    server.fault = ({ kind }) => (kind === 'complete' && lost++ === 0 ? 'lost' : undefined);
    await store.append!('a', old.length, bytes('new'));
    expect(server.objects.get('a')!.length).toBe(old.length + 3);
    expect(server.openUploads).toBe(0);
  });

  it('leaves no upload behind that failed', async () => {
    const store = s3Store({ ...server.options, attempts: 1 });
    const old = new Uint8Array(5 * 2 ** 20);
    await store.put('a', old);
    server.fault = ({ kind }) => (kind === 'part' ? 500 : undefined);
    await expect(store.append!('a', old.length, bytes('new'))).rejects.toThrow('got 500');
    expect(server.objects.get('a')!.length).toBe(old.length);
    expect(server.openUploads).toBe(0);
  });

  it('names the option that is wrong', () => {
    expect(() => s3Store({ bucket: 'a/b' })).toThrow(
      's3Store: expected bucket to be the name of a bucket, got the string "a/b"',
    );
    expect(() => s3Store({ bucket: 'a', endpoint: 'localhost:9000' })).toThrow(
      'expected endpoint to be an http(s) URL',
    );
    expect(() => s3Store({ bucket: 'a', timeoutSecs: 0 })).toThrow(
      'expected timeoutSecs to be a positive number, got number 0',
    );
    expect(() => s3Store({ bucket: 'a', pathStyles: true } as never)).toThrow("did you mean 'pathStyle'?");
  });
});
