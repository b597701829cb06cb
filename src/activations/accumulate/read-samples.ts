import {
  cast,
  gather,
  getBackend,
  keep,
  reshape,
  slice,
  type Tensor,
  type Tensor2D,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';
import type { Pass } from '../../recording/accumulator.js';
import {
  isPlainMatrix,
  pickRows,
  type SampleMatrix,
  sampleSize,
  samplesAt,
  unmaskedRows,
} from '../../recording/samples.js';
import { floatsOf, offTape, withValues } from '../tensors.js';

/*
 * A pass becomes a matrix of samples, on the device (sampleRows) or on the host (readSamples, readSamplesLater). If few
 * rows of it are wanted, only these are read from the device.
 */

/** Numbers of an output from which picking rows on the device is cheaper than copying all of them to the host. */
const leastPicked = 2 ** 16;

/** A pass's samples as a tensor of rows x features on the device. The output must be a plain matrix (isPlainMatrix). */
export function sampleRows({ output: given, view, items, rows }: Pass<Tensor>): Tensor2D {
  const output: Tensor = given.dtype === 'float32' ? given : cast(given, 'float32');
  if (rows !== undefined) return rowsOf(output, sampleSize(output.shape, view).features, rows);
  const used: Tensor = items < (output.shape[0] ?? 0) ? slice(output, 0, items) : output;
  const size = sampleSize(output.shape, view, undefined, items);
  return reshape(used, [size.rows, size.features]);
}

/** Passes a pass's samples to `use`, which must not keep them. @param releases see withValues */
export function readSamples(pass: Pass<Tensor>, use: (samples: SampleMatrix) => void, releases = true): void {
  const read = (part: Pass<Tensor>) => withValues(part.output, (values) => use(samplesOf(values, part)), releases);
  if (isReadWhole(pass)) read(pass);
  else offTape(pass.output, () => tidy(() => void read(partOf(pass))));
}

/** Resolves to a pass's samples. Its tensor may be disposed of meanwhile. */
export async function readSamplesLater(pass: Pass<Tensor>): Promise<SampleMatrix> {
  let part = pass;
  offTape(pass.output, () =>
    tidy(() => {
      const wanted = isReadWhole(pass) ? pass : partOf(pass);
      part = { ...wanted, output: keep(wanted.output.clone()) };
    }),
  );
  try {
    return samplesOf(floatsOf(part.output, await part.output.data()), part);
  } finally {
    part.output.dispose();
  }
}

/** Rows that are read of each item where layers are reduced on a device. */
const readPerItem = 4;

/**
 * A pass with few of its rows: 4 of each item. Layers that are reduced on a device are not read, and reading all of a map would take
 * longer than the rest.
 *
 * @param picked how many rows were picked of earlier passes: other places are picked then
 */
export function thinned(pass: Pass<Tensor>, picked: number): Pass<Tensor> {
  const { output, view, mask, items, rows } = pass;
  const available = rows?.length ?? sampleSize(output.shape, view, mask, items).rows;
  const wanted = items * readPerItem;
  if (available <= wanted) return pass;
  const at = pickRows(available, wanted, picked);
  return { ...pass, rows: rows === undefined ? at : at.map((row) => rows[row]) };
}

function samplesOf(
  values: Float32Array | Float64Array,
  { output, view, mask, items, rows }: Pass<Tensor>,
): SampleMatrix {
  return samplesAt(rows, values, output.shape, view, mask, items);
}

/** On the cpu backend nothing is copied, but all of a map is computed with. */
function isReadWhole({ output, view, mask, rows }: Pass<Tensor>): boolean {
  if (rows === undefined || output.size < leastPicked) return true;
  return getBackend() === 'cpu' && isPlainMatrix(output.shape, view, mask !== undefined);
}

/** A pass with the part of its output, on the device, that holds the rows which are used. */
function partOf(pass: Pass<Tensor>): Pass<Tensor> {
  const { output, view, mask, items } = pass;
  const rows = pass.rows as Int32Array;
  const shape: readonly number[] = output.shape;
  const [batch, steps = 1] = shape;
  const size = sampleSize(shape, view, mask, items);
  // Only tokens leave the rows of masked steps out.
  const isOfTokens = mask !== undefined && view.timeseriesMethod === 'tokens';
  const places = isOfTokens ? unmaskedRows(mask, items * steps) : undefined;
  if (isPlainMatrix(shape, view, mask !== undefined && places === undefined)) {
    const numbers = places === undefined ? rows : rows.map((row) => places[row]);
    return { output: rowsOf(output, size.features, numbers), view, items: rows.length };
  }
  const rowsPerItem = size.rows / items;
  const itemOf = (row: number) => Math.floor(row / rowsPerItem);
  const used = [...new Set(rows.map(itemOf))];
  if (2 * used.length > batch) return pass;
  const at = new Map(used.map((item, index) => [item, index]));
  return {
    output: gather(output, tensor1d(used, 'int32')),
    view,
    mask: mask && used.flatMap((item) => Array.from({ length: steps }, (_, step) => mask[item * steps + step])),
    items: used.length,
    rows: rows.map((row) => (at.get(itemOf(row)) as number) * rowsPerItem + (row % rowsPerItem)),
  };
}

function rowsOf(output: Tensor, features: number, rows: Int32Array): Tensor2D {
  return gather(reshape(output, [-1, features]), tensor1d(rows, 'int32'));
}
