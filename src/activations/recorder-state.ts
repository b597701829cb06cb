import type { Split } from '../saturation/epoch.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';

/** One layer's moments in the middle of an epoch. */
export interface SavedLayer {
  split: Split;
  layer: string;
  passes: number;
  items: number;
  accumulator: CovarianceAccumulator;
}

/** What a tracker needs to go on in another process. */
export interface SavedState {
  /** Epochs whose saturations were added. */
  epoch: number;
  layers: SavedLayer[];
}

const magic = 'delve-tracker/1\n';

/** The state as bytes: a line with the version, a line of JSON, then the accumulators one after another. */
export function encodeState(state: SavedState): Uint8Array {
  const bodies = state.layers.map((saved) => saved.accumulator.toBytes());
  const entries = state.layers.map(({ split, layer, passes, items }, index) => ({
    split,
    layer,
    passes,
    items,
    bytes: bodies[index].length,
  }));
  const head = new TextEncoder().encode(`${magic}${JSON.stringify({ epoch: state.epoch, entries })}\n`);
  const bytes = new Uint8Array(head.length + bodies.reduce((sum, body) => sum + body.length, 0));
  bytes.set(head);
  let at = head.length;
  for (const body of bodies) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

interface SavedEntry {
  split: Split;
  layer: string;
  passes: number;
  items: number;
  bytes: number;
}

function headOf(json: string): { epoch: number; entries: SavedEntry[] } {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new RangeError('restore: the bytes are damaged: their list of layers is not readable', { cause });
  }
}

/** @throws RangeError when the bytes are not a whole state */
export function decodeState(bytes: Uint8Array): SavedState {
  if (!(bytes instanceof Uint8Array)) throw new TypeError('restore: expected the bytes of SaturationTracker.toBytes');
  const start = new TextDecoder().decode(bytes.subarray(0, magic.length));
  const end = bytes.indexOf(10, magic.length);
  if (start !== magic || end < 0) throw new RangeError('restore: these bytes are not from SaturationTracker.toBytes');
  const head = headOf(new TextDecoder().decode(bytes.subarray(magic.length, end)));
  let at = end + 1;
  const layers = head.entries.map(({ split, layer, passes, items, bytes: length }) => {
    if (at + length > bytes.length) {
      throw new RangeError(`restore: the bytes end within layer '${layer}' (${split}): ${bytes.length} bytes`);
    }
    const accumulator = CovarianceAccumulator.fromBytes(bytes.slice(at, at + length));
    at += length;
    return { split, layer, passes, items, accumulator };
  });
  return { epoch: head.epoch, layers };
}
