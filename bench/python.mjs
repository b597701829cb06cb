// The virtual environment of the benchmarks' Python peers, .venv-bench, which is made when it is first needed.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../.venv-bench', import.meta.url));
export const python = `${folder}/bin/python`;

const run = (command, args) =>
  spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PIP_RETRIES: '0', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });

const VERSIONS = `
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: pass
print(json.dumps(found))
`;

/**
 * Installs packages where they are missing, one at a time, so that one that cannot be had does not cost the others.
 * Returns the versions of those that are there, and `missing`: why the others are not, by name.
 */
export function pythonPackages(...names) {
  if (!existsSync(python)) {
    const made = run('python3', ['-m', 'venv', folder]);
    const why = made.error?.message ?? made.stderr.trim().split('\n').at(-1);
    if (made.status !== 0) return { versions: {}, missing: Object.fromEntries(names.map((name) => [name, why])) };
  }
  const versionsOf = () => JSON.parse(run(python, ['-c', VERSIONS, ...names]).stdout);
  const missing = {};
  for (const name of names.filter((each) => !(each in versionsOf()))) {
    process.stderr.write(`pip install ${name}\n`);
    const { status, stderr } = run(python, ['-m', 'pip', 'install', '--quiet', name]);
    if (status !== 0) missing[name] = stderr.trim().split('\n').at(-1);
  }
  return { versions: versionsOf(), missing };
}
