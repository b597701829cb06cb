/** The commands `run-node` and `scale`: a plan's nodes as the tasks of array jobs or of a queue, how far it is, and its answer as a run. */
import { environment } from '#platform';
import { describe, messageOf, printable } from '../errors.js';
import { openBucket } from '../reader/remote-files.js';
import { type BullmqEngine, bullmqEngine, type QueueStatus } from '../scale/bullmq-engine.js';
import { folderPartials, objectPartials, type PartialStore } from '../scale/partial-store.js';
import { type Json, levelsOf, nameOf, type Plan, type PlanNode, plan, readPlan, rootOf } from '../scale/plan.js';
import { publish } from '../scale/publish.js';
import { type PlanStatus, planStatus } from '../scale/status.js';
import { type ShardMap, type WorkEvent, workOn } from '../scale/work.js';
import { pause, readWhole, typedPath, typedSource } from './runs.js';
import { writeJson } from './table.js';
import { cut, Picture, plural, styled, type Terminal, UsageError } from './terminal.js';

/** Options of these commands, as typed. */
export interface ScaleOptions {
  args?: string;
  'fan-in'?: string;
  index?: string;
  json?: boolean;
  level?: string;
  map?: string;
  numerics?: string;
  once?: boolean;
  out?: string;
  plan?: string;
  queue?: string;
  store?: string;
  task?: string;
}

/** Variables in which schedulers of array jobs tell a task its number. */
const indexVariables = ['JOB_COMPLETION_INDEX', 'SLURM_ARRAY_TASK_ID', 'AWS_BATCH_JOB_ARRAY_INDEX'];
/** How often a store is asked how far a plan is, in milliseconds. */
const lookEvery = 2000;

/** `run-node`: resolves to the exit code, which is 1 if a shard failed and 130 if the program was told to end. */
export async function runNode(terminal: Terminal, options: ScaleOptions): Promise<number> {
  const of = await planAt(options.plan);
  const node = nodeOf(of, options);
  const map = await mapAt(terminal, options.map);
  const store = await storeAt(options.store, '--store');
  const stop = new AbortController();
  void terminal.ended().then(() => stop.abort(new Error('told to end')));
  const onEvent = tellEvents(terminal);
  try {
    const report = await workOn(of, node, { map, store, signal: stop.signal, onEvent });
    terminal.status?.('');
    const { shards, layers, digest, isOwn } = report;
    const record = { plan: of.id, node: nameOf(node), shards, isOwn, digest, layers };
    if (options.json) writeJson(terminal, [record]);
    else {
      const rows = plural(Math.max(0, ...layers.map((layer) => layer.rows)), 'row');
      const how = isOwn ? 'made' : 'stood there';
      terminal.write(`${nameOf(node)} ${how}: ${plural(layers.length, 'layer')}, ${rows}, ${digest}\n`);
    }
    return 0;
  } catch (error) {
    terminal.status?.('');
    if (stop.signal.aborted) {
      terminal.writeError(`${nameOf(node)}: told to end; nothing of it was written\n`);
      return 130;
    }
    terminal.writeError(`delve-tensorboard: ${printable(messageOf(error))}\n`);
    return 1;
  }
}

/** Shows what happens while nodes are worked on, one after the other. */
function tellEvents(terminal: Terminal): (event: WorkEvent) => void {
  let last = '';
  let batches = 0;
  return (event) => {
    const name = nameOf(event.node);
    if (event.kind === 'batch') {
      batches = name === last ? batches + 1 : 1;
      last = name;
      terminal.status?.(`${name}: ${plural(batches, 'batch', 'batches')}`);
    } else if (event.reason !== undefined) terminal.writeError(`${printable(`${event.kind}: ${event.reason}`)}\n`);
    else if (event.kind === 'differs') {
      terminal.writeError(`${name}: a second computation gave other bits; the first one stays\n`);
    }
  };
}

