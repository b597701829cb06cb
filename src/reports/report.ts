import { checkOptionNames, type OptionNames, printable } from '../errors.js';
import { adviseOn, noFindingText } from '../insight/advice.js';
import { type AdviceOptions, caseOf } from '../insight/advice-case.js';
import { modelFacts } from '../insight/layer-graph.js';
import { type EpochStatistics, type LayerStatistics, shortNames } from '../saturation/epoch.js';
import type { RunHistory } from '../saturation/run-history.js';
import { type ScalarStat, scalarStats, statsIn } from '../saturation/stats.js';
import { modelText, timesText, widthsText } from '../saturation/training-facts.js';
import { packRuns } from '../view/packed-runs.js';
import { fieldsOf, type RunData, runsOfHistory } from '../view/run-data.js';
import type { Renderers } from './render.js';

/** Options of reportHtml. */
export interface ReportOptions extends AdviceOptions {
  /** Heading of the page. Default 'Layer saturation'. */
  title?: string;
  /** @deprecated Nothing is drawn by these packages any more. */
  renderers?: Renderers;
}

/** The names of the options of reportHtml. */
export const reportOptionNames: OptionNames<ReportOptions> = {
  title: true,
  renderers: true,
  split: true,
  model: true,
  roles: true,
  earlier: true,
  finished: true,
  threshold: true,
  receptiveFields: true,
  inputSize: true,
  probes: true,
  ratio: true,
  head: true,
  minLength: true,
};

/**
 * One self-contained HTML page about a run, or about several experiments side by side: the saturation view with all that they
 * hold (profile by depth, layers by steps, spectra with a threshold to move, receptive fields, losses and metrics, the
 * difference of two runs), and below it findings in plain words and a table of numbers, which need no script. It opens from a
 * disk, and asks nobody for anything.
 *
 * @param of a history, or histories by the name of their experiment
 * @throws RangeError if a history is empty, or there is none
 */
export async function reportHtml(
  of: RunHistory | ReadonlyMap<string, RunHistory>,
  options: ReportOptions = {},
): Promise<string> {
  checkOptionNames('reportHtml', options, reportOptionNames);
  const histories = of instanceof Map ? (of as ReadonlyMap<string, RunHistory>) : new Map([['', of as RunHistory]]);
  const runs: RunData[] = [];
  const words: string[] = [];
  const facts = new Map<string, [string, string][]>();
  for (const [experiment, history] of histories) {
    const { last } = history;
    if (last === undefined) {
      const which = experiment === '' ? '' : ` of '${printable(experiment)}'`;
      throw new RangeError(`reportHtml: expected a history${which} of at least one epoch, got an empty one`);
    }
    const known = { earlier: history.epochs.find(({ layers }) => layers.length > 0), ...withFields(history, options) };
    const { fields: layers, inputSize } = caseOf(last, known);
    const size = typeof inputSize === 'number' || inputSize === undefined ? inputSize : Math.max(...inputSize);
    facts.set(experiment, factsOf(history, options));
    runs.push(...runsOfHistory(history, experiment, layers.length > 0 ? { inputSize: size, layers } : undefined));
    const heading = histories.size > 1 ? `<h2>${escapeHtml(experiment)}</h2>` : '';
    words.push(heading + findingsSection(last, known) + tableSection(last, known));
  }
  if (runs.length === 0) throw new RangeError('reportHtml: expected at least one history, got none');
  const { kept, every } = withoutMost(runs);
  const thinned =
    every === 1 ? '' : `<p>This file holds the spectra of every ${ordinal(every)} epoch, and all other numbers.</p>`;
  const { reportScript } = await import('../view/generated/report-script.js');
  const heading = options.title ?? 'Layer saturation';
  return page(heading, trainings(facts), thinned, words.join('\n'), base64Of(packRuns(kept)), reportScript);
}

/** What a page says of a training before its numbers: when it was, which network, and what was measured of it. */
function factsOf(history: RunHistory, { model }: ReportOptions): [string, string][] {
  const { times, last, splits } = history;
  const known = history.model ?? (model === undefined ? undefined : modelFacts(model));
  const widths = history.lastOf(splits[0]).map(({ features }) => features);
  const facts: [string, string][] = [];
  if (times !== undefined) facts.push(['Trained', timesText(times)]);
  if (known !== undefined) facts.push(['Model', modelText(known)]);
  facts.push(['Measured', `${widthsText(widths)}; ${splits.join(' and ')}, last at epoch ${last?.step}`]);
  return facts;
}

