import { areaY, line, plot } from '@observablehq/plot';
import type { HistogramValue, TextValue } from '../event/event.js';
import { h } from '../view/dom.js';
import type { CardSpec } from './card-list.js';
import { markdown } from './markdown.js';
import type { At, RunContent } from './run-content.js';
import { asPicture, groupOf, inkOf, numberText, type Scene, tagsOf, titleOf } from './scene.js';

/** The cards of a kind that has one card for each tag and run. */
function cardsOf<Value>(
  scene: Scene,
  pick: (content: RunContent) => ReadonlyMap<string, readonly At<Value>[]>,
  draw: (place: HTMLElement, width: number, points: readonly At<Value>[], run: string, tag: string) => void,
  { isWide = false, isPicture = false } = {},
): CardSpec[] {
  return tagsOf(scene, pick).flatMap((tag) => {
    const { title, hint } = titleOf(scene, tag);
    return scene.runs.flatMap((content) => {
      const points = pick(content).get(tag);
      if (points === undefined) return [];
      const { run } = content;
      return [
        {
          key: `${run}\n${tag}`,
          group: groupOf(tag),
          title: scene.runs.length > 1 ? `${title} · ${run}` : title,
          hint,
          isWide,
          isPicture,
          draw: (place: HTMLElement, width: number) => draw(place, width, points, run, tag),
        },
      ];
    });
  });
}

/** Which point a card with a slider stands at; the last one if nothing is said. */
const chosen = new Map<string, number>();

/** A slider over the steps of a card, and what it shows. */
function withSlider<Value>(
  place: HTMLElement,
  key: string,
  points: readonly At<Value>[],
  show: (point: At<Value>) => readonly (Node | string)[],
): void {
  const index = Math.min(chosen.get(key) ?? points.length - 1, points.length - 1);
  const content = h('div', { className: 'stage' });
  const words = h('output', {});
  const slider = h('input', { type: 'range', min: '0', max: String(points.length - 1), value: String(index) });
  slider.setAttribute('aria-label', `step of ${key.replace('\n', ', ')}`);
  const draw = (at: number) => {
    const point = points[at];
    words.textContent = `step ${point.step} · ${new Date(point.wallTime * 1000).toLocaleString()}`;
    slider.setAttribute('aria-valuetext', words.textContent);
    content.replaceChildren(...show(point));
  };
  slider.oninput = () => {
    const at = Number(slider.value);
    // At the end it follows what comes.
    if (at === points.length - 1) chosen.delete(key);
    else chosen.set(key, at);
    draw(at);
  };
  draw(index);
  place.replaceChildren(h('div', { className: 'steps' }, points.length > 1 && slider, words), content);
}

/** Addresses of pictures and sounds, which are made once. */
const addresses = new WeakMap<Uint8Array, string>();

function addressOf(bytes: Uint8Array, type: string): string {
  let address = addresses.get(bytes);
  if (address === undefined) {
    address = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }));
    addresses.set(bytes, address);
  }
  return address;
}

/** The page IMAGES. */
export function imageCards(scene: Scene): CardSpec[] {
  return cardsOf(
    scene,
    ({ images }) => images,
    (place, _, points, run, tag) =>
      withSlider(place, `${run}\n${tag}`, points, ({ step, value }) =>
        value.encoded.map((bytes, index) =>
          h('img', {
            src: addressOf(bytes, 'image/*'),
            alt: `${tag}, step ${step}${value.encoded.length > 1 ? `, image ${index + 1}` : ''}`,
            className: value.width < 200 ? 'small' : '',
            loading: 'lazy',
          }),
        ),
      ),
  );
}

/** The page AUDIO. */
export function audioCards(scene: Scene): CardSpec[] {
  return cardsOf(
    scene,
    ({ audio }) => audio,
    (place, _, points, run, tag) =>
      withSlider(place, `${run}\n${tag}`, points, ({ value }) =>
        value.encoded.flatMap((bytes, index) => [
          h('audio', {
            controls: true,
            src: addressOf(bytes, value.contentType ?? 'audio/wav'),
            attributes: { 'aria-label': `${tag} ${index + 1}` },
          }),
          ...(value.labels?.[index] ? [markdown(value.labels[index])] : []),
        ]),
      ),
  );
}

/** A table of texts: the last axis are its columns. Of more than two axes TensorBoard shows the first of these tables. */
export function textRows({ shape, strings }: TextValue): string[][] {
  const columns = shape.length > 1 ? shape[shape.length - 1] : 1;
  return Array.from({ length: columns === 0 ? 0 : strings.length / columns }, (_, row) =>
    strings.slice(row * columns, (row + 1) * columns),
  );
}

/** The page TEXT. */
export function textCards(scene: Scene): CardSpec[] {
  return cardsOf(
    scene,
    ({ text }) => text,
    (place, _, points, run, tag) =>
      withSlider(place, `${run}\n${tag}`, points, ({ value }) => {
        if (value.shape.length === 0) return value.strings.map(markdown);
        const rows = textRows(value).map((cells) => h('tr', {}, ...cells.map((cell) => h('td', {}, markdown(cell)))));
        return [h('div', { className: 'scroll', tabIndex: 0 }, h('table', {}, ...rows))];
      }),
    { isWide: true },
  );
}