/** `scale plan|submit|work|status|publish`: resolves to the exit code. */
export async function scale(terminal: Terminal, words: readonly string[], options: ScaleOptions): Promise<number> {
  const [action, ...rest] = words;
  if (action === 'plan') return makePlan(terminal, rest, options);
  if (rest.length > 0) throw new UsageError(`scale ${action}: expected options alone, got "${rest[0]}"`);
  if (action === 'submit') return submitPlan(terminal, options);
  if (action === 'work') return workOnPlan(terminal, options);
  if (action === 'status') return showStatus(terminal, options);
  if (action === 'publish') return publishRoot(terminal, options);
  throw new UsageError(
    `scale: expected plan, submit, work, status or publish, got ${action === undefined ? 'nothing' : `"${action}"`}`,
  );
}

async function makePlan(terminal: Terminal, paths: readonly string[], options: ScaleOptions): Promise<number> {
  if (paths.length !== 1) throw new UsageError('scale plan: expected one file with the name of a shard on each line');
  const { task, out } = options;
  if (task === undefined) throw new UsageError('--task: expected what is done with the shards, in a word');
  const text = new TextDecoder().decode(await readWhole(typedSource(paths[0])));
  let made: Plan;
  try {
    made = plan({
      shards: text.split(/\r?\n/).filter((line) => line !== ''),
      task,
      args: jsonOf(options.args, '--args') ?? null,
      ...(options['fan-in'] === undefined ? {} : { fanIn: Number(options['fan-in']) }),
      numerics: (jsonOf(options.numerics, '--numerics') ?? {}) as Record<string, Json>,
    });
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(messageOf(error));
  }
  const json = `${JSON.stringify(made)}\n`;
  if (out === undefined) {
    terminal.write(json);
    return 0;
  }
  const path = typedPath(out, '--out');
  terminal.writeFile(path, json);
  const levels = levelsOf(made);
  if (options.json) writeJson(terminal, [{ path, plan: made.id, levels }]);
  else {
    const jobs = levels.map((nodes, level) => `level ${level}: ${plural(nodes, 'node')}`).join('; ');
    terminal.write(`${printable(path)}: plan ${made.id}; ${jobs}\n`);
  }
  return 0;
}

async function submitPlan(terminal: Terminal, options: ScaleOptions): Promise<number> {
  const of = await planAt(options.plan);
  await queueAt(terminal, options.queue).submit(of);
  const nodes = levelsOf(of).reduce((sum, level) => sum + level, 0);
  terminal.write(`plan ${of.id} is in the queue: ${plural(nodes, 'node')}\n`);
  return 0;
}

/** Resolves to 0 when the plan is done, to 1 when all that is left has failed, and to 130 if the program was told to end. */
async function workOnPlan(terminal: Terminal, options: ScaleOptions): Promise<number> {
  const of = await planAt(options.plan);
  const engine = queueAt(terminal, options.queue);
  const map = await mapAt(terminal, options.map);
  const store = await storeAt(options.store, '--store');
  const ended = terminal.ended().then(() => true);
  const workers = await engine.work(of, { map, store, onEvent: tellEvents(terminal) });
  try {
    do {
      const { root, active, waiting, failed } = await engine.status(of);
      if (root === 'completed') {
        terminal.status?.('');
        terminal.write(`plan ${of.id} is done\n`);
        return 0;
      }
      if (root === 'failed' && active + waiting === 0) {
        terminal.status?.('');
        for (const line of givenUp(of, failed)) terminal.writeError(`${line}\n`);
        return 1;
      }
    } while (!(await Promise.race([ended, pause(lookEvery)])));
    terminal.status?.('');
    terminal.writeError('told to end; what was under way goes back to the queue\n');
    return 130;
  } finally {
    await workers.close();
  }
}

/** What the queue has given up, in lines. */
function givenUp(of: Plan, failed: QueueStatus['failed']): string[] {
  const lines = failed.slice(0, 10).map(({ node, cause }) => {
    const name = node.level === 0 ? `'${printable(of.shards[node.index])}'` : nameOf(node);
    return `given up: ${name}: ${printable(cause)}`;
  });
  return failed.length > lines.length ? [...lines, `and ${failed.length - lines.length} more`] : lines;
}

