// npm run setup:native — adds @tensorflow/tfjs-node, the native TensorFlow backend, to this checkout.
//
// It is an optional peer and in nobody's lockfile, because its install script downloads hundreds of megabytes from a
// host that many networks block, and a failing install script would fail `npm ci` for everyone. Here it is tried in
// three steps, each of which may be the last:
//   1. it works already: nothing is done;
//   2. its own installer, given a bounded time;
//   3. its addon compiled against the libtensorflow inside the tensorflow-cpu wheel (Linux on x86-64, needs python3
//      with pip, make and a C++ compiler).
// The library and the compiled addon are kept in a cache outside node_modules, so that a second checkout takes seconds.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const TFJS_NODE = '4.22.0';
const WHEEL = '2.21.0';
const OWN_INSTALLER_SECONDS = process.env.CI ? 120 : 600;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(join(root, 'package.json'));
process.chdir(root);

const cacheRoot =
  process.env.DELVE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'delve-tensorboard');
const library = join(cacheRoot, `libtensorflow-${WHEEL}`);
const abi = `napi-v${process.versions.napi}-${process.platform}-${process.arch}`;
const cachedAddon = join(cacheRoot, `tfjs-node-${TFJS_NODE}-libtensorflow-${WHEEL}-${abi}.node`);

const say = (line) => console.log(`setup:native: ${line}`);

/** Where the package lies, or undefined where it is not installed. */
function packageFolder() {
  const folder = join(root, 'node_modules/@tensorflow/tfjs-node');
  return existsSync(join(folder, 'package.json')) ? folder : undefined;
}

/** Undefined when the backend loads and multiplies, else the first line of what went wrong. A child process, because a broken addon can abort. */
function problem() {
  const script =
    "const tf = require('@tensorflow/tfjs-node');" +
    "if (tf.getBackend() !== 'tensorflow') throw new Error('backend is ' + tf.getBackend());" +
    "if (tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()[0] !== 2) throw new Error('wrong product');";
  const child = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8', timeout: 120_000 });
  if (child.status === 0) return undefined;
  const lines = `${child.stderr}`.split('\n').filter((line) => /error/i.test(line));
  return lines[0]?.trim() ?? `exit status ${child.status ?? child.signal}`;
}

function fail(message) {
  console.error(`setup:native: ${message}`);
  process.exit(1);
}

/** Runs a command quietly; its whole output goes to a log that the error names. */
function quietly(name, command, args, options = {}) {
  mkdirSync(cacheRoot, { recursive: true });
  const child = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    killSignal: 'SIGKILL',
    ...options,
  });
  const log = join(cacheRoot, `${name}.log`);
  const output = `$ ${command} ${args.join(' ')}\n${child.stdout ?? ''}${child.stderr ?? ''}`;
  writeFileSync(log, output);
  if (child.status === 0) return undefined;
  const reason =
    child.error?.code === 'ETIMEDOUT'
      ? `no end after ${options.timeout / 1000} s`
      : (child.error?.message ?? `exit ${child.status}`);
  return { reason, log, tail: output.trimEnd().split('\n').slice(-15).join('\n') };
}

