/**
 * Which points of a run TensorBoard shows. A training that crashed and went on from a checkpoint leaves points in the files
 * that later ones stand for, and TensorBoard hides them; the commands `inspect`, `export` and `report` and `readHistory`
 * show what it shows. `readEvents` yields everything, in the order of the files.
 *
 * TensorBoard has two loaders, and a point is shown here if both show it:
 * - The Rust loader, its default, knows tags only: a point hides those of its tag at the same step and later that came
 *   before it. Source: tensorboard/data/server/reservoir.rs, StageReservoir::preempt.
 * - The Python loader knows SessionLog: a START hides the points of all tags at its step and later that came before it,
 *   except the first START of the run, and in files that name a version of at least 2.
 *   Source: tensorboard/backend/event_processing/plugin_event_accumulator.py, _CheckForRestartAndMaybePurge.
 *
 * So a point is hidden if something at its step or before it comes later: what comes later has to be known first, and a run
 * is read twice, the first time without decoding any value.
 */
import { WireReader, WireType } from '../encoding/protobuf.js';
import { CorruptRecordError, messageOf } from '../errors.js';
import { readStep, sessionStatuses } from '../event/encode-event.js';
import type { Step, TensorBoardEvent } from '../event/event.js';
import { EventDecoder } from './event-decoder.js';
import { ReadTags } from './read-tags.js';
import { RecordForms } from './record-forms.js';
import { type Scalar, ScalarDecoder } from './scalar-decoder.js';
import { RereadFile, type RunFile } from './scan.js';

/** Files of a run are told apart by positions: a file begins this far behind the one before it. */
const fileSpan = 2 ** 44;

/**
 * What hides earlier points: entries of which both the positions and the steps grow. Of the entries behind a position, the
 * first has the least step, so it alone decides.
 */
class Hiders {
  readonly #positions: number[] = [];
  readonly #steps: Step[] = [];

  /** Adds an entry behind all others. Those at its step and later hide nothing that it does not hide. */
  add(step: Step, position: number): void {
    while (this.#steps.length > 0 && this.#steps[this.#steps.length - 1] >= step) {
      this.#steps.pop();
      this.#positions.pop();
    }
    this.#steps.push(step);
    this.#positions.push(position);
  }

  /** Whether an entry behind `position` hides a point at `step`. */
  hides(step: Step, position: number): boolean {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle] > position) high = middle;
      else low = middle + 1;
    }
    return low < this.#steps.length && this.#steps[low] <= step;
  }
}

/** Knows of the STARTs of a run which of them hide earlier points. */
export class Restarts {
  #fileVersion = 0;
  #hasStarted = false;

  /** The version of the file whose events follow: 'brain.Event:2'. */
  setVersion(text: string): void {
    const version = Number(text.replace(/^brain\.Event:/, ''));
    this.#fileVersion = Number.isNaN(version) ? -1 : version;
  }

  /** Whether the next START hides what came before. */
  start(): boolean {
    if (this.#fileVersion < 2) return false;
    const isRestart = this.#hasStarted;
    this.#hasStarted = true;
    return isRestart;
  }

  /** The step from which on an event, which is decoded, hides the points of all tags; undefined if it does not. */
  add({ fileVersion, sessionLog, step }: TensorBoardEvent): Step | undefined {
    if (fileVersion !== undefined) this.setVersion(fileVersion);
    return sessionLog?.status === 'start' && this.start() ? step : undefined;
  }
}

/** What the first reading notices of one tag. */
interface TagSteps {
  /** The step of the latest point. */
  last: Step;
  /** Its points at the step of the one before them, or before it: no other points hide any. */
  backs: Hiders | undefined;
  /** How many points are at a step before that of the one before them. */
  goesBack: number;
}

/** A place where the steps of a tag go back. */
export interface StepBack {
  tag: string;
  from: Step;
  to: Step;
}

/** Reads a run for the first time, record by record. */
class PointScan {
  readonly #tags: ReadTags;
  readonly #steps = new Map<string, TagSteps>();
  readonly #starts = new Hiders();
  readonly #event = new WireReader();
  readonly #part = new WireReader();
  /** Where the summaries of the current event begin and end. */
  readonly #summaries: number[] = [];
  readonly #restarts = new Restarts();
  /** Whether anything may be hidden. */
  hasHiders = false;
  firstBack: StepBack | undefined;

