import { environment } from '#platform';
import { describe } from '../errors.js';
import { hmacSha256, isSameDigest, sha256 } from '../platform/partial-files.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import { nameOf, type Plan, type PlanNode, shardsOf } from './plan.js';

/*
 * A partial: the moments of some shards, layer by layer. Each layer is an object of its own, the bytes of its accumulator
 * under a key that is their digest; the manifest, written last, says which objects belong to the node. So whoever finds a
 * manifest finds all of it, a second computation overwrites nothing, and a layer is merged without the others in memory.
 *
 *   <plan id>/<node>/manifest.json
 *   <plan id>/<node>/<first 32 digits of the SHA-256>.moments
 */

/** The moments of one layer in a partial. */
export interface PartialLayer {
  /** The layer's name. */
  readonly layer: string;
  /** Width of the layer. */
  readonly features: number;
  /** Rows used. */
  readonly rows: number;
  /** Rows left out because they held a NaN or an Infinity. */
  readonly rejected: number;
  /** Length of the accumulator's bytes. */
  readonly bytes: number;
  /** SHA-256 of these bytes, in hexadecimal digits. */
  readonly sha256: string;
}

/** What a manifest says. */
interface Manifest {
  readonly format: typeof format;
  readonly plan: string;
  readonly node: string;
  /** `[first, end)` of the plan's shards. */
  readonly shards: readonly [number, number];
  readonly layers: readonly PartialLayer[];
  /** HMAC with SHA-256 over all above; absent without a key. */
  readonly mac?: string;
}

const format = 'delve-partial/1';
/** The variable of the environment that holds the key of manifests. */
const keyVariable = 'DELVE_PARTIAL_KEY';

/** A partial is not what its node wrote: it is set aside and made again. */
export class DamagedPartialError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'DamagedPartialError';
  /** The node that it belongs to. */
  readonly node: PlanNode;
  /** The keys of what is damaged. */
  readonly keys: readonly string[];

  /** The message names the node and says what is wrong. */
  constructor(node: PlanNode, keys: readonly string[], reason: string) {
    super(`partial ${nameOf(node)}: ${reason}`);
    this.node = node;
    this.keys = keys;
  }
}

/** A partial that no worker with this key has written, or one with other numerics: it is refused, and stays where it is. */
export class RefusedPartialError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'RefusedPartialError';

  /** The message names the node and says what is wrong. */
  constructor(node: PlanNode, reason: string) {
    super(`partial ${nameOf(node)}: ${reason}`);
  }
}

/** The key of a node's manifest. */
export function manifestKey(of: Plan, node: PlanNode): string {
  return `${of.id}/${nameOf(node)}/manifest.json`;
}

/** The key of a layer's moments. */
export function layerKey(of: Plan, node: PlanNode, digest: string): string {
  return `${of.id}/${nameOf(node)}/${digest.slice(0, 32)}.moments`;
}

/**
 * Writes a layer's moments as bytes.
 *
 * @throws RefusedPartialError if other kernels summed than the plan names
 */
export function encodeLayer(
  of: Plan,
  node: PlanNode,
  layer: string,
  accumulator: CovarianceAccumulator,
): { entry: PartialLayer; bytes: Uint8Array } {
  checkNumerics(of, node, layer, accumulator);
  const bytes = accumulator.toBytes();
  const { features, count: rows, rejected } = accumulator;
  return { entry: { layer, features, rows, rejected, bytes: bytes.length, sha256: sha256(bytes) }, bytes };
}

/**
 * Reads a layer's moments.
 *
 * @param isOwn whether they may keep the bytes, and change them
 * @throws DamagedPartialError if the bytes are not those that the manifest means, RefusedPartialError for other numerics
 */
