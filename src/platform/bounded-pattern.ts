import { createContext, Script } from 'node:vm';

/** A search that took too long was ended. */
export class SlowPatternError extends Error {}

const script = new Script('expression.test(text)');

/** A call of the engine that is shorter than this, in milliseconds, is no search that goes wrong. */
const unremarkable = 5;

/**
 * Tests texts by a regular expression, within a time: a pattern such as `(a+)+$` may take longer on a text of forty letters than
 * anybody waits. V8 can end such a search only in a script that it runs with a time limit, which costs a fraction of a
 * millisecond; so patterns that need no more than the square of a text's length are tested as usual, and each text once.
 *
 * @param milliseconds that all searches may take together
 * @returns throws SlowPatternError once they have taken it
 */
export function boundedTest(expression: RegExp, milliseconds: number): (text: string) => boolean {
  const isQuick = hasOneChoice(expression.source);
  const known = new Map<string, boolean>();
  let context: { expression: RegExp; text: string } | undefined;
  let left = milliseconds;
  const search = (text: string): boolean => {
    if (left <= 0) throw new SlowPatternError(text);
    context ??= createContext({ expression, text }) as { expression: RegExp; text: string };
    context.text = text;
    const begun = performance.now();
    try {
      return script.runInContext(context, { timeout: Math.ceil(left) }) as boolean;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      left = 0;
      throw new SlowPatternError(text);
    } finally {
      const taken = performance.now() - begun;
      if (taken > unremarkable) left -= taken;
    }
  };
  return (text) => {
    if (isQuick && text.length < 1000) return expression.test(text);
    let found = known.get(text);
    if (found === undefined) {
      if (known.size >= 10_000) known.clear();
      known.set(text, (found = search(text)));
    }
    return found;
  };
}

/**
 * Whether an expression has but one place where the engine chooses what to try next: one repetition, or alternatives that are not
 * within groups. Two of them may need any time.
 */
function hasOneChoice(source: string): boolean {
  const choices = (source.match(/[*+?{]|\\[1-9k]/g) ?? []).length;
  return choices <= 1 && !(source.includes('|') && source.includes('('));
}
