import { describe } from '../errors.js';
import { mostClasses } from '../statistics/class-sums.js';
import {
  isShapedArray,
  isTensorLike,
  isTypedArray,
  type Later,
  type Numbers,
  type NumericArray,
  readNumbers,
  type TypedArray,
} from '../summaries/numbers.js';
import type {
  AccumulatorFactory,
  FirstOutput,
  ItemClasses,
  Kept,
  LayerAccumulator,
  LayerOutput,
  Pass,
} from './accumulator.js';
import { HostAccumulator, type SampleReader } from './host-accumulator.js';
import type { RecordingOptions } from './sample-recorder.js';
import { type ActivationView, samplesAt } from './samples.js';

/*
 * Activations that are no tensors of TensorFlow.js: arrays, and tensors of other runtimes, with their values at hand or to
 * come. They are accumulated in float64 on this thread.
 */

/** Activations of a runtime: everything that an addX call of SummaryWriter takes for numbers, but single numbers. */
export type Activations = Exclude<Numbers, number | boolean | TypedArray>;

/** How to read what is given to `SaturationRecorder.observe`. */
export interface ObserveOptions {
  /**
   * Where the channels are: 'channelsLast' (default; N x ...space x C) as TensorFlow has them, or 'channelsFirst' (N x C x
   * ...space) as torch and ONNX do.
   */
  layout?: 'channelsLast' | 'channelsFirst';
  /** Of a sequence N x T x C: N x T values, 0 for a padding step, whose row does not count. Default: none is. */
  mask?: ArrayLike<number | bigint>;
  /**
   * What activations of rank 3 are: a 'sequence' N x T x C (default; with 'channelsFirst', 'map'), or a 'map' with one dimension
   * of space. Those of higher rank are maps.
   */
  kind?: 'map' | 'sequence';
  /**
   * Whether it is the output of a recurrent layer: by default the last step that is not masked stands for the sequence then, and
   * each step for itself if it is not. Default false.
   */
  recurrent?: boolean;
  /**
   * The class of each of the N items, from 0: neural collapse is measured then, if `stats` asks for it (collapseNC1,
   * collapseNC2Norms, collapseNC2Angles). Default: classes are not known.
   */
  labels?: ArrayLike<number | bigint>;
  /** The class that the network predicts for each of the N items, from 0, beside `labels`: for collapseNC4. Default: not known. */
  predictions?: ArrayLike<number | bigint>;
  /**
   * The weights of the classifier that this layer feeds, classes x features, row-major, beside `labels`: for collapseNC3. The last ones
   * given in an epoch count. Default: it feeds none.
   */
  classifier?: ArrayLike<number>;
}

/** Activations whose values may be read once, now or later. */
export interface ArrayOutput extends LayerOutput {
  /** @throws what reading the values throws; a promise rejects */
  read(): Later<NumericArray>;
}

/**
 * Looks at activations without reading more than their shape, where that is possible.
 *
 * @param call names them in errors
 * @throws TypeError or RangeError if they are no numbers with a shape of at least one dimension
 */
export function arrayOutput(activations: Activations, call: string): ArrayOutput {
  const isRow = Array.isArray(activations) && typeof activations[0] === 'number';
  if (typeof activations === 'number' || isTypedArray(activations) || isRow) {
    throw new TypeError(
      `${call}: expected activations with a shape, such as { data, shape: [rows, features] }, got ${describe(activations)}`,
    );
  }
  const given = activations as { shape?: readonly number[]; dims?: readonly number[] } | null;
  const isTensor = isTensorLike(activations) && !isShapedArray(activations);
  // A tensor on a device is read only if its rows count. What is in memory is checked at once.
  let read: Later<NumericArray> | undefined;
  const readOnce = () => (read ??= readNumbers(activations, call));
  const first = isTensor ? undefined : readOnce();
  const shape = first === undefined || first instanceof Promise ? (given?.shape ?? given?.dims ?? []) : first.shape;
  if (shape.length === 0) {
    throw new RangeError(`${call}: expected activations of one dimension at least, N first, got a single number`);
  }
  return { shape: [...shape], read: readOnce };
}

/** How a recorder reads all layers. */
export type ReadingOptions = Pick<RecordingOptions, 'convMethod' | 'timeseriesMethod' | 'downsample'>;

/** The classes of N items. @throws TypeError or RangeError if they are none of as many items */
export function checkedClasses(
  { labels, predictions, classifier }: ObserveOptions,
  items: number,
  call: string,
): ItemClasses | undefined {
  if (labels === undefined) {
    const given = predictions !== undefined ? 'predictions' : classifier !== undefined ? 'a classifier' : undefined;
    if (given !== undefined) throw new TypeError(`${call}: expected labels beside ${given}, got none`);
    return undefined;
  }
  if (classifier !== undefined && (classifier === null || typeof classifier.length !== 'number')) {
    throw new TypeError(`${call}: classifier: expected classes x features weights, got ${describe(classifier)}`);
  }
  const known = { labels: checkedIntegers('labels', labels, items, call) };
  return predictions === undefined
    ? known
    : { ...known, predictions: checkedIntegers('predictions', predictions, items, call) };
}

