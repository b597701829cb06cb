import { messageOf, printable } from '../errors.js';
import { shortNames } from '../saturation/epoch.js';
import { type ScalarStat, scalarStats } from '../saturation/stats.js';
import { modelText, timesText } from '../saturation/training-facts.js';
import { Card } from './card.js';
import { type CardContext, type CardName, cardNames, cardsOf, lateCardsOf } from './cards.js';
import type { Pick } from './charts.js';
import { type Choice, Controls, percent } from './controls.js';
import { download, h } from './dom.js';
import { HeatMapChart } from './heat-map-chart.js';
import { marksAt, tailAt } from './judgment.js';
import { layersCsv } from './layer-table.js';
import { runColors } from './palette.js';
import { indexAt, type RunData, type RunOutline, stepsOf, type ViewSource } from './run-data.js';
import { RunList } from './run-list.js';
import { mergedLayers, type Scene } from './scene.js';
import { gap, style } from './style.js';
import { type Counting, estimatesVersion, estimateWanted, statsOf, valueAt, wantNothing } from './values.js';

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

/** Runs that are shown at first if nothing says which. */
const shownAtFirst = 6;

/** How long estimates keep the page from anything else, and after which time their progress is drawn. */
const [pieceMillis, progressMillis] = [12, 500];

/**
 * The saturation of networks, layer by layer: profile by depth, layers by steps, spectra with a live threshold, receptive
 * fields, losses, advice, and the difference of two runs. It shows what its source has, and follows it.
 *
 * It asks no host for anything, parses no name as HTML, and generates no code.
 */
export class SaturationView {
  readonly #root: HTMLElement;
  readonly #source: ViewSource;
  readonly #memory: ViewMemory | undefined;
  readonly #layout = h('div', { className: 'layout' });
  readonly #message = h('p', { className: 'message', hidden: true, attributes: { role: 'alert' } });
  readonly #list: RunList;
  readonly #heatMap: HeatMapChart;
  readonly #controls: Controls;
  readonly #cards = new Map<CardName, Card>();
  /** What is drawn gets its rows at once; this is for sizes that change otherwise, as when a font comes. */
  readonly #sizes = new ResizeObserver(() => requestAnimationFrame(() => this.#setRows()));
  readonly #stops: (() => void)[] = [() => this.#sizes.disconnect()];

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

