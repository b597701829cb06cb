import { describe } from '../errors.js';
import { layerRoleNames } from '../saturation/epoch.js';
import { scalarStats, statOfTagGroup } from '../saturation/stats.js';
import { notedModelIn, withTime } from '../saturation/training-facts.js';
import {
  type FieldData,
  fieldsOf,
  type LayerData,
  outlineOf,
  type RunData,
  type SpectrumPoint,
  type StepSeries,
  sumOf,
} from './run-data.js';

/*
 * Runs in one piece of bytes, in both directions: what TensorBoard's tab is sent (tensorboard-plugin/ writes the same in
 * Python), and what a report embeds.
 *
 * A uint32 (little endian) with the number of bytes of the header; the header, JSON in UTF-8, filled up with spaces to a
 * multiple of 4 bytes; then float32 eigenvalues, little endian. Numbers that JSON lacks are the strings "NaN", "Infinity"
 * and "-Infinity".
 */

/** The header, version 1. */
interface Header {
  version: 1;
  runs: PackedRun[];
}

interface PackedRun {
  name: string;
  threshold: Packed | null;
  rule: string | null;
  layers: PackedLayer[];
  scalars: Record<string, PackedSeries>;
  fields: PackedFields | null;
  /** The network, as the tracker notes it; null if it does not. */
  model?: object | null;
  /** Wall times of the training's first and last event, in seconds since 1970. */
  times?: [number, number] | null;
}

interface PackedLayer {
  name: string;
  /** Step, samples (null: not known), rejected rows, width, sum of the eigenvalues not stored, their number, where they start. */
  points: [number, Packed | null, Packed, number, Packed, number, number][];
  isEstimated: boolean;
  /** Independent rows per row, in (0, 1]; null if all are independent or nothing is known. */
  independence?: number | null;
  /** What the layer is for, as the tracker notes it; null if it does not. */
  role?: string | null;
  /** Whether only a sketch of it was kept. */
  isSketch?: boolean;
  /** By the statistic's part of its tags. */
  stats: Record<string, PackedSeries>;
}

type Packed = number | string;
type PackedSeries = [Packed[], Packed[]];
type PackedFields = { inputSize: Packed | null; layers: unknown[] };

/** Runs as bytes. Eigenvalues are stored in float32, which changes no count of directions beyond rounding. */
export function packRuns(runs: readonly RunData[]): Uint8Array {
  const arrays: (Float32Array | Float64Array)[] = [];
  let offset = 0;
  const header: Header = {
    version: 1,
    runs: runs.map(({ name, threshold, rule, layers, scalars, fields, model, times }) => ({
      name,
      threshold,
      rule,
      layers: layers.map(({ name: layer, points, stats, role, isSketch }) => ({
        name: layer,
        isEstimated: points.some(({ isEstimated }) => isEstimated),
        independence: independenceOf(points.at(-1)),
        role: role ?? null,
        ...(isSketch ? { isSketch } : {}),
        points: points.map(({ step, samples, rejected, features, trace, eigenvalues }) => {
          const at = offset;
          arrays.push(eigenvalues);
          offset += eigenvalues.length;
          const rest = eigenvalues.length < features ? Math.max(0, trace - sumOf(eigenvalues)) : 0;
          return [step, samples ?? null, rejected, features, packed(rest), eigenvalues.length, at];
        }),
        stats: Object.fromEntries(
          [...stats].map(([stat, series]) => [scalarStats[stat].tagGroup, packedSeries(series)]),
        ),
      })),
      scalars: Object.fromEntries([...scalars].map(([tag, series]) => [tag, packedSeries(series)])),
      fields: fields === undefined ? null : packedFields(fields),
      ...(model === undefined ? {} : { model }),
      ...(times === undefined ? {} : { times: [times.first, times.last] as [number, number] }),
    })),
  };
  let json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.length / 4) * 4;
  const bytes = new Uint8Array(4 + padded + 4 * offset);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, padded, true);
  bytes.fill(0x20, 4, 4 + padded).set(json, 4);
  json = new Uint8Array();
  let at = 4 + padded;
  for (const eigenvalues of arrays) {
    for (let index = 0; index < eigenvalues.length; index++, at += 4) view.setFloat32(at, eigenvalues[index], true);
  }
  return bytes;
}

