import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { isModelLike, type LayerLike } from '../insight/layer-graph.js';
import { classifierOf } from '../insight/layer-roles.js';
import type { AccumulatorFactory, BatchClasses } from '../recording/accumulator.js';
import type { BatchPlace } from '../recording/row-selection.js';
import { type RecordingOptions, SampleRecorder } from '../recording/sample-recorder.js';
import { type ActivationView, sampleSize } from '../recording/samples.js';
import type { Split } from '../saturation/epoch.js';
import { TensorAccumulators } from './accumulate/choose.js';
import { LossClasses } from './classes.js';
import { type GraphModelNodes, isGraphModelNodes, nodeNames, onGraphModelRun } from './graph-model.js';
import { hasFusedActivation, type LayerCall, type LayerHook, onLayerCall, preActivationOf } from './hooks.js';
import {
  type Layer,
  type LayerFilter,
  type LayerPatterns,
  type TrackedLayer,
  trackedLayers,
  warnOfHiddenLayers,
} from './layers.js';
import { notNumeric, offTape } from './tensors.js';
import { during, innerModel, TrainingPhase } from './training-phase.js';
import { classifierWeights, layerKernel } from './weights.js';

/*
 * From a model to its recorded samples: the recorder hooks the model, asks the training phase to which split and batch a pass
 * belongs, and hands the output on to a SampleRecorder.
 */

/** Which layers of a model are recorded, what they show, and how it is read. */
export interface ModelRecordingOptions extends RecordingOptions {
  /** Keeps, drops or renames the layers of a model; undefined keeps those that are tracked by default. */
  readonly layers: LayerFilter | undefined;
  /** Layers that are left out. */
  readonly exclude: LayerPatterns | undefined;
  /** What a layer with a fused activation shows: its output, or what it has before the activation. */
  readonly activations: 'output' | 'preActivation';
  /** Whether neural collapse was asked for by name: then it is told why there is none. */
  readonly classesByName: boolean;
}

/**
 * Records the outputs of a model's layers (or of a list of layers, or of a GraphModel's nodes), with training and
 * validation apart. Errors inside the hooks are reported and never reach the model.
 */
export class ActivationRecorder {
  /** Knows to which split the running pass belongs. */
  readonly phase = new TrainingPhase();
  /** What was recorded. */
  readonly samples: SampleRecorder<Tensor>;
  readonly #model: LayersModel | readonly Layer[] | GraphModelNodes;
  readonly #tracked: readonly TrackedLayer[];
  readonly #names: string[];
  readonly #options: ModelRecordingOptions;
  readonly #report: (error: unknown, where: string) => void;
  /** Undefined if rows are not summed by class. */
  readonly #classes: LossClasses | undefined;
  #layerHooks: LayerHook[] = [];
  #removeHooks: (() => void)[] = [];
  #isHooked = false;
  #isStopped = false;

