/**
 * Uploads on a thread: they go on while the program computes, and at its end, when nothing asynchronous runs any more, it stands still
 * until the thread has sent what is left.
 */
import { hostname, isExiting, processId, startWorker, warn } from '#platform';
import { concat } from '../encoding/bytes.js';
import { messageOf } from '../errors.js';
import type { WorkerThread } from '../platform/platform.js';
import { workerSource } from './generated/upload-worker-source.js';
import { maxWaitingBytes, ObjectOutput, type ObjectOutputOptions } from './object-output.js';
import type { ObjectStore } from './object-store.js';
import { type Output, safePath } from './output.js';
import { HttpStore, type HttpStoreOptions } from './s3-store.js';
import { errorOf, type Failure, type FromWorker, failureOf, type ToWorker } from './upload-protocol.js';

/** How long the end of the program waits for uploads, in milliseconds, of all Outputs together. */
const exitMillis = 10_000;

/** What a store's options become when they are sent. */
interface ThreadStore {
  readonly number: number;
  /** The same store in this thread, for what it reads. */
  readonly here: ObjectStore;
}

/** The thread, which all Outputs of the program share. */
class UploadThread {
  readonly #thread: WorkerThread;
  readonly #outputs = new Map<number, ThreadOutput>();
  readonly #keys = new Map<number, () => unknown>();
  #stores = 0;
  #opened = 0;
  #open = 0;
  #waitedMillis = 0;
  /** Why the thread ended. */
  failure: Error | undefined;

  constructor(start: (listener: { onMessage(message: unknown): void; onError(error: Error): void }) => WorkerThread) {
    this.#thread = start({
      onMessage: (message) => this.#take(message as FromWorker),
      onError: (error) => this.#end(error),
    });
  }

  addStore(options: HttpStoreOptions, dialect: 's3' | 'gcs'): ThreadStore {
    const number = this.#stores++;
    const { credentials, token, ...rest } = options;
    const source = typeof credentials === 'function' ? credentials : typeof token === 'function' ? token : undefined;
    const asks = source === undefined ? undefined : source === credentials ? 'credentials' : 'token';
    if (source !== undefined) this.#keys.set(number, source);
    const sent = source === undefined ? options : rest;
    this.post({ kind: 'store', store: number, message: { dialect, options: sent, asks } });
    return { number, here: new HttpStore(options, dialect) };
  }

  open(output: ThreadOutput, store: number, options: ObjectOutputOptions): number {
    const number = this.#opened++;
    this.#outputs.set(number, output);
    this.post({ kind: 'open', output: number, store, options, writer: { host: hostname(), pid: processId() } });
    return number;
  }

  post(message: ToWorker): void {
    if (this.failure === undefined) this.#thread.post(message, []);
  }

  /** Keeps the program alive while a question is open. */
  hold(questions: 1 | -1): void {
    this.#open += questions;
    this.#thread.setRef(this.#open > 0);
  }

  /** Stands still until `isDone`, or until all that may be waited for has passed. Returns whether it is done. */
  waitUntil(isDone: () => boolean): boolean {
    const began = performance.now();
    const deadline = began + Math.max(0, exitMillis - this.#waitedMillis);
    while (!isDone() && this.failure === undefined) if (!this.#thread.receive(deadline)) break;
    if (isExiting() || !isDone()) this.#waitedMillis += performance.now() - began;
    return isDone();
  }

  #take(message: FromWorker): void {
    if (message.kind === 'askKeys') void this.#giveKeys(message.store);
    else this.#outputs.get(message.output)?.take(message);
  }

  async #giveKeys(store: number): Promise<void> {
    try {
      const keys = (await this.#keys.get(store)!()) as never;
      this.post({ kind: 'keys', store, keys });
    } catch (error) {
      this.post({ kind: 'keys', store, failure: failureOf(error) });
    }
  }

  #end(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    if (shared === this) shared = undefined;
    for (const output of this.#outputs.values()) output.goOnHere();
  }
}

let shared: UploadThread | undefined;

