import { checkOptionNames, describe, messageOf, type OptionNames } from '../errors.js';
import { useKernels } from '../kernels/kernels.js';
import type { Engine, EngineWorkers } from './engine.js';
import { checkNode, childrenOf, nameOf, type Plan, type PlanNode, rootOf, shardsOf } from './plan.js';
import { type NodeReport, PlanError, type WorkOptions, workOn } from './work.js';

/*
 * Plans as flows of BullMQ: a flow is a tree of jobs, in which a job waits for its children, and so is a plan. Each plan has a
 * queue of its own. The queue holds nothing that cannot be lost: a job says which node is meant, and what comes of it lies in the
 * store of partials. So jobs that are done are removed at once, and the queue of a plan is as large as what is under way.
 *
 * A large plan does not enter the queue in one piece, which would keep Redis busy for seconds: it enters as the top of its tree.
 * The lowest nodes of that are open: the worker that takes one enters the nodes below it, and puts it back to wait for them.
 */

/**
 * What can happen in an engine's workers besides the work itself; all of it is survived. A node 'stalled': its worker died, or was
 * blocked for longer than its lock, and another one takes it. This worker has a 'lostLock': another one may have its node by now;
 * both are right, and the first one's partial counts. A node 'failed' here: it is tried again until its attempts are used up. The
 * server of the queue could not be reached, or refused something: 'connection'.
 */
export type EngineEventKind = 'stalled' | 'lostLock' | 'failed' | 'connection';

/** What happens in an engine's workers besides the work itself. */
export interface EngineEvent {
  /** What. */
  readonly kind: EngineEventKind;
  /** The name of the node, as `nameOf` gives it; not for 'connection'. */
  readonly node?: string;
  /** The how manieth attempt it was, from 1, for 'failed'. */
  readonly attempt?: number;
  /** Why, for 'failed' and 'connection'. */
  readonly reason?: string;
}

/** Options of `bullmqEngine`. */
export interface BullmqEngineOptions {
  /**
   * Where the queue is: `redis://…`, `rediss://…`, `postgres://…`; or what BullMQ takes as `connection`: options or a client of
   * ioredis, options or a pool of pg.
   */
  connection: string | object;
  /** What the connection leads to. By default what its URL says, and `'redis'`, which is Valkey too, for what is no URL. */
  backend?: 'redis' | 'postgres';
  /** Plans' queues are called so, with a hyphen and the plan's id behind it. Default 'delve'. */
  queue?: string;
  /** Nodes that a process works on at a time. Default 1: summing takes a whole core. */
  concurrency?: number;
  /**
   * Milliseconds for which a worker that says nothing keeps its node. Default 60,000. At least four times the longest time between
   * two yields of the map: a worker that does not come to renewing its lock loses its node to another one.
   */
  lockDuration?: number;
  /** Milliseconds between two searches for nodes whose lock has run out. Default 15,000. A dead worker costs the sum of both. */
  stalledInterval?: number;
  /** So many workers may die over one node before it counts as failed. Default 20; BullMQ's 1 loses nodes on machines that are taken away. */
  maxStalledCount?: number;
  /** So often a node is tried. Default 3. */
  attempts?: number;
  /** Milliseconds before a node is tried for the second time; each further pause is twice as long. Default 1000. */
  backoff?: number;
  /** Milliseconds to wait for the server when a call begins. Default 30,000. Later on it is waited for without end. */
  connectTimeout?: number;
  /** Told what happens. */
  onEvent?: (event: EngineEvent) => void;
}

/** How far a plan is, as its queue sees it. */
export interface QueueStatus {
  /** What the root is doing; undefined if the plan is not in the queue. */
  readonly root: 'waiting' | 'active' | 'completed' | 'failed' | undefined;
  /** Nodes that workers work on. */
  readonly active: number;
  /** Nodes that could be worked on, and those that wait to be tried again. */
  readonly waiting: number;
  /** Nodes that failed for good by themselves, not for what is below them: at most a thousand. */
  readonly failed: readonly FailedNode[];
}

/** A node that failed for good. */
export interface FailedNode {
  /** Which. */
  readonly node: PlanNode;
  /** Why. */
  readonly cause: string;
}

