import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request met instead of an answer: a status, silence, a cut connection, or an answer that is lost on its way back. */
export type Fault = number | 'silence' | 'cut' | 'lost';

/** A request that came. */
export interface Seen {
  method: string;
  /** put, get, head, list, begin, part, copy, complete, abort, compose, delete */
  kind: string;
  key: string;
  bytes: number;
  range: string | undefined;
}

interface Upload {
  key: string;
  parts: Map<number, Buffer>;
}

const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret/with+signs' };

/**
 * A server that speaks the part of S3 that the library uses, and that is stricter than most: it computes every signature again with
 * node:crypto, checks the digest of what is sent, demands 5 MiB of every part but the last, and lists a few keys at a time. With
 * `faults` it fails on demand. It also composes, as Google Cloud Storage does.
 */
export class S3Server {
  readonly objects = new Map<string, Buffer>();
  readonly seen: Seen[] = [];
  /** Decides of each request whether it fails. */
  fault: (seen: Seen) => Fault | undefined = () => undefined;
  /** Keys to a page of a listing. */
  pageSize = 3;
  /** If set, requests must carry this token instead of a signature. */
  token: string | undefined;
  sessionToken: string | undefined;
  readonly bucket = 'logs';
  readonly region: string;
  readonly #server: Server;
  readonly #uploads = new Map<string, Upload>();
  #count = 0;

  private constructor(region: string) {
    this.region = region;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async start(region = 'eu-central-1'): Promise<S3Server> {
    const server = new S3Server(region);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What a client needs to know. */
  get options() {
    return { bucket: this.bucket, endpoint: this.endpoint, region: this.region, credentials: keys };
  }

  /** The same for programs. */
  get environment(): Record<string, string> {
    const { accessKeyId, secretAccessKey } = keys;
    return {
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_REGION: this.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    };
  }

  /** Unfinished uploads, which cost money. */
  get openUploads(): number {
    return this.#uploads.size;
  }

  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  count(kind: string): number {
    return this.seen.filter((one) => one.kind === kind).length;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return undefined; // the client hung up
    }
    const body = Buffer.concat(chunks);
    const url = new URL(request.url!, 'http://s3');
    const [, bucket, ...rest] = url.pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    const seen = {
      method: request.method!,
      kind: kindOf(request, url, key),
      key,
      bytes: body.length,
      range: request.headers.range,
    };
    this.seen.push(seen);
    const fault = this.fault(seen);
    if (fault === 'silence') return undefined;
    if (fault === 'cut') {
      return request.socket.destroy();
    }
    if (typeof fault === 'number') return fail(response, fault, fault === 503 ? 'SlowDown' : 'InternalError');
    const wrong = this.token === undefined ? this.#checkSignature(request, url, body) : this.#checkToken(request);
    if (wrong !== undefined) return fail(response, 403, wrong);
    if (decodeURIComponent(bucket) !== this.bucket) return fail(response, 404, 'NoSuchBucket');
    if (fault === 'lost') {
      this.#answer(seen, url, request, body, { writeHead() {}, end() {} } as unknown as ServerResponse);
      return request.socket.destroy();
    }
    return this.#answer(seen, url, request, body, response);
  }

  #answer({ kind, key }: Seen, url: URL, request: IncomingMessage, body: Buffer, response: ServerResponse): unknown {
    const { headers } = request;
    const object = this.objects.get(key);
    const xml = (text: string) => {
      response.writeHead(200, { 'content-type': 'application/xml' });
      return response.end(`<?xml version="1.0" encoding="UTF-8"?>\n${text}`);
    };
    const upload = this.#uploads.get(url.searchParams.get('uploadId') ?? '');
    if (['part', 'copy', 'complete', 'abort'].includes(kind) && upload === undefined)
      return fail(response, 404, 'NoSuchUpload');
    const part = Number(url.searchParams.get('partNumber'));
    switch (kind) {
      case 'list':
        return xml(this.#list(url));
      case 'put': {
        const isNew = headers['if-none-match'] === '*' || headers['x-goog-if-generation-match'] === '0';
        if (isNew && object !== undefined) return fail(response, 412, 'PreconditionFailed');
        this.objects.set(key, body);
        response.writeHead(200, { etag: etagOf(body) });
        return response.end();
      }
      case 'head':
      case 'get': {
        if (object === undefined) {
          if (kind === 'get') return fail(response, 404, 'NoSuchKey');
          response.writeHead(404);
          return response.end();
        }
        const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
        const from = range === null ? 0 : Number(range[1]);
        const end = range === null || range[2] === '' ? object.length : Math.min(object.length, Number(range[2]) + 1);
        if (range !== null && from >= object.length) return fail(response, 416, 'InvalidRange');
        const bytes = object.subarray(from, end);
        const more = range === null ? {} : { 'content-range': `bytes ${from}-${end - 1}/${object.length}` };
        response.writeHead(range === null ? 200 : 206, {
          'content-length': bytes.length,
          etag: etagOf(object),
          ...more,
        });
        return response.end(kind === 'head' ? undefined : bytes);
      }
      case 'begin': {
        const id = `upload-${this.#count++}`;
        this.#uploads.set(id, { key, parts: new Map() });
        return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
      }
      case 'part':
        upload!.parts.set(part, body);
        response.writeHead(200, { etag: etagOf(body) });
        return response.end();
      case 'copy': {
        const source = this.objects.get(
          decodeURIComponent(String(headers['x-amz-copy-source']).replace(`/${this.bucket}/`, '')),
        );
        if (source === undefined) return fail(response, 404, 'NoSuchKey');
        const wanted = headers['x-amz-copy-source-if-match'];
        if (wanted !== undefined && wanted !== etagOf(source)) return fail(response, 412, 'PreconditionFailed');
        upload!.parts.set(part, source);
        return xml(`<CopyPartResult><ETag>${etagOf(source).replace(/"/g, '&quot;')}</ETag></CopyPartResult>`);
      }
      case 'complete': {
        const named = [...String(body).matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>([^<]*)<\/ETag>/g)];
        const parts = named.map((match) => upload!.parts.get(Number(match[1])));
        if (
          parts.some((bytes, i) => bytes === undefined || etagOf(bytes) !== named[i][2].replace(/&#34;|&quot;/g, '"'))
        )
          return fail(response, 400, 'InvalidPart');
        if (parts.slice(0, -1).some((bytes) => bytes!.length < 5 * 2 ** 20))
          return fail(response, 400, 'EntityTooSmall');
        this.objects.set(key, Buffer.concat(parts as Buffer[]));
        this.#uploads.delete(url.searchParams.get('uploadId')!);
        return xml('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>');
      }
      case 'abort':
        this.#uploads.delete(url.searchParams.get('uploadId')!);
        response.writeHead(204);
        return response.end();
      case 'compose': {
        const names = [...String(body).matchAll(/<Name>([^<]*)<\/Name>/g)].map((match) => match[1]);
        if (names.length > 32 || names.some((name) => !this.objects.has(name))) return fail(response, 404, 'NoSuchKey');
        this.objects.set(key, Buffer.concat(names.map((name) => this.objects.get(name)!)));
        return xml('');
      }
      case 'delete':
        this.objects.delete(key);
        response.writeHead(204);
        return response.end();
    }
    return fail(response, 400, `UnknownRequest ${kind}`);
  }

  #list(url: URL): string {
    const ask = (name: string) => url.searchParams.get(name) ?? '';
    const [prefix, delimiter, after] = [ask('prefix'), ask('delimiter'), ask('continuation-token') || ask('marker')];
    const most = Math.min(this.pageSize, Number(ask('max-keys') || 1000));
    const entries = new Map<string, string>();
    for (const key of this.keys(prefix)) {
      const slash = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      if (slash >= 0) {
        const folder = key.slice(0, slash + 1);
        entries.set(folder, `<CommonPrefixes><Prefix>${encodeURIComponent(folder)}</Prefix></CommonPrefixes>`);
      } else {
        const size = this.objects.get(key)!.length;
        entries.set(key, `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${size}</Size></Contents>`);
      }
    }
    const left = [...entries].filter(([name]) => name > after).slice(0, most + 1);
    const page = left.slice(0, most);
    const isTruncated = left.length > most;
    // The second version of the request has tokens; the first, which TensorBoard makes, goes on behind a key.
    const tag = ask('list-type') === '2' ? 'NextContinuationToken' : 'NextMarker';
    const next = isTruncated ? `<${tag}>${page.at(-1)![0].replace(/&/g, '&amp;')}</${tag}>` : '';
    return `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${next}${page.map(([, text]) => text).join('')}</ListBucketResult>`;
  }

  #checkToken(request: IncomingMessage): string | undefined {
    return request.headers.authorization === `Bearer ${this.token}` ? undefined : 'InvalidToken';
  }

