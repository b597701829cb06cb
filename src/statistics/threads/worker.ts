import { kernels, useKernels } from '../../kernels/kernels.js';
import type { SharedWork } from '../../kernels/numeric-kernels.js';
import type { AccumulatorOptions, AccumulatorState } from '../accumulator-state.js';
import { CovarianceAccumulator } from '../covariance.js';
import {
  type Answer,
  buffersOf,
  type FromWorker,
  IS_RUNNING,
  type Question,
  SEGMENTS_READ,
  type Segment,
  type ToWorker,
} from './protocol.js';
import { type Solved, solveAccumulator, solveRequest } from './solve.js';

/*
 * What runs in a worker thread: it handles the host's messages (protocol.ts) and holds the accumulators that they name.
 * scripts/build.mjs bundles this file into one string (generated/worker-source.ts), from which thread.ts starts the
 * thread. It computes with the very classes of the host's thread, so the numbers are the same.
 */

interface Scope {
  postMessage(message: FromWorker, transfer: ArrayBuffer[]): void;
  onmessage(event: { data: ToWorker }): void;
}

const scope = globalThis as unknown as Scope;
const accumulators = new Map<string, CovarianceAccumulator>();
/** Why rows of an accumulator are missing, by name: memory for a wide layer, say. The others go on. */
const failures = new Map<string, Error>();
let ring: { rows: Float32Array; counters: Int32Array } | undefined;
let accumulatorOptions: AccumulatorOptions = {};

scope.onmessage = ({ data: message }) => {
  switch (message.type) {
    case 'kernels':
      useKernels(message.name);
      break;
    case 'ring':
      ring = { rows: new Float32Array(message.rows), counters: new Int32Array(message.counters) };
      accumulatorOptions = message.options;
      Atomics.store(ring.counters, IS_RUNNING, 1);
      break;
    case 'update':
      for (const segment of message.segments) {
        guard(segment.name, () => update(segment));
        Atomics.add(ring!.counters, SEGMENTS_READ, 1);
        Atomics.notify(ring!.counters, SEGMENTS_READ);
      }
      break;
    case 'merge':
      guard(message.name, () =>
        merge(message.name, CovarianceAccumulator.fromState(message.state, accumulatorOptions)),
      );
      break;
    case 'save':
      save(message);
      break;
    default:
      answer(message);
  }
};
scope.postMessage({ type: 'ready' }, []);

/** Runs what adds rows to an accumulator; if that fails, so does the next solve of it. */
function guard(name: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!failures.has(name)) failures.set(name, error instanceof Error ? error : new Error(String(error)));
  }
}

function update({ name, features, start, length }: Segment): void {
  const { rows } = ring!;
  let accumulator = accumulators.get(name);
  if (!accumulator) {
    accumulator = new CovarianceAccumulator(features, accumulatorOptions);
    accumulators.set(name, accumulator);
  }
  accumulator.update(rows.subarray(start, start + length));
}

/** Takes an incoming accumulator as it is, to the last bit, if there are no rows to merge it with. */
function merge(name: string, incoming: CovarianceAccumulator): void {
  const present = accumulators.get(name);
  if (present === undefined || present.count + present.rejected === 0) accumulators.set(name, incoming);
  else present.merge(incoming);
}

function save({ name, into, length }: Extract<ToWorker, { type: 'save' }>): void {
  const accumulator = failures.has(name) ? undefined : accumulators.get(name);
  const bytes = accumulator?.toBytes() ?? new Uint8Array(0);
  if (bytes.length <= into.byteLength) new Uint8Array(into).set(bytes);
  const counter = new Int32Array(length);
  Atomics.store(counter, 0, bytes.length);
  Atomics.notify(counter, 0);
}

function answer(question: Question): void {
  const { id } = question;
  try {
    const result = resultOf(question);
    scope.postMessage({ type: 'answer', id, result }, typeof result === 'object' ? buffersOf(result) : []);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    scope.postMessage({ type: 'answer', id, error: { name, message } }, []);
  }
}

function offer(work: SharedWork): void {
  scope.postMessage({ type: 'offer', work }, []);
}

function resultOf(question: Question): Answer['result'] {
  switch (question.type) {
    case 'solve':
      return solveRequest(question.request, question.mayOffer ? offer : undefined);
    case 'assist':
      return kernels().assist(question.work);
    default:
      return ofNamed(question);
  }
}

/** What is asked of the accumulator of a name; its failure, if it had one. */
function ofNamed(question: Exclude<Question, { type: 'solve' | 'assist' }>): Solved | AccumulatorState | undefined {
  const { name, reset } = question;
  const accumulator = accumulators.get(name);
  const failure = failures.get(name);
  if (failure !== undefined) {
    if (reset) {
      failures.delete(name);
      accumulator?.reset();
    }
    throw failure;
  }
  if (!accumulator) return undefined;
  if (question.type === 'takeNamed') return reset ? accumulator.takeState() : accumulator.copyState();
  const solved = solveAccumulator(accumulator, question.options);
  if (reset) accumulator.reset();
  return solved;
}
