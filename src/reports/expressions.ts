/**
 * Evaluates Vega's expressions from their syntax trees. Vega itself makes them into code, which a program that forbids
 * code from strings does not allow (a content security policy without 'unsafe-eval', or Node's
 * `--disallow-code-generation-from-strings`). Vega takes an evaluator like this one as the option `expr` of a view
 * (https://vega.github.io/vega/usage/interpreter/).
 */

/** A node of a syntax tree, in the form of ESTree. */
interface Node {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** An expression as Vega hands it over, if it was asked for syntax trees. */
interface Expression {
  readonly ast: Node;
}

/** What Vega knows where an expression stands; its functions are those of its expression language. */
interface Context {
  readonly functions: Record<string, unknown>;
}

/** The values that an expression may name. */
interface Scope {
  readonly functions: Record<string, unknown>;
  /** Signals and parameters. */
  readonly _?: Record<string, unknown>;
  readonly datum?: unknown;
  readonly event?: unknown;
  readonly item?: unknown;
}

/** The item of a mark, of which an encoding sets the channels. */
type Item = Record<string, number | undefined> & { datum?: unknown };

/** The constants of the expression language. */
const constants = new Map<string, unknown>([
  ['NaN', Number.NaN],
  ['E', Math.E],
  ['LN2', Math.LN2],
  ['LN10', Math.LN10],
  ['LOG2E', Math.LOG2E],
  ['LOG10E', Math.LOG10E],
  ['PI', Math.PI],
  ['SQRT1_2', Math.SQRT1_2],
  ['SQRT2', Math.SQRT2],
  ['MIN_VALUE', Number.MIN_VALUE],
  ['MAX_VALUE', Number.MAX_VALUE],
  ['undefined', undefined],
]);

const mathematics = 'abs acos asin atan atan2 ceil cos exp floor hypot log max min pow random round sin sqrt tan';

/** The functions of the expression language that Vega makes into code; the others it has as functions. */
const builtIns = new Map<string, (...values: never[]) => unknown>([
  ...mathematics.split(' ').map((name) => [name, Math[name as 'abs']] as const),
  ['isNaN', Number.isNaN],
  ['isFinite', Number.isFinite],
  ['clamp', (value: number, low: number, high: number) => Math.max(low, Math.min(high, value))],
  ['length', (value: ArrayLike<unknown>) => value.length],
  ['parseFloat', Number.parseFloat],
  ['parseInt', Number.parseInt],
  ['upper', (text: unknown) => String(text).toUpperCase()],
  ['lower', (text: unknown) => String(text).toLowerCase()],
  ['trim', (text: unknown) => String(text).trim()],
  ['substring', (text: unknown, start: number, end?: number) => String(text).substring(start, end)],
  ['split', (text: unknown, separator: string, limit?: number) => String(text).split(separator, limit)],
  ['regexp', (pattern: string, flags?: string) => new RegExp(pattern, flags)],
  ['test', (pattern: string | RegExp, text: string) => new RegExp(pattern).test(text)],
  ['now', Date.now],
]);

/** A scale of Vega, as far as encodings use it. */
interface Scale {
  (value: unknown): unknown;
  range(): unknown;
  bandwidth?(): number;
}

/** Functions of encodings, whose first argument is the name of a scale. */
const scaleFunctions = new Map<string, (scale: Scale, value: unknown) => unknown>([
  ['_scale', (scale, value) => scale(value)],
  ['_range', (scale) => scale.range()],
  ['_bandwidth', (scale) => scale?.bandwidth?.() ?? 0],
]);

/** Operators that take the values of both sides. */
const operators = new Map<string, (left: never, right: never) => unknown>([
  ['+', (left: number, right: number) => left + right],
  ['-', (left: number, right: number) => left - right],
  ['*', (left: number, right: number) => left * right],
  ['/', (left: number, right: number) => left / right],
  ['%', (left: number, right: number) => left % right],
  ['<', (left: number, right: number) => left < right],
  ['<=', (left: number, right: number) => left <= right],
  ['>', (left: number, right: number) => left > right],
  ['>=', (left: number, right: number) => left >= right],
  // biome-ignore lint/suspicious/noDoubleEquals: it is the operator of the language
  ['==', (left: unknown, right: unknown) => left == right],
  // biome-ignore lint/suspicious/noDoubleEquals: it is the operator of the language
  ['!=', (left: unknown, right: unknown) => left != right],
  ['===', (left: unknown, right: unknown) => left === right],
  ['!==', (left: unknown, right: unknown) => left !== right],
]);

const unary = new Map<string, (value: never) => unknown>([
  ['+', (value: number) => +value],
  ['-', (value: number) => -value],
  ['!', (value: unknown) => !value],
]);

/** @throws Error for what plots of this package do not need */
function evaluate(node: Node, scope: Scope): unknown {
  const value = (member: string) => evaluate(node[member] as Node, scope);
  const values = (member: string) => (node[member] as Node[]).map((each) => evaluate(each, scope));
  switch (node.type) {
    case 'Literal':
      return node.value;
    case 'Identifier':
      return named(node.name as string, scope);
    case 'MemberExpression': {
      const name = node.computed ? value('property') : (node.property as Node).name;
      const member = (value('object') as Record<PropertyKey, unknown>)[name as PropertyKey];
      if (typeof member === 'function') throw unknown(`the method ${String(name)}`);
      return member;
    }
    case 'ArrayExpression':
      return values('elements');
    case 'ObjectExpression':
      return Object.fromEntries(
        (node.properties as Node[]).map(({ key, value: of }) => {
          const { name, value: text } = key as Node;
          return [name ?? text, evaluate(of as Node, scope)];
        }),
      );
    case 'ConditionalExpression':
      return value('test') ? value('consequent') : value('alternate');
    case 'LogicalExpression':
      return node.operator === '&&' ? value('left') && value('right') : value('left') || value('right');
    case 'BinaryExpression': {
      const operator = operators.get(node.operator as string);
      if (operator) return operator(value('left') as never, value('right') as never);
      break;
    }
    case 'UnaryExpression': {
      const operator = unary.get(node.operator as string);
      if (operator) return operator(value('argument') as never);
      break;
    }
    case 'CallExpression': {
      const { name } = node.callee as Node;
      if (name === 'if') {
        const [test, yes, no] = node.arguments as Node[];
        return evaluate(evaluate(test!, scope) ? yes! : no!, scope);
      }
      const scaled = scaleFunctions.get(name as string);
      if (scaled) {
        const [scale, input] = values('arguments');
        return scaled(scope._?.[`%${String(scale)}`] as Scale, input);
      }
      const { functions } = scope;
      const called = builtIns.get(name as string) ?? (!((name as string) in {}) && functions[name as string]);
      if (typeof called !== 'function') throw unknown(`the function ${String(name)}`);
      return called.apply(functions, values('arguments'));
    }
  }
  throw unknown(`${node.type} ${String(node.operator ?? '')}`);
}

function named(name: string, scope: Scope): unknown {
  if (name === 'datum' || name === 'event' || name === 'item' || name === '_') return scope[name];
  return constants.has(name) ? constants.get(name) : scope._?.[`$${name}`];
}

function unknown(what: string): Error {
  return new Error(`a plot uses ${what} in an expression, which cannot be drawn where code from strings is forbidden`);
}

/** The rules by which an item's size follows from its ends or its center. */
function adjust(item: Item, channels: Readonly<Record<string, unknown>>, marktype: string): void {
  if (marktype === 'rule') return;
  for (const [start, end, center, size] of [
    ['x', 'x2', 'xc', 'width'],
    ['y', 'y2', 'yc', 'height'],
  ] as const) {
    if (channels[end] && channels[start]) {
      const isBox = marktype === 'group' || marktype === 'image' || marktype === 'rect';
      if (isBox && item[start]! > item[end]!) [item[start], item[end]] = [item[end], item[start]];
      item[size] = item[end]! - item[start]!;
    } else if (channels[end]) {
      item[start] = item[end]! - (item[size] || 0);
    }
    if (channels[center]) item[start] = item[center]! - (item[size] || 0) / 2;
  }
}

/** What Vega takes as the option `expr` of a view. */
export const expressionEvaluator = {
  operator:
    ({ functions }: Context, { ast }: Expression) =>
    (_: Record<string, unknown>) =>
      evaluate(ast, { functions, _ }),
  parameter:
    ({ functions }: Context, { ast }: Expression) =>
    (datum: unknown, _: Record<string, unknown>) =>
      evaluate(ast, { functions, datum, _ }),
  event:
    ({ functions }: Context, { ast }: Expression) =>
    (event: unknown) =>
      evaluate(ast, { functions, event }),
  handler:
    ({ functions }: Context, { ast }: Expression) =>
    (_: Record<string, unknown>, event: { item?: Item }) =>
      evaluate(ast, { functions, _, event, datum: event.item?.datum }),
  encode:
    ({ functions }: Context, { channels, marktype }: { channels: Record<string, Expression>; marktype: string }) =>
    (item: Item, _: Record<string, unknown>): boolean => {
      let isChanged = false;
      for (const [name, { ast }] of Object.entries(channels)) {
        const value = evaluate(ast, { functions, item, datum: item.datum, _ }) as number;
        if (item[name] === value) continue;
        item[name] = value;
        isChanged = true;
      }
      adjust(item, channels, marktype);
      return isChanged;
    },
  codegen: {},
};

/** Whether this program allows code that is made from strings. */
export function allowsCode(): boolean {
  try {
    return Function('return true')() as boolean;
  } catch {
    return false;
  }
}
