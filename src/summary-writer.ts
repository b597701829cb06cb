import { warn } from '#platform';
import { ClosedWriterError } from './closed-writer-error.js';
import { defaultLogdir } from './default-logdir.js';
import { checkStep, checkTag, checkText, checkWallTime, wellFormed } from './events/check-arguments.js';
import { checkEvent } from './events/check-event.js';
import { DirectoryOutput } from './events/directory-output.js';
import type { Step, TensorBoardEvent } from './events/event.js';
import type { EventStream, TaggedTensor } from './events/event-stream.js';
import type { Output } from './events/output.js';
import { safePath } from './events/safe-path.js';
import { openFolder, openOutput, type StreamLease } from './events/shared-streams.js';
import { continueSession } from './hparams-session.js';
import { projectorConfigWith } from './projector-config.js';
import { type AudioOptions, audioSummary } from './summaries/audio.js';
import { type BoxesOptions, boxesSummary } from './summaries/boxes.js';
import { type CustomScalarsLayout, customScalarsSummary, customScalarsTag } from './summaries/custom-scalars.js';
import { type EmbeddingOptions, embeddingFiles, projectorConfigFile } from './summaries/embedding.js';
import { checkSvg, renderFigure } from './summaries/figure.js';
import { type GraphLike, graphDefOf } from './summaries/graph.js';
import { bucketize, checkBuckets, histogramSummary } from './summaries/histogram.js';
import { type Hparam, type HparamsOptions, hparamsSummaries, hparamsTag } from './summaries/hparams.js';
import {
  type CanvasPixels,
  encodedSummary,
  type Image,
  type ImageOptions,
  type ImagesOptions,
  imageSummary,
  imagesSummary,
} from './summaries/image.js';
import { type MeshOptions, meshSummaries } from './summaries/mesh.js';
import type { PluginSummary } from './summaries/plugin-summary.js';
import { type PrCounts, type PrCurveOptions, prCurveRawSummary, prCurveSummary } from './summaries/pr-curve.js';
import { readScalar, scalarSummary } from './summaries/scalar.js';
import { type Text, textSummary } from './summaries/text.js';
import { type Numbers, readNumbers } from './summaries/values.js';
import { type VideoOptions, videoSummary } from './summaries/video.js';
import { readOptions, type SummaryWriterOptions } from './summary-writer-options.js';

/** What every addX takes beside its data. */
export interface SummaryOptions {
  /** When the event happened, in seconds since 1970; now, by default. */
  wallTime?: number;
  /** Shown instead of the tag. Counts on the tag's first event in a file, as `description` does. */
  displayName?: string;
  /** Markdown, shown beside the chart. */
  description?: string;
}

/** Where in a run something goes: the arguments that all addX have in common, checked. */
export interface Place {
  /** The call, for errors: `addScalar "loss"`. */
  what: string;
  tag: string;
  step: Step;
  /** Seconds; undefined where it is the time of the call. */
  wallTime: number | undefined;
  displayName: string | undefined;
  description: string | undefined;
}

/**
 * Encodes TensorBoard events (protobuf in CRC-32C framed records) into an event file.
 *
 * addX encodes into a fixed buffer and returns; a full or overdue buffer goes to the operating system in one synchronous
 * write (never fsync). Values that come later (a WebGPU tensor, a rendered figure) keep their place in the order. When
 * the program ends without `close()`, what is buffered is written, unless it is killed (SIGKILL) or a worker is
 * terminated from outside: then at most the last `flushSecs` are missing.
 *
 * Bad arguments throw TypeError or RangeError from the call. A disk that cannot be written to never does: events stay in
 * memory (up to `maxUnwrittenBytes`) until it can, the first error is told once as a warning, and `flush` and `close`
 * reject with it. Between two writes no file is open, so any number of runs costs no file descriptor.
 *
 * Writers of one program on one real folder share one file. Worker threads and other processes get files of their own;
 * give them runs of their own too (`writer.run(name)`): where two files of a run hold the same tag and steps, TensorBoard
 * shows only one of them.
 */
export class SummaryWriter implements AsyncDisposable {
  /** The folder, as it was given; '' for an Output. */
  readonly logdir: string;
  readonly #options: SummaryWriterOptions;
  readonly #lease: StreamLease;
  readonly #stream: EventStream;
  readonly #runs = new Map<string, this>();
  readonly #withoutStep = new Map<string, 'once' | 'warned'>();
  readonly #partialHistograms = new Set<string>();
  #closing: Promise<void> | undefined;

