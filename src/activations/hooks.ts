import type { Tensor } from '@tensorflow/tfjs-core';
import { wrapMethod } from './wrap-method.js';

/** A converted model, as far as it is needed here: tf.GraphModel has all of it. */
export interface GraphModelLike {
  execute(inputs: unknown, outputs?: string | string[]): Tensor | Tensor[];
  executeAsync?(inputs: unknown, outputs?: string | string[]): Promise<Tensor | Tensor[]>;
  readonly outputNodes?: string[];
  readonly outputs?: { name: string }[];
  readonly weights?: Record<string, Tensor[]>;
}

/** A GraphModel has no layers; its intermediate nodes are tracked by name, e.g. 'block1/Relu'. */
export interface GraphModelNodes {
  model: GraphModelLike;
  nodes: readonly string[];
}

export function isGraphModelNodes(model: unknown): model is GraphModelNodes {
  const candidate = model as Partial<GraphModelNodes> | null;
  return typeof candidate?.model?.execute === 'function' && Array.isArray(candidate.nodes);
}

/** The nodes to track, each once. @throws RangeError where there is none */
export function nodeNames({ nodes }: GraphModelNodes): string[] {
  const names = [...new Set(nodes)];
  if (names.length === 0) throw new RangeError('nodes: expected at least one node name of the GraphModel, got none');
  return names;
}

/**
 * Has a GraphModel compute further nodes whenever it runs (predict goes through execute, too) and hands them to
 * `listener`; what the caller gets is what it asked for. Returns the function that undoes it.
 *
 * @param wanted asked before each run: false leaves the run as it is, at no cost
 */
export function onGraphModelRun(
  graph: GraphModelNodes,
  wanted: () => boolean,
  listener: (node: string, activations: Tensor) => void,
): () => void {
  const names = nodeNames(graph);
  const undo = (['execute', 'executeAsync'] as const).map((method) =>
    wrapMethod(graph.model, method, (original, self, args) => {
      if (!wanted()) return original(...args);
      const [inputs, outputs] = args as [unknown, string | string[] | undefined];
      const { outputNodes, outputs: outputInfo = [], weights = {} } = self as GraphModelLike;
      const asked = outputs ?? outputNodes ?? outputInfo.map((output) => output.name);
      const list = Array.isArray(asked) ? asked : [asked];
      const share = (all: Tensor[]) => {
        const extra = all.slice(list.length);
        for (const [index, name] of names.entries()) listener(name, extra[index]);
        const own = all.slice(0, list.length);
        // A node may be a tensor that stays alive: one that was asked for as well, an input, a weight.
        const others = new Set([...own, ...tensorsOf(inputs), ...Object.values(weights).flat()]);
        for (const tensor of new Set(extra)) if (!others.has(tensor)) tensor.dispose();
        return own.length > 1 ? own : own[0];
      };
      const result = original(inputs, [...list, ...names]);
      return method === 'execute' ? share(result as Tensor[]) : (result as Promise<Tensor[]>).then(share);
    }),
  );
  return () => {
    for (const restore of undo) restore();
  };
}

/** The tensors that a run was given: one, a list, or by name. */
function tensorsOf(inputs: unknown): unknown[] {
  if (Array.isArray(inputs)) return inputs;
  return typeof (inputs as Partial<Tensor> | null)?.dataSync === 'function'
    ? [inputs]
    : Object.values((inputs ?? {}) as object);
}
