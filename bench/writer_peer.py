"""One measurement of one Python writer or reader in a process of its own, for bench/writer.mjs and bench/reading.mjs.

python bench/writer_peer.py <writer: torch|tensorboardX|tensorflow> <job> <count> <logdir>
python bench/writer_peer.py <reader: EventFileLoader|EventAccumulator|tbparse|tensorboard-reducer> read 0 <file>
Prints one line of JSON: seconds, calls [p50, p99] in microseconds, bytes, peakBytes; null where the peer has no such
summary. Exits with 3 where the peer is not installed.
"""
import json
import math
import os
import resource
import sys
import time

who, job, count, place = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def stream():
    state = 1
    while True:
        state = (state * 16807) % 2147483647
        yield state / 2147483647


def histogram_values():
    import numpy as np

    numbers = stream()
    return np.array([sum(next(numbers) for _ in range(12)) - 6 for _ in range(10_000)], dtype=np.float32)


def picture():
    import numpy as np

    numbers = stream()
    pixels = np.empty((256, 256, 3), dtype=np.uint8)
    for y in range(256):
        for x in range(256):
            for c in range(3):
                slow = 128 + 60 * math.sin((x + 40 * c) / 30) + 50 * math.cos((y - 20 * c) / 25)
                pixels[y, x, c] = max(0, min(255, math.floor(slow + 8 * (next(numbers) - 0.5) + 0.5)))
    return pixels


def text(step):
    return f"## Step {step}\n\n| name | value |\n|-|-|\n| loss | {step / 2} |\n\nSome *more* words about what happened here."


def add_of(writer_class):
    """torch and tensorboardX share their methods."""
    writer = writer_class(place)
    if job == "scalars":
        return (lambda step: writer.add_scalar("train/loss", step * 0.5, step)), writer.close
    if job == "texts":
        return (lambda step: writer.add_text("notes", text(step), step)), writer.close
    if job == "histograms":
        values = histogram_values()
        return (lambda step: writer.add_histogram("weights", values, step)), writer.close
    pixels = picture()
    return (lambda step: writer.add_image("samples", pixels, step, dataformats="HWC")), writer.close


def tensorflow_add():
    import tensorflow as tf

    writer = tf.summary.create_file_writer(place)
    writer.set_as_default()
    if job == "scalars":
        return (lambda step: tf.summary.scalar("train/loss", step * 0.5, step)), writer.close
    if job == "texts":
        return (lambda step: tf.summary.text("notes", text(step), step)), writer.close
    if job == "histograms":
        values = tf.constant(histogram_values())
        return (lambda step: tf.summary.histogram("weights", values, step)), writer.close
    pixels = picture()[None]
    return (lambda step: tf.summary.image("samples", pixels, step)), writer.close


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read():
    if who == "EventFileLoader":
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

        start = time.perf_counter()
        events = sum(1 for _ in EventFileLoader(place).Load())
    elif who == "tbparse":
        from tbparse import SummaryReader

        start = time.perf_counter()
        # Scalars in the form of TensorBoard 2 are tensors there, for which it needs TensorFlow.
        events = len(SummaryReader(place, event_types={"tensors"}).tensors)
    elif who == "tensorboard-reducer":
        from tensorboard_reducer import load_tb_events

        start = time.perf_counter()
        events = sum(len(frame) for frame in load_tb_events([os.path.dirname(place)]).values())
    else:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        start = time.perf_counter()
        accumulator = EventAccumulator(place, size_guidance={"scalars": 0, "tensors": 0})
        accumulator.Reload()
        tags = accumulator.Tags()
        events = sum(len(accumulator.Tensors(tag)) for tag in tags["tensors"])
        events += sum(len(accumulator.Scalars(tag)) for tag in tags["scalars"])
    if events == 0:
        raise ValueError("no events were read")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "processorSeconds": time.process_time(), "events": events, "peakBytes": peak()}


def measure():
    if who == "tensorflow":
        add, finish = tensorflow_add()
    else:
        if who == "torch":
            from torch.utils.tensorboard import SummaryWriter
        else:
            from tensorboardX import SummaryWriter
        add, finish = add_of(SummaryWriter)
    warm_up = min(100, count // 10)
    for step in range(warm_up):
        add(step)
    start = time.perf_counter()
    for step in range(count):
        add(warm_up + step)
    calls = []
    timed = min(count, 5_000)
    # The whole is timed to the end of close; single calls are timed after it is known what the loop itself took.
    loop = time.perf_counter() - start
    for step in range(timed):
        before = time.perf_counter()
        add(warm_up + count + step)
        calls.append((time.perf_counter() - before) * 1e6)
    before_close = time.perf_counter()
    finish()
    closing = time.perf_counter() - before_close
    calls.sort()
    size = sum(os.path.getsize(os.path.join(place, name)) for name in os.listdir(place) if "tfevents" in name)
    return {
        "seconds": loop + closing,
        "calls": [calls[len(calls) // 2], calls[min(len(calls) - 1, int(0.99 * len(calls)))]],
        "bytes": size / (warm_up + count + timed),
        "peakBytes": peak(),
    }


try:
    print(json.dumps(read() if job == "read" else measure()))
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
