import type { serialization } from '@tensorflow/tfjs-core';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import { type LayerFilter, trackedLayers } from '../activations/layers.js';
import { PcaLayer, type PcaLayerOptions, pcaLayerOptions } from './pca-layer.js';

/** Options of insertPcaLayers: those of a PCA layer (its width is kept), and which layers get one. */
export interface InsertPcaLayersOptions extends Omit<PcaLayerOptions, 'name' | 'keepDim'> {
  /** Keeps or drops layers, as the tracker's `layers` does; a name it gives becomes the PCA layer's. */
  layers?: LayerFilter;
}

/** A layer as a model's configuration has it. */
interface LayerConfig {
  name?: string;
  className: string;
  config: ContainerConfig & { name: string };
  /** Per call: where each input comes from. */
  inboundNodes?: NodeInput[][];
}
/** Layer, which call of it, which of that call's outputs, further arguments. */
type NodeInput = [layer: string, node: number, tensor: number, kwargs?: object];
interface ContainerConfig {
  layers?: LayerConfig[];
  outputLayers?: NodeInput[];
}
interface Container extends layers.Layer {
  layers: layers.Layer[];
}

/**
 * A copy of a model with a PCA layer behind each tracked layer (dense, convolutional, recurrent, ...), named
 * `<layer>_pca`. The weights are kept, the model itself is left as it is, and the copy is disposed of on its own. It is not
 * compiled. Let its PCA layers see data with fitPcaLayers, or train it.
 *
 * Sequential and functional models, nested ones and shared layers; custom layers must be registered, as for saving. A layer
 * with a fused activation is projected behind that; of a layer with several outputs the first is.
 *
 * @throws RangeError where no layer is tracked, or one has its channels first: the projection is along the last axis.
 */
export function insertPcaLayers(model: LayersModel, options: InsertPcaLayersOptions = {}): LayersModel {
  const { layers: filter, ...pca } = options;
  pcaLayerOptions(pca);
  const names = new Map<layers.Layer, string>();
  for (const tracked of trackedLayers(model as unknown as layers.Layer, filter)) {
    if (tracked.layer instanceof PcaLayer) continue;
    if (tracked.channelsFirst) {
      throw new RangeError(
        `insertPcaLayers: layer '${tracked.name}' has its channels first, but a PCA layer projects along the last axis. Leave it out with the option \`layers\`.`,
      );
    }
    const renamed = filter && typeof filter(tracked.layer) === 'string';
    names.set(tracked.layer, renamed ? tracked.name : `${tracked.layer.name}_pca`);
  }

  // A round through JSON, as saving takes: the copy must share nothing with the model.
  const config = JSON.parse(JSON.stringify(model.getConfig())) as ContainerConfig;
  addToContainer(model as unknown as Container, config, (layer, taken) => {
    const wanted = names.get(layer);
    if (wanted === undefined) return undefined;
    let name = wanted;
    for (let k = 2; taken.has(name); k++) name = `${wanted}_${k}`;
    return { ...new PcaLayer({ ...pca, name }).getConfig(), name };
  });
  const kind = model.constructor as serialization.SerializableConstructor<serialization.Serializable> & {
    fromConfig(cls: unknown, config: unknown, customObjects: object, fastWeightInit: boolean): LayersModel;
  };
  const copy = kind.fromConfig(kind, config, {}, true);
  copyWeights(model as unknown as Container, copy as unknown as Container);
  return copy;
}

/** Adds layers to the configuration of a model, and of the models in it, in the place that `pcaFor` asks for. */
function addToContainer(
  model: Container,
  config: ContainerConfig,
  pcaFor: (layer: layers.Layer, taken: ReadonlySet<string>) => (object & { name: string }) | undefined,
): void {
  const taken = new Set(model.layers.map((layer) => layer.name));
  const replaced = new Map<string, string>();
  const result: LayerConfig[] = [];
  for (const [k, layer] of model.layers.entries()) {
    const entry = config.layers![k];
    result.push(entry);
    if (Array.isArray((layer as Partial<Container>).layers)) {
      addToContainer(layer as Container, entry.config, pcaFor);
      continue;
    }
    const pca = pcaFor(layer, taken);
    if (!pca) continue;
    taken.add(pca.name);
    replaced.set(layer.name, pca.name);
    const added: LayerConfig = { name: pca.name, className: PcaLayer.className, config: pca };
    // In a functional model each call of the layer has one of its PCA layer behind it.
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

/** Gives each layer of the copy the weights of the model's layer of that name. */
function copyWeights(model: Container, copy: Container): void {
  const byName = new Map(copy.layers.map((layer) => [layer.name, layer]));
  for (const layer of model.layers) {
    const twin = byName.get(layer.name)!;
    if (Array.isArray((layer as Partial<Container>).layers)) copyWeights(layer as Container, twin as Container);
    else if (layer.weights.length > 0) twin.setWeights(layer.getWeights());
  }
}
