import { adviseOn, noFindingText } from '../insight/advice.js';
import { unproductiveLayers } from '../insight/border.js';
import { scalarStats } from '../saturation/stats.js';
import type { CardContent } from './card.js';
import { differenceChart, fieldChart, type Pick, profileChart, scalarChart, spectrumCharts } from './charts.js';
import { h, withCode } from './dom.js';
import type { HeatMapChart } from './heat-map-chart.js';
import { epochAt } from './judgment.js';
import { layerTable } from './layer-table.js';
import { type FieldData, pointAt, type RunData, type SpectrumPoint, stepsOf } from './run-data.js';
import { labelOf, type Scene, sketchText } from './scene.js';
import { estimatesVersion } from './values.js';

/*
 * What each card of the view shows of a scene: its title, a note, and its drawing.
 */

/** The cards from top to bottom, and whether they take the whole width. */
export const cardNames = [
  ['profile', true],
  // Losses stand above the heat map, on the same steps.
  ['scalars', false],
  ['spectrum', false],
  ['heat', false],
  ['fields', false],
  ['advice', true],
  ['difference', true],
  ['table', true],
] as const;

/** The name of a card. */
export type CardName = (typeof cardNames)[number][0];

/** What the cards need beside the scene. */
export interface CardContext {
  readonly pick: Pick;
  readonly heatMap: HeatMapChart;
  /** The run that the focus is compared with; undefined if there is none. */
  readonly other: RunData | undefined;
  /** Side of the network's input that the receptive fields are compared with; undefined for the network's own. */
  readonly inputSize: number | undefined;
  /** Is told of another side of the input. */
  readonly setInputSize: (size: number | undefined) => void;
}

/** The cards that are drawn in every frame. */
export function* cardsOf(scene: Scene, context: CardContext): Iterable<[CardName, CardContent]> {
  const { counting, step, focus, layer, shown, isDark } = scene;
  const { pick, heatMap, other } = context;
  const { title, basis } = scalarStats[counting.stat];
  const seen = seenOf(scene);
  // Estimates come one after another.
  const counted =
    basis === 'threshold' ? counting.threshold : basis === 'rows' ? [counting.threshold, estimatesVersion()] : '';
  yield ['profile', profileCard(scene, pick, [seen, counting.stat, counted, step, layer, isDark, focus.name])];
  yield [
    'heat',
    {
      title: `Layers over steps: ${labelOf(focus, shown)}`,
      note: 'Choose a cell to go there.',
      depends: [seen, focus.name, counting.stat, counted, step, layer, isDark],
      draw: (width) => {
        heatMap.draw(scene, stepsOf(focus), width);
        return [heatMap.element];
      },
    },
  ];
  const own = focus.layers.find(({ name }) => name === layer);
  const point = own === undefined ? undefined : pointAt(own, step);
  yield [
    'spectrum',
    {
      title: `Spectrum of ${layer}`,
      note:
        point === undefined
          ? ''
          : `${own?.isSketch ? `An ${sketchText}; what 128 directions do not see is spread evenly. ` : ''}${spectrumNote(point)}`,
      depends: [seen, layer, counting.threshold, step, isDark, focus.name],
      draw: (width) =>
        point === undefined
          ? []
          : [
              figure(
                spectrumCharts(scene, width),
                `Eigenvalues of ${layer}, and the variance that the first ones explain`,
              ),
            ],
    },
  ];
  yield [
    'difference',
    {
      title: other === undefined ? '' : `${labelOf(focus, shown)} minus ${labelOf(other, shown)}`,
      note: `Difference in ${title} by layer, for the layers that both have.`,
      depends: [seen, focus.name, other?.name, counting.stat, counted, step, isDark],
      draw: (width) =>
        other === undefined
          ? []
          : [figure(differenceChart(scene, other, width, pick), `Difference in ${title} by layer`)],
    },
  ];
  yield ['fields', fieldsCard(scene, context)];
  const tags = [...new Set(shown.flatMap(({ scalars }) => [...scalars.keys()]))].slice(0, 8);
  yield [
    'scalars',
    {
      title: 'Losses and metrics',
      note: 'On the same steps. Choose a point to go there.',
      depends: [seen, tags.join(), step, isDark],
      draw: (width) => tags.map((tag) => figure(scalarChart(scene, tag, width, pick), `${tag} over the steps`)),
    },
  ];
}

