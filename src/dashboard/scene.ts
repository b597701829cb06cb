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
