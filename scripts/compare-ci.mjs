// node scripts/compare-ci.mjs — fails if .ci/run and the workflows in .github/workflows do not run the same npm commands.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

/** The npm commands of a shell script or a workflow, comments aside. */
function commands(path) {
  const text = readFileSync(path, 'utf8').replace(/^\s*#.*$/gm, '');
  return [...text.matchAll(/\bnpm (?:ci|test|run)\b[^;|&\n]*/g)].map(([command]) => command.trim());
}

const workflows = '.github/workflows';
const script = new Set(commands('.ci/run'));
const jobs = new Set(readdirSync(workflows).flatMap((name) => commands(join(workflows, name))));
const missing = [
  ...[...script].filter((command) => !jobs.has(command)).map((command) => `no workflow runs "${command}"`),
  ...[...jobs].filter((command) => !script.has(command)).map((command) => `.ci/run does not run "${command}"`),
];
for (const complaint of missing) console.error(complaint);
if (missing.length > 0) process.exitCode = 1;
else console.log(`.ci/run and the workflows run the same ${script.size} commands`);
