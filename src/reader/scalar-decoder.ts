/**
 * Scalars, of which a file may hold millions, decoded without an event for each.
 */
import type { Step, TensorBoardEvent } from '../event/event.js';
import type { EventDecoder } from './event-decoder.js';
import { FormKind } from './read-tags.js';
import { RecordForms } from './record-forms.js';

/** A scalar that was read, valid until the next one is. */
export interface Scalar {
  readonly tag: string;
  readonly step: Step;
  readonly value: number;
  /** Seconds since 1970. */
  readonly wallTime: number;
}

/** Decodes events as an EventDecoder does, but is itself what most scalars are decoded to. */
export class ScalarDecoder implements Scalar {
  tag = '';
  step: Step = 0;
  // No integers from the beginning: the engine keeps such numbers in place.
  value: number = Number.NaN;
  wallTime: number = Number.NaN;

  readonly #events: EventDecoder;
  readonly #forms: RecordForms;

  /** @param events decodes the first records of each tag, and all that are no scalars */
  constructor(events: EventDecoder) {
    this.#events = events;
    this.#forms = events.useForms(RecordForms);
  }

  /**
   * Decodes the event in `bytes[start, end)`. Returns itself if it is a single scalar of the form that its tag had before.
   *
   * @throws MalformedMessageError as `EventDecoder.decode` does
   */
  decode(bytes: Uint8Array, start: number, end: number): TensorBoardEvent | this | undefined {
    const forms = this.#forms;
    if (forms.match(bytes, start, end)?.kind !== FormKind.scalar) return this.#events.decode(bytes, start, end);
    const view = forms.viewOf(bytes);
    this.tag = forms.tag!.tag;
    this.step = forms.step;
    this.value = view.getFloat32(forms.from, true);
    this.wallTime = view.getFloat64(start + 1, true);
    return this;
  }
}
