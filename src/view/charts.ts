import { barY, crosshairX, dot, lineY, plot, pointer, ruleX, ruleY, text, tip } from '@observablehq/plot';
import { scalarStats } from '../saturation/stats.js';
import type { SaturationEstimate } from '../statistics/sample-size.js';
import { shortened } from './dom.js';
import { dimensionsAt, type FieldData, type LayerData, pointAt, type RunData } from './run-data.js';
import { areAlike, labelOf, mergedLayers, plainMarkOf, type Scene, valueText } from './scene.js';
import { estimateAt, valueAt } from './values.js';

/*
 * The charts that Observable Plot draws: numbers by depth, spectra, receptive fields, losses. Each is a function of the scene
 * and a width in pixels, and returns one drawing.
 */

/** Reports what the user pointed at: a layer, a step, or both. */
export type Pick = (what: { layer?: string; step?: number; run?: string }) => void;

const inkOf = (isDark: boolean) => (isDark ? '#e6e6e6' : '#2b2b2b');
const limitOf = (isDark: boolean) => (isDark ? '#ff8a80' : '#b2182b');
const paperOf = (isDark: boolean) => (isDark ? '#2a2d31' : '#ffffff');

function styleOf(isDark: boolean) {
  return {
    background: 'transparent',
    color: inkOf(isDark),
    fontSize: '12px',
    fontFamily: 'inherit',
    overflow: 'visible',
  };
}

/** How names stand below an axis: level while they fit, then turned. */
function nameAxis(names: readonly string[], width: number, short: Scene['short']) {
  const room = width / Math.max(1, names.length);
  const length = room < 16 ? 14 : 22;
  const longest = Math.max(0, ...names.map((name) => [...shortened(short(name), length)].length));
  const isLevel = longest * 6.6 + 8 <= room;
  // Labels that would overlap are left out; the pointer still names every layer.
  const every = Math.max(1, Math.ceil(13 / room));
  return {
    axis: {
      type: 'point' as const,
      domain: names,
      label: null,
      tickRotate: isLevel ? 0 : -50,
      tickFormat: (name: string, index: number) => (index % every === 0 ? shortened(short(name), length) : ''),
      tickSize: every > 1 ? 0 : 4,
    },
    marginBottom: isLevel ? 30 : Math.min(130, 24 + longest * 5.2),
    marginLeft: isLevel ? 48 : Math.min(96, Math.max(48, longest * 3)),
  };
}

/** Two lines of a legend's kind for each run: its split's dash, its color. */
const dashOf = (run: RunData) => (run.split === 'val' ? '5,4' : undefined);

interface DepthRow {
  x: string | number;
  layer: string;
  run: RunData;
  value: number;
  title: string;
  mark?: string;
  /** What many samples would show, of a layer of few. */
  corrected?: SaturationEstimate;
}

