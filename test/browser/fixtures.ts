import { decodeNpy } from '../../src/stores/npy.js';

/** Where vitest serves the folder; the bundler would rename a file in `new URL(..., import.meta.url)`. */
const folder = new URL('/test/fixtures/', location.href);

/** A reference file (see test/fixtures), over HTTP. */
export async function fixture(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(new URL(path, folder));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function jsonFixture<T>(path: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await fixture(path))) as T;
}

/** The numbers of an .npy file below numeric/. */
export async function numbers(path: string): Promise<Float64Array> {
  return Float64Array.from(decodeNpy(await fixture(`numeric/${path}`), path).values);
}
