/**
 * The public writer: one method per kind of summary. Each checks what all of them share (`checkAddress`), turns its data into a
 * summary by a function of `summaries/`, and hands it to `write`. A scalar whose tag the file knows takes a shorter way.
 */
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import type { Step } from '../event/event.js';
import { safePath } from '../output/output.js';
import { type AudioOptions, audioSummary } from '../summaries/audio.js';
import { type BoxesOptions, boxesSummary } from '../summaries/boxes.js';
import { type CustomScalarsLayout, customScalarsSummary, customScalarsTag } from '../summaries/custom-scalars.js';
import { type EmbeddingOptions, embeddingFiles } from '../summaries/embedding.js';
import { type GraphLike, graphDefOf } from '../summaries/graph.js';
import { type Buckets, bucketize, checkBuckets, histogramSummary } from '../summaries/histogram.js';
import { type Hparams, type HparamsOptions, hparamsSummaries, hparamsTag } from '../summaries/hparams.js';
import {
  figureSummary,
  type ImageInput,
  type ImageOptions,
  type ImagesOptions,
  imageSummary,
  imagesSummary,
} from '../summaries/image.js';
import { type MeshOptions, meshSummaries } from '../summaries/mesh.js';
import { type Later, type Numbers, readNumbers, whenRead } from '../summaries/numbers.js';
import type { CanvasPixels } from '../summaries/pixels.js';
import { plugins } from '../summaries/plugins.js';
import { type PrCounts, type PrCurveOptions, prCurveRawSummary, prCurveSummary } from '../summaries/pr-curve.js';
import { fitsFloat32, readScalar, scalarSummary } from '../summaries/scalar.js';
import { checkTensorOptions, type TensorOptions, tensorSummary } from '../summaries/tensor.js';
import { type MarkdownInput, textSummary } from '../summaries/text.js';
import { type VideoOptions, videoSummary } from '../summaries/video.js';
import { RunWriter, type SummaryAddress, type SummaryOptions, summaryOptionNames } from './run-writer.js';

/** What an addX takes beside the options that all have in common. */
type Own<Options> = OptionNames<Omit<Options, keyof SummaryOptions>>;

/** The names of the options of each addX that has its own. */
const names = {
  addHistogram: { ...summaryOptionNames, buckets: true } satisfies Own<{ buckets?: number }>,
  addImage: { ...summaryOptionNames, layout: true } satisfies Own<ImageOptions>,
  addImages: { ...summaryOptionNames, layout: true, maxOutputs: true } satisfies Own<ImagesOptions>,
  addImageWithBoxes: { ...summaryOptionNames, layout: true, labels: true } satisfies Own<BoxesOptions>,
  addVideo: { ...summaryOptionNames, layout: true, fps: true } satisfies Own<VideoOptions>,
  addAudio: { ...summaryOptionNames, sampleRate: true, maxOutputs: true } satisfies Own<AudioOptions>,
  addPrCurve: { ...summaryOptionNames, thresholds: true, weights: true } satisfies Own<PrCurveOptions>,
  addTensor: { ...summaryOptionNames, plugin: true, content: true } satisfies Own<TensorOptions>,
  addMesh: { ...summaryOptionNames, colors: true, faces: true, config: true } satisfies Own<MeshOptions>,
} as const;
const embeddingNames: OptionNames<EmbeddingOptions> = {
  metadata: true,
  metadataHeader: true,
  labelImages: true,
  layout: true,
};
const hparamsNames: OptionNames<HparamsOptions & { step?: Step }> = {
  name: true,
  status: true,
  domains: true,
  metricTexts: true,
  startTime: true,
  endTime: true,
  step: true,
};

