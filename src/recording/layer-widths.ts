import { warn } from '#platform';
import { WIDEST_SKETCH } from '../statistics/sketch.js';

/** What is done with wide layers. */
export interface WidthOptions {
  /** Layers with more features than this are measured as `wideLayers` says; may be Infinity. */
  readonly maxWidth: number;
  /** Whether a sketch is kept of layers wider than `maxWidth`. */
  readonly wideLayers: 'sketch' | 'leaveOut';
}

/** Whether a layer of so many features is measured by a sketch. */
export function isSketched(features: number, { maxWidth, wideLayers }: WidthOptions): boolean {
  return wideLayers === 'sketch' && features > maxWidth && features <= WIDEST_SKETCH;
}

/** Finds passes that do not count because of their width, and tells of each layer once. */
export class LayerWidths {
  readonly #options: WidthOptions;
  readonly #report: (error: RangeError, where: string) => void;
  /** Layers that are left out because they are too wide, and their widths; those that no warning has named yet. */
  readonly #tooWide = new Map<string, number>();
  readonly #unnamed: string[] = [];
  /** Layers and splits (`split/layer`) of which passes of another width were reported. */
  readonly #otherWidths = new Set<string>();

  /** @param report receives what is wrong with a layer's pass, and the layer and split in words */
  constructor(options: WidthOptions, report: (error: RangeError, where: string) => void) {
    this.#options = options;
    this.#report = report;
  }

  /** Whether a layer is left out because it is wider than `maxWidth`. */
  isTooWide(layer: string): boolean {
    return this.#tooWide.has(layer);
  }

  /**
   * Whether a pass does not count: it has another width than earlier ones of its period, or the layer is too wide.
   *
   * @param features of the pass
   * @param known features of the period's earlier passes in this split; undefined before the first
   * @param shape of the output, for the message
   */
  leavesOut(
    split: string,
    layer: string,
    features: number,
    known: number | undefined,
    shape: readonly number[],
  ): boolean {
    if (this.#tooWide.has(layer)) return true;
    if (known !== undefined) {
      if (features === known) return false;
      // Every batch may have another length: one message is enough.
      if (!this.#otherWidths.has(`${split}/${layer}`)) this.#reportWidth(split, layer, known, features, shape);
      return true;
    }
    if (features <= this.#options.maxWidth || isSketched(features, this.#options)) return false;
    this.#tooWide.set(layer, features);
    if (this.#unnamed.push(layer) === 1) queueMicrotask(() => this.#warnOfWidth());
    return true;
  }

  #reportWidth(split: string, layer: string, expected: number, found: number, shape: readonly number[]): void {
    this.#otherWidths.add(`${split}/${layer}`);
    const error = new RangeError(
      `output: expected ${expected} features as in earlier passes, got ${found} from an output of shape [${shape}]. ` +
        'Passes of other widths than the first are left out. If sizes vary, read each place or step as a row: see ' +
        'convMethod and timeseriesMethod',
    );
    this.#report(error, `layer '${layer}' (${split})`);
  }

  #warnOfWidth(): void {
    const layers = this.#unnamed.splice(0).map((name) => `'${name}' (${this.#tooWide.get(name)} features)`);
    const { maxWidth, wideLayers } = this.#options;
    const isSketching = wideLayers === 'sketch' && maxWidth < WIDEST_SKETCH;
    const limit = isSketching ? `${WIDEST_SKETCH} features` : `maxWidth = ${maxWidth} features`;
    const instead = wideLayers === 'sketch' ? '' : ", and wideLayers: 'sketch' measures them within bounds";
    warn(
      `Layers of more than ${limit} are left out: ${layers.join(', ')}. Memory grows ` +
        `with the square of the width, and time with its cube; the option maxWidth sets the limit${instead}`,
    );
  }
}
