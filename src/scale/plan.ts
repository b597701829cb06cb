import { checkOptionNames, describe, messageOf, type OptionNames } from '../errors.js';
import type { KernelsName } from '../kernels/moments.js';
import { packageVersion, sha256 } from '../platform/partial-files.js';

/*
 * A plan is data: which shards there are, in which order they count, how their moments are merged, and with what numerics. The
 * answer is a function of the data and the plan alone: of no engine, no number of workers, no order of arrival.
 */

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What decides the last bits of sums. */
export interface Numerics {
  /** The kernels that sum. Default 'wasm', which run on every engine; 'wasm-fma' are faster where they run. */
  readonly kernels: KernelsName;
  /** As `AccumulatorOptions.float32Products`. Default false. */
  readonly float32Products: boolean;
  /** As `AccumulatorOptions.units`. Default false. */
  readonly units: boolean;
  /** Anything else that decides bits where the shards are mapped, such as the size of a batch. */
  readonly [name: string]: Json;
}

/** What a plan is made of. */
export interface PlanOptions {
  /** Names of the parts of the data, such as paths; each is mapped by one call. They count in the order of their characters. */
  shards: Iterable<string>;
  /** What is done with a shard, in words of your own: plans with different tasks share nothing. */
  task: string;
  /** What the map is given besides the shard. */
  args?: Json;
  /** So many partials are merged to one. 2 or more; 16 by default. */
  fanIn?: number;
  /** What decides the last bits of sums. */
  numerics?: Partial<Numerics>;
}

/** A plan. It is plain data: `JSON.stringify` writes it, and `readPlan` reads it. */
export interface Plan {
  /** Of the format of plans. */
  readonly format: 1;
  /** Digest of everything else: whatever differs makes another plan, whose partials are not mixed with this one's. */
  readonly id: string;
  /** What is done with a shard. */
  readonly task: string;
  /** What the map is given besides the shard. */
  readonly args: Json;
  /** Sorted. */
  readonly shards: readonly string[];
  /** So many partials are merged to one. */
  readonly fanIn: number;
  /** What decides the last bits of sums. */
  readonly numerics: Numerics;
  /** The version of this package: another one's partials are not mixed with this one's. */
  readonly version: string;
}

/** A node of a plan's merge tree: at level 0 a shard is mapped, above it up to `fanIn` nodes of the level below are merged. */
export interface PlanNode {
  /** From 0, where shards are mapped, to the root's. */
  readonly level: number;
  /** From 0, within the level. */
  readonly index: number;
}

const optionNames: OptionNames<PlanOptions> = { shards: true, task: true, args: true, fanIn: true, numerics: true };
const kernelNames: readonly KernelsName[] = ['wasm', 'wasm-fma', 'typescript'];

/**
 * Makes a plan.
 *
 * @throws TypeError or RangeError that names the option that cannot be
 */
export function plan(options: PlanOptions): Plan {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`plan: expected options, got ${describe(options)}`);
  }
  checkOptionNames('plan', options, optionNames);
  const { shards, task, args = null, fanIn = 16, numerics = {} } = options;
  if (typeof shards !== 'object' || shards === null || !(Symbol.iterator in shards)) {
    throw new TypeError(`plan: expected shards to be names, got ${describe(shards)}`);
  }
  return withId({
    format: 1,
    task,
    args,
    shards: [...shards].sort(),
    fanIn,
    numerics: { kernels: 'wasm', float32Products: false, units: false, ...numerics },
    version: packageVersion(),
  });
}

/**
 * Reads a plan that was written as JSON.
 *
 * @param json the text, or what `JSON.parse` made of it
 * @throws TypeError or RangeError that says what is wrong with it, also if it was changed after it was made
 */
export function readPlan(json: unknown): Plan {
  let read = json;
  if (typeof json === 'string') {
    try {
      read = JSON.parse(json);
    } catch (cause) {
      throw new RangeError(`readPlan: expected JSON, got ${messageOf(cause)}`, { cause });
    }
  }
  if (typeof read !== 'object' || read === null) {
    throw new TypeError(`readPlan: expected a plan, got ${describe(read)}`);
  }
  const { id, format, task, args = null, shards, fanIn, numerics, version } = read as Plan;
  if (format !== 1) throw new RangeError(`readPlan: expected a plan of format 1, got format ${describe(format)}`);
  if (!Array.isArray(shards)) {
    throw new TypeError(`readPlan: expected shards to be names, got ${describe(shards)}`);
  }
  const checked = withId({ format, task, args, shards: [...shards].sort(), fanIn, numerics, version });
  if (checked.id !== id) {
    throw new RangeError(
      `readPlan: expected the id ${checked.id}, which fits what the plan holds, got ${describe(id)}`,
    );
  }
  return checked;
}

