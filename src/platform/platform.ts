/**
 * What Node and browsers do differently, as one interface: `#platform` is either `node.ts` or `browser.ts`, and each exports
 * everything that `Platform` lists, which the compiler checks in test/platform/browser.test.ts.
 */

/** The functions and constants that `#platform` exports. */
export interface Platform {
  /** The synchronous file system that event files are written to; undefined in browsers. */
  readonly files: Files | undefined;
  /** The file system that event files are read from. */
  readonly sourceFiles: SourceFiles;
  /** The files of models; undefined in browsers. */
  readonly modelFiles: ModelFiles | undefined;
  /**
   * The path that a user means by a path, a `file:` URL or the text of one. A page, which has no paths, takes all for paths.
   *
   * @param call the call or option, for the error
   * @param elsewhere what to do about another place, for the error
   * @throws TypeError if that is no place of this computer, or begins with what only a shell replaces
   */
  localPath(place: string | URL, call: string, elsewhere: string): string;
  /** The files of stores that are given none: in the working directory, or in the origin private file system. */
  defaultStoreFiles(): StoreFiles;
  /** The computer's name, or the page's host; '' if there is none. */
  hostname(): string;
  /** A number that distinguishes this program from others that write to the same folder. Worker threads of Node share it. */
  processId(): number;
  /**
   * Calls back synchronously when the program ends in any way that still runs code. The callback's argument is false if the
   * program may go on: it listens to the signal that came, or a page was hidden.
   */
  onExit(callback: (final: boolean) => void): void;
  /** Whether the program has begun to exit: nothing asynchronous runs any more. */
  isExiting(): boolean;
  /** Calls back soon: when the code that runs now is over, and so is what awaited promises that are settled. */
  atEndOfTurn(callback: () => void): void;
  /** Runs the exit callbacks when SIGINT or SIGTERM comes, then lets the signal do what it would have done. */
  handleSignals(): void;
  /** Shows a warning where the platform shows warnings. */
  warn(message: string): void;
  /** A variable of the environment; undefined if it is not set or empty, and in browsers. */
  environment(name: string): string | undefined;
  /** Keeps a timer from keeping the program alive. */
  unref(timer: number | object): void;
  /** Whether colors may be written to the terminal. */
  terminalHasColors(): boolean;
  /** Whether progress can be shown: standard error is a terminal. */
  writesToTerminal(): boolean;
  /** Writes to the terminal beside the program's own output. */
  writeTerminal(text: string): void;
  /** zlib; a page has it later only. */
  readonly zlib: Zlib;
  /** Loads what encodes GIF files, when that is first asked for. In a page, and in a bundle for Node, it comes later. */
  loadGifCodec(): GifCodec | Promise<GifCodec>;
  /**
   * Draws an SVG document on white, with the fonts of the system. Images in it are drawn if they are `data:` URLs; files and
   * other addresses are not read.
   *
   * @param scale pixels per unit of the document; 1 by default
   * @throws Error if the document cannot be drawn or would be larger than `checkPictureSize` allows, MissingRendererError if
   * the package that draws is not installed
   */
  drawSvg(svg: string, scale?: number): Promise<DrawnSvg>;
  /**
   * Checks that what draws is there, as far as that can be told before it is loaded.
   *
   * @param call the call that wants to draw, for the error
   * @throws MissingRendererError if the package that draws is not installed
   */
  checkRenderer(call: string): void;
  /**
   * Starts a thread that runs `source`, a classic script that sets `globalThis.onmessage`; returns undefined if threads are
   * not available. The thread does not keep the program alive unless asked to.
   */
  startWorker(source: string, listener: WorkerListener): WorkerThread | undefined;
  /** How many processors there are. */
  processorCount(): number;
  /**
   * How many processors had nothing to do since the last call, other than threads of this package. In a page, which does not know:
   * all but two. Undefined where there is one processor, or threads cannot share memory.
   *
   * @param ownThreads how many threads of this package have computed meanwhile
   */
  freeProcessors(ownThreads?: number): number | undefined;
  /**
   * Waits until `counter[0]` is no longer `seen`; returns false if this thread must not wait, or after the time (10 s by
   * default) has passed.
   */
  waitForChange(counter: Int32Array, seen: number, milliseconds?: number): boolean;
}

