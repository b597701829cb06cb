import type { BytesOptions } from '../statistics/accumulator-state.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import { Reservoir } from '../statistics/reservoir.js';
import { CovarianceSketch } from '../statistics/sketch.js';
import type { Solved, SolveOptions } from '../statistics/threads/solve.js';
import { solveInBackground } from '../statistics/threads/solver.js';
import { type Computation, computed, mapped } from '../statistics/threads/thread.js';

/** A layer's solved period. */
export interface SolvedLayer {
  solved: Solved;
  /** A uniform random choice of the samples, if rows were asked for. */
  rows?: Reservoir;
}

/**
 * What a layer has summed and kept in a period: the parts are those that were asked for, and undefined before the first row. It
 * merges with that of other rows, travels as bytes, and is solved.
 */
export class LayerSums {
  /** Mean and covariance; undefined if a sketch is kept in its place. */
  accumulator: CovarianceAccumulator | undefined;
  sketch: CovarianceSketch | undefined;
  /** Rows chosen at random, for what is computed of single rows. */
  rows: Reservoir | undefined;
  /** Rows chosen at random of those whose class is known, each with the class that the network predicts for it. */
  predicted: Reservoir | undefined;

  /** Takes the parts over. */
  constructor(parts: Partial<Pick<LayerSums, PartName>> = {}) {
    for (const part of partNames) Object.assign(this, { [part]: parts[part] });
  }

  /** Columns of the rows; undefined before the first one. */
  get features(): number | undefined {
    return this.accumulator?.features ?? this.sketch?.features;
  }

  /** Rows used. */
  get used(): number {
    return (this.accumulator ?? this.sketch)?.count ?? 0;
  }

  /** Rows that were offered, used or not. */
  get offered(): number {
    return this.used + ((this.accumulator ?? this.sketch)?.rejected ?? 0);
  }

  /** Whether no row was added. */
  get isEmpty(): boolean {
    return this.accumulator === undefined && (this.sketch === undefined || this.sketch.isEmpty);
  }

  /**
   * Adds what another has summed and kept, which may be changed by that.
   *
   * @throws RangeError if they cannot be merged; nothing was added then
   */
  merge(other: LayerSums): void {
    this.checkMerge(other);
    for (const part of partNames) {
      const [own, added] = [this[part], other[part]] as [{ merge(other: unknown): void } | undefined, never];
      if (own === undefined) Object.assign(this, { [part]: added });
      else if (added !== undefined) own.merge(added);
    }
  }

  /** @throws RangeError if another cannot be merged into this */
  checkMerge(other: LayerSums): void {
    if (this.isEmpty || other.isEmpty) return;
    if ((this.sketch === undefined) !== (other.sketch === undefined)) {
      throw new RangeError('expected two covariances or two sketches, got one of each');
    }
    if (this.sketch && other.sketch) this.sketch.checkMerge(other.sketch);
    for (const part of ['rows', 'predicted'] as const) {
      const [own, added] = [this[part]?.capacity, other[part]?.capacity];
      if (own === undefined || added === undefined || own === added) continue;
      throw new RangeError(
        `expected the same number of kept rows (give every process the same stats), got ${own} and ${added}`,
      );
    }
  }

  /** Everything, so that the other one may be changed. */
  copy(): LayerSums {
    return LayerSums.fromParts(this.toParts());
  }

  /**
   * The parts as bytes, by name.
   *
   * @throws RangeError if they are to be without rows and cannot be
   */
  toParts({ withoutRows }: BytesOptions = {}): Map<PartName, Uint8Array> {
    const bytes = new Map<PartName, Uint8Array>();
    const { sketch, rows, predicted, accumulator } = this;
    if (sketch !== undefined && withoutRows) refuseSketch();
    if (sketch !== undefined) bytes.set('sketch', sketch.toBytes());
    if (rows !== undefined && !withoutRows) bytes.set('rows', rows.toBytes());
    if (predicted !== undefined && !withoutRows) bytes.set('predicted', predicted.toBytes());
    if (accumulator !== undefined) bytes.set('accumulator', accumulator.toBytes({ withoutRows }));
    return bytes;
  }

  /** What `toParts` made bytes of. @throws RangeError if they are damaged */
  static fromParts(bytes: ReadonlyMap<PartName, Uint8Array>): LayerSums {
    const of = <T>(part: PartName, from: (bytes: Uint8Array) => T) => {
      const own = bytes.get(part);
      return own && from(own);
    };
    return new LayerSums({
      accumulator: of('accumulator', CovarianceAccumulator.fromBytes),
      sketch: of('sketch', CovarianceSketch.fromBytes),
      rows: of('rows', Reservoir.fromBytes),
      predicted: of('predicted', Reservoir.fromBytes),
    });
  }

  /**
   * Solves what was summed, off this thread if there is a worker. Undefined if there is nothing.
   *
   * @param reset whether the sums are handed over and not used afterwards
   * @param copies whether they are copied to the thread: see SharedSolver.solve
   */
  solve(options: SolveOptions, reset: boolean, copies: boolean): Computation<SolvedLayer | undefined> {
    const { accumulator, sketch, rows } = this;
    if (sketch !== undefined && accumulator === undefined) return computed(() => ({ solved: sketch.solve() }));
    if (accumulator === undefined) return computed(() => undefined);
    return mapped(solveInBackground(accumulator, withSample(options, this), reset, copies), (solved) => ({
      solved,
      rows,
    }));
  }
}

/** @throws RangeError: there are no bytes of a sketch without rows */
export function refuseSketch(): never {
  throw new RangeError("expected sums, got a sketch, which is made of rows: wideLayers: 'leaveOut' leaves it out");
}

/** The options of a solve, with the rows that were kept. */
export function withSample(options: SolveOptions, { rows, predicted }: LayerSums): SolveOptions {
  const sampled = options.twoNN && rows ? { ...options, sample: rows.toArray() } : options;
  if (!options.collapse || predicted === undefined) return sampled;
  return { ...sampled, predicted: { rows: predicted.toArray(), classes: Int32Array.from(predicted.tags()) } };
}

/** The parts, in the order in which their bytes follow each other. */
export const partNames = ['sketch', 'rows', 'predicted', 'accumulator'] as const;

/** A part of a layer's sums. */
export type PartName = (typeof partNames)[number];