/** Opens an Output whose uploads run on a thread; undefined where there are no threads. */
export function openOnThread(
  storeOptions: HttpStoreOptions,
  dialect: 's3' | 'gcs',
  options: ObjectOutputOptions,
): Output | undefined {
  shared ??= startThread();
  return shared && new ThreadOutput(shared, shared.addStore(storeOptions, dialect), options);
}

function startThread(): UploadThread | undefined {
  let isThere = true;
  const thread = new UploadThread((listener) => {
    const worker = startWorker(workerSource, listener);
    isThere = worker !== undefined;
    return worker!;
  });
  return isThere ? thread : undefined;
}

/** What is not answered yet. */
interface Question {
  readonly call: Asked['call'];
  resolve(value: Uint8Array | undefined): void;
  reject(error: Error): void;
  /** Asks again elsewhere if the thread has died. */
  again(output: ObjectOutput): Promise<unknown>;
}

/** A companion file that is being changed. */
interface Update {
  readonly path: string;
  readonly change: (content: Uint8Array | undefined) => Uint8Array;
}

/** An Output whose other half is an ObjectOutput in the thread. */
class ThreadOutput implements Output {
  readonly #thread: UploadThread;
  readonly #store: ThreadStore;
  readonly #options: ObjectOutputOptions;
  readonly #number: number;
  readonly #runs = new Map<string, ThreadOutput>();
  readonly #questions = new Map<number, Question>();
  readonly #updates = new Set<Update>();
  #updating: Promise<void> = Promise.resolve();
  #asked = 0;
  /** What the thread has not uploaded yet; kept in case it dies. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  /** Bytes of the first of `#unsent` that have been uploaded. */
  #sentOfFirst = 0;
  #failure: Failure | undefined;
  /** Goes on in this thread if the other one has died. */
  #here: ObjectOutput | undefined;

  constructor(thread: UploadThread, store: ThreadStore, options: ObjectOutputOptions) {
    this.#thread = thread;
    this.#store = store;
    this.#options = options;
    this.#number = thread.open(this, store.number, options);
    if (thread.failure !== undefined) this.goOnHere();
  }

  get pendingBytes(): number {
    return this.#here?.pendingBytes ?? this.#unsentBytes;
  }

