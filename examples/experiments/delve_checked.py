"""Delve's own code, as it is published, for examples/experiments/delve-checked.mjs.

    python3 delve_checked.py FOLDER

FOLDER holds network.json and the weights and images that it names. Needs torch and delve (with pandas, matplotlib and
tensorboardX, which delve imports). Writes FOLDER/delve.json: what Delve counts on the network, and what it does in each
situation of SITUATIONS; inputs of situations that numbers belong to are saved beside it.
"""

import contextlib
import glob
import hashlib
import inspect
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

import delve
from delve import metrics, pca_layers, torch_utils, torchcallback, writers
from delve.torch_utils import TorchCovarianceMatrix
from delve.torchcallback import SaturationTracker

folder = os.path.abspath(sys.argv[1])
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
torch.manual_seed(1)
os.chdir(tempfile.mkdtemp())


class Kept(writers.AbstractWriter):
    """A save strategy that keeps what it is given."""

    def __init__(self):
        self.values = {}

    def resume_from_saved_state(self, initial_epoch):
        pass

    def add_scalar(self, key, value):
        self.values[key] = value

    def add_scalars(self, prefix, value_dict, **_):
        self.values.update(value_dict)

    def save(self):
        pass

    def close(self):
        pass


class Kinds(OrderedDict, TorchCovarianceMatrix):
    """A dictionary that passes the test which Delve makes on the wrong object, so that its own code accumulates."""


def track(model, accumulating=False, **options):
    kept = Kept()
    tracker = SaturationTracker(
        tempfile.mkdtemp(), kept, model, **{"stats": ["idim"], "device": "cpu", **options}
    )
    if accumulating:
        tracker.logs = {key: Kinds() for key in tracker.logs}
    return tracker, kept


# ---- the network ----


def floats(name, shape):
    return torch.from_numpy(np.fromfile(os.path.join(folder, name), "<f4").reshape(shape).copy())


class Network(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.kinds = {}
        for name, kernel, bias in layers:
            if kernel.dim() == 4:
                layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2], stride=2)
                layer.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).contiguous())
            else:
                layer = nn.Linear(*kernel.shape)
                layer.weight = nn.Parameter(kernel.T.contiguous())
            layer.bias = nn.Parameter(bias)
            self.add_module(name, layer)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        for layer in self.children():
            if isinstance(layer, nn.Linear) and x.dim() == 4:
                x = x.permute(0, 2, 3, 1).flatten(1)
            x = torch.relu(layer(x))
        return x


def count_network(spec):
    images = floats("images.bin", spec["images"])
    found = []
    for epoch, layers in enumerate(spec["epochs"]):
        weights = [
            (each["name"], floats(each["kernel"], each["kernelShape"]), floats(each["bias"], each["biasShape"]))
            for each in layers
        ]
        for threshold in spec["thresholds"]:
            for kind, batch, accumulating in [
                ("one pass", len(images), False),
                ("batches", spec["batch"], False),
                ("batches, accumulated", spec["batch"], True),
            ]:
                # A network of its own for each: a tracker's hooks stay on the model for good.
                model = Network(weights).eval()
                tracker, kept = track(model, accumulating, sat_threshold=threshold)
                with torch.no_grad():
                    for at in range(0, len(images), batch):
                        model(images[at : at + batch])
                tracker.add_saturations()
                counts = [kept.values[f"eval-intrinsic-dimensionality_{each['name']}"] for each in layers]
                found.append({"epoch": epoch, "threshold": threshold, "kind": kind, "counts": [int(n) for n in counts]})
    return found


# ---- situations ----

SITUATIONS = {}


def situation(function):
    """Adds a function to SITUATIONS; what it returns, or the error it ends with, is what Delve does."""
    SITUATIONS[function.__name__] = function
    return function


def saved(name, rows):
    rows.astype("<f8").tofile(os.path.join(folder, f"{name}.bin"))
    return {"file": f"{name}.bin", "shape": list(rows.shape)}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def identity(width):
    layer = nn.Linear(width, width, bias=False).double()
    layer.weight.data = torch.eye(width, dtype=torch.float64)
    return nn.Sequential(OrderedDict(fc=layer))


def right(rows, threshold=0.99):
    """What numpy counts on all rows by Delve's rule: cumulative parts of the variance below the threshold."""
    values = np.clip(np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1], 0, None)
    return int((values.cumsum() / values.sum() < threshold).sum()) if values.sum() > 0 else 0