/** How hard deflate looks for repetitions: anywhere before, in runs of one byte only, or not at all (bytes are stored). */
export type DeflateEffort = 'search' | 'runs' | 'none';

/** The parts of zlib that an image encoder needs. */
export interface Zlib {
  /** Whether `deflate` returns bytes, not a promise of them. */
  readonly isImmediate: boolean;
  /** Deflates into the zlib format. On bytes without repetitions 'runs' is several times faster than 'search', 'none' than both. */
  deflate(bytes: Uint8Array, effort: DeflateEffort): Uint8Array | Promise<Uint8Array>;
  /** CRC-32 (ISO 3309). */
  crc32(bytes: Uint8Array): number;
}

/** The parts of the package gifenc that are used. A palette is a list of colors, each of red, green and blue (0..255). */
export interface GifCodec {
  /** Begins a file, to which frames are added: the palette's entry of each pixel, and how long they are shown, in milliseconds. */
  GIFEncoder(): {
    writeFrame(
      index: Uint8Array,
      width: number,
      height: number,
      options: { palette: number[][]; delay?: number; repeat?: number },
    ): void;
    finish(): void;
    bytes(): Uint8Array;
  };
  /** Finds a palette for pixels. */
  quantize(rgba: Uint8Array, maxColors: number): number[][];
  /** The palette's entry for each pixel. */
  applyPalette(rgba: Uint8Array, palette: number[][]): Uint8Array;
}

/** A picture drawn from an SVG document. */
export interface DrawnSvg {
  /** A PNG file. */
  readonly encoded: Uint8Array;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
}

/** The longest side that a drawn picture may have, in pixels: more than browsers' canvases take. */
const maxPictureSide = 16_384;
/** The most pixels that a drawn picture may have: 256 MiB of memory. */
const maxPicturePixels = 2 ** 26;

/**
 * Checks the size of a picture before memory is taken for it.
 *
 * @param width pixels
 * @param height pixels
 * @throws RangeError if it is too large
 */
export function checkPictureSize(width: number, height: number): void {
  if (width <= maxPictureSide && height <= maxPictureSide && width * height <= maxPicturePixels) return;
  throw new RangeError(
    `expected at most ${maxPictureSide} pixels a side and ${maxPicturePixels} in all, got ${width} x ${height}`,
  );
}

/**
 * The few things an event file needs of a file system, all synchronous: they run inside training loops and at process
 * exit, when nothing can be awaited. Every function throws the file system's own error, with its `code`.
 */
export interface Files {
  /** The absolute path of a path relative to the working directory as it is now. */
  resolve(path: string): string;
  /** A path below a folder; `name` uses `/`. */
  join(folder: string, name: string): string;
  /** The canonical path of an existing folder: links and letter case are resolved. */
  realPath(path: string): string;
  /** Whether the system does not take the names that Windows does not take. */
  readonly hasNamesOfWindows: boolean;
  /** Makes a folder and its missing parents. */
  makeDirectory(path: string): void;
  /** Makes a folder and its missing parents; returns false if it is there already. */
  makeNewDirectory(path: string): boolean;
  /**
   * Whether a path below a folder leads to something in the folder, links followed, or to nothing yet.
   *
   * @param followLast whether the last part of the path is followed if it is a link
   */
  isInside(folder: string, path: string, followLast: boolean): boolean;
  /** The names in a folder. */
  list(path: string): string[];
  /** Makes an empty file to append to; returns undefined if the name is taken. */
  create(path: string): AppendableFile | undefined;
  /** Replaces a file's content in one step and makes missing folders on its path. */
  write(path: string, bytes: Uint8Array): void;
  /**
   * Calls `act` while no other program or thread is in a call with the same path; waits for others. A lock that somebody died
   * with is taken over.
   */
  lock(path: string, act: () => void): void;
  /** A file's bytes in pieces; each piece is valid until the next one is asked for. A pipe or a device has none. */
  read(path: string): Iterable<Uint8Array>;
}

