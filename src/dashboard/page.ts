import { messageOf, printable } from '../errors.js';
import { h } from '../view/dom.js';
import { unpackRuns } from '../view/packed-runs.js';
import { runColors } from '../view/palette.js';
import { outlineOf, type RunData, type ViewSource } from '../view/run-data.js';
import { SaturationView } from '../view/saturation-view.js';
import { CardList, type CardSpec } from './card-list.js';
import { hparamsTable } from './hparams.js';
import { readLink, writeLink } from './link.js';
import { DroppedLogdir, droppedFiles, type ListedRun, type Logdir, ServedLogdir } from './logdir.js';
import { audioCards, histogramCards, imageCards, prCurveCards, textCards } from './other-cards.js';
import type { RunContent } from './run-content.js';
import { baseOfPage, RunReader } from './run-reader.js';
import { scalarCards } from './scalars.js';
import { type Look, matcher, type Scene } from './scene.js';
import { settingsOf } from './settings.js';
import { style } from './style.js';
import type { WorkerAnswer } from './worker.js';

/*
 * The page of `serve` and `share`: what TensorBoard shows of a logdir, from its event files, without TensorBoard.
 */

/** The pages, in the order of their tabs: what they are called, and whether a run has something for them. */
const tabs = [
  { id: 'scalars', title: 'Scalars', has: ({ scalars }: RunContent) => scalars.size > 0, cards: scalarCards },
  { id: 'saturation', title: 'Saturation', has: ({ saturation }: RunContent) => saturation !== undefined },
  {
    id: 'histograms',
    title: 'Histograms',
    has: ({ histograms }: RunContent) => histograms.size > 0,
    cards: histogramCards,
  },
  { id: 'images', title: 'Images', has: ({ images }: RunContent) => images.size > 0, cards: imageCards },
  { id: 'audio', title: 'Audio', has: ({ audio }: RunContent) => audio.size > 0, cards: audioCards },
  { id: 'text', title: 'Text', has: ({ text }: RunContent) => text.size > 0, cards: textCards },
  { id: 'hparams', title: 'Hparams', has: ({ hparams }: RunContent) => hparams !== undefined },
  { id: 'pr', title: 'PR curves', has: ({ prCurves }: RunContent) => prCurves.size > 0, cards: prCurveCards },
] as const;

type TabId = (typeof tabs)[number]['id'];

/** So many runs are shown at first. */
const shownAtFirst = 6;
/** So many runs the worker is asked for at a time. */
const atOnce = 8;
/** While runs are read, the page is drawn for this part of the time at most. */
const drawShare = 0.2;
/** How often growing files are looked at, in milliseconds. */
const lookEvery = 3000;

// Okabe and Ito's colors, which the color-blind can tell apart, then two more; on a dark ground brighter ones.
const lightColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#9a7400', '#4a9fd8', '#8c564b', '#6f6f6f'];
const darkColors = ['#56a8e0', '#ff9040', '#2fcf9f', '#f0a5d0', '#ffd050', '#a0d8ff', '#d09f8f', '#bdbdbd'];

