import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';

/*
 * The multi-path networks of the authors of "Should You Go Deeper?": in each block a narrow and a wide path side by side,
 * trained on CIFAR-10 at 32 x 32. Their notebooks hold saturation and receptive field of each convolution.
 */

const { layers } = tf;

/** What the notebook of a network holds of one of its paths, input first. */
export interface MpNetPath {
  readonly network: string;
  readonly path: 'pathway0' | 'pathway1';
  readonly labels: readonly string[];
  readonly saturations: readonly number[];
  /** As the notebook has them. */
  readonly fields: readonly number[];
}

const stored = JSON.parse(readFileSync(new URL('../fixtures/mpnet/values.json', import.meta.url), 'utf8')) as {
  networks: Record<
    string,
    Record<'pathway0' | 'pathway1', Record<string, [accuracy: number, saturation: number, field: number]>>
  >;
};

/** Their receptive fields are the authors' mistake: they are those of a network with more blocks per stage. */
export const mistaken = ['MPNet18_1_4_3_7 pathway0', 'MPNet36_1_4_3_7 pathway0'];

export const mpNetPaths: readonly MpNetPath[] = Object.entries(stored.networks).flatMap(([network, paths]) =>
  (['pathway0', 'pathway1'] as const).map((path) => ({
    network,
    path,
    labels: Object.keys(paths[path]),
    saturations: Object.values(paths[path]).map(([, saturation]) => saturation),
    fields: Object.values(paths[path]).map(([, , field]) => field),
  })),
);

/**
 * A network by its name, `MPNet<depth>_<layers>_<layers>_<kernel>_<kernel>` of the narrow and the wide path, with the names of
 * the notebook. Stages are divided by a stride of 2 that looks at one place.
 */
export function mpNet(name: string): tf.LayersModel {
  const [, narrow, wide, narrowKernel, wideKernel] = name.split('_').length === 5 ? name.split('_').map(Number) : [];
  const blocks = new Set(
    Object.keys(stored.networks[name]!.pathway0).flatMap((label) => /^stage\d-\d+/.exec(label) ?? []),
  );
  const input = tf.input({ shape: [32, 32, 3] });
  const conv = (label: string, kernelSize: number) =>
    layers.conv2d({ name: label, filters: 1, kernelSize, padding: 'same', activation: 'relu' });
  let x = conv('conv1', 3).apply(input) as tf.SymbolicTensor;
  let stage = '1';
  for (const block of blocks) {
    if (block[5] !== stage) x = layers.maxPooling2d({ poolSize: 1, strides: 2 }).apply(x) as tf.SymbolicTensor;
    stage = block[5]!;
    const paths = [
      [narrow!, narrowKernel!],
      [wide!, wideKernel!],
    ].map(([count, kernel], path) =>
      Array.from({ length: count! }, (_, index) => conv(`${block}-pathway${path}-layers-${index}-0`, kernel!)).reduce(
        (y, layer) => layer.apply(y) as tf.SymbolicTensor,
        x,
      ),
    );
    x = layers.add().apply(paths) as tf.SymbolicTensor;
  }
  const pooled = layers.globalAveragePooling2d({}).apply(x);
  return tf.model({
    inputs: input,
    outputs: layers.dense({ name: 'logits', units: 10 }).apply(pooled) as tf.SymbolicTensor,
  });
}
