/**
 * Events and steps between this package's form and protobuf's, in both directions; `reader/event-decoder.ts` decodes the
 * events of a file.
 */

import { concat } from '../encoding/bytes.js';
import { decodeMessage, encodeMessage, lengthDelimited } from '../encoding/message-codec.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { Step, TensorBoardEvent } from './event.js';

/** The states of a session, at the positions that are their numbers in SessionLog.SessionStatus. */
export const sessionStatuses = ['unspecified', 'start', 'stop', 'checkpoint'] as const;

/** The version of the format, which the first record of every file says. */
export const fileVersion = 'brain.Event:2';

/** The event that begins every file. */
export function encodeFirstEvent(): Uint8Array {
  return encodeMessage(tensorboard.Event, {
    wallTime: Date.now() / 1000,
    fileVersion,
    sourceMetadata: { writer: 'delve-tensorboard' },
  });
}

/** A step as an int64 is encoded: a number if that is exact, otherwise a bigint. */
export function stepProto(step: Step): number | bigint {
  return Number.isSafeInteger(step) ? step : BigInt(step);
}

/** Encodes an event that holds a summary. */
export function encodeSummaryEvent(wallTime: number, step: Step, value: tensorboard.Summary.IValue[]): Uint8Array {
  return encodeMessage(tensorboard.Event, { wallTime, step: stepProto(step), summary: { value } });
}

/** Encodes any event. Its summaries are written as `raw` holds them, so what was read is written back unchanged. */
export function encodeEvent(event: TensorBoardEvent): Uint8Array {
  const { wallTime, step, fileVersion, sourceWriter, sessionLog, graph, metaGraph, runMetadata, logMessage } = event;
  const message: tensorboard.IEvent = { wallTime, step: stepProto(step) };
  if (fileVersion !== undefined) message.fileVersion = fileVersion;
  if (sourceWriter !== undefined) message.sourceMetadata = { writer: sourceWriter };
  if (graph !== undefined) message.graphDef = graph;
  if (metaGraph !== undefined) message.metaGraphDef = metaGraph;
  if (runMetadata !== undefined) message.taggedRunMetadata = { tag: runMetadata.tag, runMetadata: runMetadata.bytes };
  if (logMessage !== undefined) message.logMessage = logMessage;
  if (sessionLog !== undefined) {
    message.sessionLog = {
      status: sessionStatuses.indexOf(sessionLog.status),
      checkpointPath: sessionLog.checkpointPath ?? '',
      msg: sessionLog.message ?? '',
    };
  }
  if (event.summary !== undefined) {
    const values = concat(event.summary.flatMap(({ raw }) => [lengthDelimited(1, raw.length), raw]));
    message.$unknowns = [lengthDelimited(5, values.length), values];
  }
  return encodeMessage(tensorboard.Event, message);
}

/** Decodes an event for encoding it again: fields that this package does not know are kept. */
export function decodeWhole(payload: Uint8Array): tensorboard.Event {
  return decodeMessage(tensorboard.Event, payload, { keepUnknown: true });
}

/**
 * The step that an int64 varint stands for.
 *
 * @param low its low 32 bits, unsigned
 * @param high its high 32 bits, unsigned
 */
export function readStep(low: number, high: number): Step {
  const signedHigh = high | 0;
  const step = signedHigh * 2 ** 32 + low;
  return Number.isSafeInteger(step) ? step : (BigInt(signedHigh) << 32n) | BigInt(low);
}