/** The facts of the trainings: of one as they are, of several to be opened. */
function trainings(facts: ReadonlyMap<string, readonly [string, string][]>): string {
  const lists = [...facts].map(([experiment, each]) => {
    const rows = each.map(([name, text]) => `<dt>${name}</dt><dd>${escapeHtml(text)}</dd>`).join('');
    return `${facts.size > 1 ? `<h2>${escapeHtml(experiment)}</h2>` : ''}<dl>${rows}</dl>`;
  });
  if (facts.size === 1) return `<div class="facts">${lists[0]}</div>`;
  return `<details class="facts"><summary>${facts.size} trainings: when they were, and of which networks</summary>${lists.join('')}</details>`;
}

/** With the receptive fields that the run holds, if the options tell none. */
function withFields({ fields }: RunHistory, options: ReportOptions): ReportOptions {
  if (fields === undefined || options.receptiveFields !== undefined || options.model !== undefined) return options;
  const { inputSize, layers } = fieldsOf(fields);
  return { receptiveFields: layers, inputSize, ...options };
}

/** So many eigenvalues are in a page at most: 16 MiB of them. */
const maxEigenvalues = 2 ** 22;

/** The runs with spectra of every `every`th epoch, counted from the last one: of all if there are not too many. */
function withoutMost(runs: readonly RunData[]): { kept: readonly RunData[]; every: number } {
  let count = 0;
  for (const { layers } of runs) for (const { points } of layers) for (const p of points) count += p.eigenvalues.length;
  const every = Math.ceil(count / maxEigenvalues);
  if (every <= 1) return { kept: runs, every: 1 };
  const kept = runs.map(({ layers, ...run }) => ({
    ...run,
    layers: layers.map(({ points, ...layer }) => ({
      ...layer,
      points: points.filter((_, index) => (points.length - 1 - index) % every === 0),
    })),
  }));
  return { kept, every };
}

function ordinal(count: number): string {
  const ends = ['th', 'st', 'nd', 'rd'];
  return `${count}${(count % 100 > 10 && count % 100 < 14 ? undefined : ends[count % 10]) ?? 'th'}`;
}

function base64Of(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 3 * 2 ** 13) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(at, at + 3 * 2 ** 13))));
  }
  return pieces.join('');
}

function findingsSection(last: EpochStatistics, options: ReportOptions): string {
  const findings = adviseOn(last, options);
  const items = findings.map(
    ({ text, source, kind }) =>
      `<li class="${kind}">${inlineCode(text)} <a href="${escapeHtml(source.url)}">${escapeHtml(source.title)}</a></li>`,
  );
  return `<section><h3>What the numbers suggest</h3>${items.length > 0 ? `<ul>${items.join('')}</ul>` : `<p>${noFindingText(last.layers)}</p>`}</section>`;
}

function tableSection(last: EpochStatistics, options: ReportOptions): string {
  const fields = new Map(caseOf(last, options).fields.map((field) => [field.layer, field]));
  const { prefix, short } = shortNames(last.layers.map(({ layer }) => layer));
  const probes = new Map(options.probes?.map(({ layer, accuracy }) => [layer, accuracy]));
  const columns: Column[] = [
    ['layer', ({ layer }) => short(layer)],
    ['split', ({ split }) => split],
    ['features', ({ features, bounds }) => whole(features) + (bounds ? ', estimate' : '')],
    ['samples', ({ samples }) => whole(samples)],
    statColumn('saturation'),
    statColumn('intrinsicDimensionality'),
    ...statsIn(last.layers)
      .filter((stat) => scalarStats[stat].basis !== 'threshold')
      .map(statColumn),
  ];
  if (fields.size > 0) columns.push(['receptive field', ({ layer }) => extent(fields.get(layer))]);
  if (probes.size > 0) columns.push(['probe accuracy', ({ layer }) => decimals(probes.get(layer), 3)]);
  const percent = Number((last.threshold * 100).toPrecision(6));
  const note = `Saturation is the part of a layer's dimensions needed to explain ${percent} % of its variance (${last.rule} rule), at epoch ${last.step}.${prefix === '' ? '' : ` Names are shown without ${escapeHtml(printable(prefix))}, with which most begin.`}`;
  const rows = last.layers.map((layer) => columns.map(([, cell]) => cell(layer)));
  return `<section><h3>Numbers</h3><p>${note}</p>${table(
    columns.map(([name]) => name),
    rows,
  )}</section>`;
}

