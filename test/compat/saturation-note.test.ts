import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, normalTensor } from '../support/models.js';
import { describeWithTensorBoard, LOADERS, startTensorBoard } from './harness.js';

/** A TensorBoard plugin that answers what the loader holds for it: a plugin named `saturation` gets the notes. */
const plugin = `
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from werkzeug import wrappers
from tensorboard import plugin_util

class NotePlugin(base_plugin.TBPlugin):
    plugin_name = "saturation"

    def __init__(self, context):
        self._data = context.data_provider

    def get_plugin_apps(self):
        return {"/notes": self.notes}

    def is_active(self):
        return True

    def frontend_metadata(self):
        return base_plugin.FrontendMetadata(es_module_path="/index.js")

    @wrappers.Request.application
    def notes(self, request):
        context = plugin_util.context(request.environ)
        where = dict(experiment_id=plugin_util.experiment_id(request.environ), plugin_name="saturation")
        listed = self._data.list_tensors(context, **where)
        read = self._data.read_tensors(context, downsample=1000, **where)
        answer = {
            run: {
                tag: {
                    "content": listed[run][tag].plugin_content.decode("utf-8"),
                    "points": [[datum.step, datum.numpy.item().decode("utf-8")] for datum in series],
                }
                for tag, series in tags.items()
            }
            for run, tags in read.items()
        }
        return http_util.Respond(request, answer, "application/json")
`;

/** A folder that, on PYTHONPATH, is an installed plugin to TensorBoard. */
function installedPlugin(): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'note_plugin.py'), plugin);
  const about = join(folder, 'note_plugin-1.dist-info');
  mkdirSync(about);
  writeFileSync(join(about, 'METADATA'), 'Metadata-Version: 2.1\nName: note-plugin\nVersion: 1\n');
  writeFileSync(join(about, 'entry_points.txt'), '[tensorboard_plugins]\nsaturation = note_plugin:NotePlugin\n');
  return folder;
}

type Notes = Record<string, Record<string, { content: string; points: [number, string][] }>>;

describeWithTensorBoard.each(LOADERS)('the note of a tracker, through $loader', ({ fast }) => {
  it('reaches a plugin named saturation whole, and no page of TensorBoard’s own', async () => {
    const logdir = temporaryFolder();
    const model = dense.build();
    const tracker = new SaturationTracker(logdir, model, { stats: ['lsat', 'idim'] });
    for (const rows of [400, 400, 500]) {
      tracker.record('train', () => tf.tidy(() => void model.predictOnBatch(normalTensor([rows, 6], 1))));
      await tracker.addSaturations();
    }
    await tracker.close();

    vi.stubEnv('PYTHONPATH', installedPlugin());
    onTestFinished(() => void vi.unstubAllEnvs());
    const board = await startTensorBoard(logdir, { fast });
    const notes = await board.ask<Notes>('saturation/notes');
    expect(Object.keys(notes)).toEqual(['train']);
    expect(Object.keys(notes.train)).toEqual(['saturation-note']);
    const { content, points } = notes.train['saturation-note'];
    expect(JSON.parse(content)).toEqual({ version: 1, kind: 'note' });
    const told = points.map(([step, json]) => [step, JSON.parse(json).layers[0].samples]);
    expect(told).toEqual([
      [1, 400],
      [3, 500],
    ]);

    for (const page of ['scalars', 'histograms', 'distributions', 'images', 'text', 'timeseries']) {
      expect(JSON.stringify(await board.ask(`${page}/tags`)), page).not.toContain('saturation-note');
    }
  });
});