async function showStatus(terminal: Terminal, options: ScaleOptions): Promise<number> {
  const of = await planAt(options.plan);
  const store = await storeAt(options.store, '--store');
  const engine = options.queue === undefined ? undefined : queueAt(terminal, options.queue);
  const first = { done: 0, at: Date.now() };
  const size = terminal.size();
  const look = async () => ({ ...(await planStatus(of, store)), queue: await engine?.status(of) });
  let status = await look();
  if (options.json || options.once || size === undefined) {
    if (options.json) writeJson(terminal, [{ ...status, task: of.task }]);
    else terminal.write(`${frameOf(terminal, of, status, undefined, 80).join('\n')}\n`);
    return hasFailed(status) ? 1 : 0;
  }
  first.done = nodesDone(status);
  const picture = new Picture(terminal);
  const ended = terminal.ended();
  try {
    for (let isEnded = false; ; status = await look()) {
      const seconds = (Date.now() - first.at) / 1000;
      const rate = seconds > 0 ? (nodesDone(status) - first.done) / seconds : 0;
      picture.draw(frameOf(terminal, of, status, rate, (terminal.size() ?? size).columns));
      if (status.isDone || isEnded) break;
      isEnded = await Promise.race([ended.then(() => true), pause(lookEvery)]);
    }
  } finally {
    picture.end();
  }
  return hasFailed(status) ? 1 : 0;
}

/** How far a plan is, as its store and its queue tell. */
type Progress = PlanStatus & { readonly queue: QueueStatus | undefined };

const hasFailed = ({ failed, queue }: Progress) => failed.length > 0 || queue?.root === 'failed';
const nodesDone = ({ levels }: PlanStatus) => levels.reduce((sum, { done }) => sum + done, 0);

/** @param rate nodes a second; undefined if it was not measured */
function frameOf(terminal: Terminal, of: Plan, status: Progress, rate: number | undefined, columns: number): string[] {
  const { levels, failed, bytes, isDone, queue } = status;
  const lines = [styled(terminal, 'bold', cut(`plan ${of.id}, ${printable(of.task)}`, columns))];
  const width = Math.max(8, Math.min(40, columns - 32));
  for (const [level, { nodes, done }] of levels.entries()) {
    const filled = Math.floor((width * done) / nodes);
    const bar = `${'█'.repeat(filled)}${styled(terminal, 'dim', '░'.repeat(width - filled))}`;
    lines.push(`  ${(level === 0 ? 'shards' : `merge ${level}`).padEnd(8)} ${bar} ${done} of ${nodes}`);
  }
  const left = levels.reduce((sum, { nodes, done }) => sum + nodes - done, 0);
  const facts = [`${(bytes / 1e6).toFixed(1)} MB of partials`];
  if (rate !== undefined && rate > 0 && left > 0) {
    facts.push(`${Number(rate.toPrecision(2))} nodes a second`, `about ${duration(left / rate)} left`);
  }
  lines.push(`  ${isDone ? styled(terminal, 'green', 'done') : `${plural(left, 'node')} to do`}; ${facts.join('; ')}`);
  for (const { shard, cause, at } of failed.slice(0, 10)) {
    const ago = duration(Math.max(0, (Date.now() - at.getTime()) / 1000));
    lines.push(cut(`  failed ${ago} ago: '${printable(shard)}': ${printable(cause)}`, Math.max(columns, 80)));
  }
  if (failed.length > 10) lines.push(`  and ${failed.length - 10} more`);
  if (queue !== undefined) {
    const { root, active, waiting } = queue;
    const nodes = `${plural(active, 'node')} under way, ${waiting} to take`;
    lines.push(`  queue: ${root === undefined ? 'the plan is not in it' : root === 'completed' ? 'done' : nodes}`);
    for (const line of givenUp(of, queue.failed)) lines.push(cut(`  ${line}`, Math.max(columns, 80)));
  }
  return lines;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

async function publishRoot(terminal: Terminal, options: ScaleOptions): Promise<number> {
  const of = await planAt(options.plan);
  const store = await storeAt(options.store, '--store');
  const logdir = await storeAt(options.out, '--out');
  const { run, path, isOwn, spectra } = await publish(of, store, logdir);
  const saturations = [...spectra].map(([layer, spectrum]) => ({
    layer,
    saturation: spectrum.saturation(0.99),
    features: spectrum.features,
    samples: spectrum.samples,
  }));
  if (options.json) writeJson(terminal, [{ run, path, isOwn, layers: saturations }]);
  else {
    for (const { layer, saturation, features, samples } of saturations) {
      terminal.write(`${printable(layer)}: saturation ${saturation.toFixed(3)} of ${features}, ${samples} rows\n`);
    }
    terminal.write(`${printable(path)}${isOwn ? '' : ' stood there'}\n`);
  }
  return 0;
}

function jsonOf(text: string | undefined, option: string): Json | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new UsageError(`${option}: expected JSON, got "${text}": ${messageOf(error)}`);
  }
}

