import { MemoryOutput } from '../../src/output/output.js';
import { decodeRecords, scalarsOf } from './event-files.js';

/** An Output that can be made to fail, and to lose its file. */
export class FaultyOutput extends MemoryOutput {
  failure: Error | undefined;
  restarts = 0;
  /** If true, the next write finds that the file is gone. */
  gone = false;
  attempts = 0;
  #start = 0;

  override write(bytes: Uint8Array): void {
    this.attempts++;
    if (this.failure !== undefined) throw this.failure;
    if (this.gone) {
      this.gone = false;
      this.restarts++;
      this.#start = this.bytes.length;
      throw new Error('The file is gone');
    }
    super.write(bytes);
  }

  /** What is in the file that is there now. */
  get events() {
    return decodeRecords(this.bytes.slice(this.#start));
  }

  get steps(): number[] {
    return scalarsOf(this.events).map(({ step }) => step);
  }
}