  /**
   * Shows the view and starts to read its source.
   *
   * @param parent the element that the view fills; what is in it is replaced
   */
  constructor(parent: HTMLElement, source: ViewSource, options: SaturationViewOptions = {}) {
    this.#source = source;
    this.#memory = options.memory;
    this.#root = h('div', { className: 'saturation-view' }, h('style', {}, style), this.#layout);
    parent.replaceChildren(this.#root);
    this.#list = new RunList(
      (run) => ({
        isShown: this.#shown.has(run.name),
        color: this.#colors().get(run.name),
        note: this.#noteOf(run.name),
        detail: this.#failed.get(run.name) ?? this.#factsOf(run.name),
      }),
      (names, isShown) => void this.#toggle(names, isShown),
    );
    this.#heatMap = new HeatMapChart((what) => this.#choose(what));
    this.#controls = new Controls(this.#list.element, this.#message, (choice) => this.#choose(choice));
    const follow = options.followTheme ?? followBrowserTheme;
    this.#stops.push(
      follow((isDark) => {
        this.#isDark = isDark;
        this.#root.classList.toggle('dark', isDark);
        this.#list.draw();
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
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      while (this.#isStale && !this.#isClosed) {
        this.#isStale = false;
        await this.#load();
      }
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
      // What was read before stays in sight.
      this.#tell(`The runs could not be listed: ${messageOf(error)}`);
      if (this.#outlines.length === 0) this.#layout.replaceChildren(this.#message);
      return;
    }
    if (this.#isClosed) return;
    const names = new Set(this.#outlines.map(({ name }) => name));
    for (const name of [...this.#shown]) if (!names.has(name)) this.#shown.delete(name);
    for (const name of [...this.#runs.keys()]) if (!names.has(name)) this.#runs.delete(name);
    if (this.#outlines.length === 0) {
      this.#layout.replaceChildren(this.#source.awaitsEpochs ? waitingPage() : emptyPage());
      this.#cards.clear();
      return;
    }
    if (this.#shown.size === 0) this.#showFirst();
    await this.#loadShown(() => true);
    if (this.#isClosed) return;
    if (this.#cards.size === 0) this.#build();
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

  /** Loads runs that are shown, and draws after each. A run that fails does not keep the others from being shown. */
  async #loadShown(isWanted: (name: string) => boolean): Promise<void> {
    const wanted = this.#outlines.filter(({ name }) => this.#shown.has(name) && isWanted(name)).map(({ name }) => name);
    // The run in focus comes first, so that its picture does not wait for all.
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
      if (!this.#runs.has(this.#focus)) this.#focus = this.#shownRuns()[0]?.name ?? '';
      this.#draw();
    }
  }

  #tell(message: string): void {
    this.#message.textContent = message;
    this.#message.hidden = false;
  }

  /** When a run that was read was trained, and which network it was; undefined if nothing is known. */
  #factsOf(name: string): string | undefined {
    const { model, times } = this.#runs.get(name) ?? {};
    const facts = [times && timesText(times), model && modelText(model)].filter((fact) => fact !== undefined);
    return facts.length === 0 ? undefined : [name, ...facts].map(printable).join('\n');
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

  async #toggle(names: readonly string[], isShown: boolean): Promise<void> {
    for (const name of names) {
      if (isShown) this.#shown.add(name);
      else this.#shown.delete(name);
    }
    if (isShown) await this.#loadShown((name) => !this.#runs.has(name) && !this.#failed.has(name));
    this.#list.draw();
    this.#draw();
  }

  #choose(choice: Choice): void {
    if (choice.layer !== undefined) this.#layer = choice.layer;
    if (choice.focus !== undefined) this.#focus = choice.focus;
    if (choice.other !== undefined) this.#other = choice.other;
    if (choice.stat !== undefined) this.#stat = choice.stat;
    if (choice.threshold !== undefined) this.#threshold = choice.threshold ?? undefined;
    if (choice.step !== undefined) this.#setStep(choice.step);
    if (choice.isPlaying !== undefined) this.#play(choice.isPlaying);
    if (choice.download === 'csv') {
      const csv = layersCsv(this.#shownRuns(), this.#step, this.#counting());
      download('saturation.csv', new Blob([csv], { type: 'text/csv' }));
    }
    this.#draw();
  }

  #setStep(step: number): void {
    this.#step = step;
    this.#isFollowing = step >= (this.#steps().at(-1) ?? 0);
  }

  #steps(): number[] {
    return [...new Set(this.#shownRuns().flatMap(stepsOf))].sort((one, other) => one - other);
  }

  #play(isPlaying: boolean): void {
    clearInterval(this.#player);
    this.#player = undefined;
    const steps = this.#steps();
    if (!isPlaying || steps.length === 0) return;
    if (indexAt(steps, this.#step) >= steps.length - 1) this.#setStep(steps[0]);
    // The whole training in about eight seconds.
    this.#player = setInterval(() => this.#playOn(), Math.max(60, Math.min(500, 8000 / steps.length)));
  }

  #playOn(): void {
    const steps = this.#steps();
    const next = steps[indexAt(steps, this.#step) + 1];
    if (next === undefined) this.#play(false);
    else this.#setStep(next);
    this.#draw();
  }

  /** Puts the page together, once there is something to show. */
  #build(): void {
    const cards = h('section', { className: 'cards', attributes: { 'aria-label': 'Saturation' } });
    // Those that went when the runs went.
    this.#sizes.disconnect();
    for (const [name, isWide] of cardNames) {
      const card = new Card(name, isWide, name !== 'advice' && name !== 'table');
      this.#cards.set(name, card);
      cards.append(card.element);
      this.#sizes.observe(card.element);
    }
    this.#layout.replaceChildren(this.#controls.element, cards);
  }

  /** Draws in the next frame: however fast a slider moves, a frame is drawn once. */
  #draw(): void {
    if (this.#isClosed || this.#cards.size === 0) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow(): void {
    const shown = this.#shownRuns();
    const focus = shown.find(({ name }) => name === this.#focus) ?? shown[0];
    if (focus === undefined) {
      for (const { element } of this.#cards.values()) element.hidden = true;
      this.#controls.say('No run is shown: tick one.');
      return;
    }
    const steps = this.#steps();
    this.#focus = focus.name;
    if (this.#isFollowing) this.#step = steps.at(-1) ?? 0;
    if (!focus.layers.some(({ name }) => name === this.#layer)) this.#layer = focus.layers[0]?.name ?? '';
    const stats = statsOf(shown);
    if (!stats.includes(this.#stat)) this.#stat = 'saturation';
    const counting = this.#counting();
    wantNothing();
    const scene: Scene = {
      counting,
      step: this.#step,
      focus,
      layer: this.#layer,
      shown,
      colors: this.#colors(),
      marks: marksAt(focus, this.#step, counting),
      tail: tailAt(focus, this.#step, counting.threshold),
      short: shortNames(mergedLayers(shown)).short,
      isDark: this.#isDark,
    };
    const pick: Pick = (what) => this.#choose(what);
    const context: CardContext = {
      pick,
      heatMap: this.#heatMap,
      other: shown.find(({ name }) => name === this.#other && name !== focus.name),
      inputSize: this.#inputSize,
      setInputSize: (size) => {
        this.#inputSize = size;
        this.#draw();
      },
    };
    const isPlaying = this.#player !== undefined;
    this.#controls.show(scene, { steps, stats, other: context.other?.name ?? '', isPlaying });
    this.#controls.say(summaryOf(scene));
    for (const [name, content] of cardsOf(scene, context)) this.#cards.get(name)?.draw(content);
    this.#setRows();
    clearTimeout(this.#later);
    const drawn = estimatesVersion();
    this.#later = setTimeout(() => this.#drawLater(scene, context, drawn), 150);
  }

  /**
   * Draws what may wait until a slider rests. What many samples would show is estimated first, a piece at a time, so that the
   * page stays at hand.
   *
   * @param drawn what was estimated when the scene was drawn
   * @param since when this began, in milliseconds of `performance.now`
   */
  #drawLater(scene: Scene, context: CardContext, drawn: number, since = performance.now()): void {
    if (this.#isClosed) return;
    const now = performance.now();
    const isDone = estimateWanted(now + pieceMillis);
    if (!isDone && now - since < progressMillis) {
      this.#later = setTimeout(() => this.#drawLater(scene, context, drawn, since));
      return;
    }
    if (estimatesVersion() !== drawn) {
      this.#draw();
      return;
    }
    for (const [name, content] of lateCardsOf(scene, context)) this.#cards.get(name)?.draw(content);
    this.#setRows();
    this.#memory?.write(this.#state());
  }

  /** Lets each card take as many of the grid's rows, of a pixel each, as it is high: what is below moves up to it. */
  #setRows(): void {
    const heights = Array.from(this.#cards.values(), ({ element }) => element.offsetHeight);
    for (const [index, { element }] of [...this.#cards.values()].entries()) {
      element.style.gridRowEnd = `span ${heights[index] + gap}`;
    }
  }

  /** How numbers are counted: at the user's threshold, or at that of the run in focus. */
  #counting(): Counting {
    const focus = this.#runs.get(this.#focus);
    return { stat: this.#stat, threshold: this.#threshold ?? focus?.threshold ?? 0.99, rule: focus?.rule ?? 'paper' };
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

/** What stands where a training of this page will be shown. */
function waitingPage(): HTMLElement {
  return h('div', { className: 'empty' }, h('p', {}, 'No epoch has come yet: each one that ends is shown here.'));
}

function emptyPage(): HTMLElement {
  return h(
    'div',
    { className: 'empty' },
    h('p', {}, 'No run here holds layer saturation. A tracker of the npm package delve-tensorboard writes it:'),
    h(
      'pre',
      {},
      [
        "import { SaturationTracker } from 'delve-tensorboard/tfjs';",
        '',
        "const tracker = new SaturationTracker('runs/first', model);",
        'await model.fit(xs, ys, { epochs: 10, callbacks: tracker.callback() });',
        'await tracker.close();',
      ].join('\n'),
    ),
  );
}

/** The scene in one sentence. */
function summaryOf({ focus, step, counting }: Scene): string {
  const values = focus.layers
    .map((layer) => valueAt(layer, step, { ...counting, stat: 'saturation' }))
    .filter(Number.isFinite);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const text = values.length === 0 ? 'no saturation' : `mean saturation of all ${mean.toFixed(3)}`;
  return `${focus.name}: ${focus.layers.length} layers, step ${step}, ${text} at ${percent(counting.threshold)}`;
}

function followBrowserTheme(apply: (isDark: boolean) => void): () => void {
  const query = matchMedia('(prefers-color-scheme: dark)');
  const tell = () => apply(query.matches);
  query.addEventListener('change', tell);
  tell();
  return () => query.removeEventListener('change', tell);
}
