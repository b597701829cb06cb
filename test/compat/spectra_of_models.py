"""What onnx, onnxruntime and numpy find in the models that test/pretrained/models.mjs has measured.

    python spectra_of_models.py found.json expected.json

Branches of If are put in the place of their nodes here, so that their values can go out of the graph like any other.
"""

import base64
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

found = json.load(open(sys.argv[1]))
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 3


def array(packed):
    return np.frombuffer(base64.b64decode(packed["data"]), packed["type"]).reshape(packed["dims"])


def run(model, names, feeds):
    return ort.InferenceSession(model.SerializeToString(), options).run(names, feeds)


def show(model, names):
    """The model with values among its outputs: onnx-python's own edit."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    own = [o.name for o in model.graph.output]
    shown.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in dict.fromkeys(names) if n not in own)
    return shown


def flatten(model, feeds):
    """The model with the branches that these feeds take in the place of its If nodes."""
    while any(n.op_type == "If" for n in model.graph.node):
        flat = onnx.ModelProto()
        flat.CopyFrom(model)
        del flat.graph.node[:]
        for node in model.graph.node:
            if node.op_type != "If":
                flat.graph.node.append(node)
                continue
            condition = node.input[0]
            if condition in feeds:
                is_taken = bool(feeds[condition])
            else:
                is_taken = bool(run(show(model, [condition]), [condition], feeds)[0])
            name = "then_branch" if is_taken else "else_branch"
            branch = next(a.g for a in node.attribute if a.name == name)
            flat.graph.node.extend(branch.node)
            flat.graph.initializer.extend(branch.initializer)
            for inner, outer in zip(branch.output, node.output):
                flat.graph.node.append(helper.make_node("Identity", [inner.name], [outer]))
        model = flat
    return model


def rows_of(value, layer):
    if layer["kind"] == "map":  # N x C x places
        return np.moveaxis(value, 1, -1).reshape(-1, value.shape[1])
    if layer["op"] in ("LSTM", "GRU", "RNN"):  # steps x directions x N x units: the last step
        return np.moveaxis(value[-1], 0, 1).reshape(value.shape[2], -1)
    return value.reshape(-1, value.shape[-1])


def constants(graph):
    """The values of initializers and Constant nodes by name, those in branches included."""
    found = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = numpy_helper.to_array(attribute.t)
            if attribute.type == onnx.AttributeProto.GRAPH:
                found.update(constants(attribute.g))
    # What is only passed on has the singular values of what it was.
    for node in graph.node:
        if node.op_type in ("Identity", "Transpose", "Squeeze", "Unsqueeze", "Cast") and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def singular_values(weight, layer):
    weight = weight.astype(np.float64)
    if layer["kind"] == "map":  # units x channels x places
        matrices = np.moveaxis(weight.reshape(*weight.shape[:2], -1), -1, 0)
    else:
        matrices = weight.reshape(-1, *weight.shape[-2:])
    return np.sort(np.linalg.svd(matrices, compute_uv=False).ravel())[::-1]


result = {}
for name, measured in found.items():
    model = onnx.load(measured["path"])
    batches = [{k: array(v) for k, v in batch.items()} for batch in measured["batches"]]
    own = [o.name for o in model.graph.output]
    plain = run(model, own, batches[0])
    parts = {}
    sessions = {}
    for feeds in batches:
        flat = flatten(model, feeds)
        key = flat.SerializeToString()
        if key not in sessions:
            made = {o for n in flat.graph.node for o in n.output}
            # A layer in a branch that is not taken has no value.
            shown = {l["name"]: l for l in measured["layers"] if l["value"].split("@")[0] in made}
            names = list(dict.fromkeys(l["value"].split("@")[0] for l in shown.values()))
            sessions[key] = shown, names, ort.InferenceSession(show(flat, names).SerializeToString(), options)
        shown, names, session = sessions[key]
        outputs = dict(zip(names, session.run(names, feeds)))
        for layer_name, layer in shown.items():
            parts.setdefault(layer_name, []).append(rows_of(outputs[layer["value"].split("@")[0]], layer))
    layers = {}
    for layer_name, each in parts.items():
        rows = np.concatenate(each).astype(np.float64)
        eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(rows, rowvar=False, bias=True)))[::-1]
        layers[layer_name] = {"rows": rows.shape[0], "eigenvalues": eigenvalues.tolist()}
    known = constants(model.graph)
    weights = {
        l["name"]: singular_values(known[l["weight"]["name"]], l).tolist() for l in measured["layers"] if l["singularValues"]
    }
    optimized = ort.InferenceSession(model.SerializeToString()).run(own, batches[0])
    result[name] = {
        "layers": layers,
        "weights": weights,
        # What the model puts out with its layers beside it, and without them.
        "isSame": all(np.array_equal(array(measured["own"][o]), v, equal_nan=True) for o, v in zip(own, plain)),
        "offOptimized": max(float(np.abs(array(measured["optimized"][o]) - v).max()) for o, v in zip(own, optimized)),
    }
json.dump(result, open(sys.argv[2], "w"))
