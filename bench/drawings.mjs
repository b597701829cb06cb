// What bench/results.json looks like on paper: a drawing for each section, with the prose that explains it. A number
// with its spread is { median, low, high, rounds }, as spreadOf of peer.mjs makes it.
import { digits, whole } from './peer.mjs';

/** A table of rows. Columns by their heads, each the text of a row's cell; a head that ends in ':' stands at the right. */
function table(rows, columns) {
  const heads = Object.keys(columns);
  const lines = [
    heads.map((head) => head.replace(/:$/, '')),
    heads.map((head) => (head.endsWith(':') ? '---:' : '---')),
    ...rows.map((row) => Object.values(columns).map((cell) => cell(row) ?? '')),
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const isWide = (x) => Math.abs(x) >= 1000;
/** Three digits, and thousands in groups. */
const number = (x) => (x !== undefined && isWide(x) ? Number(x.toPrecision(3)).toLocaleString('en-US') : digits(x));
const fixed = (x, places = 1) =>
  x.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
const spread = (known, show = number) =>
  known && (known.rounds < 2 ? show(known.median) : `${show(known.median)} (${show(known.low)} – ${show(known.high)})`);
const ratio = (known) => spread(known, (x) => x.toFixed(2));
const percent = (known) => spread(known, (x) => x.toFixed(1));
const MB = (bytes) => number(bytes / 1e6);

/** By name, in the order in which they stand in RESULTS.md: title, command, drawing of what was measured. */
export const sections = {
  quick: {
    title: 'The quick benchmark',
    command: 'npm run bench',
    draw: ({
      kernels,
      rows,
    }) => `Kernels '${kernels}'. Microseconds per event, row or matrix. Numbers of different sessions are not to be compared:
\`npm run bench -- --against <another checkout>\` lets two take turns and says what became slower.

${table(rows, {
  job: (r) => r.name,
  'µs:': (r) => spread(r.microseconds, digits),
  'per second:': (r) => number(1e6 / r.microseconds.median),
  'rounds:': (r) => r.microseconds.rounds,
})}`,
  },
  writer: {
    title: 'Writer',
    command: 'npm run bench:writer',
    draw: ({
      rows,
      memory,
    }) => `Every measurement is a process of its own; they take turns. Seconds are from the first call to the end of close (tfjs-node: flush);
then up to 5,000 calls are timed one by one. Histograms are of 10,000 float32 values, pictures of 256 x 256 x 3 bytes. "Ours is" is how many
times as many events a second we write, in the same round.

${table(rows, {
  job: (r) => r.job,
  writer: (r) => (r.writer === 'delve' ? '**delve-tensorboard**' : r.writer),
  'events:': (r) => whole(r.events),
  'events/s:': (r) => spread(r.rate),
  'ours is:': (r) => r.ratio && `${spread(r.ratio)} x`,
  'p50 µs:': (r) => number(r.p50),
  'p99 µs:': (r) => number(r.p99),
  'bytes/event:': (r) => number(r.bytes),
  'peak MB:': (r) => MB(r.peakBytes),
})}

A scalar takes 7 bytes more than with tfjs-node and torch because it is written in the form of TensorBoard 2, as a tensor, which has a
name and a description and is read by all its plugins; the others write TensorBoard 1's \`simple_value\`. TensorFlow 2 writes the former, too. A histogram is, as TensorFlow 2's, 30 rows of three
float64, with the left edge of each; tfjs-node leaves out left edges and empty rows at the ends, torch writes several hundred buckets.

Memory while ${whole(memory.events)} scalars are added, resident MB after every tenth of them: ${memory.resident.map(MB).join(', ')}.`,
  },
  reading: {
    title: 'Reading',
    command: 'npm run bench:reading',
    draw: ({
      rows,
    }) => `All readers take turns, each a process of its own, from its first byte to its last; the command inspect from the loading of its
first module. Processor seconds are those of all threads: they count where other programs run beside it. TensorBoard's data server (Rust)
keeps a sample of the points of each tag and looks at checksums only if told to; the other readers look at all of both. Python's readers
are given fewer scalars.

${table(rows, {
  events: (r) => r.events,
  reader: (r) => r.reader,
  'number:': (r) => whole(r.number),
  'bytes each:': (r) => digits(r.bytes),
  'seconds:': (r) => spread(r.seconds),
  'processor seconds:': (r) => spread(r.processorSeconds),
  'processor µs each:': (r) => digits((1e6 * r.processorSeconds.median) / r.number),
  'MB per processor second:': (r) => digits((r.number * r.bytes) / r.processorSeconds.median / 1e6),
  'peak MB:': (r) => MB(r.peakBytes),
})}`,
  },
  reduce: {
    title: 'Several runs reduced to one',
    command: 'npm run bench:reduce',
    draw: ({
      runs,
      steps,
      tags,
      rows,
    }) => `${whole(runs * steps * tags)} scalars of ${runs} runs with ${tags} tags, in the form that torch writes, to a
CSV file of mean, std, min, max and median of each step. The programs take turns, each a process of its own, from its start to its end;
"times" is against ours in the same round.

${table(rows, {
  '': (r) => r.program,
  'seconds:': (r) => spread(r.seconds),
  'times:': (r) => spread(r.ratio),
  'greatest difference:': (r) => r.difference.toExponential(1),
})}`,
  },
  eigenvalues: {
    title: 'Kernels: eigenvalues',
    command: 'npm run bench:kernels',
    draw: ({
      library,
      kernels,
      rows,
    }) => `Milliseconds of one thread, kernels '${kernels}', in turn with LAPACK through ${library ?? 'nothing'}, float64. Delve asks for
eigenvectors it never uses, three times per layer.

${table(rows, {
  'd:': (r) => r.d,
  'ours:': (r) => spread(r.ours, digits),
  'LAPACK values:': (r) => spread(r.lapack, digits),
  'ours / LAPACK:': (r) => ratio(r.ratio),
  'LAPACK with vectors:': (r) => digits(r.lapackVectors?.median),
  'ours / 3 x with vectors (Delve):': (r) => r.lapackVectors && digits(r.ours.median / (3 * r.lapackVectors.median)),
  'TypeScript:': (r) => digits(r.typescript?.median),
  'ml-matrix:': (r) => digits(r.mlMatrix?.median),
  'ml-matrix / ours:': (r) => r.mlMatrix && digits(r.mlMatrix.median / r.ours.median),
  'ours with vectors:': (r) => digits(r.vectors?.median),
})}`,
  },
  threads: {
    title: 'Kernels: eigenvalues on two threads',
    command: 'npm run bench:threads',
    draw: ({
      library,
      kernels,
      rows,
    }) => `Milliseconds, kernels '${kernels}'; two threads have the bits of one. LAPACK: ${library ?? 'not found'}, float64. "Parts" are those that the
second thread did.

${table(rows, {
  'd:': (r) => r.d,
  'ours, 1:': (r) => spread(r.one, digits),
  'ours, 2:': (r) => spread(r.two, digits),
  'ours, 1 / 2:': (r) => ratio(r.gain),
  'LAPACK, 1:': (r) => spread(r.lapackOne, digits),
  'LAPACK, 2:': (r) => spread(r.lapackTwo, digits),
  'LAPACK, 1 / 2:': (r) => ratio(r.lapackGain),
  'parts:': (r) => digits(r.parts.median),
})}`,
  },
  moments: {
    title: 'Kernels: moments',
    command: 'npm run bench:kernels',
    draw: ({
      library,
      kernels,
      dgemm,
      rows,
    }) => `The sum and x^T x of float32 rows in float64, GFLOP/s counted as a full product (2 n d^2), although a symmetric one needs half; one
thread, kernels '${kernels}', copies from JavaScript included, in turn with ${library ?? 'nothing'}, whose dgemm reaches ${digits(dgemm) || '?'} here.
"float32 products" is what the default precision does in a worker thread.

${table(rows, {
  'd:': (r) => r.d,
  'rows:': (r) => r.rows,
  'ours:': (r) => spread(r.ours),
  'float32 products:': (r) => spread(r.float32),
  'through batches of 128:': (r) => spread(r.batches),
  'library:': (r) => spread(r.library),
  'ours / library:': (r) => ratio(r.ratio),
  'ours / dgemm:': (r) => dgemm && (r.ours.median / dgemm).toFixed(2),
  'TypeScript:': (r) => digits(r.typescript?.median),
})}`,
  },
  fma: {
    title: 'Fused products and sums',
    command: 'npm run bench:fma',
    draw: ({
      library,
      dgemm,
      sgemm,
      eigenvalues,
      moments,
    }) => `'wasm' rounds products and sums apart, 'wasm-fma' together; in turn, one thread each. LAPACK: ${library}, whose dgemm reaches ${digits(dgemm)}
and whose sgemm ${digits(sgemm)} GFLOP/s here, with registers of up to 512 bits; WebAssembly has 128. Eigenvalues, milliseconds:

${table(eigenvalues, {
  'd:': (r) => r.d,
  'wasm:': (r) => spread(r.plain, digits),
  'wasm-fma:': (r) => spread(r.fused, digits),
  'LAPACK:': (r) => spread(r.lapack, digits),
  'wasm / wasm-fma:': (r) => ratio(r.gain),
  'wasm / LAPACK:': (r) => ratio(r.plainRatio),
  'wasm-fma / LAPACK:': (r) => ratio(r.fusedRatio),
})}

Moments, GFLOP/s counted as a full product:

${table(moments, {
  'd:': (r) => r.d,
  'wasm:': (r) => spread(r.plain),
  'wasm-fma:': (r) => spread(r.fused),
  'gain:': (r) => ratio(r.gain),
  'of dgemm:': (r) => (r.fused.median / dgemm).toFixed(2),
  'wasm, float32 products:': (r) => spread(r.plain32),
  'wasm-fma, float32 products:': (r) => spread(r.fused32),
  'gain, float32 products:': (r) => ratio(r.gain32),
  'of sgemm:': (r) => (r.fused32.median / sgemm).toFixed(2),
})}`,
  },
  saturation: {
    title: 'Saturation: training-step overhead',
    command: 'npm run bench:saturation',
    draw: ({ rows }) => `MLP 784-512-512-512-10, batch 128; CNN 32-64-pool-64-128-pool on 32x32x3, batch 64; small CNN
8-16-pool-16-32-pool on 16x16x3, batch 4; LSTM(128) on 32 steps, batch 64; SGD with
momentum in all. Every batch is used; as in a fit, the spectra are solved while training goes on and waited for before the next ones.
Training without and with a tracker are processes that take turns; those whose turn it is not are stopped. A round is from one spectrum
to the next. How memory happens to lie makes processes of one kind differ, so new ones take their place every eight rounds (of the MLP)
or three, while there is time.
A tracker on the native backend has the C library keep freed memory (keepFreedMemory in src/activations/tensors.ts), which alone makes
steps shorter where glibc gives it back in every step, as in this machine: "none, memory kept" is training without a tracker in a
process that does the same, and "/ memory kept" is what the tracker itself costs.
"Delve, restated" is bench/delve_restated.py: Delve's accumulation as published in 0.1.44 and its eigh, on the same networks in torch;
not Delve's own package.

${table(rows, {
  network: (r) => r.network,
  backend: (r) => r.backend,
  tracker: (r) => (r.tracker === 'kept' ? 'none, memory kept' : r.tracker),
  runtime: (r) => r.runtime,
  'steps per spectrum:': (r) => r.steps,
  'plain ms/step:': (r) => spread(r.plain),
  'hooked / plain:': (r) => ratio(r.ratio),
  '/ memory kept:': (r) => r.own && ratio(r.own),
  'rounds:': (r) => r.ratio.rounds,
  'KB read per step:': (r) => digits(r.kilobytes),
  'peak MB, plain:': (r) => r.plainMB,
  'hooked:': (r) => r.hookedMB,
  how: (r) => r.how,
})}`,
  },
  scaling: {
    title: 'Saturation: as the work grows',
    command: 'npm run bench:scaling',
    draw: ({
      backend,
      rows,
      many,
      memory,
      stall,
      solve,
    }) => `Backend ${backend}. Forward passes of dense layers (width 64 ... 4096 with one layer at batch 128; 1 ... 64 layers of 128; batch 16 ... 1024
with two layers of 256), every pass recorded: milliseconds on the thread that trains.
An interval that reaches below 0 is noise, and negative costs are left out of the picture.

${table(rows, {
  grows: (r) => r.grows,
  'size:': (r) => r.size,
  'a pass without, ms:': (r) => spread(r.plain),
  'a tracker adds, ms:': (r) => spread(r.added),
})}

- ${memory.at(-1).epoch} epochs of 4 layers of 256: resident memory after ${memory.map(({ epoch, megabytes }) => `epoch ${epoch} ${megabytes} MB`).join(', ')}.
- 60 layers of 1024 in two splits, ${many.spectra} spectra: a process of ${many.before} MB had ${many.peak} MB at most.
- Epoch's end with 16 layers of 512: addSaturations returns after ${spread(stall.call)} ms; until everything is solved
  (${spread(stall.total)} ms) the longest the event loop stood still was ${spread(stall.longest)} ms.
- One spectrum of d = 512: Spectrum.of ${spread(solve.of)} ms; Spectrum.solve ${spread(solve.solve)} ms, of which this thread
  is kept ${spread(solve.kept)} ms (${spread(solve.keptReset)} ms with \`reset\`, which hands the memory over).
- Bytes copied per recorded pass of a dense layer on native: batch x width x 4, once, into memory shared with the worker;
  a convolution on native copies only its d x d products.

![milliseconds added per pass](scaling.png)`,
  },
  health: {
    title: 'Vital signs: what they add to a training step',
    command: 'npm run bench:health',
    draw: ({
      rows,
    }) => `CPU time of all threads in ms; MLP 784-512-512-512-10, batch 128; CNN 32-64-pool-64-128-pool on 32x32x3, batch 64; the classes of
the items are known. Processes without a tracker, with the saturation alone and with all vital signs take turns. A round of "adds" is
the median of a set of processes. Beside it what it adds to the tenth of all turns that the rest of the machine disturbed least, and what
it adds to the wall time. The end of an epoch is the CPU time of a spectrum of each layer, in another thread.

${table(rows, {
  network: (r) => r.network,
  backend: (r) => r.backend,
  'plain:': (r) => digits(r.plain.median),
  'saturation:': (r) => digits(r.saturation.median),
  'health:': (r) => digits(r.health.median),
  'health adds, %:': (r) => percent(r.added),
  'of the least, %:': (r) => r.addedToLeast.toFixed(1),
  'wall time, %:': (r) => percent(r.addedWall),
  'sets:': (r) => r.added.rounds,
  'end of an epoch, saturation:': (r) => digits(r.endSaturation.median),
  'end, health:': (r) => digits(r.endHealth.median),
})}`,
  },
  extract: {
    title: 'Saturation of trained networks',
    command: 'npm run bench:extract',
    draw: ({
      rows,
    }) => `Images of noise in batches of 8, every layer that is tracked by default (of the GraphModel every convolution and product). The ways take
turns; solving the spectra is counted. "plain" is \`model.predict\`. MobileNetV1 has random weights, the others are those of npm nsfwjs. A
product of a layer's rows costs as much as the layer itself or several times that, so that 'auto' saves time where a layer offers more rows
than it needs (64 to 128 per feature): in early layers soon, in late ones of few places only with thousands of images. Solving the spectra
is the same work however many images there are.

${table(rows, {
  network: (r) => r.network,
  'images:': (r) => r.images,
  'layers:': (r) => r.layers,
  'plain s:': (r) => spread(r.plain),
  'auto / plain:': (r) => ratio(r.auto),
  'corrected / plain:': (r) => ratio(r.corrected),
  'all / plain:': (r) => ratio(r.all),
  'rounds:': (r) => r.plain.rounds,
})}`,
  },
  onnx: {
    title: 'Layers of ONNX models',
    command: 'npm run bench:onnx',
    draw: ({
      rows,
    }) => `wasm, one thread. Noise; the four ways take turns, and ratios are to the model alone. "exposed": every layer goes out and is not looked
at. "'auto'" and "'all'": extractSaturation, solving the spectra counted, which is the same work however many batches there are.

${table(rows, {
  model: (r) => r.model,
  batch: (r) => r.batch,
  'batches:': (r) => r.batches,
  'layers:': (r) => r.layers,
  'plain, ms a batch:': (r) => spread(r.plain),
  'exposed:': (r) => ratio(r.exposed),
  "'auto':": (r) => ratio(r.auto),
  "'all':": (r) => ratio(r.all),
  'rounds:': (r) => r.plain.rounds,
})}`,
  },
  loss: {
    title: 'What a killed program loses',
    command: 'npm run bench:loss',
    draw: ({
      rows,
    }) => `Programs that add scalars to a folder are killed at a random moment (by SIGKILL, SIGTERM, SIGINT and SIGABRT in turn; the last load
ends by itself). The age of the oldest event that is not in the file, at the kill; 0 if none is missing. Ages are upper bounds: the
programs note the time before each scalar (in the bursts before every 50th, in the busy loop before every 256th, before the steps of 4 s
before every 500th of 20,000).

${table(rows, {
  load: (r) => r.load,
  build: (r) => r.build,
  'kills:': (r) => r.kills,
  'lost nothing:': (r) => r.whole,
  'p50 ms:': (r) => number(r.p50),
  'p99 ms:': (r) => number(r.p99),
  'max ms:': (r) => number(r.max),
})}`,
  },
  'object-stores': {
    title: 'A run in a bucket',
    command: 'npm run bench:object-stores',
    draw: ({
      flushes,
      eventsPerFlush,
      giveUpSeconds,
      rows,
    }) => `${flushes} flushes of ${eventsPerFlush} scalars, to a server on this machine; then TensorBoard with its Python loader is started, and asked
until it shows the last step ("cold start"; its own start is part of it).

${table(rows, {
  layout: (r) => r.layout,
  'objects:': (r) => r.objects,
  'events kB:': (r) => whole(r.bytes / 1000),
  'uploaded kB:': (r) => whole(r.uploadedBytes / 1000),
  'requests:': (r) => r.uploads,
  'cold start s:': (r) => spread(r.seconds) ?? `not after ${giveUpSeconds}`,
  'its requests:': (r) => r.requests,
})}`,
  },
  scale: {
    title: 'Plans of many shards',
    command: 'npm run bench:scale',
    draw: ({
      alone,
      queues,
      large,
      merges,
      estimate,
    }) => `Shards of two rows, fan-in 16, in one process with eight nodes at a time. Without a queue a node takes ${fixed(alone, 2)} ms.

${table(queues, {
  queue: (r) => r.queue,
  'shards:': (r) => whole(r.shards),
  'nodes:': (r) => whole(r.nodes),
  'submit s:': (r) => fixed(r.submitSeconds),
  'run s:': (r) => fixed(r.runSeconds),
  'ms per shard:': (r) => fixed((1000 * (r.submitSeconds + r.runSeconds)) / r.shards, 2),
  'ms per node:': (r) => fixed((1000 * r.runSeconds) / r.nodes, 2),
  "of it the queue's:": (r) => fixed(Math.max(0, (1000 * r.runSeconds) / r.nodes - alone), 2),
})}

${
  large === undefined
    ? 'There was no Redis to enter a large plan into.'
    : `A plan of ${whole(large.shards)} shards (${whole(large.nodes)} nodes, fan-in 16) is submitted in ${fixed(large.submitSeconds)} s and done in ${whole(large.runSeconds)} s. Redis needs ${MB(large.redisBytes)} MB at
most, and ${large.slowestMs <= 5 ? 'no command takes 5 ms' : `its slowest command takes ${whole(large.slowestMs)} ms`}: nodes enter the queue in pieces, as they are worked on, and leave it when they are done.`
}

Of one layer, in CPU time on one core: rows of float32 to moments; a shard's moments to a partial in memory (encode, SHA-256); and a
partial read, checked and merged.

${table(merges, {
  'features:': (r) => r.features,
  'MB per partial:': (r) => fixed(r.bytes / 1e6, 2),
  'rows/s:': (r) => spread(r.rowsPerSecond),
  'seal ms:': (r) => spread(r.seal),
  'merge ms:': (r) => spread(r.merge),
})}

What follows for ${whole(estimate.samples)} samples of ${estimate.layers} layers of ${estimate.features} features on ${whole(estimate.workers)} workers, ${whole(estimate.shards)} shards, fan-in ${estimate.fanIn}
(${estimate.levels}). Forward passes come on top; computed from the figures above, not measured.

${table(estimate.rows, { ' ': (r) => r.what, '': (r) => r.follows })}`,
  },
  serve: {
    title: 'The dashboard',
    command: 'npm run bench:serve',
    draw: ({
      rows,
    }) => `The ways take turns, from the start of the program; a way that takes more than ten seconds is measured once. "First" is for \`serve\` a
chart in the browser; for TensorBoard, whose page then has charts to draw, the first answer that lists a tag. "All" is every run read to
its last step, for \`serve\` with all of them in the charts. Memory is the most that the program and its children had, for \`serve\` with the
page's heap (without that of its worker).

${table(rows, {
  logdir: (r) => r.logdir,
  program: (r) => r.program,
  'first s:': (r) => spread(r.first),
  'all s:': (r) => spread(r.all) ?? 'not after 600',
  'memory MB:': (r) => spread(r.memory, whole),
})}`,
  },
  images: {
    title: 'Images on several processors',
    command: 'npm run bench:images',
    draw: ({
      images,
      rows,
    }) => `A program adds ${whole(images)} pictures of 256 x 256 x 3 bytes one after another and closes the writer. It may use the first
processors of the machine; all take turns. Processor time is that of all threads.

${table(rows, {
  'processors:': (r) => r.processors,
  'images/s:': (r) => spread(r.rate),
  'as many as on one:': (r) => `${spread(r.gain)} x`,
  'processor ms per image:': (r) => spread(r.processor),
})}`,
  },
  start: {
    title: 'Starts',
    command: 'npm run bench:start',
    draw: ({
      rows,
    }) => `Milliseconds of a whole process of Node that imports it, less those of one that imports nothing (first row). All take
turns, with the files in the system's cache. Processor time is that of all threads.

${table(rows, {
  import: (r) => (r.name === 'nothing' ? r.name : `\`${r.name}\``),
  'ms:': (r) => spread(r.wall),
  'processor ms:': (r) => spread(r.processor),
})}`,
  },
  sizes: {
    title: 'Sizes',
    command: 'npm run sizes',
    draw: ({ rows }) => `What a page loads, minified, in kB.