/** The cards that wait until a slider rests: words and the table. */
export function* lateCardsOf(scene: Scene, context: CardContext): Iterable<[CardName, CardContent]> {
  const { focus, step, counting, shown } = scene;
  const { fields } = focus;
  const inputSize = context.inputSize ?? fields?.inputSize;
  const given = hasSpace(fields) && inputSize !== undefined ? { receptiveFields: fields.layers, inputSize } : {};
  const earlier = epochAt(focus, stepsOf(focus)[0] ?? step, counting.threshold);
  const now = epochAt(focus, step, counting.threshold);
  const findings = adviseOn(now, { split: focus.split, earlier, ...given });
  yield [
    'advice',
    {
      title: `In words: ${labelOf(focus, shown)}, step ${step}`,
      note: findings.length > 0 ? 'Rules of thumb, each with its source.' : '',
      depends: [JSON.stringify(findings), focus.name, step],
      draw: () => [
        findings.length === 0
          ? h('p', {}, noFindingText(now.layers))
          : h(
              'ul',
              { className: 'findings' },
              ...findings.map(({ text, source }) =>
                h(
                  'li',
                  {},
                  ...withCode(text),
                  ' ',
                  h('a', { href: source.url, target: '_blank', rel: 'noopener noreferrer' }, source.title),
                ),
              ),
            ),
      ],
    },
  ];
  yield [
    'table',
    {
      title: `Numbers: ${labelOf(focus, shown)}, step ${step}`,
      note: '',
      depends: [seenOf(scene), focus.name, step, counting.threshold, counting.stat, scene.layer],
      draw: () => [layerTable(scene, (layer) => context.pick({ layer }))],
    },
  ];
}

/** Which runs are shown, how much is known of them, and what is marked: charts are drawn again if that changes. */
function seenOf({ shown, marks, tail, colors }: Scene): string {
  const runs = shown.map((run) => {
    const points = run.layers.reduce((sum, { points, stats }) => sum + points.length + stats.size, 0);
    return [run.name, colors.get(run.name), points, ...[...run.scalars.values()].map(({ steps }) => steps.length)];
  });
  return JSON.stringify([runs, [...marks], tail]);
}

function profileCard(scene: Scene, pick: Pick, depends: readonly unknown[]): CardContent {
  const { counting, step, tail } = scene;
  const { title, meaning } = scalarStats[counting.stat];
  const hint = 'Choose a layer to see its spectrum.';
  return {
    title: `${title[0].toUpperCase()}${title.slice(1)} by depth`,
    note:
      tail.length > 0
        ? `${meaning} Shaded: ${tail.length} layers at the end that hardly use their space. ${hint}`
        : `${meaning} From the input on the left to the output on the right. ${hint}`,
    depends,
    draw: (width) => [
      legend(scene),
      figure(
        profileChart(scene, width, pick),
        `${title} of every layer by depth at step ${step}; the table has the numbers`,
      ),
    ],
  };
}

function fieldsCard(scene: Scene, { inputSize, setInputSize }: CardContext): CardContent {
  const { focus, isDark } = scene;
  const { fields } = focus;
  const size = inputSize ?? fields?.inputSize ?? 224;
  const idle = hasSpace(fields) ? unproductiveLayers(fields.layers, size) : [];
  return {
    title: 'Receptive fields',
    note:
      idle.length > 0
        ? `${idle.length} convolutions get what has already seen the whole input, from ${idle[0]} on.`
        : 'Every convolution still sees something new.',
    depends: [focus.name, size, isDark, fields?.layers.length],
    draw: (width) => {
      if (!hasSpace(fields)) return [];
      const input = h('input', {
        type: 'number',
        min: '1',
        max: '65536',
        value: String(size),
        id: 'saturation-input-size',
      });
      input.onchange = () => setInputSize(input.valueAsNumber >= 1 ? Math.round(input.valueAsNumber) : undefined);
      return [
        h('div', { className: 'row' }, h('label', { htmlFor: input.id }, 'Side of the input'), input),
        figure(
          fieldChart(fields, size, idle, scene, width),
          `Receptive field of every layer beside an input of ${size}`,
        ),
      ];
    },
  };
}

function hasSpace(fields: FieldData | undefined): fields is FieldData {
  return fields?.layers.some(({ axes }) => axes.length > 0) === true;
}

function legend({ shown, colors }: Scene): HTMLElement {
  return h(
    'div',
    { className: 'legend' },
    ...shown.slice(0, 12).map((run) => {
      const swatch = h('i', { className: `swatch ${run.split}` });
      swatch.style.setProperty('--color', colors.get(run.name) ?? 'gray');
      return h('span', {}, swatch, labelOf(run, shown));
    }),
    shown.length > 12 && h('span', {}, `and ${shown.length - 12} more`),
  );
}

/** A drawing with a description for those who do not see it; the table has its numbers. */
function figure(chart: Element, description: string): HTMLElement {
  // Plot names each of its groups, which would be read out one by one.
  chart.setAttribute('aria-hidden', 'true');
  return h('div', { className: 'chart', attributes: { role: 'img', 'aria-label': description } }, chart);
}

function spectrumNote(point: SpectrumPoint): string {
  if (point.isEstimated) {
    return 'Estimated from a histogram of 30 buckets: counts may be several directions off. Newer writers store whole spectra.';
  }
  const { eigenvalues, features, samples } = point;
  const stored = eigenvalues.length < features ? `the ${eigenvalues.length} largest of ${features}` : `all ${features}`;
  const rows = samples === undefined ? '' : `, from ${samples.toLocaleString('en')} samples`;
  return `The eigenvalues of the layer’s covariance, ${stored}${rows}. Dashed: the threshold, and the directions that it needs.`;
}