  write(bytes: Uint8Array): void {
    if (this.#here !== undefined) {
      this.#here.write(bytes);
      return;
    }
    if (this.#failure !== undefined && this.#unsentBytes + bytes.length > maxWaitingBytes) throw errorOf(this.#failure);
    const copy = bytes.slice();
    this.#unsent.push(copy);
    this.#unsentBytes += copy.length;
    this.#thread.post({ kind: 'write', output: this.#number, bytes: copy });
  }

  /** Stands still until everything is in the store, for as long as the program's end may take. */
  flushSync(): void {
    if (this.#here !== undefined) {
      this.#here.flushSync();
      return;
    }
    if (this.#unsentBytes > 0) this.#askNow({ call: 'flush' });
    if (isExiting() && this.#unsentBytes > 0) {
      const why = this.#failure === undefined ? 'no answer came in time' : this.#failure.message;
      warn(`At exit ${this.#unsentBytes} bytes of events could not be uploaded: ${why}`);
    }
    for (const update of this.#updates) this.#updateNow(update);
    this.#thread.waitUntil(() => ![...this.#questions.values()].some(({ call }) => call === 'file'));
  }

  async flush(): Promise<void> {
    await this.#updating;
    await this.#ask({ call: 'flush' }, (output) => output.flush());
  }

  async close(): Promise<void> {
    await this.#updating;
    await this.#ask({ call: 'close' }, (output) => output.close());
  }

  run(name: string): ThreadOutput {
    const path = safePath(name);
    let run = this.#runs.get(path);
    if (run === undefined) {
      const prefix = this.#options.prefix ? `${this.#options.prefix}/${path}` : path;
      run = new ThreadOutput(this.#thread, this.#store, { ...this.#options, prefix });
      this.#runs.set(path, run);
    }
    return run;
  }

  async file(path: string, bytes: Uint8Array): Promise<void> {
    await this.#ask({ call: 'file', path, bytes }, (output) => output.file(path, bytes));
  }

  updateFile(path: string, change: Update['change']): Promise<void> {
    const update = { path, change };
    this.#updates.add(update);
    const updated = this.#updating.then(async () => {
      try {
        const content = await this.#ask({ call: 'download', path }, (output) => output.download(path));
        // At the program's end it may have been done already.
        if (this.#updates.delete(update)) await this.file(path, change(content));
      } finally {
        this.#updates.delete(update);
      }
    });
    this.#updating = updated.catch(() => {}); // whoever asked for it learns of the failure
    return updated;
  }

  readEarlier(): AsyncIterable<AsyncIterable<Uint8Array>> {
    return new ObjectOutput(this.#store.here, this.#options).readEarlier();
  }

  /** What the thread says of this Output. */
  take(message: Exclude<FromWorker, { kind: 'askKeys' }>): void {
    if (message.kind === 'complaint') warn(message.message);
    else if (message.kind === 'uploaded') this.#count(message.bytes, message.failure);
    else {
      const question = this.#questions.get(message.question);
      this.#questions.delete(message.question);
      if (message.failure === undefined) question?.resolve(message.value);
      else question?.reject(errorOf(message.failure));
    }
  }

  /** The thread has died: what it has not uploaded is uploaded here, into an object of its own. */
  goOnHere(): void {
    const here = new ObjectOutput(this.#store.here, this.#options);
    this.#here = here;
    const rest = concat(this.#unsent).subarray(this.#sentOfFirst);
    this.#unsent = [];
    this.#unsentBytes = 0;
    if (rest.length > 0) here.write(rest);
    for (const { again, resolve, reject } of this.#questions.values()) {
      again(here).then((value) => resolve(value as Uint8Array | undefined), reject);
    }
    this.#questions.clear();
  }

  #count(bytes: number, failure: Failure | undefined): void {
    this.#failure = failure;
    this.#unsentBytes -= bytes;
    let sent = this.#sentOfFirst + bytes;
    while (this.#unsent.length > 0 && sent >= this.#unsent[0].length) sent -= this.#unsent.shift()!.length;
    this.#sentOfFirst = sent;
  }

  #ask(what: Asked, again: Question['again']): Promise<Uint8Array | undefined> {
    if (this.#here !== undefined) return again(this.#here) as Promise<Uint8Array | undefined>;
    this.#thread.hold(1);
    return new Promise<Uint8Array | undefined>((resolve, reject) => {
      this.#post(what, { call: what.call, resolve, reject, again });
    }).finally(() => this.#thread.hold(-1));
  }

  #post(what: Asked, question: Question): void {
    const number = this.#asked++;
    this.#questions.set(number, question);
    this.#thread.post({ kind: 'ask', output: this.#number, question: number, ...what });
  }

  /** Does an update while this thread stands still. */
  #updateNow(update: Update): void {
    this.#updates.delete(update);
    const { path, change } = update;
    const found = this.#askNow({ call: 'download', path });
    const written = 'value' in found ? this.#askNow({ call: 'file', path, bytes: change(found.value) }) : found;
    if ('error' in written) warn(`The file '${path}' could not be written: ${messageOf(written.error)}`);
  }

  #askNow(what: Asked): { value: Uint8Array | undefined } | { error: unknown } {
    let answer: { value: Uint8Array | undefined } | { error: unknown } | undefined;
    const resolve = (value: Uint8Array | undefined) => {
      answer = { value };
    };
    const reject = (error: unknown) => {
      answer = { error };
    };
    this.#post(what, { call: what.call, resolve, reject, again: async () => {} });
    this.#thread.waitUntil(() => answer !== undefined);
    return answer ?? { error: new Error('no answer came in time') };
  }
}

type Asked =
  | { call: 'flush' | 'close' }
  | { call: 'file'; path: string; bytes: Uint8Array }
  | { call: 'download'; path: string };
