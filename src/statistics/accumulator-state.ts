import { describe } from '../errors.js';
import { type MomentSums, packedLength, type Rows, type SummedBy } from '../kernels/moments.js';
import { newUnitSums, type UnitSums } from '../kernels/units.js';
import { type ClassSums, mostClasses } from './class-sums.js';
import { checksumOf, inLittleEndian, isLittleEndian } from './packed-numbers.js';

/* What a CovarianceAccumulator consists of, as plain arrays and as bytes. */

/** Options of a CovarianceAccumulator. */
export interface AccumulatorOptions {
  /**
   * Float32Array rows are centered in float64 and then multiplied in float32, twice as fast: eigenvalues stay within 1e-7 of the
   * largest, whatever the mean and however it drifts. Default false.
   */
  float32Products?: boolean;
  /** Whether what tells dead units and outliers is summed, too. Default false. */
  units?: boolean;
}

/** Options of toBytes. */
export interface BytesOptions {
  /**
   * Whether no single row is in the bytes. By default they hold the rows that have not been folded into the sums yet (all of them
   * while there are no more rows than features, at most 384 afterwards) and the first row, about which is summed. With true, all
   * rows are folded first, and sums are about the mean. Of one row alone, that mean is the row. Default false.
   */
  withoutRows?: boolean;
}

/** What a CovarianceAccumulator consists of; plain arrays, so that it travels between threads. */
export interface AccumulatorState {
  /** Columns of the sample matrix. */
  features: number;
  /** Rows left out so far; waiting rows that have not been checked are not among them. */
  rejected: number;
  /** Of the rows folded so far; undefined before the first. */
  moments: MomentSums | undefined;
  /** Waiting rows, row-major; undefined if there are none. */
  rows: Rows | undefined;
  /** The coarsest precision of what was added. */
  precision: Precision;
  /** Of all rows, folded and waiting; undefined if they are not summed. */
  units?: UnitSums;
  /** Of the rows whose class is known; undefined if there are none. */
  classes?: ClassSums;
}

/**
 * How precisely rows and their products are known, from fine to coarse: rows and products in float64; rows that were rounded
 * to float32, multiplied in float64; products in float32. Eigenvalues below what this leaves are noise.
 */
export const precisions = ['float64', 'float32 rows', 'float32 products'] as const;

/** One of `precisions`. */
export type Precision = (typeof precisions)[number];

/** The coarser one of two precisions. */
export function coarser(one: Precision, other: Precision): Precision {
  return precisions.indexOf(one) > precisions.indexOf(other) ? one : other;
}

/*
 * The format of toBytes and fromBytes, little-endian. A header of 48 bytes: 8 bytes of ASCII "dtbcov02", then float64
 * features, rejected, and count (0: no moments), uint32 waiting rows, uint8 bytes per number of those rows (4 or 8), uint8
 * index of the precision, uint8 kernels that summed (0: none; see `summers`), uint8 1 if there are sums per unit, otherwise
 * 0, uint32 checksum of all other bytes (see `checksumOf`), uint32 number of classes whose rows are summed. Then, if count > 0,
 * float64 shift, offset (features each) and scatter (packed lower triangle). Then the sums per unit: float64 count, largest,
 * varied, kurtosis, and absolute and nonzero (features each). Then, if there are classes, float64 counts (classes), shift
 * (features) and sums (classes x features). Then the waiting rows. Version "dtbcov01" had neither checksum nor classes and is
 * still read.
 */
const FAMILY = 'dtbcov';
const VERSION = '02';
const HEADER_BYTES = 48;
const UNCHECKED_HEADER_BYTES = 40;
const CHECKSUM_AT = 40;
const CLASSES_AT = 44;
/** By index, the kernels that summed. */
const summers: readonly (SummedBy | undefined)[] = [undefined, 'wasm', 'wasm-fma', 'typescript', 'several'];

