import { areaY, line, plot, pointer, ruleY, tip } from '@observablehq/plot';
import { printable } from '../errors.js';
import { h, shortened } from '../view/dom.js';
import type { CardSpec } from './card-list.js';
import type { ScalarSeries } from './run-content.js';
import { asPicture, groundOf, groupOf, inkOf, numberText, type Scene, tagsOf, titleOf } from './scene.js';
import { bandOf, repeatsOf, smoothed, thinned, withoutOutliers } from './smooth.js';

/** A line of a chart. */
interface Line {
  readonly run: string;
  readonly color: string;
  readonly x: Float64Array;
  readonly raw: Float64Array;
  readonly values: Float64Array;
  readonly steps: Float64Array;
  readonly band?: { readonly least: Float64Array; readonly greatest: Float64Array };
}

/** So many points are drawn in a chart, about. */
const mostPoints = 12_000;
/** Of so many lines the values behind the smoothed ones are drawn. */
const mostFaint = 30;

/** The page SCALARS: a chart for each tag, with a line for each run. */
export function scalarCards(scene: Scene): CardSpec[] {
  return tagsOf(scene, ({ scalars }) => scalars).map((tag) => {
    const { title, hint } = titleOf(scene, tag);
    return {
      key: tag,
      group: groupOf(tag),
      title,
      hint,
      isPicture: true,
      csv: () => csvOf(tag, scene),
      draw: (place, width) => draw(place, width, tag, scene),
    };
  });
}