  /** Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
  #checkSignature(request: IncomingMessage, url: URL, body: Buffer): string | undefined {
    const { headers } = request;
    const parts =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([\da-f]{64})$/.exec(
        headers.authorization ?? '',
      );
    if (parts === null) return 'AccessDenied';
    const [, id, day, region, names, signature] = parts;
    if (id !== keys.accessKeyId) return 'InvalidAccessKeyId';
    if (region !== this.region) return 'AuthorizationHeaderMalformed';
    if (this.sessionToken !== headers['x-amz-security-token']) return 'InvalidToken';
    const date = String(headers['x-amz-date']);
    const time = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
    if (!(Math.abs(time - Date.now()) < 15 * 60_000) || !date.startsWith(day)) return 'RequestTimeTooSkewed';
    const digest = createHash('sha256').update(body).digest('hex');
    if (headers['x-amz-content-sha256'] !== digest) return 'XAmzContentSHA256Mismatch';
    const signed = names.split(';');
    const must = Object.keys(headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
    if (must.some((name) => !signed.includes(name))) return 'AccessDenied';
    const strict = (text: string) =>
      encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
    const path = url.pathname
      .split('/')
      .map((part) => strict(decodeURIComponent(part)))
      .join('/');
    const query = [...url.searchParams]
      .map(([name, value]) => `${strict(name)}=${strict(value)}`)
      .sort()
      .join('&');
    const listed = signed.map((name) => `${name}:${String(headers[name]).trim().replace(/\s+/g, ' ')}\n`).join('');
    const canonical = [request.method, path, query, listed, names, digest].join('\n');
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const hmac = (key: string | Buffer, what: string) => createHmac('sha256', key).update(what).digest();
    const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${keys.secretAccessKey}`);
    return hmac(key, text).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
  }
}

function kindOf(request: IncomingMessage, url: URL, key: string): string {
  const has = (name: string) => url.searchParams.has(name);
  switch (request.method) {
    case 'GET':
      return key === '' ? 'list' : 'get';
    case 'HEAD':
      return 'head';
    case 'POST':
      return has('uploads') ? 'begin' : 'complete';
    case 'DELETE':
      return has('uploadId') ? 'abort' : 'delete';
  }
  if (has('compose')) return 'compose';
  if (!has('partNumber')) return 'put';
  return request.headers['x-amz-copy-source'] === undefined ? 'part' : 'copy';
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function fail(response: ServerResponse, status: number, code: string): unknown {
  response.writeHead(status, { 'content-type': 'application/xml' });
  return response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>the server says &lt;no&gt;</Message></Error>`,
  );
}