/** Encodes a state. */
export function encode(state: AccumulatorState): Uint8Array {
  const { features, moments, rows, units, classes } = state;
  const parts: Float64Array[] = moments ? [moments.shift, moments.offset, moments.scatter] : [];
  if (units) parts.push(units.counts, units.absolute, units.nonzero);
  if (classes) parts.push(classes.counts, classes.shift, classes.sums);
  const numbers = parts.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(HEADER_BYTES + numbers * 8 + (rows ? rows.byteLength : 0));
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(FAMILY + VERSION));
  view.setFloat64(8, features, true);
  view.setFloat64(16, state.rejected, true);
  view.setFloat64(24, moments?.count ?? 0, true);
  view.setUint32(32, rows ? rows.length / features : 0, true);
  view.setUint8(36, rows?.BYTES_PER_ELEMENT ?? 4);
  view.setUint8(37, precisions.indexOf(state.precision));
  view.setUint8(38, summers.indexOf(moments?.kernels));
  view.setUint8(39, units ? 1 : 0);
  view.setUint32(CLASSES_AT, classes?.counts.length ?? 0, true);
  let at = HEADER_BYTES;
  for (const part of rows ? [...parts, rows] : parts) {
    const end = at + part.byteLength;
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    inLittleEndian(bytes.subarray(at, end), part.BYTES_PER_ELEMENT);
    at = end;
  }
  view.setUint32(CHECKSUM_AT, checksumOf(bytes, CHECKSUM_AT), true);
  return bytes;
}

/** The bytes of the header. @throws RangeError that names the version or the damage */
function checkHeader(bytes: Uint8Array): number {
  const magic = String.fromCharCode(...bytes.subarray(0, FAMILY.length + VERSION.length));
  const version = magic.slice(FAMILY.length);
  const length = version === '01' ? UNCHECKED_HEADER_BYTES : HEADER_BYTES;
  if (magic.startsWith(FAMILY) && /^\d\d$/.test(version) && version !== '01' && version !== VERSION) {
    throw new RangeError(
      `fromBytes: expected version 01 or ${VERSION} of the format "${FAMILY}", got version ${version}`,
    );
  }
  if (!magic.startsWith(FAMILY) || !/^\d\d$/.test(version) || bytes.length < length) {
    throw new RangeError(
      `fromBytes: expected the bytes of CovarianceAccumulator.toBytes, which start with "${FAMILY}${VERSION}", got ${describe(bytes)}`,
    );
  }
  return length;
}

/**
 * Decodes a state.
 *
 * @param isOwn whether the state may keep the bytes and change them, so that nothing is copied
 * @throws RangeError if the bytes are not from `encode`, were cut or damaged, or hold numbers that no rows give
 */
