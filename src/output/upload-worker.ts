/** Runs in the thread that uploads. It is bundled into a string by scripts/build.mjs. */
import { ObjectOutput } from './object-output.js';
import type { ObjectStore } from './object-store.js';
import { HttpStore, type HttpStoreOptions, type S3Credentials } from './s3-store.js';
import { errorOf, type FromWorker, failureOf, type StoreMessage, type ToWorker } from './upload-protocol.js';

declare function postMessage(message: unknown): void;

/** How long the host is waited for when it is asked for keys, in milliseconds. While it exits it cannot answer. */
const keysMillis = 10_000;

const outputs = new Map<number, ObjectOutput>();
const stores = new Map<number, ObjectStore>();
/** Who waits for keys, by store. */
const awaited = new Map<number, (message: ToWorker & { kind: 'keys' }) => void>();

const post = (message: FromWorker) => postMessage(message);

function open(store: number, { dialect, options, asks }: StoreMessage): ObjectStore {
  let last: S3Credentials | string | undefined;
  const askHost = async () => {
    try {
      last = await new Promise<S3Credentials | string>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the program gave no keys')), keysMillis);
        awaited.set(store, ({ keys, failure }) => {
          clearTimeout(timer);
          if (keys === undefined) reject(errorOf(failure!));
          else resolve(keys);
        });
        post({ kind: 'askKeys', store });
      });
    } catch (error) {
      if (last === undefined) throw error;
    }
    return last as never; // what the host gives is what its function returned
  };
  // One question at a time; a request that comes meanwhile waits for the same answer.
  let asking: Promise<never> | undefined;
  const once = () => (asking ??= askHost().finally(() => (asking = undefined)));
  const whole: HttpStoreOptions = asks === undefined ? options : { ...options, [asks]: once };
  return new HttpStore(whole, dialect);
}

async function answer(message: ToWorker & { kind: 'ask' }): Promise<Uint8Array | undefined> {
  const output = outputs.get(message.output)!;
  switch (message.call) {
    case 'flush':
      await output.flush();
      return undefined;
    case 'close':
      await output.close();
      return undefined;
    case 'file':
      await output.file(message.path, message.bytes);
      return undefined;
    case 'download':
      return output.download(message.path);
  }
}

function take(message: ToWorker): void {
  switch (message.kind) {
    case 'store':
      stores.set(message.store, open(message.store, message.message));
      break;
    case 'keys':
      awaited.get(message.store)?.(message);
      break;
    case 'open': {
      const { output } = message;
      const surroundings = {
        writer: message.writer,
        complain: (text: string) => post({ kind: 'complaint', output, message: text }),
        onUpload: (bytes: number, failure: unknown) =>
          post({ kind: 'uploaded', output, bytes, ...(failure === undefined ? {} : { failure: failureOf(failure) }) }),
      };
      outputs.set(output, new ObjectOutput(stores.get(message.store)!, message.options, surroundings));
      break;
    }
    case 'write':
      outputs.get(message.output)?.write(message.bytes);
      break;
    case 'ask': {
      const { output, question } = message;
      answer(message)
        .finally(() => message.call === 'close' && outputs.delete(output))
        .then(
          (value) => post({ kind: 'answer', output, question, ...(value === undefined ? {} : { value }) }),
          (error) => post({ kind: 'answer', output, question, failure: failureOf(error) }),
        );
    }
  }
}

globalThis.onmessage = (event: MessageEvent<ToWorker>) => take(event.data);
