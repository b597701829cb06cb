import { fnv1aHex } from '../encoding/bytes.js';
import { describe } from '../errors.js';
import type { Split } from '../saturation/epoch.js';
import { type ArrayStat, arrayStats, type ScalarStat, scalarStats, statNamed, statNames } from '../saturation/stats.js';

/** What a store can hold of a layer: a single number, or an array (covariance, eigenvalues, embedded samples). */
export type StoredStat = ScalarStat | ArrayStat | 'samples' | 'features';

const counts = { samples: { column: 'samples' }, features: { column: 'features' } };

/** The part of a column's name that says which statistic it holds. */
const columns: Readonly<Record<StoredStat, { readonly column: string }>> = { ...scalarStats, ...arrayStats, ...counts };

const statOfColumn = new Map(Object.entries(columns).map(([stat, { column }]) => [column, stat as StoredStat]));

/** A statistic by this package's name or Delve's short one. @throws RangeError for any other name */
export function storedStat(name: string): StoredStat {
  const stat = Object.hasOwn(counts, name) ? (name as keyof typeof counts) : statNamed(name);
  if (stat !== undefined) return stat;
  const known = [...statNames, ...Object.keys(counts)].join(', ');
  throw new RangeError(`stats: expected names out of ${known}, got ${describe(name)}`);
}

/** Delve's column of a layer's statistic, such as `train-saturation_fc1`; the split `val` is called `eval` there. */
export function delveColumn(split: Split, stat: StoredStat, layer: string): string {
  return `${split === 'val' ? 'eval' : 'train'}-${columns[stat].column}_${layer}`;
}

/** The column of a user's own scalar: its tag, behind the split if it belongs to one, as in `eval_accuracy`. */
export function scalarColumn(tag: string, split?: Split): string {
  return split === undefined ? tag : `${split === 'val' ? 'eval' : 'train'}_${tag}`;
}

/**
 * The split, statistic and layer that a column's name holds. Returns undefined for a user's own scalar.
 *
 * @param column a name with or without Delve's leading `_`
 */
export function parseDelveColumn(column: string): { split: Split; stat: StoredStat; layer: string } | undefined {
  const match = /^_?(train|eval)-([a-z-]+)_(.*)$/s.exec(column);
  const stat = match && statOfColumn.get(match[2]);
  if (!match || !stat) return undefined;
  return { split: match[1] === 'eval' ? 'val' : 'train', stat, layer: match[3] };
}

/** Longest name in bytes: file systems allow 255, and `_epoch<k>.npy` must fit behind it. */
const longestName = 200;

/** Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file */
const namesOfDevices = /^(?:con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(?:\.|$)/i;

/**
 * A name as one part of a path, on every file system: separators, control characters, `%` and the characters that
 * Windows forbids become %XX, and so does a part of the names `.` and `..`, and of those that Windows has for devices. Names that are too long for a file are cut and end in a
 * checksum of the whole name. {@link decodeFileName} decodes all names but these.
 */
export function encodeFileName(name: string): string {
  let encoded = name.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|[%/\\:*?"<>|]/gu, percentEncode);
  if (namesOfDevices.test(encoded)) encoded = percentEncode(encoded[0]) + encoded.slice(1);
  if (/^\.{0,2}$/.test(encoded) || /[. ]$/.test(encoded)) {
    encoded = encoded === '' ? '%' : encoded.slice(0, -1) + percentEncode(encoded.slice(-1));
  }
  if (new TextEncoder().encode(encoded).length <= longestName) return encoded;
  let cut = encoded.slice(0, longestName);
  while (new TextEncoder().encode(cut).length > longestName - 9) cut = cut.slice(0, -1);
  return `${cut.replace(/%.?$|[\ud800-\udbff]$/, '')}~${fnv1aHex(name)}`;
}

/** The name that {@link encodeFileName} encoded. Returns a name that it cannot have made as it is. */
export function decodeFileName(encoded: string): string {
  if (encoded === '%') return '';
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

function percentEncode(text: string): string {
  return Array.from(
    new TextEncoder().encode(text),
    (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}