${table(rows, {
  what: (r) => r.what,
  'as it is:': (r) => fixed(r.bytes / 1000),
  'gzip:': (r) => fixed(r.gzipBytes / 1000),
})}`,
  },
};

/** The day, the machine and what ran on it, in a line. */
export function machineOf({ date, cores, processor, memoryGiB, platform, node, commit, load, busy }) {
  const ours = commit === undefined ? '' : `, commit ${commit}`;
  const used = busy === undefined ? '' : `, processors ${(100 * busy).toFixed(0)} % busy`;
  return `${date}, ${cores} x ${processor}, ${memoryGiB} GiB, ${platform}, Node ${node}${ours}; load average ${load.toFixed(2)}${used} when it began`;
}

/** A section of RESULTS.md, with its heading. */
export function drawSection(name, section) {
  if (section.text !== undefined) return section.text;
  const { title, command, draw } = sections[name];
  const { arguments: args, versions = {}, missing = {} } = section;
  const beside = Object.entries(versions).map(([peer, version]) => `; ${peer} ${version}`);
  const notes = Object.entries(missing).map(([who, why]) => `\n\nNot measured: ${who} (${why}).`);
  const ran = args === undefined ? command : `${command} -- ${args}`;
  return `## ${title}\n\n\`${ran}\`, ${machineOf(section)}${beside.join('')}.\n\n${draw(section)}${notes.join('')}`;
}

/** All of RESULTS.md. */
export function drawResults(results) {
  const names = [...Object.keys(sections), ...Object.keys(results).filter((name) => !(name in sections))];
  const drawn = names.filter((name) => results[name] !== undefined).map((name) => drawSection(name, results[name]));
  return `# Benchmarks

Drawn from bench/results.json by \`node bench/results.mjs\`. \`npm run bench:full\` measures all of it, one after another; each section
names its own command. Ratios within one run count, not seconds. A number is a median; in brackets stands the interval that holds it in 95 %
of cases, or of five rounds and fewer the least and the most.

${drawn.join('\n\n')}
`;
}
