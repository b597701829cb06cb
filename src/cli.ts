#!/usr/bin/env node
/** The command `delve-tensorboard`. A door to Node only: everything it does is in cli/, which knows no node: module. */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { terminalHasColors } from '#platform';
import { type CommandLine, cliOptions, main } from './cli/main.js';
import type { Terminal } from './cli/terminal.js';
import { messageOf } from './errors.js';

const terminal: Terminal = {
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  colors: terminalHasColors(),
  writeFile(path, content) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  },
  createFile(path) {
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, 'w');
    return { write: (text) => writeSync(descriptor, text), close: () => closeSync(descriptor) };
  },
};

/** `delve-tensorboard export ... | head` ends when head has seen enough. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

function fail(error: unknown, code: number): void {
  process.stderr.write(`delve-tensorboard: ${messageOf(error)}\n`);
  process.exitCode = code;
}

let commandLine: CommandLine | undefined;
try {
  commandLine = parseArgs({ options: cliOptions, allowPositionals: true });
} catch (error) {
  fail(error, 2);
}
if (commandLine) {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  main(terminal, commandLine, version).then(
    (code) => {
      process.exitCode = code;
    },
    (error) => fail(error, 1),
  );
}
