/** What the thread that uploads and its host say to each other. */
import type { WriterName } from './event-file-name.js';
import type { ObjectOutputOptions } from './object-output.js';
import type { HttpStoreOptions, S3Credentials } from './s3-store.js';

/** What a bucket is to the thread: options that can be sent, and whether its host is asked for keys. */
export interface StoreMessage {
  readonly dialect: 's3' | 'gcs';
  readonly options: HttpStoreOptions;
  /** Whether the host has a function for `credentials` or `token`. */
  readonly asks: 'credentials' | 'token' | undefined;
}

/** From the host. Outputs, stores and questions have numbers. */
export type ToWorker =
  | { kind: 'store'; store: number; message: StoreMessage }
  | { kind: 'open'; output: number; store: number; options: ObjectOutputOptions; writer: WriterName }
  | { kind: 'write'; output: number; bytes: Uint8Array }
  | { kind: 'ask'; output: number; question: number; call: 'flush' | 'close' }
  | { kind: 'ask'; output: number; question: number; call: 'file'; path: string; bytes: Uint8Array }
  | { kind: 'ask'; output: number; question: number; call: 'download'; path: string }
  | { kind: 'keys'; store: number; keys?: S3Credentials | string; failure?: Failure };

/** An error on its way between threads. */
export interface Failure {
  readonly message: string;
  readonly code?: string;
}

/** From the thread. */
export type FromWorker =
  /** An upload has ended: so many bytes are in the store, or it failed. */
  | { kind: 'uploaded'; output: number; bytes: number; failure?: Failure }
  | { kind: 'complaint'; output: number; message: string }
  | { kind: 'answer'; output: number; question: number; value?: Uint8Array; failure?: Failure }
  | { kind: 'askKeys'; store: number };

/** An error as a message. */
export function failureOf(error: unknown): Failure {
  const { message, code } = error as { message?: string; code?: string };
  return { message: message ?? String(error), ...(typeof code === 'string' ? { code } : {}) };
}

/** A message as an error. */
export function errorOf({ message, code }: Failure): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
