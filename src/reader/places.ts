/**
 * Where readers find files: on this computer, in a bucket (`s3://`, `gs://`), at an address (`https://`). `sourceFiles` is one file
 * system for all of them; what it reads from elsewhere it reads in ranges. `listedFiles` is one for the files of an Output.
 */
import { sourceFiles as localFiles, localPath } from '#platform';
import type { ListedFolder } from '../output/listed-files.js';
import type { SourceFiles } from '../platform/platform.js';

/** What the errors say about a place that is none of these. */
const elsewhere = 'what lies elsewhere is read as bytes, a Response or a stream';

const bucketPattern = /^(s3|gs):\/\/[^/]/i;
const addressPattern = /^https?:\/\/[^/]/i;

/** Whether a path leads to another computer. */
export function isRemote(path: string): boolean {
  return bucketPattern.test(path) || addressPattern.test(path);
}

/**
 * The path that a user means who wants to read: of this computer, or a URL of a bucket or of the web, without a slash at its end.
 *
 * @param call the call or option, for the error
 * @param otherwise what to do about another place, for the error
 * @throws TypeError if it is another place, or begins with what only a shell replaces
 */
export function sourcePath(place: string | URL, call: string, otherwise = elsewhere): string {
  let text = String(place);
  if (place instanceof URL && bucketPattern.test(text)) text = decodeURIComponent(text); // keys are no URLs
  return isRemote(text) ? text.replace(/\/+$/, '') : localPath(place, call, otherwise);
}

/** All files, wherever they are. What reads those of other computers is loaded when it is first needed. */
export const sourceFiles: SourceFiles = {
  kind: async (path) => (await filesOf(path)).kind(path),
  list: async (folder) => (await filesOf(folder)).list(folder),
  realPath: async (folder) => (await filesOf(folder)).realPath(folder),
  size: async (path) => (await filesOf(path)).size(path),
  open: async (path) => (await filesOf(path)).open(path),
};

/** The files that an Output lists, at paths relative to it. They are listed anew whenever the folder itself (`''`) is. */
export function listedFiles(folder: ListedFolder): SourceFiles {
  let files = new Map<string, File>();
  const listAgain = async () => {
    files = new Map((await folder.list()).map(({ path, file }) => [path, file]));
  };
  const fileAt = (path: string): File => {
    const file = files.get(path);
    if (file === undefined) throw Object.assign(new Error(`there is no file '${path}'`), { code: 'ENOENT' });
    return file;
  };
  return {
    kind: async (path) => (files.has(path) ? 'file' : 'folder'),
    async list(path) {
      if (path === '') await listAgain();
      const prefix = path === '' ? '' : `${path}/`;
      const entries = new Map<string, 'file' | 'folder'>();
      for (const each of files.keys()) {
        if (!each.startsWith(prefix)) continue;
        const [name, ...below] = each.slice(prefix.length).split('/');
        entries.set(name, below.length === 0 ? 'file' : 'folder');
      }
      return [...entries].map(([name, kind]) => ({ name, path: prefix + name, kind, isLink: false }));
    },
    realPath: async (path) => path,
    size: async (path) => files.get(path)?.size,
    open: async (path) => {
      fileAt(path);
      return {
        async read(buffer, position) {
          const rest = () =>
            fileAt(path)
              .slice(position, position + buffer.length)
              .arrayBuffer();
          // A page's File is of no use once its file has been written to.
          const bytes = await rest().catch(() => listAgain().then(rest));
          buffer.set(new Uint8Array(bytes));
          return bytes.byteLength;
        },
        close: async () => {},
      };
    },
  };
}

function filesOf(path: string): SourceFiles | Promise<SourceFiles> {
  if (!isRemote(path)) return localFiles;
  return import('./remote-files.js').then(({ bucketFiles, webFiles }) =>
    bucketPattern.test(path) ? bucketFiles : webFiles,
  );
}