  constructor(wanted: (tag: string) => boolean) {
    this.#tags = new ReadTags(wanted);
  }

  /** Whether TensorBoard shows the point of a tag that is at a position. */
  isShown(tag: string, step: Step, position: number): boolean {
    if (!this.hasHiders) return true;
    return !this.#starts.hides(step, position) && !this.#steps.get(tag)?.backs?.hides(step, position);
  }

  /** How many times the steps of a tag go back. */
  goesBack(tag: string): number {
    return this.#steps.get(tag)?.goesBack ?? 0;
  }

  /** Reads the event in `bytes[start, end)`. @throws RangeError if it is none */
  add(bytes: Uint8Array, start: number, end: number, position: number): void {
    const wire = this.#event;
    let step: Step = 0;
    let wallTime = 0;
    let member = 0;
    const summaries = this.#summaries;
    summaries.length = 0;
    let from = 0;
    let to = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const { number, wireType } = wire;
      if (number === 1 && wireType === WireType.fixed64) {
        wallTime = wire.double();
      } else if (number === 2 && wireType === WireType.varint) {
        wire.varint();
        step = readStep(wire.low, wire.high);
      } else {
        wire.skip();
        if (wireType !== WireType.bytes || number < 3 || number > 9) continue;
        if (member !== number) summaries.length = 0;
        member = number;
        from = wire.rangeStart;
        to = wire.rangeEnd;
        if (number === 5) summaries.push(from, to);
      }
    }
    if (member === 3) this.#restarts.setVersion(new TextDecoder().decode(bytes.subarray(from, to)));
    else if (member === 7) this.#addSession(bytes, from, to, step, position);
    else if (member === 5) {
      let index = 0;
      for (let at = 0; at < summaries.length; at += 2) {
        index = this.#addSummary(bytes, summaries[at], summaries[at + 1], step, wallTime, position, index);
      }
    }
  }

  /** Reads an event that is decoded. */
  addEvent(event: TensorBoardEvent, position: number): void {
    const { step, summary, wallTime } = event;
    const restart = this.#restarts.add(event);
    if (restart !== undefined) this.#addRestart(restart, position);
    else if (summary !== undefined && Number.isFinite(wallTime)) {
      for (let index = 0; index < summary.length; index++) this.#addPoint(summary[index].tag, step, position + index);
    }
  }

  /** Reads a scalar. */
  addScalar({ step, tag, wallTime }: Scalar, position: number): void {
    if (Number.isFinite(wallTime)) this.#addPoint(tag, step, position);
  }

  #addSession(bytes: Uint8Array, start: number, end: number, step: Step, position: number): void {
    const wire = this.#part;
    let status = 0;
    wire.open(bytes, start, end);
    while (wire.field()) {
      if (wire.number === 1 && wire.wireType === WireType.varint) {
        wire.varint();
        status = wire.low;
      } else {
        wire.skip();
      }
    }
    if (sessionStatuses[status] === 'start' && this.#restarts.start()) this.#addRestart(step, position);
  }

