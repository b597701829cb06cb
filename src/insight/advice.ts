import { type EpochStatistics, type LayerStatistics, shortNames } from '../saturation/epoch.js';
import { correctedText } from '../saturation/stats.js';
import type { Spectrum } from '../statistics/spectrum.js';
import {
  type AdviceCase,
  type AdviceOptions,
  caseOf,
  correctedOf,
  type Finding,
  names,
  rowsPerDimension,
  saturationOf,
  several,
} from './advice-case.js';
import { type InputSize, unproductiveLayers } from './border.js';
import { meanOf, type Tail, tailOf } from './tail.js';
import { vitalSigns } from './vital-signs.js';

/*
 * What saturations suggest, as findings (adviseOn) and as a text for people (adviceMarkdown). Each finding is one function;
 * each rests on numbers of the epoch and on a rule whose source it names. Nothing is concluded from layers whose numbers rest
 * on too few rows: advice-case.ts leaves them out.
 */

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

/** A layer that uses this fraction of its directions and is no wider than its neighbors, which use less, holds them back. */
const saturated = 0.9;
/** The range of mean saturation that Delve's maintainers advise to aim for, by scaling all widths alike. */
const usefulSaturation = [0.2, 0.4] as const;

/** What is said of layers in which nothing was found. Nothing is known of layers that have no saturation. */
export function noFindingText(layers: readonly LayerStatistics[]): string {
  return layers.some(({ saturation }) => Number.isFinite(saturation))
    ? 'Nothing stands out: no tail, no dead layer, no saturated bottleneck.'
    : 'Nothing can be said: no layer has a saturation here.';
}

/**
 * Says in plain words what an epoch's saturation suggests: dead layers, layers behind the border of the receptive fields,
 * tails, saturated bottlenecks, layers with too few samples to judge; and what vital signs do, where they were recorded: dead units,
 * ranks that fell since an earlier epoch, outlier features, layers behind the one that decides. Returns an empty list if nothing stands out.
 *
 * The rules are rules of thumb; each finding names the source of its rule.
 *
 * @param of what a store receives, e.g. `RunHistory.last`; or the spectra of a trained model, as `extractSaturation` returns them
 * @throws RangeError if an option is out of its range, TypeError if `model` is not a built tf.LayersModel
 */
export function adviseOn(of: EpochStatistics | ReadonlyMap<string, Spectrum>, options: AdviceOptions = {}): Finding[] {
  const facts = caseOf(of, options);
  if (facts.layers.length === 0) return [];
  const border = borderFinding(facts);
  const tail = tailIn(facts);
  return [
    ...nonFinite(facts),
    ...dead(facts),
    ...vitalSigns(facts),
    ...tailFinding(tail, facts),
    ...border,
    ...bottlenecks(facts),
    ...tooFewSamples(facts),
    ...width(facts, new Set([...tail.layers, ...border.flatMap(({ layers }) => layers)])),
  ];
}

function nonFinite({ layers, finished, named }: AdviceCase): Finding[] {
  const bad = layers.filter(({ rejected }) => rejected > 0);
  if (bad.length === 0) return [];
  const worst = bad.reduce((most, layer) => (layer.rejected > most.rejected ? layer : most));
  const advice = finished ? 'Check the inputs.' : 'Lower the learning rate, clip gradients or check the inputs.';
  return [
    {
      kind: 'nonFinite',
      layers: names(bad),
      text: `${list(bad, named)} put out NaN or Infinity: ${worst.rejected} of ${worst.rejected + worst.samples} rows in ${named(worst.layer)}. These rows were left out. ${advice}`,
      source: papers.saturation,
    },
  ];
}

function dead({ layers, finished, named }: AdviceCase): Finding[] {
  const still = layers.filter(
    ({ samples, values }) => samples > 1 && (values.intrinsicDimensionality ?? values.saturation) === 0,
  );
  if (still.length === 0) return [];
  const advice = finished
    ? 'What comes behind gets a constant from there, so that the layer can be left out.'
    : 'With ReLU this means that every unit is dead: try another initialization, a lower learning rate or a leaky activation; otherwise take the layer out.';
  return [
    {
      kind: 'dead',
      layers: names(still),
      text: `${list(still, named)} put out the same for every one of ${still[0]!.samples} rows (no variance in any of ${still[0]!.features} features). ${advice}`,
      source: papers.eigenspace,
    },
  ];
}

/** Whether receptive fields tell where layers stop to see something new, so that saturation need not find the place. */
function knowsBorder({ fields, inputSize }: AdviceCase): boolean {
  return inputSize !== undefined && fields.some(({ convolutional, axes }) => convolutional && axes.length > 0);
}

