/** What `export` writes as files: pictures, sounds, tensors, meshes, and embeddings with their labels. */
import { fnv1aHex } from '../encoding/bytes.js';
import { describe, messageOf, printable } from '../errors.js';
import type { MeshValue, Step } from '../event/event.js';
import { encodeTensorNpy } from '../stores/npy.js';
import type { ProjectorEntry } from '../summaries/projector-config.js';
import type { Exporter } from './export-tables.js';
import { embeddingsOf, type FoundRun, readWhole } from './runs.js';
import { numberOf, writeJson } from './table.js';
import { plural, type Terminal } from './terminal.js';

/** Writes the files of an export below a folder. */
export class Folder {
  readonly #terminal: Terminal;
  readonly #path: string;
  readonly #json: boolean;
  readonly #taken = new Map<string, number>();
  /** What was written, if it is told as JSON. */
  readonly #files: { run: string; file: string; bytes: number }[] = [];
  #written = 0;

  /** @param json whether the files are listed as JSON in the end */
  constructor(terminal: Terminal, path: string, json = false) {
    this.#terminal = terminal;
    this.#path = path;
    this.#json = json;
  }

  /** Writes a file under a name that is not taken yet. */
  write(run: string, name: string, ending: string, bytes: Uint8Array): void {
    const base = `${this.#path}/${fileName(run)}/${name}`;
    const before = this.#taken.get(base + ending) ?? 0;
    this.#taken.set(base + ending, before + 1);
    const file = `${base}${before === 0 ? '' : `.again${before}`}.${ending}`;
    this.#terminal.writeFile(file, bytes);
    this.#written++;
    if (this.#json) this.#files.push({ run, file, bytes: bytes.length });
  }

  end(): void {
    if (this.#json) writeJson(this.#terminal, this.#files);
    else this.#terminal.write(`${plural(this.#written, 'file')} in ${printable(this.#path)}\n`);
  }
}

/** Pictures and sounds, byte for byte. */
export function mediaFiles(plugin: 'images' | 'audio', folder: Folder): Exporter {
  return {
    add(run, { step }, { plugin: found, tag, value }) {
      if (found !== plugin || typeof value !== 'object' || !('encoded' in value)) return false;
      for (const [index, bytes] of value.encoded.entries()) {
        const name = `${fileName(tag)}.${step}${index === 0 ? '' : `.${index}`}`;
        folder.write(run, name, extensionOf(bytes), bytes);
      }
      return true;
    },
    end: () => folder.end(),
  };
}

/** Tensors as numpy's files. */
export function tensorFiles(folder: Folder): Exporter {
  return {
    add(run, { step }, { tag, value }) {
      if (typeof value !== 'object' || !('dtype' in value)) return false;
      folder.write(run, `${fileName(tag)}.${step}`, 'npy', encodeTensorNpy(value));
      return true;
    },
    end: () => folder.end(),
  };
}

/** The parts of a mesh that have come. */
interface Parts {
  readonly step: Step;
  vertex?: MeshValue;
  face?: MeshValue;
  color?: MeshValue;
}

/** Meshes as PLY files, one for each mesh of a batch. */
export function meshFiles(folder: Folder, complain: (message: string) => void): Exporter {
  const meshes = new Map<string, Parts>();
  const write = (run: string, mesh: string, parts: Parts) => {
    try {
      for (const [index, bytes] of plyFiles(parts).entries()) {
        folder.write(run, `${fileName(mesh)}.${parts.step}${index === 0 ? '' : `.${index}`}`, 'ply', bytes);
      }
    } catch (error) {
      complain(`run "${run}", mesh "${mesh}" at step ${parts.step} left out: ${messageOf(error)}`);
    }
  };
  return {
    add(run, { step }, { value }) {
      if (typeof value !== 'object' || !('mesh' in value)) return false;
      let parts = meshes.get(value.mesh);
      if (parts !== undefined && (parts.step !== step || parts[value.content] !== undefined)) {
        write(run, value.mesh, parts);
        parts = undefined;
      }
      if (parts === undefined) meshes.set(value.mesh, (parts = { step }));
      parts[value.content] = value;
      return true;
    },
    endRun(run) {
      for (const [mesh, parts] of meshes) write(run, mesh, parts);
      meshes.clear();
    },
    end: () => folder.end(),
  };
}

/** The meshes of a batch, which share nothing. Source: http://paulbourke.net/dataformats/ply/ */
function plyFiles({ color, face, vertex }: Parts): Uint8Array[] {
  if (vertex === undefined) throw new RangeError('expected vertices, got none');
  const [batch, vertices] = threeAxes(vertex, 'vertices');
  const faces = face === undefined ? 0 : threeAxes(face, 'faces')[1];
  if (color !== undefined && threeAxes(color, 'colors')[1] !== vertices) {
    throw new RangeError(`expected ${vertices} colors, got ${color.shape[1]}`);
  }
  const header = [
    'ply',
    'format binary_little_endian 1.0',
    `element vertex ${vertices}`,
    ...['x', 'y', 'z'].map((name) => `property float ${name}`),
    ...(color === undefined ? [] : ['red', 'green', 'blue'].map((name) => `property uchar ${name}`)),
    ...(face === undefined ? [] : [`element face ${faces}`, 'property list uchar int vertex_indices']),
    'end_header\n',
  ].join('\n');
  const head = new TextEncoder().encode(header);
  return Array.from({ length: batch }, (_, item) => {
    const bytes = new Uint8Array(head.length + vertices * (color === undefined ? 12 : 15) + faces * 13);
    bytes.set(head);
    const view = new DataView(bytes.buffer);
    let at = head.length;
    for (let i = item * vertices; i < (item + 1) * vertices; i++) {
      for (let axis = 0; axis < 3; axis++, at += 4) view.setFloat32(at, Number(vertex.data[3 * i + axis]), true);
      if (color !== undefined) for (let c = 0; c < 3; c++) view.setUint8(at++, Number(color.data[3 * i + c]));
    }
    for (let i = item * faces; i < (item + 1) * faces; i++) {
      view.setUint8(at++, 3);
      for (let corner = 0; corner < 3; corner++, at += 4) view.setInt32(at, Number(face?.data[3 * i + corner]), true);
    }
    return bytes;
  });
}

function threeAxes({ shape }: MeshValue, what: string): [batch: number, count: number] {
  if (shape.length !== 3 || shape[2] !== 3) throw new RangeError(`expected ${what} of [batch, n, 3], got [${shape}]`);
  return [shape[0], shape[1]];
}

/**
 * The embeddings that lie beside the event files of runs: vectors as numpy's files, labels and pictures as they are.
 *
 * @param folders the folder of each run
 */
export async function exportEmbeddings(
  runs: readonly FoundRun[],
  target: Folder,
  tags: (tag: string) => boolean,
  complain: (message: string) => void,
): Promise<void> {
  for (const { files, run } of runs) {
    const { config, entries, folder } = await embeddingsOf(files, tags);
    for (const entry of entries) {
      try {
        await exportEmbedding(target, run, folder, entry);
      } catch (error) {
        complain(`${config}, "${entry.tensorName}": left out: ${messageOf(error)}`);
      }
    }
  }
  target.end();
}

async function exportEmbedding(target: Folder, run: string, folder: string, entry: ProjectorEntry): Promise<void> {
  const read = (path: string) => {
    if (/^([/\\]|\w:)|(^|[/\\])\.\.([/\\]|$)/.test(path)) {
      throw new RangeError(`expected a file below the run's folder, got "${path}"`);
    }
    return readWhole(`${folder}/${path}`);
  };
  if (entry.tensorPath === undefined)
    throw new RangeError('expected tensor_path, got none: the vectors are in a checkpoint');
  const bytes = await read(entry.tensorPath);
  const vectors = isRaw(bytes, entry) ? rawVectors(bytes, entry) : vectorsOf(new TextDecoder().decode(bytes));
  const name = fileName(entry.tensorName);
  target.write(run, name, 'npy', encodeTensorNpy({ dtype: 'float32', ...vectors }));
  if (entry.metadataPath !== undefined) target.write(run, `${name}.labels`, 'tsv', await read(entry.metadataPath));
  if (entry.spritePath !== undefined) {
    const sprite = await read(entry.spritePath);
    target.write(run, `${name}.sprite`, extensionOf(sprite), sprite);
  }
}

/** Whether vectors are float32 numbers in the place of a table, which TensorBoard's projector finds out by reading them as text. */
function isRaw(bytes: Uint8Array, { tensorPath = '', tensorShape }: ProjectorEntry): boolean {
  if (tensorPath.endsWith('.tsv')) return false;
  if (tensorShape.length === 2 && tensorShape[0] * tensorShape[1] * 4 === bytes.length) return true;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return false;
  } catch {
    return true;
  }
}

/** The vectors in a table of tabs. @throws RangeError if a cell is no number, or lines differ in length */
function vectorsOf(text: string): { shape: number[]; data: Float32Array } {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const rows = lines.flatMap((line, at) => (line === '' ? [] : [{ line: at + 1, cells: line.split('\t') }]));
  const features = rows[0]?.cells.length ?? 0;
  const data = new Float32Array(rows.length * features);
  for (const [row, { cells, line }] of rows.entries()) {
    if (cells.length !== features)
      throw new RangeError(`line ${line}: expected ${features} numbers, got ${cells.length}`);
    for (const [i, cell] of cells.entries()) {
      const number = numberOf(cell);
      if (number === undefined) throw new RangeError(`line ${line}: expected numbers, got ${describe(cell)}`);
      data[row * features + i] = number;
    }
  }
  return { shape: [rows.length, features], data };
}

function rawVectors(
  bytes: Uint8Array,
  { tensorShape: shape }: ProjectorEntry,
): { shape: number[]; data: Float32Array } {
  if (shape.length !== 2 || shape[0] * shape[1] * 4 !== bytes.length) {
    throw new RangeError(`expected the ${bytes.length} bytes of a float32 tensor, got the shape [${shape}]`);
  }
  return { shape: [...shape], data: new Float32Array(bytes.slice().buffer) };
}

/** The name of a run or tag as the name of one file: it cannot lead out of the folder, and no two names become the same. */
function fileName(name: string): string {
  if (name === '.') return 'root';
  const safe = encodeURIComponent(name || 'untitled').replace(/^\.|[*'()!~]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
  return safe.length <= 150 ? safe : `${safe.slice(0, 140)}~${fnv1aHex(name)}`;
}

/** A file's extension, from its first bytes, by which every viewer recognizes it. */
function extensionOf(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.startsWith('\u0089PNG')) return 'png';
  if (start.startsWith('GIF8')) return 'gif';
  if (start.startsWith('\u00ff\u00d8\u00ff')) return 'jpg';
  if (start.startsWith('RIFF') && start.endsWith('WAVE')) return 'wav';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : 'bin';
}
