import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type LayerFilter, trackedLayers } from '../activations/layers.js';
import { checkOptionNames } from '../errors.js';
import {
  type Container,
  configOf,
  isContainer,
  type LayerConfig,
  type ModelConfig,
  modelOf,
  type NodeInput,
} from './model-config.js';
import { PcaLayer, type PcaLayerOptions, pcaLayerOptions, pcaOptionNames } from './pca-layer.js';

/*
 * Puts PCA layers into a copy of a model: into its configuration, from which TensorFlow.js makes the copy.
 */

/** Options of insertPcaLayers: those of a PCA layer apart from its width, which is kept, and which layers get one. */
export interface InsertPcaLayersOptions extends Omit<PcaLayerOptions, 'name' | 'keepDim'> {
  /**
   * Which layers get a PCA layer: see LayerFilter. A name that it returns becomes the PCA layer's. Default: the layers that
   * a tracker tracks by default.
   */
  layers?: LayerFilter;
}

/**
 * Copies a model, with a PCA layer named `<layer>_pca` behind each tracked layer (dense, convolutional, recurrent, ...). The
 * copy has the same weights and is disposed of separately; the model is left as it is. The copy is not compiled. Let its PCA
 * layers learn with fitPcaLayers, or train it.
 *
 * The model may be Sequential or functional, with nested models and shared layers; custom layers must be registered, as for
 * saving. The projection comes behind a fused activation. Only the first output of a layer is projected.
 *
 * @throws RangeError if no layer is tracked, or if one has its channels first, because the projection is along the last axis
 */
export function insertPcaLayers(model: LayersModel, options: InsertPcaLayersOptions = {}): LayersModel {
  const { layers: filter, ...pca } = options;
  const { name, keepDim, ...known } = pcaOptionNames;
  checkOptionNames('insertPcaLayers', pca, known);
  pcaLayerOptions(pca);
  const names = new Map<layers.Layer, string>();
  for (const tracked of trackedLayers(model as unknown as layers.Layer, filter)) {
    if (tracked.layer instanceof PcaLayer) continue;
    if (tracked.channelsFirst) {
      throw new RangeError(
        `insertPcaLayers: expected channels last, got layer '${tracked.name}', which has its channels first. Leave it out with the option \`layers\``,
      );
    }
    const renamed = typeof filter === 'function' && typeof filter(tracked.layer) === 'string';
    names.set(tracked.layer, renamed ? tracked.name : `${tracked.layer.name}_pca`);
  }

  const config = configOf(model);
  addToContainer(model as unknown as Container, config, (layer, taken) => {
    const wanted = names.get(layer);
    if (wanted === undefined) return undefined;
    let name = wanted;
    for (let k = 2; taken.has(name); k++) name = `${wanted}_${k}`;
    return { ...new PcaLayer({ ...pca, name }).getConfig(), name };
  });
  const copy = modelOf(model, config, true);
  copyWeights(model as unknown as Container, copy as unknown as Container);
  return copy;
}

/** Adds a layer behind each layer for which `pcaFor` returns one, in the configuration of a model and its nested models. */
function addToContainer(
  model: Container,
  config: ModelConfig,
  pcaFor: (layer: layers.Layer, taken: ReadonlySet<string>) => (object & { name: string }) | undefined,
): void {
  const taken = new Set(model.layers.map((layer) => layer.name));
  const replaced = new Map<string, string>();
  const result: LayerConfig[] = [];
  for (const [k, layer] of model.layers.entries()) {
    const entry = config.layers![k];
    result.push(entry);
    if (isContainer(layer)) {
      addToContainer(layer, entry.config, pcaFor);
      continue;
    }
    const pca = pcaFor(layer, taken);
    if (!pca) continue;
    taken.add(pca.name);
    replaced.set(layer.name, pca.name);
    const added: LayerConfig = { name: pca.name, className: PcaLayer.className, config: { ...pca } };
    // In a functional model, a call of the PCA layer follows each call of the layer.
    if (entry.inboundNodes) added.inboundNodes = entry.inboundNodes.map((_, node) => [[layer.name, node, 0, {}]]);
    result.push(added);
  }
  const reroute = (input: NodeInput) => {
    const pca = replaced.get(input[0]);
    if (pca !== undefined && input[2] === 0) input[0] = pca;
  };
  for (const { className, name, inboundNodes } of result) {
    const isAdded = className === PcaLayer.className && [...replaced.values()].includes(name ?? '');
    if (!isAdded) for (const node of inboundNodes ?? []) node.forEach(reroute);
  }
  config.outputLayers?.forEach(reroute);
  config.layers = result;
}

/** Sets the weights of each layer of the copy to those of the model's layer of the same name. */
function copyWeights(model: Container, copy: Container): void {
  const byName = new Map(copy.layers.map((layer) => [layer.name, layer]));
  for (const layer of model.layers) {
    const twin = byName.get(layer.name)!;
    if (isContainer(layer)) copyWeights(layer, twin as Container);
    else if (layer.weights.length > 0) twin.setWeights(layer.getWeights());
  }
}
