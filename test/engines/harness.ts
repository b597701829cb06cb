import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BullmqEngineOptions, EngineEvent } from '../../src/scale/bullmq-engine.js';
import {
  folderPartials,
  type Json,
  type NodeReport,
  type Plan,
  plan,
  runLocal,
  type WorkEvent,
  type WorkEventKind,
} from '../../src/scale.js';
import { mapSynthetic } from './synthetic.mjs';

/** What a worker tells. */
export type Told =
  | EngineEvent
  | (WorkEvent & { kind: Exclude<WorkEventKind, 'batch'> })
  | { kind: 'up' }
  | { kind: 'map'; shard: string }
  | { kind: 'held'; shard: string };

/** Short enough that a test sees locks run out. */
export const quick = { lockDuration: 2000, stalledInterval: 500, backoff: 50 };

const running = new Set<WorkerProcess>();
const folders = new Set<string>();

/** Ends what the tests of a file started, and removes what they wrote. */
export async function cleanUp(): Promise<void> {
  for (const worker of running) worker.kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'delve-engines-'));
  folders.add(folder);
  return folder;
}

let plans = 0;

/** A plan of synthetic shards that no other test has. */
export function syntheticPlan(shards: number, { features = 256, batches = 10, rows = 40, fanIn = 8 } = {}): Plan {
  const args: Json = { features, batches, rows };
  const task = `synthetic ${process.pid}.${plans++}`;
  return plan({
    shards: Array.from({ length: shards }, (_, i) => `s-${String(i).padStart(6, '0')}`),
    task,
    args,
    fanIn,
  });
}

/** The reference: the plan on one machine. */
export function local(of: Plan): Promise<NodeReport> {
  return runLocal(of, { map: mapSynthetic });
}

/** A worker in a process of its own. */
export class WorkerProcess {
  readonly told: Told[] = [];
  readonly process: ChildProcess;

  private constructor(settings: object) {
    const program = fileURLToPath(new URL('./worker.mjs', import.meta.url));
    this.process = fork(program, [JSON.stringify(settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.process.on('message', (told: Told) => this.told.push(told));
    this.process.once('exit', () => running.delete(this));
    running.add(this);
  }

  /** Starts a worker, and waits until it takes nodes. */
  static async start(
    of: Plan,
    settings: {
      engine: BullmqEngineOptions;
      folder?: string;
      bucket?: object;
      poison?: string;
      holdAt?: number;
      batchMillis?: number;
    },
  ): Promise<WorkerProcess> {
    const planFile = join(temporaryFolder(), 'plan.json');
    writeFileSync(planFile, JSON.stringify(of));
    const worker = new WorkerProcess({ ...settings, planFile });
    await worker.hears('up');
    return worker;
  }

  /** Waits until the worker tells something. */
  async hears<K extends Told['kind']>(kind: K): Promise<Extract<Told, { kind: K }>> {
    return until(() => this.told.find((told): told is Extract<Told, { kind: K }> => told.kind === kind));
  }

  count(kind: Told['kind']): number {
    return this.told.filter((told) => told.kind === kind).length;
  }

  /** What a machine without power, a machine that falls asleep, and one that wakes up do. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' = 'SIGKILL'): void {
    this.process.kill(signal);
  }

  /** Tells the worker to stop, and waits until it has. */
  async close(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    await ended;
  }
}

/** Asks until there is an answer. The test's own time limit ends it. */
export async function until<T>(ask: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await sleep(20);
  }
}

/** The names of nodes whose partial stands. */
export async function standing(of: Plan, folder: string): Promise<string[]> {
  const found = await folderPartials(folder).list!(`${of.id}/`);
  return found
    .map(({ key }) => key)
    .filter((key) => key.endsWith('/manifest.json'))
    .map((key) => key.split('/')[1]);
}
