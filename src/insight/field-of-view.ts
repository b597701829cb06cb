/*
 * The algebra of receptive fields: what a tensor sees of the input, and how that changes through windows, scalings and
 * merges. It knows no layers; layer-views.ts says which of these operations a layer is.
 */

/**
 * How far one place of a feature map sees along one axis of the input, on one path through the network. A place here is a
 * pixel of an image, or a step of a sequence.
 */
export interface Path {
  /** Width of the field, in places of the input. */
  readonly size: number;
  /** Distance between the fields of neighboring places, in places of the input: the product of strides so far. */
  readonly jump: number;
}

/** What a tensor sees of the input. */
export interface FieldOfView {
  /** Per spatial axis, all paths that lead there; empty for tensors without space (batch x features). */
  readonly axes: readonly (readonly Path[])[];
  /** Whether the tensor has no space and was computed from all of the input. */
  readonly everything: boolean;
}

/** The window of a convolution or pooling layer. Lists have one number per axis; the last one holds for further axes. */
export interface KernelWindow {
  /** In places of the layer's input. */
  readonly kernelSize: readonly number[];
  /** Places from one position of the window to the next. Default 1. */
  readonly strides?: readonly number[];
  /** Places from one element of the kernel to the next. Default 1. */
  readonly dilationRate?: readonly number[];
}

/** @deprecated Use KernelWindow, which does not shadow the browser's Window. */
export type Window = KernelWindow;

/** The path of a place that sees the whole input. */
export const seesAll: Path = { size: Number.POSITIVE_INFINITY, jump: 1 };

/** What the input sees: every place sees itself. */
export function inputView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [{ size: 1, jump: 1 }]), everything: false };
}

/** What a tensor of so many axes sees if every place sees the whole input. */
export function wholeView(axes: number): FieldOfView {
  return { axes: Array.from({ length: axes }, () => [seesAll]), everything: true };
}

/**
 * A convolution or pooling: r_l = r_(l-1) + (k_l - 1) * product of earlier strides, on every path
 * (https://distill.pub/2019/computing-receptive-fields;
 * the rule of https://arxiv.org/abs/2106.12307). A dilated kernel reaches over d * (k - 1) + 1 places.
 */
export function throughWindow(view: FieldOfView, window: KernelWindow): FieldOfView {
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

/** A transposed convolution: ceil(k / s) places of its input reach a place of its output, whose places are s times denser. */
export function throughTransposedWindow(view: FieldOfView, window: KernelWindow): FieldOfView {
  return {
    ...view,
    axes: view.axes.map((paths, axis) => {
      const stride = at(window.strides, axis);
      const reach = Math.ceil(at(window.kernelSize, axis) / stride) - 1;
      return fewest(paths.map(({ size, jump }) => ({ size: size + reach * jump, jump: jump / stride })));
    }),
  };
}

/** A map that is enlarged by one factor per axis. Interpolation also looks at the neighboring place. */
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

/** A tensor for which space was summed up, flattened or read to its end. */
export function withoutSpace(view: FieldOfView): FieldOfView {
  return { axes: [], everything: view.everything || view.axes.length > 0 };
}

/** Several tensors that meet (Add, Concatenate, ...): every path of each. One without space is spread over all places. */
export function merged(views: readonly FieldOfView[]): FieldOfView {
  if (views.length === 1) return views[0]!;
  const rank = Math.max(...views.map(({ axes }) => axes.length));
  const axes = Array.from({ length: rank }, (_, axis) =>
    fewest(views.flatMap((view) => (axis < view.axes.length ? view.axes[axis]! : view.everything ? [seesAll] : []))),
  );
  return { axes, everything: views.some(({ everything }) => everything) };
}

/**
 * Keeps the smallest and the largest path of each jump: all paths of one jump grow alike, so that no other path can
 * become the smallest or largest one later. Without this a residual network of 50 blocks would have 2^50 paths.
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
