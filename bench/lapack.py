"""Times LAPACK and BLAS for bench/eigenvalues.mjs and bench/moments.mjs: float64, torch or else numpy.

Reads one JSON request a line ({"job", "d", "n", "repeats"}), answers with one JSON line of milliseconds.
LAPACK_THREADS says with how many threads; one by default.
"""

import json
import os
import sys
import time

threads = os.environ.get("LAPACK_THREADS", "1")
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = threads

try:
    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    library = f"torch {torch.__version__}"
except ImportError:
    import numpy as np

    torch = None
    library = f"numpy {np.__version__}"


def job(name, d, n):
    if torch is not None:
        x = torch.randn(n, d, dtype=torch.float64) / torch.arange(1, d + 1, dtype=torch.float64)
        c = x.T @ x / n
        square = torch.randn(d, d, dtype=torch.float64)
        narrow = square.float()
        return {
            "eigvalsh": lambda: torch.linalg.eigvalsh(c),
            "eigh": lambda: torch.linalg.eigh(c),
            "moments": lambda: (x.T @ x, x.sum(0)),
            "dgemm": lambda: square @ square,
            "sgemm": lambda: narrow @ narrow,
        }[name]
    random = np.random.default_rng(1)
    x = random.standard_normal((n, d)) / np.arange(1, d + 1)
    c = x.T @ x / n
    square = random.standard_normal((d, d))
    narrow = square.astype(np.float32)
    return {
        "eigvalsh": lambda: np.linalg.eigvalsh(c),
        "eigh": lambda: np.linalg.eigh(c),
        "moments": lambda: (x.T @ x, x.sum(0)),
        "dgemm": lambda: square @ square,
        "sgemm": lambda: narrow @ narrow,
    }[name]


print(json.dumps({"library": library}), flush=True)
cached = {}
for line in sys.stdin:
    request = json.loads(line)
    key = (request["job"], request["d"], request["n"])
    if key not in cached:
        cached.clear()
        cached[key] = job(*key)
        cached[key]()
    times = []
    for _ in range(request["repeats"]):
        start = time.perf_counter()
        cached[key]()
        times.append(1000 * (time.perf_counter() - start))
    print(json.dumps({"times": times}), flush=True)