  /**
   * Chooses the layers; hook() attaches the recorder to them.
   *
   * @param report receives errors that occur inside the hooks
   * @param accumulators where layers are accumulated; by default, where it is cheapest
   * @throws TypeError or RangeError if there is no layer to track
   */
  constructor(
    model: LayersModel | readonly Layer[] | GraphModelNodes,
    options: ModelRecordingOptions,
    report: (error: unknown, where: string) => void,
    accumulators: AccumulatorFactory<Tensor> = new TensorAccumulators(options.precision),
  ) {
    const isGraph = isGraphModelNodes(model);
    this.#model = model;
    this.#tracked = isGraph ? [] : trackedLayers(model as Layer | readonly Layer[], options.layers, options.exclude);
    this.#names = isGraph ? nodeNames(model) : this.#tracked.map(({ name }) => name);
    this.#options = options;
    this.#report = report;
    if (!isGraph && !Array.isArray(model)) warnOfHiddenLayers(model as unknown as Layer);
    const widths = new Map(this.#names.map((name, index) => [name, this.#tracked[index]?.width]));
    const ordered = this.#tracked.map(({ name }) => name);
    this.samples = new SampleRecorder(options, accumulators, report, widths, ordered);
    const layers = new Map(this.#tracked.map(({ name, layer }) => [name, layer]));
    this.samples.kernelOf = async (name) => {
      const layer = layers.get(name);
      return layer && layerKernel(layer);
    };
    if (!options.classes || isGraph) return;
    const learned = new LossClasses(() => this.phase.batch(), options.classesByName);
    this.#classes = learned;
    this.phase.onFit = (fitted) => learned.watch(fitted);
    this.samples.classifierOf = async (name) => {
      const classifiers = new Map([...layers].map(([each, layer]) => [each, this.#classifierBehind(layer)]));
      if ([...classifiers.values()].every((each) => each === undefined)) {
        learned.warnOnce('collapseNC3: expected a dense layer at the end, and the layer before it among those tracked');
      }
      const classifier = classifiers.get(name);
      return classifier && classifierWeights(classifier);
    };
  }

  /** The names of the tracked layers or nodes in order of depth, then the names that were observed. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Whether the recorder is attached to the model. */
  get isHooked(): boolean {
    return this.#isHooked;
  }

  /** Whether passes count: false before hook(), after unhook(), and between stop() and resume(). */
  get isRecording(): boolean {
    return this.#isHooked && !this.#isStopped;
  }

  /** Attaches the recorder to the model, unless it is attached. */
  hook(): void {
    if (this.#isHooked) return;
    this.#isHooked = true;
    const model = this.#model;
    if (isGraphModelNodes(model)) {
      const split = () => (this.isRecording ? this.phase.current(false) : undefined);
      const isWanted = () => split() !== undefined;
      const record = (node: string, activations: Tensor) => {
        const current = split();
        if (current !== undefined) this.#safely(node, () => this.observe(node, activations, current));
      };
      const fail = (node: string, error: unknown) => this.#report(error, `node '${node}'`);
      this.#removeHooks.push(onGraphModelRun(model, { isWanted, record, fail }));
      return;
    }
    this.#layerHooks = this.#tracked.map((target) =>
      onLayerCall(target.layer, (call) => this.#safely(target.name, () => this.#recordCall(target, call))),
    );
    this.#removeHooks = this.#layerHooks.map(({ remove }) => remove);
    if (!Array.isArray(model)) this.phase.watch(model as LayersModel);
  }

  /** Takes the hooks off the model. What was recorded stays until dispose(). */
  unhook(): void {
    this.#isHooked = false;
    for (const remove of this.#removeHooks) remove();
    this.#removeHooks = [];
    this.#layerHooks = [];
    this.phase.unwatch();
  }

  /** Stops recording until resume(). What was recorded stays. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Goes on recording after stop(). */
  resume(): void {
    this.#isStopped = false;
  }

  /**
   * Counts every pass inside `fn` for a split.
   *
   * @param items how many items (images, sequences) the whole period will bring; undefined if that is unknown
   */
  record<T>(split: Split, fn: () => T, items?: number): T {
    for (const hook of this.#layerHooks) hook.startNewPass();
    const model = this.#classes && this.#ownModel;
    if (model === undefined) return this.phase.record(split, fn, items);
    let restore = () => {};
    return during(
      () => {
        restore = this.#classes?.watch(innerModel(model)) ?? restore;
      },
      () => restore(),
      () => this.phase.record(split, fn, items),
    ) as T;
  }

  /** Adds activations that the caller has at hand, under a name of the caller's. */
  observe(name: string, activations: Tensor, split: Split): void {
    if (!this.#names.includes(name)) this.#names.push(name);
    if (this.isRecording) this.#add(split, name, activations, this.#viewOf(undefined), undefined);
  }

  /** Takes the hooks off the model and releases everything that was recorded. */
  dispose(): void {
    this.unhook();
    this.samples.dispose();
  }

  #safely(layer: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#report(error, `layer '${layer}'`);
    }
  }

  /** Records one call of a layer, if it belongs to a split. */
  #recordCall(target: TrackedLayer, call: LayerCall): void {
    if (!this.isRecording || this.samples.isTooWide(target.name)) return;
    const split = this.phase.current(call.kwargs.training === true);
    if (split === undefined) return;
    const view = this.#viewOf(target);
    const mask = view.kind === 'sequence' && call.output.rank === 3 ? maskOf(call) : undefined;
    const add = (output: Tensor) => this.#add(split, target.name, output, view, mask);
    if (this.#options.activations === 'preActivation' && hasFusedActivation(call)) {
      offTape(call.output, () => tidy(() => add(preActivationOf(call))));
    } else {
      add(call.output);
    }
  }

  #add(split: Split, name: string, output: Tensor, view: ActivationView, mask: ArrayLike<number> | undefined): void {
    const wrong = notNumeric(output);
    if (wrong !== undefined) throw new TypeError(`output: ${wrong}`);
    const batch = this.phase.batch();
    const expectedItems = this.phase.expectedItems(split);
    const classes = this.#classesOf(name, output, view, mask, batch);
    this.samples.add(split, name, { output, view, mask, batch, expectedItems, classes });
  }

  /** The classes of a batch's items; undefined where an item has several rows. */
  #classesOf(
    name: string,
    { shape }: Tensor,
    view: ActivationView,
    mask: ArrayLike<number> | undefined,
    batch: BatchPlace,
  ): BatchClasses | undefined {
    const learned = this.#classes;
    if (learned === undefined) return undefined;
    const { rows } = sampleSize(shape, view, mask);
    if (rows === shape[0]) return learned.of(batch);
    learned.warnOnce(
      `layer '${name}': expected one row per item, got ${rows} of ${shape[0]}: convMethod 'mean' or 'flatten', or timeseriesMethod 'lastTimestep', makes one of each`,
    );
    return undefined;
  }

  get #ownModel(): LayersModel | undefined {
    return isGraphModelNodes(this.#model) || Array.isArray(this.#model) ? undefined : (this.#model as LayersModel);
  }

  /** The layer that decides, if a layer shows what it takes. */
  #classifierBehind(layer: Layer): Layer | undefined {
    const { convMethod, timeseriesMethod, activations } = this.#options;
    const model = this.#ownModel;
    if (model === undefined || !isModelLike(model) || !Array.isArray(model.outputs)) return undefined;
    if (activations === 'preActivation' && hasFusedActivation({ layer })) return undefined;
    const found = classifierOf(model);
    const how = found?.inputs.get(layer as unknown as LayerLike);
    const isSeen =
      how === 'same' ||
      (how === 'mean' && convMethod === 'mean') ||
      (how === 'flatten' && (convMethod === 'flatten' || timeseriesMethod === 'timestepwise'));
    return isSeen ? (found?.layer as unknown as Layer) : undefined;
  }

  #viewOf(target: TrackedLayer | undefined): ActivationView {
    const { convMethod, timeseriesMethod, downsample } = this.#options;
    return {
      kind: target?.kind ?? 'sequence',
      spatialRank: target?.spatialRank ?? 0,
      channelsFirst: target?.channelsFirst ?? false,
      convMethod,
      timeseriesMethod: timeseriesMethod ?? (target?.recurrent === true ? 'lastTimestep' : 'tokens'),
      downsample,
    };
  }
}

/** The mask of a layer's output, N x T; undefined if it has none. */
function maskOf(call: LayerCall): ArrayLike<number> | undefined {
  const { layer, inputs, kwargs, output } = call;
  if (!layer.supportsMasking && kwargs.mask == null) return undefined;
  let values: ArrayLike<number> | undefined;
  offTape(output, () =>
    tidy(() => {
      const computed = layer.supportsMasking ? layer.computeMask(inputs, kwargs.mask ?? undefined) : kwargs.mask;
      const mask = Array.isArray(computed) ? computed[0] : computed;
      // TensorFlow.js leaves the mask of an earlier layer in the arguments of later ones: it counts only if it fits.
      if (mask == null || mask.shape[0] !== output.shape[0] || mask.shape[1] !== output.shape[1]) return;
      values = mask.dataSync();
    }),
  );
  return values;
}
