export { ClosedWriterError } from './closed-writer-error.js';
export { CorruptRecordError } from './corrupt-record-error.js';
export { type EventSource, listRuns, type ReadEventsOptions, readEvents } from './event-reader.js';
export type { DecodedSummary, Step, TensorBoardEvent } from './events/event.js';
export { MemoryOutput, type Output } from './events/output.js';
export type {
  AudioValue,
  CustomScalarsValue,
  HistogramValue,
  HparamsValue,
  ImagesValue,
  MeshValue,
  SummaryValue,
  TensorValue,
  TextValue,
} from './events/summary-value.js';
export type { Numbers } from './summaries/values.js';
export { type SummaryOptions, SummaryWriter } from './summary-writer.js';
export type { SummaryWriterOptions } from './summary-writer-options.js';
