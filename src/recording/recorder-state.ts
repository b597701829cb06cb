import { concat } from '../encoding/bytes.js';
import { describe } from '../errors.js';
import type { Split } from '../saturation/epoch.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';

/*
 * A tracker in the middle of an epoch, written as bytes and read back: another process can go on from there.
 */

/** What one layer in one split has accumulated in the middle of an epoch. */
export interface SavedLayer {
  split: Split;
  layer: string;
  /** Batches since the epoch began, used or not. */
  passes: number;
  /** Items (images, sequences) used since the epoch began. */
  items: number;
  /** Rows used, and how many independent rows they are worth; absent in states from before these were counted. */
  rows?: number;
  effectiveRows?: number;
  /** Whether it is a name given to `observe`, and no layer of the model; absent in states from before this was noted. */
  observed?: boolean;
  accumulator: CovarianceAccumulator;
}

/**
 * Checks that a state comes from a model with these layers.
 *
 * @param widths the layers' names, with the number of features where it is known
 * @throws RangeError that names a layer that is another model's
 */
export function checkFits(saved: readonly SavedLayer[], widths: ReadonlyMap<string, number | undefined>): void {
  for (const { layer, split, observed, accumulator } of saved) {
    if (observed === false && !widths.has(layer)) {
      const known = [...widths.keys()].slice(0, 10).map((name) => `'${name}'`);
      const more = widths.size > known.length ? ` and ${widths.size - known.length} more` : '';
      throw new RangeError(
        `restore: expected the layers that are tracked (${known.join(', ')}${more}), got '${layer}' (${split})`,
      );
    }
    const width = widths.get(layer);
    if (width !== undefined && width !== accumulator.features) {
      throw new RangeError(
        `restore: expected ${width} features of layer '${layer}' (${split}), got ${accumulator.features}`,
      );
    }
  }
}

/** What a tracker needs in order to go on in another process. */
export interface SavedState {
  /** The epoch that was being recorded, from 0. */
  epoch: number;
  layers: SavedLayer[];
}

const magic = 'delve-tracker/1\n';

/** Encodes a state: a line with the version, a line of JSON, then the accumulators one after another. */
export function encodeState(state: SavedState): Uint8Array {
  const bodies = state.layers.map((saved) => saved.accumulator.toBytes());
  const entries = state.layers.map(({ accumulator, ...entry }, index) => ({
    ...entry,
    bytes: bodies[index].length,
  }));
  const head = new TextEncoder().encode(`${magic}${JSON.stringify({ epoch: state.epoch, entries })}\n`);
  return concat([head, ...bodies]);
}

/** A layer in the line of JSON. */
interface SavedEntry extends Omit<SavedLayer, 'accumulator'> {
  /** Length of its accumulator. */
  bytes: number;
}

function headOf(json: string): { epoch: number; entries: SavedEntry[] } {
  let head: { epoch: number; entries: SavedEntry[] } | null;
  try {
    head = JSON.parse(json);
  } catch (cause) {
    throw new RangeError('restore: expected a list of layers, got damaged bytes', { cause });
  }
  if (!Array.isArray(head?.entries)) throw new RangeError('restore: expected a list of layers, got none');
  return head;
}

/** Checks what is known of a layer. @throws RangeError that names what is wrong */
function checkEntry(entry: SavedEntry | null): asserts entry is SavedEntry {
  if (typeof entry?.layer !== 'string') {
    throw new RangeError(`restore: expected the name of a layer, got ${describe(entry?.layer)}`);
  }
  const { split, layer, passes, items, bytes, rows, effectiveRows, observed } = entry;
  if (split !== 'train' && split !== 'val') {
    throw new RangeError(`restore: expected layer '${layer}' in the split train or val, got ${describe(split)}`);
  }
  for (const [name, value] of Object.entries({ passes, items, bytes, rows: rows ?? 0 })) checkCount(value, name, layer);
  if (observed !== undefined && typeof observed !== 'boolean') {
    throw new RangeError(
      `restore: expected observed of layer '${layer}' to be true or false, got ${describe(observed)}`,
    );
  }
  if (effectiveRows !== undefined && !(Number.isFinite(effectiveRows) && effectiveRows >= 0)) {
    throw new RangeError(`restore: expected effectiveRows >= 0 of layer '${layer}', got ${describe(effectiveRows)}`);
  }
}

function checkCount(value: unknown, name: string, layer?: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return;
  const where = layer === undefined ? '' : ` of layer '${layer}'`;
  throw new RangeError(`restore: expected ${name}${where} to be an integer >= 0, got ${describe(value)}`);
}

/** Decodes a state. @throws TypeError if these are no bytes, RangeError if they are not a whole state that can be */
export function decodeState(bytes: Uint8Array): SavedState {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`restore: expected the bytes of SaturationTracker.toBytes, got ${describe(bytes)}`);
  }
  const start = new TextDecoder().decode(bytes.subarray(0, magic.length));
  const end = bytes.indexOf(10, magic.length);
  if (start !== magic || end < 0) {
    throw new RangeError('restore: expected the bytes of SaturationTracker.toBytes, got bytes that start otherwise');
  }
  const { entries, epoch } = headOf(new TextDecoder().decode(bytes.subarray(magic.length, end)));
  checkCount(epoch, 'the epoch');
  let at = end + 1;
  const known = new Set<string>();
  const layers = entries.map((saved) => {
    checkEntry(saved);
    const { bytes: length, ...entry } = saved;
    const { layer, split } = entry;
    if (at + length > bytes.length) {
      throw new RangeError(
        `restore: expected ${at + length} bytes up to the end of layer '${layer}' (${split}), got ${bytes.length}`,
      );
    }
    if (known.has(`${split}/${layer}`))
      throw new RangeError(`restore: expected layer '${layer}' (${split}) once, got it again`);
    known.add(`${split}/${layer}`);
    // Not copied: every number is read out of it.
    const accumulator = CovarianceAccumulator.fromBytes(bytes.subarray(at, at + length));
    at += length;
    const { rows = accumulator.count, effectiveRows = 0 } = entry;
    if (rows < accumulator.count || effectiveRows > rows * (1 + 1e-9)) {
      throw new RangeError(
        `restore: expected ${accumulator.count} rows or more of layer '${layer}' (${split}), worth no more than they are, got ${rows}, worth ${effectiveRows}`,
      );
    }
    return { ...entry, accumulator };
  });
  if (at !== bytes.length) throw new RangeError(`restore: expected ${at} bytes, got ${bytes.length}`);
  return { epoch, layers };
}
