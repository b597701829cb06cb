import type { SummaryValue, TensorBoardEvent } from '../../src/event/event.js';
import type { EventInput } from '../../src/reader/byte-source.js';
import { type ReadEventsOptions, readEvents } from '../../src/reader/read-events.js';

/** Every event of a source, in order. */
export async function eventsOf(source: EventInput, options?: ReadEventsOptions): Promise<TensorBoardEvent[]> {
  const events: TensorBoardEvent[] = [];
  for await (const event of readEvents(source, options)) events.push(event);
  return events;
}

/** One summary of a run, with its step. */
export interface ReadSummary {
  tag: string;
  plugin: string;
  step: number;
  value: SummaryValue;
  description?: string;
  displayName?: string;
}

/** Every summary of a run, in the order of its files. */
export async function summariesOf(run: EventInput): Promise<ReadSummary[]> {
  const read: ReadSummary[] = [];
  for await (const { step, summary } of readEvents(run)) {
    for (const { tag, plugin, value, description, displayName } of summary ?? []) {
      read.push({ tag, plugin, step: Number(step), value, description, displayName });
    }
  }
  return read;
}

/** Steps and values of one tag. */
export function pointsOf(summaries: readonly ReadSummary[], tag: string): [number, SummaryValue][] {
  return summaries.filter((each) => each.tag === tag).map(({ step, value }) => [step, value]);
}

/** How often each tag comes at each step, as `tag@step`, for those that come more than once. */
export function repeated(summaries: readonly ReadSummary[]): string[] {
  const seen = new Map<string, number>();
  for (const { tag, step } of summaries) seen.set(`${tag}@${step}`, (seen.get(`${tag}@${step}`) ?? 0) + 1);
  return [...seen].filter(([, count]) => count > 1).map(([key]) => key);
}
