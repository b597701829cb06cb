import type { Tensor } from '@tensorflow/tfjs-core';
import { wrapMethod } from './wrap-method.js';

/** A converted model, as far as it is needed here: tf.GraphModel has all of it. */
export interface GraphModelLike {
  execute(inputs: unknown, outputs?: string | string[]): Tensor | Tensor[];
  executeAsync?(inputs: unknown, outputs?: string | string[]): Promise<Tensor | Tensor[]>;
  readonly outputNodes?: string[];
  readonly outputs?: { name: string }[];
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

/**
 * Has a GraphModel compute further nodes whenever it runs (predict goes through execute, too) and hands them to
 * `listener`; what the caller gets is what it asked for. Returns the function that undoes it.
 *
 * @param wanted asked before each run: false leaves the run as it is, at no cost
 */
export function onGraphModelRun(
  { model, nodes }: GraphModelNodes,
  wanted: () => boolean,
  listener: (node: string, activations: Tensor) => void,
): () => void {
  const names = [...new Set(nodes)];
  if (names.length === 0) throw new RangeError('nodes: expected at least one node name of the GraphModel, got none');
  const undo = (['execute', 'executeAsync'] as const).map((method) =>
    wrapMethod(model, method, (original, self, args) => {
      if (!wanted()) return original(...args);
      const [inputs, outputs] = args as [unknown, string | string[] | undefined];
      const { outputNodes, outputs: outputInfo = [] } = self as GraphModelLike;
      const asked = outputs ?? outputNodes ?? outputInfo.map((output) => output.name);
      const list = Array.isArray(asked) ? asked : [asked];
      const share = (all: Tensor[]) => {
        const extra = all.slice(list.length);
        for (const [index, name] of names.entries()) listener(name, extra[index]);
        const own = all.slice(0, list.length);
        // A node that was asked for as well may be the same tensor: the caller's stays alive.
        for (const tensor of extra) if (!own.includes(tensor)) tensor.dispose();
        return own.length === 1 && !Array.isArray(outputs) ? own[0] : own;
      };
      const result = original(inputs, [...list, ...names]);
      return method === 'execute' ? share(result as Tensor[]) : (result as Promise<Tensor[]>).then(share);
    }),
  );
  return () => {
    for (const restore of undo) restore();
  };
}
