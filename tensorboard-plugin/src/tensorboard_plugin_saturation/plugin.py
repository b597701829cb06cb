"""The tab's backend: it lists the runs that hold saturation and serves one of them at a time.

It reads through TensorBoard's data provider only, so that both of its loaders work. Of a run it reads

  plugin "saturation"  eigenvalues/<layer>  float32 [2 + d]: rows n, rejected rows, d eigenvalues, descending
                       saturation-note      string []: JSON, what the tracker says about its values
                       receptive-fields     string []: JSON
  plugin "scalars"     saturation/<layer> and the other statistics; epoch_* (losses and metrics)
  plugin "histograms"  spectrum/<layer>: log10 of the eigenvalues in 30 buckets, for runs without eigenvalues
"""

import json
import logging
import math
import re
from importlib import resources

import numpy as np
from werkzeug import wrappers

from tensorboard import context as tb_context
from tensorboard import errors
from tensorboard import plugin_util
from tensorboard import version
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin

NAME = "saturation"

# The oldest TensorBoard with which the tab was tested.
OLDEST_TESTED = (2, 21)

# How many values TensorBoard keeps of a tag, unless --samples_per_plugin says otherwise: its own 100 (and 10 without the
# data server) are fewer than the epochs of many trainings.
SAMPLES = 300
# All that TensorBoard has kept.
ALL = 1_000_000

SATURATION = "saturation/"
DIMENSIONALITY = "intrinsic-dimensionality/"
EIGENVALUES = "eigenvalues/"
HISTOGRAM = "spectrum/"
NOTE = "saturation-note"
FIELDS = "receptive-fields"
PROFILE = "saturation-profile"


class SaturationLoader(base_plugin.TBLoader):
    """Loads the plugin, and asks TensorBoard to keep more of its values."""

    def fix_flags(self, flags):
        kept = getattr(flags, "samples_per_plugin", None)
        if isinstance(kept, dict):
            kept.setdefault(NAME, SAMPLES)

    def load(self, context):
        warn_of_old_tensorboard(version.VERSION)
        return SaturationPlugin(context)


