import { handleSignals, onExit } from '#platform';
import type { DirectoryOutput } from '../output/directory-output.js';
import type { Output } from '../output/output.js';
import type { BufferPolicy } from './record-buffer.js';
import { EventStream } from './run.js';

/** How a stream is opened. */
export interface StreamOptions extends BufferPolicy {
  filenameSuffix: string;
  handleSignals: boolean;
}

/** A stream and how many writers use it. */
interface Shared {
  stream: EventStream;
  users: number;
}

/** The streams of real folders, by path: writers of one folder share one file. */
const byFolder = new Map<string, Shared>();
/** All streams that are open; exit flushes them. */
const open = new Set<EventStream>();

/** One writer's hold on a stream. */
export interface StreamLease {
  readonly stream: EventStream;
  /** Flushes; the last one out closes the stream. */
  release(): Promise<void>;
}

/**
 * The stream of a folder. Writers of this program (and thread) that have the same real folder, by whatever path, share
 * one, whose limits are the strictest that any of them asked for.
 *
 * @param mayFail throw where the folder cannot be made; otherwise that shows when events are written
 */
export function openFolder(output: DirectoryOutput, options: StreamOptions, mayFail: boolean): StreamLease {
  const key = output.prepare(mayFail);
  let shared = byFolder.get(key);
  if (shared === undefined) {
    shared = { stream: new EventStream(output, policyOf(options)), users: 0 };
    byFolder.set(key, shared);
    keep(shared.stream, options);
  } else {
    const { policy } = shared.stream;
    policy.maxQueue = Math.min(policy.maxQueue, options.maxQueue);
    policy.flushMillis = Math.min(policy.flushMillis, options.flushMillis);
    if (options.handleSignals) handleSignals();
  }
  shared.users++;
  const { stream } = shared;
  return {
    stream,
    release() {
      shared.users--;
      if (shared.users > 0) return stream.flush();
      byFolder.delete(key);
      return close(stream);
    },
  };
}

/** A stream to an Output of the caller's. */
export function openOutput(output: Output, options: StreamOptions): StreamLease {
  const stream = new EventStream(output, policyOf(options));
  keep(stream, options);
  return { stream, release: () => close(stream) };
}

function keep(stream: EventStream, options: StreamOptions): void {
  if (open.size === 0) onExit(flushAll);
  if (options.handleSignals) handleSignals();
  open.add(stream);
}

async function close(stream: EventStream): Promise<void> {
  try {
    await stream.close();
  } finally {
    open.delete(stream);
  }
}

function flushAll(final: boolean): void {
  for (const stream of open) stream.flushSync(final);
}

function policyOf({ maxQueue, flushMillis, maxBufferedBytes, maxUnwrittenBytes }: StreamOptions): BufferPolicy {
  return { maxQueue, flushMillis, maxBufferedBytes, maxUnwrittenBytes };
}
