import { messageOf } from '../errors.js';
import { adviseOn } from '../insight/advice.js';
import { unproductiveLayers } from '../insight/border.js';
import { tailOf } from '../insight/tail.js';
import type { EpochStatistics } from '../saturation/epoch.js';
import { type ScalarStat, scalarStats } from '../saturation/stats.js';
import { Spectrum } from '../statistics/spectrum.js';
import { differenceChart, fieldChart, type Pick, profileChart, scalarChart, spectrumCharts } from './charts.js';
import { download, h, pictureOf, withCode } from './dom.js';
import { HeatMapChart } from './heat-map-chart.js';
import { runColors } from './palette.js';
import {
  indexAt,
  type LayerData,
  pointAt,
  type RunData,
  type RunOutline,
  type SpectrumPoint,
  statsOf,
  stepsOf,
  type ViewSource,
  valueAt,
} from './run-data.js';
import { RunList } from './run-list.js';
import { labelOf, type LayerMark, markText, numberText, plainMarkOf, type Scene } from './scene.js';
import { style } from './style.js';

/** Where the view keeps what is looked at, so that a link shows the same: the address of a page, for one. */
export interface ViewMemory {
  /** What was kept. */
  read(): Readonly<Record<string, string>>;
  /** Keeps it. */
  write(state: Readonly<Record<string, string>>): void;
}

/** Options of the view. */
export interface SaturationViewOptions {
  /** Keeps what is looked at. Default: nothing does. */
  memory?: ViewMemory;
  /** Calls back with whether the ground is dark, at once and when it changes. Default: the browser's setting. */
  followTheme?: (apply: (isDark: boolean) => void) => () => void;
}

/** The slider's position is the logit of the threshold: from 0.99 to 0.999 is as far as from 0.9 to 0.99. */
const logit = (threshold: number) => Math.log10(threshold / (1 - threshold));
const unlogit = (position: number) => 1 / (1 + 10 ** -position);
const round = (threshold: number) => Number(threshold.toPrecision(threshold > 0.99 ? 4 : 3));
const [lowest, highest] = [0.5, 0.9999];

/** Runs that are shown at first if nothing says which. */
const shownAtFirst = 6;

/** A part of the page: drawn again only if what it depends on changed. */
interface Card {
  element: HTMLElement;
  title: HTMLElement;
  note: HTMLElement;
  body: HTMLElement;
  last: string;
}

/**
 * The saturation of networks, layer by layer: profile by depth, layers by steps, spectra with a live threshold, receptive fields,
 * losses, advice, and the difference of two runs. It shows what its source has, and follows it.
 *
 * It asks no host for anything, parses no name as HTML, and generates no code.
 */
export class SaturationView {
  readonly #root: HTMLElement;
  readonly #source: ViewSource;
  readonly #memory: ViewMemory | undefined;
  readonly #layout = h('div', { className: 'layout' });
  readonly #message = h('p', { className: 'message', hidden: true, attributes: { role: 'alert' } });
  readonly #live = h('p', { className: 'note', attributes: { role: 'status' } });
  readonly #list: RunList;
  readonly #heatMap: HeatMapChart;
  readonly #cards = new Map<string, Card>();
  readonly #controls;
  readonly #stops: (() => void)[] = [];

  #outlines: readonly RunOutline[] = [];
  readonly #runs = new Map<string, RunData>();
  readonly #failed = new Map<string, string>();
  readonly #shown = new Set<string>();
  #focus = '';
  #layer = '';
  #other = '';
  #stat: ScalarStat = 'saturation';
  #threshold: number | undefined;
  #step = Number.POSITIVE_INFINITY;
  #isFollowing = true;
  #inputSize: number | undefined;
  #isDark = false;
  #isClosed = false;
  #isLoading = false;
  #isStale = false;
  #frame = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #player: ReturnType<typeof setInterval> | undefined;
  readonly #judged = new WeakMap<SpectrumPoint, Map<number, boolean>>();

