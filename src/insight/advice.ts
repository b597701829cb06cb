import type { EpochStatistics, LayerStatistics, Split } from '../saturation/epoch.js';
import { type InputSize, unproductiveLayers } from './border.js';
import type { ReceptiveField } from './receptive-fields.js';
import { type Tail, type TailOptions, tailOf } from './tail.js';

/*
 * What an epoch's saturations suggest, as findings (adviseOn) and as a text for people (adviceMarkdown). Each finding is one
 * function; each rests on numbers of the epoch and on a rule whose source it names.
 */

/** What a finding is about, most serious first. */
export type FindingKind = 'nonFinite' | 'dead' | 'tail' | 'border' | 'bottleneck' | 'samples' | 'width';

/** One thing that the numbers suggest. */
export interface Finding {
  /** What the finding is about. */
  readonly kind: FindingKind;
  /** The layers concerned, in order of depth. */
  readonly layers: readonly string[];
  /** What was seen, with the numbers that it rests on, and what to try. Markdown without links. */
  readonly text: string;
  /** The paper or thread from which the rule comes. */
  readonly source: {
    /** Its title and authors. */
    readonly title: string;
    /** Where to read it. */
    readonly url: string;
  };
}

/** Options of adviseOn and adviceMarkdown. */
export interface AdviceOptions extends TailOptions {
  /** The split to judge. Default: 'train' if it was recorded, else 'val'. */
  split?: Split;
  /** The result of `receptiveFields(model)`: it shows whether the input is too small for the layers of a tail. */
  receptiveFields?: readonly ReceptiveField[];
  /** Size of the model's inputs in pixels or samples; needed with `receptiveFields`. */
  inputSize?: InputSize;
  /** The result of `probeLayers`: accuracy by layer. */
  probes?: readonly {
    /** The layer's name in a tracker. */
    readonly layer: string;
    /** Fraction of the test samples whose class was found, in [0, 1]. */
    readonly accuracy: number;
  }[];
}

const papers = {
  saturation: {
    title: 'Feature Space Saturation during Training (Shenk, Richter, Byttner, Arpteg, Huss)',
    url: 'https://arxiv.org/abs/2006.08679',
  },
  deeper: {
    title: 'Should You Go Deeper? (Richter, Shenk, Byttner, Arpteg, Huss)',
    url: 'https://arxiv.org/abs/2106.12307',
  },
  eigenspace: {
    title: 'Spectral Analysis of Latent Representations (Shenk, Richter, Arpteg, Huss)',
    url: 'https://arxiv.org/abs/1907.08589',
  },
  delve: { title: 'Delve: how to act on the values', url: 'https://github.com/delve-team/delve/issues/43' },
} as const;

/** A layer that uses this fraction of its directions and is no wider than its neighbors holds the others back. */
const saturated = 0.9;
/** The range of mean saturation that Delve's maintainers advise to aim for, by scaling all widths alike. */
const usefulSaturation = [0.2, 0.4] as const;
/**
 * For layers whose spectrum is not at hand: rows per intrinsic dimension below which the estimate is visibly too low. For a
 * Gaussian in 256 dimensions with a 1/i spectrum (intrinsic dimensionality 241 at 99 %), 4 rows per dimension give 5 % too
 * few dimensions, and 10 rows give 2 % too few.
 */
const rowsPerDimension = 10;

/**
 * Says in plain words what an epoch's saturation suggests: tails, dead layers, saturated bottlenecks, layers with too few
 * samples to judge. Returns an empty list if nothing stands out.
 *
 * The rules are rules of thumb; each finding names the source of its rule.
 *
 * @param epoch what a store receives, e.g. `RunHistory.last`
 * @throws RangeError if an option is out of its range
 */
export function adviseOn(epoch: EpochStatistics, options: AdviceOptions = {}): Finding[] {
  const layers = layersToJudge(epoch, options.split);
  if (layers.length === 0) return [];
  const saturations = layers.map(({ values }) => values.saturation ?? Number.NaN);
  const tail = tailOf({ labels: layers.map(({ layer }) => layer), values: saturations }, options);
  return [
    ...nonFinite(layers),
    ...dead(layers),
    ...tailFinding(tail, options),
    ...border(tail, options),
    ...bottlenecks(layers, options.head ?? 1),
    ...tooFewSamples(layers, epoch.threshold),
    ...width(layers, tail, options.head ?? 1),
  ];
}