/** Checks a plan and gives it its id. */
function withId(content: Omit<Plan, 'id'>): Plan {
  const { task, shards, fanIn, numerics, version } = content;
  if (typeof task !== 'string' || task === '') {
    throw new TypeError(`plan: expected task to be a name, got ${describe(task)}`);
  }
  if (shards.length === 0) throw new RangeError('plan: expected one shard or more, got none');
  for (const [i, shard] of shards.entries()) {
    if (typeof shard !== 'string' || shard === '') {
      throw new TypeError(`plan: expected the name of a shard, got ${describe(shard)}`);
    }
    if (shard === shards[i - 1]) throw new RangeError(`plan: expected each shard once, got '${shard}' again`);
  }
  if (!Number.isSafeInteger(fanIn) || fanIn < 2) {
    throw new RangeError(`plan: expected fanIn to be an integer >= 2, got ${describe(fanIn)}`);
  }
  if (!kernelNames.includes(numerics?.kernels)) {
    throw new RangeError(
      `plan: expected numerics.kernels to be one of ${kernelNames.join(', ')}, got ${describe(numerics?.kernels)}`,
    );
  }
  for (const name of ['float32Products', 'units'] as const) {
    if (typeof numerics[name] !== 'boolean') {
      throw new TypeError(`plan: expected numerics.${name} to be true or false, got ${describe(numerics[name])}`);
    }
  }
  if (typeof version !== 'string') throw new TypeError(`plan: expected a version, got ${describe(version)}`);
  return { ...content, id: sha256(canonical(content as unknown as Json, 'plan')).slice(0, 20) };
}

/** JSON in which the same content always has the same characters. @throws TypeError that names what JSON cannot hold */
function canonical(value: Json | undefined, path: string): string {
  if (Array.isArray(value)) return `[${value.map((item, i) => canonical(item, `${path}[${i}]`)).join()}]`;
  if (typeof value === 'object' && value !== null) {
    if (![Object.prototype, null].includes(Object.getPrototypeOf(value))) throw unfit(value, path);
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item, `${path}.${name}`)}`).join()}}`;
  }
  const isNoNumber = typeof value === 'number' && !Number.isFinite(value);
  if (isNoNumber || (value !== null && !['boolean', 'number', 'string'].includes(typeof value)))
    throw unfit(value, path);
  return JSON.stringify(value);
}

function unfit(value: unknown, path: string): TypeError {
  return new TypeError(`${path}: expected what JSON can hold, got ${describe(value)}`);
}

/** How many nodes each level of a plan's tree has, from the shards (level 0) up to the root. */
export function levelsOf({ shards, fanIn }: Plan): number[] {
  const levels = [shards.length];
  for (let nodes = shards.length; nodes > 1; levels.push(nodes)) nodes = Math.ceil(nodes / fanIn);
  return levels;
}

/** The node whose partial is the plan's answer. */
export function rootOf(of: Plan): PlanNode {
  return { level: levelsOf(of).length - 1, index: 0 };
}

/** The nodes that a node merges, in the order in which they are merged; none at level 0. */
export function childrenOf(of: Plan, { level, index }: PlanNode): PlanNode[] {
  if (level === 0) return [];
  const first = index * of.fanIn;
  const end = Math.min(first + of.fanIn, levelsOf(of)[level - 1]);
  return Array.from({ length: end - first }, (_, i) => ({ level: level - 1, index: first + i }));
}

/** `[first, end)` of the shards, as the plan numbers them, that a node stands for. */
export function shardsOf({ shards, fanIn }: Plan, { level, index }: PlanNode): [first: number, end: number] {
  const width = fanIn ** level;
  return [index * width, Math.min((index + 1) * width, shards.length)];
}

/** A node's name, which sorts as its index does: `map-000003`, `merge-1-000000`. */
export function nameOf({ level, index }: PlanNode): string {
  const digits = String(index).padStart(6, '0');
  return level === 0 ? `map-${digits}` : `merge-${level}-${digits}`;
}

/** Checks that a plan has a node. @throws RangeError that says which it has */
export function checkNode(of: Plan, node: PlanNode, call: string): void {
  const levels = levelsOf(of);
  const has = (value: number, count: number) => Number.isInteger(value) && value >= 0 && value < count;
  if (!has(node?.level, levels.length)) {
    throw new RangeError(`${call}: expected a level from 0 to ${levels.length - 1}, got ${describe(node?.level)}`);
  }
  if (!has(node.index, levels[node.level])) {
    const last = levels[node.level] - 1;
    throw new RangeError(
      `${call}: expected an index from 0 to ${last} at level ${node.level}, got ${describe(node.index)}`,
    );
  }
}