  /**
   * @param logdir a folder, made where it is missing; `runs/<MMMdd_HH-MM-SS>_<host><comment>` by default. Or any Output.
   * @throws Error where the folder cannot be made
   */
  constructor(logdir?: string | Output, options: SummaryWriterOptions = {}) {
    const streamOptions = readOptions(options);
    this.#options = options;
    if (logdir === undefined || typeof logdir === 'string') {
      if (logdir === '') throw new TypeError("SummaryWriter: expected the logdir to be a non-empty string, got ''");
      const output = new DirectoryOutput(logdir ?? defaultLogdir(options.comment), options);
      this.#lease = openFolder(output, streamOptions, true);
      this.logdir = output.logdir;
    } else if (logdir instanceof DirectoryOutput) {
      this.#lease = openFolder(logdir, streamOptions, false);
      this.logdir = logdir.logdir;
    } else {
      if (typeof logdir?.write !== 'function') {
        throw new TypeError('SummaryWriter: expected the logdir to be a string or an Output');
      }
      this.#lease = openOutput(logdir, streamOptions);
      this.logdir = '';
    }
    this.#stream = this.#lease.stream;
    if (options.purgeStep !== undefined) this.#stream.purge(options.purgeStep);
  }

  /** Bytes added and not yet in the file; a producer that can may slow down on it. */
  get pendingBytes(): number {
    let bytes = this.#stream.pendingBytes;
    for (const run of this.#runs.values()) bytes += run.pendingBytes;
    return bytes;
  }

  /**
   * The writer of a run below this one, `<logdir>/<name>`: one per name, flushed and closed with this one. A name may
   * hold `/`; nothing in it leads out of the logdir (see `safePath`).
   */
  run(name: string): this {
    this.#checkOpen(`run '${name}'`);
    const known = this.#runs.get(name);
    if (known !== undefined && !known.isClosed) return known;
    if (typeof name !== 'string') throw new TypeError(`run: expected the name to be a string, got ${typeof name}`);
    const path = safePath(name);
    if (path !== name) return this.run(path);
    const { output } = this.#stream;
    if (output.run === undefined) throw new TypeError(`run '${name}': this Output has no runs`);
    const Writer = this.constructor as new (output: Output, options: SummaryWriterOptions) => this;
    const run = new Writer(output.run(path), this.#options);
    this.#runs.set(path, run);
    return run;
  }

  /** True once `close` has been called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * One number. TensorBoard reads float32: about seven digits, and beyond 3.4e38 ±Infinity. NaN and ±Infinity are
   * marked in the chart.
   */
  addScalar(tag: string, value: Numbers, step?: Step, options?: SummaryOptions): void {
    if (typeof value === 'number' && options === undefined && Number.isSafeInteger(step) && !this.isClosed) {
      if (this.#stream.addScalar(tag, value, step as Step, undefined)) return;
    }
    const place = this.place('addScalar', tag, step, options);
    const number = readScalar(value, place.what);
    if (typeof number === 'number' && this.#stream.addScalar(place.tag, number, place.step, place.wallTime)) return;
    this.write(place, typeof number === 'number' ? scalarSummary(number) : number.then(scalarSummary));
  }

  /**
   * Several numbers in one chart. TensorBoard overlays runs, so each key becomes a run `<logdir>/<mainTag>/<key>` that
   * holds the tag `mainTag`.
   */
  addScalars(mainTag: string, values: Readonly<Record<string, Numbers>>, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addScalars', mainTag, step, options);
    if (typeof values !== 'object' || values === null) {
      throw new TypeError(
        `${place.what}: expected an object of numbers, got ${values === null ? 'null' : typeof values}`,
      );
    }
    for (const [key, value] of Object.entries(values)) {
      this.run(`${mainTag}/${key}`).addScalar(mainTag, value, place.step, options);
    }
  }

  /**
   * How values are distributed, in buckets of equal width (30 by default). NaN and ±Infinity are left out, with a
   * warning once for the tag; where nothing is left, the histogram is empty.
   */
  addHistogram(tag: string, values: Numbers, step?: Step, options?: SummaryOptions & { buckets?: number }): void {
    const place = this.place('addHistogram', tag, step, options);
    const summarize = (numbers: ArrayLike<number>) => {
      const { buckets, rejected } = bucketize(numbers, options?.buckets, place.what);
      if (rejected > 0 && !this.#partialHistograms.has(place.tag)) {
        this.#partialHistograms.add(place.tag);
        warn(`${place.what}: ${rejected} of ${numbers.length} values are NaN or infinite and were left out`);
      }
      return histogramSummary(buckets);
    };
    const numbers = readNumbers(values, place.what);
    this.write(
      place,
      numbers instanceof Promise ? numbers.then((read) => summarize(read.values)) : summarize(numbers.values),
    );
  }

  /** A histogram that was counted elsewhere: k x 3 numbers, row-major: left edge, right edge, count. */
  addHistogramRaw(tag: string, buckets: ArrayLike<number>, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addHistogramRaw', tag, step, options);
    this.write(place, histogramSummary(checkBuckets(buckets, place.what)));
  }

  /** Markdown; or a table: rows of cells, each cell markdown. */
  addText(tag: string, markdown: Text, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addText', tag, step, options);
    this.write(place, textSummary(markdown, place.what));
  }

  /**
   * One image: pixels (uint8 and int32 are 0..255, float arrays and plain arrays 0..1), a canvas's ImageData, or a PNG,
   * JPEG or GIF file as `{ encoded }`. Height x width x channels, unless `layout` says otherwise.
   */
  addImage(tag: string, image: Image, step?: Step, options?: SummaryOptions & ImageOptions): void {
    const place = this.place('addImage', tag, step, options);
    this.write(place, imageSummary(image, options, place.what));
  }

  /** Several images of one size, batch x height x width x channels; TensorBoard shows them as samples of one tag. */
  addImages(tag: string, images: Image, step?: Step, options?: SummaryOptions & ImagesOptions): void {
    const place = this.place('addImages', tag, step, options);
    this.write(place, imagesSummary(images, options, place.what));
  }

  /** An image with boxes drawn into it: n x 4 of xMin, yMin, xMax, yMax in pixels, with a label each where there are any. */
  addImageWithBoxes(
    tag: string,
    image: Numbers | CanvasPixels,
    boxes: Numbers,
    step?: Step,
    options?: SummaryOptions & BoxesOptions,
  ): void {
    const place = this.place('addImageWithBoxes', tag, step, options);
    this.write(place, boxesSummary(image, boxes, options, place.what));
  }

  /** A figure: an SVG document, drawn as PNG by the optional peer @resvg/resvg-js. It keeps its place in the order. */
  addFigure(tag: string, svg: string, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addFigure', tag, step, options);
    checkSvg(svg, place.what);
    const drawn = renderFigure(svg, place.what);
    this.write(
      place,
      drawn.then(({ encoded, width, height }) => encodedSummary(width, height, [encoded])),
    );
  }

  /** A video: time x height x width x channels, pixels as in addImage, as an animated GIF in the images dashboard. */
  addVideo(tag: string, frames: Image, step?: Step, options?: SummaryOptions & VideoOptions): void {
    const place = this.place('addVideo', tag, step, options);
    this.write(place, videoSummary(frames, options, place.what));
  }

  /** Sound: samples in [-1, 1] of shape [frames] or [frames, 2], as 16-bit WAV. */
  addAudio(tag: string, samples: Numbers, step?: Step, options?: SummaryOptions & AudioOptions): void {
    const place = this.place('addAudio', tag, step, options);
    this.write(place, audioSummary(samples, options, place.what));
  }

  /** A precision-recall curve of labels (0 or 1) and predictions (0 to 1). */
  addPrCurve(
    tag: string,
    labels: Numbers,
    predictions: Numbers,
    step?: Step,
    options?: SummaryOptions & PrCurveOptions,
  ): void {
    const place = this.place('addPrCurve', tag, step, options);
    this.write(place, prCurveSummary(labels, predictions, options, place.what));
  }

  /** A precision-recall curve that was counted elsewhere. */
  addPrCurveRaw(tag: string, counts: PrCounts, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addPrCurveRaw', tag, step, options);
    this.write(place, prCurveRawSummary(counts, place.what));
  }

  /** A mesh, or a point cloud where there are no faces: vertices x 3, or batch x vertices x 3. */
  addMesh(tag: string, vertices: Numbers, step?: Step, options?: SummaryOptions & MeshOptions): void {
    const place = this.place('addMesh', tag, step, options);
    this.write(place, meshSummaries(place.tag, vertices, options, place.what));
  }

  /**
   * Vectors for the projector: count x features, with labels and small images where there are any. They go into files of
   * their own beside the event file, which an Output must be able to hold.
   */
  addEmbedding(tag: string, vectors: Numbers, step?: Step, options?: EmbeddingOptions): void {
    const place = this.place('addEmbedding', tag, step);
    const { output } = this.#stream;
    if (output.file === undefined) throw new TypeError(`${place.what}: this Output takes no companion files`);
    const { files, entry } = embeddingFiles(place.tag, vectors, place.step, options, place.what);
    for (const { path, bytes } of files) this.writeFile(path, bytes);
    this.writeFile(projectorConfigFile, projectorConfigWith(output, entry));
  }

  /** The graph of a model: a TensorFlow.js LayersModel or GraphModel, or a GraphDef in its bytes. One for each run. */
  addGraph(model: GraphLike): void {
    this.addEvent({ wallTime: Date.now() / 1000, step: 0, graph: graphDefOf(model, 'addGraph') });
  }

  /**
   * The hyperparameters of this run, beside its scalars, which are its metrics. A run has one set of them; one that was
   * written with status 'running' may be written again with the status it ended with.
   *
   * @param metrics scalars to be added with them, at `step`: by default that of the tag's latest point, or 0
   */
  addHparams(
    hparams: Readonly<Record<string, Hparam>>,
    metrics: Readonly<Record<string, number>> = {},
    options: HparamsOptions & { step?: Step } = {},
  ): void {
    const place = this.place('addHparams', hparamsTag, 0);
    const tags = Object.keys(metrics);
    const summaries = hparamsSummaries(hparams, tags, options, 'addHparams');
    for (const tag of tags) {
      if (typeof metrics[tag] === 'number') continue;
      throw new TypeError(`addHparams: metric ${JSON.stringify(tag)}: expected a number, got ${typeof metrics[tag]}`);
    }
    continueSession(this.#stream.output, hparams, options.status);
    this.write(place, summaries);
    for (const tag of tags) this.addScalar(tag, metrics[tag], options.step ?? this.#stream.lastStepOf(tag) ?? 0);
  }

  /** What the custom scalars dashboard shows: charts of several tags, with lines or with margins. One for each run. */
  addCustomScalars(layout: CustomScalarsLayout): void {
    const place = this.place('addCustomScalars', customScalarsTag, 0);
    this.write(place, customScalarsSummary(layout, 'addCustomScalars'));
  }

  /** Writes an event as it is: what `readEvents` yields comes back losslessly. */
  addEvent(event: TensorBoardEvent): void {
    this.#checkOpen('addEvent');
    this.#stream.addEvent(checkEvent(event));
  }

  /**
   * Resolves when every event added so far, to this writer and to its runs, is in the file; rejects with the first
   * write error. A rejection that nobody awaits does no harm.
   */
  flush(): Promise<void> {
    return this.#closing ?? quiet(all([this.#stream.flush(), ...[...this.#runs.values()].map((run) => run.flush())]));
  }

  /** Flushes and closes this writer and its runs; rejects as `flush` does, and is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= quiet(all([...[...this.#runs.values()].map((run) => run.close()), this.#lease.release()]));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Checks what all addX have in common.
   *
   * @internal
   * @param method the addX, for errors
   */
  protected place(method: string, tag: string, step: Step | undefined, options: SummaryOptions = {}): Place {
    const what = `${method} ${JSON.stringify(tag)}`;
    this.#checkOpen(what);
    checkTag(tag, method);
    const { wallTime, displayName, description } = options;
    if (wallTime !== undefined) checkWallTime(wallTime, what);
    checkText(displayName, 'displayName', what);
    checkText(description, 'description', what);
    if (step !== undefined) checkStep(step, what);
    else this.#noteMissingStep(tag, what);
    return {
      what,
      tag: wellFormed(tag),
      step: step ?? 0,
      wallTime,
      displayName: displayName && wellFormed(displayName),
      description: description && wellFormed(description),
    };
  }

  /**
   * Writes one event with one summary or several; where they come later it keeps its place in the order.
   *
   * @internal
   */
  protected write(place: Place, summaries: Summaries | Promise<Summaries>): void {
    const { step, wallTime = Date.now() / 1000 } = place;
    const tagged = (read: Summaries) => (Array.isArray(read) ? read : [read]).map((one) => withMetadata(place, one));
    this.#stream.add(wallTime, step, summaries instanceof Promise ? summaries.then(tagged) : tagged(summaries));
  }

  /**
   * Writes a companion file at a path below the run's folder (see `safePath`).
   *
   * @internal
   */
  protected writeFile(path: string, bytes: Uint8Array | Promise<Uint8Array>): void {
    this.#checkOpen(`file '${path}'`);
    this.#stream.addFile(safePath(path), bytes);
  }

  #checkOpen(what: string): void {
    if (this.isClosed) throw new ClosedWriterError(what, this.logdir);
  }

  #noteMissingStep(tag: string, what: string): void {
    const seen = this.#withoutStep.get(tag);
    this.#withoutStep.set(tag, seen === undefined ? 'once' : 'warned');
    if (seen === 'once') warn(`${what}: no step was given for the second time; TensorBoard shows one point per step`);
  }
}

/** What an addX writes in one event. */
type Summaries = PluginSummary | PluginSummary[];

function withMetadata(place: Place, summary: PluginSummary): TaggedTensor {
  const { plugin, content, dataClass, tensor, tagSuffix = '' } = summary;
  const { displayName, description: summaryDescription } = place;
  const pluginData = content === undefined ? { pluginName: plugin } : { pluginName: plugin, content };
  const metadata = { pluginData, displayName, summaryDescription, dataClass };
  return { tag: place.tag + tagSuffix, tensor, metadata };
}

/** Waits for all, then rejects with the first rejection in order. */
async function all(promises: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

/** Keeps a rejection that nobody awaits from ending the program. */
function quiet(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
