// The options of a program that is run with node. --help shows what the comment at the program's top says, and its options.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** The values of options, as parseArgs takes them. With --help or a mistyped option the program ends here. */
export function programOptions(options) {
  let values;
  try {
    ({ values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } }));
  } catch (error) {
    console.error(`${error.message.split('. To specify')[0]}; --help lists the options`);
    process.exit(2);
  }
  const { help, ...given } = values;
  if (!help) return given;
  const [comment] = /^(?:\/\/.*\n)*/.exec(readFileSync(process.argv[1], 'utf8'));
  const lines = Object.entries(options).map(([name, { default: usual, type }]) => {
    const value = type === 'string' ? ' <value>' : '';
    return `  --${name}${value}${usual === undefined || usual.length === 0 ? '' : `   (${usual})`}`;
  });
  console.log(`${comment.replace(/^\/\/ ?/gm, '')}\nOptions:\n${lines.join('\n')}`);
  process.exit(0);
}

/**
 * The options that all benchmarks have, and some of its own: `seconds` is how long it may measure, `quick` has it do everything once and
 * small, `dry` write nothing, and `into` is the folder of results.json and RESULTS.md.
 */
export function benchOptions(seconds, own = {}) {
  const given = programOptions({
    seconds: { type: 'string', default: String(seconds) },
    quick: { type: 'boolean', default: false },
    dry: { type: 'boolean', default: false },
    into: { type: 'string' },
    ...own,
  });
  return { ...given, seconds: given.quick ? 0 : Number(given.seconds) };
}
