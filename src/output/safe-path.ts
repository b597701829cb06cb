/** Control characters and the other system's separator. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is exactly what must not reach a file system
const unsafeCharacters = /[\u0000-\u001f\u007f\\]/g;

/**
 * A name as a path below a folder, whatever the name: `/` separates, empty parts and `.` are left out, `..` becomes
 * `__`, and backslashes and control characters (NUL among them) become `_`. So nothing a tag or a run is called can
 * make a file outside the folder.
 *
 * @throws RangeError where nothing is left
 */
export function safePath(name: string): string {
  const parts = name
    .replace(unsafeCharacters, '_')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => (part === '..' ? '__' : part));
  if (parts.length === 0) throw new RangeError(`Expected a name that can name a folder, got ${JSON.stringify(name)}`);
  return parts.join('/');
}