def warn_of_old_tensorboard(found):
    """Says that the tab may not work in this TensorBoard, if it is older than those that were tested."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:2])
    if numbers < OLDEST_TESTED:
        oldest = ".".join(map(str, OLDEST_TESTED))
        logging.getLogger("tensorboard").warning(
            "Saturation tab: expected TensorBoard %s or newer, got %s: the tab was not tested with it. "
            "'pip install -U tensorboard' brings a newer one.", oldest, found,
        )


class SaturationPlugin(base_plugin.TBPlugin):
    """The tab."""

    plugin_name = NAME

    def __init__(self, context):
        self._provider = context.data_provider

    def get_plugin_apps(self):
        return {
            "/index.js": self._serve_script,
            "/runs": self._serve_runs,
            "/run": self._serve_run,
        }

    def is_active(self):
        # TensorBoard looks for tensors of ours by itself; runs of an older writer have scalars only.
        scalars = self._provider.list_scalars(
            tb_context.RequestContext(), experiment_id="", plugin_name="scalars"
        )
        return any(tag.startswith(SATURATION) for tags in scalars.values() for tag in tags)

    def frontend_metadata(self):
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Saturation")

    @wrappers.Request.application
    def _serve_script(self, request):
        # Through importlib, because the package may stand inside a wheel on PYTHONPATH.
        script = resources.files(__package__).joinpath("static/index.js").read_bytes()
        return http_util.Respond(request, script, "text/javascript")

    @wrappers.Request.application
    def _serve_runs(self, request):
        names = Reading(self._provider, request).run_names()
        return http_util.Respond(request, [outline(name) for name in names], "application/json")

    @wrappers.Request.application
    def _serve_run(self, request):
        name = request.args.get("run")
        if name is None:
            raise errors.InvalidArgumentError("run: expected the name of a run, got none")
        reading = Reading(self._provider, request)
        if name not in reading.run_names():
            raise errors.NotFoundError("run: there is no run %r with saturation" % name)
        return http_util.Respond(request, reading.packed(name), "application/octet-stream")


class Reading:
    """What one request reads."""

    def __init__(self, data_provider, request):
        self._provider = data_provider
        self._where = {
            "ctx": plugin_util.context(request.environ),
            "experiment_id": plugin_util.experiment_id(request.environ),
        }

    def run_names(self):
        """Names of the runs that hold saturation, in the order of people (run2 before run10)."""
        scalars = self._provider.list_scalars(plugin_name="scalars", **self._where)
        tensors = self._provider.list_tensors(plugin_name=NAME, **self._where)
        found = {run for run, tags in scalars.items() if any(tag.startswith(SATURATION) for tag in tags)}
        found |= {run for run, tags in tensors.items() if any(tag.startswith(EIGENVALUES) for tag in tags)}
        return sorted(found, key=natural)

    def packed(self, run):
        """A run as src/view/packed-runs.ts of the npm package unpacks it."""
        scalars = self._scalars(run)
        listed = self._provider.list_tensors(
            plugin_name=NAME, run_tag_filter=only(run), **self._where
        ).get(run, {})
        contents = {tag: parsed(series.plugin_content) for tag, series in listed.items()}
        values = self._tensors(run, NAME)
        note = last_json(values.get(NOTE))
        layers = {}
        body = Body()
        for tag, points in values.items():
            if tag.startswith(EIGENVALUES):
                packed = packed_spectra(points, contents.get(tag, {}), body)
                layers[tag[len(EIGENVALUES) :]] = {"isEstimated": False, "points": packed}
        for layer, points in self._guessed(run, scalars, layers):
            layers[layer] = {"isEstimated": True, "points": [body.add(*point) for point in points]}
        for tag in scalars:
            if tag.startswith(SATURATION):
                layers.setdefault(tag[len(SATURATION) :], {"isEstimated": False, "points": []})
        counted = (
            note
            or next((contents[tag] for tag in contents if tag.startswith(EIGENVALUES)), None)
            or self._told_counting(run)
        )
        for noted in note.get("layers", []) if isinstance(note.get("layers"), list) else []:
            if isinstance(noted, dict) and noted.get("name") in layers:
                layers[noted["name"]]["independence"] = independence(noted)
                layers[noted["name"]]["role"] = noted.get("role")
                if noted.get("bounds"):
                    layers[noted["name"]]["isSketch"] = True
        order = depth_order(layers, contents, note, self._profile_order(run))
        header = {
            "version": 1,
            "runs": [
                {
                    "name": run,
                    "threshold": counted.get("threshold"),
                    "rule": counted.get("rule"),
                    "layers": [
                        {"name": layer, **layers[layer], "stats": stats_of(layer, scalars)}
                        for layer in order
                    ],
                    "scalars": {tag: series for tag, series in scalars.items() if tag.startswith("epoch_")},
                    "fields": last_json(values.get(FIELDS)) or None,
                    "model": note.get("model"),
                    "times": times_of(values),
                }
            ],
        }
        return body.under(header)

    def _scalars(self, run):
        read = self._provider.read_scalars(
            plugin_name="scalars", downsample=ALL, run_tag_filter=only(run), **self._where
        )
        return {
            tag: [[point.step for point in points], [number(point.value) for point in points]]
            for tag, points in read.get(run, {}).items()
        }

    def _tensors(self, run, plugin, tags=None):
        return self._provider.read_tensors(
            plugin_name=plugin, downsample=ALL, run_tag_filter=only(run, tags), **self._where
        ).get(run, {})

    def _guessed(self, run, scalars, known):
        """Spectra of layers that only have a histogram: spread evenly within each bucket."""
        listed = self._provider.list_tensors(
            plugin_name="histograms", run_tag_filter=only(run), **self._where
        ).get(run, {})
        wanted = [
            tag for tag in listed if tag.startswith(HISTOGRAM) and tag[len(HISTOGRAM) :] not in known
        ]
        if not wanted:
            return
        for tag, points in self._tensors(run, "histograms", wanted).items():
            layer = tag[len(HISTOGRAM) :]
            width = width_of(scalars.get(DIMENSIONALITY + layer), scalars.get(SATURATION + layer))
            yield layer, [
                (point.step, None, 0, *guessed_eigenvalues(point.numpy, width)) for point in points
            ]

    def _told_counting(self, run):
        """Threshold and rule as an older writer tells them in the description of its scalars."""
        listed = self._provider.list_scalars(
            plugin_name="scalars", run_tag_filter=only(run), **self._where
        ).get(run, {})
        for tag, series in listed.items():
            told = re.search(r"Threshold ([\d.]+) %, (paper|delve) rule", series.description or "")
            if tag.startswith(SATURATION) and told:
                return {"threshold": float(told[1]) / 100, "rule": told[2]}
        return {}

    def _profile_order(self, run):
        """The layers by depth that an older writer tells in the description of its profile."""
        listed = self._provider.list_tensors(
            plugin_name="histograms", run_tag_filter=only(run, [PROFILE]), **self._where
        ).get(run, {})
        if PROFILE not in listed:
            return []
        told = listed[PROFILE].description.partition("Layers: ")[2]
        return [name for _, name in re.findall(r"(\d+) (.+?)(?=, \d+ |\.$)", told)]


class Body:
    """The float32 eigenvalues behind the header, and where each spectrum starts."""

    def __init__(self):
        self._arrays = []
        self._length = 0

    def add(self, step, samples, rejected, eigenvalues, width, rest=0.0):
        start = self._length
        self._arrays.append(eigenvalues)
        self._length += eigenvalues.size
        return [step, samples, rejected, width, number(rest), eigenvalues.size, start]

    def under(self, header):
        text = json.dumps(header).encode("ascii")
        text += b" " * (-len(text) % 4)
        floats = np.concatenate(self._arrays).astype("<f4").tobytes() if self._arrays else b""
        return np.array(len(text), dtype="<u4").tobytes() + text + floats


def packed_spectra(points, content, body):
    packed = []
    for point in points:
        values = np.asarray(point.numpy)
        if values.ndim != 1 or values.size < 3 or values.dtype.kind != "f":
            continue
        values = values.astype("<f4")
        width, stored = content.get("width"), content.get("stored")
        is_part = (
            isinstance(width, int) and isinstance(stored, int)
            and 0 < stored < width and values.size == 3 + stored
        )
        eigenvalues = values[2 : 2 + stored] if is_part else values[2:]
        rest = float(values[-1]) if is_part else 0.0
        if not np.isfinite(eigenvalues).all() or (eigenvalues < 0).any():
            continue
        packed.append(
            body.add(
                point.step, count(values[0]), count(values[1]) or 0,
                eigenvalues, width if is_part else eigenvalues.size, rest,
            )
        )
    return packed


def outline(run):
    """The experiment and the split that a run's name tells, as src/view/run-data.ts has it."""
    head, slash, last = run.rpartition("/")
    if last in ("train", "val"):
        return {"name": run, "experiment": head, "split": last}
    return {"name": run, "experiment": "" if run == "." else run, "split": "train"}