/**
 * Encodes TensorBoard events (protobuf in CRC-32C framed records) into an event file.
 *
 * addX encodes, writes to the operating system (synchronously, never fsync) and returns. When events come so fast that
 * writing them one by one would take more than 5 % of the time that has passed, they are collected, and written together at the end
 * of the event loop's turn or by the first addX that comes 4 ms later. So a program that is killed (SIGKILL, a signal, an
 * exhausted heap, a terminated worker) loses what it added in its last milliseconds at most; only of a burst that costs more than
 * that (a hundred thousand events after some seconds of work) and is followed, without a turn of the event loop, by a long
 * computation, the last 4 ms wait for that: call `flush()` in between, which has written when it returns. Images that come so fast that to
 * encode them would take more than 5 % of the time are encoded by other threads, which a killed program does not finish, with what was
 * added after them; up to 8 MiB of pixels wait for that, and `flush()` counts for them, too. A program that ends in any other way loses nothing, with or without
 * `close()`. Outputs other than a folder of the file system may collect events for up to `flushSecs` (see
 * `Output.isImmediate`).
 *
 * Values that come later (a WebGPU tensor, a rendered figure) keep their place in the order, and what is added after them
 * waits for them; if 10,000 events or 64 MiB wait, they lose their place and are written when they come, with a warning. If none
 * comes for 30 s, those that have been waited for that long are given up: a warning, and the
 * rejection of `flush` and `close`, name them.
 *
 * A tag holds one kind of summary in a run: what is added to it of another kind goes to `<tag>/<kind>`, with a warning.
 *
 * Bad arguments throw TypeError or RangeError from the call. A disk that cannot be written to never makes a call throw:
 * events stay in memory (up to `maxUnwrittenBytes`) until it can, the first error is reported once as a warning, and
 * `flush` and `close` reject with it. Any number of runs costs 32 file descriptors at most, and none a second after the
 * last event.
 *
 * Writers of one program on one real folder, or on one Output, share one file. Worker threads and other processes get
 * files of their own; give them runs of their own too (`writer.run(name)`): if two files of a run hold the same tag and
 * steps, TensorBoard shows only one of them.
 *
 * @example
 * ```js
 * import { SummaryWriter } from 'delve-tensorboard';
 *
 * const writer = new SummaryWriter('runs/second');
 * for (let step = 0; step < 100; step++) writer.addScalar('train/loss', Math.exp(-step / 30), step);
 * writer.run('val').addHistogram('weights', Float32Array.of(1, 2, 3), 99);
 * await writer.close();
 * ```
 */
export class SummaryWriter extends RunWriter {
  /**
   * Adds one number. TensorBoard reads it as float32, which has about seven digits and becomes ±Infinity beyond 3.4e38.
   * The first finite number of a tag that is beyond it is warned of. The chart marks NaN and ±Infinity.
   *
   * @param value a number, or a tensor or array that holds exactly one
   */
  addScalar(tag: string, value: Numbers, step?: Step, options?: SummaryOptions): void {
    if (typeof value === 'number' && options === undefined && Number.isSafeInteger(step) && !this.isClosed) {
      if (fitsFloat32(value) && this.ownRun.addScalar(tag, value, step as Step, undefined)) return;
    }
    const address = this.checkAddress('addScalar', tag, step, options);
    this.#addNumber(address, readScalar(value, address.call));
  }