def counted(rows, batch, **options):
    model = identity(rows.shape[1])
    tracker, kept = track(model, **options)
    for at in range(0, len(rows), batch):
        model(torch.from_numpy(rows[at : at + batch]))
    seen = tracker.logs["train-covariance-matrix"]["fc"]._tlen
    tracker.add_saturations()
    count = int(kept.values["train-intrinsic-dimensionality_fc"])
    return {"count": count, "rows": int(seen), "numpy": right(rows)}


@situation
def last_batch():
    rows = normal(2, 640, 128)
    return {"input": saved("last_batch", rows), **counted(rows, 32)}


@situation
def rule():
    spectra = [[0.5, 0.3, 0.2], [1, 0, 0], [0.98, 0.02], [1] * 100]
    counts = [metrics.compute_intrinsic_dimensionality(torch.diag(torch.tensor(s, dtype=torch.float64))) for s in spectra]
    return {"spectra": spectra, "counts": counts}


@situation
def average():
    model = identity(4)
    tracker, kept = track(model, average_sat=True, stats=["lsat"])
    model(torch.randn(20, 4, dtype=torch.float64))
    tracker.add_saturations()
    return {"value": str(kept.values["average-train-sat"])}


@situation
def tensorboard():
    model = nn.Sequential(OrderedDict(a=nn.Linear(4, 4), b=nn.Linear(4, 4)))
    out = os.path.join(folder, "delve-run")
    tracker = SaturationTracker(out, "tensorboard", model, stats=["lsat", "idim"], device="cpu")
    for _ in range(4):
        model.train()(torch.randn(20, 4))
        model.eval()(torch.randn(20, 4))
        tracker.add_saturations()
    tracker.close()
    files = glob.glob(os.path.join(out, "**", "*tfevents*"), recursive=True)
    return {"files": len(files), "folder": "delve-run"}


@situation
def nosave():
    model, out = identity(4), os.path.join(tempfile.mkdtemp(), "run")
    tracker = SaturationTracker(out, "csv", model, stats=["lsat"], device="cpu", nosave=True)
    model(torch.randn(20, 4, dtype=torch.float64))
    tracker.add_saturations()
    return {"written": os.path.exists(out + ".csv")}


@situation
def default_device():
    model = identity(4)
    SaturationTracker(tempfile.mkdtemp(), Kept(), model, stats=["lsat"])
    model(torch.randn(20, 4, dtype=torch.float64))


@situation
def include_conv():
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), flat=nn.Flatten(), fc=nn.Linear(8, 2)))
    tracker, kept = track(model, include_conv=False)
    model(torch.randn(20, 1, 4, 4))
    tracker.add_saturations()
    return {"logged": sorted(key.split("_")[-1] for key in kept.values)}


@situation
def no_validation():
    model = identity(4)
    tracker, _ = track(model)
    x = torch.randn(20, 4, dtype=torch.float64)
    model.train()(x)
    model.eval()(x)
    tracker.add_saturations()
    model.train()(x)
    tracker.add_saturations()


@situation
def stopped():
    model = identity(4)
    tracker, _ = track(model, stats=["trc"])
    tracker.stop()
    model(torch.randn(20, 4, dtype=torch.float64))
    tracker.add_saturations()


@situation
def late_column():
    model, out = identity(4), os.path.join(tempfile.mkdtemp(), "run")
    tracker = SaturationTracker(out, "csv", model, stats=["lsat"], device="cpu")
    x = torch.randn(20, 4, dtype=torch.float64)
    model(x)
    tracker.add_saturations()
    model(x)
    tracker.add_scalar("accuracy", 0.5)
    tracker.add_saturations()


@situation
def one_layer():
    track(nn.Linear(4, 4))


@situation
def same_names():
    tower = lambda: nn.Sequential(OrderedDict(fc1=nn.Linear(4, 4), fc2=nn.Linear(4, 4)))
    tracker, _ = track([tower(), tower()])
    return {"tracked": list(tracker.layers), "of": 4}


@situation
def closed():
    model = identity(4)
    tracker, _ = track(model)
    model(torch.randn(20, 4, dtype=torch.float64))
    tracker.close()
    return {"hooks": len(model.fc._forward_hooks)}


@situation
def save_model():
    model = identity(4)
    track(model)
    torch.save(model, io.BytesIO())


