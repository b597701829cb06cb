import { concat } from '../encoding/bytes.js';
import { crc32c } from '../encoding/crc32c.js';
import { describe, messageOf } from '../errors.js';
import type { Split } from '../saturation/epoch.js';
import type { BytesOptions } from '../statistics/accumulator-state.js';
import { LayerSums, type PartName, partNames } from './layer-sums.js';
import { independentPerItem } from './samples.js';

/*
 * A tracker in the middle of an epoch, written as bytes and read back: another process can go on from there, or add them to its own.
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
  /** Whether it is a name given to `observe`, and no layer of the model; absent in states from before this was noted. */
  observed?: boolean;
  sums: LayerSums;
}

/**
 * Checks that a state comes from a model with these layers.
 *
 * @param call what was given the state, for the error
 * @param widths the layers' names, with the number of features where it is known
 * @throws RangeError that names a layer that is another model's
 */
export function checkFits(
  call: string,
  saved: readonly SavedLayer[],
  widths: ReadonlyMap<string, number | undefined>,
): void {
  for (const { layer, split, observed, sums } of saved) {
    // Who knows no layers beforehand takes any.
    if (observed === false && widths.size > 0 && !widths.has(layer)) {
      const known = [...widths.keys()].slice(0, 10).map((name) => `'${name}'`);
      const more = widths.size > known.length ? ` and ${widths.size - known.length} more` : '';
      throw new RangeError(
        `${call}: expected the layers that are tracked (${known.join(', ')}${more}), got '${layer}' (${split})`,
      );
    }
    checkWidth(call, { layer, split, sums }, widths.get(layer));
  }
}

/** @throws RangeError that names the layer if it has other features than are known of it */
export function checkWidth(
  call: string,
  { layer, split, sums }: Pick<SavedLayer, 'layer' | 'split' | 'sums'>,
  width: number | undefined,
): void {
  if (width === undefined || width === sums.features) return;
  throw new RangeError(`${call}: expected ${width} features of layer '${layer}' (${split}), got ${sums.features}`);
}

/** What a tracker needs in order to go on in another process. */
export interface SavedState {
  /** The epoch that was being recorded, from 0. */
  epoch: number;
  layers: SavedLayer[];
}

/*
 * The format: the line "delve-tracker/2" with the CRC-32C of the next line in hexadecimal digits, a line of JSON that says which
 * layers there are and how long their parts are, then the parts of one layer after another, in the order of `partNames`. Spaces
 * before the second line's end let parts begin at a multiple of 8 bytes. Version 1 had no checksum there, and accumulators only.
 */
const magic = 'delve-tracker/';
/** The first lines: the version, and in version 2 the checksum. */
const firstLine = /^delve-tracker\/(?:(1)|(2) ([0-9a-f]{8}))$/;

/** A layer in the line of JSON. */
interface SavedEntry extends Omit<SavedLayer, 'sums'> {
  /** Length of each part; in version 1 of the accumulator. */
  bytes: Partial<Record<PartName, number>> | number;
}

/** Encodes a state. @throws RangeError that names a layer of which there can be no bytes without rows */
export function encodeState(state: SavedState, options: BytesOptions = {}): Uint8Array {
  const bodies: Uint8Array[] = [];
  const entries = state.layers.map(({ sums, ...entry }) => {
    const parts = named('take', entry, () => sums.toParts(options));
    bodies.push(...parts.values());
    const bytes = Object.fromEntries([...parts].map(([part, { length }]) => [part, length]));
    return { ...entry, bytes };
  });
  const json = new TextEncoder().encode(JSON.stringify({ epoch: state.epoch, entries }));
  const firstLength = magic.length + '2 12345678\n'.length;
  const head = new Uint8Array(Math.ceil((firstLength + json.length + 1) / 8) * 8).fill(32);
  head.set(json, firstLength);
  head[head.length - 1] = 10;
  const checksum = crc32c(head, firstLength, head.length - 1)
    .toString(16)
    .padStart(8, '0');
  head.set(new TextEncoder().encode(`${magic}2 ${checksum}\n`));
  return concat([head, ...bodies]);
}

