"""Reduces the scalars of several runs in Python, as the command `reduce` does, for bench/reduce.mjs.

python bench/reduce_peer.py <tensorboard-reducer|EventAccumulator> <table.csv to write> <run>...
Prints one line of JSON: seconds, peakBytes. EventAccumulator stands for a script of one's own: TensorBoard reads, pandas reduces.
"""
import json
import resource
import sys
import time

who, out, runs = sys.argv[1], sys.argv[2], sys.argv[3:]
operations = ["mean", "std", "min", "max", "median"]
start = time.perf_counter()
import pandas as pd

if who == "tensorboard-reducer":
    import tensorboard_reducer as tbr

    reduced = tbr.reduce_events(tbr.load_tb_events(runs), operations)
else:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = {}
    for run in runs:
        accumulator = EventAccumulator(run, size_guidance={"scalars": 0}).Reload()
        for tag in accumulator.Tags()["scalars"]:
            events = accumulator.Scalars(tag)
            points = pd.Series([event.value for event in events], index=[event.step for event in events])
            curves.setdefault(tag, []).append(points[~points.index.duplicated(keep="last")])
    frames = {tag: pd.concat(all_runs, axis=1, join="inner") for tag, all_runs in curves.items()}
    reduced = {of: {tag: getattr(frame, of)(axis=1) for tag, frame in frames.items()} for of in operations}
pd.concat({of: pd.concat(tags, names=["tag", "step"]) for of, tags in reduced.items()}, axis=1).to_csv(out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - start, "peakBytes": peak}))