function installPackage() {
  if (packageFolder() && require(join(packageFolder(), 'package.json')).version === TFJS_NODE) return;
  say(`adding @tensorflow/tfjs-node@${TFJS_NODE} beside the lockfile's packages (its install script is not run yet)`);
  // --save-dev, because npm leaves a name out that it knows as an optional peer only; --no-save, because no one else is to get it.
  const failure = quietly('npm-install', 'npm', [
    ...['install', '--no-save', '--save-dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
    `@tensorflow/tfjs-node@${TFJS_NODE}`,
  ]);
  if (failure) fail(`npm could not add the package (${failure.reason}); see ${failure.log}\n${failure.tail}`);
  if (!packageFolder()) fail('npm ended well but did not add the package');
}

/** node-gyp must find this Node's own headers, or it downloads some. */
function headersBesideNode() {
  const prefix = resolve(process.execPath, '../..');
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : undefined;
}

function buildEnvironment() {
  const env = { ...process.env };
  const headers = headersBesideNode();
  if (headers) {
    env.npm_config_nodedir = headers;
    env.npm_package_config_node_gyp_nodedir = headers;
  }
  return env;
}

/** deps/ as the addon expects it, made of links into the cache: small, and lost to nobody when an installer empties it. */
function linkLibrary(folder) {
  const deps = join(folder, 'deps');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(join(deps, 'lib'), { recursive: true });
  symlinkSync(join(library, 'include'), join(deps, 'include'));
  const link = (target, name) => symlinkSync(target, join(deps, 'lib', name));
  link(join(library, 'lib/libtensorflow_cc.so.2'), 'libtensorflow_cc.so.2');
  link('libtensorflow_cc.so.2', 'libtensorflow.so.2');
  link('libtensorflow.so.2', 'libtensorflow.so');
  link(join(library, 'lib/libtensorflow_framework.so.2'), 'libtensorflow_framework.so.2');
  link('libtensorflow_framework.so.2', 'libtensorflow_framework.so');
}

/** The addon's path inside the package; node-pre-gyp names the folder after the newest N-API that both sides know. */
function addonPath(folder) {
  const { binary } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const napi = Math.max(...binary.napi_versions.filter((version) => version <= Number(process.versions.napi)));
  const relative = binary.module_path.replaceAll('{napi_build_version}', String(napi));
  return join(folder, relative, `${binary.module_name}.node`);
}

const EXTRACT = `
import glob, os, shutil, sys, zipfile
wheel, target = glob.glob(sys.argv[1] + '/*.whl')[0], sys.argv[2]
libraries = {'tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'}
include = 'tensorflow/include/'
headers = ('tensorflow/c/', 'tensorflow/core/platform/ctstring', 'tsl/platform/ctstring', 'xla/tsl/c/')
archive = zipfile.ZipFile(wheel)
for name in archive.namelist():
    if name in libraries:
        out = os.path.join(target, 'lib', os.path.basename(name))
    elif name.startswith(include) and name.endswith('.h') and name[len(include):].startswith(headers):
        out = os.path.join(target, 'include', name[len(include):])
    else:
        continue
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with archive.open(name) as source, open(out, 'wb') as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
`;

/** The two shared libraries and the few headers of the wheel, unpacked into the cache. The wheel is not installed. */
function fetchLibrary() {
  if (existsSync(join(library, '.complete'))) return;
  const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'pip', '--version']).status === 0);
  if (!python) fail('the fallback needs python3 with pip to fetch the tensorflow-cpu wheel; neither was found');
  say(`fetching libtensorflow from the tensorflow-cpu ${WHEEL} wheel (about 270 MB)`);
  mkdirSync(cacheRoot, { recursive: true });
  const wheels = mkdtempSync(join(tmpdir(), 'tensorflow-wheel-'));
  const partial = `${library}.partial-${process.pid}`;
  try {
    const env = { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1' };
    if (process.env.CI) env.PIP_RETRIES = '0';
    // The tags are pinned because the wheel is only unzipped: a pip of any Python version may fetch it.
    const tags = [
      '--python-version',
      '3.11',
      '--implementation',
      'cp',
      '--abi',
      'cp311',
      '--platform',
      'manylinux_2_27_x86_64',
    ];
    const download = ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', ...tags, '-d', wheels];
    const failure = quietly('pip-download', python, [...download, `tensorflow-cpu==${WHEEL}`], {
      env,
      timeout: 900_000,
    });
    if (failure) fail(`pip could not fetch the wheel (${failure.reason}); see ${failure.log}\n${failure.tail}`);
    rmSync(partial, { recursive: true, force: true });
    execFileSync(python, ['-c', EXTRACT, wheels, partial], { stdio: ['ignore', 'inherit', 'inherit'] });
    writeFileSync(join(partial, '.complete'), '');
    rmSync(library, { recursive: true, force: true });
    renameSync(partial, library);
  } finally {
    rmSync(wheels, { recursive: true, force: true });
    rmSync(partial, { recursive: true, force: true });
  }
}

function buildAddon(folder) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    fail(
      `its own installer failed, and the fallback is known for linux x64 only; this is ${process.platform} ${process.arch}`,
    );
  }
  fetchLibrary();
  linkLibrary(folder);
  const addon = addonPath(folder);
  if (existsSync(cachedAddon)) {
    mkdirSync(dirname(addon), { recursive: true });
    cpSync(cachedAddon, addon);
    if (!problem()) return;
    rmSync(cachedAddon);
  }
  say('compiling the addon against it');
  const gyp = createRequire(join(folder, 'package.json')).resolve('@mapbox/node-pre-gyp/bin/node-pre-gyp');
  const failure = quietly('addon-build', process.execPath, [gyp, 'install', '--build-from-source'], {
    cwd: folder,
    env: buildEnvironment(),
    timeout: 600_000,
  });
  if (failure)
    fail(
      `the addon did not compile (${failure.reason}); it needs make and a C++ compiler; see ${failure.log}\n${failure.tail}`,
    );
  cpSync(addon, cachedAddon);
}

if (packageFolder() && !problem()) {
  say('the native backend works already');
} else {
  installPackage();
  const folder = packageFolder();
  const useCache = existsSync(cachedAddon) && existsSync(join(library, '.complete'));
  if (!useCache && problem()) {
    say(`running its own installer (at most ${OWN_INSTALLER_SECONDS} s)`);
    const failure = quietly('own-installer', process.execPath, ['scripts/install.js'], {
      cwd: folder,
      env: buildEnvironment(),
      timeout: OWN_INSTALLER_SECONDS * 1000,
    });
    if (failure) say(`its own installer failed (${failure.reason}; see ${failure.log})`);
  }
  if (problem()) buildAddon(folder);
  const left = problem();
  if (left) fail(`the addon was built but does not load: ${left}`);
  say('the native backend works');
}
