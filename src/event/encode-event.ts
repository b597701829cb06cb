/**
 * Events and steps between this package's form and protobuf's, in both directions; `reader/event-decoder.ts` decodes the
 * events of a file.
 */
import Long from 'long';
import protobuf from 'protobufjs/minimal.js';
import { tensorboard } from '../proto/tensorboard.js';
import type { Step, TensorBoardEvent } from './event.js';

/** The states of a session, at the positions that are their numbers in SessionLog.SessionStatus. */
export const sessionStatuses = ['unspecified', 'start', 'stop', 'checkpoint'] as const;

/** A step as protobufjs takes an int64: a number if that is exact, otherwise a Long. */
export function stepProto(step: Step): number | Long {
  if (Number.isSafeInteger(step)) return step as number;
  const wide = BigInt(step);
  return new Long(Number(BigInt.asIntN(32, wide)), Number(BigInt.asIntN(32, wide >> 32n)));
}

/** Encodes an event that holds a summary. */
export function encodeSummaryEvent(wallTime: number, step: Step, value: tensorboard.Summary.IValue[]): Uint8Array {
  return tensorboard.Event.encode({ wallTime, step: stepProto(step), summary: { value } }).finish();
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
  const writer = tensorboard.Event.encode(message);
  if (event.summary !== undefined) {
    writer.uint32((5 << 3) | 2).fork();
    for (const { raw } of event.summary) writer.uint32((1 << 3) | 2).bytes(raw);
    writer.ldelim();
  }
  return writer.finish();
}

/** Decodes an event for encoding it again: fields that this package does not know are kept. */
export function decodeWhole(payload: Uint8Array): tensorboard.Event {
  const reader = protobuf.Reader.create(payload);
  reader.discardUnknown = false;
  return tensorboard.Event.decode(reader);
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
