/** Graphs of models, as GraphDef bytes, for TensorBoard's graphs dashboard. */
import { decodeMessage, encodeMessage } from '../encoding/message-codec.js';
import { checkAttached, describe } from '../errors.js';
import { checkMessage } from '../event/messages.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type GraphModelLike, graphModelNodes, isGraphModel } from './graph-nodes.js';
import { isLayersModel, type LayersModelLike, layersModelNodes } from './layers-graph.js';
import { isOnnx, onnxGraphNodes } from './onnx-graph.js';

/**
 * What addGraph draws: a TensorFlow.js LayersModel or GraphModel, or the bytes of a GraphDef (a frozen .pb file) or of an ONNX model.
 */
export type GraphLike = LayersModelLike | GraphModelLike | Uint8Array;

/**
 * The graph of a model as GraphDef bytes. The nodes of a LayersModel are its layers, with all edges, settings, output shapes
 * and numbers of parameters; layers of a nested model are drawn in a box of its name. The nodes of a GraphModel and of an ONNX
 * model are its operations.
 *
 * @throws TypeError if the model is none of these, or has no nodes
 */
export function graphDefOf(model: GraphLike, call = 'graph'): Uint8Array {
  if (model instanceof Uint8Array)
    return isOnnx(model) ? encode(onnxGraphNodes(model, call)) : checkGraphDef(model, call);
  if (isLayersModel(model)) return encode(layersModelNodes(model, call));
  if (isGraphModel(model)) return encode(graphModelNodes(model));
  throw new TypeError(
    `${call}: expected a LayersModel, a GraphModel or the bytes of a GraphDef or an ONNX model, got ${describe(model)}`,
  );
}

function encode(node: tensorboard.INodeDef[]): Uint8Array {
  return encodeMessage(tensorboard.GraphDef, { node });
}

/** Checks that bytes are a GraphDef: TensorBoard would show an empty page for others. */
function checkGraphDef(bytes: Uint8Array, call: string): Uint8Array {
  checkAttached(bytes, call);
  let nodes = 0;
  try {
    checkMessage('GraphDef', bytes);
    nodes = decodeMessage(tensorboard.GraphDef, bytes).node.length;
  } catch (cause) {
    throw new TypeError(`${call}: expected the bytes of a GraphDef, got ${bytes.length} bytes that are none`, {
      cause,
    });
  }
  if (nodes === 0) throw new TypeError(`${call}: expected a GraphDef of at least one node, got none`);
  return bytes;
}
