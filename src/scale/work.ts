import { describe, messageOf } from '../errors.js';
import { kernelsName, useKernels } from '../kernels/kernels.js';
import { packageVersion, sha256, turn } from '../platform/partial-files.js';
import { random } from '../platform/random.js';
import { CovarianceAccumulator } from '../statistics/covariance.js';
import {
  DamagedPartialError,
  decodeLayer,
  decodeManifest,
  encodeLayer,
  encodeManifest,
  layerKey,
  manifestKey,
  type PartialLayer,
} from './partial.js';
import { memoryPartials, type PartialStore } from './partial-store.js';
import { checkNode, childrenOf, type Json, nameOf, type Plan, type PlanNode, rootOf, shardsOf } from './plan.js';
import { noteFailure } from './status.js';

/*
 * What a worker does for one node of a plan, whoever asks for it and however often: the partial is read where it stands, and made
 * where it does not. Engines only say which node is next.
 */

/** What a map is given besides its shard. */
export interface MapContext {
  /** The plan's `args`. */
  readonly args: Json;
  /** Aborted when the worker is told to stop: `signal.throwIfAborted()` in long steps. */
  readonly signal: AbortSignal;
  /**
   * Adds rows to a layer's moments.
   *
   * @param layer any name; the layers of all shards are merged by it
   * @param rows row-major numbers, `features` per row
   * @throws RangeError if the layer had another width before
   */
  add(layer: string, rows: ArrayLike<number>, features: number): void;
  /** Adds the moments of rows, such as `extractMoments` gives them. @throws RangeError if the layer had another width before */
  merge(layer: string, moments: CovarianceAccumulator): void;
}

/**
 * Reads a shard and adds what it holds. An async generator: it yields between batches, so that the engine's heartbeats run. The
 * same shard must always give the same rows in the same batches.
 */
export type ShardMap = (shard: string, context: MapContext) => AsyncIterable<unknown>;

/**
 * What happens to a node: a 'batch' of a shard was added; the partial was 'made', or 'found' in the store; another worker had
 * written it meanwhile with the 'same' bytes, or it 'differs' (the first one stays); it was 'damaged', and is set aside; the store
 * failed, and there is a 'retry'.
 */
export type WorkEventKind = 'batch' | 'made' | 'found' | 'same' | 'differs' | 'damaged' | 'retry';

/** What happens while a node is worked on. */
export interface WorkEvent {
  /** What. */
  readonly kind: WorkEventKind;
  /** To which node; it may be one below that which was asked for. */
  readonly node: PlanNode;
  /** Why, for 'damaged' and 'retry'. */
  readonly reason?: string;
  /** Bytes of the partial, for 'made' and 'found'. */
  readonly bytes?: number;
}

/** How to work on a node. */
export interface WorkOptions {
  /** What is done with a shard. It comes from the worker's own program, never from a queue. */
  map: ShardMap;
  /** Where partials lie. */
  store: PartialStore;
  /** Stops the work between batches; nothing is written then. */
  signal?: AbortSignal;
  /** Told what happens. */
  onEvent?: (event: WorkEvent) => void;
}

/** A node's partial as it stands in the store. */
export interface NodeReport {
  /** The plan's id. */
  readonly plan: string;
  /** Which node. */
  readonly node: PlanNode;
  /** `[first, end)` of the plan's shards. */
  readonly shards: readonly [number, number];
  /** What it holds, in the order in which the layers came up in the shards. */
  readonly layers: readonly PartialLayer[];
  /** SHA-256 of the manifest: equal for partials that are the same to the bit. */
  readonly digest: string;
  /** Whether this call made it; false if it stood there. */
  readonly isOwn: boolean;
}

/** A node could not be worked on: the message names the shards that failed, and why. Everything that was done stands. */
export class PlanError extends Error {
  /** Distinguishes this error from others even if it comes from another copy of this package. */
  override readonly name = 'PlanError';
  /** The shards that failed. */
  readonly shards: readonly string[];

  /** The message names plan and shards. */
  constructor(of: Plan, failures: readonly { shard: string; cause: unknown }[]) {
    const told = failures.slice(0, 5).map(({ shard, cause }) => `shard '${shard}': ${messageOf(cause)}`);
    const more = failures.length > told.length ? `; and ${failures.length - told.length} more` : '';
    super(`plan ${of.id}: ${told.join('; ')}${more}`, { cause: failures[0]?.cause });
    this.shards = failures.map(({ shard }) => shard);
  }
}

/** So often a store that fails is tried, and the pause before the second time. */
const attempts = 6;
const firstPauseMillis = 100;
/** So often what is damaged is made again before the store is given up. */
const healings = 5;

/**
 * Makes the partial of a node, or finds that it stands: idempotent, and what it needs of other nodes it makes if it is missing or
 * damaged. The kernels of the plan are this thread's from then on (see `useKernels`).
 *
 * @throws RangeError if the plan has no such node, its kernels do not run here, or another version of this package made it; PlanError if a shard fails;
 * RefusedPartialError for partials that are forged or have other numerics; the signal's reason; the store's error if it goes on
 * failing
 */