  #addNumber(address: SummaryAddress, number: Later<number>): void {
    const { tag, step, wallTime } = address;
    const isPlain = typeof number === 'number' && fitsFloat32(number);
    if (isPlain && this.ownRun.addScalar(tag, number, step, wallTime)) return;
    this.write(address, typeof number === 'number' ? scalarSummary(number) : number.then(scalarSummary));
  }

  /**
   * Adds several numbers to one chart. TensorBoard overlays runs, so each key becomes a run `<logdir>/<mainTag>/<key>`
   * that holds the tag `mainTag`.
   */
  addScalars(mainTag: string, values: Readonly<Record<string, Numbers>>, step?: Step, options?: SummaryOptions): void {
    const address = this.checkAddress('addScalars', mainTag, step, options);
    if (typeof values !== 'object' || values === null) {
      throw new TypeError(`${address.call}: expected an object of numbers, got ${describe(values)}`);
    }
    // Everything is checked before anything is written.
    const numbers = Object.entries(values).map(([key, value]) => {
      safePath(key);
      const number = readScalar(value, `${address.call}, ${JSON.stringify(key)}`);
      if (number instanceof Promise) number.catch(() => {}); // if another key is refused, nobody waits for it
      return { key, number };
    });
    const runs = numbers.map(({ key }) => this.run(`${mainTag}/${key}`));
    for (const [index, run] of runs.entries()) run.#addNumber(address, numbers[index].number);
  }

  /**
   * Adds a histogram: how values are distributed over buckets of equal width between the least and the greatest value.
   * NaN and ±Infinity are left out, with one warning per tag; if nothing is left, the histogram is empty.
   *
   * @param values numbers of any shape
   * @param options `buckets`: the number of buckets, 30 by default
   */
  addHistogram(tag: string, values: Numbers, step?: Step, options?: SummaryOptions & { buckets?: number }): void {
    const address = this.checkAddress('addHistogram', tag, step, options, names.addHistogram);
    const summarize = (numbers: ArrayLike<number>) => {
      const { buckets, rejected } = bucketize(numbers, options?.buckets, address.call);
      const remark = `${rejected} of ${numbers.length} values are NaN or infinite and were left out`;
      return { ...histogramSummary(buckets), ...(rejected > 0 ? { remark } : undefined) };
    };
    const numbers = readNumbers(values, address.call);
    this.write(
      address,
      whenRead(numbers, (read) => summarize(read.values)),
    );
  }

  /**
   * Adds a histogram that was counted elsewhere.
   *
   * @param buckets k x 3 numbers: left edge, right edge, count; as rows, or one after another
   */
  addHistogramRaw(tag: string, buckets: Buckets, step?: Step, options?: SummaryOptions): void {
    const address = this.checkAddress('addHistogramRaw', tag, step, options);
    this.write(address, histogramSummary(checkBuckets(buckets, address.call)));
  }

  /**
   * Adds a text.
   *
   * @param markdown markdown; or a table, as rows of cells that are markdown or numbers
   */
  addText(tag: string, markdown: MarkdownInput, step?: Step, options?: SummaryOptions): void {
    const address = this.checkAddress('addText', tag, step, options);
    this.write(address, textSummary(markdown, address.call));
  }

  /**
   * Adds one image.
   *
   * @param image pixels, height x width x channels unless `layout` says otherwise (uint8 and int32 are 0..255, float arrays
   * and plain arrays 0..1); a canvas's ImageData; or a PNG, JPEG or GIF file as `{ encoded }`
   */
  addImage(tag: string, image: ImageInput, step?: Step, options?: SummaryOptions & ImageOptions): void {
    const address = this.checkAddress('addImage', tag, step, options, names.addImage);
    this.write(address, imageSummary(image, options, address.call));
  }

  /**
   * Adds several images of one size; TensorBoard shows them as samples of one tag.
   *
   * @param images batch x height x width x channels unless `layout` says otherwise, pixels as in addImage
   */
  addImages(tag: string, images: ImageInput, step?: Step, options?: SummaryOptions & ImagesOptions): void {
    const address = this.checkAddress('addImages', tag, step, options, names.addImages);
    this.write(address, imagesSummary(images, options, address.call));
  }

  /**
   * Adds an image with boxes drawn into it.
   *
   * @param image height x width x channels, pixels as in addImage
   * @param boxes n x 4: xMin, yMin, xMax, yMax in pixels
   */
  addImageWithBoxes(
    tag: string,
    image: Numbers | CanvasPixels,
    boxes: Numbers,
    step?: Step,
    options?: SummaryOptions & BoxesOptions,
  ): void {
    const address = this.checkAddress('addImageWithBoxes', tag, step, options, names.addImageWithBoxes);
    this.write(address, boxesSummary(image, boxes, options, address.call));
  }

  /**
   * Adds a figure. It is drawn as a PNG (in Node by the optional peer @resvg/resvg-js, in another process) and keeps its place in
   * the order. It may have 16,384 pixels a side and 67,108,864 in all. An image in it must be a `data:` URL: nothing else is read.
   *
   * @param svg an SVG document
   * @throws TypeError if it is none, MissingRendererError if in Node that package is not installed; `flush` and `close` say that a
   * document could not be drawn
   */
  addFigure(tag: string, svg: string, step?: Step, options?: SummaryOptions): void {
    const address = this.checkAddress('addFigure', tag, step, options);
    this.write(address, figureSummary(svg, address.call));
  }

  /**
   * Adds a video: an animated GIF in the images dashboard.
   *
   * @param frames time x height x width x channels, pixels as in addImage; several videos (one more axis in front) play side by
   * side
   */
  addVideo(tag: string, frames: ImageInput, step?: Step, options?: SummaryOptions & VideoOptions): void {
    const address = this.checkAddress('addVideo', tag, step, options, names.addVideo);
    this.write(address, videoSummary(frames, options, address.call));
  }

  /**
   * Adds a sound, as a 16-bit WAV.
   *
   * @param samples numbers in [-1, 1], or an Int16Array: [frames], [frames, channels] or [clips, frames, channels] with 1 or
   * 2 channels; [1, frames] is mono, too
   */
  addAudio(tag: string, samples: Numbers, step?: Step, options?: SummaryOptions & AudioOptions): void {
    const address = this.checkAddress('addAudio', tag, step, options, names.addAudio);
    this.write(address, audioSummary(samples, options, address.call));
  }

  /**
   * Adds a precision-recall curve.
   *
   * @param labels 0 or 1 for each sample
   * @param predictions 0 to 1 for each sample
   */
  addPrCurve(
    tag: string,
    labels: Numbers,
    predictions: Numbers,
    step?: Step,
    options?: SummaryOptions & PrCurveOptions,
  ): void {
    const address = this.checkAddress('addPrCurve', tag, step, options, names.addPrCurve);
    this.write(address, prCurveSummary(labels, predictions, options, address.call));
  }

  /** Adds a precision-recall curve that was counted elsewhere. */
  addPrCurveRaw(tag: string, counts: PrCounts, step?: Step, options?: SummaryOptions): void {
    const address = this.checkAddress('addPrCurveRaw', tag, step, options);
    this.write(address, prCurveRawSummary(counts, address.call));
  }

  /**
   * Adds a tensor as it is, for a plugin of one's own: none of TensorBoard's pages shows it, and both of its loaders keep it
   * for the plugin that `plugin` names.
   *
   * @param values numbers of any shape: float32, float64, int32 or uint8 as they come; booleans become uint8
   * @throws TypeError if something is not a number or an option is of the wrong type, RangeError if the plugin is one of
   * TensorBoard's
   */
  addTensor(tag: string, values: Numbers, step?: Step, options: SummaryOptions & TensorOptions = {}): void {
    const address = this.checkAddress('addTensor', tag, step, options, names.addTensor);
    checkTensorOptions(options, address.call);
    const { plugin = 'tensor' } = options;
    if (plugins.has(plugin)) {
      throw new RangeError(`${address.call}: expected a plugin of your own, got TensorBoard's '${plugin}'`);
    }
    const numbers = readNumbers(values, address.call);
    this.write(
      address,
      numbers instanceof Promise
        ? numbers.then((read) => tensorSummary(read, options))
        : tensorSummary(numbers, options),
    );
  }

  /**
   * Adds a mesh, or a point cloud if no faces are given.
   *
   * @param vertices vertices x 3, or batch x vertices x 3
   */
  addMesh(tag: string, vertices: Numbers, step?: Step, options?: SummaryOptions & MeshOptions): void {
    const address = this.checkAddress('addMesh', tag, step, options, names.addMesh);
    this.write(address, meshSummaries(address.tag, vertices, options, address.call));
  }

  /**
   * Adds vectors for the projector, with labels and small images if there are any. They go into files of their own beside
   * the event file.
   *
   * @param vectors count x features
   * @throws TypeError if the writer's Output takes no companion files
   */
  addEmbedding(tag: string, vectors: Numbers, step?: Step, options?: EmbeddingOptions): void {
    const address = this.checkAddress('addEmbedding', tag, step);
    checkOptionNames(address.call, options ?? {}, embeddingNames);
    if (this.ownRun.output.file === undefined) {
      throw new TypeError(`${address.call}: this Output takes no companion files`);
    }
    const files = embeddingFiles(address.tag, vectors, address.step, options, address.call);
    const remark = whenRead(files.remark, (text) => this.remark(address, text));
    if (remark instanceof Promise) remark.catch(() => {}); // the file that cannot be written says why
    this.ownRun.addEmbedding(files);
  }

  /**
   * Adds the graph of a model. TensorBoard shows one for each run.
   *
   * @param model a TensorFlow.js LayersModel or GraphModel, or the bytes of a GraphDef or of an ONNX model
   */
  addGraph(model: GraphLike): void {
    this.addEvent({ wallTime: Date.now() / 1000, step: 0, graph: graphDefOf(model, 'addGraph') });
  }

  /**
   * Adds the hyperparameters of this run, of which its scalars are the metrics. A run has one set of them; a set that was
   * added with status 'running' may be added again with the status in which the run ended.
   *
   * @param hparams by name; null and undefined are left out
   * @param metrics scalars that are added with them, at `step`: by default the step of the tag's latest point, or 0
   * @throws RangeError if the run has other hyperparameters or has ended
   */
  addHparams(
    hparams: Hparams,
    metrics: Readonly<Record<string, Numbers>> = {},
    options: HparamsOptions & { step?: Step } = {},
  ): void {
    const address = this.checkAddress('addHparams', hparamsTag, 0);
    checkOptionNames('addHparams', options, hparamsNames);
    const tags = Object.keys(metrics ?? {});
    const summaries = hparamsSummaries(hparams, tags, options, 'addHparams');
    const numbers = tags.map((tag) => readScalar(metrics[tag], `addHparams: metric ${JSON.stringify(tag)}`));
    const scalars = tags.map((tag) =>
      this.checkAddress('addHparams: metric', tag, options.step ?? this.ownRun.lastStepOf(tag) ?? 0),
    );
    const remember = this.ownRun.beginHparams(hparams, options.status);
    this.write(address, summaries);
    remember();
    for (const [index, scalar] of scalars.entries()) this.#addNumber(scalar, numbers[index]);
  }

  /** Adds the layout of the custom scalars dashboard: charts of several tags, with lines or with margins. One for each run. */
  addCustomScalars(layout: CustomScalarsLayout): void {
    const address = this.checkAddress('addCustomScalars', customScalarsTag, 0);
    this.write(address, customScalarsSummary(layout, 'addCustomScalars'));
  }
}