function queueAt(terminal: Terminal, url: string | undefined): BullmqEngine {
  if (url === undefined) throw new UsageError('--queue: expected redis://<host>:<port> or postgres://…');
  if (!/^(rediss?|postgres(ql)?):\/\//.test(url)) {
    throw new UsageError(`--queue: expected redis://<host>:<port> or postgres://…, got "${url}"`);
  }
  let isReached = true;
  return bullmqEngine({
    connection: url,
    onEvent({ kind, node, attempt, reason }) {
      // A server that is away is told of once, not at every try.
      if (kind === 'connection' && !isReached) return;
      isReached = kind !== 'connection';
      if (kind === 'failed') terminal.writeError(`${node}, attempt ${attempt}: ${printable(`${reason}`)}\n`);
      else if (kind === 'stalled')
        terminal.writeError(`${node}: its worker has not been heard of; another one takes it\n`);
      else if (kind === 'lostLock') terminal.writeError(`${node}: its lock ran out; another worker may do it, too\n`);
      else terminal.writeError(`queue: ${printable(`${reason}`)}\n`);
    },
  });
}

async function planAt(path: string | undefined): Promise<Plan> {
  if (path === undefined) throw new UsageError('--plan: expected the file of a plan (scale plan makes one)');
  let text: string;
  try {
    text = new TextDecoder().decode(await readWhole(typedSource(path)));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--plan: ${messageOf(error)}`);
  }
  try {
    return readPlan(text);
  } catch (error) {
    throw new UsageError(`--plan: ${messageOf(error)}`);
  }
}

function nodeOf(of: Plan, { level, index }: ScaleOptions): PlanNode {
  if (level === undefined) throw new UsageError('--level: expected a level of the plan, from 0 (shards) up, or root');
  if (level === 'root') return rootOf(of);
  const variable = indexVariables.find((name) => environment(name) !== undefined);
  const typed = index ?? (variable && environment(variable));
  if (typed === undefined) {
    throw new UsageError(`--index: expected the node's number in its level, here or in ${indexVariables.join(', ')}`);
  }
  const number = (text: string, option: string) => {
    if (!/^\d+$/.test(text)) throw new UsageError(`${option}: expected an integer >= 0, got "${text}"`);
    return Number(text);
  };
  return { level: number(level, '--level'), index: number(typed, index === undefined ? variable! : '--index') };
}

async function mapAt(terminal: Terminal, path: string | undefined): Promise<ShardMap> {
  if (path === undefined) throw new UsageError('--map: expected a module that exports map, what is done with a shard');
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await terminal.importModule(typedPath(path, '--map'));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--map: the module "${path}" cannot be loaded: ${messageOf(error)}`);
  }
  const { map } = module;
  if (typeof map !== 'function') {
    throw new UsageError(`--map: expected the module "${path}" to export a function map, got ${describe(map)}`);
  }
  return map as ShardMap;
}

async function storeAt(place: string | undefined, option: string): Promise<PartialStore> {
  if (place === undefined) throw new UsageError(`${option}: expected a folder, s3://<bucket>/<prefix> or gs://…`);
  const bucket = await openBucket(place);
  return bucket === undefined
    ? folderPartials(typedPath(place, option))
    : objectPartials(bucket.store, { prefix: bucket.key });
}
