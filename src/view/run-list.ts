import { printable, printableLines } from '../errors.js';
import { h } from './dom.js';
import type { RunOutline } from './run-data.js';

const rowHeight = 30;

/** What the list shows of a run beside its name. */
export interface RunState {
  /** Whether the charts show it. */
  readonly isShown: boolean;
  /** Its line's color; undefined while it is not shown. */
  readonly color?: string;
  /** A word beside the name, such as what went wrong; its whole text stands in `detail`. */
  readonly note?: string;
  /** What is shown of the run where the pointer rests on its name, in lines. */
  readonly detail?: string;
}

type Toggle = (names: readonly string[], isShown: boolean) => void;

/** Rows of runs, each with a box to show it. Of a thousand runs only the rows in sight are elements. */
export class RunWindow {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #rows = h('div', { className: 'run-rows' });
  readonly #stateOf: (run: RunOutline) => RunState;
  readonly #toggle: Toggle;
  #runs: readonly RunOutline[] = [];

  /** @param toggle is told which runs the user ticked, or no longer ticks */
  constructor(stateOf: (run: RunOutline) => RunState, toggle: Toggle) {
    this.#stateOf = stateOf;
    this.#toggle = toggle;
    this.element = h(
      'div',
      { className: 'run-window', tabIndex: 0, attributes: { role: 'group', 'aria-label': 'Runs' } },
      this.#rows,
    );
    this.element.onscroll = () => this.draw(this.#runs);
  }

  /** Draws the rows in sight of a list of runs. */
  draw(runs: readonly RunOutline[]): void {
    this.#runs = runs;
    this.#rows.style.height = `${runs.length * rowHeight}px`;
    const first = Math.max(0, Math.floor(this.element.scrollTop / rowHeight) - 3);
    const count = Math.ceil((this.element.clientHeight || 240) / rowHeight) + 6;
    const focused = document.activeElement instanceof HTMLInputElement ? document.activeElement.dataset.run : undefined;
    this.#rows.replaceChildren(...runs.slice(first, first + count).map((run, index) => this.#row(run, first + index)));
    if (focused === undefined) return;
    for (const box of this.#rows.querySelectorAll('input')) if (box.dataset.run === focused) box.focus();
  }

  #row(run: RunOutline, index: number): HTMLElement {
    const { isShown, color, note, detail } = this.#stateOf(run);
    const box = h('input', { type: 'checkbox', checked: isShown });
    box.dataset.run = run.name;
    box.onchange = () => this.#toggle([run.name], box.checked);
    const swatch = h('i', { className: `swatch ${run.split}`, attributes: { 'aria-hidden': 'true' } });
    swatch.style.setProperty('--color', color ?? 'transparent');
    const text = h('span', { className: 'run-name', title: printableLines(detail ?? run.name) }, printable(run.name));
    const row = h('label', { className: 'run' }, box, swatch, text, note !== undefined && h('em', {}, note));
    row.style.top = `${index * rowHeight}px`;
    return row;
  }
}

/** The list of runs with a field above that filters a long one by a regular expression, or by plain text if it is none. */
export class RunList {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #filter = h('input', {
    type: 'search',
    placeholder: 'Filter runs (regex)',
    attributes: { 'aria-label': 'Filter runs' },
  });
  readonly #window: RunWindow;
  readonly #all = h('button', { type: 'button', className: 'plain' });
  readonly #stateOf: (run: RunOutline) => RunState;
  #runs: readonly RunOutline[] = [];

  /** @param toggle is told which runs the user ticked, or no longer ticks */
  constructor(stateOf: (run: RunOutline) => RunState, toggle: Toggle) {
    this.#stateOf = stateOf;
    this.#window = new RunWindow(stateOf, toggle);
    this.#filter.oninput = () => {
      this.#window.element.scrollTop = 0;
      this.draw();
    };
    this.#all.onclick = () => {
      const found = this.#found();
      toggle(
        found.map(({ name }) => name),
        !found.every((run) => stateOf(run).isShown),
      );
    };
    this.element = h('div', { className: 'run-list' }, this.#filter, this.#window.element, this.#all);
  }

  /** Replaces the runs. */
  set(runs: readonly RunOutline[]): void {
    this.#runs = runs;
    this.#filter.hidden = runs.length <= 8;
    this.draw();
  }

  /** Draws the rows in sight. */
  draw(): void {
    const found = this.#found();
    this.#window.draw(found);
    this.#all.hidden = found.length < 3 || found.length > 100;
    this.#all.textContent = found.every((run) => this.#stateOf(run).isShown) ? 'hide these' : 'show these';
  }

  #found(): readonly RunOutline[] {
    const wanted = this.#filter.value.trim();
    if (wanted === '') return this.#runs;
    let matches = (name: string) => name.toLowerCase().includes(wanted.toLowerCase());
    try {
      const pattern = new RegExp(wanted, 'i');
      matches = (name) => pattern.test(name);
    } catch {
      // Half a regular expression, while it is typed, is plain text.
    }
    return this.#runs.filter(({ name }) => matches(name));
  }
}
