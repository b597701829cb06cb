/**
 * S3, and what speaks its language, over `fetch`: AWS, MinIO, R2, Ceph, Google Cloud Storage (its XML API). Requests are signed by
 * aws4fetch, which is what it takes; the SDKs are a hundred times its size and drop Node 20.
 */
import { AwsV4Signer } from 'aws4fetch';
import { environment } from '#platform';
import { checkOptionNames, describe, messageOf, type OptionNames } from '../errors.js';
import { random, randomText } from '../platform/random.js';
import {
  changedError,
  type ObjectInfo,
  type ObjectListing,
  type ObjectStore,
  ObjectStoreError,
} from './object-store.js';

/** Keys that sign requests. */
export interface S3Credentials {
  /** The public part of the key. */
  accessKeyId: string;
  /** The secret part of the key. */
  secretAccessKey: string;
  /** What temporary keys have as well. */
  sessionToken?: string;
  /** When temporary keys end: a Date, or milliseconds since 1970. A function is asked again five minutes before. */
  expiration?: Date | number;
}

/** Where a bucket is, and how it is spoken to. */
export interface S3StoreOptions {
  /** The bucket's name. */
  bucket: string;
  /**
   * The server, such as `http://localhost:9000`. By default that of the environment (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or
   * `S3_ENDPOINT`, which TensorBoard reads), else AWS.
   */
  endpoint?: string;
  /** The bucket's region. By default `AWS_REGION` or `AWS_DEFAULT_REGION`, else `us-east-1`. */
  region?: string;
  /**
   * Keys, or a function that gets them. By default those of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`;
   * if there are none, requests are not signed, as public buckets allow.
   */
  credentials?: S3Credentials | (() => S3Credentials | Promise<S3Credentials>);
  /** Whether the bucket's name stands in the path and not in the host's name. By default if there is an endpoint or a dot in the name. */
  pathStyle?: boolean;
  /** How long an answer is waited for, in seconds. 20 by default. */
  timeoutSecs?: number;
  /** How often a request is made before it fails, if the server is busy or out of reach. 5 by default. */
  attempts?: number;
}

/** Where a bucket of Google Cloud Storage is, and how it is spoken to. */
export interface GcsStoreOptions extends Omit<S3StoreOptions, 'region' | 'credentials'> {
  /** An HMAC key of the project. By default requests carry `token`. */
  credentials?: S3StoreOptions['credentials'];
  /**
   * An OAuth access token, or a function that gets one, such as `google-auth-library`'s `auth.getAccessToken`. By default
   * `GOOGLE_OAUTH_ACCESS_TOKEN` of the environment.
   */
  token?: string | (() => string | Promise<string>);
}

export const s3Names: OptionNames<S3StoreOptions> = {
  bucket: true,
  endpoint: true,
  region: true,
  credentials: true,
  pathStyle: true,
  timeoutSecs: true,
  attempts: true,
};
const { region: _, ...bothNames } = s3Names;
export const gcsNames: OptionNames<GcsStoreOptions> = { ...bothNames, token: true };

/**
 * The object store of an S3 bucket. Answers 500, 502, 503, 504, 429 and 408, timeouts and broken connections are tried again,
 * each time after a longer pause.
 *
 * @throws TypeError or RangeError if an option is wrong
 */
export function s3Store(options: S3StoreOptions): ObjectStore {
  checkOptionNames('s3Store', options, s3Names);
  return new HttpStore(resolvedOptions(options, 's3'), 's3');
}

/**
 * The object store of a bucket of Google Cloud Storage, by its XML API.
 *
 * @throws TypeError or RangeError if an option is wrong
 */
export function gcsStore(options: GcsStoreOptions): ObjectStore {
  checkOptionNames('gcsStore', options, gcsNames);
  return new HttpStore(resolvedOptions(options, 'gcs'), 'gcs');
}

/** The options of either. */
export type HttpStoreOptions = S3StoreOptions & GcsStoreOptions;