function tailIn(facts: AdviceCase): Tail {
  const judged = knowsBorder(facts) ? [] : facts.trusted;
  const labels = judged.map(({ layer }) => layer);
  const { ratio, minLength } = facts.options;
  // Layers at the end that are not judged are left out already.
  return tailOf({ labels, values: judged.map(saturationOf) }, { ratio, minLength, head: 0 });
}

function tailFinding(tail: Tail, facts: AdviceCase): Finding[] {
  if (tail.layers.length === 0) return [];
  const { finished, named, options } = facts;
  const [first, last] = [tail.layers[0]!, tail.layers.at(-1)!];
  const saw = `At ${named(first)} at the latest, saturation falls: it is ${digits(tail.saturation)} on average from there to ${named(last)} (${tail.layers.length} layers), and ${digits(tail.before)} in the layers before.`;
  const gain = probeGain(tail.layers, options);
  const smaller = finished ? 'a smaller copy of the model may do without them' : 'try the network without them';
  const advice =
    gain > enoughGain
      ? 'The probe speaks against leaving them out.'
      : `They may add little to what earlier layers have found: ${smaller}, or, if they are convolutions, give them larger inputs.`;
  return [
    {
      kind: 'tail',
      layers: tail.layers,
      text: `${saw}${probeText(tail.layers, facts)} ${advice}`,
      source: papers.saturation,
    },
  ];
}

/** Least gain in a probe's accuracy over some layers that makes them count as useful. */
const enoughGain = 0.01;

/** What layers add to the accuracy of linear probes; NaN if that is not known. */
function probeGain(layers: readonly string[], { probes = [] }: AdviceOptions): number {
  const at = probes.findIndex(({ layer }) => layer === layers[0]);
  const end = probes.find(({ layer }) => layer === layers.at(-1));
  return at < 1 || !end ? Number.NaN : end.accuracy - probes[at - 1]!.accuracy;
}

/** The sentence that compares the probes before and at the end of some layers; empty if there are none. */
function probeText(layers: readonly string[], { options, named }: AdviceCase): string {
  const gain = probeGain(layers, options);
  if (Number.isNaN(gain)) return '';
  const probes = options.probes!;
  const before = probes[probes.findIndex(({ layer }) => layer === layers[0]) - 1]!;
  const end = probes.find(({ layer }) => layer === layers.at(-1))!;
  return ` A linear probe reads ${digits(before.accuracy)} from ${named(before.layer)} in front of them and ${digits(end.accuracy)} from ${named(end.layer)}.`;
}

/**
 * Saturation behind the border is at most this fraction of that before it, if it confirms the border: so in 12 of 13 paths of
 * the authors' networks that have one, and in none of three without one, cut at the same depth.
 */
const confirmed = 0.75;

function borderFinding(facts: AdviceCase): Finding[] {
  const { fields, inputSize, trusted, finished, named, options } = facts;
  if (inputSize === undefined || fields.length === 0) return [];
  const idle = unproductiveLayers(fields, inputSize);
  if (idle.length === 0) return [];
  const behind = new Set(idle);
  const convolutions = fields.filter(({ convolutional, axes }) => convolutional && axes.length > 0);
  const inside = new Set(convolutions.map(({ layer }) => layer));
  const mean = (isBehind: boolean) =>
    // The first convolution is narrow by its input.
    meanOf(
      trusted
        .filter(({ layer }) => inside.has(layer) && layer !== convolutions[0]!.layer && behind.has(layer) === isBehind)
        .map(saturationOf),
    );
  const [after, before] = [mean(true), mean(false)];
  const isSequence = convolutions.every(({ axes }) => axes.length === 1);
  const others =
    idle.length === 1 ? 'gets' : `and ${idle.length - 1} more convolution${idle.length === 2 ? '' : 's'} get`;
  const saw = `${named(idle[0]!)} ${others} what has already seen the whole input${inputText(inputSize)}, or cover${idle.length === 1 ? 's' : ''} all of the map that comes in: there are no ${isSequence ? 'longer' : 'larger'} patterns left to find.`;
  const gain = probeGain(idle, options);
  const larger = isSequence ? 'longer sequences' : 'larger inputs';
  let verdict: string;
  if (gain > enoughGain) verdict = 'The probe speaks against leaving them out.';
  else if (Number.isNaN(after / before)) {
    verdict = 'What saturation says to it is not known: too few layers on one side were measured on enough rows.';
  } else if (after <= confirmed * before) {
    const cure = finished
      ? `A copy without them, or with fewer early strides and pools, may do as well; so may ${larger}.`
      : `Try ${larger}, fewer early strides or pools, or the network without these layers.`;
    verdict = `Saturation confirms it: ${digits(after)} on average behind this border, ${digits(before)} before it. ${cure}`;
  } else {
    verdict = `Saturation does not confirm it${finished ? '' : ' (yet)'}: ${digits(after)} on average behind this border, ${digits(before)} before it. Judge by probes before taking layers out.`;
  }
  return [{ kind: 'border', layers: idle, text: `${saw}${probeText(idle, facts)} ${verdict}`, source: papers.deeper }];
}

