import type { SummaryValue } from './summary-value.js';

/** A point on the step axis: an integer; bigint where it is beyond 2^53. */
export type Step = number | bigint;

/** One summary value as a reader sees it, the same shape whichever writer and proto version it came from. */
export interface DecodedSummary {
  /** The tag verbatim. */
  tag: string;
  /** Plugin name, remembered from the tag's first event in the file ('scalars' for a bare simple_value, ...). */
  plugin: string;
  displayName?: string;
  description?: string;
  value: SummaryValue;
  /** The undecoded Summary.Value message. */
  raw: Uint8Array;
}

/** What one record of an event file holds. */
export interface TensorBoardEvent {
  /** Seconds since the epoch. */
  wallTime: number;
  /** A number where it is a safe integer, else a bigint. */
  step: Step;
  fileVersion?: string;
  sourceWriter?: string;
  sessionLog?: { status: 'start' | 'stop' | 'checkpoint' | 'unspecified'; checkpointPath?: string; message?: string };
  /** GraphDef bytes, as stored. */
  graph?: Uint8Array;
  /** MetaGraphDef bytes, as stored. */
  metaGraph?: Uint8Array;
  /** RunMetadata bytes of one profiled step of the graph, as stored, under the tag TensorBoard lists them by. */
  runMetadata?: { tag: string; bytes: Uint8Array };
  /** LogMessage; level is 0, 10, 20, 30, 40 or 50 (unknown, debugging, info, warn, error, fatal). */
  logMessage?: { level: number; message: string };
  summary?: DecodedSummary[];
}
