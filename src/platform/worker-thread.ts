/** A thread that runs a script of ours, alike in Node and in browsers. */
export interface WorkerThread {
  /** Sends a message; the buffers of `transfer` move with it. */
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether a message that is still to come keeps the program alive. A thread starts without. */
  setRef(keepsAlive: boolean): void;
  terminate(): void;
}

/** What a thread reports. */
export interface WorkerListener {
  onMessage(message: unknown): void;
  /** The thread could not start, or died. Nothing follows. */
  onError(error: Error): void;
}
