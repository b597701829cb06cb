import { type AccumulatorState, CovarianceAccumulator } from '../covariance.js';
import {
  buffersOf,
  type Solved,
  type SolveRequest,
  type SolveWishes,
  solveAccumulator,
  solveRequest,
} from './solve.js';

/*
 * The script of our threads. scripts/build.mjs bundles it into one string (src/kernels/generated/worker-source.ts).
 * It computes with the very classes of the main thread, so the numbers are the same.
 */

/** Rows in the ring, for the accumulator of a key. */
export interface RingUpdate {
  key: string;
  features: number;
  start: number;
  length: number;
}

/** What the main thread sends. A message with an `id` is answered by one with the same id. */
export type ToWorker =
  | { type: 'solve'; id: number; request: SolveRequest }
  /** consumed: how many stretches were read; then 1 as soon as the thread runs. */
  | { type: 'ring'; rows: SharedArrayBuffer; consumed: SharedArrayBuffer; float32Products: boolean }
  | { type: 'updatesFromRing'; updates: RingUpdate[] }
  | { type: 'merge'; key: string; state: AccumulatorState }
  | { type: 'save'; key: string; into: SharedArrayBuffer; outcome: SharedArrayBuffer }
  | { type: 'solveKey'; id: number; key: string; wishes: SolveWishes; reset: boolean }
  | { type: 'state'; id: number; key: string; reset: boolean };

/** What a thread sends: first that it is ready, then answers. */
export type FromWorker =
  | { type: 'ready' }
  | { type: 'answer'; id: number; result?: Solved | AccumulatorState; error?: { name: string; message: string } };

interface Scope {
  postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
  onmessage(event: { data: ToWorker }): void;
}

const scope = globalThis as unknown as Scope;
const accumulators = new Map<string, CovarianceAccumulator>();
let ring: { rows: Float32Array; consumed: Int32Array } | undefined;
let options = { float32Products: false };

scope.onmessage = ({ data: message }) => {
  if (message.type === 'ring') {
    ring = { rows: new Float32Array(message.rows), consumed: new Int32Array(message.consumed) };
    options = { float32Products: message.float32Products };
    Atomics.store(ring.consumed, 1, 1);
  } else if (message.type === 'updatesFromRing') {
    const { rows, consumed } = ring!;
    for (const { key, features, start, length } of message.updates) {
      accumulatorOf(key, features).update(rows.subarray(start, start + length));
      Atomics.add(consumed, 0, 1);
      Atomics.notify(consumed, 0);
    }
  } else if (message.type === 'merge') {
    merge(message.key, CovarianceAccumulator.fromState(message.state, options));
  } else if (message.type === 'save') {
    save(message);
  } else answer(message);
};
scope.postMessage({ type: 'ready' }, []);

/** An accumulator that is alone stays what it is, to the last bit. */
function merge(key: string, incoming: CovarianceAccumulator): void {
  const present = accumulators.get(key);
  if (present === undefined || present.count + present.rejected === 0) accumulators.set(key, incoming);
  else present.merge(incoming);
}

type Question = Extract<ToWorker, { id: number }>;

/** Writes an accumulator into shared memory, for a main thread that stands and waits. outcome: how many bytes, or would be. */
function save({ key, into, outcome }: Extract<ToWorker, { type: 'save' }>): void {
  const bytes = accumulators.get(key)?.toBytes() ?? new Uint8Array(0);
  if (bytes.length <= into.byteLength) new Uint8Array(into).set(bytes);
  const told = new Int32Array(outcome);
  Atomics.store(told, 0, bytes.length);
  Atomics.notify(told, 0);
}

function answer(message: Question): void {
  const { id } = message;
  try {
    const result = resultOf(message);
    scope.postMessage({ type: 'answer', id, result }, result ? buffersOf(result) : []);
  } catch (error) {
    const { name, message: text } = error instanceof Error ? error : new Error(String(error));
    scope.postMessage({ type: 'answer', id, error: { name, message: text } }, []);
  }
}

function resultOf(message: Question): Solved | AccumulatorState | undefined {
  if (message.type === 'solve') return solveRequest(message.request);
  const accumulator = accumulators.get(message.key);
  if (!accumulator) return undefined;
  if (message.type === 'state') return message.reset ? accumulator.takeState() : accumulator.copyState();
  const solved = solveAccumulator(accumulator, message.wishes);
  if (message.reset) accumulator.reset();
  return solved;
}

function accumulatorOf(key: string, features: number): CovarianceAccumulator {
  let accumulator = accumulators.get(key);
  if (!accumulator) {
    accumulator = new CovarianceAccumulator(features, options);
    accumulators.set(key, accumulator);
  }
  return accumulator;
}
