import { messageOf } from '../errors.js';
import { sha256 } from '../platform/partial-files.js';
import { isSetAside, type PartialStore } from './partial-store.js';
import { levelsOf, nameOf, type Plan, type PlanNode } from './plan.js';

/** How far a level of a plan is. */
export interface LevelStatus {
  /** How many nodes it has. */
  readonly nodes: number;
  /** How many of them are done. */
  readonly done: number;
}

/** A shard that failed. */
export interface FailedShard {
  /** Its name. */
  readonly shard: string;
  /** The last cause that is known. */
  readonly cause: string;
  /** When it failed. */
  readonly at: Date;
}

/** How far a plan is, as its store tells. */
export interface PlanStatus {
  /** The plan's id. */
  readonly plan: string;
  /** From the shards up. */
  readonly levels: readonly LevelStatus[];
  /** Shards that failed and are not done yet. */
  readonly failed: readonly FailedShard[];
  /** Of all partials. */
  readonly bytes: number;
  /** Whether the root is done. */
  readonly isDone: boolean;
}

/**
 * Tells how far a plan is. It asks the store alone, so it is right with any engine, with several, and with none.
 *
 * @throws TypeError if the store cannot list
 */
export async function planStatus(of: Plan, store: PartialStore): Promise<PlanStatus> {
  if (store.list === undefined) throw new TypeError('planStatus: expected a store with list, got one without');
  const stored = await store.list(`${of.id}/`);
  const done = new Set<string>();
  const notes = new Map<string, string[]>();
  let bytes = 0;
  const failures = failuresOf(of);
  for (const { key, size } of stored) {
    if (isSetAside(key)) continue;
    if (key.startsWith(failures)) {
      const node = key.slice(failures.length).split('.')[0];
      notes.set(node, [...(notes.get(node) ?? []), key]);
      continue;
    }
    bytes += size;
    const [, node, file] = key.split('/');
    if (file === 'manifest.json') done.add(node);
  }
  const levels = levelsOf(of).map((nodes, level) => {
    let count = 0;
    for (let index = 0; index < nodes; index++) if (done.has(nameOf({ level, index }))) count++;
    return { nodes, done: count };
  });
  const failed: FailedShard[] = [];
  for (const [index, shard] of of.shards.entries()) {
    const name = nameOf({ level: 0, index });
    if (done.has(name)) continue;
    const read = await Promise.all((notes.get(name) ?? []).map((key) => readNote(store, key)));
    const last = read.sort((a, b) => b.at - a.at)[0];
    if (last !== undefined) failed.push({ shard, cause: last.cause, at: new Date(last.at) });
  }
  const isDone = levels[levels.length - 1].done === 1;
  return { plan: of.id, levels, failed, bytes, isDone };
}

/** Below it lie notes of failures: `<node>.<digest>.json`. */
const failuresOf = ({ id }: Plan) => `${id}/failures/`;

/** A note of a failure. */
interface Failure {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly cause: string;
}

/** Leaves a note that a node failed, for whoever asks how the plan is doing. */
export async function noteFailure(of: Plan, store: PartialStore, node: PlanNode, cause: unknown): Promise<void> {
  const failure: Failure = { at: Date.now(), cause: messageOf(cause) };
  const note = new TextEncoder().encode(JSON.stringify(failure));
  await store.putIfAbsent(`${failuresOf(of)}${nameOf(node)}.${sha256(note).slice(0, 16)}.json`, note);
}

/** Reads a note; one that cannot be read tells that. */
async function readNote(store: PartialStore, key: string): Promise<Failure> {
  try {
    const { at, cause } = JSON.parse(new TextDecoder().decode(await store.get(key))) as Failure;
    return { at: Number(at), cause: String(cause) };
  } catch (error) {
    return { at: 0, cause: `a note that cannot be read (${messageOf(error)})` };
  }
}
