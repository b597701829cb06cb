/** How the runs of one training's data are called: here and by TensorFlow.js, Keras, its estimators, PyTorch's users, fastai. */
const splitNames =
  /(?<![^/\\_.-])(train|training|val|valid|validation|test|testing|eval|evaluation|dev)(?![^/\\_.-])/gi;

/**
 * The split of the data in a run's name, the last one: the folder that holds all runs may be called "test".
 *
 * @returns what stands before it, the split, and what stands behind; undefined if there is none
 */
export function splitInName(run: string): { before: string; split: string; behind: string } | undefined {
  const last = [...run.matchAll(splitNames)].at(-1);
  if (last === undefined) return undefined;
  const [split] = last;
  return { before: run.slice(0, last.index), split, behind: run.slice(last.index + split.length) };
}