  /** @param parent the element that the view fills; what is in it is replaced */
  constructor(parent: HTMLElement, source: ViewSource, options: SaturationViewOptions = {}) {
    this.#source = source;
    this.#memory = options.memory;
    this.#root = h('div', { className: 'saturation-view' }, h('style', {}, style), this.#layout);
    parent.replaceChildren(this.#root);
    this.#list = new RunList(
      (run) => ({
        isShown: this.#shown.has(run.name),
        color: this.#runs.has(run.name) && this.#shown.has(run.name) ? this.#colors().get(run.name) : undefined,
        note: this.#noteOf(run.name),
        detail: this.#failed.get(run.name),
      }),
      (names, isShown) => this.#toggle(names, isShown),
    );
    const pick: Pick = (what) => this.#pick(what);
    this.#heatMap = new HeatMapChart(pick);
    this.#controls = this.#makeControls();
    const follow = options.followTheme ?? followBrowserTheme;
    this.#stops.push(
      follow((isDark) => {
        this.#isDark = isDark;
        this.#root.classList.toggle('dark', isDark);
        this.#draw();
      }),
    );
    const resized = new ResizeObserver(() => this.#draw());
    resized.observe(this.#root);
    this.#stops.push(() => resized.disconnect());
    if (source.subscribe) this.#stops.push(source.subscribe(() => void this.refresh()));
    this.#recall();
    this.#layout.replaceChildren(h('p', { className: 'empty' }, 'Reading runs…'));
    void this.refresh();
  }

  /** Reads again what the source has, and draws it. Calls that come meanwhile are answered by one more reading. */
  async refresh(): Promise<void> {
    if (this.#isLoading) {
      this.#isStale = true;
      return;
    }
    this.#isLoading = true;
    try {
      do {
        this.#isStale = false;
        await this.#load();
      } while (this.#isStale && !this.#isClosed);
    } finally {
      this.#isLoading = false;
    }
  }

  /** Takes the view out of the page and stops following its source. */
  close(): void {
    this.#isClosed = true;
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#later);
    clearInterval(this.#player);
    for (const stop of this.#stops.splice(0)) stop();
    this.#root.remove();
  }

  async #load(): Promise<void> {
    try {
      this.#outlines = await this.#source.list();
      this.#message.hidden = true;
    } catch (error) {
      this.#tell(`The runs could not be listed: ${messageOf(error)}`);
      if (this.#outlines.length === 0) this.#layout.replaceChildren(this.#message);
      return;
    }
    if (this.#isClosed) return;
    const names = new Set(this.#outlines.map(({ name }) => name));
    for (const name of [...this.#shown]) if (!names.has(name)) this.#shown.delete(name);
    for (const name of [...this.#runs.keys()]) if (!names.has(name)) this.#runs.delete(name);
    if (this.#outlines.length === 0) {
      this.#layout.replaceChildren(emptyPage());
      return;
    }
    if (this.#shown.size === 0) this.#showFirst();
    await this.#loadShown();
    if (this.#isClosed) return;
    if (!this.#layout.contains(this.#list.element)) this.#build();
    this.#list.set(this.#outlines);
    this.#draw();
  }

  /** Shows what fits one picture: all of few runs, otherwise those of the first experiment. */
  #showFirst(): void {
    const first = this.#outlines.find(({ name }) => name === this.#focus) ?? this.#outlines[0];
    const isFew = this.#outlines.length <= shownAtFirst;
    for (const { name, experiment } of this.#outlines) {
      if (isFew || experiment === first.experiment) this.#shown.add(name);
    }
  }

  async #loadShown(): Promise<void> {
    // The run in focus comes first, so that the first picture does not wait for all.
    const wanted = this.#outlines.filter(({ name }) => this.#shown.has(name)).map(({ name }) => name);
    wanted.sort((one, other) => Number(other === this.#focus) - Number(one === this.#focus));
    for (const name of wanted) {
      if (this.#isClosed) return;
      try {
        this.#runs.set(name, await this.#source.load(name));
        this.#failed.delete(name);
      } catch (error) {
        this.#failed.set(name, messageOf(error));
        this.#tell(`'${name}' could not be read: ${messageOf(error)}`);
      }
    }
    const first = this.#shownRuns()[0];
    if (!this.#runs.has(this.#focus) && first !== undefined) this.#focus = first.name;
  }

  #tell(message: string): void {
    this.#message.textContent = message;
    this.#message.hidden = false;
  }

  #noteOf(name: string): string | undefined {
    if (this.#failed.has(name)) return 'unreadable';
    const run = this.#runs.get(name);
    const isEstimated = run?.layers.some(({ points }) => points.some((point) => point.isEstimated));
    return isEstimated ? 'estimated' : undefined;
  }

  #shownRuns(): RunData[] {
    return this.#outlines.flatMap(({ name }) => {
      const run = this.#shown.has(name) ? this.#runs.get(name) : undefined;
      return run === undefined ? [] : [run];
    });
  }

  #colors(): Map<string, string> {
    return runColors(this.#shownRuns(), this.#isDark);
  }

  #toggle(names: readonly string[], isShown: boolean): void {
    for (const name of names) {
      if (isShown) this.#shown.add(name);
      else this.#shown.delete(name);
    }
    const missing = names.some((name) => isShown && !this.#runs.has(name));
    const drawn = () => {
      this.#list.draw();
      this.#draw();
    };
    if (missing) void this.#loadShown().then(drawn);
    else drawn();
  }

  #pick({ layer, step }: { layer?: string; step?: number }): void {
    if (layer !== undefined) this.#layer = layer;
    if (step !== undefined) this.#setStep(step);
    this.#draw();
  }

  #setStep(step: number): void {
    const steps = this.#steps();
    this.#step = step;
    this.#isFollowing = step >= (steps.at(-1) ?? 0);
  }

  #steps(): number[] {
    return [...new Set(this.#shownRuns().flatMap(stepsOf))].sort((one, other) => one - other);
  }

  #makeControls() {
    const threshold = h('input', {
      type: 'range',
      id: 'saturation-threshold',
      min: String(logit(lowest)),
      max: String(logit(highest)),
      step: '0.001',
    });
    threshold.oninput = () => this.#setThreshold(round(unlogit(threshold.valueAsNumber)));
    const exact = h('input', { type: 'number', min: '0.01', max: '1', step: '0.001', attributes: { 'aria-label': 'Threshold, exact' } });
    exact.onchange = () => {
      const value = exact.valueAsNumber;
      if (value > 0 && value <= 1) this.#setThreshold(value);
      else this.#draw();
    };
    const reset = h('button', { type: 'button', title: 'The threshold that the writer counted with' }, 'reset');
    reset.onclick = () => this.#setThreshold(undefined);
    const step = h('input', { type: 'range', id: 'saturation-step', min: '0', step: '1' });
    step.oninput = () => {
      this.#setStep(this.#steps()[step.valueAsNumber]);
      this.#draw();
    };
    const play = h('button', { type: 'button', attributes: { 'aria-pressed': 'false' } }, '▶ play');
    play.onclick = () => this.#togglePlay();
    const select = (id: string, change: (value: string) => void) => {
      const element = h('select', { id });
      element.onchange = () => {
        change(element.value);
        this.#draw();
      };
      return element;
    };
    return {
      threshold,
      exact,
      reset,
      step,
      stepText: h('output', { attributes: { for: 'saturation-step' } }),
      play,
      stat: select('saturation-stat', (value) => (this.#stat = value as ScalarStat)),
      focus: select('saturation-focus', (value) => (this.#focus = value)),
      layer: select('saturation-layer', (value) => (this.#layer = value)),
      other: select('saturation-other', (value) => (this.#other = value)),
    };
  }

  #setThreshold(threshold: number | undefined): void {
    this.#threshold = threshold;
    this.#draw();
  }

  #togglePlay(): void {
    const { play } = this.#controls;
    const isPlaying = this.#player !== undefined;
    clearInterval(this.#player);
    this.#player = undefined;
    if (!isPlaying) {
      const steps = this.#steps();
      if (indexAt(steps, this.#step) >= steps.length - 1) this.#setStep(steps[0]);
      this.#player = setInterval(() => this.#playOn(), Math.max(60, Math.min(500, 8000 / steps.length)));
    }
    play.textContent = isPlaying ? '▶ play' : '❚❚ pause';
    play.setAttribute('aria-pressed', String(!isPlaying));
    this.#draw();
  }

  #playOn(): void {
    const steps = this.#steps();
    const next = steps[indexAt(steps, this.#step) + 1];
    if (next === undefined) this.#togglePlay();
    else {
      this.#setStep(next);
      this.#draw();
    }
  }

  /** Puts the page together, once there is something to show. */
  #build(): void {
    const { threshold, exact, reset, step, stepText, play, stat, focus, layer, other } = this.#controls;
    const label = (id: string, text: string) => h('label', { className: 'name', htmlFor: id }, text);
    const csv = h('button', { type: 'button', title: 'The numbers of all shown runs at this step' }, 'CSV');
    csv.onclick = () => this.#downloadCsv();
    const side = h(
      'div',
      { className: 'side' },
      h('div', { className: 'panel' }, h('h1', {}, 'Saturation'), this.#live, this.#message),
      h('div', { className: 'panel' }, h('div', { className: 'name' }, 'Runs'), this.#list.element),
      h(
        'div',
        { className: 'panel' },
        label('saturation-threshold', 'Threshold of the explained variance'),
        h('div', { className: 'row' }, threshold),
        h('div', { className: 'row' }, exact, reset),
        label('saturation-step', 'Step'),
        h('div', { className: 'row' }, step),
        h('div', { className: 'row' }, stepText, play),
      ),
      h(
        'div',
        { className: 'panel' },
        label('saturation-stat', 'Statistic'),
        stat,
        label('saturation-focus', 'Run of the heat map, table and advice'),
        focus,
        label('saturation-layer', 'Layer of the spectrum'),
        layer,
        label('saturation-other', 'Compare that run with'),
        other,
      ),
      h('div', { className: 'panel row' }, h('span', {}, 'Download'), csv),
    );
    const cards = h('div', { className: 'cards', attributes: { role: 'main' } });
    for (const [name, isWide] of cardNames) {
      const card = makeCard(name, isWide);
      this.#cards.set(name, card);
      cards.append(card.element);
    }
    this.#layout.replaceChildren(side, cards);
  }

  /** Draws in the next frame: however fast a slider moves, a frame is drawn once. */
  #draw(): void {
    if (this.#isClosed || this.#cards.size === 0) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow(): void {
    const shown = this.#shownRuns();
    const steps = this.#steps();
    const focus = this.#runs.get(this.#focus) ?? shown[0];
    this.#root.classList.toggle('nothing', focus === undefined);
    if (focus === undefined) {
      for (const { element } of this.#cards.values()) element.hidden = true;
      this.#live.textContent = 'No run is shown: tick one.';
      return;
    }
    this.#focus = focus.name;
    if (this.#isFollowing) this.#step = steps.at(-1) ?? 0;
    if (!focus.layers.some(({ name }) => name === this.#layer)) this.#layer = focus.layers[0]?.name ?? '';
    const stats = statsOf(shown);
    if (!stats.includes(this.#stat)) this.#stat = 'saturation';
    const counting = { stat: this.#stat, threshold: this.#threshold ?? focus.threshold, rule: focus.rule };
    const scene: Scene = {
      counting,
      step: this.#step,
      focus,
      layer: this.#layer,
      shown,
      colors: this.#colors(),
      marks: this.#marks(focus, counting.threshold),
      tail: tailAt(focus, this.#step, counting.threshold),
      isDark: this.#isDark,
    };
    this.#showControls(scene, steps, stats);
    this.#drawCharts(scene);
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#drawLater(scene), 150);
  }

  #showControls(scene: Scene, steps: readonly number[], stats: readonly ScalarStat[]): void {
    const { threshold, exact, step, stepText, stat, focus, layer, other } = this.#controls;
    const { counting } = scene;
    const isActive = (element: Element) => document.activeElement === element;
    if (!isActive(threshold)) threshold.value = String(logit(Math.min(highest, Math.max(lowest, counting.threshold))));
    threshold.setAttribute('aria-valuetext', `${percent(counting.threshold)}`);
    if (!isActive(exact)) exact.value = String(counting.threshold);
    step.max = String(Math.max(0, steps.length - 1));
    step.value = String(Math.max(0, indexAt(steps, this.#step)));
    step.setAttribute('aria-valuetext', `step ${this.#step} of ${steps.at(-1) ?? 0}`);
    stepText.textContent = `${this.#step} of ${steps.at(-1) ?? 0}`;
    setOptions(stat, stats.map((name) => [name, scalarStats[name].title]), this.#stat);
    setOptions(focus, scene.shown.map((run) => [run.name, run.name]), scene.focus.name);
    setOptions(layer, scene.focus.layers.map(({ name }) => [name, name]), this.#layer);
    const others = scene.shown.filter(({ name }) => name !== scene.focus.name).map(({ name }) => [name, name] as const);
    setOptions(other, [['', 'no other run'], ...others], this.#other);
    const whole = scene.focus.layers.flatMap((one) => pointAt(one, this.#step) ?? []);
    const mean = whole.length === 0 ? Number.NaN : average(scene.focus.layers.map((one) => valueAt(one, this.#step, { ...counting, stat: 'saturation' })));
    this.#live.textContent = `${scene.focus.name}: ${scene.focus.layers.length} layers, step ${this.#step}, mean saturation ${Number.isNaN(mean) ? 'unknown' : mean.toFixed(3)} at ${percent(counting.threshold)}`;
  }

  #drawCharts(scene: Scene): void {
    const { counting, step, focus, layer, shown, tail, isDark } = scene;
    const pick: Pick = (what) => this.#pick(what);
    const names = shown.map(({ name, layers }) => `${name}:${layers.reduce((sum, one) => sum + one.points.length, 0)}`).join('|');
    const counted = scalarStats[counting.stat].basis === 'threshold' ? counting.threshold : '';
    const marked = [...scene.marks].join();
    const title = scalarStats[counting.stat].title;
    const capital = title[0].toUpperCase() + title.slice(1);
    this.#card('profile', {
      title: `${capital} by depth`,
      note:
        tail.length > 0
          ? `Shaded: ${tail.length} layers at the end that hardly use their space. Choose a layer to see its spectrum.`
          : 'From the input (left) to the output (right). Choose a layer to see its spectrum.',
      depends: [names, counting.stat, counted, step, layer, marked, tail.join(), isDark, focus.name],
      draw: (width) => [legend(scene), chartFigure(profileChart(scene, width, pick), `${title} of every layer by depth at step ${step}`)],
    });
    this.#card('heat', {
      title: `Layers over steps: ${labelOf(focus, shown)}`,
      note: 'Choose a cell to go there.',
      depends: [names, focus.name, counting.stat, counted, step, layer, isDark],
      draw: (width) => {
        this.#heatMap.draw(scene, stepsOf(focus), width);
        return [this.#heatMap.element];
      },
    });
    const own = focus.layers.find(({ name }) => name === layer);
    const point = own === undefined ? undefined : pointAt(own, step);
    this.#card('spectrum', {
      title: `Spectrum of ${layer}`,
      note: point === undefined ? 'This run holds no spectrum of the layer.' : spectrumNote(point),
      depends: [names, layer, counting.threshold, step, isDark, focus.name],
      draw: (width) =>
        point === undefined ? [] : [chartFigure(spectrumCharts(scene, width), `Eigenvalues of ${layer} and the variance that the first ones explain`)],
    });
    const other = shown.find(({ name }) => name === this.#other);
    this.#card('difference', {
      title: other === undefined ? '' : `${labelOf(focus, shown)} minus ${labelOf(other, shown)}`,
      note: `Difference in ${title} by layer, for the layers that both have.`,
      depends: [names, focus.name, this.#other, counting.stat, counted, step, isDark],
      draw: (width) =>
        other === undefined ? [] : [chartFigure(differenceChart(scene, other, width, pick), `Difference in ${title} by layer`)],
    });
    this.#drawFields(scene);
    const tags = [...new Set(shown.flatMap(({ scalars }) => [...scalars.keys()]))].slice(0, 8);
    this.#card('scalars', {
      title: 'Losses and metrics',
      note: 'On the same steps; choose a point to go there.',
      depends: [names, tags.join(), step, isDark],
      draw: (width) => tags.map((tag) => chartFigure(scalarChart(scene, tag, width, pick), `${tag} over the steps`)),
    });
  }

  #drawFields(scene: Scene): void {
    const { fields } = scene.focus;
    const hasSpace = fields?.layers.some(({ axes }) => axes.length > 0) === true;
    const size = this.#inputSize ?? fields?.inputSize ?? 224;
    const idle = hasSpace ? unproductiveLayers(fields.layers, size) : [];
    this.#card('fields', {
      title: 'Receptive fields',
      note:
        idle.length > 0
          ? `${idle.length} convolutions get what has already seen the whole input, from ${idle[0]} on.`
          : 'Every convolution still sees something new.',
      depends: [scene.focus.name, size, scene.isDark, hasSpace],
      draw: (width) => {
        if (!hasSpace) return [];
        const input = h('input', { type: 'number', min: '1', max: '65536', value: String(size), attributes: { 'aria-label': 'Side of the input' } });
        input.onchange = () => {
          this.#inputSize = input.valueAsNumber > 0 ? Math.round(input.valueAsNumber) : undefined;
          this.#draw();
        };
        return [
          h('div', { className: 'row' }, h('span', {}, 'Side of the input'), input),
          chartFigure(fieldChart(fields, size, idle, scene.isDark, width), `Receptive field of every layer beside an input of ${size}`),
        ];
      },
    });
  }

  /** What may wait until a slider rests: words, the table, the link, and which layers have too few samples. */
  #drawLater(scene: Scene): void {
    if (this.#isClosed) return;
    const { focus, step, counting, shown } = scene;
    const isNew = this.#judge(focus, step, counting.threshold);
    const fields = focus.fields;
    const size = this.#inputSize ?? fields?.inputSize;
    const hasSpace = size !== undefined && fields?.layers.some(({ axes }) => axes.length > 0) === true;
    const given = hasSpace ? { receptiveFields: fields.layers, inputSize: size } : {};
    const findings = adviseOn(epochAt(focus, step, counting.threshold), { split: focus.split, ...given });
    this.#card('advice', {
      title: `In words: ${labelOf(focus, shown)}, step ${step}`,
      note: findings.length > 0 ? 'Rules of thumb, each with its source.' : 'Nothing stands out: no tail, no dead layer, no saturated bottleneck.',
      depends: [JSON.stringify(findings), focus.name, step],
      draw: () => [
        h(
          'ul',
          { className: 'findings' },
          ...findings.map(({ text, source }) =>
            h('li', {}, ...withCode(text), ' ', h('a', { href: source.url, target: '_blank', rel: 'noopener noreferrer' }, source.title)),
          ),
        ),
      ],
    });
    this.#card('table', {
      title: `Numbers: ${labelOf(focus, shown)}, step ${step}`,
      note: '',
      depends: [focus.name, step, counting.threshold, counting.stat, scene.layer, [...scene.marks].join(), String(isNew)],
      draw: () => [this.#table(scene)],
    });
    this.#memory?.write(this.#state());
    if (isNew) this.#draw();
  }

  #table(scene: Scene): HTMLElement {
    const { focus, step, counting } = scene;
    const hasOwn = scalarStats[counting.stat].basis !== 'threshold';
    const heads = ['layer', 'width', 'samples', 'dimensions', 'saturation', ...(hasOwn ? [scalarStats[counting.stat].title] : []), ''];
    const rows = focus.layers.map((layer) => {
      const point = pointAt(layer, step);
      const number = (stat: ScalarStat) => numberText({ ...counting, stat }, valueAt(layer, step, { ...counting, stat }));
      const mark = scene.marks.get(layer.name) ?? plainMarkOf(layer, step);
      const name = h('button', { type: 'button', title: layer.name }, layer.name);
      name.onclick = () => this.#pick({ layer: layer.name });
      return h(
        'tr',
        { className: layer.name === scene.layer ? 'chosen' : '' },
        h('td', {}, name),
        h('td', {}, String(point?.features ?? '')),
        h('td', {}, point?.samples?.toLocaleString('en') ?? ''),
        h('td', {}, number('intrinsicDimensionality')),
        h('td', {}, number('saturation')),
        hasOwn && h('td', {}, number(counting.stat)),
        h('td', {}, mark === undefined ? '' : markText[mark]),
      );
    });
    const head = h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)));
    return h('div', { className: 'scroll', tabIndex: 0, attributes: { role: 'region', 'aria-label': 'Table of layers' } }, h('table', {}, h('thead', {}, head), h('tbody', {}, ...rows)));
  }

  #downloadCsv(): void {
    const focus = this.#runs.get(this.#focus);
    const lines = [['run', 'layer', 'step', 'width', 'samples', 'threshold', 'intrinsic-dimensionality', 'saturation', ...(scalarStats[this.#stat].basis === 'threshold' ? [] : [scalarStats[this.#stat].column])]];
    for (const run of this.#shownRuns()) {
      const threshold = this.#threshold ?? focus?.threshold ?? run.threshold;
      for (const layer of run.layers) {
        const point = pointAt(layer, this.#step);
        const value = (stat: ScalarStat) => String(valueAt(layer, this.#step, { stat, threshold, rule: run.rule }));
        lines.push([
          run.name,
          layer.name,
          String(point?.step ?? this.#step),
          String(point?.features ?? ''),
          String(point?.samples ?? ''),
          String(threshold),
          value('intrinsicDimensionality'),
          value('saturation'),
          ...(scalarStats[this.#stat].basis === 'threshold' ? [] : [value(this.#stat)]),
        ]);
      }
    }
    const text = lines.map((line) => line.map(csvCell).join(',')).join('\r\n');
    download('saturation.csv', new Blob([`${text}\r\n`], { type: 'text/csv' }));
  }

  /** Whether the samples of the layers suffice, of those not judged yet. Returns whether any was judged. */
  #judge(run: RunData, step: number, threshold: number): boolean {
    let isNew = false;
    for (const layer of run.layers) {
      const point = pointAt(layer, step);
      if (point?.samples === undefined || point.isEstimated || point.eigenvalues.length < point.features) continue;
      const known = this.#judged.get(point) ?? new Map<number, boolean>();
      this.#judged.set(point, known);
      if (known.has(threshold)) continue;
      known.set(threshold, threshold < 1 ? spectrumOf(point).isReliable({ threshold }) : true);
      isNew = true;
    }
    return isNew;
  }

  #marks(run: RunData, threshold: number): Map<string, LayerMark> {
    const marks = new Map<string, LayerMark>();
    for (const layer of run.layers) {
      const point = pointAt(layer, this.#step);
      if (point === undefined) continue;
      const mark = plainMarkOf(layer, this.#step);
      if (mark !== undefined) marks.set(layer.name, mark);
      else if (this.#judged.get(point)?.get(threshold) === false) marks.set(layer.name, 'fewSamples');
    }
    return marks;
  }

  #card(name: string, content: { title: string; note: string; depends: readonly unknown[]; draw: (width: number) => Node[] }): void {
    const card = this.#cards.get(name);
    if (card === undefined) return;
    card.element.hidden = false;
    const width = Math.floor(card.body.clientWidth || card.element.clientWidth - 30 || 320);
    const key = [width, ...content.depends].join('\n');
    if (key === card.last) return;
    card.last = key;
    card.title.textContent = content.title;
    card.note.textContent = content.note;
    const nodes = content.draw(width);
    card.element.hidden = nodes.length === 0;
    if (nodes.length === 0) card.last = '';
    const isSame = nodes.length === card.body.childNodes.length && nodes.every((node, index) => card.body.childNodes[index] === node);
    if (!isSame) card.body.replaceChildren(...nodes);
  }

  #recall(): void {
    const kept = this.#memory?.read() ?? {};
    if (Number(kept.threshold) > 0 && Number(kept.threshold) <= 1) this.#threshold = Number(kept.threshold);
    if (kept.stat !== undefined && Object.hasOwn(scalarStats, kept.stat)) this.#stat = kept.stat as ScalarStat;
    if (kept.step !== undefined && Number.isFinite(Number(kept.step))) {
      this.#step = Number(kept.step);
      this.#isFollowing = false;
    }
    this.#focus = kept.run ?? '';
    this.#layer = kept.layer ?? '';
    this.#other = kept.other ?? '';
    try {
      const shown: unknown = JSON.parse(kept.runs ?? '[]');
      if (Array.isArray(shown)) for (const name of shown) if (typeof name === 'string') this.#shown.add(name);
    } catch {
      // A link that was cut shows the runs that are shown at first.
    }
  }

  #state(): Record<string, string> {
    const state: Record<string, string> = { run: this.#focus, layer: this.#layer };
    if (this.#threshold !== undefined) state.threshold = String(this.#threshold);
    if (this.#stat !== 'saturation') state.stat = this.#stat;
    if (!this.#isFollowing) state.step = String(this.#step);
    if (this.#other !== '') state.other = this.#other;
    const isAll = this.#outlines.length <= shownAtFirst && this.#outlines.every(({ name }) => this.#shown.has(name));
    if (!isAll && this.#shown.size <= 20) state.runs = JSON.stringify([...this.#shown]);
    return state;
  }
}

/** The cards from top to bottom, and whether they take the whole width. */
const cardNames = [
  ['profile', true],
  ['heat', false],
  ['spectrum', false],
  ['advice', true],
  ['difference', true],
  ['fields', false],
  ['scalars', false],
  ['table', true],
] as const;

function makeCard(name: string, isWide: boolean): Card {
  const title = h('h2', {});
  const note = h('p', { className: 'note' });
  const body = h('div', { className: 'chart' });
  const hasPicture = name !== 'advice' && name !== 'table';
  const save = h('button', { type: 'button', className: 'plain', attributes: { 'aria-label': `Download as PNG: ${name}` } }, 'PNG');
  const element = h(
    'section',
    { className: isWide ? 'card wide' : 'card', id: `saturation-${name}`, attributes: { 'aria-label': name } },
    h('header', {}, title, hasPicture && save),
    note,
    body,
  );
  save.onclick = () => {
    const ground = getComputedStyle(element).backgroundColor;
    void pictureOf(body, ground).then((blob) => download(`${title.textContent}.png`, blob));
  };
  return { element, title, note, body, last: '' };
}

function emptyPage(): HTMLElement {
  return h(
    'div',
    { className: 'empty' },
    h('p', {}, 'No run here holds layer saturation. A tracker of the npm package delve-tensorboard writes it:'),
    h('pre', {}, "import { SaturationTracker } from 'delve-tensorboard/tfjs';\n\nconst tracker = new SaturationTracker('runs/first', model);\nawait model.fit(xs, ys, { epochs: 10, callbacks: tracker.callback() });\nawait tracker.close();"),
  );
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

/** A drawing with its description for those who do not see it. The table below holds its numbers. */
function chartFigure(chart: Element, description: string): HTMLElement {
  return h('div', { className: 'chart', attributes: { role: 'img', 'aria-label': description } }, chart);
}

function setOptions(select: HTMLSelectElement, options: readonly (readonly [string, string])[], chosen: string): void {
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.dataset.options = key;
    select.replaceChildren(...options.map(([value, text]) => h('option', { value }, text)));
  }
  select.value = chosen;
}

function spectrumNote(point: SpectrumPoint): string {
  if (point.isEstimated) return 'Estimated from a histogram of 30 buckets: counts may be several directions off. Newer writers store whole spectra.';
  const stored = point.eigenvalues.length < point.features ? `the ${point.eigenvalues.length} largest of ${point.features}` : `all ${point.features}`;
  const rows = point.samples === undefined ? '' : `, from ${point.samples.toLocaleString('en')} samples`;
  return `The eigenvalues of the layer’s covariance, ${stored}${rows}. The dashed lines are the threshold and the directions that it needs.`;
}

function spectrumOf(point: SpectrumPoint): Spectrum {
  return Spectrum.fromEigenvalues(point.eigenvalues, { samples: point.samples });
}

/** The names of the layers of a run's tail at a step. */
function tailAt(run: RunData, step: number, threshold: number): readonly string[] {
  const labels = run.layers.map(({ name }) => name);
  const values = run.layers.map((layer) => valueAt(layer, step, { stat: 'saturation', threshold, rule: run.rule }));
  return tailOf({ labels, values }).layers;
}

/** A run at a step as an epoch, of which the library's own advice is asked. */
function epochAt(run: RunData, step: number, threshold: number): EpochStatistics {
  const counting = { threshold, rule: run.rule };
  const layers = run.layers.flatMap((layer: LayerData) => {
    const saturation = valueAt(layer, step, { ...counting, stat: 'saturation' });
    if (Number.isNaN(saturation)) return [];
    const intrinsicDimensionality = valueAt(layer, step, { ...counting, stat: 'intrinsicDimensionality' });
    const point = pointAt(layer, step);
    const isWhole = point !== undefined && !point.isEstimated && point.eigenvalues.length === point.features;
    return [
      {
        split: run.split,
        layer: layer.name,
        samples: point?.samples ?? Number.NaN,
        rejected: point?.rejected ?? 0,
        features: point?.features ?? Math.round(intrinsicDimensionality / saturation),
        saturation,
        intrinsicDimensionality,
        values: { saturation, intrinsicDimensionality },
        ...(isWhole && point.samples !== undefined ? { spectrum: spectrumOf(point) } : {}),
      },
    ];
  });
  return { epoch: step - 1, step, ...counting, layers, scalars: [] };
}

function average(values: readonly number[]): number {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value, 0) / finite.length;
}

function percent(threshold: number): string {
  return `${Number((threshold * 100).toPrecision(6))} %`;
}

/** A cell that every reader of CSV understands; what a spreadsheet would run is quoted as text. */
function csvCell(text: string): string {
  const guarded = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

function followBrowserTheme(apply: (isDark: boolean) => void): () => void {
  const query = matchMedia('(prefers-color-scheme: dark)');
  const tell = () => apply(query.matches);
  query.addEventListener('change', tell);
  tell();
  return () => query.removeEventListener('change', tell);
}