export function decode(bytes: Uint8Array, isOwn = false): AccumulatorState {
  const header = checkHeader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const features = whole('features', view.getFloat64(8, true), 1);
  const rejected = whole('rejected rows', view.getFloat64(16, true));
  const count = whole('folded rows', view.getFloat64(24, true));
  const waiting = view.getUint32(32, true);
  const width = view.getUint8(36);
  const precision: Precision | undefined = precisions[view.getUint8(37)];
  const summer = view.getUint8(38);
  const hasUnits = view.getUint8(39);
  const labelled = header === HEADER_BYTES ? view.getUint32(CLASSES_AT, true) : 0;
  const numbers =
    (count > 0 ? 2 * features + packedLength(features) : 0) +
    hasUnits * (4 + 2 * features) +
    (labelled > 0 ? labelled + (labelled + 1) * features : 0);
  const expected = header + numbers * 8 + waiting * features * width;
  const isKnown =
    (width === 4 || width === 8) &&
    precision !== undefined &&
    hasUnits <= 1 &&
    summer < summers.length &&
    labelled <= mostClasses;
  if (!isKnown || bytes.length !== expected) {
    throw new RangeError(`fromBytes: expected ${expected} undamaged bytes, as the header says, got ${bytes.length}`);
  }
  let at = header;
  const readInto = (part: Float64Array | Float32Array) => {
    const own = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    own.set(bytes.subarray(at, at + own.length));
    inLittleEndian(own, part.BYTES_PER_ELEMENT);
    at += own.length;
  };
  const read = (length: number): Float64Array => {
    const start = bytes.byteOffset + at;
    if (isOwn && isLittleEndian && start % 8 === 0) {
      at += 8 * length;
      return new Float64Array(bytes.buffer, start, length);
    }
    const part = new Float64Array(length);
    readInto(part);
    return part;
  };
  let moments: MomentSums | undefined;
  if (count > 0) {
    const [shift, offset, scatter] = [read(features), read(features), read(packedLength(features))];
    moments = { features, count, kernels: summers[summer], shift, offset, scatter };
    checkMoments(moments, features);
  }
  let units: UnitSums | undefined;
  if (hasUnits === 1) {
    units = newUnitSums(features);
    const parts = [units.counts, units.absolute, units.nonzero];
    for (const part of parts) readInto(part);
    if (!parts.every((part) => part.every((x) => x >= 0))) {
      throw new RangeError('fromBytes: expected sums of absolute values and counts, got a negative number or a NaN');
    }
  }
  let classes: ClassSums | undefined;
  if (labelled > 0) {
    classes = {
      counts: new Float64Array(labelled),
      shift: new Float64Array(features),
      sums: new Float64Array(labelled * features),
    };
    for (const part of [classes.counts, classes.shift, classes.sums]) readInto(part);
    if (!classes.counts.every((rows) => Number.isSafeInteger(rows) && rows >= 0)) {
      throw new RangeError('fromBytes: expected numbers of rows of classes, got one that is no integer >= 0');
    }
  }
  let rows: Rows | undefined;
  if (waiting > 0) {
    rows = width === 4 ? new Float32Array(waiting * features) : new Float64Array(waiting * features);
    readInto(rows);
    if (!rows.every(Number.isFinite)) throw new RangeError('fromBytes: expected finite rows, got a NaN or an Infinity');
  }
  // Last, so that a number that no rows give is named.
  if (header === HEADER_BYTES) {
    const [noted, found] = [view.getUint32(CHECKSUM_AT, true), checksumOf(bytes, CHECKSUM_AT)];
    if (noted !== found) {
      throw new RangeError(`fromBytes: expected undamaged bytes, whose checksum is ${noted}, got bytes with ${found}`);
    }
  }
  return { features, rejected, moments, rows, precision, units, classes };
}

function whole(what: string, value: number, least = 0): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`fromBytes: expected the number of ${what} to be an integer >= ${least}, got ${value}`);
}

/** Products are rounded, by more the larger the largest variance is. */
const productTolerance = 1e-5;

/** Checks that moments are those of some rows: no variance is negative, and no covariance is beyond its two variances. */
function checkMoments({ offset, scatter, shift }: MomentSums, features: number): void {
  if (!shift.every(Number.isFinite) || offset.some(Number.isNaN)) {
    throw new RangeError('fromBytes: expected means that are numbers, got a NaN or an Infinity');
  }
  const deviations = new Float64Array(features);
  for (let i = 0; i < features; i++) {
    const variance = scatter[packedLength(i + 1) - 1];
    if (!(variance >= 0)) throw new RangeError(`fromBytes: expected variances >= 0, got ${variance} of feature ${i}`);
    deviations[i] = Math.sqrt(variance);
  }
  const slack = productTolerance * deviations.reduce((most, deviation) => Math.max(most, deviation), 0) ** 2;
  for (let i = 0, at = 0; i < features; i++) {
    for (let j = 0; j <= i; j++, at++) {
      // Sums that have left the range of numbers are Infinity, and so is the bound then.
      if (Math.abs(scatter[at]) <= deviations[i] * deviations[j] + slack || slack === Infinity) continue;
      throw new RangeError(
        `fromBytes: expected a covariance that two variances allow, got ${scatter[at]} of ${i} and ${j}`,
      );
    }
  }
}