/** A file that was made in order to append to it. Few such files are open at a time, and none for longer than a second. */
export interface AppendableFile {
  /** The file's path. */
  readonly path: string;
  /**
   * Appends all bytes or none. Returns false, and writes nothing, if the file is gone or somebody else has changed it; it
   * is not appended to again then.
   */
  append(bytes: Uint8Array): boolean;
  /**
   * Closes the file until the next append, and so brings it to a disk that others share.
   *
   * @throws the file system's error if it reported, now or when it was closed earlier, that bytes are missing
   */
  release(): void;
}

/** Files of models, which may be larger than memory. Every function throws the file system's own error. */
export interface ModelFiles {
  /** Opens a file of which ranges are read. */
  open(path: string): ModelFile;
  /** Writes a file piece by piece; whoever looks meanwhile finds the old one, or none. */
  write(path: string, pieces: Iterable<Uint8Array>): void;
  /** The paths of the files in a folder, by name with numbers in their order; undefined if it is no folder. */
  list(path: string): string[] | undefined;
  /** Imports a package that stands beside this one, or in the project of the folder that the program runs in. */
  load(packageName: string): Promise<unknown>;
}

/** A file of which ranges are read. */
export interface ModelFile {
  /** Number of bytes. */
  readonly size: number;
  /** The bytes from `from` up to `to`. */
  read(from: number, to: number): Uint8Array;
  /** Closes the file. */
  close(): void;
}

/** The few things a reader of event files needs of a file system. Every function rejects with the file system's own error. */
export interface SourceFiles {
  /** What is at a path, links followed; undefined if there is nothing. Pipes and devices count as files. */
  kind(path: string): Promise<'file' | 'folder' | undefined>;
  /**
   * The files and folders in a folder, in no particular order, links followed. Entries that vanish meanwhile are left out, and
   * so are pipes, sockets and devices, which nobody named and which may never end.
   */
  list(folder: string): Promise<{ name: string; path: string; kind: 'file' | 'folder'; isLink: boolean }[]>;
  /** The canonical path of a folder: links are resolved. */
  realPath(folder: string): Promise<string>;
  /** A file's length; undefined if it is gone, Infinity for a pipe, which has none. */
  size(path: string): Promise<number | undefined>;
  /** Opens a file for reading. */
  open(path: string): Promise<OpenFile>;
}

/** A file open for reading. */
export interface OpenFile {
  /** Reads what is at `position` (for a pipe, what comes next) into the buffer and resolves to its length, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Closes the file. */
  close(): Promise<void>;
}

/**
 * The few things a store needs of a file system. Paths use `/`; relative ones start at the working directory
 * (Node) or at the root of the origin private file system (browsers).
 */
export interface StoreFiles {
  /** The file's bytes, or undefined if there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces the file's content in one step and makes missing folders on its path: a reader, or whoever comes after a
   * crash, finds either the old content or the new, never a part of it.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Every file at any depth below a folder, as paths relative to it, sorted; empty if there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** Removes a file; does nothing if there is none. */
  remove(path: string): Promise<void>;
}

/** A thread that runs a script of this package, the same in Node and in browsers. */
export interface WorkerThread {
  /** Sends a message and transfers the buffers. */
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /**
   * Passes the next message on to the listener at once, while this thread stands still.
   *
   * @param deadline until when it waits for a message, in milliseconds of `performance.now`
   * @returns false if no message came, or if this thread must not wait
   */
  receive(deadline: number): boolean;
  /** Says whether the thread keeps the program alive, for as long as an answer is awaited. At first it does not. */
  setRef(keepsAlive: boolean): void;
  /** Ends the thread at once. */
  terminate(): void;
}

/** What a thread reports. */
export interface WorkerListener {
  /** The thread sent a message. */
  onMessage(message: unknown): void;
  /** The thread could not start, or died. No message follows. */
  onError(error: Error): void;
}
