import type { KernelsName } from '../../kernels/moments.js';
import type { SharedWork } from '../../kernels/numeric-kernels.js';
import type { AccumulatorOptions, AccumulatorState } from '../accumulator-state.js';
import type { Solved, SolveOptions, SolveRequest } from './solve.js';

/*
 * What the host (the thread that trains) and a worker thread say to each other.
 *
 * A worker says once that it is ready. It handles the host's messages, which may have been sent before that, one after
 * another in the order sent. A message with an `id` is a question: the worker answers it with a message of the same id.
 *
 * Rows of samples do not travel in messages but through a ring: shared memory into which the host copies segments, one
 * behind another, and from which the worker reads them in the same order. A second piece of shared memory holds the
 * counters below, which both sides see at once, also while neither of them returns to its event loop.
 */

/** Index among the ring's counters: how many segments the worker has read, wrapping around at 2^32. */
export const SEGMENTS_READ = 0;
/** Index among the ring's counters: 1 as soon as the worker runs and knows the ring. */
export const IS_RUNNING = 1;
/** How many counters a ring has; each is an int32. */
export const RING_COUNTERS = 2;

/** A segment of the ring: `length` float32 numbers from number `start` on, rows for the accumulator of this name. */
export interface Segment {
  name: string;
  features: number;
  start: number;
  length: number;
}

/** What the host sends. */
export type ToWorker =
  /** Compute with the host's kernels; sent before anything else. */
  | { type: 'kernels'; name: KernelsName }
  /** Question: solve a matrix or an accumulator that travels with the message. `mayOffer`: others may help. */
  | { type: 'solve'; id: number; request: SolveRequest; mayOffer?: boolean }
  /** Question: help with work that another worker has offered. Answered when that is done: in how many parts. */
  | { type: 'assist'; id: number; work: SharedWork }
  /** From now on there is a ring, and accumulators with these options. */
  | { type: 'ring'; rows: SharedArrayBuffer; counters: SharedArrayBuffer; options: AccumulatorOptions }
  /** Add these segments of the ring to the accumulators they name, each of which the first segment makes. */
  | { type: 'update'; segments: Segment[] }
  /** Add the rows of an accumulator to the one of this name. */
  | { type: 'merge'; name: string; state: AccumulatorState }
  /**
   * Write the accumulator's bytes into shared memory, for a host that stands and waits. `length` (an int32) is then set
   * to their number: 0 if there is no accumulator of this name, more than `into` holds if they did not fit.
   */
  | { type: 'save'; name: string; into: SharedArrayBuffer; length: SharedArrayBuffer }
  /** Question: solve the accumulator of this name, and clear it afterwards if `reset`. No result if there is none. */
  | { type: 'solveNamed'; id: number; name: string; options: SolveOptions; reset: boolean }
  /** Question: the accumulator of this name, which is cleared afterwards if `reset`. No result if there is none. */
  | { type: 'takeNamed'; id: number; name: string; reset: boolean };

/** A message that the worker answers. */
export type Question = Extract<ToWorker, { id: number }>;

/** A message that the worker does not answer. */
export type Command = Exclude<ToWorker, Question>;

/** The answer to the question of the same id: a result, or the error that came instead. */
export interface Answer {
  type: 'answer';
  id: number;
  result?: Solved | AccumulatorState | number;
  error?: { name: string; message: string };
}

/** What a worker sends. */
export type FromWorker =
  | { type: 'ready' }
  /** Another thread can help with this; the answer to the question that is being solved says that it is done. */
  | { type: 'offer'; work: SharedWork }
  | Answer;

/** The buffers in a result or a state, for a message that hands them over instead of copying them. */
export function buffersOf(value: object): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const part of Object.values(value)) {
    if (ArrayBuffer.isView(part)) {
      if (part.buffer instanceof ArrayBuffer) buffers.add(part.buffer);
    } else if (typeof part === 'object' && part !== null) {
      for (const buffer of buffersOf(part)) buffers.add(buffer);
    }
  }
  return [...buffers];
}