/** A statistic by depth, at the step: one line per run. Networks that differ share an axis of relative depth. */
export function profileChart(scene: Scene, width: number, pick: Pick): SVGSVGElement | HTMLElement {
  const { counting, shown, step, colors, isDark, tail, focus } = scene;
  const names = mergedLayers(shown);
  const alike = areAlike(shown);
  const isSaturation = counting.stat === 'saturation';
  const rows = shown.flatMap((run) =>
    run.layers.map((layer, index): DepthRow => {
      const mark = run === focus ? scene.marks.get(layer.name) : plainMarkOf(layer, step);
      return {
        x: alike ? layer.name : index / Math.max(1, run.layers.length - 1),
        layer: layer.name,
        run,
        value: valueAt(layer, step, counting),
        title: valueText(scene, run, layer),
        mark,
        corrected: mark === 'fewSamples' && isSaturation ? estimateOf(layer, scene) : undefined,
      };
    }),
  );
  const { axis, ...margins } = alike
    ? nameAxis(names, width - 60, scene.short)
    : {
        axis: { domain: [0, 1], label: 'depth: 0 is the first layer, 1 the last', inset: 8 },
        marginBottom: 40,
        marginLeft: 48,
      };
  const ink = inkOf(isDark);
  const tailSet = new Set(tail);
  const shaded = rows.filter((row) => row.run === focus && tailSet.has(row.layer));
  const selected = rows.filter((row) => row.layer === scene.layer && row.run === focus);
  const finite = rows.filter(({ value }) => Number.isFinite(value));
  const bars = rows.filter(({ corrected }) => corrected !== undefined && !Number.isNaN(corrected.saturation));
  const chart = plot({
    width,
    height: Math.max(250, Math.min(340, width * 0.5)) + margins.marginBottom - 30,
    ...margins,
    marginTop: 24,
    marginRight: 16,
    style: styleOf(isDark),
    x: axis,
    y: {
      domain: isSaturation ? [0, 1] : undefined,
      zero: !isSaturation,
      nice: true,
      grid: true,
      ticks: 5,
      label: scalarStats[counting.stat].title,
    },
    marks: [
      ruleX(shaded, {
        x: 'x',
        stroke: ink,
        strokeOpacity: 0.08,
        strokeWidth: Math.max(6, (width - 70) / Math.max(2, names.length)),
      }),
      ruleX(selected, { x: 'x', stroke: ink, strokeOpacity: 0.45, strokeDasharray: '2,3' }),
      ruleX(bars, {
        x: 'x',
        y1: (row: DepthRow) => row.corrected?.low,
        y2: (row: DepthRow) => row.corrected?.high,
        stroke: colors.get(focus.name),
        strokeWidth: 5,
        strokeOpacity: 0.3,
        className: 'interval',
      }),
      dot(bars, {
        x: 'x',
        y: (row: DepthRow) => row.corrected?.saturation,
        r: 3,
        stroke: colors.get(focus.name),
      }),
      ...shown.map((run) =>
        lineY(
          rows.filter((row) => row.run === run),
          { x: 'x', y: 'value', stroke: colors.get(run.name), strokeWidth: 2, strokeDasharray: dashOf(run) },
        ),
      ),
      dot(finite, {
        x: 'x',
        y: 'value',
        r: names.length > 40 ? 2.5 : 3.5,
        stroke: (row: DepthRow) => colors.get(row.run.name),
        fill: (row: DepthRow) =>
          row.run.split === 'train' && row.mark === undefined ? colors.get(row.run.name) : paperOf(isDark),
        strokeWidth: 1.5,
      }),
      // A layer that is not to be relied on is seen where it stands: a sign above its dot.
      text(
        finite.filter(({ mark, run }) => mark !== undefined && run === focus),
        {
          x: 'x',
          y: 'value',
          text: (row: DepthRow) => signs[row.mark ?? ''],
          dy: -11,
          fill: limitOf(isDark),
          fontSize: 13,
          fontWeight: 'bold',
        },
      ),
      text(
        rows.filter(({ value, run }) => !Number.isFinite(value) && run === focus),
        { x: 'x', frameAnchor: 'bottom', text: () => 'NaN', dy: -4, fill: limitOf(isDark), fontSize: 11 },
      ),
      tip(
        finite,
        pointer({
          x: 'x',
          y: 'value',
          title: 'title',
          maxRadius: 60,
          fill: paperOf(isDark),
          stroke: ink,
          strokeOpacity: 0.4,
          fontSize: 12,
        }),
      ),
    ],
  });
  chart.addEventListener('click', () => {
    const row = (chart as unknown as { value: DepthRow | null }).value;
    if (row) pick({ layer: row.layer });
  });
  return chart;
}

function estimateOf(layer: LayerData, { step, counting }: Scene): SaturationEstimate | undefined {
  const point = pointAt(layer, step);
  return point === undefined ? undefined : estimateAt(point, counting);
}

const signs: Record<string, string> = { dead: '✕', nonFinite: '!', fewSamples: '?' };

