import { h } from '../view/dom.js';
import { numberText, type Scene } from './scene.js';

/** Which column the table is sorted by, and whether from the greatest down. */
let order: { column: string; isDown: boolean } = { column: 'run', isDown: false };

/** The page HPARAMS: a row for each run that has hyperparameters, with the last values of its scalars. */
export function hparamsTable(scene: Scene): HTMLElement {
  const runs = scene.runs.filter(({ hparams }) => hparams !== undefined);
  if (runs.length === 0) return h('p', { className: 'empty' }, 'No run that is shown has hyperparameters.');
  const names = [...new Set(runs.flatMap(({ hparams }) => Object.keys(hparams?.hparams ?? {})))];
  const metrics = [...new Set(runs.flatMap(({ scalars }) => [...scalars.keys()]))]
    .filter((tag) => scene.isWanted(tag) && !/^(saturation|intrinsic-dimensionality|spectrum)/.test(tag))
    .slice(0, 12);
  const columns = ['run', ...names, ...metrics, 'status'];
  const cell = (run: (typeof runs)[number], column: string): string | number | boolean => {
    if (column === 'run') return run.run;
    if (column === 'status') return run.hparams?.status ?? '';
    if (names.includes(column)) return run.hparams?.hparams[column] ?? '';
    return run.scalars.get(column)?.values.at(-1) ?? '';
  };
  const sorted = [...runs].sort((one, other) => compare(cell(one, order.column), cell(other, order.column)));
  if (order.isDown) sorted.reverse();
  const head = columns.map((column) => {
    const isChosen = order.column === column;
    const button = h(
      'button',
      { type: 'button', className: 'plain' },
      `${column}${isChosen ? (order.isDown ? ' ↓' : ' ↑') : ''}`,
    );
    button.onclick = () => {
      order = { column, isDown: isChosen && !order.isDown };
      scene.change({});
    };
    return h('th', { attributes: isChosen ? { 'aria-sort': order.isDown ? 'descending' : 'ascending' } : {} }, button);
  });
  const rows = sorted.map((run) =>
    h(
      'tr',
      {},
      ...columns.map((column) => {
        const value = cell(run, column);
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

function compare(one: string | number | boolean, other: string | number | boolean): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one).localeCompare(String(other), 'en', { numeric: true });
}
