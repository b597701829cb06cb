import { messageOf, printable } from '../errors.js';
import { h } from '../view/dom.js';
import { outlineOf } from '../view/run-data.js';
import { type RunState, RunWindow } from '../view/run-list.js';
import { SaturationView } from '../view/saturation-view.js';
import { CardList, type CardSpec } from './card-list.js';
import { hparamsTable } from './hparams.js';
import { readLink, writeLink } from './link.js';
import { DroppedLogdir, type ListedRun, type Logdir, ServedLogdir } from './logdir.js';
import { acceptDrops, folderChooser } from './open-folder.js';
import type { RunContent } from './run-content.js';
import { baseOfPage, RunReader } from './run-reader.js';
import { SaturationSource } from './saturation-source.js';
import { colorsOf, type Look, matcher, type Scene } from './scene.js';
import { settingsOf } from './settings.js';
import { style } from './style.js';
import { type TabId, tabs } from './tabs.js';
import type { WorkerAnswer } from './worker.js';

/*
 * The page of `serve` and `share`: what TensorBoard shows of a logdir, from its event files, without TensorBoard.
 */

/** So many runs are shown at first. */
const shownAtFirst = 6;
/** So many runs the worker is asked for at a time. */
const atOnce = 8;
/** While runs are read, the page is drawn for this part of the time at most. */
const drawShare = 0.2;
const notListed = 'The logdir cannot be listed';
/** How often growing files are looked at, in milliseconds. */
const lookEvery = 3000;