function headOf(call: string, json: string): { epoch: number; entries: SavedEntry[] } {
  let head: { epoch: number; entries: SavedEntry[] } | null;
  try {
    head = JSON.parse(json);
  } catch (cause) {
    throw new RangeError(`${call}: expected a list of layers, got damaged bytes`, { cause });
  }
  if (!Array.isArray(head?.entries)) throw new RangeError(`${call}: expected a list of layers, got none`);
  return head;
}

/** Checks what is known of a layer. @throws RangeError that names what is wrong */
function checkEntry(call: string, entry: SavedEntry | null): asserts entry is SavedEntry {
  if (typeof entry?.layer !== 'string') {
    throw new RangeError(`${call}: expected the name of a layer, got ${describe(entry?.layer)}`);
  }
  const { split, layer, passes, items, bytes, rows, effectiveRows, observed } = entry;
  if (split !== 'train' && split !== 'val') {
    throw new RangeError(`${call}: expected layer '${layer}' in the split train or val, got ${describe(split)}`);
  }
  for (const [name, value] of Object.entries({ passes, items, rows: rows ?? 0 })) checkCount(call, value, name, layer);
  const lengths = lengthsOf(entry);
  for (const [part, length] of Object.entries(lengths)) checkCount(call, length, `${part} bytes`, layer);
  const parts = Object.keys(lengths);
  if (parts.length === 0 || parts.some((part) => !(partNames as readonly string[]).includes(part))) {
    throw new RangeError(`${call}: expected lengths of parts of layer '${layer}', got ${JSON.stringify(bytes)}`);
  }
  if (observed !== undefined && typeof observed !== 'boolean') {
    throw new RangeError(
      `${call}: expected observed of layer '${layer}' to be true or false, got ${describe(observed)}`,
    );
  }
  if (effectiveRows !== undefined && !(Number.isFinite(effectiveRows) && effectiveRows >= 0)) {
    throw new RangeError(`${call}: expected effectiveRows >= 0 of layer '${layer}', got ${describe(effectiveRows)}`);
  }
}

function lengthsOf({ bytes }: SavedEntry): Partial<Record<PartName, number>> {
  return typeof bytes === 'object' && bytes !== null ? bytes : { accumulator: bytes };
}

function checkCount(call: string, value: unknown, name: string, layer?: string): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return;
  const where = layer === undefined ? '' : ` of layer '${layer}'`;
  throw new RangeError(`${call}: expected ${name}${where} to be an integer >= 0, got ${describe(value)}`);
}

/**
 * Decodes a state.
 *
 * @param call what was given the bytes, for the error
 * @throws TypeError if these are no bytes, RangeError if they are not a whole state that can be
 */
export function decodeState(bytes: Uint8Array, call = 'restore'): SavedState {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`${call}: expected the bytes of toBytes() or take(), got ${describe(bytes)}`);
  }
  const lineEnd = bytes.indexOf(10);
  const first = firstLine.exec(new TextDecoder().decode(bytes.subarray(0, Math.max(0, Math.min(lineEnd, 64)))));
  const end = bytes.indexOf(10, lineEnd + 1);
  if (first === null || end < 0) {
    throw new RangeError(`${call}: expected the bytes of toBytes() or take(), got bytes that start otherwise`);
  }
  const line = bytes.subarray(lineEnd + 1, end);
  if (first[2] !== undefined && Number.parseInt(first[3], 16) !== crc32c(line)) {
    throw new RangeError(`${call}: expected a list of layers whose checksum is ${first[3]}, got damaged bytes`);
  }
  const { entries, epoch } = headOf(call, new TextDecoder().decode(line));
  checkCount(call, epoch, 'the epoch');
  let at = end + 1;
  const known = new Set<string>();
  const layers = entries.map((saved) => {
    checkEntry(call, saved);
    const { bytes: _lengths, ...entry } = saved;
    const { layer, split } = entry;
    const lengths = lengthsOf(saved);
    const parts = new Map<PartName, Uint8Array>();
    for (const part of partNames) {
      const length = lengths[part];
      if (length === undefined) continue;
      // Not copied: every number is read out of it.
      parts.set(part, bytes.subarray(at, at + length));
      at += length;
    }
    if (at > bytes.length) {
      throw new RangeError(
        `${call}: expected ${at} bytes up to the end of layer '${layer}' (${split}), got ${bytes.length}`,
      );
    }
    if (known.has(`${split}/${layer}`))
      throw new RangeError(`${call}: expected layer '${layer}' (${split}) once, got it again`);
    known.add(`${split}/${layer}`);
    const sums = LayerSums.fromParts(parts);
    checkParts(call, entry, sums);
    return { ...entry, sums };
  });
  if (at !== bytes.length) throw new RangeError(`${call}: expected ${at} bytes, got ${bytes.length}`);
  return { epoch, layers };
}

