import type { SourceFiles } from './source-files.js';

function refuse(path: string | URL): never {
  throw new TypeError(
    `"${path}" is a path, and a page has no files: pass a Blob, a Response, a ReadableStream or bytes instead`,
  );
}

/** A page has no file system to read from. */
export const sourceFiles: SourceFiles = {
  kind: async (path) => refuse(path),
  list: async (folder) => refuse(folder),
  realPath: async (folder) => refuse(folder),
  size: async (path) => refuse(path),
  path: refuse,
  open: async (path) => refuse(path),
};