export async function workOn(of: Plan, node: PlanNode, options: WorkOptions): Promise<NodeReport> {
  checkNode(of, node, 'workOn');
  const version = packageVersion();
  if (of.version !== version) {
    throw new RangeError(`workOn: expected a plan of this version, ${version}, got one of ${of.version}`);
  }
  if (kernelsName() !== of.numerics.kernels) useKernels(of.numerics.kernels);
  return new Worker(of, options).ensure(node);
}

/**
 * Works on all nodes of a plan in this process, one after the other. It is the reference: whatever workers and engines do, their
 * root has the same bytes. Shards that fail do not keep the others from being done.
 *
 * @param options `store`: in memory by default
 * @returns the root
 * @throws as `workOn`
 */
export async function runLocal(
  of: Plan,
  { store = memoryPartials(), ...options }: Omit<WorkOptions, 'store'> & { store?: PartialStore },
): Promise<NodeReport> {
  const failures: { shard: string; cause: unknown }[] = [];
  for (const [index, shard] of of.shards.entries()) {
    try {
      await workOn(of, { level: 0, index }, { ...options, store });
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      failures.push({ shard, cause: error.cause });
    }
  }
  if (failures.length > 0) throw new PlanError(of, failures);
  return workOn(of, rootOf(of), { ...options, store });
}

/**
 * Reads the moments of a node that is done, layer by layer.
 *
 * @param node the root by default
 * @throws Error if it is not done; DamagedPartialError and RefusedPartialError as they come
 */
export async function* readMoments(
  of: Plan,
  store: PartialStore,
  node: PlanNode = rootOf(of),
): AsyncGenerator<[layer: string, moments: CovarianceAccumulator]> {
  checkNode(of, node, 'readMoments');
  const manifest = await store.get(manifestKey(of, node));
  if (manifest === undefined) throw new Error(`readMoments: ${nameOf(node)} of the plan ${of.id} is not done`);
  for (const entry of decodeManifest(of, node, manifest)) {
    yield [entry.layer, decodeLayer(of, node, entry, await store.get(layerKey(of, node, entry.sha256)))];
  }
}

class Worker {
  readonly #plan: Plan;
  readonly #map: ShardMap;
  readonly #store: PartialStore;
  readonly #signal: AbortSignal;
  readonly #tell: (event: WorkEvent) => void;

  constructor(of: Plan, { map, store, signal = new AbortController().signal, onEvent = () => {} }: WorkOptions) {
    this.#plan = of;
    this.#map = map;
    this.#store = store;
    this.#signal = signal;
    this.#tell = onEvent;
  }

  async ensure(node: PlanNode): Promise<NodeReport> {
    for (let healed = 0; ; healed++) {
      try {
        this.#signal.throwIfAborted();
        const standing = await this.#try(node, () => this.#store.get(manifestKey(this.#plan, node)));
        if (standing !== undefined) return this.#report(node, standing, false);
        return await this.#make(node);
      } catch (error) {
        if (!(error instanceof DamagedPartialError) || healed >= healings) throw error;
        await this.#setAside(error);
      }
    }
  }

  async #make(node: PlanNode): Promise<NodeReport> {
    const layers = node.level === 0 ? await this.#mapped(node) : await this.#merged(node);
    this.#signal.throwIfAborted();
    const manifest = encodeManifest(this.#plan, node, layers);
    for (let again = 0; ; again++) {
      const isOwn = await this.#try(node, () => this.#store.putIfAbsent(manifestKey(this.#plan, node), manifest));
      if (isOwn) return this.#report(node, manifest, true);
      // Who comes second takes what the first one wrote: the answer is what stands in the store. It may be on its way still.
      const standing = await this.#try(node, () => this.#store.get(manifestKey(this.#plan, node)));
      if (standing !== undefined) {
        const report = this.#report(node, standing, false);
        this.#tell({ kind: report.digest === sha256(manifest) ? 'same' : 'differs', node });
        return report;
      }
      if (again >= attempts) throw new Error(`partial ${nameOf(node)}: the store says that it is there, and has none`);
      await this.#pause(again);
    }
  }