function bottlenecks({ layers, trusted, roles, finished, named }: AdviceCase): Finding[] {
  const narrow = trusted.filter((layer) => {
    const { features, values } = layer;
    // One feature is always used whole; a layer that is narrow by design is no accident.
    if (features === 1 || roles.has(layer.layer) || (values.saturation ?? 0) < saturated) return false;
    const index = layers.indexOf(layer);
    const around = [layers[index - 1], layers[index + 1]].filter(
      (one) =>
        one !== undefined && roles.get(one.layer) !== 'output' && (trusted.includes(one) || one !== layers.at(-1)),
    );
    // Of layers that are as wide and as full, none holds the others back: their width is judged as a whole.
    const isAlike = (one: LayerStatistics) => one.features === features && (one.values.saturation ?? 0) >= saturated;
    return around.length > 0 && around.every((one) => features <= one!.features && !isAlike(one!));
  });
  if (narrow.length === 0) return [];
  const told = narrow.map(
    ({ layer, values, features }) => `${named(layer)} (${digits(values.saturation!)} of ${features} features)`,
  );
  const [verb, place] = narrow.length === 1 ? ['uses', 'it is'] : ['use', 'they are'];
  const advice = finished
    ? `whether more units or filters there help, only training tells`
    : `try more units or filters there, unless ${place} meant to be narrow`;
  return [
    {
      kind: 'bottleneck',
      layers: names(narrow),
      text: `${told.join(', ')} ${verb} nearly every direction there is, and no neighbor is narrower: what passes through may be cut short; ${advice}.`,
      source: papers.saturation,
    },
  ];
}

/** So many layers of few rows are told with their numbers; of more, only the worst. */
const wordedOnes = 3;

/** Independent rows of a layer per feature. */
function shortOf({ samples, effectiveSamples = samples, features }: LayerStatistics): number {
  return effectiveSamples / features;
}

function tooFewSamples({ epoch, doubtful, finished, named }: AdviceCase): Finding[] {
  if (doubtful.length === 0) return [];
  const told = doubtful.map((one) => {
    const { layer, samples, effectiveSamples = samples, features } = one;
    const worth =
      Math.round(effectiveSamples) < samples ? `, worth ${Math.round(effectiveSamples)} independent ones,` : '';
    const corrected = correctedOf(one, epoch);
    const { saturation = Number.NaN, saturationCorrected = Number.NaN } = corrected;
    const truth = Number.isNaN(saturationCorrected)
      ? ''
      : `: ${digits(saturation)} shown, ${correctedText(corrected)} with many rows`;
    return `${named(layer)} (${samples} rows${worth} of ${features} features${truth})`;
  });
  const more = finished ? 'Run more samples through the model' : 'Record more batches per epoch, or use more data';
  const most = doubtful.reduce((worst, one) => (shortOf(one) < shortOf(worst) ? one : worst));
  const which =
    doubtful.length <= wordedOnes
      ? told.join(', ')
      : `${doubtful.length} layers (${several(doubtful.map(({ layer }) => named(layer)))}), the fewest for their width in ${told[doubtful.indexOf(most)]}`;
  return [
    {
      kind: 'samples',
      layers: names(doubtful),
      text: `Too few rows to trust the values of ${which}: they come out too low, and nothing is concluded from them here. ${more}: ${rowsPerDimension} independent rows per dimension found, or more.`,
      source: papers.eigenspace,
    },
  ];
}

