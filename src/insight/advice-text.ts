import type { EpochStatistics } from '../saturation/epoch.js';
import { type AdviceOptions, adviseOn, layersToJudge } from './advice.js';

/**
 * The end of a training in plain words, as Markdown for `writer.addText` (TensorBoard's Text tab): what the saturation
 * suggests, with links to the papers, and the numbers it rests on as a table.
 */
export function adviceMarkdown(epoch: EpochStatistics, options: AdviceOptions = {}): string {
  const layers = layersToJudge(epoch, options.split);
  const findings = adviseOn(epoch, options);
  const percent = Number((epoch.threshold * 100).toPrecision(6));
  const probes = new Map(options.probes?.map(({ layer, accuracy }) => [layer, accuracy]));
  const fields = new Map(options.receptiveFields?.map((field) => [field.layer, field]));
  const header = ['layer', 'features', 'samples', 'saturation', 'intrinsic dimensionality'];
  if (fields.size > 0) header.push('receptive field');
  if (probes.size > 0) header.push('probe accuracy');
  const rows = layers.map(({ layer, features, samples, values }) => {
    const row = [
      cell(layer),
      features,
      samples,
      decimals(values.saturation, 3),
      decimals(values.intrinsicDimensionality, 0),
    ];
    const field = fields.get(layer);
    if (fields.size > 0) row.push(field ? extent(field.min, field.max) : '');
    if (probes.size > 0) row.push(decimals(probes.get(layer), 3));
    return `| ${row.join(' | ')} |`;
  });
  return [
    `### What saturation suggests after epoch ${epoch.step}`,
    '',
    ...(findings.length > 0
      ? findings.map(({ text, source }) => `- ${text} ([${source.title}](${source.url}))`)
      : ['- Nothing stands out: no tail, no dead layer, no saturated bottleneck.']),
    '',
    `Saturation is the part of a layer's dimensions needed to explain ${percent} % of its variance, here over the ${layers[0]?.split === 'val' ? 'validation' : 'training'} samples of the last epoch. These are rules of thumb, to be checked by training again.`,
    '',
    `| ${header.join(' | ')} |`,
    `|${header.map((_, column) => (column === 0 ? ' --- |' : ' ---: |')).join('')}`,
    ...rows,
  ].join('\n');
}

/** A name that cannot end its table cell. */
function cell(name: string): string {
  return name.replaceAll('|', '\\|');
}

function decimals(value: number | undefined, places: number): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(places);
}

function extent(min: number, max: number): string {
  if (min === Number.POSITIVE_INFINITY) return 'all';
  return min === max ? String(min) : `${min} to ${max === Number.POSITIVE_INFINITY ? 'all' : max}`;
}