/**
 * The runs in bytes of `packRuns`.
 *
 * @throws RangeError if they are not such bytes
 */
export function unpackRuns(bytes: Uint8Array): RunData[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (length === 0 || 4 + length > bytes.length) {
    throw new RangeError(
      `unpackRuns: expected a header of ${length} bytes and float32 values, got ${bytes.length} bytes`,
    );
  }
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Header;
  if (header?.version !== 1 || !Array.isArray(header.runs)) {
    throw new RangeError(`unpackRuns: expected version 1, got ${describe(header?.version)}`);
  }
  const body = bytes.slice(4 + length);
  const count = Math.floor(body.length / 4);
  const values = isLittleEndian ? new Float32Array(body.buffer, 0, count) : swapped(body, count);
  return header.runs.map((run) => unpackRun(run, values));
}

function unpackRun(run: PackedRun, values: Float32Array): RunData {
  const { name, threshold, rule, layers, scalars, fields } = run;
  const model = notedModelIn(run.model);
  const times = Array.isArray(run.times) ? run.times.reduce(withTime, undefined) : undefined;
  return {
    ...outlineOf(name),
    threshold: numberOf(threshold ?? 0.99),
    rule: rule === 'delve' ? 'delve' : 'paper',
    layers: layers.map((layer) => unpackLayer(layer, values)),
    scalars: new Map(Object.entries(scalars).map(([tag, series]) => [tag, seriesOf(series)])),
    fields: unpackedFields(fields),
    ...(model === undefined ? {} : { model }),
    ...(times === undefined ? {} : { times }),
  };
}

function unpackLayer(packedLayer: PackedLayer, values: Float32Array): LayerData {
  const { name, points, isEstimated, independence, role, isSketch, stats } = packedLayer;
  const known = layerRoleNames.find((one) => one === role);
  return {
    ...(known === undefined ? {} : { role: known }),
    ...(isSketch ? { isSketch } : {}),
    name,
    points: points.map(([step, samples, rejected, features, rest, count, offset]) => {
      const eigenvalues = values.subarray(offset, offset + count);
      return {
        step,
        samples: samples === null ? undefined : numberOf(samples),
        effectiveSamples: samples === null || !independence ? undefined : Math.round(numberOf(samples) * independence),
        rejected: numberOf(rejected),
        eigenvalues,
        features,
        trace: sumOf(eigenvalues) + numberOf(rest),
        isEstimated,
      };
    }),
    stats: new Map(
      Object.entries(stats).flatMap(([group, series]) => {
        const stat = statOfTagGroup.get(group);
        return stat === undefined ? [] : [[stat, seriesOf(series)] as const];
      }),
    ),
  };
}

function independenceOf(point: SpectrumPoint | undefined): number | null {
  const { samples, effectiveSamples } = point ?? {};
  return samples === undefined || effectiveSamples === undefined || samples === 0 ? null : effectiveSamples / samples;
}

function packed(value: number): Packed {
  return Number.isFinite(value) ? value : String(value);
}

function numberOf(value: Packed): number {
  return Number(value);
}

function packedSeries({ steps, values }: StepSeries): PackedSeries {
  return [steps.map(packed), values.map(packed)];
}

function seriesOf([steps, values]: PackedSeries): StepSeries {
  return { steps: steps.map(numberOf), values: values.map(numberOf) };
}

function packedFields({ inputSize, layers }: FieldData): PackedFields {
  const plain = JSON.parse(JSON.stringify(layers, (_, value) => (value === Infinity ? 'Infinity' : value)));
  return { inputSize: inputSize ?? null, layers: plain };
}

function unpackedFields(fields: PackedFields | null | undefined): FieldData | undefined {
  if (!Array.isArray(fields?.layers)) return undefined;
  const { inputSize, layers } = fields;
  const size = inputSize === null || inputSize === undefined ? undefined : numberOf(inputSize);
  return fieldsOf({ inputSize: size, layers: layers as object[] });
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function swapped(bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: count }, (_, index) => view.getFloat32(index * 4, true));
}