/** The layers of the split to judge, in order of depth. */
export function layersToJudge(epoch: EpochStatistics, split?: Split): readonly LayerStatistics[] {
  const wanted = split ?? (epoch.layers.some((layer) => layer.split === 'train') ? 'train' : 'val');
  return epoch.layers.filter((layer) => layer.split === wanted);
}

function nonFinite(layers: readonly LayerStatistics[]): Finding[] {
  const bad = layers.filter(({ rejected }) => rejected > 0);
  if (bad.length === 0) return [];
  const worst = bad.reduce((most, layer) => (layer.rejected > most.rejected ? layer : most));
  return [
    {
      kind: 'nonFinite',
      layers: names(bad),
      text: `${list(bad)} put out NaN or Infinity: ${worst.rejected} of ${worst.rejected + worst.samples} rows in ${code(worst.layer)}. These rows were left out. Lower the learning rate, clip gradients or check the inputs.`,
      source: papers.saturation,
    },
  ];
}

function dead(layers: readonly LayerStatistics[]): Finding[] {
  const still = layers.filter(
    ({ samples, values }) => samples > 1 && (values.intrinsicDimensionality ?? values.saturation) === 0,
  );
  if (still.length === 0) return [];
  return [
    {
      kind: 'dead',
      layers: names(still),
      text: `${list(still)} put out the same for every one of ${still[0]!.samples} samples (no variance in any of ${still[0]!.features} features). With ReLU this means that every unit is dead: try another initialization, a lower learning rate or a leaky activation; otherwise take the layer out.`,
      source: papers.eigenspace,
    },
  ];
}

function tailFinding(tail: Tail, options: AdviceOptions): Finding[] {
  if (tail.layers.length === 0) return [];
  const first = tail.layers[0]!;
  const last = tail.layers.at(-1)!;
  const saw = `The last ${tail.layers.length} layers before the output (${code(first)} to ${code(last)}) hardly use their space: saturation ${digits(tail.saturation)} on average, against ${digits(tail.peak.saturation)} in ${code(tail.peak.layer)}.`;
  const fields = (options.receptiveFields ?? []).filter(
    ({ layer, max }) => tail.layers.includes(layer) && Number.isFinite(max),
  );
  const seen =
    fields.length > 0 ? ` Their receptive fields are ${range(fields)} wide${inputText(options.inputSize)}.` : '';
  const gain = probeGain(tail, options);
  const advice =
    gain > enoughGain
      ? 'The probe speaks against leaving them out.'
      : 'They add little to what earlier layers have found: try the network without them, or give it larger inputs.';
  return [
    {
      kind: 'tail',
      layers: tail.layers,
      text: `${saw}${seen}${probeText(tail, options)} ${advice}`,
      source: papers.saturation,
    },
  ];
}

/** Least gain in a probe's accuracy over the tail that makes its layers count as useful. */
const enoughGain = 0.01;

/** What the tail adds to the accuracy of linear probes; NaN if that is not known. */
function probeGain(tail: Tail, { probes = [] }: AdviceOptions): number {
  const at = probes.findIndex(({ layer }) => layer === tail.layers[0]);
  const end = probes.find(({ layer }) => layer === tail.layers.at(-1));
  return at < 1 || !end ? Number.NaN : end.accuracy - probes[at - 1]!.accuracy;
}

/** The sentence that compares the probes before and at the end of the tail; empty if there are none. */
function probeText(tail: Tail, options: AdviceOptions): string {
  const gain = probeGain(tail, options);
  if (Number.isNaN(gain)) return '';
  const probes = options.probes!;
  const before = probes[probes.findIndex(({ layer }) => layer === tail.layers[0]) - 1]!;
  const end = probes.find(({ layer }) => layer === tail.layers.at(-1))!;
  return ` A linear probe reads ${digits(before.accuracy)} from ${code(before.layer)} in front of them and ${digits(end.accuracy)} from ${code(end.layer)}.`;
}

function border(tail: Tail, { receptiveFields, inputSize }: AdviceOptions): Finding[] {
  if (!receptiveFields || inputSize === undefined) return [];
  const idle = unproductiveLayers(receptiveFields, inputSize);
  if (idle.length === 0) return [];
  const shared = idle.filter((layer) => tail.layers.includes(layer)).length;
  const agreement =
    shared > 0
      ? `Saturation agrees for ${shared} of them.`
      : 'Saturation shows no tail there (yet): judge by the probes before taking layers out.';
  return [
    {
      kind: 'border',
      layers: idle,
      text: `From ${code(idle[0])} on, ${idle.length} convolution(s) get what has already seen the whole input${inputText(inputSize)}, so they cannot find larger patterns. ${agreement} Take out early strides or pools, remove these layers, or enlarge the input.`,
      source: papers.deeper,
    },
  ];
}