/** Checks that the parts of a layer are of the same rows, and of no more than are noted. */
function checkParts(call: string, entry: Omit<SavedLayer, 'sums'>, sums: LayerSums): void {
  const { layer, split } = entry;
  const { features, used } = sums;
  const widths = [sums.rows?.features, sums.predicted?.features].filter((width) => width !== undefined);
  if (features === undefined || widths.some((width) => width !== features)) {
    throw new RangeError(
      `${call}: expected sums of as many features as there are of layer '${layer}' (${split}), ${features}, got ${widths}`,
    );
  }
  const { rows = used, effectiveRows = 0 } = entry;
  if (rows < used || effectiveRows > rows * (1 + 1e-9)) {
    throw new RangeError(
      `${call}: expected ${used} rows or more of layer '${layer}' (${split}), worth no more than they are, got ${rows}, worth ${effectiveRows}`,
    );
  }
}

/**
 * Adds layers to others, one after another in the order given. A layer that is in one of both only is taken as it is.
 *
 * @param into receives them, by `split/layer`
 * @throws RangeError that names a layer whose widths differ, or whose sums cannot be merged
 */
export function mergeLayers(call: string, into: Map<string, SavedLayer>, layers: readonly SavedLayer[]): void {
  for (const saved of layers) {
    const known = into.get(`${saved.split}/${saved.layer}`);
    checkWidth(call, saved, known?.sums.features);
    if (known) named(call, saved, () => known.sums.checkMerge(saved.sums));
  }
  for (const saved of layers) {
    const key = `${saved.split}/${saved.layer}`;
    const known = into.get(key);
    if (known === undefined) {
      into.set(key, { ...saved, ...rowsOf(saved) });
      continue;
    }
    known.sums.merge(saved.sums);
    const [own, added] = [rowsOf(known), rowsOf(saved)];
    into.set(key, {
      ...known,
      passes: known.passes + saved.passes,
      items: known.items + saved.items,
      rows: own.rows + added.rows,
      effectiveRows: own.effectiveRows + added.effectiveRows,
    });
  }
}

/** Does something with the sums of a layer. @throws RangeError that names it if that throws */
export function named<T>(call: string, { layer, split }: Pick<SavedLayer, 'layer' | 'split'>, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new RangeError(`${call}: layer '${layer}' (${split}): ${messageOf(cause)}`, { cause });
  }
}

/** How many rows a layer's sums are of, and what they are worth; states from before these were counted say less. */
export function rowsOf({ rows, effectiveRows, items, sums }: SavedLayer): { rows: number; effectiveRows: number } {
  const all = rows ?? sums.offered;
  return { rows: all, effectiveRows: effectiveRows ?? Math.min(all, items * independentPerItem) };
}

/**
 * The rows of several processes as one state: what `take()` or `toBytes()` of trackers and recorders gave, merged in the order
 * given. That order decides the last bits, so give it the same everywhere. Layers that are not in all of them are kept as they
 * are, the epoch is the first one's, and one state in comes out as it is.
 *
 * A state may itself be a merged one, so that many merge in a tree.
 *
 * @returns bytes for `merge()`, `restore()` and `mergeStates`
 * @throws TypeError if one is no bytes, RangeError if there is none, one is damaged, or a layer's widths differ; errors name the layer
 */
export function mergeStates(states: Iterable<Uint8Array>): Uint8Array {
  if (states instanceof Uint8Array || typeof states?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`mergeStates: expected several states, each of bytes, got ${describe(states)}`);
  }
  const merged = new Map<string, SavedLayer>();
  let epoch: number | undefined;
  for (const bytes of states) {
    const state = decodeState(bytes, 'mergeStates');
    epoch ??= state.epoch;
    mergeLayers('mergeStates', merged, state.layers);
  }
  if (epoch === undefined) throw new RangeError('mergeStates: expected one state or more, got none');
  return encodeState({ epoch, layers: [...merged.values()] });
}
