/**
 * How far one place of a feature map sees along one axis of the input, by one path through the network:
 * `size` input places, and `jump` input places from one place of the map to the next (the product of strides so far).
 */
export interface Path {
  readonly size: number;
  readonly jump: number;
}

/** What a tensor sees of the input: per spatial axis, the paths that lead there. */
export interface FieldOfView {
  /** Per spatial axis; empty for tensors without space (batch x features). */
  readonly axes: readonly (readonly Path[])[];
  /** True for a tensor without space that was computed from all of the input. */
  readonly everything: boolean;
}

/** A window that moves over an axis: convolution or pooling. */
export interface Window {
  readonly kernelSize: readonly number[];
  readonly strides?: readonly number[];
  readonly dilationRate?: readonly number[];
}

export const seesAll: Path = { size: Number.POSITIVE_INFINITY, jump: 1 };

/** The input itself: every place sees itself. */
export function inputView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [{ size: 1, jump: 1 }]), everything: false };
}

/** A view of everything, with as many axes as the tensor has. */
export function wholeView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [seesAll]), everything: true };
}

/**
 * r_l = r_(l-1) + (k_l - 1) * product of earlier strides, on every path (https://distill.pub/2019/computing-receptive-fields;
 * the rule of https://arxiv.org/abs/2106.12307). A dilated kernel reaches over d * (k - 1) + 1 places.
 */
export function throughWindow(view: FieldOfView, window: Window): FieldOfView {
  return {
    ...view,
    axes: view.axes.map((paths, axis) => {
      const reach = (at(window.kernelSize, axis) - 1) * at(window.dilationRate, axis);
      return fewest(
        paths.map(({ size, jump }) => ({ size: size + reach * jump, jump: jump * at(window.strides, axis) })),
      );
    }),
  };
}

/** A transposed convolution: a place of its output is reached by ceil(k / s) places of its input, which then stand s times denser. */
export function throughTransposedWindow(view: FieldOfView, window: Window): FieldOfView {
  return {
    ...view,
    axes: view.axes.map((paths, axis) => {
      const stride = at(window.strides, axis);
      const reach = Math.ceil(at(window.kernelSize, axis) / stride) - 1;
      return fewest(paths.map(({ size, jump }) => ({ size: size + reach * jump, jump: jump / stride })));
    }),
  };
}

/** Enlarges the map by factors per axis; interpolation also looks at the neighbour. */
export function throughScaling(view: FieldOfView, factors: readonly number[], interpolates: boolean): FieldOfView {
  return {
    ...view,
    axes: view.axes.map((paths, axis) =>
      fewest(
        paths.map(({ size, jump }) => ({ size: size + (interpolates ? jump : 0), jump: jump / at(factors, axis) })),
      ),
    ),
  };
}

/** Space is summed up, flattened or read to its end. */
export function withoutSpace(view: FieldOfView): FieldOfView {
  return { axes: [], everything: view.everything || view.axes.length > 0 };
}

/** Several tensors meet (Add, Concatenate, ...): every path of each. One without space is spread over all places. */
export function merged(views: readonly FieldOfView[]): FieldOfView {
  if (views.length === 1) return views[0]!;
  const rank = Math.max(...views.map(({ axes }) => axes.length));
  const axes = Array.from({ length: rank }, (_, axis) =>
    fewest(views.flatMap((view) => (axis < view.axes.length ? view.axes[axis]! : view.everything ? [seesAll] : []))),
  );
  return { axes, everything: views.some(({ everything }) => everything) };
}

/**
 * Of the paths with one jump only the smallest and the largest can become the overall smallest and largest later,
 * since all of them grow alike. Without this a residual network of 50 blocks would have 2^50 paths.
 */
function fewest(paths: readonly Path[]): Path[] {
  const extremes = new Map<number, [number, number]>();
  for (const { size, jump } of paths) {
    const known = extremes.get(jump);
    extremes.set(jump, known ? [Math.min(known[0], size), Math.max(known[1], size)] : [size, size]);
  }
  return [...extremes].flatMap(([jump, [least, most]]) =>
    least === most
      ? [{ size: least, jump }]
      : [
          { size: least, jump },
          { size: most, jump },
        ],
  );
}

function at(values: readonly number[] | undefined, axis: number): number {
  if (values === undefined || values.length === 0) return 1;
  return values[Math.min(axis, values.length - 1)]!;
}