function bottlenecks(layers: readonly LayerStatistics[], head: number): Finding[] {
  const judged = layers.slice(0, Math.max(0, layers.length - head));
  const narrow = judged.filter(({ values, features }, index) => {
    const around = [layers[index - 1], layers[index + 1]].filter(
      (layer, side) => layer && (side === 0 || index + 1 < judged.length),
    );
    return (values.saturation ?? 0) >= saturated && around.every((layer) => features <= layer!.features);
  });
  if (narrow.length === 0) return [];
  const told = narrow.map(
    ({ layer, values, features }) => `${code(layer)} (${digits(values.saturation!)} of ${features} features)`,
  );
  return [
    {
      kind: 'bottleneck',
      layers: names(narrow),
      text: `${told.join(', ')} use(s) nearly every direction there is, and no neighbor is narrower: what passes through may be cut short. Try more units or filters there.`,
      source: papers.saturation,
    },
  ];
}

function tooFewSamples(layers: readonly LayerStatistics[], threshold: number): Finding[] {
  const short = layers.filter(({ samples, effectiveSamples = samples, values, features, spectrum }) => {
    if (samples === 0) return false;
    if (spectrum) return !spectrum.isReliable({ threshold, samples: effectiveSamples });
    const dimension = values.intrinsicDimensionality ?? (values.saturation ?? 0) * features;
    return effectiveSamples < rowsPerDimension * dimension;
  });
  if (short.length === 0) return [];
  const told = short.map(
    ({ layer, samples, features }) => `${code(layer)} (${samples} samples of ${features} features)`,
  );
  return [
    {
      kind: 'samples',
      layers: names(short),
      text: `Too few samples to trust the values of ${told.join(', ')}: they come out too low. Record more batches per epoch, at least ${rowsPerDimension} samples per dimension found.`,
      source: papers.eigenspace,
    },
  ];
}

function width(layers: readonly LayerStatistics[], tail: Tail, head: number): Finding[] {
  const judged = layers
    .slice(0, Math.max(0, layers.length - head))
    .filter(({ layer, values }) => !tail.layers.includes(layer) && Number.isFinite(values.saturation ?? Number.NaN));
  if (judged.length === 0) return [];
  const mean = judged.reduce((sum, { values }) => sum + values.saturation!, 0) / judged.length;
  const [low, high] = usefulSaturation;
  if (mean >= low && mean <= high) return [];
  const change =
    mean < low
      ? 'The network may be wider than the task needs: narrower layers should do as well at less cost.'
      : 'The layers are well used; if the accuracy is not high enough, wider layers are a good first try.';
  return [
    {
      kind: 'width',
      layers: names(judged),
      text: `Mean saturation${tail.layers.length > 0 ? ' in front of the tail' : ''} is ${digits(mean)}; Delve's maintainers advise ${low * 100} to ${high * 100} %, reached by scaling all widths alike. ${change}`,
      source: papers.delve,
    },
  ];
}

/** A layer's name as code in markdown: in more backticks than it holds itself. */
function code(name: string): string {
  const longest = Math.max(0, ...Array.from(name.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${name}${fence}` : `${fence} ${name} ${fence}`;
}

function names(layers: readonly LayerStatistics[]): string[] {
  return layers.map(({ layer }) => layer);
}

function list(layers: readonly LayerStatistics[]): string {
  return layers.map(({ layer }) => code(layer)).join(', ');
}

function digits(value: number): string {
  return value.toFixed(value < 0.1 ? 3 : 2);
}

function range(fields: readonly ReceptiveField[]): string {
  const low = Math.min(...fields.map(({ min }) => min));
  const high = Math.max(...fields.map(({ max }) => max));
  return low === high ? String(low) : `${low} to ${high}`;
}

function inputText(inputSize: InputSize | undefined): string {
  if (inputSize === undefined) return '';
  return ` (the input is ${typeof inputSize === 'number' ? inputSize : inputSize.join(' x ')})`;
}

/**
 * What an epoch's saturation suggests, as Markdown for `writer.addText` (TensorBoard's Text tab): the findings with links to
 * their sources, and a table of the numbers on which they rest.
 *
 * @throws RangeError if an option is out of its range
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

/** A name in which no character ends the table cell. */
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
