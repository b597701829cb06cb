import type { ScalarStat } from '../saturation/stats.js';
import { type AdviceCase, type Finding, names, several } from './advice-case.js';

/*
 * What vital signs suggest, where they were recorded. Each finding is one function; each names the source of its rule.
 */

/** The statistics that tell a falling rank, the best first. */
const rankStats: readonly ScalarStat[] = ['rankMe', 'effectiveRank', 'entropyRank'];

const papers = {
  plasticity: {
    title: 'Loss of plasticity in deep continual learning (Dohare, Hernandez-Garcia, Lan, Rahman, Mahmood, Sutton)',
    url: 'https://www.nature.com/articles/s41586-024-07711-7',
  },
  rankMe: {
    title: 'RankMe (Garrido, Balestriero, Najman, LeCun)',
    url: 'https://arxiv.org/abs/2210.02885',
  },
  outliers: {
    title: 'LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale (Dettmers, Lewis, Belkada, Zettlemoyer)',
    url: 'https://arxiv.org/abs/2208.07339',
  },
  minimalDepth: {
    title: 'On the Implicit Bias Towards Minimal Depth of Deep Neural Networks (Galanti, Galanti, Ben-Shaul)',
    url: 'https://arxiv.org/abs/2202.09028',
  },
} as const;

/** Dead units, ranks that fell since an earlier epoch, outlier features, and layers behind the one that decides. */
export function vitalSigns(facts: AdviceCase): Finding[] {
  return [...deadUnits(facts), ...collapsed(facts), ...outliers(facts), ...decided(facts)];
}

/** A layer of which so many units are dead is named. */
const manyDeadFrom = 1 / 3;

function deadUnits({ layers, roles, finished, named }: AdviceCase): Finding[] {
  const withered = layers.filter(
    ({ layer, values }) =>
      (values.deadUnits ?? 0) >= manyDeadFrom &&
      (values.intrinsicDimensionality ?? values.saturation) !== 0 &&
      roles.get(layer) !== 'output',
  );
  if (withered.length === 0) return [];
  const told = withered.map(
    ({ layer, features, values }) => `${named(layer)} (${Math.round(values.deadUnits! * features)} of ${features})`,
  );
  const advice = finished
    ? 'What these units put out can be left out with hardly a change.'
    : 'If these are ReLUs, a unit that is always 0 is not trained any more: try a lower learning rate, a warm-up, or a leaky activation. Units that stand for inputs which are always 0 are no harm.';
  return [
    {
      kind: 'deadUnits',
      layers: names(withered),
      text: `A third or more of the units are 0 in over 99 % of the rows: ${several(told)}. ${advice}`,
      source: papers.plasticity,
    },
  ];
}

/** The part of its earlier effective rank below which a layer's rank has fallen. */
const fellBelow = 0.5;

function collapsed({ epoch, layers, roles, finished, named, options: { earlier } }: AdviceCase): Finding[] {
  if (earlier === undefined || earlier.step >= epoch.step) return [];
  const fell = layers.flatMap((one) => {
    const before = earlier.layers.find(({ layer, split }) => layer === one.layer && split === one.split);
    const stat = rankStats.find((name) => one.values[name] !== undefined && before?.values[name] !== undefined);
    if (stat === undefined || before === undefined || roles.get(one.layer) === 'output') return [];
    const [was, is] = [before.values[stat]!, one.values[stat]!];
    return is < fellBelow * was
      ? [{ one, says: `${named(one.layer)} (from ${was.toFixed(1)} to ${is.toFixed(1)})` }]
      : [];
  });
  if (fell.length === 0) return [];
  const advice = finished
    ? 'Features for other tasks are better taken from an earlier checkpoint, or from a layer whose rank stayed.'
    : 'Less weight decay, a lower learning rate, or an objective that keeps features apart may help. A classifier of few classes narrows its last layers when all is well.';
  return [
    {
      kind: 'collapse',
      layers: names(fell.map(({ one }) => one)),
      text: `The effective rank fell by more than half since epoch ${earlier.step}: ${several(fell.map(({ says }) => says))}. The representation may be collapsing, which a loss need not show. ${advice}`,
      source: papers.rankMe,
    },
  ];
}

/** A layer has outliers if the kurtosis is this part of its width, as if a sample's values were those of four units; and the least width. */
const outlierShare = 1 / 4;
const outlierWidth = 64;

function outliers({ layers, roles, finished, named }: AdviceCase): Finding[] {
  const found = layers.filter(
    ({ layer, features, values }) =>
      features >= outlierWidth && (values.kurtosis ?? 0) >= outlierShare * features && roles.get(layer) !== 'output',
  );
  if (found.length === 0) return [];
  const told = found.map(({ layer, features, values: { kurtosis = 0, largestActivation } }) => {
    const largest =
      largestActivation === undefined ? '' : `, largest value ${Number(largestActivation.toPrecision(3))}`;
    return `${named(layer)} (kurtosis ${kurtosis.toFixed(0)} of ${features} units${largest})`;
  });
  const advice = finished
    ? 'Before the model is quantized to 8 bits, give these units a scale or a precision of their own, and compare the accuracy.'
    : 'Quantization to 8 bits with one scale would round the other units away.';
  return [
    {
      kind: 'outliers',
      layers: names(found),
      text: `Few units hold most of a sample's values: ${several(told)}; Gaussian values have a kurtosis of 3. ${advice}`,
      source: papers.outliers,
    },
  ];
}

/** A layer decides if the nearest class mean is another class than the network predicts for at most this part of the samples. */
const decidesUpTo = 0.02;

function decided({ layers, roles, finished, named }: AdviceCase): Finding[] {
  const known = layers.filter(({ layer, values }) => values.collapseNC4 !== undefined && roles.get(layer) !== 'output');
  const undecided = known.map(({ values }) => !(values.collapseNC4! <= decidesUpTo)).lastIndexOf(true);
  const [first, ...behind] = known.slice(undecided + 1);
  if (first === undefined || behind.length === 0) return [];
  const agrees = Math.floor(1000 * (1 - first.values.collapseNC4!)) / 10;
  const advice = finished
    ? 'A classifier right behind it may be as good.'
    : 'A network that ends there may be as good: compare the accuracies.';
  return [
    {
      kind: 'decided',
      layers: names(behind),
      text: `From ${named(first.layer)} on the nearest class mean is the class that the network predicts, for ${agrees} % of the samples: what comes behind it hardly changes the decision (${several(behind.map(({ layer }) => named(layer)))}). ${advice}`,
      source: papers.minimalDepth,
    },
  ];
}
