import { warn } from '#platform';
import type { Step } from '../event/event.js';
import { type AudioOptions, audioSummary } from '../summaries/audio.js';
import { type BoxesOptions, boxesSummary } from '../summaries/boxes.js';
import { type CustomScalarsLayout, customScalarsSummary, customScalarsTag } from '../summaries/custom-scalars.js';
import { type EmbeddingOptions, embeddingFiles, projectorConfigFile } from '../summaries/embedding.js';
import { type GraphLike, graphDefOf } from '../summaries/graph.js';
import { bucketize, checkBuckets, histogramSummary } from '../summaries/histogram.js';
import { type Hparam, type HparamsOptions, hparamsSummaries, hparamsTag } from '../summaries/hparams.js';
import {
  figureSummary,
  type ImageInput,
  type ImageOptions,
  type ImagesOptions,
  imageSummary,
  imagesSummary,
} from '../summaries/image.js';
import { type MeshOptions, meshSummaries } from '../summaries/mesh.js';
import { type Numbers, readNumbers } from '../summaries/numbers.js';
import type { CanvasPixels } from '../summaries/pixels.js';
import { type PrCounts, type PrCurveOptions, prCurveRawSummary, prCurveSummary } from '../summaries/pr-curve.js';
import { readScalar, scalarSummary } from '../summaries/scalar.js';
import { type MarkdownInput, textSummary } from '../summaries/text.js';
import { type VideoOptions, videoSummary } from '../summaries/video.js';
import { continueSession, projectorConfigWith } from './run.js';
import { EventWriter, type SummaryOptions } from './run-writer.js';

export type { SummaryOptions } from './run-writer.js';

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
export class SummaryWriter extends EventWriter {
  readonly #partialHistograms = new Set<string>();

  /**
   * One number. TensorBoard reads float32: about seven digits, and beyond 3.4e38 ±Infinity. NaN and ±Infinity are
   * marked in the chart.
   */
  addScalar(tag: string, value: Numbers, step?: Step, options?: SummaryOptions): void {
    if (typeof value === 'number' && options === undefined && Number.isSafeInteger(step) && !this.isClosed) {
      if (this.stream.addScalar(tag, value, step as Step, undefined)) return;
    }
    const place = this.place('addScalar', tag, step, options);
    const number = readScalar(value, place.what);
    if (typeof number === 'number' && this.stream.addScalar(place.tag, number, place.step, place.wallTime)) return;
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
  addText(tag: string, markdown: MarkdownInput, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addText', tag, step, options);
    this.write(place, textSummary(markdown, place.what));
  }

  /**
   * One image: pixels (uint8 and int32 are 0..255, float arrays and plain arrays 0..1), a canvas's ImageData, or a PNG,
   * JPEG or GIF file as `{ encoded }`. Height x width x channels, unless `layout` says otherwise.
   */
  addImage(tag: string, image: ImageInput, step?: Step, options?: SummaryOptions & ImageOptions): void {
    const place = this.place('addImage', tag, step, options);
    this.write(place, imageSummary(image, options, place.what));
  }

  /** Several images of one size, batch x height x width x channels; TensorBoard shows them as samples of one tag. */
  addImages(tag: string, images: ImageInput, step?: Step, options?: SummaryOptions & ImagesOptions): void {
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

  /** A figure: an SVG document, drawn as PNG (in Node by the optional peer @resvg/resvg-js). It keeps its place in the order. */
  addFigure(tag: string, svg: string, step?: Step, options?: SummaryOptions): void {
    const place = this.place('addFigure', tag, step, options);
    this.write(place, figureSummary(svg, place.what));
  }

  /** A video: time x height x width x channels, pixels as in addImage, as an animated GIF in the images dashboard. */
  addVideo(tag: string, frames: ImageInput, step?: Step, options?: SummaryOptions & VideoOptions): void {
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
    const { output } = this.stream;
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
    continueSession(this.stream.output, hparams, options.status);
    this.write(place, summaries);
    for (const tag of tags) this.addScalar(tag, metrics[tag], options.step ?? this.stream.lastStepOf(tag) ?? 0);
  }

  /** What the custom scalars dashboard shows: charts of several tags, with lines or with margins. One for each run. */
  addCustomScalars(layout: CustomScalarsLayout): void {
    const place = this.place('addCustomScalars', customScalarsTag, 0);
    this.write(place, customScalarsSummary(layout, 'addCustomScalars'));
  }
}
