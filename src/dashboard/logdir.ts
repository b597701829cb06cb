/*
 * What the dashboard's page asks of a logdir, wherever it is: served by `serve`, lying beside the page on any web server
 * (`share`), or dropped onto the page.
 */

/** An event file of a logdir. */
export interface ListedFile {
  /** Path below the logdir, with `/`. */
  readonly path: string;
  /** Its length when it was listed, in bytes. */
  readonly size: number;
}

/** A run of a logdir: a folder with event files. */
export interface ListedRun {
  /** Path of the folder below the logdir; `.` for the logdir itself. */
  readonly run: string;
  /** Its event files, in the order in which TensorBoard reads them. */
  readonly files: readonly ListedFile[];
}

/** Where the dashboard gets its runs. */
export interface Logdir {
  /** What it is called, such as its path. */
  readonly name: string;
  /** Lists the runs, sorted by name. */
  list(): Promise<readonly ListedRun[]>;
  /**
   * The bytes `[from, size)` of a file, or what is there of them. If the file has become shorter than `from`, or is another
   * one now, the bytes are undefined.
   */
  read(file: ListedFile, from: number): Promise<Uint8Array | undefined>;
  /** Whether files may grow: then the page looks again from time to time. */
  readonly grows: boolean;
}

/** The name of the listing beside the page of `serve` and `share`. */
export const listingName = 'runs.json';

/** What a listing holds: JSON. */
export interface Listing {
  readonly version: 1;
  /** What the logdir is called. */
  readonly name: string;
  /** Whether the files may grow. */
  readonly grows: boolean;
  readonly runs: readonly ListedRun[];
}

/** A logdir whose listing and files lie below an address. */
export class ServedLogdir implements Logdir {
  readonly #base: string;
  readonly #query: string;
  #listing: Listing;

  private constructor(base: string, query: string, listing: Listing) {
    this.#base = base;
    this.#query = query;
    this.#listing = listing;
  }

  /**
   * Reads the listing.
   *
   * @param base address that ends with `/`
   * @param query what the server wants to be told with each address, such as `?token=…`; may be empty
   * @throws Error if there is none
   */
  static async open(base: string, query: string): Promise<ServedLogdir> {
    return new ServedLogdir(base, query, await listingAt(base, query));
  }

  get name(): string {
    return this.#listing.name;
  }

  get grows(): boolean {
    return this.#listing.grows;
  }

  async list(): Promise<readonly ListedRun[]> {
    this.#listing = await listingAt(this.#base, this.#query);
    return this.#listing.runs;
  }

  async read({ path, size }: ListedFile, from: number): Promise<Uint8Array | undefined> {
    if (size <= from) return size < from ? undefined : new Uint8Array();
    const address = `${this.#base}data/${path.split('/').map(encodeURIComponent).join('/')}${this.#query}`;
    const response = await fetch(address, { headers: { range: `bytes=${from}-${size - 1}` } });
    if (response.status === 416) return undefined;
    if (!response.ok) throw new Error(`'${path}': the server answers ${response.status} ${response.statusText}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    // A server that knows no ranges sends the whole file.
    return response.status === 206 ? bytes : bytes.subarray(from);
  }
}

async function listingAt(base: string, query: string): Promise<Listing> {
  const response = await fetch(`${base}${listingName}${query}`, { cache: 'no-store' });
  if (!response.ok) throw new Error(`${listingName}: the server answers ${response.status} ${response.statusText}`);
  const listing = (await response.json()) as Partial<Listing>;
  if (listing?.version !== 1 || !Array.isArray(listing.runs)) {
    throw new Error(`${listingName}: expected a listing of version 1, got another file`);
  }
  return { name: '', grows: false, ...listing } as Listing;
}

/** Files that were dropped onto the page, or chosen. */
export class DroppedLogdir implements Logdir {
  readonly name: string;
  readonly grows = false;
  readonly #files: ReadonlyMap<string, File>;

  /** @param files by their paths below the logdir */
  constructor(name: string, files: ReadonlyMap<string, File>) {
    this.name = name;
    this.#files = files;
  }

  async list(): Promise<readonly ListedRun[]> {
    return runsOf([...this.#files].map(([path, { size }]) => ({ path, size })));
  }

  async read(file: ListedFile, from: number): Promise<Uint8Array | undefined> {
    return new Uint8Array(await this.fileOf(file).slice(from, file.size).arrayBuffer());
  }

  /** The file itself. @throws RangeError if it is none of the list */
  fileOf({ path }: ListedFile): File {
    const file = this.#files.get(path);
    if (file === undefined) throw new RangeError(`fileOf: expected a file of the list, got '${path}'`);
    return file;
  }
}

/** Groups event files by their folders, as TensorBoard takes them for runs. */
export function runsOf(files: readonly ListedFile[]): ListedRun[] {
  const runs = new Map<string, ListedFile[]>();
  for (const file of files) {
    const slash = file.path.lastIndexOf('/');
    if (!/tfevents/.test(file.path.slice(slash + 1))) continue;
    const run = slash < 0 ? '.' : file.path.slice(0, slash);
    const known = runs.get(run);
    if (known === undefined) runs.set(run, [file]);
    else known.push(file);
  }
  const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);
  return [...runs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([run, listed]) => ({ run, files: listed.sort(byPath) }));
}

/** The files in what was dropped, by path. Only event files are kept. */
export async function droppedFiles(items: DataTransferItemList): Promise<{ name: string; files: Map<string, File> }> {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const files = new Map<string, File>();
  const isOne = entries.length === 1 && entries[0].isDirectory;
  for (const entry of entries) await addEntry(entry, isOne ? '' : entry.name, files);
  return { name: entries.map(({ name }) => name).join(', '), files };
}

async function addEntry(entry: FileSystemEntry, path: string, files: Map<string, File>): Promise<void> {
  if (entry.isFile) {
    if (!/tfevents/.test(entry.name)) return;
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    files.set(path === '' ? entry.name : path, file);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const child of some) await addEntry(child, path === '' ? child.name : `${path}/${child.name}`, files);
  }
}