/** All points of a tag in the runs that are shown, as they are stored. */
function csvOf(tag: string, { runs }: Scene): string {
  const rows = ['run,step,wall_time,value'];
  for (const { run, scalars } of runs) {
    const found = scalars.get(tag);
    if (found === undefined) continue;
    // A name that a spreadsheet would run as a formula gets an apostrophe.
    const name = `"${(/^[=+\-@\t\r]/.test(run) ? `'${run}` : run).replaceAll('"', '""')}"`;
    for (let i = 0; i < found.steps.length; i++) {
      rows.push(`${name},${found.steps[i]},${found.wallTimes[i]},${found.values[i]}`);
    }
  }
  return `${rows.join('\r\n')}\r\n`;
}

function linesOf(tag: string, { runs, colors, look }: Scene): Line[] {
  const series = runs.flatMap(({ run, scalars }) => {
    const found = scalars.get(tag);
    return found === undefined ? [] : [{ run, found }];
  });
  if (look.groups) return groupedLines(series, colors, look.smoothing);
  return series.map(({ run, found }) => ({
    run,
    color: colors.get(run) ?? '#888',
    x: xOf(found, look.axis),
    raw: found.values,
    values: smoothed(found.values, look.smoothing),
    steps: found.steps,
  }));
}

/** Mean and range of the runs of each folder, splits of the data apart, over steps. */
function groupedLines(
  series: readonly { run: string; found: ScalarSeries }[],
  colors: ReadonlyMap<string, string>,
  smoothing: number,
): Line[] {
  const folders = new Map<string, { run: string; found: ScalarSeries }[]>();
  for (const one of series) {
    const folder = repeatsOf(one.run);
    const known = folders.get(folder);
    if (known === undefined) folders.set(folder, [one]);
    else known.push(one);
  }
  return [...folders].map(([folder, members]) => {
    const { steps, mean, least, greatest } = bandOf(members.map(({ found }) => found));
    const run = `${folder} (${members.length} ${members.length === 1 ? 'run' : 'runs'})`;
    const values = smoothed(mean, smoothing);
    return {
      run,
      color: colors.get(members[0].run) ?? '#888',
      x: steps,
      raw: mean,
      values,
      steps,
      band: { least, greatest },
    };
  });
}

function xOf({ steps, wallTimes }: ScalarSeries, axis: Scene['look']['axis']): Float64Array {
  if (axis === 'step') return steps;
  const first = wallTimes[0] ?? 0;
  return axis === 'relative' ? wallTimes.map((time) => (time - first) / 3600) : wallTimes.map((time) => time * 1000);
}

/** Room above and below, if all values are the same; otherwise the chart finds its ends itself. */
function aroundConstant(values: readonly number[]): [number, number] | undefined {
  const [first] = values;
  if (first === undefined || values.some((value) => value !== first)) return undefined;
  const room = Math.abs(first) * 0.5 || 1;
  return [first - room, first + room];
}

function draw(place: HTMLElement, width: number, tag: string, scene: Scene): void {
  const { look, isDark } = scene;
  const lines = linesOf(tag, scene);
  // Of many lines nobody sees as much as of few.
  const most = Math.round(Math.min(Math.max(100, width), Math.max(12, mostPoints / lines.length)));
  const points = lines.flatMap((one) =>
    thinned(one.values, most).map((i) => ({
      run: one.run,
      color: one.color,
      x: one.x[i],
      y: one.values[i],
      title: `${shortened(printable(one.run), 40)}\nstep ${one.steps[i]}: ${numberText(one.raw[i])}${look.smoothing > 0 ? `\nsmoothed ${numberText(one.values[i])}` : ''}`,
    })),
  );
  const shown = look.isLog ? points.filter(({ y }) => y > 0) : points;
  const faint =
    look.smoothing > 0 && !look.groups
      ? lines.slice(0, mostFaint).flatMap((one) =>
          thinned(one.raw, most)
            .filter((i) => !look.isLog || one.raw[i] > 0)
            .map((i) => ({ run: one.run, color: one.color, x: one.x[i], y: one.raw[i] })),
        )
      : [];
  const bands = lines.flatMap(({ run, color, x, band }) =>
    band === undefined
      ? []
      : thinned(band.greatest, most)
          .filter((i) => !look.isLog || band.least[i] > 0)
          .map((i) => ({ run, color, x: x[i], least: band.least[i], greatest: band.greatest[i] })),
  );
  const clipped = look.clipsOutliers ? withoutOutliers(lines.map(({ values }) => values)) : undefined;
  const domain = clipped ?? aroundConstant(shown.map(({ y }) => y).filter(Number.isFinite));
  const isOneStep = points.length > 0 && points.every(({ x }) => x === points[0].x);
  const isPoint = lines.every(({ x }) => x.length === 1);
  const span = points.reduce((most, { x }) => Math.max(most, x), -Infinity) - Math.min(...lines.map(({ x }) => x[0]));
  const chart = plot({
    width,
    height: 210,
    marginLeft: 52,
    marginTop: 12,
    marginRight: 12,
    style: { background: 'transparent', color: inkOf(isDark), overflow: 'visible' },
    x: {
      label: null,
      type: look.axis === 'wall' ? 'time' : 'linear',
      ticks: 5,
      grid: false,
      // A single step would have a scale without length.
      ...(look.axis === 'step' && isOneStep
        ? { domain: [points[0].x - 1, points[0].x + 1], ticks: [points[0].x] }
        : {}),
      // There is no step between two whole ones.
      ...(look.axis === 'step' && span > 0 && span < 5 && { ticks: span, tickFormat: 'd' }),
    },
    y: {
      label: null,
      type: look.isLog ? 'log' : 'linear',
      grid: true,
      ticks: 5,
      domain,
      clamp: domain !== undefined,
      nice: domain === undefined,
    },
    color: { type: 'identity' },
    marks: [
      areaY(bands, { x: 'x', y1: 'least', y2: 'greatest', z: 'run', fill: 'color', fillOpacity: 0.2 }),
      line(faint, { x: 'x', y: 'y', z: 'run', stroke: 'color', strokeOpacity: 0.25, strokeWidth: 1.5, clip: true }),
      line(shown, {
        x: 'x',
        y: 'y',
        z: 'run',
        stroke: 'color',
        strokeWidth: 2,
        clip: true,
        ...(isPoint ? { marker: 'dot' } : {}),
      }),
      ...(shown.length === 0 ? [ruleY([0])] : []),
      tip(shown, pointer({ x: 'x', y: 'y', title: 'title', fill: groundOf(isDark), fontSize: 12 })),
    ],
  });
  asPicture(
    chart,
    `${tag}: ${lines
      .map(({ run, raw }) => `${run} ends at ${numberText(raw.at(-1) ?? Number.NaN)}`)
      .slice(0, 8)
      .join(', ')}`,
  );
  const notFinite = lines.reduce((sum, { raw }) => sum + raw.filter((value) => !Number.isFinite(value)).length, 0);
  const words = [
    notFinite > 0 ? `${notFinite} ${notFinite === 1 ? 'value is' : 'values are'} not finite` : '',
    look.isLog && shown.length < points.length ? `${points.length - shown.length} points are not above 0` : '',
  ].filter(Boolean);
  place.replaceChildren(chart, ...(words.length > 0 ? [h('p', { className: 'note' }, words.join('; '))] : []));
}