/** Statuses after which the same request may succeed. */
const passing = new Set([408, 429, 500, 502, 503, 504]);
/** The first pause between two attempts, in milliseconds; each is twice as long as the one before. */
const firstPauseMillis = 100;
/** How long before their end temporary keys are replaced, in milliseconds. */
const renewMillis = 5 * 60_000;
/** The error codes of S3 that ask for another attempt although the status does not. */
const passingCodes = new Set(['RequestTimeout', 'SlowDown', 'OperationAborted']);

interface Answer {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

interface Call {
  method: string;
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Statuses, beside 2xx, that are answers and not failures. */
  expected?: readonly number[];
}

/** Options with what the environment says of those that were not given. Another thread may have no environment. */
export function resolvedOptions(options: HttpStoreOptions, dialect: 's3' | 'gcs'): HttpStoreOptions {
  if (dialect === 'gcs') {
    const token =
      options.token ?? (options.credentials === undefined ? environment('GOOGLE_OAUTH_ACCESS_TOKEN') : undefined);
    return { ...options, endpoint: options.endpoint ?? gcsEndpoint(), region: 'auto', token };
  }
  const endpoint =
    options.endpoint ??
    environment('AWS_ENDPOINT_URL_S3') ??
    environment('AWS_ENDPOINT_URL') ??
    environment('S3_ENDPOINT');
  const region = options.region ?? environment('AWS_REGION') ?? environment('AWS_DEFAULT_REGION') ?? 'us-east-1';
  return { ...options, endpoint, region, credentials: options.credentials ?? environmentCredentials() };
}

function gcsEndpoint(): string {
  const host = environment('STORAGE_EMULATOR_HOST') ?? 'https://storage.googleapis.com';
  return /^https?:/.test(host) ? host : `http://${host}`;
}

function environmentCredentials(): S3Credentials | undefined {
  const [accessKeyId, secretAccessKey] = [environment('AWS_ACCESS_KEY_ID'), environment('AWS_SECRET_ACCESS_KEY')];
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = environment('AWS_SESSION_TOKEN');
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** Both dialects: they differ in how a condition is said, how an object grows, and who may sign. */
export class HttpStore implements ObjectStore {
  readonly #options: HttpStoreOptions;
  readonly #dialect: 's3' | 'gcs';
  readonly #base: string;
  readonly #keys = new Map<string, ArrayBuffer>();
  #region: string;
  #credentials: Promise<S3Credentials | undefined> | undefined;
  #renewAt = Infinity;

  constructor(options: HttpStoreOptions, dialect: 's3' | 'gcs') {
    const call = `${dialect}Store`;
    const { bucket, endpoint, timeoutSecs, attempts, pathStyle, region = 'us-east-1' } = options;
    if (typeof bucket !== 'string' || !/^[\w.-]{1,222}$/.test(bucket) || /^\.+$/.test(bucket)) {
      throw new TypeError(`${call}: expected bucket to be the name of a bucket, got ${describe(bucket)}`);
    }
    for (const [name, value] of Object.entries({ timeoutSecs, attempts })) {
      if (value !== undefined && !(typeof value === 'number' && value > 0)) {
        throw new RangeError(`${call}: expected ${name} to be a positive number, got ${describe(value)}`);
      }
    }
    this.#options = options;
    this.#dialect = dialect;
    this.#region = region;
    if (endpoint !== undefined && !(URL.canParse(endpoint) && /^https?:/.test(endpoint))) {
      throw new TypeError(`${call}: expected endpoint to be an http(s) URL, got ${describe(endpoint)}`);
    }
    const host = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
    const inPath = pathStyle ?? (endpoint !== undefined || bucket.includes('.'));
    const root = host.pathname.replace(/\/+$/, '');
    this.#base = inPath ? `${host.origin}${root}/${bucket}` : `${host.protocol}//${bucket}.${host.host}${root}`;
  }

  async put(key: string, bytes: Uint8Array, { ifNoneMatch }: { ifNoneMatch?: '*' } = {}): Promise<boolean> {
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
    if (ifNoneMatch !== undefined) {
      if (this.#dialect === 'gcs') headers['x-goog-if-generation-match'] = '0';
      else headers['if-none-match'] = ifNoneMatch;
    }
    // 409: somebody else is writing the same key at this moment. Whoever asked for the condition finds what they write.
    const expected = ifNoneMatch === undefined ? [] : [409, 412];
    const { status } = await this.#ask({ method: 'PUT', key, headers, body: bytes, expected });
    return status < 300;
  }

  async get(key: string, range?: { from: number; end: number }): Promise<Uint8Array | undefined> {
    if (range !== undefined && range.end <= range.from) return new Uint8Array(0);
    const last = range === undefined || range.end === Infinity ? '' : range.end - 1;
    const headers = range === undefined ? undefined : { range: `bytes=${range.from}-${last}` };
    const { status, bytes } = await this.#ask({ method: 'GET', key, headers, expected: [404, 416] });
    if (status === 404) return undefined;
    if (status === 416) return new Uint8Array(0);
    // A server that knows no ranges sends all of it.
    return status === 200 && range !== undefined ? bytes.subarray(range.from, range.end) : bytes;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const found = await this.#head(key);
    return found && { key, size: found.size };
  }

  async remove(key: string): Promise<void> {
    await this.#ask({ method: 'DELETE', key, expected: [404] });
  }

  async list(prefix: string, { isFlat = false, limit = Infinity } = {}): Promise<ObjectListing> {
    const objects: ObjectInfo[] = [];
    const folders: string[] = [];
    let token: string | undefined;
    do {
      const query: Record<string, string> = { 'list-type': '2', 'encoding-type': 'url', prefix };
      if (isFlat) query.delimiter = '/';
      if (limit < 1000) query['max-keys'] = String(limit);
      if (token !== undefined) query['continuation-token'] = token;
      const xml = new TextDecoder().decode((await this.#ask({ method: 'GET', query })).bytes);
      // Servers that do not know the encoding send keys as they are.
      const keyOf = (text = '') => (element(xml, 'EncodingType') === 'url' ? decodedKey(text) : text);
      for (const entry of elements(xml, 'Contents')) {
        objects.push({ key: keyOf(element(entry, 'Key')), size: Number(element(entry, 'Size')) });
      }
      for (const entry of elements(xml, 'CommonPrefixes')) folders.push(keyOf(element(entry, 'Prefix')));
      token = element(xml, 'IsTruncated') === 'true' ? element(xml, 'NextContinuationToken') : undefined;
    } while (token !== undefined && objects.length + folders.length < limit);
    return { objects, folders };
  }

  async append(key: string, size: number, bytes: Uint8Array): Promise<void> {
    const found = await this.#head(key);
    if (found?.size === size + bytes.length) return;
    if (found?.size !== size) throw changedError(key, size, found?.size);
    try {
      if (this.#dialect === 'gcs') await this.#compose(key, bytes, found.headers.get('x-goog-generation'));
      else await this.#copyAndAdd(key, bytes, found.headers.get('etag'));
    } catch (error) {
      // The answer may have been lost, and a second attempt told that there is nothing left to do.
      const now = await this.#head(key).catch(() => undefined);
      if (now?.size !== size + bytes.length) throw error;
    }
  }

  async #head(key: string): Promise<(ObjectInfo & { headers: Headers }) | undefined> {
    const { status, headers } = await this.#ask({ method: 'HEAD', key, expected: [404] });
    if (status === 404) return undefined;
    return { key, size: Number(headers.get('content-length') ?? 0), headers };
  }

  /** A multipart upload whose first part is the object as it is. */
  async #copyAndAdd(key: string, bytes: Uint8Array, etag: string | null): Promise<void> {
    const begun = await this.#ask({ method: 'POST', key, query: { uploads: '' } });
    const uploadId = element(new TextDecoder().decode(begun.bytes), 'UploadId');
    if (uploadId === undefined) throw new ObjectStoreError(`append '${key}': the store began no upload`);
    try {
      const source: Record<string, string> = { 'x-amz-copy-source': `/${this.#options.bucket}/${encodedKey(key)}` };
      if (etag !== null) source['x-amz-copy-source-if-match'] = etag;
      const copied = await this.#ask({ method: 'PUT', key, query: { partNumber: '1', uploadId }, headers: source });
      const first = element(new TextDecoder().decode(copied.bytes), 'ETag');
      const added = await this.#ask({ method: 'PUT', key, query: { partNumber: '2', uploadId }, body: bytes });
      const parts = [first, added.headers.get('etag') ?? '']
        .map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${xmlText(tag ?? '')}</ETag></Part>`)
        .join('');
      const xml = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts}</CompleteMultipartUpload>`;
      await this.#ask({ method: 'POST', key, query: { uploadId }, body: new TextEncoder().encode(xml) });
    } catch (error) {
      await this.#ask({ method: 'DELETE', key, query: { uploadId }, expected: [404] }).catch(() => {});
      throw error;
    }
  }

  /** The new bytes as an object of their own, whose name is none of an event file; then both together as one. */
  async #compose(key: string, bytes: Uint8Array, generation: string | null): Promise<void> {
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    const piece = `${folder}.piece-${Date.now().toString(36)}-${randomText()}`;
    await this.put(piece, bytes);
    try {
      const component = (name: string) => `<Component><Name>${xmlText(name)}</Name></Component>`;
      const xml = `<ComposeRequest>${component(key)}${component(piece)}</ComposeRequest>`;
      const headers: Record<string, string> = generation === null ? {} : { 'x-goog-if-generation-match': generation };
      await this.#ask({ method: 'PUT', key, query: { compose: '' }, headers, body: new TextEncoder().encode(xml) });
    } finally {
      await this.#ask({ method: 'DELETE', key: piece, expected: [404] }).catch(() => {});
    }
  }

  /** Makes a request until it is answered. @throws ObjectStoreError */
  async #ask(call: Call): Promise<Answer> {
    const attempts = this.#options.attempts ?? 5;
    for (let attempt = 1; ; attempt++) {
      let failure: ObjectStoreError;
      try {
        const answer = await this.#askOnce(call);
        const code = codeIn(answer);
        const isFailure = code !== undefined && answer.status < 300; // S3 may find out late that it cannot do it
        if (!isFailure && (answer.status < 300 || call.expected?.includes(answer.status))) return answer;
        failure = this.#failureOf(call, answer, code);
        if (this.#moved(answer) && attempt < attempts) continue;
        if (!passing.has(answer.status) && !passingCodes.has(code ?? '') && !isFailure) throw failure;
      } catch (error) {
        if (error instanceof ObjectStoreError) throw error;
        failure = new ObjectStoreError(`${this.#nameOf(call)}: ${reasonOf(error)}`, { cause: error });
      }
      if (attempt >= attempts) throw failure;
      const pause = firstPauseMillis * 2 ** (attempt - 1) * (0.5 + random());
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #askOnce({ method, key, query = {}, headers = {}, body }: Call): Promise<Answer> {
    // Of a bucket without a slash, as other clients ask: a server may sign the path as it understands it.
    const url = new URL(key === undefined ? this.#base : `${this.#base}/${encodedKey(key)}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = await this.#sign(method, url, { ...headers }, body);
    const response = await fetch(url, {
      method,
      headers: signed,
      body: body as Uint8Array<ArrayBuffer> | undefined,
      signal: AbortSignal.timeout(1000 * (this.#options.timeoutSecs ?? 20)),
      cache: 'no-store',
    });
    return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
  }

  async #sign(
    method: string,
    url: URL,
    headers: Record<string, string>,
    body: Uint8Array | undefined,
  ): Promise<HeadersInit> {
    const credentials = await this.#currentCredentials();
    if (credentials === undefined) {
      const { token } = this.#options;
      if (this.#dialect !== 'gcs' || token === undefined) return headers;
      return { ...headers, authorization: `Bearer ${typeof token === 'function' ? await token() : token}` };
    }
    headers['x-amz-content-sha256'] = await sha256Hex(body ?? new Uint8Array(0));
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const keys = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    const at = { region: this.#region, service: 's3', cache: this.#keys };
    const signer = new AwsV4Signer({ method, url: url.href, headers, ...keys, ...at });
    return (await signer.sign()).headers;
  }

  #currentCredentials(): Promise<S3Credentials | undefined> {
    if (this.#credentials !== undefined && Date.now() < this.#renewAt) return this.#credentials;
    const before = this.#credentials;
    const { credentials } = this.#options;
    const gotten = (async () => {
      const found = typeof credentials === 'function' ? await credentials() : credentials;
      if (
        found !== undefined &&
        (typeof found?.accessKeyId !== 'string' || typeof found.secretAccessKey !== 'string')
      ) {
        throw new TypeError(`credentials: expected accessKeyId and secretAccessKey, got ${describe(found)}`);
      }
      this.#renewAt =
        typeof credentials === 'function' && found?.expiration ? Number(found.expiration) - renewMillis : Infinity;
      return found;
    })();
    this.#credentials = gotten;
    gotten.catch(() => {
      if (this.#credentials === gotten) this.#credentials = before;
    });
    return gotten;
  }

  /** Whether the bucket is in another region, which the next attempt uses. */
  #moved({ status, headers }: Answer): boolean {
    const region = headers.get('x-amz-bucket-region');
    if (![301, 307, 400].includes(status) || region === null || region === this.#region) return false;
    this.#region = region;
    return true;
  }

  #nameOf({ method, key }: Call): string {
    const scheme = this.#dialect === 'gcs' ? 'gs' : 's3';
    return `${method} ${scheme}://${this.#options.bucket}/${key ?? ''} at ${new URL(this.#base).origin}`;
  }

  #failureOf(call: Call, answer: Answer, code: string | undefined): ObjectStoreError {
    const xml = new TextDecoder().decode(answer.bytes.subarray(0, 10_000));
    const message = element(xml, 'Message');
    const why = [code, message].filter(Boolean).join(': ');
    const text = `${this.#nameOf(call)}: expected status 200, got ${answer.status}${why === '' ? '' : ` (${why.slice(0, 300)})`}`;
    return new ObjectStoreError(text, { status: answer.status, ...(code === undefined ? {} : { code }) });
  }
}

/** Why no answer came: `fetch` says it in the error's cause. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: unknown };
  if (name === 'TimeoutError') return 'no answer came in time';
  return cause === undefined ? messageOf(error) : `${messageOf(error)} (${messageOf(cause)})`;
}

/** The code of an error in XML; undefined if the answer is none. */
function codeIn({ status, headers, bytes }: Answer): string | undefined {
  if (status < 300 && (bytes.length > 10_000 || !/xml/.test(headers.get('content-type') ?? 'xml'))) return undefined;
  const xml = new TextDecoder().decode(bytes.subarray(0, 10_000));
  const error = /^(?:<\?[^>]*>\s*)?<Error\b[\s\S]*/.exec(xml)?.[0];
  return error === undefined ? undefined : (element(error, 'Code') ?? 'Error');
}

/** A key as a path of a URL, in the encoding that signatures are made of. */
function encodedKey(key: string): string {
  const strict = (part: string) =>
    encodeURIComponent(part).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return key.split('/').map(strict).join('/');
}

/** What a listing with `encoding-type=url` says for a key. */
function decodedKey(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' '));
  } catch {
    return text;
  }
}

/** The contents of all elements of a name. The few documents that a store sends have no attributes and no comments that matter. */
function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([^]*?)</${name}>`, 'g'))].map((match) => match[1]);
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function element(xml: string, name: string): string | undefined {
  return elements(xml, name)[0]?.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, named) => {
    if (named !== undefined) return entities[named] ?? whole;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}

function xmlText(text: string): string {
  return text.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

async function sha256Hex(bytes: Uint8Array): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new ObjectStoreError('signing: expected Web Crypto, which pages have over https or from localhost only');
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
