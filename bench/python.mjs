// The virtual environments of the benchmarks' Python peers, .venv-bench and .venv-bench-*, which are made when they are first needed.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const VERSIONS = `
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: pass
print(json.dumps(found))
`;

const run = (command, args) =>
  spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PIP_RETRIES: '0', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });
const lastLine = ({ error, stderr }) => error?.message ?? stderr.trim().split('\n').at(-1);

/**
 * Installs packages where they are missing, one at a time, so that one that cannot be had does not cost the others. Returns the
 * program, the versions of those that are there, and `missing`: why the others are not, by name.
 * @param names what pip calls them
 * @param kept a name for an environment of their own: TensorBoard reads and writes by other code where TensorFlow is installed
 */
export function pythonWith(names, kept = '') {
  const folder = fileURLToPath(new URL(`../.venv-bench${kept && `-${kept}`}`, import.meta.url));
  const python = `${folder}/bin/python`;
  if (!existsSync(python)) {
    const made = run('python3', ['-m', 'venv', folder]);
    const missing = Object.fromEntries(names.map((name) => [name, lastLine(made)]));
    if (made.status !== 0) return { python, versions: {}, missing };
  }
  const versionsOf = () => JSON.parse(run(python, ['-c', VERSIONS, ...names]).stdout);
  const versions = versionsOf();
  const missing = {};
  for (const name of names.filter((each) => !(each in versions))) {
    process.stderr.write(`pip install ${name}\n`);
    const made = run(python, ['-m', 'pip', 'install', '--quiet', name]);
    if (made.status !== 0) missing[name] = lastLine(made);
  }
  return { python, versions: versionsOf(), missing };
}
