// npm run lockfile — adds to package-lock.json the optional packages that npm left out of it.
//
// npm forgets a platform's optional package (@biomejs/cli-darwin-arm64, …) when the registry in use does not serve
// it, and `npm ci` then refuses the lockfile on every machine ("Missing: … from lock file"). What an entry must say
// to be skipped elsewhere and installed at home is in its parent's exact version and in its own name.
// With --check nothing is written and a missing entry is an error.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = join(dirname(fileURLToPath(import.meta.url)), '..', 'package-lock.json');
const check = process.argv.includes('--check');
const lock = JSON.parse(readFileSync(path, 'utf8'));

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

/** os, cpu and libc from a name such as @oxc-parser/binding-linux-arm-gnueabihf. */
function platformOf(name) {
  const words = name.split(/[-/]/);
  const platform = {};
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS.find((processor) => words.includes(processor));
  if (cpu) platform.cpu = [cpu];
  if (os) platform.os = [os];
  const last = words.at(-1);
  if (os === 'linux' && last.startsWith('musl')) platform.libc = ['musl'];
  if (os === 'linux' && last.startsWith('gnu')) platform.libc = ['glibc'];
  return platform;
}

/** True when a package at `folder` would find `name` in its own node_modules or one above it. */
function resolves(folder, name) {
  const parts = folder === '' ? [] : folder.split('/');
  for (let depth = parts.length; depth >= 0; depth--) {
    if (lock.packages[[...parts.slice(0, depth), 'node_modules', name].join('/')]) return true;
  }
  return false;
}

const missing = [];
for (const [folder, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (resolves(folder, name)) continue;
    if (!/^\d+\.\d+\.\d+/.test(version))
      throw new Error(`${folder}: ${name}@${version} is missing and has no exact version`);
    missing.push(`${name}@${version}`);
    lock.packages[`node_modules/${name}`] = {
      version,
      ...platformOf(name),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
    };
  }
}

if (missing.length === 0) {
  console.log('package-lock.json names every optional package');
} else if (check) {
  console.error(`package-lock.json lacks ${missing.join(', ')}; npm run lockfile adds them`);
  process.exitCode = 1;
} else {
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added to package-lock.json: ${missing.join(', ')}`);
}