/** The engine on BullMQ. */
export interface BullmqEngine extends Engine {
  /** How far a plan is. @throws Error if the server cannot be reached */
  status(plan: Plan): Promise<QueueStatus>;
  /** Removes what the queue has of a plan. Partials stand; workers that have a node finish it. */
  remove(plan: Plan): Promise<void>;
}

const optionNames: OptionNames<BullmqEngineOptions> = {
  connection: true,
  backend: true,
  queue: true,
  concurrency: true,
  lockDuration: true,
  stalledInterval: true,
  maxStalledCount: true,
  attempts: true,
  backoff: true,
  connectTimeout: true,
  onEvent: true,
};
const numberDefaults = {
  concurrency: 1,
  lockDuration: 60_000,
  stalledInterval: 15_000,
  maxStalledCount: 20,
  attempts: 3,
  backoff: 1000,
  connectTimeout: 30_000,
};

/** At most so many jobs are entered in one step, during which the server does nothing else. */
const jobsAtOnce = 1000;
const pollMillis = 250;
/** So long the server may take to take back what workers that close have under way. */
const closeMillis = 5000;
/** A queue that has not known a plan for so long has forgotten it: between removing a plan and entering it again it does not know it either. */
const forgottenMillis = 5000;

type Bullmq = typeof import('bullmq');
type FlowJob = import('bullmq').FlowJob;
type FlowProducer = import('bullmq').FlowProducer;
type Job = import('bullmq').Job<JobData>;
type Queue = import('bullmq').Queue;
type Settings = [options: import('bullmq').QueueBaseOptions, backend?: undefined];

/** What a job says: which node it is. */
interface JobData extends PlanNode {
  /** The nodes below it are no jobs yet. */
  open?: true;
}

/** A job that is there already, to enter others below it. */
interface ParentJob {
  id: string;
  queue: string;
}

const rootStates: Readonly<Record<string, QueueStatus['root']>> = {
  'waiting-children': 'waiting',
  waiting: 'waiting',
  delayed: 'waiting',
  active: 'active',
  completed: 'completed',
  failed: 'failed',
};

/**
 * An engine on BullMQ 6, which works on Redis 6.2 or newer, on Valkey, and on PostgreSQL 13 or newer. It needs the package
 * `bullmq`, and `ioredis` or `pg`. Redis should keep an append-only file and have `maxmemory-policy noeviction`; should it lose
 * everything nevertheless, submit the plan again: only what is missing in the store is computed.
 *
 * @throws TypeError or RangeError that names the option that cannot be. The calls of the engine throw an Error that says how to
 * install a package that is missing, or that the server cannot be reached.
 */
export function bullmqEngine(options: BullmqEngineOptions): BullmqEngine {
  checkOptionNames('bullmqEngine', options, optionNames);
  const { connection, queue = 'delve', backend = backendOf(connection), onEvent = () => {} } = options;
  if ((typeof connection !== 'string' && typeof connection !== 'object') || connection === null) {
    throw new TypeError(`bullmqEngine: expected connection to be a URL or options, got ${describe(connection)}`);
  }
  if (backend !== 'redis' && backend !== 'postgres') {
    throw new RangeError(`bullmqEngine: expected backend to be 'redis' or 'postgres', got ${describe(backend)}`);
  }
  if (typeof queue !== 'string' || !/^[^:]+$/.test(queue)) {
    throw new RangeError(`bullmqEngine: expected queue to be a name without ':', got ${describe(queue)}`);
  }
  const numbers = { ...numberDefaults };
  for (const name of Object.keys(numbers) as (keyof typeof numbers)[]) {
    const value = options[name] ?? numbers[name];
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`bullmqEngine: expected ${name} to be an integer >= 1, got ${describe(value)}`);
    }
    numbers[name] = value;
  }
  return new FlowEngine({ connection, backend, queue, onEvent, ...numbers });
}

function backendOf(connection: unknown): 'redis' | 'postgres' {
  return typeof connection === 'string' && /^postgres(ql)?:/.test(connection) ? 'postgres' : 'redis';
}