function width(
  { layers, trusted, doubtful, roles, finished, goal }: AdviceCase,
  behind: ReadonlySet<string>,
): Finding[] {
  const judged = trusted.filter(
    ({ layer, features, values }) => !behind.has(layer) && features > 1 && values.saturation! > 0 && !roles.has(layer),
  );
  // Layers with enough rows are those of few dimensions: a mean over a part of the network is too low.
  const features = layers.filter(({ layer }) => !behind.has(layer) && !roles.has(layer));
  if (judged.length === 0 || 4 * judged.length < 3 * (features.length - 1)) return [];
  // Where layers are narrow by design, those behind them are wide by design, and no scaling of all widths is meant.
  const designed = layers.filter(({ layer }) => roles.has(layer) && roles.get(layer) !== 'output');
  if (4 * designed.length > layers.length) return [];
  const mean = meanOf(judged.map(saturationOf));
  const [low, high] = usefulSaturation;
  if (mean >= low && mean <= high) return [];
  const before = behind.size > 0 ? ' before that' : '';
  const subject = doubtful.length > 0 ? ` of the ${judged.length} layers${before} with enough rows` : '';
  const free = judged.length < layers.length ? ` of the ${judged.length} layers whose width is free` : '';
  const where = subject !== '' ? subject : before !== '' ? ` of the layers${before}` : free;
  let text = `Mean saturation${where} is ${digits(mean)}; Delve's maintainers advise ${low * 100} to ${high * 100} %, reached by scaling all widths alike.`;
  if (mean < low) {
    text += finished
      ? ' A narrower copy of the model may do as well at less cost.'
      : ' If it has learned its task, it is wider than needed: narrower layers may do as well at less cost.';
  } else {
    text += ` The layers are well used${finished ? ': there is little to save by narrower ones.' : `; if the ${goal} is not ${goal === 'loss' ? 'low' : 'high'} enough, wider layers are a good first try.`}`;
  }
  return [{ kind: 'width', layers: names(judged), text, source: papers.delve }];
}

function list(layers: readonly LayerStatistics[], named: (layer: string) => string): string {
  return layers.map(({ layer }) => named(layer)).join(', ');
}

function digits(value: number): string {
  return value.toFixed(value < 0.1 ? 3 : 2);
}

function inputText(inputSize: InputSize | undefined): string {
  if (inputSize === undefined) return '';
  return ` (the input is ${typeof inputSize === 'number' ? inputSize : inputSize.join(' x ')})`;
}

/**
 * What an epoch's saturation suggests, as Markdown for `writer.addText` (TensorBoard's Text tab): the findings with links to
 * their sources, and a table of the numbers on which they rest. Folders that all names begin with are named once.
 *
 * @param of what a store receives, e.g. `RunHistory.last`; or the spectra of a trained model, as `extractSaturation` returns them
 * @throws RangeError if an option is out of its range, TypeError if `model` is not a built tf.LayersModel
 */
export function adviceMarkdown(
  of: EpochStatistics | ReadonlyMap<string, Spectrum>,
  options: AdviceOptions = {},
): string {
  const { epoch, layers, doubtful, fields, finished } = caseOf(of, options);
  const findings = adviseOn(of, options);
  const percent = Number((epoch.threshold * 100).toPrecision(6));
  const probes = new Map(options.probes?.map(({ layer, accuracy }) => [layer, accuracy]));
  const fieldOf = new Map(fields.map((field) => [field.layer, field]));
  const { prefix, short } = shortNames(names(layers));
  const header = ['layer', 'features', 'rows', 'saturation', 'intrinsic dimensionality'];
  if (doubtful.length > 0) header.push('with many rows');
  if (fieldOf.size > 0) header.push('receptive field');
  if (probes.size > 0) header.push('probe accuracy');
  const rows = layers.map((one) => {
    const { layer, features, samples, values } = one;
    const row = [
      cell(short(layer)),
      features,
      Number.isNaN(samples) ? '' : samples,
      decimals(values.saturation, 3),
      decimals(values.intrinsicDimensionality, 0),
    ];
    if (doubtful.length > 0) row.push(doubtful.includes(one) ? correctedText(correctedOf(one, epoch)) : '');
    const field = fieldOf.get(layer);
    if (fieldOf.size > 0) row.push(field ? extent(field.min, field.max) : '');
    if (probes.size > 0) row.push(decimals(probes.get(layer), 3));
    return `| ${row.join(' | ')} |`;
  });
  const over = finished
    ? 'the samples that were run through the trained model'
    : `the ${layers[0]?.split === 'val' ? 'validation' : 'training'} samples of the last epoch`;
  return [
    `### What saturation suggests ${finished ? 'about the trained model' : `after epoch ${epoch.step}`}`,
    '',
    ...(findings.length > 0
      ? findings.map(({ text, source }) => `- ${text} ([${source.title}](${source.url}))`)
      : [`- ${noFindingText(layers)}`]),
    '',
    `Saturation is the part of a layer's dimensions needed to explain ${percent} % of its variance, here over ${over}. These are rules of thumb, to be checked by training${finished ? '' : ' again'}.${prefix === '' ? '' : ` Names are shown without \`${prefix}\`, with which most begin.`}`,
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