  #addRestart(step: Step, position: number): void {
    this.#starts.add(step, position);
    this.hasHiders = true;
  }

  /** Adds the wanted values of a Summary, the first of which has a number; returns the number of the one behind the last. */
  #addSummary(
    bytes: Uint8Array,
    start: number,
    end: number,
    step: Step,
    wallTime: number,
    position: number,
    first: number,
  ): number {
    const wire = this.#part;
    let index = first;
    wire.open(bytes, start, end);
    while (wire.field()) {
      const isValue = wire.number === 1 && wire.wireType === WireType.bytes;
      wire.skip();
      if (!isValue) continue;
      const { position: next, rangeEnd, rangeStart } = wire;
      wire.open(bytes, rangeStart, rangeEnd);
      let tagStart = rangeStart;
      let tagEnd = rangeStart;
      while (wire.field()) {
        const isTag = wire.number === 1 && wire.wireType === WireType.bytes;
        wire.skip();
        if (!isTag) continue;
        tagStart = wire.rangeStart;
        tagEnd = wire.rangeEnd;
      }
      wire.open(bytes, next, end);
      const { tag, wanted } = this.#tags.find(bytes, tagStart, tagEnd);
      // The Rust loader drops events whose time is no number of seconds.
      if (!wanted) continue;
      if (Number.isFinite(wallTime)) this.#addPoint(tag, step, position + index);
      index++;
    }
    return index;
  }

  #addPoint(tag: string, step: Step, position: number): void {
    const known = this.#steps.get(tag);
    if (known === undefined) {
      this.#steps.set(tag, { last: step, backs: undefined, goesBack: 0 });
      return;
    }
    if (step <= known.last) {
      known.backs ??= new Hiders();
      known.backs.add(step, position);
      this.hasHiders = true;
      if (step < known.last) {
        known.goesBack++;
        this.firstBack ??= { tag, from: known.last, to: step };
      }
    }
    known.last = step;
  }
}

/** What one reading of a run's files needs of it. */
export interface RunReading {
  /** Whether a tag's summaries are read. What it throws ends the reading. */
  tags?: (tag: string) => boolean;
  /** Whether the points that TensorBoard hides count as shown. */
  raw?: boolean;
  /** Is told of how many bytes were read; all count twice. */
  read?: (bytes: number) => void;
  /**
   * If it is given, the run is read once, with all points shown. As soon as one is hidden, this is called: the caller forgets what it was
   * shown, and the run is read again from its beginning.
   */
  startOver?: () => void;
  /**
   * If it is given, it takes scalars that TensorBoard shows, and `visit` the events that are something else or have a form of
   * their own. A scalar is valid during the call.
   */
  scalar?: (scalar: Scalar) => void;
  /** Whether summaries keep their bytes, true by default; if not, `raw` is empty. */
  keepsRaw?: boolean;
  /** Is told of each file that is damaged, whose rest is passed over, or that cannot be read. */
  complain: (message: string) => void;
}

/** What `scanRun` knows of a run besides its events. */
export interface RunSteps {
  /** How many points are hidden. */
  readonly hidden: number;
  /** The first place where the steps of a tag go back; undefined if there is none. */
  readonly firstBack: StepBack | undefined;
  /** How many times the steps of a tag go back. */
  goesBack(tag: string): number;
}

/**
 * Reads the files of one run in order.
 *
 * @param visit takes each event, and a function that says whether TensorBoard shows the summary at an index of it
 * @param pause is awaited between the chunks of a file
 */
export async function scanRun(
  files: readonly RunFile[],
  reading: RunReading,
  visit: (event: TensorBoardEvent, isShown: (index: number) => boolean) => void,
  pause?: () => Promise<void> | void,
): Promise<RunSteps> {
  // Whoever is told of bytes expects each twice.
  let readings = reading.startOver === undefined ? 1 : 2;
  let told = 0;
  const tell = (bytes: number) => {
    told += readings * bytes;
    reading.read?.(readings * bytes);
  };
  const sources = files.map((file) => new RereadFile(file, tell));
  const run = new RunScan(sources, reading, visit, pause);
  if (reading.startOver !== undefined) {
    const steps = await run.readOnce();
    if (steps !== undefined) return steps;
    reading.read?.(-told);
    readings = 1;
    reading.startOver();
  }
  return run.readTwice();
}

/** Thrown where a run that is read once has a hidden point. */
const hasHidden = new Error('a point is hidden');
const all = () => true;

/** The readings of one run: see scanRun. */
class RunScan {
  readonly #sources: readonly RereadFile[];
  readonly #reading: RunReading;
  readonly #visit: Parameters<typeof scanRun>[2];
  readonly #pause: Parameters<typeof scanRun>[3];
  readonly #wanted: (tag: string) => boolean;
  /** What the caller's `tags` has thrown, which is nothing about a file. */
  #refusal: { readonly error: unknown } | undefined;

