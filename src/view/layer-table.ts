import { correctedStats, type ScalarStat, scalarStats } from '../saturation/stats.js';
import { h } from './dom.js';
import { pointAt, type RunData } from './run-data.js';
import { manySamplesText, markText, numberText, plainMarkOf, type Scene, sketchText } from './scene.js';
import { type Counting, canEstimate, estimateNow, valueAt } from './values.js';

/** The numbers of the focus at the step as a table, in order of depth. @param pick is told which layer was chosen */
export function layerTable(scene: Scene, pick: (layer: string) => void): HTMLElement {
  const { focus, step, counting } = scene;
  const { basis, title } = scalarStats[counting.stat];
  const hasOwn = basis !== 'threshold';
  const heads = [
    'layer',
    'saturation',
    'width',
    'samples',
    'dimensions',
    'with many samples',
    ...(hasOwn ? [title] : []),
    'note',
  ];
  const rows = focus.layers.map((layer) => {
    const point = pointAt(layer, step);
    const number = (stat: ScalarStat) => numberText({ ...counting, stat }, valueAt(layer, step, { ...counting, stat }));
    const mark = scene.marks.get(layer.name) ?? plainMarkOf(layer, step);
    const name = h('button', { type: 'button', title: layer.name }, scene.short(layer.name));
    name.onclick = () => pick(layer.name);
    return h(
      'tr',
      { className: layer.name === scene.layer ? 'chosen' : '' },
      h('td', {}, name),
      h('td', {}, number('saturation')),
      h('td', {}, String(point?.features ?? '')),
      h('td', {}, point?.samples?.toLocaleString('en') ?? ''),
      h('td', {}, number('intrinsicDimensionality')),
      h('td', {}, manySamplesText(layer, scene)),
      hasOwn && h('td', {}, number(counting.stat)),
      h('td', {}, [layer.isSketch ? sketchText : [], mark === undefined ? [] : markText[mark]].flat().join('; ')),
    );
  });
  const head = h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)));
  return h(
    'div',
    { className: 'scroll', tabIndex: 0, attributes: { role: 'region', 'aria-label': 'Numbers by layer' } },
    h('table', {}, h('thead', {}, head), h('tbody', {}, ...rows)),
  );
}

/** The numbers of several runs at a step as CSV (RFC 4180), one line per run and layer. */
export function layersCsv(runs: readonly RunData[], step: number, counting: Counting): string {
  const own = scalarStats[counting.stat].basis === 'threshold' ? [] : [counting.stat];
  const stats: ScalarStat[] = [
    ...new Set<ScalarStat>(['intrinsicDimensionality', 'saturation', ...correctedStats, ...own]),
  ];
  const columns = stats.map((stat) => scalarStats[stat].column);
  const lines = [['run', 'layer', 'step', 'width', 'samples', 'threshold', ...columns]];
  for (const run of runs) {
    for (const layer of run.layers) {
      const point = pointAt(layer, step);
      if (point !== undefined && canEstimate(point)) estimateNow(point, { ...counting, rule: run.rule });
      lines.push([
        run.name,
        layer.name,
        String(point?.step ?? step),
        String(point?.features ?? ''),
        String(point?.samples ?? ''),
        String(counting.threshold),
        ...stats.map((stat) => String(valueAt(layer, step, { ...counting, rule: run.rule, stat }))),
      ]);
    }
  }
  return lines.map((line) => `${line.map(csvCell).join(',')}\r\n`).join('');
}

/** A cell that every reader of CSV understands; what a spreadsheet would run is quoted as text. */
function csvCell(text: string): string {
  const guarded = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}
