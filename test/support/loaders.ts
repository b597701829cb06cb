import { concat } from '../../src/encoding/bytes.js';
import { encodeMessage } from '../../src/encoding/message-codec.js';
import { frameRecord } from '../../src/encoding/record.js';
import { stepProto } from '../../src/event/encode-event.js';
import type { Step } from '../../src/event/event.js';
import { tensorboard } from '../../src/proto/tensorboard.js';

/** A record of an event file, as far as TensorBoard's loaders look at it to decide which points they show. */
export interface TestRecord {
  step?: Step;
  wallTime?: number;
  fileVersion?: string;
  /** Whether it is a SessionLog with the status START. */
  start?: boolean;
  /** Tags and numbers of its points. Numbers are unique. */
  values?: readonly (readonly [string, number])[];
}

/** The bytes of an event file. */
export function eventFile(records: readonly TestRecord[]): Uint8Array<ArrayBuffer> {
  return concat(
    records.map(({ fileVersion, start, step = 0, values, wallTime = 1 }) => {
      const event: tensorboard.IEvent = { wallTime, step: stepProto(step) };
      if (fileVersion !== undefined) event.fileVersion = fileVersion;
      if (start) event.sessionLog = { status: tensorboard.SessionLog.SessionStatus.START };
      if (values) event.summary = { value: values.map(([tag, simpleValue]) => ({ tag, simpleValue })) };
      return frameRecord(encodeMessage(tensorboard.Event, event));
    }),
  );
}

/** The numbers of all points, in order. */
export function pointsOfRecords(records: readonly TestRecord[]): number[] {
  return records.flatMap(({ values = [] }) => values.map(([, value]) => value));
}

type Point = { step: Step; value: number };

/** The points that TensorBoard's Rust loader shows, as tensorboard/data/server/reservoir.rs and run.rs have it. */
export function shownByRust(records: readonly TestRecord[]): number[] {
  const series = new Map<string, Point[]>();
  for (const { step = 0, values = [], wallTime = 1 } of records) {
    if (!Number.isFinite(wallTime)) continue;
    for (const [tag, value] of values) {
      const points = series.get(tag) ?? [];
      series.set(tag, points);
      while (points.length > 0 && points.at(-1)!.step >= step) points.pop();
      points.push({ step, value });
    }
  }
  return [...series.values()].flat().map(({ value }) => value);
}

/** The points that its Python loader shows, as plugin_event_accumulator.py has it. */
export function shownByPython(records: readonly TestRecord[]): number[] {
  const series = new Map<string, Point[]>();
  let fileVersion = 0;
  let hasStarted = false;
  let mostRecentStep: Step = -1;
  const purge = (tags: Iterable<string>, step: Step) => {
    for (const tag of tags) {
      const points = series.get(tag);
      if (points)
        series.set(
          tag,
          points.filter((point) => point.step < step),
        );
    }
  };
  for (const { fileVersion: version, start, step = 0, values } of records) {
    if (version !== undefined) fileVersion = Number(version.replace('brain.Event:', '')) || -1;
    if (fileVersion >= 2) {
      if (start && hasStarted) purge(series.keys(), step);
      if (start) hasStarted = true;
    } else if (values && step < mostRecentStep) {
      purge(
        values.map(([tag]) => tag),
        step,
      );
    }
    if (!values) continue;
    mostRecentStep = step;
    for (const [tag, value] of values) series.set(tag, [...(series.get(tag) ?? []), { step, value }]);
  }
  return [...series.values()].flat().map(({ value }) => value);
}