export function decodeLayer(
  of: Plan,
  node: PlanNode,
  entry: PartialLayer,
  bytes: Uint8Array | undefined,
  isOwn = false,
): CovarianceAccumulator {
  const bad = (reason: string) =>
    new DamagedPartialError(
      node,
      [layerKey(of, node, entry.sha256), manifestKey(of, node)],
      `layer '${entry.layer}' ${reason}`,
    );
  if (bytes === undefined) throw bad('is missing');
  if (bytes.length !== entry.bytes) throw bad(`has ${bytes.length} bytes, not ${entry.bytes}`);
  if (!isSameDigest(sha256(bytes), entry.sha256)) throw bad('is damaged: its digest does not fit');
  let accumulator: CovarianceAccumulator;
  try {
    accumulator = isOwn ? CovarianceAccumulator.fromOwnBytes(bytes) : CovarianceAccumulator.fromBytes(bytes);
  } catch (error) {
    throw bad(`cannot be read: ${(error as Error).message}`);
  }
  const { features, count, rejected } = accumulator;
  if (features !== entry.features || count !== entry.rows || rejected !== entry.rejected) {
    throw bad(
      `has ${count} rows of ${features} (${rejected} rejected), not ${entry.rows} of ${entry.features} (${entry.rejected})`,
    );
  }
  checkNumerics(of, node, entry.layer, accumulator);
  return accumulator;
}

/** Checks that sums have the bits that the plan promises. @throws RefusedPartialError */
function checkNumerics(of: Plan, node: PlanNode, layer: string, { kernels, precision }: CovarianceAccumulator): void {
  const { numerics } = of;
  const made = (by: string, expected: string) =>
    new RefusedPartialError(node, `layer '${layer}' was summed with ${by}, the plan says ${expected}`);
  // Rows that wait are not summed yet, by whatever kernels.
  if (kernels !== undefined && kernels !== numerics.kernels) {
    throw made(kernels === 'several' ? 'several kernels' : `the kernels '${kernels}'`, `'${numerics.kernels}'`);
  }
  if (precision === 'float32 products' && !numerics.float32Products) throw made('float32 products', 'float64 products');
}

/** Writes a manifest. The same partial has always the same bytes. */
export function encodeManifest(of: Plan, node: PlanNode, layers: readonly PartialLayer[]): Uint8Array {
  const content: Manifest = { format, plan: of.id, node: nameOf(node), shards: shardsOf(of, node), layers };
  const key = environment(keyVariable);
  const signed = key === undefined ? content : { ...content, mac: macOf(key, content) };
  return new TextEncoder().encode(`${JSON.stringify(signed)}\n`);
}

/**
 * Reads a manifest.
 *
 * @throws DamagedPartialError if it is not a whole manifest of this node, RefusedPartialError if this worker has a key and the
 * manifest is not signed with it
 */
export function decodeManifest(of: Plan, node: PlanNode, bytes: Uint8Array): readonly PartialLayer[] {
  const bad = (reason: string) => new DamagedPartialError(node, [manifestKey(of, node)], reason);
  let read: Manifest | null;
  try {
    read = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad('its manifest is damaged');
  }
  if (read?.format !== format) throw bad(`its manifest has the format ${describe(read?.format)}, not '${format}'`);
  const key = environment(keyVariable);
  if (key !== undefined) {
    const { mac, ...content } = read;
    if (typeof mac !== 'string') throw new RefusedPartialError(node, `is not signed, and ${keyVariable} is set here`);
    if (!isSameDigest(mac, macOf(key, content))) {
      throw new RefusedPartialError(node, `its signature does not fit: it is forged, or ${keyVariable} differs here`);
    }
  }
  const [first, end] = shardsOf(of, node);
  if (read.plan !== of.id || read.node !== nameOf(node)) throw bad(`is ${read.node} of the plan ${read.plan}`);
  if (read.shards?.[0] !== first || read.shards[1] !== end) {
    throw bad(`stands for the shards ${describe(String(read.shards))}, not ${first},${end}`);
  }
  const { layers } = read;
  if (
    !Array.isArray(layers) ||
    !layers.every(isLayer) ||
    new Set(layers.map(({ layer }) => layer)).size < layers.length
  )
    throw bad('its list of layers is damaged');
  return layers;
}

function isLayer(entry: PartialLayer | null): entry is PartialLayer {
  const counts = [entry?.features, entry?.rows, entry?.rejected, entry?.bytes];
  const areCounts = counts.every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
  return areCounts && typeof entry?.layer === 'string' && /^[0-9a-f]{64}$/.test(entry.sha256);
}

function macOf(key: string, content: Omit<Manifest, 'mac'>): string {
  const { format, plan, node, shards, layers } = content;
  return hmacSha256(key, JSON.stringify([format, plan, node, shards, layers]));
}
