import { checkOptionNames, type OptionNames, printable } from '../errors.js';
import { adviseOn } from '../insight/advice.js';
import { type AdviceOptions, caseOf, correctedOf, layersToJudge } from '../insight/advice-case.js';
import { type EpochStatistics, type LayerStatistics, type Split, shortNames } from '../saturation/epoch.js';
import type { RunHistory, Series } from '../saturation/run-history.js';
import { type ScalarStat, scalarStats, statsIn } from '../saturation/stats.js';
import { heatMapPlot } from './heat-map-plot.js';
import type { PlotSpec } from './plot-spec.js';
import { correctedSeries, profilePlot } from './profile-plot.js';
import { receptiveFieldPlot } from './receptive-field-plot.js';
import { type Renderers, renderSvg } from './render.js';
import { screePlot } from './scree-plot.js';
import { seriesPlot } from './series-plot.js';
import { splitsPlot } from './splits-plot.js';

/** Options of reportHtml. */
export interface ReportOptions extends AdviceOptions {
  /** Heading of the page. Default 'Layer saturation'. */
  title?: string;
  /** The packages that draw. Default: they are imported by their names. */
  renderers?: Renderers;
}

/** The names of the options of reportHtml. */
export const reportOptionNames: OptionNames<ReportOptions> = {
  title: true,
  renderers: true,
  split: true,
  model: true,
  roles: true,
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
 * One self-contained HTML page about a run, without scripts and without anything to load: findings in plain words,
 * saturation by depth (with tail and probes), train against validation, heat maps over the epochs, receptive fields,
 * losses and metrics, all numbers as a table, and the spectrum of each layer.
 *
 * @throws RangeError if the history is empty, MissingRendererError if vega or vega-lite is not installed
 */
export async function reportHtml(history: RunHistory, options: ReportOptions = {}): Promise<string> {
  checkOptionNames('reportHtml', options, reportOptionNames);
  const last = history.last;
  if (last === undefined)
    throw new RangeError('reportHtml: expected a history of at least one epoch, got an empty one');
  const draw = async ({ spec, caption }: Plot): Promise<Figure> => ({
    // Screen readers read the caption: a label on every dot would make the page three times as large.
    svg: await renderSvg({ ...spec, config: { ...(spec.config as object), aria: false } }, options.renderers),
    caption,
  });
  const figures: Figure[] = [];
  for (const plot of depthPlots(history, last, options)) figures.push(await draw(plot));
  const metrics: Figure[] = [];
  for (const plot of metricPlots(history)) metrics.push(await draw(plot));
  const spectra: Figure[] = [];
  for (const { layer, spectrum } of layersToJudge(last, options.split)) {
    if (!spectrum) continue;
    const spec = screePlot({ label: layer, eigenvalues: spectrum.eigenvalues }, { threshold: last.threshold });
    spectra.push(await draw({ spec, caption: `Spectrum of ${layer}` }));
  }
  return page(options.title ?? 'Layer saturation', [
    findingsSection(last, options),
    section('By depth', figures),
    ...(metrics.length > 0 ? [section('Over the epochs', metrics)] : []),
    tableSection(last, options),
    ...(spectra.length > 0 ? [section('Spectra', spectra, true)] : []),
  ]);
}

/** So many values are drawn in a heat map over the epochs, and so many metrics in a page. */
const maxCells = 2 ** 17;
const maxMetrics = 200;

/** A plot and a sentence about it. */
interface Plot {
  spec: PlotSpec;
  caption: string;
}

/** The plots of the section "By depth". */
function depthPlots(history: RunHistory, last: EpochStatistics, options: ReportOptions): Plot[] {
  const { layers, doubtful, fields: known, inputSize: size } = caseOf(last, options);
  const labels = layers.map(({ layer }) => layer);
  const shortName = shortNames(history.layerNames()).short;
  const short = (names: readonly string[]) => names.map(shortName);
  const values = layers.map(({ values }) => values.saturation ?? Number.NaN);
  const probes = new Map(options.probes?.map(({ layer, accuracy }) => [layer, accuracy]));
  const probeValues = probes.size > 0 ? { probes: labels.map((label) => probes.get(label) ?? Number.NaN) } : {};
  const split = layers[0]?.split;
  const shaded = adviseOn(last, options).flatMap(({ kind, layers }) =>
    kind === 'tail' || kind === 'border' ? layers : [],
  );
  const corrected = correctedSeries(
    layers.map((layer) => (doubtful.includes(layer) ? { ...layer, values: correctedOf(layer, last) } : layer)),
  );
  const plots: Plot[] = [
    {
      spec: profilePlot(
        { labels: short(labels), values },
        { ...probeValues, corrected, split, tail: short(shaded), subtitle: `${split}, epoch ${last.step}` },
      ),
      caption: `Saturation of each layer, from input to output.${shaded.length > 0 ? ' The tail is shaded.' : ''}${corrected ? ' Bars: where it would lie with many samples.' : ''}`,
    },
  ];
  if (history.splits.length === 2) {
    const val = new Map(history.lastOf('val').map((layer) => [layer.layer, layer.values.saturation]));
    const train = new Map(history.lastOf('train').map((layer) => [layer.layer, layer.values.saturation]));
    const names = history.layerNames();
    plots.push({
      spec: splitsPlot({
        labels: short(names),
        train: names.map((name) => train.get(name) ?? Number.NaN),
        val: names.map((name) => val.get(name) ?? Number.NaN),
      }),
      caption: 'Saturation on training and on validation samples.',
    });
  }
  const fields = new Map(known.map((field) => [field.layer, field]));
  if (fields.size > 0) {
    plots.push({
      spec: receptiveFieldPlot(
        {
          labels: short(labels),
          saturation: values,
          min: labels.map((label) => fields.get(label)?.min ?? Number.NaN),
          max: labels.map((label) => fields.get(label)?.max ?? Number.NaN),
        },
        { inputSize: size === undefined || typeof size === 'number' ? size : Math.max(...size) },
      ),
      caption: 'What each layer sees of the input (smallest and largest over all paths) beside its saturation.',
    });
  }
  for (const each of history.splits) {
    const byEpoch = history.byEpoch(each, 'saturation', maxCells);
    if (byEpoch.epochs.length < 2) continue;
    plots.push({
      spec: heatMapPlot({ ...byEpoch, labels: short(byEpoch.labels) }, { subtitle: each }),
      caption: `How saturation settled over the epochs, ${each === 'val' ? 'validation' : 'training'} samples.`,
    });
  }
  return plots;
}

/** The user's own scalars, one plot per tag, of the first tags. */
function metricPlots(history: RunHistory): Plot[] {
  const epochs = history.epochs.map(({ step }) => step);
  const byName = new Map<string, Map<Split | undefined, Series>>();
  for (const series of history.scalars()) {
    const splits = byName.get(series.name) ?? new Map<Split | undefined, Series>();
    byName.set(series.name, splits.set(series.split, series));
  }
  const left = byName.size - maxMetrics;
  return [...byName].slice(0, maxMetrics).map(([name, splits], index) => {
    const of = (split?: Split) => splits.get(split)?.values;
    const more = left > 0 && index === maxMetrics - 1 ? `; ${left} more metrics are not drawn here` : '';
    return {
      spec: seriesPlot({ epochs, train: of('train'), val: of('val'), all: of() }, { metric: name }),
      caption: `${name} over the epochs${more}`,
    };
  });
}

function findingsSection(last: EpochStatistics, options: ReportOptions): string {
  const findings = adviseOn(last, options);
  const items = findings.map(
    ({ text, source, kind }) =>
      `<li class="${kind}">${inlineCode(text)} <a href="${escapeHtml(source.url)}">${escapeHtml(source.title)}</a></li>`,
  );
  const nothing = '<p>Nothing stands out: no tail, no dead layer, no saturated bottleneck.</p>';
  return `<section><h2>What the numbers suggest</h2>${items.length > 0 ? `<ul>${items.join('')}</ul>` : nothing}</section>`;
}

function tableSection(last: EpochStatistics, options: ReportOptions): string {
  const fields = new Map(caseOf(last, options).fields.map((field) => [field.layer, field]));
  const { prefix, short } = shortNames(last.layers.map(({ layer }) => layer));
  const probes = new Map(options.probes?.map(({ layer, accuracy }) => [layer, accuracy]));
  const columns: Column[] = [
    ['layer', ({ layer }) => short(layer)],
    ['split', ({ split }) => split],
    ['features', ({ features }) => whole(features)],
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
  return `<section><h2>Numbers</h2><p>${note}</p>${table(
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

/** A drawn plot and a sentence about it. */
interface Figure {
  svg: string;
  caption: string;
}

/** Greatest width, in pixels, of a figure that a phone may shrink to its screen. Wider ones scroll, so that they stay readable. */
const shrinkBelow = 560;

const style = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 0 16px 48px; font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
h1 { font-size: 1.6rem; margin: 24px 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 32px 0 8px; border-bottom: 1px solid #ddd; padding-bottom: 4px; }
ul { padding-left: 20px; } li { margin: 8px 0; max-width: 70ch; overflow-wrap: anywhere; } p { max-width: 70ch; }
code { background: #f2f2f2; border-radius: 3px; padding: 0 3px; font-size: 0.9em; overflow-wrap: anywhere; }
a { color: #2166ac; }
.figures { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; max-width: 100%; border: 1px solid #e6e6e6; border-radius: 6px; }
.scroll { overflow-x: auto; }
figure svg { display: block; } figure.small svg { max-width: 100%; height: auto; }
figcaption { padding: 0 12px 10px; color: #555; font-size: 0.9rem; max-width: 70ch; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid #eee; white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; max-width: 46vw; overflow: hidden; text-overflow: ellipsis; }
th { font-weight: 600; border-bottom: 2px solid #ccc; }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 700; margin: 32px 0 8px; }
`;

/** A whole HTML document, with its style inside. */
function page(title: string, sections: readonly string[]): string {
  const name = escapeHtml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<style>${style}</style>
</head>
<body>
<h1>${name}</h1>
${sections.join('\n')}
</body>
</html>
`;
}

/** A heading and its figures. @param folded whether the reader must open them */
function section(heading: string, figures: readonly Figure[], folded = false): string {
  const body = `<div class="figures">${figures.map((figure, index) => figureHtml(figure, `${heading.replace(/\W+/g, '-')}-${index}-`)).join('\n')}</div>`;
  const name = escapeHtml(heading);
  return folded
    ? `<details><summary>${name} (${figures.length})</summary>${body}</details>`
    : `<section><h2>${name}</h2>${body}</section>`;
}

/** A table whose first column stays in view while the others scroll. */
function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${cells('th', columns)}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function figureHtml({ svg, caption }: Figure, idPrefix: string): string {
  const width = Number(/<svg[^>]*\swidth="([\d.]+)"/.exec(svg)?.[1] ?? 0);
  const label = escapeHtml(caption);
  const own = uniqueIds(svg, idPrefix).replace('<svg', () => `<svg role="img" aria-label="${label}"`);
  return `<figure class="${width <= shrinkBelow ? 'small' : 'wide'}"><div class="scroll">${own}</div><figcaption>${label}</figcaption></figure>`;
}

/** A drawing whose ids (of clips and gradients) no other drawing in the document has. */
function uniqueIds(svg: string, prefix: string): string {
  // In tags only: texts are the names of layers, which may look like this.
  return svg.replace(/<[^>]*>/g, (tag) =>
    tag
      .replace(/\sid="([^"]+)"/g, ` id="${prefix}$1"`)
      .replace(/url\(#([^)]+)\)/g, `url(#${prefix}$1)`)
      .replace(/href="#([^"]+)"/g, `href="#${prefix}$1"`),
  );
}

/** A text that HTML shows as it is; control characters are escaped, as on the console. */
function escapeHtml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