/** The difference of two runs by layer: the first minus the second, for the layers that both have. */
export function differenceChart(scene: Scene, other: RunData, width: number, pick: Pick): SVGSVGElement | HTMLElement {
  const { focus, counting, step, isDark } = scene;
  const names = focus.layers
    .map(({ name }) => name)
    .filter((name) => other.layers.some((layer) => layer.name === name));
  const rows = names.map((name) => {
    const [here, there] = [focus, other].map((run) =>
      valueAt(run.layers.find((layer) => layer.name === name)!, step, counting),
    );
    return { layer: name, difference: here - there, title: `${name}\n${signed(here - there)}` };
  });
  const { axis, ...margins } = nameAxis(names, width - 60, scene.short);
  const chart = plot({
    width,
    height: 190 + margins.marginBottom,
    ...margins,
    marginTop: 24,
    style: styleOf(isDark),
    x: { ...axis, type: 'band' },
    y: { grid: true, ticks: 5, nice: true, label: `difference in ${scalarStats[counting.stat].title}` },
    marks: [
      barY(rows, {
        x: 'layer',
        y: 'difference',
        fill: (row: { difference: number }) =>
          row.difference >= 0 ? (isDark ? '#5fb3a3' : '#1b7f6b') : isDark ? '#d9a3d9' : '#8e4b8e',
      }),
      ruleY([0], { stroke: inkOf(isDark) }),
      tip(rows, pointer({ x: 'layer', y: 'difference', title: 'title', fill: paperOf(isDark), fontSize: 12 })),
    ],
  });
  chart.addEventListener('click', () => {
    const row = (chart as unknown as { value: { layer: string } | null }).value;
    if (row) pick({ layer: row.layer });
  });
  return chart;
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : '−'}${Math.abs(value).toPrecision(3)}`;
}

interface SpectrumRow {
  run: RunData;
  index: number;
  eigenvalue: number;
  explained: number;
}

/** Every run's spectrum of the layer at the step, thinned to what can be seen. */
function spectrumRows({ shown, layer, step }: Scene): SpectrumRow[] {
  return shown.flatMap((run) => {
    const data = run.layers.find(({ name }) => name === layer);
    const point = data === undefined ? undefined : pointAt(data, step);
    if (point === undefined || point.eigenvalues.length === 0) return [];
    const { eigenvalues, trace } = point;
    const kept = thinned(eigenvalues.length);
    const rows: SpectrumRow[] = [];
    let sum = 0;
    for (let index = 0; index < eigenvalues.length; index++) {
      sum += eigenvalues[index];
      if (!kept.has(index)) continue;
      // What rounding leaves of a zero would stretch a logarithmic axis over nothing.
      const isSeen = eigenvalues[index] > eigenvalues[0] * 1e-12;
      rows.push({
        run,
        index: index + 1,
        eigenvalue: isSeen ? eigenvalues[index] : Number.NaN,
        explained: trace > 0 ? Math.min(1, sum / trace) : 0,
      });
    }
    return rows;
  });
}

/** Indices to draw: all, or about 300 evenly along a logarithmic axis. */
function thinned(count: number): Set<number> {
  if (count <= 300) return new Set(Array.from({ length: count }, (_, index) => index));
  const kept = new Set([0, count - 1]);
  for (let part = 0; part < 300; part++) kept.add(Math.round(count ** (part / 299)) - 1);
  return kept;
}

/** The eigenvalues of a layer, largest first, and the variance that the first ones explain with the threshold through it. */
export function spectrumCharts(scene: Scene, width: number): HTMLElement {
  const { colors, isDark, focus, counting, shown } = scene;
  const rows = spectrumRows(scene);
  const own = focus.layers.find(({ name }) => name === scene.layer);
  const point = own === undefined ? undefined : pointAt(own, scene.step);
  const count = point === undefined ? 0 : dimensionsAt(point, counting.threshold, counting.rule);
  const last = Math.max(2, ...rows.map(({ index }) => index));
  const isLog = last > 64;
  const limit = { stroke: limitOf(isDark), strokeDasharray: '4,3' };
  const x = {
    type: isLog ? ('log' as const) : ('linear' as const),
    domain: [1, last],
    tickFormat: 'd',
    ticks: wholeTicks(last - 1),
  };
  const lines = (y: string) =>
    shown.map((run) =>
      lineY(
        rows.filter((row) => row.run === run),
        { x: 'index', y, stroke: colors.get(run.name), strokeWidth: 1.8, strokeDasharray: dashOf(run), clip: true },
      ),
    );
  const common = { width, marginLeft: 56, marginRight: 16, style: styleOf(isDark) };
  const upper = plot({
    ...common,
    height: 180,
    x: { ...x, label: null },
    y: { type: 'log', label: 'eigenvalue', grid: true, ticks: 4, tickFormat: '~g' },
    marks: [
      ...lines('eigenvalue'),
      ruleX(count > 0 ? [count] : [], limit),
      crosshairX(rows, { x: 'index', y: 'eigenvalue', color: inkOf(isDark) }),
    ],
  });
  const isRight = isLog ? Math.log(count) > 0.6 * Math.log(last) : count > 0.6 * last;
  const label = point === undefined ? '' : `${count} of ${point.features}`;
  const lower = plot({
    ...common,
    height: 208,
    marginBottom: 38,
    x: { ...x, label: 'principal direction' },
    y: { domain: [0, 1], label: 'explained variance', grid: true, ticks: 5 },
    marks: [
      ...lines('explained'),
      ruleX(count > 0 ? [count] : [], limit),
      ruleY([counting.threshold], limit),
      text([label], {
        x: [Math.max(1, count)],
        y: [0.08],
        dx: isRight ? -6 : 6,
        textAnchor: isRight ? 'end' : 'start',
        fill: limitOf(isDark),
        fontWeight: 'bold',
        fontSize: 13,
      }),
      crosshairX(rows, { x: 'index', y: 'explained', color: inkOf(isDark) }),
    ],
  });
  const holder = document.createElement('div');
  holder.append(upper, lower);
  return holder;
}

/** The receptive field of each layer beside the size of the input. @param idle convolutions that see nothing new */
export function fieldChart(
  { layers }: FieldData,
  size: number,
  idle: readonly string[],
  { isDark, short }: Scene,
  width: number,
): SVGSVGElement | HTMLElement {
  const rows = layers
    .filter(({ axes }) => axes.length > 0)
    .map(({ layer, min, max, convolutional }) => ({
      layer,
      max: Math.min(max, 4 * size),
      kind: idle.includes(layer) ? 'idle' : convolutional ? 'convolution' : 'other',
      title: `${layer}\nsees ${extent(min, max)} of ${size}${idle.includes(layer) ? '\ngets what has already seen the whole input' : ''}`,
    }));
  const { axis, ...margins } = nameAxis(
    rows.map(({ layer }) => layer),
    width - 60,
    short,
  );
  return plot({
    width,
    height: 210 + margins.marginBottom,
    ...margins,
    marginTop: 24,
    style: styleOf(isDark),
    x: { ...axis, type: 'band' },
    y: { label: 'receptive field (pixels or samples)', grid: true, ticks: 5, nice: true },
    color: {
      domain: ['convolution', 'idle', 'other'],
      range: isDark ? ['#7db8f0', '#ff8a80', '#8d8d8d'] : ['#2166ac', '#b2182b', '#9a9a9a'],
    },
    marks: [
      barY(rows, { x: 'layer', y: 'max', fill: 'kind' }),
      ruleY([size], { stroke: inkOf(isDark), strokeDasharray: '5,3' }),
      text([`input ${size}`], {
        frameAnchor: 'right',
        y: [size],
        dy: -8,
        dx: -4,
        textAnchor: 'end',
        fill: inkOf(isDark),
      }),
      tip(rows, pointer({ x: 'layer', y: 'max', title: 'title', fill: paperOf(isDark), fontSize: 12 })),
    ],
  });
}

function extent(min: number, max: number): string {
  const word = (size: number) => (Number.isFinite(size) ? String(size) : 'everything');
  return min === max ? word(min) : `${word(min)} to ${word(max)}`;
}

/** How many ticks an axis of whole numbers has: no more than lie a whole number apart, so that none is named twice. */
const wholeTicks = (span: number) => Math.max(1, Math.min(6, span));

/** The distance of the largest number from the smallest. */
function range(numbers: readonly number[]): number {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const number of numbers) [least, most] = [Math.min(least, number), Math.max(most, number)];
  return Math.max(0, most - least);
}

/** A loss or metric over the steps, one line per run, with the step that is looked at. */
export function scalarChart(scene: Scene, tag: string, width: number, pick: Pick): SVGSVGElement | HTMLElement {
  const { shown, colors, isDark, step } = scene;
  const rows = shown.flatMap((run) => {
    const series = run.scalars.get(tag);
    if (series === undefined) return [];
    return series.steps.map((at, index) => ({
      run,
      step: at,
      value: series.values[index],
      title: `${tag} ${Number(series.values[index].toPrecision(4))}\n${labelOf(run, shown)}, step ${at}`,
    }));
  });
  const chart = plot({
    width,
    height: 150,
    marginLeft: 56,
    marginRight: 16,
    style: styleOf(isDark),
    x: { label: 'step', ticks: wholeTicks(range(rows.map((row) => row.step))), tickFormat: 'd' },
    y: { label: tag.replace(/^epoch_/, ''), grid: true, ticks: 4, nice: true },
    marks: [
      ...shown.map((run) =>
        lineY(
          rows.filter((row) => row.run === run),
          { x: 'step', y: 'value', stroke: colors.get(run.name), strokeWidth: 1.8, strokeDasharray: dashOf(run) },
        ),
      ),
      ruleX([step], { stroke: inkOf(isDark), strokeOpacity: 0.45, strokeDasharray: '2,3' }),
      tip(rows, pointer({ x: 'step', y: 'value', title: 'title', fill: paperOf(isDark), fontSize: 12 })),
    ],
  });
  chart.addEventListener('click', () => {
    const row = (chart as unknown as { value: { step: number } | null }).value;
    if (row) pick({ step: row.step });
  });
  return chart;
}
