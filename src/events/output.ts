/**
 * Where records go: a directory, memory, a browser file and an object store are all Outputs.
 * A writer owns its Output: it calls `write` with whole records only, in order, and `close` once at the end.
 */
export interface Output {
  /** Takes one or more whole records. The bytes are valid only during the call: copy what outlives it. */
  write(bytes: Uint8Array): void;
  /** Called at process exit, where nothing asynchronous can run any more. */
  flushSync?(): void;
  /** Resolves when everything written so far has reached its destination; rejects with the first error. */
  flush(): Promise<void>;
  /** Flushes and releases what is held. Further writes are errors. */
  close(): Promise<void>;
  /** The Output of a run below this one. */
  run?(name: string): Output;
  /** Writes a companion file (projector configuration, stores) at a path relative to the run's folder. */
  file?(path: string, bytes: Uint8Array): Promise<void>;
  /** Bytes accepted and not yet at their destination; a producer may slow down on it. */
  readonly pendingBytes?: number;
}