class Dashboard {
  readonly #cards = new CardList();
  readonly #tabList = h('div', { className: 'tabs', attributes: { role: 'tablist', 'aria-label': 'Pages' } });
  readonly #panel = h('div', { id: 'panel', attributes: { role: 'tabpanel', tabindex: '-1' } });
  readonly #name = h('span', { className: 'logdir' });
  readonly #status = h('p', { className: 'status', attributes: { role: 'status' } });
  readonly #runRows: RunWindow;
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
  /** Whether the link or the user said which page; until then it is the first that has something. */
  #isTabChosen = false;
  #look: Look = { smoothing: 0, axis: 'step', isLog: false, clipsOutliers: false, groups: false, histograms: 'offset' };
  #isDark = false;
  #runColors: ReadonlyMap<string, string> = new Map();
  /** What the list of runs showed last. */
  #runShape = '';
  #view: { readonly view: SaturationView; readonly element: HTMLElement } | undefined;
  readonly #source = new SaturationSource(() => this.#runs, this.#contents);
  #isReading = false;
  #notice = '';
  #progress = '';
  /** Whether the runs that are shown at first have been read. */
  #hasRead = false;
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
    this.#runRows = new RunWindow(
      ({ name }) => this.#stateOf(name),
      ([run], isShown) => this.#tick(run, isShown),
    );
    this.#runFilter.oninput = () => {
      this.#runRows.element.scrollTop = 0;
      this.#draw();
    };
    this.#tagFilter.oninput = () => this.#draw();
    const open = (name: string, files: ReadonlyMap<string, File>) => this.#openDropped(name, files);
    // On a phone they would fill the screen before the first chart.
    const wide = matchMedia('(min-width: 761px)');
    const summary = h('summary', { className: 'name' }, 'Settings');
    const settings = h('details', { className: 'settings', open: wide.matches }, summary, this.#controls);
    wide.addEventListener('change', () => (settings.open = wide.matches));
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
            { className: 'panel run-panel' },
            h('div', { className: 'name' }, 'Runs'),
            this.#runFilter,
            this.#runRows.element,
            h('div', { className: 'row' }, all, none),
          ),
          settings,
          this.#complaints,
          folderChooser(open),
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
    acceptDrops(open, (problem) => this.#say(problem));
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
    this.#say('');
    this.#name.textContent = printable(logdir.name);
    document.title = `${logdir.name} · delve-tensorboard`;
    this.#contents.clear();
    this.#readAs.clear();
    const runs = await logdir.list();
    // Another logdir may have been opened meanwhile.
    if (this.#logdir !== logdir) return;
    this.#runs = runs;
    const known = new Set(this.#runs.map(({ run }) => run));
    for (const run of this.#shown) if (!known.has(run)) this.#shown.delete(run);
    if (this.#shown.size === 0) for (const { run } of this.#runs.slice(0, shownAtFirst)) this.#shown.add(run);
    this.#draw();
    await this.#read();
    this.#hasRead = true;
    this.#draw();
    if (logdir.grows) setInterval(() => void this.#lookAgain(logdir), lookEvery);
  }

  async #lookAgain(logdir: Logdir): Promise<void> {
    if (this.#logdir !== logdir || document.hidden) return;
    try {
      const runs = await logdir.list();
      if (this.#logdir !== logdir) return;
      this.#runs = runs;
      if (this.#notice.startsWith(notListed)) this.#say('');
    } catch (error) {
      if (this.#logdir === logdir) this.#say(`${notListed}: ${messageOf(error)}`);
      return;
    }
    const known = new Set(this.#runs.map(({ run }) => run));
    for (const run of this.#contents.keys()) {
      if (known.has(run)) continue;
      this.#contents.delete(run);
      this.#readAs.delete(run);
      this.#source.tell();
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
          this.#tell(`reading ${run}${queue.length > 0 ? `, and ${queue.length} more` : ''}`);
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
    this.#tell('');
    this.#draw();
  }

  #take(run: string, as: string, answer: WorkerAnswer): void {
    this.#readAs.set(run, as);
    if ('content' in answer) {
      this.#contents.set(run, answer.content);
      this.#failed.delete(run);
      if (answer.content.saturation !== undefined) this.#source.tell();
    } else this.#failed.set(run, answer.problem);
    this.#drawSoon();
  }

  /** Says what stays until something else is said or opened. */
  #say(text: string): void {
    this.#notice = text;
    this.#tell(this.#progress);
  }

  /** Says what is being done, where nothing else is said. */
  #tell(progress: string): void {
    this.#progress = progress;
    this.#status.textContent = printable(this.#notice || progress);
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

  #scene(): Scene {
    const listed = new Set(this.#listedRuns().map(({ run }) => run));
    const runs = this.#runs.flatMap(({ run }) => {
      const content = this.#shown.has(run) && listed.has(run) ? this.#contents.get(run) : undefined;
      return content === undefined ? [] : [content];
    });
    return {
      runs,
      colors: colorsOf(
        this.#runs.map(({ run }) => run),
        this.#isDark,
      ),
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
    const first = tabs.find(({ has }) => scene.runs.some(has));
    if (!this.#isTabChosen && first !== undefined) {
      this.#tab = first.id;
      this.#isTabChosen = !this.#isReading;
    }
    document.body.classList.toggle('on-saturation', this.#tab === 'saturation');
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
    this.#isTabChosen = true;
    this.#draw();
  }

  #drawRuns(colors: ReadonlyMap<string, string>): void {
    this.#runColors = colors;
    const listed = this.#listedRuns();
    const shape = listed.map(({ run }) => `${run} ${JSON.stringify(this.#stateOf(run))}`).join('\n');
    if (this.#runShape === shape) return;
    this.#runShape = shape;
    this.#runRows.draw(listed.map(({ run }) => outlineOf(run)));
  }

  #stateOf(run: string): RunState {
    const failure = this.#failed.get(run);
    return {
      isShown: this.#shown.has(run),
      color: this.#runColors.get(run),
      ...(failure !== undefined && { note: 'unreadable', detail: failure }),
    };
  }

  #tick(run: string, isShown: boolean): void {
    if (isShown) this.#shown.add(run);
    else this.#shown.delete(run);
    this.#draw();
    void this.#read();
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
      // Which runs the view shows at first depends on how many there are.
      if (!this.#hasRead) {
        this.#panel.replaceChildren(h('p', { className: 'empty' }, 'Reading …'));
        return;
      }
      const element = h('div', { className: 'saturation' });
      this.#view = { element, view: new SaturationView(element, this.#source) };
    }
    if (this.#panel.firstChild !== this.#view.element) this.#panel.replaceChildren(this.#view.element);
  }

  #openDropped(name: string, files: ReadonlyMap<string, File>): void {
    if (files.size === 0) {
      this.#say('There is no event file in it (their names contain "tfevents").');
      return;
    }
    this.#shown.clear();
    this.#failed.clear();
    this.#source.tell();
    void this.#open(new DroppedLogdir(name, files));
  }

  /** Takes from the address what a link keeps. */
  #recall(): void {
    const { tab, look, tags, runs } = readLink();
    this.#tab = tabs.find(({ id }) => id === tab)?.id ?? this.#tab;
    this.#isTabChosen = this.#tab === tab;
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