function checkedIntegers(
  option: 'labels' | 'predictions',
  labels: ArrayLike<number | bigint>,
  items: number,
  call: string,
): ArrayLike<number> {
  const expected = `${call}: ${option}: expected ${items} integers from 0 on, one per item`;
  if (labels === null || typeof labels !== 'object' || typeof labels.length !== 'number') {
    throw new TypeError(`${expected}, got ${describe(labels)}`);
  }
  const numbers = Array.from(labels, Number);
  if (numbers.length !== items) throw new RangeError(`${expected}, got ${numbers.length}`);
  const wrong = numbers.find((label) => !Number.isInteger(label) || label < 0 || label >= mostClasses);
  if (wrong !== undefined) throw new RangeError(`${expected}, got ${wrong}`);
  return numbers;
}

/** Checks how activations are to be read. @throws TypeError or RangeError that names the option */
export function checkObserveOptions(
  shape: readonly number[],
  { layout = 'channelsLast', mask, kind, recurrent = false }: ObserveOptions,
  reading: ReadingOptions,
  call: string,
): { view: ActivationView; mask: ArrayLike<number> | undefined } {
  const isFirst = layout === 'channelsFirst';
  if (!isFirst && layout !== 'channelsLast') {
    throw new RangeError(`${call}: layout: expected 'channelsLast' or 'channelsFirst', got ${describe(layout)}`);
  }
  if (kind !== undefined && kind !== 'map' && kind !== 'sequence') {
    throw new RangeError(`${call}: kind: expected 'map' or 'sequence', got ${describe(kind)}`);
  }
  const isSequence = shape.length === 3 && (kind ?? (isFirst ? 'map' : 'sequence')) === 'sequence';
  if (isSequence && isFirst) {
    throw new RangeError(
      `${call}: expected a sequence as N x T x C, got kind 'sequence' with the layout 'channelsFirst': transpose it, or call it a 'map'`,
    );
  }
  if (typeof recurrent !== 'boolean') {
    throw new TypeError(`${call}: recurrent: expected true or false, got ${describe(recurrent)}`);
  }
  const { convMethod, timeseriesMethod = recurrent ? 'lastTimestep' : 'tokens', downsample } = reading;
  const view: ActivationView = {
    kind: isSequence ? 'sequence' : 'map',
    channelsFirst: isFirst,
    spatialRank: 0,
    convMethod,
    timeseriesMethod,
    downsample,
  };
  return { view, mask: checkedMask(shape, isSequence, mask, call) };
}

function checkedMask(
  shape: readonly number[],
  isSequence: boolean,
  mask: ObserveOptions['mask'],
  call: string,
): ArrayLike<number> | undefined {
  if (mask === undefined) return undefined;
  if (!isSequence) {
    throw new RangeError(
      `${call}: mask: expected a sequence N x T x C beside a mask, got the shape [${shape.join(', ')}]`,
    );
  }
  if (mask === null || typeof mask !== 'object' || typeof mask.length !== 'number') {
    throw new TypeError(`${call}: mask: expected an array of N x T numbers, got ${describe(mask)}`);
  }
  const [items, steps] = shape;
  if (mask.length !== items * steps) {
    throw new RangeError(`${call}: mask: expected ${items} x ${steps} values, got ${mask.length}`);
  }
  return typeof mask[0] === 'bigint' ? Array.from(mask, Number) : (mask as ArrayLike<number>);
}

const reader: SampleReader<ArrayOutput> = {
  strategy: 'float64 on the host',
  read(pass, use) {
    const read = pass.output.read();
    if (read instanceof Promise) return read.then((numbers) => samplesOf(numbers, pass));
    use(samplesOf(read, pass));
  },
  copiesToThread: () => false,
};

function samplesOf(numbers: NumericArray, { view, mask, items, rows }: Pass<ArrayOutput>) {
  return samplesAt(rows, floatsOf(numbers), numbers.shape, view, mask, items);
}

/** Values as floats. Integers become float64, because float32 has only those below 2^24. */
function floatsOf({ values, dtype }: NumericArray): Float32Array | Float64Array {
  if (values instanceof Float32Array || values instanceof Float64Array) return values;
  return dtype === 'bool' ? Float32Array.from(values) : Float64Array.from(values);
}

/** Accumulates arrays: on this thread, because reading them costs nothing, and a thread of its own would have to be sent all. */
export class ArrayAccumulators implements AccumulatorFactory<ArrayOutput> {
  choose(
    _name: string,
    _output: FirstOutput | undefined,
    kept: Kept,
    report: (error: unknown) => void,
  ): LayerAccumulator<ArrayOutput> {
    return new HostAccumulator(reader, report, kept);
  }

  close(): void {}
}
