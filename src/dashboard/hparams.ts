import { h } from '../view/dom.js';
import type { RunContent } from './run-content.js';
import { numberText, type Scene } from './scene.js';

/** A cell of the table; '' where there is nothing. */
type Cell = string | number | boolean;

/** A column of the table. A hyperparameter and a metric may have one name. */
export interface HparamsColumn {
  readonly id: string;
  readonly title: string;
  of(run: RunContent): Cell;
}

/** The table's columns: run, hyperparameters, the last values of some metrics, status. */
export function hparamsColumns(runs: readonly RunContent[], isWanted: (tag: string) => boolean): HparamsColumn[] {
  const names = [...new Set(runs.flatMap(({ hparams }) => Object.keys(hparams?.hparams ?? {})))];
  const metrics = [...new Set(runs.flatMap(({ scalars }) => [...scalars.keys()]))]
    .filter((tag) => isWanted(tag) && !/^(saturation|intrinsic-dimensionality|spectrum)/.test(tag))
    .slice(0, 12);
  const hparamOf = (run: RunContent, name: string): Cell => {
    const { hparams } = run.hparams ?? { hparams: {} };
    return Object.hasOwn(hparams, name) ? hparams[name] : '';
  };
  return [
    { id: 'run', title: 'run', of: ({ run }) => run },
    ...names.map((name) => ({ id: `hparam/${name}`, title: name, of: (run: RunContent) => hparamOf(run, name) })),
    ...metrics.map((tag) => ({
      id: `metric/${tag}`,
      title: tag,
      of: ({ scalars }: RunContent): Cell => scalars.get(tag)?.values.at(-1) ?? '',
    })),
    { id: 'status', title: 'status', of: ({ hparams }) => hparams?.status ?? '' },
  ];
}

/** Which column the table is sorted by, and whether from the greatest down. */
let order: { id: string; isDown: boolean } = { id: 'run', isDown: false };

/** The page HPARAMS: a row for each run that has hyperparameters, with the last values of its scalars. */
export function hparamsTable(scene: Scene): HTMLElement {
  const runs = scene.runs.filter(({ hparams }) => hparams !== undefined);
  if (runs.length === 0) return h('p', { className: 'empty' }, 'No run that is shown has hyperparameters.');
  const columns = hparamsColumns(runs, scene.isWanted);
  const { of } = columns.find(({ id }) => id === order.id) ?? columns[0];
  const sorted = [...runs].sort((one, other) => compare(of(one), of(other)));
  if (order.isDown) sorted.reverse();
  const head = columns.map(({ id, title }) => {
    const isChosen = order.id === id;
    const button = h(
      'button',
      { type: 'button', className: 'plain' },
      `${title}${isChosen ? (order.isDown ? ' ↓' : ' ↑') : ''}`,
    );
    button.onclick = () => {
      order = { id, isDown: isChosen && !order.isDown };
      scene.change({});
    };
    return h('th', { attributes: isChosen ? { 'aria-sort': order.isDown ? 'descending' : 'ascending' } : {} }, button);
  });
  const rows = sorted.map((run) =>
    h(
      'tr',
      {},
      ...columns.map((column) => {
        const value = column.of(run);
        return h('td', {}, typeof value === 'number' ? numberText(value) : String(value));
      }),
    ),
  );
  return h(
    'div',
    { className: 'card wide' },
    h(
      'div',
      { className: 'scroll', tabIndex: 0 },
      h('table', { className: 'hparams' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)),
    ),
  );
}

function compare(one: Cell, other: Cell): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one).localeCompare(String(other), 'en', { numeric: true });
}
