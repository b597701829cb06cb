import { runColors } from '../view/palette.js';
import { outlineOf } from '../view/run-data.js';
import type { RunContent } from './run-content.js';

/** What the pages draw: the runs that are shown with what is known of them, and how they are looked at. */
export interface Scene {
  /** The runs that are shown and read, in the order of the list. */
  readonly runs: readonly RunContent[];
  /** A color for each run, by name. */
  readonly colors: ReadonlyMap<string, string>;
  /** Which tags are shown. */
  readonly isWanted: (tag: string) => boolean;
  readonly look: Look;
  readonly isDark: boolean;
  /** Draws the page again, with something of the look changed. */
  readonly change: (look: Partial<Look>) => void;
}

/** How the page is looked at; what a link keeps. */
export interface Look {
  /** Weight of what came before in smoothed lines, in [0, 1). */
  readonly smoothing: number;
  readonly axis: 'step' | 'relative' | 'wall';
  readonly isLog: boolean;
  readonly clipsOutliers: boolean;
  /** Whether runs of one folder are drawn as their mean and range. */
  readonly groups: boolean;
  readonly histograms: 'offset' | 'overlay';
}

/** Ink and ground of charts. */
export const inkOf = (isDark: boolean): string => (isDark ? '#e9eaec' : '#202124');
export const groundOf = (isDark: boolean): string => (isDark ? '#2a2d31' : '#ffffff');

/** The tags of one kind in all runs, sorted as people count; those of no folder first. */
export function tagsOf(
  { runs, isWanted }: Scene,
  pick: (content: RunContent) => ReadonlyMap<string, unknown>,
): string[] {
  const tags = new Set<string>();
  for (const run of runs) for (const tag of pick(run).keys()) if (isWanted(tag)) tags.add(tag);
  const depth = (tag: string) => (tag.includes('/') ? 1 : 0);
  return [...tags].sort((one, other) => depth(one) - depth(other) || one.localeCompare(other, 'en', { numeric: true }));
}

/** The heading under which a tag stands: what is before its first slash. Tags without one stand together. */
export function groupOf(tag: string): string {
  const slash = tag.indexOf('/');
  return slash < 0 ? 'tags of no folder' : tag.slice(0, slash);
}

/** How a tag is called, and what it says of itself. */
export function titleOf({ runs }: Scene, tag: string): { title: string; hint: string } {
  for (const { texts } of runs) {
    const text = texts.get(tag);
    if (text !== undefined)
      return { title: text.displayName || tag, hint: [tag, text.description].filter(Boolean).join('\n') };
  }
  return { title: tag, hint: tag };
}

/** A chart as one picture for screen readers, with words for what it shows. */
export function asPicture<Chart extends Element>(chart: Chart, words: string): Chart {
  chart.setAttribute('role', 'img');
  chart.setAttribute('aria-label', words);
  // Plot names its groups, which have no role that may be named.
  for (const part of chart.querySelectorAll('g[aria-label]')) part.removeAttribute('aria-label');
  return chart;
}

/** A number as people read it. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
    ? value.toExponential(3)
    : String(Number(value.toPrecision(5)));
}

/** Whether a text matches the regular expression in an input; one that is none is shown as such, and matches what it is. */
export function matcher(input: HTMLInputElement): (text: string) => boolean {
  const wanted = input.value;
  if (wanted === '') return () => true;
  try {
    const pattern = new RegExp(wanted, 'i');
    input.removeAttribute('aria-invalid');
    return (text) => pattern.test(text);
  } catch {
    input.setAttribute('aria-invalid', 'true');
    return (text) => text.includes(wanted);
  }
}

// Okabe and Ito's colors, which the color-blind can tell apart, then two more; on a dark ground brighter ones.
const lightColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#9a7400', '#4a9fd8', '#8c564b', '#6f6f6f'];
const darkColors = ['#56a8e0', '#ff9040', '#2fcf9f', '#f0a5d0', '#ffd050', '#a0d8ff', '#d09f8f', '#bdbdbd'];

/** The color of each run. @param runs all of the logdir, shown or not, so that none changes its color */
export function colorsOf(runs: readonly string[], isDark: boolean): Map<string, string> {
  const outlines = runs.map(outlineOf);
  const isOne = new Set(outlines.map(({ experiment }) => experiment)).size === 1;
  const areSplits = outlines.every(({ name }) => /(^|\/)(train|val)$/.test(name));
  // The splits of one training have their colors everywhere.
  if (isOne && areSplits) return runColors(outlines, isDark);
  const colors = isDark ? darkColors : lightColors;
  return new Map(runs.map((run, index) => [run, colors[index % colors.length]]));
}
