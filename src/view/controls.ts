import { type ScalarStat, scalarStats } from '../saturation/stats.js';
import { h } from './dom.js';
import { indexAt } from './run-data.js';
import type { Scene } from './scene.js';

/** What the user chose; only what changed is there. A threshold of null is the writer's own. */
export interface Choice {
  threshold?: number | null;
  step?: number;
  isPlaying?: boolean;
  stat?: ScalarStat;
  focus?: string;
  layer?: string;
  other?: string;
  download?: 'csv';
}

/** The slider's position is the logit of the threshold: from 0.99 to 0.999 is as far as from 0.9 to 0.99. */
const logit = (threshold: number) => Math.log10(threshold / (1 - threshold));
const unlogit = (position: number) => 1 / (1 + 10 ** -position);
const round = (threshold: number) => Number(threshold.toPrecision(threshold > 0.99 ? 4 : 3));
const [lowest, highest] = [0.5, 0.9999];

/** The sliders and menus beside the charts. */
export class Controls {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #summary = h('p', { className: 'note', attributes: { role: 'status' } });
  readonly #threshold = h('input', {
    type: 'range',
    id: 'saturation-threshold',
    min: String(logit(lowest)),
    max: String(logit(highest)),
    step: '0.001',
  });
  readonly #exact = h('input', {
    type: 'number',
    min: '0.01',
    max: '1',
    step: 'any',
    attributes: { 'aria-label': 'Threshold as a number' },
  });
  readonly #step = h('input', { type: 'range', id: 'saturation-step', min: '0', step: '1' });
  readonly #stepText = h('output', { attributes: { for: 'saturation-step' } });
  readonly #play = h('button', { type: 'button' });
  readonly #stat = h('select', { id: 'saturation-stat' });
  readonly #focus = h('select', { id: 'saturation-focus' });
  readonly #layer = h('select', { id: 'saturation-layer' });
  readonly #other = h('select', { id: 'saturation-other' });
  #steps: readonly number[] = [];
  #isPlaying = false;

  /** @param list the list of runs, @param message where errors are told, @param choose is told what the user chose */
  constructor(list: HTMLElement, message: HTMLElement, choose: (choice: Choice) => void) {
    this.#threshold.oninput = () => choose({ threshold: round(unlogit(this.#threshold.valueAsNumber)) });
    this.#exact.onchange = () => {
      const value = this.#exact.valueAsNumber;
      choose(value > 0 && value <= 1 ? { threshold: value } : {});
    };
    this.#step.oninput = () => choose({ step: this.#steps[this.#step.valueAsNumber] });
    this.#play.onclick = () => choose({ isPlaying: !this.#isPlaying });
    this.#stat.onchange = () => choose({ stat: this.#stat.value as ScalarStat });
    this.#focus.onchange = () => choose({ focus: this.#focus.value });
    this.#layer.onchange = () => choose({ layer: this.#layer.value });
    this.#other.onchange = () => choose({ other: this.#other.value });
    const reset = h('button', { type: 'button', title: 'The threshold that the writer counted with' }, 'reset');
    reset.onclick = () => choose({ threshold: null });
    const csv = h('button', { type: 'button', title: 'The numbers of all shown runs at this step' }, 'CSV');
    csv.onclick = () => choose({ download: 'csv' });
    this.element = h(
      'aside',
      { className: 'side', attributes: { 'aria-label': 'What is shown' } },
      h('div', { className: 'panel' }, h('h1', {}, 'Saturation'), this.#summary, message),
      h('div', { className: 'panel' }, h('div', { className: 'name' }, 'Runs'), list),
      h(
        'div',
        { className: 'panel' },
        label(this.#threshold, 'Threshold of the explained variance'),
        h('div', { className: 'row' }, this.#threshold),
        h('div', { className: 'row' }, this.#exact, reset),
        label(this.#step, 'Step'),
        h('div', { className: 'row' }, this.#step),
        h('div', { className: 'row' }, this.#play, this.#stepText),
      ),
      h(
        'div',
        { className: 'panel' },
        label(this.#stat, 'Statistic'),
        this.#stat,
        label(this.#focus, 'Run of the heat map, table and advice'),
        this.#focus,
        label(this.#layer, 'Layer of the spectrum'),
        this.#layer,
        label(this.#other, 'Compare that run with'),
        this.#other,
        h('div', { className: 'row downloads' }, h('span', {}, 'Download'), csv),
      ),
    );
  }

  /** Shows one sentence above all. */
  say(summary: string): void {
    this.#summary.textContent = summary;
  }

  /** Shows what is looked at. */
  show(
    scene: Scene,
    what: { steps: readonly number[]; stats: readonly ScalarStat[]; other: string; isPlaying: boolean },
  ): void {
    const { counting, step, shown, focus, layer } = scene;
    const { steps, stats, other, isPlaying } = what;
    const isActive = (element: Element) => document.activeElement === element;
    const last = steps.at(-1) ?? 0;
    this.#steps = steps;
    if (!isActive(this.#threshold)) {
      this.#threshold.value = String(logit(Math.min(highest, Math.max(lowest, counting.threshold))));
    }
    this.#threshold.setAttribute('aria-valuetext', percent(counting.threshold));
    if (!isActive(this.#exact)) this.#exact.value = String(counting.threshold);
    this.#step.max = String(Math.max(0, steps.length - 1));
    this.#step.value = String(Math.max(0, indexAt(steps, step)));
    this.#step.setAttribute('aria-valuetext', `step ${step} of ${last}`);
    this.#stepText.textContent = `${step} of ${last}`;
    this.#isPlaying = isPlaying;
    this.#play.textContent = isPlaying ? '❚❚ pause' : '▶ play';
    this.#play.setAttribute('aria-pressed', String(isPlaying));
    const names = (runs: Scene['shown']) => runs.map(({ name }) => [name, name] as const);
    setOptions(
      this.#stat,
      stats.map((name) => [name, scalarStats[name].title]),
      counting.stat,
    );
    setOptions(this.#focus, names(shown), focus.name);
    setOptions(
      this.#layer,
      focus.layers.map(({ name }) => [name, scene.short(name)]),
      layer,
    );
    setOptions(this.#other, [['', 'no other run'], ...names(shown.filter((run) => run !== focus))], other);
  }
}

/** A threshold as people say it. */
export function percent(threshold: number): string {
  return `${Number((threshold * 100).toPrecision(6))} %`;
}

function label(control: HTMLElement, text: string): HTMLElement {
  return h('label', { className: 'name', htmlFor: control.id }, text);
}

/** Gives a menu its options, if they are not the same already: a menu that is open must not lose them. */
function setOptions(select: HTMLSelectElement, options: readonly (readonly [string, string])[], chosen: string): void {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.dataset.options = key;
    select.replaceChildren(...options.map(([value, text]) => h('option', { value }, text)));
  }
  select.value = chosen;
}
