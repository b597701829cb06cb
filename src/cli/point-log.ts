/** Scalars of a run in columns by tag, put there as they come. */
import type { Step } from '../event/event.js';

/** The scalars of a tag that are shown, in the order of the files. */
export interface TagPoints {
  readonly tag: string;
  /** Of numbers where all are: 8 bytes each in memory, and on the way between threads. */
  readonly steps: Float64Array | readonly Step[];
  readonly values: Float64Array;
  readonly wallTimes: Float64Array;
}

/** Numbers of a point in a log: the number of its tag, step, value, wall time. */
const pointNumbers = 4;
/** Numbers of a block of a log. */
const blockNumbers = 2 ** 15;
/** Blocks that the log of the next run takes: to touch new memory takes longer than to fill it. */
const spareBlocks: Float64Array<ArrayBuffer>[] = [];
const mostSpareBlocks = 64;
/** The steps of a run, which are kept where they differ from those before. */
let spareSteps = new Float64Array(0);

/** The points of a run as they come. */
export class PointLog {
  /** By tag: how many points it has, and those of its steps that are bigints. */
  readonly #tags = new Map<string, { readonly number: number; count: number; exact?: Map<number, Step> }>();
  readonly #blocks: Float64Array<ArrayBuffer>[] = [];
  /** The last of the blocks, and where it is filled to. */
  #block: Float64Array = new Float64Array(0);
  #end = 0;

  add(tag: string, step: Step, value: number, wallTime: number): void {
    let known = this.#tags.get(tag);
    if (known === undefined) this.#tags.set(tag, (known = { number: this.#tags.size, count: 0 }));
    if (typeof step === 'bigint') (known.exact ??= new Map()).set(known.count, step);
    known.count++;
    if (this.#end === this.#block.length) {
      const block = spareBlocks.pop() ?? new Float64Array(blockNumbers);
      this.#blocks.push(block);
      this.#block = block;
      this.#end = 0;
    }
    const block = this.#block;
    const at = this.#end;
    block[at] = known.number;
    block[at + 1] = Number(step);
    block[at + 2] = value;
    block[at + 3] = wallTime;
    this.#end = at + pointNumbers;
  }

  /** The points by tag. The log is empty then. */
  take(): TagPoints[] {
    const tags = [...this.#tags];
    const next = new Float64Array(tags.length);
    let points = 0;
    for (const [, { count, number }] of tags) {
      next[number] = points;
      points += count;
    }
    // Values and wall times lie in one array: many arrays take longer to make than to fill.
    const numbers = new Float64Array(2 * points);
    if (spareSteps.length < points) spareSteps = new Float64Array(points);
    for (const block of this.#blocks) {
      const end = block === this.#block ? this.#end : block.length;
      for (let at = 0; at < end; at += pointNumbers) {
        const row = next[block[at]]++;
        spareSteps[row] = block[at + 1];
        numbers[row] = block[at + 2];
        numbers[points + row] = block[at + 3];
      }
    }
    this.clear();
    let [begin, last] = [0, new Float64Array(0)];
    return tags.map(([tag, { count, exact }]) => {
      const columnAt = (first: number) => numbers.subarray(first, first + count);
      const [values, wallTimes] = [columnAt(begin), columnAt(points + begin)];
      const own = spareSteps.subarray(begin, begin + count);
      begin += count;
      // A training writes its scalars at the same steps, as a rule.
      if (!areEqual(last, own)) last = own.slice();
      const steps = exact === undefined ? last : Array.from(last, (step, row) => exact.get(row) ?? step);
      return { tag, steps, values, wallTimes };
    });
  }

  clear(): void {
    spareBlocks.push(...this.#blocks.splice(0, mostSpareBlocks - spareBlocks.length));
    this.#blocks.length = 0;
    this.#block = new Float64Array(0);
    this.#end = 0;
    this.#tags.clear();
  }
}

/** Whether two columns have the same steps. */
export function areEqual(one: ArrayLike<Step>, other: ArrayLike<Step>): boolean {
  if (one.length !== other.length) return false;
  if (one === other) return true;
  for (let row = 0; row < one.length; row++) if (one[row] !== other[row]) return false;
  return true;
}
