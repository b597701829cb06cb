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
  readonly detail?: string;
}

/**
 * The list of runs, each with a box to show it. Of a thousand runs only the rows in sight are elements. A field above a long
 * list filters it by a regular expression, or by plain text if it is none.
 */
export class RunList {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #filter = h('input', {
    type: 'search',
    placeholder: 'Filter runs (regex)',
    attributes: { 'aria-label': 'Filter runs' },
  });
  readonly #rows = h('div', { className: 'run-rows' });
  readonly #window = h(
    'div',
    { className: 'run-window', tabIndex: 0, attributes: { role: 'group', 'aria-label': 'Runs' } },
    this.#rows,
  );
  readonly #all = h('button', { type: 'button', className: 'plain' });
  readonly #stateOf: (run: RunOutline) => RunState;
  readonly #toggle: (names: readonly string[], isShown: boolean) => void;
  #runs: readonly RunOutline[] = [];

  /** @param toggle is told which runs the user ticked, or no longer ticks */
  constructor(stateOf: (run: RunOutline) => RunState, toggle: (names: readonly string[], isShown: boolean) => void) {
    this.#stateOf = stateOf;
    this.#toggle = toggle;
    this.#filter.oninput = () => this.draw();
    this.#window.onscroll = () => this.draw();
    this.#all.onclick = () => {
      const found = this.#found();
      toggle(
        found.map(({ name }) => name),
        !found.every((run) => stateOf(run).isShown),
      );
    };
    this.element = h('div', { className: 'run-list' }, this.#filter, this.#window, this.#all);
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
    this.#rows.style.height = `${found.length * rowHeight}px`;
    const first = Math.max(0, Math.floor(this.#window.scrollTop / rowHeight) - 3);
    const count = Math.ceil((this.#window.clientHeight || 240) / rowHeight) + 6;
    const focused = document.activeElement instanceof HTMLInputElement ? document.activeElement.dataset.run : undefined;
    this.#rows.replaceChildren(...found.slice(first, first + count).map((run, index) => this.#row(run, first + index)));
    if (focused !== undefined) {
      for (const box of this.#rows.querySelectorAll('input')) if (box.dataset.run === focused) box.focus();
    }
    this.#all.hidden = found.length < 3 || found.length > 100;
    this.#all.textContent = found.every((run) => this.#stateOf(run).isShown) ? 'hide these' : 'show these';
  }

  #row(run: RunOutline, index: number): HTMLElement {
    const { isShown, color, note, detail } = this.#stateOf(run);
    const box = h('input', { type: 'checkbox', checked: isShown });
    box.dataset.run = run.name;
    box.onchange = () => this.#toggle([run.name], box.checked);
    const swatch = h('i', { className: `swatch ${run.split}`, attributes: { 'aria-hidden': 'true' } });
    swatch.style.setProperty('--color', color ?? 'transparent');
    const text = h('span', { className: 'run-name', title: detail ?? run.name }, run.name);
    const row = h('label', { className: 'run' }, box, swatch, text, note !== undefined && h('em', {}, note));
    row.style.top = `${index * rowHeight}px`;
    return row;
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