@situation
def not_a_number():
    model = identity(4)
    tracker, _ = track(model)
    rows = torch.randn(20, 4, dtype=torch.float64)
    rows[3, 1] = float("nan")
    model(rows)
    tracker.add_saturations()


@situation
def constant():
    rows = np.tile(np.random.default_rng(5).uniform(0, 10, 64), (640, 1))
    return {"input": saved("constant", rows), **counted(rows, 640)}


@situation
def large_mean():
    rows = normal(6, 4000, 64) + 1e7
    return {"input": saved("large_mean", rows), **counted(rows, 4000)}


@situation
def determinant():
    rows = np.sqrt(0.1) * normal(7, 2048, 512)
    model = identity(512)
    tracker, kept = track(model, stats=["det"])
    model(torch.from_numpy(rows))
    tracker.add_saturations()
    return {"input": saved("determinant", rows), "value": float(kept.values["train-covariance-determinant_fc"]), "numpy": float(np.linalg.slogdet(np.cov(rows.T, bias=True))[1])}


@situation
def sequences():
    model = nn.Sequential(OrderedDict(lstm=nn.LSTM(3, 4)))
    tracker, _ = track(model)
    model(torch.randn(7, 11, 3))
    return {"rows": tracker.logs["train-covariance-matrix"]["lstm"]._tlen, "sequences": 11}


@situation
def magic_name():
    model = nn.Sequential(OrderedDict(encoder_output=nn.Linear(4, 4)))
    track(model)
    model(torch.randn(20, 4))


@situation
def typo():
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3)))
    tracker, _ = track(model, conv_method="channelwize")
    model(torch.randn(20, 1, 4, 4))
    tracker.add_saturations()


@situation
def ignored():
    model = nn.Sequential(OrderedDict(conv=nn.Linear(4, 4)))
    tracker, kept = track(model, ignore_layer_names="convolution")
    model(torch.randn(20, 4))
    tracker.add_saturations()
    return {"logged": len(kept.values)}


@situation
def downsampling():
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 1)))
    tracker, _ = track(model, interpolation_strategy="nearest")
    model(torch.randn(1, 1, 64, 8))
    return {"rows": tracker.logs["train-covariance-matrix"]["conv"]._tlen, "places": 64 * 8}


@situation
def pca_mean():
    rows = (normal(8, 4000, 16) / np.arange(1, 17) ** 2 + 5).astype("<f4")
    layer = pca_layers.LinearPCALayer(16, threshold=0.99)
    x = torch.from_numpy(rows)
    layer.train()(x)
    y = layer.eval()(x)
    error = float(((y - x) ** 2).sum() / ((x - x.mean(0)) ** 2).sum())
    return {"input": saved("pca_mean", rows), "error": error, "dimensions": layer.in_dim}


@situation
def pca_narrow():
    rows = (normal(9, 400, 16) / np.arange(1, 17) ** 2).astype("<f4")
    layer = pca_layers.LinearPCALayer(16, keepdim=False)
    x = torch.from_numpy(rows)
    try:
        layer.train()(x)
        return {"shape": list(layer.eval()(x).shape)}
    except RuntimeError as error:
        return {"input": saved("pca_narrow", rows), "throws": f"RuntimeError: {error}"}


@situation
def pca_loaded():
    layer, fresh = pca_layers.LinearPCALayer(4), pca_layers.LinearPCALayer(4)
    x = torch.randn(40, 4)
    layer.train()(x)
    layer.eval()(x)
    fresh.load_state_dict(layer.state_dict())
    fresh.eval()(x)


def outcome(function):
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return function() or {"error": None}
    except Exception as error:  # What Delve throws is what is asked for.
        first = str(error).strip().split("\n")[0]
        return {"throws": f"{type(error).__name__}: {first}"}


files = [metrics, pca_layers, torch_utils, torchcallback, writers]
code = hashlib.sha256(b"".join(open(inspect.getfile(each), "rb").read() for each in files)).hexdigest()[:16]
with open(os.path.join(folder, "network.json")) as file:
    spec = json.load(file)
result = {
    "delve": delve.__version__,
    "code": code,
    "torch": torch.__version__,
    "numpy": np.__version__,
    "network": count_network(spec),
    "situations": {name: outcome(function) for name, function in SITUATIONS.items()},
}
with open(os.path.join(folder, "delve.json"), "w") as file:
    json.dump(result, file)
