/**
 * Names that this package's declarations use and that a project may not know: those of the DOM library, of `@types/node`, and of
 * explicit resource management, which ES2022 has not. An empty interface adds nothing to the one of a project that knows the name;
 * where none does, the package type-checks nevertheless. Every door imports this, for its declarations alone.
 */
declare global {
  interface AbortSignal {}
  interface AsyncDisposable {
    /** Releases what is held; `await using` calls it. */
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
  interface Blob {}
  interface Disposable {
    /** Releases what is held; `using` calls it. */
    [Symbol.dispose](): void;
  }
  interface File {}
  interface FileSystemDirectoryHandle {}
  interface HTMLElement {}
  // biome-ignore lint/suspicious/noExplicitAny: declarations of one interface must have the same parameters
  interface ReadableStream<R = any> {}
  interface Response {}
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
    readonly dispose: unique symbol;
  }
  interface URL {}
  namespace WebAssembly {
    interface Memory {}
  }
}

export {};
