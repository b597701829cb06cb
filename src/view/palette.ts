import type { Split } from '../saturation/epoch.js';

/** The colors of the splits, everywhere: in the view, in reports and in plots. The color-blind can tell them apart. */
export const splitColors = { train: '#d95f0e', val: '#2166ac' } as const;

/** The same on a dark ground. */
const darkSplitColors = { train: '#ff9d4d', val: '#7db8f0' } as const;

// Okabe and Ito's colors, which the color-blind can tell apart, then two more.
const experimentColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#4a9fd8', '#8c564b', '#6f6f6f'];
const darkExperimentColors = ['#56a8e0', '#ff9040', '#2fcf9f', '#f0a5d0', '#ffd050', '#a0d8ff', '#d09f8f', '#bdbdbd'];

/**
 * A color for each run, by its name: of its split if all belong to one experiment, otherwise of its experiment. Splits of one
 * experiment are told apart by their lines: validation is dashed.
 */
export function runColors(
  runs: readonly { name: string; experiment: string; split: Split }[],
  isDark: boolean,
): Map<string, string> {
  const experiments = [...new Set(runs.map(({ experiment }) => experiment))];
  const colors = isDark ? darkExperimentColors : experimentColors;
  const ofSplit = isDark ? darkSplitColors : splitColors;
  return new Map(
    runs.map(({ name, experiment, split }) => [
      name,
      experiments.length === 1 ? ofSplit[split] : colors[experiments.indexOf(experiment) % colors.length],
    ]),
  );
}
