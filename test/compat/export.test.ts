import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { SummaryWriter } from '../../src/index.js';
import { encodeTensorNpy } from '../../src/stores/npy.js';
import { temporaryFolder } from '../support/folders.js';
import { goldenFolder } from '../support/golden.js';

const environment = inject('tensorboard');
const python = 'python' in environment ? environment.python : undefined;

/** Runs a Python program that prints JSON. */
function ask(program: string, ...args: string[]): unknown {
  return JSON.parse(execFileSync(python!, ['-c', `import json, sys\n${program}`, ...args], { encoding: 'utf8' }));
}

function command(...args: string[]): void {
  execFileSync(process.execPath, ['dist/cli.js', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

it.skipIf(python === undefined)('pandas reads tables, and TensorBoard counts the same points', async () => {
  const folder = temporaryFolder();
  const logdir = join(folder, 'runs');
  const writer = new SummaryWriter(logdir);
  for (const run of ['a', 'b']) {
    for (let step = 0; step < 400; step++) {
      writer.run(run).addScalar('loss', Math.exp(-step / 100), step, { wallTime: 1_700_000_000 + step });
      if (step % 10 === 0) writer.run(run).addScalar('accuracy, "quoted"', step / 400, step);
    }
    writer.run(run).addHparams({ lr: run === 'a' ? 0.1 : 0.2, optimizer: 'sgd' }, { loss: 0.5 });
  }
  // As after a crash: what was written from step 300 on is hidden.
  for (let step = 300; step < 350; step++) writer.run('a').addScalar('loss', 7, step);
  await writer.close();
  for (const [name, ...options] of [
    ['long.csv'],
    ['long.parquet'],
    ['long.jsonl'],
    ['wide.parquet', '--wide'],
    ['wide.csv', '--wide'],
    ['hparams.parquet', '--kind', 'hparams'],
  ]) {
    command('export', logdir, '--out', join(folder, name), ...options);
  }
  const found = ask(
    `
import pandas as pd
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
folder = sys.argv[1]
csv = pd.read_csv(folder + '/long.csv', float_precision='round_trip')
parquet = pd.read_parquet(folder + '/long.parquet')
lines = pd.read_json(folder + '/long.jsonl', lines=True, precise_float=True, convert_dates=False).rename(columns={'wallTime': 'wall_time'})
wide = pd.read_parquet(folder + '/wide.parquet')
wide_csv = pd.read_csv(folder + '/wide.csv', float_precision='round_trip')
hparams = pd.read_parquet(folder + '/hparams.parquet')
mux = EventMultiplexer(tensor_size_guidance={'scalars': 0}).AddRunsFromDirectory(folder + '/runs')
mux.Reload()
points = {}
for run in ['a', 'b']:
    for tag in ['loss', 'accuracy, "quoted"']:
        kept = {}
        for event in mux.Tensors(run, tag):
            value = event.tensor_proto.float_val[0] if event.tensor_proto.float_val else float(__import__('numpy').frombuffer(event.tensor_proto.tensor_content, 'f4')[0])
            kept = {step: v for step, v in kept.items() if step < event.step}
            kept[event.step] = value
        points[run, tag] = kept
ours = {key: dict(zip(rows.step.tolist(), rows.value.tolist())) for key, rows in parquet.groupby(['run', 'tag'])}
print(json.dumps({
    'same': [csv.to_dict('records') == parquet.to_dict('records'), lines[csv.columns].to_dict('records') == csv.to_dict('records')],
    'dtypes': {name: str(kind) for name, kind in parquet.dtypes.items() if name not in ('run', 'tag')},
    'points': all(ours[key] == points[key] for key in points),
    'pivot': all((wide[wide.run == run].set_index('step')[tag].dropna().to_dict() == points[run, tag]) for run, tag in points),
    'wide': wide_csv.fillna(-1).to_dict('records') == wide.fillna(-1).to_dict('records'),
    'hparams': hparams.drop(columns='status').to_dict('records'),
}))`,
    folder,
  );
  expect(found).toMatchObject({
    same: [true, true],
    dtypes: { step: 'int64', wall_time: 'float64', value: 'float64' },
    points: true,
    pivot: true,
    wide: true,
    hparams: [
      { run: 'a', lr: 0.1, optimizer: 'sgd', loss: expect.any(Number) },
      { run: 'b', lr: 0.2, optimizer: 'sgd', loss: expect.any(Number) },
    ],
  });
});

it.skipIf(python === undefined)('numpy reads tensors of every type', () => {
  const folder = temporaryFolder();
  const tensors = {
    float32: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4.5) },
    float64: { dtype: 'float64', shape: [1], data: Float64Array.of(0.1) },
    int64: { dtype: 'int64', shape: [], data: BigInt64Array.of(-(2n ** 60n)) },
    uint64: { dtype: 'uint64', shape: [1], data: BigUint64Array.of(2n ** 63n) },
    int8: { dtype: 'int8', shape: [3], data: Int8Array.of(-1, 0, 1) },
    bool: { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
    complex64: { dtype: 'complex64', shape: [1], data: Float32Array.of(1, -2) },
    string: { dtype: 'string', shape: [2, 1], data: ['one', 'tüw'].map((text) => new TextEncoder().encode(text)) },
  };
  for (const [name, tensor] of Object.entries(tensors)) {
    writeFileSync(join(folder, `${name}.npy`), encodeTensorNpy(tensor));
  }
  const found = ask(
    `
import numpy, os
print(json.dumps({name[:-4]: (lambda a: [str(a.dtype), list(a.shape), str(a.tolist())])(numpy.load(sys.argv[1] + '/' + name)) for name in sorted(os.listdir(sys.argv[1]))}))`,
    folder,
  );
  expect(found).toEqual({
    float32: ['float32', [2, 2], '[[1.0, 2.0], [3.0, 4.5]]'],
    float64: ['float64', [1], '[0.1]'],
    int64: ['int64', [], String(-(2n ** 60n))],
    uint64: ['uint64', [1], `[${2n ** 63n}]`],
    int8: ['int8', [3], '[-1, 0, 1]'],
    bool: ['bool', [2], '[True, False]'],
    complex64: ['complex64', [1], '[(1-2j)]'],
    string: ['|S4', [2, 1], "[[b'one'], [b't\\xc3\\xbcw']]"],
  });
});

it.skipIf(python === undefined)("numpy reads the vectors of torch's embeddings", () => {
  const folder = temporaryFolder();
  command('export', join(goldenFolder, 'torch/embedding'), '--kind', 'embeddings', '--out', folder);
  const same = ask(
    `
import numpy, glob, os
source, out = sys.argv[1:]
texts = [numpy.loadtxt(path, delimiter='\\t', ndmin=2).astype('f4') for path in glob.glob(source + '/**/tensors.tsv', recursive=True)]
arrays = [numpy.load(path) for path in glob.glob(out + '/**/*.npy', recursive=True)]
print(json.dumps([len(texts), all(any(numpy.array_equal(t, a) for a in arrays) for t in texts)]))`,
    join(goldenFolder, 'torch/embedding'),
    folder,
  );
  expect(same).toEqual([expect.any(Number), true]);
});

it.skipIf(python === undefined)(
  'metrics of sessions are those that the dashboard of hyperparameters shows',
  async () => {
    const folder = temporaryFolder();
    // Sessions within sessions, and runs below both.
    const nested = new SummaryWriter(join(folder, 'nested'));
    for (const [at, run] of ['outer', 'outer/inner'].entries()) {
      nested.run(run).addHparams({ lr: 0.5 * (at + 1) });
      nested.run(run).addScalar('loss', at + 1, 3);
      nested.run(`${run}/validation`).addScalar('loss', at + 10, 3);
    }
    await nested.close();
    // An experiment as the demo of TensorFlow writes it: one tag in two groups, of which it names one.
    const grouped = new SummaryWriter(join(folder, 'grouped'));
    grouped.run('a').addHparams({ lr: 0.5 });
    for (const [at, group] of ['train', 'validation'].entries()) grouped.run(`a/${group}`).addScalar('loss', at, 3);
    await grouped.close();
    const program = `
import os
from tensorboard.backend.event_processing import plugin_event_multiplexer, data_provider
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import backend_context, list_session_groups, api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard import context
folder = sys.argv[1]
metric = api_pb2.MetricInfo(name=api_pb2.MetricName(group='validation', tag='loss'))
experiment = api_pb2.Experiment(hparam_infos=[api_pb2.HParamInfo(name='lr')], metric_infos=[metric])
content = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(experiment=experiment))
value = summary_pb2.Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=content, tensor=metadata.NULL_TENSOR)
writer = EventFileWriter(folder + '/grouped')
writer.add_event(event_pb2.Event(summary=summary_pb2.Summary(value=[value])))
writer.close()
found = {}
for name in ['nested', 'grouped']:
    logdir = folder + '/' + name
    mux = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(logdir)
    mux.Reload()
    tb = base_plugin.TBContext(data_provider=data_provider.MultiplexerDataProvider(mux, logdir), multiplexer=mux)
    request = api_pb2.ListSessionGroupsRequest(slice_size=9, allowed_statuses=[0, 1, 2, 3], aggregation_type=api_pb2.AGGREGATION_AVG)
    groups = list_session_groups.Handler(context.RequestContext(), backend_context.Context(tb), '', request).run().session_groups
    found[name] = {session.name: {os.path.join(each.name.group, each.name.tag): each.value for each in session.metric_values} for group in groups for session in group.sessions}
print(json.dumps(found))`;
    const shown = ask(program, folder) as Record<string, Record<string, Record<string, number>>>;
    expect(Object.keys(shown.nested).sort()).toEqual(['outer', 'outer/inner']);
    for (const [name, sessions] of Object.entries(shown)) {
      const out = join(folder, `${name}.json`);
      command('export', join(folder, name), '--kind', 'hparams', '--out', out);
      const rows = JSON.parse(readFileSync(out, 'utf8')) as { run: string; metrics: Record<string, number> }[];
      expect(Object.fromEntries(rows.map(({ metrics, run }) => [run, metrics]))).toEqual(sessions);
    }
  },
);