class Dashboard {
  readonly #cards = new CardList();
  readonly #tabList = h('div', { className: 'tabs', attributes: { role: 'tablist', 'aria-label': 'Pages' } });
  readonly #panel = h('div', { id: 'panel', attributes: { role: 'tabpanel', tabindex: '-1' } });
  readonly #name = h('span', { className: 'logdir' });
  readonly #status = h('p', { className: 'status', attributes: { role: 'status' } });
  readonly #runRows = h('div', { className: 'runs', tabIndex: 0, attributes: { role: 'group', 'aria-label': 'Runs' } });
  readonly #runFilter = h('input', {
    type: 'search',
    placeholder: 'filter runs',
    attributes: { 'aria-label': 'Filter runs (regular expression)' },
  });
  readonly #tagFilter = h('input', {
    type: 'search',
    placeholder: 'filter tags',
    attributes: { 'aria-label': 'Filter tags (regular expression)' },
  });
  readonly #controls = h('div', { className: 'panel' });
  readonly #complaints = h('details', { className: 'complaints panel', hidden: true });
  readonly #reader = new RunReader((problem) => this.#say(problem));

  #logdir: Logdir | undefined;
  #runs: readonly ListedRun[] = [];
  readonly #shown = new Set<string>();
  readonly #contents = new Map<string, RunContent>();
  /** What a run's files were when it was read last. */
  readonly #readAs = new Map<string, string>();
  readonly #failed = new Map<string, string>();
  #tab: TabId = 'scalars';
  #look: Look = { smoothing: 0, axis: 'step', isLog: false, clipsOutliers: false, groups: false, histograms: 'offset' };
  #isDark = false;
  #view: { readonly view: SaturationView; readonly element: HTMLElement } | undefined;
  readonly #viewListeners = new Set<() => void>();
  #isReading = false;
  #isStale = false;
  #frame = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  /** How long the page took to be drawn last, charts included. */
  #drawMillis = 0;

  constructor(place: HTMLElement) {
    const all = h('button', { type: 'button', className: 'plain' }, 'show all');
    const none = h('button', { type: 'button', className: 'plain' }, 'none');
    all.onclick = () => this.#showRuns(this.#listedRuns().map(({ run }) => run));
    none.onclick = () => this.#showRuns([]);
    this.#runFilter.oninput = () => this.#draw();
    this.#tagFilter.oninput = () => this.#draw();
    place.replaceChildren(
      h('style', {}, style),
      h('header', {}, h('h1', {}, 'delve-tensorboard'), this.#name, this.#tabList),
      h(
        'div',
        { className: 'layout' },
        h(
          'aside',
          { attributes: { 'aria-label': 'Runs and settings' } },
          h(
            'div',
            { className: 'panel' },
            h('div', { className: 'name' }, 'Runs'),
            this.#runFilter,
            this.#runRows,
            h('div', { className: 'row' }, all, none),
          ),
          this.#controls,
          this.#complaints,
          this.#chooser(),
          this.#status,
        ),
        h('main', {}, this.#panel),
      ),
    );
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => {
      this.#isDark = dark.matches;
      this.#draw();
    };
    dark.addEventListener('change', follow);
    this.#isDark = dark.matches;
    new ResizeObserver(() => this.#draw()).observe(this.#panel);
    addEventListener('hashchange', () => {
      this.#recall();
      this.#draw();
    });
    this.#acceptDrops();
    this.#recall();
  }

  /** Opens what lies beside the page. Without anything there it waits for a logdir to be dropped. */
  async start(): Promise<void> {
    try {
      await this.#open(await ServedLogdir.open(baseOfPage(), location.search));
    } catch (error) {
      this.#panel.replaceChildren(
        h('p', { className: 'empty' }, 'Drop a logdir here: a folder with event files.'),
        h('p', { className: 'empty note' }, messageOf(error)),
      );
    }
  }

  async #open(logdir: Logdir): Promise<void> {
    this.#logdir = logdir;
    this.#name.textContent = printable(logdir.name);
    document.title = `${logdir.name} · delve-tensorboard`;
    this.#contents.clear();
    this.#readAs.clear();
    this.#runs = await logdir.list();
    const known = new Set(this.#runs.map(({ run }) => run));
    for (const run of this.#shown) if (!known.has(run)) this.#shown.delete(run);
    if (this.#shown.size === 0) for (const { run } of this.#runs.slice(0, shownAtFirst)) this.#shown.add(run);
    this.#draw();
    await this.#read();
    if (logdir.grows) setInterval(() => void this.#lookAgain(logdir), lookEvery);
  }

  async #lookAgain(logdir: Logdir): Promise<void> {
    if (this.#logdir !== logdir || document.hidden) return;
    try {
      this.#runs = await logdir.list();
      this.#say('');
    } catch (error) {
      this.#say(`The logdir cannot be listed: ${messageOf(error)}`);
      return;
    }
    const known = new Set(this.#runs.map(({ run }) => run));
    for (const run of this.#contents.keys()) {
      if (known.has(run)) continue;
      this.#contents.delete(run);
      this.#readAs.delete(run);
      this.#tellView();
    }
    if (this.#shown.size === 0) for (const { run } of this.#runs.slice(0, shownAtFirst)) this.#shown.add(run);
    await this.#read();
    this.#draw();
  }

  /** Reads the runs that are shown and have changed. */
  async #read(): Promise<void> {
    if (this.#isReading) {
      this.#isStale = true;
      return;
    }
    this.#isReading = true;
    do {
      this.#isStale = false;
      const logdir = this.#logdir;
      if (logdir === undefined) break;
      const queue = this.#runs.flatMap(({ run, files }) => {
        const as = files.map(({ path, size }) => `${path} ${size}`).join('\n');
        return this.#shown.has(run) && this.#readAs.get(run) !== as ? [{ run, files, as }] : [];
      });
      let done = 0;
      const readOn = async () => {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const { run, files, as } = next;
          if (!this.#shown.has(run)) continue;
          this.#say(`reading ${run}${queue.length > 0 ? `, and ${queue.length} more` : ''}`);
          const answer = await this.#reader.read(run, files, logdir);
          // Another logdir may have been opened meanwhile.
          if (this.#logdir !== logdir) return;
          this.#take(run, as, answer);
          done++;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, readOn));
      if (done > 0) this.#draw();
    } while (this.#isStale);
    this.#isReading = false;
    this.#say('');
    this.#draw();
  }

  #take(run: string, as: string, answer: WorkerAnswer): void {
    this.#readAs.set(run, as);
    if ('content' in answer) {
      this.#contents.set(run, answer.content);
      this.#failed.delete(run);
      if (answer.content.saturation !== undefined) this.#tellView();
    } else this.#failed.set(run, answer.problem);
    this.#drawSoon();
  }

  #say(text: string): void {
    this.#status.textContent = printable(text);
  }

  #showRuns(runs: readonly string[]): void {
    this.#shown.clear();
    for (const run of runs) this.#shown.add(run);
    this.#draw();
    void this.#read();
  }

  #listedRuns(): readonly ListedRun[] {
    const isWanted = matcher(this.#runFilter);
    return this.#runs.filter(({ run }) => isWanted(run));
  }

  #colors(): Map<string, string> {
    const outlines = this.#runs.map(({ run }) => outlineOf(run));
    const isOne = new Set(outlines.map(({ experiment }) => experiment)).size === 1;
    const areSplits = outlines.every(({ name }) => /(^|\/)(train|val)$/.test(name));
    // The splits of one training have their colors everywhere.
    if (isOne && areSplits) return runColors(outlines, this.#isDark);
    const colors = this.#isDark ? darkColors : lightColors;
    return new Map(this.#runs.map(({ run }, index) => [run, colors[index % colors.length]]));
  }

  #scene(): Scene {
    const listed = new Set(this.#listedRuns().map(({ run }) => run));
    const runs = this.#runs.flatMap(({ run }) => {
      const content = this.#shown.has(run) && listed.has(run) ? this.#contents.get(run) : undefined;
      return content === undefined ? [] : [content];
    });
    return {
      runs,
      colors: this.#colors(),
      isWanted: matcher(this.#tagFilter),
      look: this.#look,
      isDark: this.#isDark,
      change: (look) => {
        this.#look = { ...this.#look, ...look };
        this.#draw();
      },
    };
  }

  /** Draws when some more has been read: each run that comes would draw all lines again. */
  #drawSoon(): void {
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      this.#draw();
    }, this.#drawMillis / drawShare);
  }

  /** Draws in the next frame. */
  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const start = performance.now();
      this.#drawNow();
      // Cards in sight are drawn when the browser has seen where they are.
      setTimeout(() => {
        this.#drawMillis = performance.now() - start;
      });
    });
  }

  #drawNow(): void {
    document.body.classList.toggle('dark', this.#isDark);
    const scene = this.#scene();
    this.#drawTabs(scene);
    this.#drawRuns(scene.colors);
    this.#drawControls(scene);
    this.#drawComplaints();
    this.#remember();
    if (this.#logdir === undefined) return;
    const tab = tabs.find(({ id }) => id === this.#tab) ?? tabs[0];
    this.#panel.setAttribute('aria-labelledby', `tab-${tab.id}`);
    if (tab.id === 'saturation') {
      this.#showSaturation();
      return;
    }
    if (tab.id === 'hparams') {
      this.#panel.replaceChildren(hparamsTable(scene));
      return;
    }
    const cards: CardSpec[] = tab.cards(scene);
    const isReading = this.#isReading || this.#shown.size > scene.runs.length;
    const empty =
      this.#runs.length === 0
        ? 'There is no event file here yet.'
        : this.#shown.size === 0
          ? 'No run is shown: tick one.'
          : isReading
            ? 'Reading …'
            : `The runs that are shown have no ${tab.title.toLowerCase()}${this.#tagFilter.value ? ' that match the filter' : ''}.`;
    if (this.#panel.firstChild !== this.#cards.element) this.#panel.replaceChildren(this.#cards.element);
    this.#cards.show(cards, empty);
  }

  #drawTabs({ runs }: Scene): void {
    const has = tabs.filter(({ id, has: hasSome }) => id === this.#tab || id === 'scalars' || runs.some(hasSome));
    const elements = has.map(({ id, title }) => {
      const isChosen = id === this.#tab;
      const tab = h(
        'button',
        {
          type: 'button',
          id: `tab-${id}`,
          tabIndex: isChosen ? 0 : -1,
          attributes: { role: 'tab', 'aria-selected': String(isChosen), 'aria-controls': 'panel' },
        },
        title,
      );
      tab.onclick = () => this.#choose(id);
      tab.onkeydown = ({ key }) => {
        const move = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
        if (move === 0) return;
        const next = has[(has.findIndex((one) => one.id === id) + move + has.length) % has.length];
        this.#choose(next.id);
        requestAnimationFrame(() => document.getElementById(`tab-${next.id}`)?.focus());
      };
      return tab;
    });
    const focused = document.activeElement?.id;
    this.#tabList.replaceChildren(...elements);
    if (focused?.startsWith('tab-')) document.getElementById(focused)?.focus();
  }

  #choose(tab: TabId): void {
    this.#tab = tab;
    this.#draw();
  }

  #drawRuns(colors: ReadonlyMap<string, string>): void {
    const listed = this.#listedRuns();
    const shape = listed
      .map(({ run }) => `${run} ${this.#shown.has(run)} ${colors.get(run)} ${this.#failed.has(run)}`)
      .join('\n');
    if (this.#runRows.dataset.shape === shape) return;
    this.#runRows.dataset.shape = shape;
    this.#runRows.replaceChildren(
      ...listed.map(({ run }) => {
        const box = h('input', { type: 'checkbox', checked: this.#shown.has(run) });
        box.onchange = () => {
          if (box.checked) this.#shown.add(run);
          else this.#shown.delete(run);
          this.#draw();
          void this.#read();
        };
        const swatch = h('span', { className: 'swatch' });
        swatch.style.background = colors.get(run) ?? '';
        const failure = this.#failed.get(run);
        return h(
          'label',
          { className: 'run', title: printable(failure ?? run) },
          box,
          swatch,
          h('span', { className: 'run-name' }, printable(run)),
          failure !== undefined && h('em', {}, 'unreadable'),
        );
      }),
    );
  }

  #drawControls(scene: Scene): void {
    const key = JSON.stringify([this.#tab, scene.look]);
    if (this.#controls.dataset.key === key) return;
    this.#controls.dataset.key = key;
    this.#controls.hidden = this.#tab === 'saturation';
    const focused = document.activeElement;
    const smooth = (smoothing: number) => {
      this.#look = { ...this.#look, smoothing };
      // The slider that is dragged stays.
      this.#controls.dataset.key = JSON.stringify([this.#tab, this.#look]);
      this.#draw();
    };
    this.#controls.replaceChildren(this.#tagFilter, ...settingsOf(scene, this.#tab, smooth));
    if (focused === this.#tagFilter) this.#tagFilter.focus();
  }

  #drawComplaints(): void {
    const all = [...this.#shown].flatMap((run) => [
      ...(this.#failed.has(run) ? [`${run}: ${this.#failed.get(run)}`] : []),
      ...(this.#contents.get(run)?.complaints ?? []).map((text) => `${run}: ${text}`),
    ]);
    this.#complaints.hidden = all.length === 0;
    if (this.#complaints.dataset.all === all.join('\n')) return;
    this.#complaints.dataset.all = all.join('\n');
    this.#complaints.replaceChildren(
      h('summary', {}, `${all.length} ${all.length === 1 ? 'complaint' : 'complaints'}`),
      h('ul', {}, ...all.slice(0, 100).map((text) => h('li', {}, printable(text)))),
    );
  }

  #showSaturation(): void {
    if (this.#view === undefined) {
      const element = h('div', { className: 'saturation' });
      this.#view = { element, view: new SaturationView(element, this.#source()) };
    }
    if (this.#panel.firstChild !== this.#view.element) this.#panel.replaceChildren(this.#view.element);
  }

  /** The saturation of the runs that are read, for the view. */
  #source(): ViewSource {
    const runOf = (run: string): RunData | undefined => {
      const bytes = this.#contents.get(run)?.saturation;
      return bytes === undefined ? undefined : unpackRuns(bytes)[0];
    };
    return {
      list: async () =>
        [...this.#contents.values()]
          .filter(({ saturation }) => saturation !== undefined)
          .map(({ run }) => outlineOf(run)),
      load: async (run) => {
        const data = runOf(run);
        if (data === undefined) throw new RangeError(`run '${run}': it is no longer there`);
        return data;
      },
      subscribe: (listener) => {
        this.#viewListeners.add(listener);
        return () => this.#viewListeners.delete(listener);
      },
    };
  }

  #tellView(): void {
    for (const listener of this.#viewListeners) listener();
  }

  #acceptDrops(): void {
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
      event.preventDefault();
      const items = event.dataTransfer?.items;
      if (items === undefined) return;
      droppedFiles(items).then(
        ({ name, files }) => this.#openDropped(name, files),
        (error) => this.#say(`What was dropped cannot be read: ${messageOf(error)}`),
      );
    });
  }

  /** A way to open a folder of this computer without dropping it. */
  #chooser(): HTMLElement {
    const input = h('input', { type: 'file', multiple: true, attributes: { webkitdirectory: '' } });
    input.onchange = () => {
      const chosen = [...(input.files ?? [])];
      const [name = ''] = chosen[0]?.webkitRelativePath.split('/') ?? [];
      const files = new Map(
        chosen.flatMap((file) => {
          const path = file.webkitRelativePath.split('/').slice(1).join('/') || file.name;
          return /tfevents/.test(file.name) ? [[path, file] as const] : [];
        }),
      );
      this.#openDropped(name, files);
    };
    return h(
      'label',
      { className: 'panel' },
      h('span', { className: 'name' }, 'Another logdir, of this computer'),
      input,
    );
  }

  #openDropped(name: string, files: ReadonlyMap<string, File>): void {
    if (files.size === 0) {
      this.#say('There is no event file in it (their names contain "tfevents").');
      return;
    }
    this.#shown.clear();
    this.#failed.clear();
    this.#tellView();
    void this.#open(new DroppedLogdir(name, files));
  }

  /** Takes from the address what a link keeps. */
  #recall(): void {
    const { tab, look, tags, runs } = readLink();
    this.#tab = tabs.find(({ id }) => id === tab)?.id ?? this.#tab;
    this.#look = { ...this.#look, ...look };
    if (tags !== undefined) this.#tagFilter.value = tags;
    for (const run of runs) this.#shown.add(run);
  }

  #remember(): void {
    const first = this.#runs.slice(0, shownAtFirst).map(({ run }) => run);
    const runs = [...this.#shown];
    const isFirst = runs.join('\n') === first.join('\n');
    writeLink({
      tab: this.#tab,
      look: this.#look,
      tags: this.#tagFilter.value || undefined,
      runs: isFirst ? [] : runs,
    });
  }
}

const place = document.getElementById('dashboard');
if (place !== null) void new Dashboard(place).start();