class FlowEngine implements BullmqEngine {
  readonly #options: Required<BullmqEngineOptions>;

  constructor(options: Required<BullmqEngineOptions>) {
    this.#options = options;
  }

  submit(plan: Plan): Promise<void> {
    return this.#withQueue(plan, async (queue) => {
      const state = await queue.getJobState(nameOf(rootOf(plan)));
      if (state !== 'failed' && state !== 'unknown') return;
      // What is left of earlier tries would be taken for nodes of this one.
      await queue.obliterate({ force: true });
      const producer = await this.#producer();
      try {
        await producer.add(this.#flowOf(plan, rootOf(plan), levelsAtOnce(plan, rootOf(plan))));
      } finally {
        await producer.close();
      }
    });
  }

  wait(plan: Plan, { signal }: { signal?: AbortSignal } = {}): Promise<NodeReport> {
    return this.#withQueue(plan, async (queue) => {
      let knownAt = Date.now();
      for (;;) {
        const root = await this.#patiently(signal, async () => {
          const state = await queue.getJobState(nameOf(rootOf(plan)));
          return { state, job: state === 'completed' ? await queue.getJob(nameOf(rootOf(plan))) : undefined };
        });
        if (root.job) return root.job.returnvalue as NodeReport;
        if (root.state === 'failed') {
          throw failureOf(plan, await this.#patiently(signal, () => this.#failed(plan, queue)));
        }
        if (root.state !== 'unknown') knownAt = Date.now();
        else if (Date.now() - knownAt > forgottenMillis) {
          throw new Error(
            `wait: the queue '${queue.name}' does not have the plan. Submit it: what was done is found in the store`,
          );
        }
        await pause(pollMillis, signal);
      }
    });
  }

  async work(plan: Plan, options: Omit<WorkOptions, 'signal'>): Promise<EngineWorkers> {
    useKernels(plan.numerics.kernels); // or say now that they do not run here
    const { WaitingChildrenError, WaitingError, Worker } = await loadBullmq();
    const { onEvent, concurrency, lockDuration, stalledInterval, maxStalledCount } = this.#options;
    const stop = new AbortController();
    let producer: Promise<FlowProducer> | undefined;

    /** Enters the nodes below an open one. @returns whether it waits for them now */
    const enterChildren = async (job: Job, node: PlanNode, token: string): Promise<boolean> => {
      producer ??= this.#producer();
      const parent = { id: job.id as string, queue: job.queueQualifiedName };
      const levels = Math.max(levelsAtOnce(plan, node), 1) - 1;
      const flows = this.#flowsBelow(plan, node, levels, parent);
      for (let i = 0; i < flows.length; i += jobsAtOnce) {
        await (await producer).addBulk(flows.slice(i, i + jobsAtOnce));
      }
      await job.updateData(node);
      return job.moveToWaitingChildren(token);
    };

    const take = async (job: Job, token = ''): Promise<NodeReport | undefined> => {
      const { level, index, open } = job.data;
      const node = { level, index };
      try {
        checkNode(plan, node, `job ${job.id}`);
        if (open && (await enterChildren(job, node, token))) throw new WaitingChildrenError();
        const report = await workOn(plan, node, { ...options, signal: stop.signal });
        return level === rootOf(plan).level ? report : undefined;
      } catch (error) {
        if (error instanceof WaitingChildrenError) throw error;
        if (stop.signal.aborted) {
          await job.moveToWait(token); // given back: the attempt does not count
          throw new WaitingError();
        }
        // What was wrong with a shard is told as it is: `wait` says which shard it was.
        throw level === 0 && error instanceof PlanError && error.cause instanceof Error ? error.cause : error;
      }
    };

    const worker = await this.#connected(([settings, ...backend]) => {
      const limits = { concurrency, lockDuration, stalledInterval, maxStalledCount };
      return new Worker<JobData, NodeReport | undefined>(
        this.#queueName(plan),
        take,
        { ...settings, ...limits },
        ...backend,
      );
    });
    worker.on('stalled', (node) => onEvent({ kind: 'stalled', node }));
    worker.on('lockRenewalFailed', (nodes) => {
      for (const node of nodes) onEvent({ kind: 'lostLock', node });
    });
    worker.on('failed', (job, { message }) => {
      if (job) onEvent({ kind: 'failed', node: job.id as string, attempt: job.attemptsMade, reason: message });
    });
    return {
      async close() {
        // Takes no more jobs, and waits for those under way, which are given back.
        const closed = worker.close().then(() => producer?.then((each) => each.close()));
        stop.abort(new Error('the worker is closing'));
        const isClosed = new AbortController();
        // A server that is away takes nothing back: it will notice that the lock has run out.
        const late = pause(closeMillis, isClosed.signal).then(() => void worker.disconnect().catch(() => {}));
        late.catch(() => {});
        await Promise.race([closed, late]);
        isClosed.abort();
      },
    };
  }

  status(plan: Plan): Promise<QueueStatus> {
    return this.#withQueue(plan, async (queue) => {
      const [state, counts, failed] = await Promise.all([
        queue.getJobState(nameOf(rootOf(plan))),
        queue.getJobCounts('active', 'waiting', 'delayed'),
        this.#failed(plan, queue),
      ]);
      const waiting = counts.waiting + counts.delayed;
      return { root: rootStates[state], active: counts.active, waiting, failed: failed.slice(0, 1000) };
    });
  }

  remove(plan: Plan): Promise<void> {
    return this.#withQueue(plan, (queue) => queue.obliterate({ force: true }));
  }

  /**
   * The job of a node, with jobs for so many levels below it.
   *
   * @param parent for a node that is entered below one that is a job already
   */
  #flowOf(plan: Plan, node: PlanNode, levels: number, parent?: ParentJob): FlowJob {
    const { attempts, backoff } = this.#options;
    const isOpen = node.level > 0 && levels === 0;
    const isRoot = node.level === rootOf(plan).level;
    return {
      name: nameOf(node),
      queueName: this.#queueName(plan),
      data: isOpen ? { ...node, open: true } : node,
      opts: {
        jobId: nameOf(node),
        attempts,
        backoff: { type: 'exponential', delay: backoff, jitter: 0.5 },
        stackTraceLimit: 1,
        lifo: true,
        ...(parent && { parent }),
        // The root stays, to tell that the plan is in the queue, and what came of it.
        ...(!isRoot && { failParentOnFailure: true, removeOnComplete: true }),
      },
      ...(node.level > 0 && !isOpen && { children: this.#flowsBelow(plan, node, levels - 1) }),
    };
  }

  /**
   * The jobs of the nodes below one. The last one that is entered is the first one that is worked on. So what belongs to one node
   * is worked on before the next open one is taken, and the queue stays small.
   */
  #flowsBelow(plan: Plan, node: PlanNode, levels: number, parent?: ParentJob): FlowChild[] {
    return childrenOf(plan, node)
      .reverse()
      .map((child) => this.#flowOf(plan, child, levels, parent));
  }

  /** The nodes that failed by themselves: none of those below them did. */
  async #failed(plan: Plan, queue: Queue): Promise<FailedNode[]> {
    const jobs: Job[] = await queue.getFailed(0, 9999);
    const ids = new Set(jobs.map(({ id }) => id));
    return jobs
      .filter(({ data }) => !childrenOf(plan, data).some((child) => ids.has(nameOf(child))))
      .map(({ data: { level, index }, failedReason = '' }) => {
        const isStalled = /stalled more than/.test(failedReason);
        const deaths = `more than ${this.#options.maxStalledCount} workers died or were blocked: ${failedReason}`;
        return { node: { level, index }, cause: isStalled ? deaths : failedReason };
      })
      .sort((a, b) => a.node.level - b.node.level || a.node.index - b.node.index);
  }

  #queueName(plan: Plan): string {
    return `${this.#options.queue}-${plan.id}`;
  }

  async #withQueue<T>(plan: Plan, use: (queue: Queue) => Promise<T>): Promise<T> {
    const { Queue } = await loadBullmq();
    const queue = await this.#connected((settings) => new Queue(this.#queueName(plan), ...settings));
    try {
      return await use(queue);
    } finally {
      await queue.close();
    }
  }

  async #producer(): Promise<FlowProducer> {
    const { FlowProducer } = await loadBullmq();
    return this.#connected((settings) => new FlowProducer(...settings));
  }

  /** Makes something of BullMQ, and connects it. @throws Error if the server cannot be reached in time */
  async #connected<T extends Connected>(make: (settings: Settings) => T): Promise<T> {
    const { connection, backend, connectTimeout, onEvent } = this.#options;
    const made = make(await settingsOf(backend, connection));
    let last: unknown = new Error(`no answer for ${connectTimeout} ms`);
    made.on('error', (error) => {
      last = error;
      onEvent({ kind: 'connection', reason: reasonOf(error) });
    });
    const ready = new AbortController();
    try {
      const timeout = pause(connectTimeout, ready.signal).then(() => Promise.reject(last));
      await Promise.race([made.waitUntilReady(), timeout]);
      return made;
    } catch (cause) {
      made.close(true).catch(() => {}); // nobody waits for the end of what never began
      const place = typeof connection === 'string' ? connection.replace(/\/\/[^@/]*@/, '//') : backend;
      throw new Error(`bullmqEngine: expected to reach ${place}, got ${reasonOf(cause)}`, { cause });
    } finally {
      ready.abort();
    }
  }

  /** Asks the server, again and again while it cannot be reached. */
  async #patiently<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await ask();
      } catch (error) {
        this.#options.onEvent({ kind: 'connection', reason: reasonOf(error) });
        await pause(1000, signal);
      }
    }
  }
}