  constructor(
    sources: readonly RereadFile[],
    reading: RunReading,
    visit: Parameters<typeof scanRun>[2],
    pause: Parameters<typeof scanRun>[3],
  ) {
    this.#sources = sources;
    this.#reading = reading;
    this.#visit = visit;
    this.#pause = pause;
    const { tags = all } = reading;
    this.#wanted = (tag) => {
      try {
        return tags(tag);
      } catch (error) {
        this.#refusal ??= { error };
        throw error;
      }
    };
  }

  /** Reads the run once, all points shown; gives up, and resolves to undefined, at the first one that is not. */
  async readOnce(): Promise<RunSteps | undefined> {
    const { complain, raw = false, scalar: visitScalar } = this.#reading;
    const points = new PointScan(this.#wanted);
    const complaints: string[] = [];
    try {
      await this.#read(
        (event, position) => {
          points.addEvent(event, position);
          if (points.hasHiders && !raw) throw hasHidden;
          this.#visit(event, all);
        },
        (scalar, position) => {
          points.addScalar(scalar, position);
          if (points.hasHiders && !raw) throw hasHidden;
          visitScalar!(scalar);
        },
        (message) => complaints.push(message),
      );
    } catch (error) {
      if (error === hasHidden) return undefined;
      throw error;
    }
    for (const message of complaints) complain(message);
    return stepsOf(points, 0);
  }

  /** Reads the run for what hides points, and then for its points. */
  async readTwice(): Promise<RunSteps> {
    const { complain, raw = false, scalar: visitScalar } = this.#reading;
    const points = new PointScan(this.#wanted);
    for (const [index, source] of this.#sources.entries()) {
      const decode = (bytes: Uint8Array, start: number, end: number, offset: number) =>
        points.add(bytes, start, end, index * fileSpan + offset);
      // The second reading tells what is wrong with the file.
      await source.scan({ decode }, () => {}).catch(() => {});
    }
    let hidden = 0;
    await this.#read(
      (event, position) => {
        if (raw || !points.hasHiders || event.summary === undefined) {
          this.#visit(event, all);
          return;
        }
        const shown = event.summary.map(({ tag }, at) => points.isShown(tag, event.step, position + at));
        hidden += shown.filter((each) => !each).length;
        this.#visit(event, (at) => shown[at]);
      },
      (scalar, position) => {
        if (raw || points.isShown(scalar.tag, scalar.step, position)) visitScalar!(scalar);
        else hidden++;
      },
      complain,
    );
    return stepsOf(points, hidden);
  }

  /** Reads the run's events with their positions, file by file; the rest of a file that is damaged is passed over. */
  async #read(
    take: (event: TensorBoardEvent, position: number) => void,
    takeScalar: (scalar: Scalar, position: number) => void,
    complain: (message: string) => void,
  ): Promise<void> {
    const events = new EventDecoder(this.#wanted, this.#reading.keepsRaw);
    const decoder = this.#reading.scalar === undefined ? events : new ScalarDecoder(events);
    if (decoder === events) events.useForms(RecordForms);
    // An error of the caller's own is not about the file.
    let isOwn = false;
    const wait = async () => {
      isOwn = true;
      await this.#pause?.();
      isOwn = false;
    };
    for (const [index, source] of this.#sources.entries()) {
      const show = (decoded: TensorBoardEvent | ScalarDecoder | undefined, offset: number) => {
        if (decoded === undefined) return;
        isOwn = true;
        if (decoded === decoder) takeScalar(decoder as ScalarDecoder, index * fileSpan + offset);
        else take(decoded as TensorBoardEvent, index * fileSpan + offset);
        isOwn = false;
      };
      try {
        const { damage } = await source.scan(decoder, show, this.#pause && wait);
        if (this.#refusal !== undefined) throw this.#refusal.error;
        if (damage) complain(damage.message);
      } catch (error) {
        if (isOwn || this.#refusal !== undefined) throw error;
        const unread = { cause: error, isUnread: true };
        complain(new CorruptRecordError(`it cannot be read: ${messageOf(error)}`, 0, source.path, unread).message);
      }
    }
  }
}

function stepsOf(points: PointScan, hidden: number): RunSteps {
  const { firstBack } = points;
  return { hidden, firstBack, goesBack: (tag) => points.goesBack(tag) };
}