  #report(node: PlanNode, manifest: Uint8Array, isOwn: boolean): NodeReport {
    const layers = decodeManifest(this.#plan, node, manifest);
    const bytes = layers.reduce((sum, layer) => sum + layer.bytes, manifest.length);
    this.#tell({ kind: isOwn ? 'made' : 'found', node, bytes });
    return {
      plan: this.#plan.id,
      node,
      shards: shardsOf(this.#plan, node),
      layers,
      digest: sha256(manifest),
      isOwn,
    };
  }

  async #mapped(node: PlanNode): Promise<PartialLayer[]> {
    const shard = this.#plan.shards[node.index];
    const { float32Products, units } = this.#plan.numerics;
    const moments = new Map<string, CovarianceAccumulator>();
    const known = (call: string, layer: string, features: number) => {
      if (typeof layer !== 'string')
        throw new TypeError(`${call}: expected the name of a layer, got ${describe(layer)}`);
      const accumulator = moments.get(layer);
      if (accumulator !== undefined && accumulator.features !== features) {
        throw new RangeError(
          `${call}: expected ${accumulator.features} features of layer '${layer}', got ${describe(features)}`,
        );
      }
      return accumulator;
    };
    const context: MapContext = {
      args: this.#plan.args,
      signal: this.#signal,
      add(layer, rows, features) {
        let accumulator = known('add', layer, features);
        if (accumulator === undefined) {
          accumulator = new CovarianceAccumulator(features, { float32Products, units });
          moments.set(layer, accumulator);
        }
        accumulator.update(rows);
      },
      merge(layer, given) {
        const accumulator = known('merge', layer, given?.features);
        // A copy: what is given stays the shard's own, which goes on with it.
        if (accumulator === undefined) moments.set(layer, CovarianceAccumulator.fromState(given.copyState()));
        else accumulator.merge(given);
      },
    };
    try {
      for await (const _ of this.#map(shard, context)) {
        this.#tell({ kind: 'batch', node });
        await turn();
        this.#signal.throwIfAborted();
      }
    } catch (cause) {
      this.#signal.throwIfAborted();
      throw await this.#failure(node, cause);
    }
    const layers: PartialLayer[] = [];
    for (const [layer, accumulator] of moments) {
      layers.push(await this.#put(node, layer, accumulator));
      moments.delete(layer); // so that no more than one layer is in memory twice
    }
    return layers;
  }

  /** What is known of a failure, kept beside the partials for whoever asks how the plan is doing. */
  async #failure(node: PlanNode, cause: unknown): Promise<PlanError> {
    await noteFailure(this.#plan, this.#store, node, cause).catch(() => {}); // the failure itself matters more
    return new PlanError(this.#plan, [{ shard: this.#plan.shards[node.index], cause }]);
  }

  async #merged(node: PlanNode): Promise<PartialLayer[]> {
    const children: { node: PlanNode; layers: ReadonlyMap<string, PartialLayer> }[] = [];
    const names = new Set<string>();
    const failures: { shard: string; cause: unknown }[] = [];
    for (const child of childrenOf(this.#plan, node)) {
      try {
        const { layers } = await this.ensure(child);
        children.push({ node: child, layers: new Map(layers.map((entry) => [entry.layer, entry])) });
        for (const { layer } of layers) names.add(layer);
      } catch (error) {
        if (!(error instanceof PlanError)) throw error;
        failures.push(...error.shards.map((shard) => ({ shard, cause: error.cause })));
      }
    }
    if (failures.length > 0) throw new PlanError(this.#plan, failures);
    const merged: PartialLayer[] = [];
    for (const layer of names) {
      let sum: CovarianceAccumulator | undefined;
      for (const child of children) {
        const entry = child.layers.get(layer);
        if (entry === undefined) continue;
        if (sum !== undefined && sum.features !== entry.features) {
          throw new RangeError(
            `partial ${nameOf(child.node)}: expected ${sum.features} features of layer '${layer}' as in the shards before, got ${entry.features}`,
          );
        }
        sum = await this.#plus(sum, child.node, entry);
        await turn();
        this.#signal.throwIfAborted();
      }
      if (sum !== undefined) merged.push(await this.#put(node, layer, sum));
    }
    return merged;
  }

  /** The sum with a layer of a partial. A function of its own, so that nothing of the partial is in memory when the next one comes. */
  async #plus(sum: CovarianceAccumulator | undefined, node: PlanNode, entry: PartialLayer) {
    const key = layerKey(this.#plan, node, entry.sha256);
    const bytes = await this.#try(node, () => this.#store.get(key));
    const moments = decodeLayer(this.#plan, node, entry, bytes, true);
    if (sum === undefined) return moments;
    sum.merge(moments);
    return sum;
  }

  async #put(node: PlanNode, layer: string, accumulator: CovarianceAccumulator): Promise<PartialLayer> {
    const { entry, bytes } = encodeLayer(this.#plan, node, layer, accumulator);
    const key = layerKey(this.#plan, node, entry.sha256);
    // The key is the bytes' digest: whoever wrote it before wrote the same.
    await this.#try(node, () => this.#store.putIfAbsent(key, bytes));
    await turn();
    return entry;
  }

  async #setAside({ node, keys, message }: DamagedPartialError): Promise<void> {
    this.#tell({ kind: 'damaged', node, reason: message });
    for (const key of keys) await this.#try(node, () => this.#store.setAside(key));
  }

  /** Asks the store, again and again if it fails. */
  async #try<T>(node: PlanNode, ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (attempt >= attempts || error instanceof TypeError) throw error;
        this.#tell({ kind: 'retry', node, reason: messageOf(error) });
        await this.#pause(attempt);
      }
    }
  }

  async #pause(attempt: number): Promise<void> {
    const millis = firstPauseMillis * 2 ** attempt * (0.5 + random());
    await new Promise((resolve) => setTimeout(resolve, millis));
    this.#signal.throwIfAborted();
  }
}