type FlowChild = NonNullable<FlowJob['children']>[number];

/** What can be connected. */
interface Connected {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
  close(force?: boolean): Promise<void>;
}

/** How many levels below a node can be entered in one step. */
function levelsAtOnce(plan: Plan, node: PlanNode): number {
  const [first, end] = shardsOf(plan, node);
  let jobs = 0;
  let levels = 0;
  for (let level = node.level - 1; level >= 0; level--, levels++) {
    jobs += Math.ceil((end - first) / plan.fanIn ** level);
    if (jobs > jobsAtOnce) break;
  }
  return levels;
}

function failureOf(plan: Plan, failed: readonly FailedNode[]): Error {
  const shards = failed.filter(({ node }) => node.level === 0);
  if (shards.length > 0) {
    const failures = shards.map(({ node, cause }) => ({ shard: plan.shards[node.index], cause: new Error(cause) }));
    return new PlanError(plan, failures);
  }
  const told = failed.slice(0, 5).map(({ node, cause }) => `${nameOf(node)}: ${cause}`);
  return new Error(`plan ${plan.id}: ${told.join('; ')}`);
}

async function loadBullmq(): Promise<Bullmq> {
  return import('bullmq').catch((cause) => Promise.reject(missing('bullmq', cause)));
}

/** What the constructors of BullMQ are given to find the server. */
async function settingsOf(backend: 'redis' | 'postgres', connection: string | object): Promise<Settings> {
  const isOurs = typeof connection === 'string' || Object.getPrototypeOf(connection) === Object.prototype;
  if (backend === 'redis') {
    if (isOurs) await import('ioredis').catch((cause) => Promise.reject(missing('ioredis', cause)));
    return [{ connection: typeof connection === 'string' ? { url: connection } : connection }];
  }
  const { createPostgresBackend } = await loadBullmq();
  if (isOurs) await import('pg').catch((cause) => Promise.reject(missing('pg', cause)));
  const given = typeof connection === 'string' ? { connectionString: connection } : connection;
  // The tables are made by whoever comes first. Each worker takes these connections and one more, of the few that a server has.
  const settings = isOurs ? { migrate: true, max: 2, ...given } : given;
  return [{ connection: settings }, createPostgresBackend] as unknown as Settings;
}

function missing(name: string, cause: unknown): Error {
  return new Error(`bullmqEngine needs the package ${name}: npm install ${name}. ${messageOf(cause)}`, { cause });
}

/** Words an error of a connection: that of several addresses at once has no message of its own. */
function reasonOf(error: unknown): string {
  return messageOf(error) || String((error as { code?: unknown }).code);
}

/** @throws the signal's reason */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
