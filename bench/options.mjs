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
