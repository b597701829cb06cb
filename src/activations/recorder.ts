import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { AccumulatorFactory } from '../recording/accumulator.js';
import { type RecordingOptions, SampleRecorder } from '../recording/sample-recorder.js';
import type { ActivationView } from '../recording/samples.js';
import type { Split } from '../saturation/epoch.js';
import { TensorAccumulators } from './accumulate/choose.js';
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
import { TrainingPhase } from './training-phase.js';
import { layerKernel } from './weights.js';

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
    return this.phase.record(split, fn, items);
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
    this.samples.add(split, name, { output, view, mask, batch, expectedItems });
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
