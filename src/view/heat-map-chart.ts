import { viridisColor } from '../drawing/heat-map.js';
import { scalarStats } from '../saturation/stats.js';
import type { Pick } from './charts.js';
import { h, shortened } from './dom.js';
import { columnAt, columnsOf, numberText, type Scene } from './scene.js';
import { valueAt } from './values.js';

/**
 * A statistic of every layer (rows, the first on top) at every step (columns) as colors. It is one canvas, because
 * thousands of elements would not follow a slider. A click or the arrow keys choose layer and step.
 */
export class HeatMapChart {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #canvas = h('canvas', { tabIndex: 0, className: 'heat-map', attributes: { role: 'application' } });
  readonly #tip = h('div', { className: 'tip', hidden: true });
  #scene: Scene | undefined;
  #columns: number[] = [];
  #left = 0;
  #cell = { width: 1, height: 1 };
  #values: number[][] = [];

  /** @param pick is told what the user chose */
  constructor(pick: Pick) {
    this.element = h('div', { className: 'heat-map-holder' }, this.#canvas, this.#tip);
    this.#canvas.onclick = (event) => {
      const at = this.#at(event);
      if (at !== undefined) pick({ layer: at.layer, step: at.step });
    };
    this.#canvas.onpointermove = (event) => this.#show(event);
    this.#canvas.onpointerleave = () => (this.#tip.hidden = true);
    this.#canvas.onkeydown = (event) => {
      const moves: Record<string, [number, number]> = {
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0],
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
      };
      const move = moves[event.key];
      const scene = this.#scene;
      if (move === undefined || scene === undefined) return;
      event.preventDefault();
      const names = scene.focus.layers.map(({ name }) => name);
      const row = Math.min(names.length - 1, Math.max(0, names.indexOf(scene.layer) + move[0]));
      const column = Math.min(this.#columns.length - 1, Math.max(0, columnAt(this.#columns, scene.step) + move[1]));
      pick({ layer: names[row], step: move[1] === 0 ? undefined : this.#columns[column] });
    };
  }

  /** Draws the scene in a width of so many pixels. @param steps of the focus, ascending */
  draw(scene: Scene, steps: readonly number[], width: number): void {
    this.#scene = scene;
    const { focus, counting, isDark } = scene;
    const ink = isDark ? '#e6e6e6' : '#2b2b2b';
    const rows = focus.layers;
    const font = '12px system-ui, sans-serif';
    const nameLength = width < 480 ? 14 : 24;
    const names = rows.map(({ name }) => shortened(scene.short(name), nameLength));
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.font = font;
    const left = Math.min(width * 0.4, 10 + Math.max(30, ...names.map((name) => context.measureText(name).width)));
    const [top, right, bottom] = [8, 66, 40];
    const columns = columnsOf(steps, Math.max(20, Math.floor((width - left - right) / 3)));
    const cellWidth = (width - left - right) / Math.max(1, columns.length);
    const cellHeight = Math.max(8, Math.min(44, 400 / Math.max(1, rows.length)));
    const height = top + bottom + cellHeight * rows.length;
    this.#columns = columns;
    this.#left = left;
    this.#cell = { width: cellWidth, height: cellHeight };
    const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#values = rows.map((layer) => columns.map((step) => valueAt(layer, step, counting)));
    const limits = this.#limits(scene);
    this.#values.forEach((values, row) => {
      values.forEach((value, column) => {
        context.fillStyle = colorOf(value, limits, isDark);
        // Cells overlap by half a pixel, so that no seams show between them.
        context.fillRect(left + column * cellWidth, top + row * cellHeight, cellWidth + 0.5, cellHeight + 0.5);
      });
    });
    context.font = font;
    this.#writeValues(context, scene, limits, left, top);
    context.fillStyle = ink;
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    // Names that would overlap are left out, the chosen one never.
    const every = Math.ceil(12 / cellHeight);
    names.forEach((name, row) => {
      const isChosen = rows[row].name === scene.layer;
      if (row % every !== 0 && !isChosen) return;
      context.font = isChosen ? `bold ${font}` : font;
      context.fillText(name, left - 6, top + (row + 0.5) * cellHeight, left - 8);
    });
    context.font = font;
    this.#drawSteps(context, left, top + cellHeight * rows.length, width - right);
    this.#drawLegend(
      context,
      width - right + 14,
      top,
      Math.max(60, Math.min(160, cellHeight * rows.length)),
      limits,
      ink,
    );
    this.#drawChoice(context, scene, left, top, isDark);
    const title = scalarStats[counting.stat].title;
    this.#canvas.setAttribute(
      'aria-label',
      `${title} of ${rows.length} layers over ${columns.length} steps. Chosen: ${scene.layer}, step ${scene.step}. Arrow keys choose another.`,
    );
  }

  /** Smallest and greatest color: 0 to 1 for what is a fraction, otherwise what the values span. */
  #limits({ counting }: Scene): [number, number] {
    if (counting.stat === 'saturation' || counting.stat === 'drift') return [0, 1];
    const finite = this.#values.flat().filter(Number.isFinite);
    const low = finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
    const high = finite.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    return low < high ? [Math.min(low, Math.max(0, low)), high] : [low - 1, low + 1];
  }

  #writeValues(
    context: CanvasRenderingContext2D,
    { counting }: Scene,
    limits: [number, number],
    left: number,
    top: number,
  ) {
    const { width, height } = this.#cell;
    if (width < 34 || height < 14) return;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    this.#values.forEach((values, row) => {
      values.forEach((value, column) => {
        if (!Number.isFinite(value)) return;
        context.fillStyle = (value - limits[0]) / (limits[1] - limits[0]) > 0.6 ? '#1a1a1a' : '#ffffff';
        const text =
          counting.stat === 'saturation' ? value.toFixed(2) : numberText(counting, Number(value.toPrecision(3)));
        context.fillText(text, left + (column + 0.5) * width, top + (row + 0.5) * height, width - 4);
      });
    });
  }

  #drawSteps(context: CanvasRenderingContext2D, left: number, bottom: number, right: number) {
    context.textAlign = 'center';
    context.textBaseline = 'top';
    const every = Math.max(1, Math.ceil(44 / this.#cell.width));
    this.#columns.forEach((step, column) => {
      if (column % every === 0) context.fillText(String(step), left + (column + 0.5) * this.#cell.width, bottom + 5);
    });
    context.fillText('step', (left + right) / 2, bottom + 21);
  }

  #drawLegend(
    context: CanvasRenderingContext2D,
    x: number,
    top: number,
    height: number,
    limits: [number, number],
    ink: string,
  ) {
    for (let y = 0; y < height; y++) {
      context.fillStyle = colorOf(1 - y / height, [0, 1], false);
      context.fillRect(x, top + y, 10, 1.5);
    }
    context.fillStyle = ink;
    context.textAlign = 'left';
    context.textBaseline = 'middle';
    const text = (value: number) => String(Number(value.toPrecision(3)));
    context.fillText(text(limits[1]), x + 14, top + 5);
    context.fillText(text((limits[0] + limits[1]) / 2), x + 14, top + height / 2);
    context.fillText(text(limits[0]), x + 14, top + height - 5);
  }

  #drawChoice(context: CanvasRenderingContext2D, scene: Scene, left: number, top: number, isDark: boolean) {
    const row = scene.focus.layers.findIndex(({ name }) => name === scene.layer);
    if (row < 0 || this.#columns.length === 0) return;
    const { width, height } = this.#cell;
    const column = columnAt(this.#columns, scene.step);
    const frame = [left + column * width, top + row * height, Math.max(3, width), height] as const;
    // A dark line within a bright one is seen on every color.
    context.lineWidth = 3;
    context.strokeStyle = isDark ? '#000' : '#fff';
    context.strokeRect(...frame);
    context.lineWidth = 1.5;
    context.strokeStyle = isDark ? '#fff' : '#000';
    context.strokeRect(...frame);
  }

  #at(event: MouseEvent): { layer: string; step: number; value: number } | undefined {
    const row = Math.floor((event.offsetY - 8) / this.#cell.height);
    const column = Math.floor((event.offsetX - this.#left) / this.#cell.width);
    const layer = this.#scene?.focus.layers[row]?.name;
    const step = this.#columns[column];
    return layer === undefined || step === undefined ? undefined : { layer, step, value: this.#values[row][column] };
  }

  #show(event: PointerEvent): void {
    const at = this.#at(event);
    this.#tip.hidden = at === undefined;
    if (at === undefined || this.#scene === undefined) return;
    this.#tip.textContent = `${at.layer}, step ${at.step}: ${numberText(this.#scene.counting, at.value)}`;
    this.#tip.style.left = `${Math.min(event.offsetX + 12, this.#canvas.clientWidth - 180)}px`;
    this.#tip.style.top = `${event.offsetY + 14}px`;
  }
}

const ramp = Array.from({ length: 256 }, (_, index) => `rgb(${viridisColor(index / 255).join(',')})`);

function colorOf(value: number, [low, high]: [number, number], isDark: boolean): string {
  if (!Number.isFinite(value)) return isDark ? '#55585c' : '#cfcfcf';
  const share = (value - low) / (high - low);
  return ramp[Math.max(0, Math.min(255, Math.round(share * 255)))];
}
