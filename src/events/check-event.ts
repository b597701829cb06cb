import { tensorboard } from '../proto/tensorboard.js';
import { checkStep, checkWallTime } from './check-arguments.js';
import type { TensorBoardEvent } from './event.js';

/** An event as it can safely be written. */
export function checkEvent(event: TensorBoardEvent): TensorBoardEvent {
  checkWallTime(event.wallTime, 'addEvent');
  checkStep(event.step, 'addEvent');
  for (const { raw } of event.summary ?? []) tensorboard.Summary.Value.decode(raw);
  return event;
}