/** A column of the table of numbers: its head, and a layer's cell. */
type Column = [string, (layer: LayerStatistics) => string];

function statColumn(stat: ScalarStat): Column {
  return [scalarStats[stat].title, ({ values }) => numberText(stat, values[stat])];
}

/** Three decimals of a saturation, whole counts, and four significant digits of everything else. */
function numberText(stat: ScalarStat, value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '';
  if (scalarStats[stat].tagGroup.startsWith('saturation')) return decimals(value, 3);
  return scalarStats[stat].isCount ? decimals(value, 0) : String(Number(value.toPrecision(4)));
}

/** Text with `code` in backticks, or in more of them and a blank if the code holds backticks itself, as HTML. */
function inlineCode(text: string): string {
  return escapeHtml(text).replace(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/gs, (_, fence: string, code: string) => {
    return `<code>${fence.length === 1 ? code : code.slice(1, -1)}</code>`;
  });
}

/** A count; empty if it is not known. */
function whole(value: number): string {
  return Number.isFinite(value) ? String(value) : '';
}

/** A number with so many decimals; empty if there is none. */
function decimals(value: number | undefined, places: number): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(places);
}

/** The smallest and the largest receptive field; 'all' for the whole input. */
function extent(field: { min: number; max: number } | undefined): string {
  if (!field) return '';
  const text = (size: number) => (size === Number.POSITIVE_INFINITY ? 'all' : String(size));
  return field.min === field.max ? text(field.min) : `${text(field.min)} to ${text(field.max)}`;
}

/** Colors of the page around the view are those of the view. */
const style = `
:root { color-scheme: light dark; --ground: #f6f7f8; --card: #ffffff; --ink: #202124; --soft: #5a5f66; --edge: #d9dce0; --accent: #1a63b0; --code: #e9ebee; }
@media (prefers-color-scheme: dark) { :root { --ground: #1d1f22; --card: #2a2d31; --ink: #e9eaec; --soft: #b4b9c0; --edge: #464b52; --accent: #8ab8f0; --code: #3b3f45; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Helvetica, Arial, sans-serif; }
.title { font-size: 1.35rem; margin: 0; padding: 14px 16px 4px; overflow-wrap: anywhere; } #view .saturation-view { min-height: 0; }
div.facts { padding: 0 16px 4px; } details.facts { margin-bottom: 4px; } dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 4px 0; font-size: 0.9rem; max-width: 100ch; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { margin: 4px 14px 32px; border: 1px solid var(--edge); border-radius: 8px; padding: 10px 16px; background: var(--card); max-width: 1972px; }
summary { cursor: pointer; font-weight: 600; } details h2 { font-size: 1.15rem; margin: 20px 0 4px; overflow-wrap: anywhere; } details h3 { font-size: 1rem; margin: 16px 0 4px; }
ul { padding-left: 20px; } li { margin: 8px 0; max-width: 75ch; overflow-wrap: anywhere; } p { max-width: 75ch; }
code { background: var(--code); border-radius: 3px; padding: 0 3px; font-size: 0.9em; overflow-wrap: anywhere; }
details a { color: var(--accent); }
.scroll { overflow-x: auto; } table.numbers { border-collapse: collapse; font-size: 0.87rem; }
.numbers th, .numbers td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap; font-variant-numeric: tabular-nums; }
.numbers th:first-child, .numbers td:first-child { text-align: left; position: sticky; left: 0; background: var(--card); max-width: 46vw; overflow: hidden; text-overflow: ellipsis; }
`;

/** Nothing but the page itself may run or be loaded. */
const policy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";

/** A whole HTML document, with all that it needs inside. @param facts,note,words HTML */
function page(title: string, facts: string, note: string, words: string, runs: string, script: string): string {
  const name = escapeHtml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<style>${style}</style>
</head>
<body>
<header><h1 class="title">${name}</h1>
${facts}</header>
<main id="view"></main>
<section aria-label="In words and numbers"><details id="words" open><summary>In words and numbers</summary>
${note}${words}
</details></section>
<script type="application/octet-stream" id="runs">${runs}</script>
<script>${script}</script>
</body>
</html>
`;
}

/** A table whose first column stays in view while the others scroll. */
function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n');
  return `<div class="scroll" tabindex="0"><table class="numbers"><thead><tr>${cells('th', columns)}</tr></thead><tbody>${body}</tbody></table></div>`;
}

/** A text that HTML shows as it is; control characters are escaped, as on the console. */
function escapeHtml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