def only(run, tags=None):
    return provider.RunTagFilter(runs=[run], tags=tags)


def parsed(content):
    try:
        value = json.loads(content)
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def last_json(points):
    """What the last value of a string tag holds; {} if it is no object."""
    if not points:
        return {}
    value = np.asarray(points[-1].numpy).reshape(-1)
    return parsed(value[0]) if value.size == 1 else {}


def times_of(values):
    """The wall times of the first and the last point of some tags; None if there is none."""
    times = [point.wall_time for points in values.values() for point in points if math.isfinite(point.wall_time)]
    return [min(times), max(times)] if times else None


def number(value):
    """A number that JSON can hold, or its name."""
    value = float(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def count(value):
    return int(value) if np.isfinite(value) and value >= 0 else None


def independence(noted):
    """Independent rows per row, as the tracker notes them; None if it does not."""
    samples, effective = noted.get("samples"), noted.get("effectiveSamples")
    if not isinstance(samples, (int, float)) or not isinstance(effective, (int, float)) or samples <= 0:
        return None
    return effective / samples


def stats_of(layer, scalars):
    """The series of every statistic of a layer, by the part of its tag before the layer."""
    end = "/" + layer
    return {
        tag[: -len(end)]: series
        for tag, series in scalars.items()
        if tag.endswith(end) and "/" not in tag[: -len(end)]
    }


def depth_order(layers, contents, note, profile):
    """Names of layers by depth: as the tracker numbered them, or else by name."""
    noted = note.get("layers")
    names = [layer.get("name") for layer in noted if isinstance(layer, dict)] if isinstance(noted, list) else profile
    place = {name: index for index, name in enumerate(names)}
    if not place:
        for tag, content in contents.items():
            if tag.startswith(EIGENVALUES) and isinstance(content.get("index"), int):
                place[tag[len(EIGENVALUES) :]] = content["index"]
    return sorted(layers, key=lambda name: (place.get(name, len(place)), natural(name)))


def natural(name):
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def width_of(dimensionality, saturation):
    """A layer's width: its intrinsic dimensionality over its saturation, at a step that has both."""
    if dimensionality is None or saturation is None:
        return 0
    by_step = dict(zip(*saturation))
    for step, dimensions in zip(*dimensionality):
        share = by_step.get(step)
        if isinstance(share, float) and isinstance(dimensions, float) and share > 0:
            return round(dimensions / share)
    return 0


def guessed_eigenvalues(buckets, width):
    """Eigenvalues from a histogram of their decimal logarithms, and the width with those that were 0."""
    parts = []
    for left, right, size in np.asarray(buckets)[::-1]:
        size = int(min(max(size, 0), 100_000))
        parts.append(10 ** (right - (np.arange(size) + 0.5) / max(size, 1) * (right - left)))
    values = np.concatenate(parts).astype("<f4") if parts else np.zeros(0, "<f4")
    width = max(width, values.size)
    return np.pad(values, (0, width - values.size)), width
