"""What a step of te.fit(client=...) costs: compute, bytes, latency.

    python tests/benchmarks/scaling.py [--steps 24] [--rows 10000] [--write]

It prints the tables of docs/scaling.md, and with --write puts them there: full-batch
steps here, and on 1 and 2 processes of a LocalCluster, all with one BLAS thread; then
what follows for more workers. Needs pip install 'tinygrad_edu[distributed]'. The
fastest step of each kind counts, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from dataclasses import dataclass

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy, as the workers have it

import numpy as np
from distributed import Client, LocalCluster
from page import machine, write_section

import tinygrad_edu as te

FEATURES, CLASSES = 784, 10
WORKERS = (1, 2)
FEW = 2000  # rows, so that nearly all of a step is what it costs to ask
HIDDEN = (64, 1024)
AHEAD = (2, 4, 8, 16, 32, 64)


@dataclass
class Job:
    """Full-batch steps of a network 784-hidden-10 on so many rows."""

    hidden: int
    rows: int

    @property
    def parameters(self) -> int:
        return (FEATURES + 1) * self.hidden + (self.hidden + 1) * CLASSES

    def run(self, client: Client | None, steps: int) -> float:
        """Return the seconds of the fastest step."""
        rng = np.random.default_rng(0)
        X = rng.random((self.rows, FEATURES))
        y = rng.integers(0, CLASSES, self.rows)
        model = te.nn.Sequential(
            te.nn.Linear(FEATURES, self.hidden, rng=0),
            te.nn.Sigmoid(),
            te.nn.Linear(self.hidden, CLASSES, rng=1),
        )
        times: list[float] = []
        te.fit(
            model,
            X,
            y,
            loss=te.nn.softmax_cross_entropy,
            optimizer=te.optim.SGD(model.parameters(), lr=0.01),
            epochs=2 + (steps if self.rows == FEW else steps // 4),
            callbacks=[lambda training: times.append(time.perf_counter())],
            progress=False,
            client=client,
        )
        return float(np.diff(times)[1:].min())


def measured(jobs: list[Job], steps: int) -> dict[tuple[int, int, int], float]:
    """Return seconds by hidden units, rows and workers; 0 workers for none."""
    found = {(job.hidden, job.rows, 0): job.run(None, steps) for job in jobs}
    for count in WORKERS:
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            for job in jobs:
                found[job.hidden, job.rows, count] = job.run(client, steps)
    return found


@dataclass
class Model:
    """Seconds of a step: latency, bytes by their time, rows by theirs."""

    latency: float  # s, with one worker
    each: float  # s, for each further worker
    byte: float  # s, for a byte of parameters and one worker
    row: float  # s, for a row and a parameter

    def step(self, rows: int, parameters: int, workers: int) -> float:
        asked = self.latency + self.each * (workers - 1)
        sent = self.byte * 8 * parameters * workers
        return asked + sent + self.row * rows * parameters / workers

    def here(self, rows: int, parameters: int) -> float:
        return self.row * rows * parameters


def model_of(found: dict[tuple[int, int, int], float], rows: int) -> Model:
    """Fit the constants to the measurements."""
    small, large = (Job(hidden, FEW) for hidden in HIDDEN)
    per_row = [
        found[hidden, rows, 0] / rows / Job(hidden, rows).parameters
        for hidden in HIDDEN
    ]
    row = float(np.mean(per_row))
    # what is left of a step with few rows is latency, and bytes in both directions
    left = {
        (job.hidden, count): found[job.hidden, FEW, count]
        - found[job.hidden, FEW, 0] / count
        for job in (small, large)
        for count in WORKERS
    }
    span = 8 * (large.parameters - small.parameters)
    byte = float(np.mean([(left[1024, n] - left[64, n]) / span / n for n in WORKERS]))
    base = {n: left[64, n] - byte * 8 * small.parameters * n for n in WORKERS}
    return Model(base[1], base[2] - base[1], byte, row)


def times(found: dict[tuple[int, int, int], float], jobs: list[Job]) -> str:
    """What was measured, as a table in Markdown."""
    lines = [
        "| network | rows | here | 1 worker | 2 workers | 2 workers gain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for job in jobs:
        here, one, two = (found[job.hidden, job.rows, n] * 1e3 for n in (0, 1, 2))
        lines.append(
            f"| {FEATURES}-{job.hidden}-{CLASSES} | {job.rows:,} | {here:.1f} ms | "
            f"{one:.1f} ms | {two:.1f} ms | {here / two:.2f} |"
        )
    return "\n".join(lines)


def constants(model: Model) -> str:
    """The constants of the model, as a table in Markdown."""
    rows = [
        (
            "`L`",
            "latency of a step: a request goes out through the scheduler, an answer "
            "comes back",
            f"{model.latency * 1e3:.0f} ms",
        ),
        (
            "`l`",
            "for each further worker, which is one more request and one more answer",
            f"{model.each * 1e3:.1f} ms",
        ),
        (
            "`b`",
            "time for a byte of parameters *and* its gradient, with each worker; all "
            "go through the client",
            f"{model.byte * 1e9:.1f} ns ({1e-6 / model.byte:.0f} MB/s)",
        ),
        (
            "`c`",
            "time for a row and a parameter, forward and backward: about 6 "
            "operations, less what the first layer does not need",
            f"{model.row * 1e12:.0f} ps",
        ),
        (
            "`8 b / c`",
            "rows that each worker needs, times the number of workers",
            f"{8 * model.byte / model.row:.0f}",
        ),
    ]
    lines = ["| constant | what it is | measured |", "| --- | --- | ---: |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def gains(model: Model) -> str:
    """How many times faster than here, by the model, as a table in Markdown."""
    lines = [
        f"| network | rows | {' | '.join(f'{n} workers' for n in AHEAD)} |",
        f"| --- | ---: |{' ---: |' * len(AHEAD)}",
    ]
    for hidden in HIDDEN:
        for rows in (10_000, 100_000, 1_000_000):
            size = Job(hidden, rows).parameters
            here = model.here(rows, size)
            found = [f"{here / model.step(rows, size, n):.1f}" for n in AHEAD]
            network = f"{FEATURES}-{hidden}-{CLASSES}"
            lines.append(f"| {network} | {rows:,} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    given = parser.parse_args()
    jobs = [Job(hidden, rows) for hidden in HIDDEN for rows in (FEW, given.rows)]
    found = measured(jobs, given.steps)
    model = model_of(found, given.rows)
    sections = {
        "times": f"{machine()}\n\n{times(found, jobs)}",
        "constants": constants(model),
        "gains": gains(model),
    }
    print("\n\n".join(sections.values()))
    if given.write:
        for name, text in sections.items():
            write_section(name, text, "scaling.md")


if __name__ == "__main__":
    main()