/** The page PR CURVES. */
export function prCurveCards(scene: Scene): CardSpec[] {
  return cardsOf(
    scene,
    ({ prCurves }) => prCurves,
    (place, width, points, run, tag) =>
      withSlider(place, `${run}\n${tag}`, points, ({ step, value: { precision, recall } }) => {
        const rows = Array.from(recall, (x, i) => ({ x, y: precision[i] }));
        const chart = plot({
          width,
          height: 230,
          style: { background: 'transparent', color: inkOf(scene.isDark) },
          x: { domain: [0, 1], label: 'recall', grid: true, ticks: 5 },
          y: { domain: [0, 1], label: 'precision', grid: true, ticks: 5 },
          marks: [line(rows, { x: 'x', y: 'y', stroke: scene.colors.get(run), strokeWidth: 2 })],
        });
        asPicture(chart, `${tag}, step ${step}: precision over recall`);
        return [chart];
      }),
    { isPicture: true },
  );
}

/** So many histograms are drawn behind one another. */
const mostRidges = 24;

/** The page HISTOGRAMS: the last steps in front, the first ones behind them. */
export function histogramCards(scene: Scene): CardSpec[] {
  return cardsOf(
    scene,
    ({ histograms }) => histograms,
    (place, width, points, run, tag) => place.replaceChildren(ridges(points, width, scene, run, tag)),
    { isPicture: true },
  );
}

function ridges(
  points: readonly At<HistogramValue>[],
  width: number,
  scene: Scene,
  run: string,
  tag: string,
): HTMLElement | SVGElement {
  const every = Math.ceil(points.length / mostRidges);
  const shown = points.filter((_, i) => (points.length - 1 - i) % every === 0 && points[i].value.buckets.length > 0);
  if (shown.length === 0) return h('p', { className: 'note' }, 'Histograms without values.');
  const [least, greatest] = rangeOf(shown.map(({ value }) => value.buckets));
  const densities = shown.map(({ step, value: { buckets } }) => ({
    step,
    outline: outlineOf(buckets, least, greatest),
  }));
  const top = Math.max(...densities.flatMap(({ outline }) => outline.map(([, y]) => y)), Number.MIN_VALUE);
  const isOverlay = scene.look.histograms === 'overlay';
  const gap = isOverlay ? 0 : 0.55 / Math.max(1, shown.length - 1);
  const color = scene.colors.get(run) ?? '#888';
  const marks = densities.flatMap(({ outline }, index) => {
    const base = (shown.length - 1 - index) * gap;
    const rows = outline.map(([x, y]) => ({ x, base, y: base + (y / top) * (isOverlay ? 1 : 0.45) }));
    const strength = 0.25 + (0.75 * (index + 1)) / shown.length;
    return [
      ...(isOverlay
        ? []
        : [areaY(rows, { x: 'x', y1: 'base', y2: 'y', fill: color, fillOpacity: strength, clip: true })]),
      line(rows, {
        x: 'x',
        y: 'y',
        stroke: isOverlay ? color : inkOf(!scene.isDark),
        strokeOpacity: isOverlay ? strength : 0.9,
        strokeWidth: 1,
      }),
    ];
  });
  const steps = [densities[0].step, densities[densities.length - 1].step];
  const chart = plot({
    width,
    height: 230,
    marginLeft: 16,
    marginRight: 44,
    style: { background: 'transparent', color: inkOf(scene.isDark) },
    x: { label: null, ticks: 5 },
    y: { axis: null, domain: [0, 1.02] },
    marks,
  });
  const last = densities[densities.length - 1].outline;
  asPicture(
    chart,
    `${tag}: histograms of ${densities.length} steps, ${steps[0]} to ${steps[1]}; the last from ${numberText(last[0][0])} to ${numberText(last[last.length - 1][0])}`,
  );
  return h(
    'div',
    {},
    chart,
    h(
      'p',
      { className: 'note' },
      isOverlay
        ? `steps ${steps[0]} to ${steps[1]}, the last one darkest`
        : `step ${steps[0]} behind, step ${steps[1]} in front`,
    ),
  );
}

/** Between which numbers all these histograms lie. One number has room about it. */
function rangeOf(histograms: readonly Float64Array[]): [number, number] {
  const least = Math.min(...histograms.map((buckets) => buckets[0]));
  const greatest = Math.max(...histograms.map((buckets) => buckets[buckets.length - 2]));
  const room = greatest > least ? 0 : (Math.abs(least) || 1) / 10;
  return [least - room, greatest + room];
}

/** Bins of a picture, as many as TensorBoard draws. */
const binCount = 30;

/**
 * Counts in bins of one width over the range of all histograms that are shown, as the corners of a line: a histogram of one value fills
 * one bin. A bucket counts in a bin by the part of it that lies there. Source: intermediateToD3 of TensorBoard's histogramCore.ts.
 */
function outlineOf(buckets: Float64Array, least: number, greatest: number): [number, number][] {
  const width = (greatest - least) / binCount;
  const counts = new Float64Array(binCount);
  const binAt = (value: number) => Math.max(0, Math.min(binCount - 1, Math.floor((value - least) / width)));
  for (let row = 0; row < buckets.length; row += 3) {
    const [left, right, count] = buckets.subarray(row, row + 3);
    const last = binAt(right);
    for (let bin = binAt(left); bin <= last; bin++) {
      const from = Math.max(left, least + bin * width);
      const to = Math.min(right, least + (bin + 1) * width);
      counts[bin] += right > left ? (count * Math.max(0, to - from)) / (right - left) : count;
    }
  }
  const corners = Array.from(counts, (count, bin): [number, number] => [least + (bin + 0.5) * width, count]);
  return [[least, 0], ...corners, [greatest, 0]];
}
