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
  accumulator: CovarianceAccumulator;
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
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new RangeError('restore: expected a list of layers, got damaged bytes', { cause });
  }
}

/** Decodes a state. @throws TypeError or RangeError if the bytes are not a whole state */
export function decodeState(bytes: Uint8Array): SavedState {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`restore: expected the bytes of SaturationTracker.toBytes, got ${describe(bytes)}`);
  }
  const start = new TextDecoder().decode(bytes.subarray(0, magic.length));
  const end = bytes.indexOf(10, magic.length);
  if (start !== magic || end < 0) {
    throw new RangeError('restore: expected the bytes of SaturationTracker.toBytes, got bytes that start otherwise');
  }
  const head = headOf(new TextDecoder().decode(bytes.subarray(magic.length, end)));
  let at = end + 1;
  const layers = head.entries.map(({ bytes: length, ...entry }) => {
    if (at + length > bytes.length) {
      throw new RangeError(
        `restore: expected ${at + length} bytes up to the end of layer '${entry.layer}' (${entry.split}), got ${bytes.length}`,
      );
    }
    const accumulator = CovarianceAccumulator.fromBytes(bytes.slice(at, at + length));
    at += length;
    return { ...entry, accumulator };
  });
  return { epoch: head.epoch, layers };
}
