import type { EpochStatistics, LayerStatistics, Split } from '../../src/saturation/epoch.js';

/** One layer's statistics for stores to save. */
export function layer(name: string, split: Split, over: Partial<LayerStatistics> = {}): LayerStatistics {
  return {
    split,
    layer: name,
    samples: 640,
    rejected: 0,
    features: 8,
    saturation: 0.375,
    intrinsicDimensionality: 3,
    values: { saturation: 0.375, intrinsicDimensionality: 3 },
    ...over,
  };
}

/** One epoch's statistics for stores to save. */
export function epochOf(
  epoch: number,
  layers: LayerStatistics[],
  scalars: EpochStatistics['scalars'] = [],
): EpochStatistics {
  return { epoch, step: epoch + 1, threshold: 0.99, rule: 'paper', layers, scalars };
}

/** Names that a layer may have, and that files, pages, expressions and objects take for something else. */
export const oddNames: readonly string[] = [
  'constructor',
  'toString',
  '__proto__',
  'hasOwnProperty',
  'a\u2028b\u2029c',
  "x$'y",
  'x$&y$1$$',
  'x$`y',
  'a`b',
  '`` `',
  '</script><b>',
  '"quoted"',
  "'single'",
  'line\nbreak\r\nagain',
  'tab\tbed',
  `${'block/'.repeat(60)}conv`,
  '深'.repeat(150),
  '\u202etfel',
  'שלום',
  '🙂🙃'.repeat(30),
  ' ',
  '\u200b',
  'a;b,c',
  '=1+1',
  'url(#x)',
  ' id="x"',
  'href="#y"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a name that looks like a template
  '\\n${x}%41',
  '..',
  'con',
  'a/../b',
  'datum',
  'null',
  '\u0001\u001b[31m',
];
