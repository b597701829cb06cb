"""Delve's cost on torch (CPU), for bench/saturation.mjs.

A restatement of what Delve 0.1.50 does to a model with stats=['lsat'], with its accumulation repaired (as published, it
starts afresh at every forward pass): forward hooks on Linear, Conv2d and LSTM; x^T x and the sum of x in float64 for every
batch; at the end of a period C = S/n - mean mean^T and torch.linalg.eigh of it. Not Delve's own code.

Prints one JSON line: for each model the milliseconds per step of every plain and hooked block.
"""

import json
import sys
import time

import torch
from torch import nn

steps, rounds = int(sys.argv[1]), json.loads(sys.argv[2])
torch.manual_seed(1)


class Accumulator:
    def __init__(self):
        self.s = self.p = None
        self.n = 0

    def add(self, x):
        x = x.detach().to(torch.float64)
        if self.s is None:
            d = x.shape[1]
            self.s = torch.zeros(d, dtype=torch.float64)
            self.p = torch.zeros(d, d, dtype=torch.float64)
        self.n += x.shape[0]
        self.s += x.sum(0)
        self.p += x.T @ x

    def saturation(self, threshold=0.99):
        mean = self.s / self.n
        c = self.p / self.n - torch.outer(mean, mean)
        values = torch.linalg.eigh(c)[0].flip(0).clamp(min=0)
        return float((values.cumsum(0) / values.sum() < threshold).sum()) / len(values)


def rows(output):
    if isinstance(output, tuple):
        output = output[0]
    if output.dim() == 4:
        return output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
    if output.dim() == 3:
        return output[:, -1, :]
    return output


class Tracked:
    def __init__(self, model):
        self.accumulators = {}
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.LSTM)):
                module.register_forward_hook(self.hook(name))

    def hook(self, name):
        def see(_module, _inputs, output):
            self.accumulators.setdefault(name, Accumulator()).add(rows(output))

        return see

    def end(self):
        result = {name: each.saturation() for name, each in self.accumulators.items()}
        self.accumulators = {}
        return result


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.out = nn.Linear(128, 10)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1, :])


def mlp():
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def cnn():
    def conv(i, o):
        return [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]

    return nn.Sequential(
        *conv(3, 32), *conv(32, 64), nn.MaxPool2d(2), *conv(64, 64), *conv(64, 128), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(128 * 8 * 8, 10),
    )


models = {
    "MLP": (mlp, (128, 784)),
    "CNN": (cnn, (64, 3, 32, 32)),
    "LSTM": (Lstm, (64, 32, 28)),
}


def block(model, optimizer, x, y, tracked):
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    if tracked is not None:
        tracked.end()
    return (time.perf_counter() - start) * 1000 / steps


result = {}
for name, (make, shape) in models.items():
    if rounds.get(name, 0) == 0:
        continue
    x, y = torch.randn(*shape), torch.randint(0, 10, (shape[0],))
    plain, hooked = make(), make()
    tracked = Tracked(hooked)
    setups = {
        "plain": (plain, torch.optim.SGD(plain.parameters(), lr=0.01, momentum=0.9), None),
        "hooked": (hooked, torch.optim.SGD(hooked.parameters(), lr=0.01, momentum=0.9), tracked),
    }
    times = {"plain": [], "hooked": []}
    for each in setups.values():
        block(each[0], each[1], x, y, each[2])
    for _ in range(rounds[name]):
        for kind, each in setups.items():
            times[kind].append(block(each[0], each[1], x, y, each[2]))
    result[name] = times
print(json.dumps(result))
