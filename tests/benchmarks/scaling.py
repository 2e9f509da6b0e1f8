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

CLASSES = 10
FEW = 2000  # rows, so that nearly all of a step is what it costs to ask
AHEAD = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Job:
    """Full-batch steps of a network features-hidden-10 on so many rows."""

    features: int
    hidden: int
    rows: int

    def __str__(self) -> str:
        return f"{self.features}-{self.hidden}-{CLASSES}"

    @property
    def parameters(self) -> int:
        return (self.features + 1) * self.hidden + (self.hidden + 1) * CLASSES

    def run(self, client: Client | None, steps: int) -> float:
        """Return the seconds of the fastest step."""
        rng = np.random.default_rng(0)
        X = rng.random((self.rows, self.features))
        y = rng.integers(0, CLASSES, self.rows)
        model = te.nn.Sequential(
            te.nn.Linear(self.features, self.hidden, rng=0),
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
            epochs=2 + steps,
            callbacks=[lambda training: times.append(time.perf_counter())],
            progress=False,
            client=client,
        )
        return float(np.diff(times)[1:].min())


#: A tiny network on rows for eight workers: nearly all of a step is latency.
ASKED = Job(8, 8, 8000)
SMALL, LARGE = 64, 1024  # hidden units

#: Seconds of a step by job and number of workers; 0 for none.
Found = dict[tuple[Job, int], float]


def jobs_of(rows: int) -> list[Job]:
    """What is measured: a small and a large network on few rows and on many."""
    return [Job(784, hidden, n) for hidden in (SMALL, LARGE) for n in (FEW, rows)]


def measured(rows: int, steps: int) -> Found:
    """Run all jobs here, and on 1 and 2 workers; the tiny one on 4, too."""
    jobs = jobs_of(rows)
    found = {(job, 0): job.run(None, steps) for job in (ASKED, *jobs)}
    for count, on_workers in ((1, [ASKED, *jobs]), (2, [ASKED, *jobs]), (4, [ASKED])):
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            for job in on_workers:
                found[job, count] = job.run(client, steps)
    return found


@dataclass
class Model:
    """Seconds of a step: latency, bytes by their time, rows by theirs."""

    latency: float  # s, with one worker
    each: float  # s, for each further worker
    byte: float  # s, for a byte of parameters and one worker
    row: float  # s, for a row and a parameter

    def step(self, job: Job, workers: int) -> float:
        asked = self.latency + self.each * (workers - 1)
        sent = self.byte * 8 * job.parameters * workers
        return asked + sent + self.here(job) / workers

    def here(self, job: Job) -> float:
        return self.row * job.rows * job.parameters


def model_of(found: Found, rows: int) -> Model:
    """Fit the constants to the measurements."""
    row = np.mean([found[x, 0] / x.rows / x.parameters for x in jobs_of(rows)])
    # what is left of a step without its computing is latency, and bytes both ways
    left = {(x, n): t - found[x, 0] / n for (x, n), t in found.items() if n}
    each, latency = np.polyfit([0, 1, 3], [left[ASKED, n] for n in (1, 2, 4)], 1)
    small, large = (Job(784, hidden, FEW) for hidden in (SMALL, LARGE))
    span = 8 * (large.parameters - small.parameters)
    byte = np.mean([(left[large, n] - left[small, n]) / span / n for n in (1, 2)])
    return Model(float(latency), float(each), float(byte), float(row))


def times(found: Found, rows: int) -> str:
    """What was measured, as a table in Markdown."""
    lines = [
        "| network | rows | here | 1 worker | 2 workers | 2 workers gain |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for job in jobs_of(rows):
        here, one, two = (found[job, n] * 1e3 for n in (0, 1, 2))
        lines.append(
            f"| {job} | {job.rows:,} | {here:.1f} ms | {one:.1f} ms | {two:.1f} ms | "
            f"{here / two:.2f} |"
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
    for hidden in (SMALL, LARGE):
        for rows in (10_000, 100_000, 1_000_000):
            job = Job(784, hidden, rows)
            found = [f"{model.here(job) / model.step(job, n):.1f}" for n in AHEAD]
            lines.append(f"| {job} | {rows:,} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    given = parser.parse_args()
    found = measured(given.rows, given.steps)
    model = model_of(found, given.rows)
    sections = {
        "times": f"{machine()}\n\n{times(found, given.rows)}",
        "constants": constants(model),
        "gains": gains(model),
    }
    print("\n\n".join(sections.values()))
    if given.write:
        for name, text in sections.items():
            write_section(name, text, "scaling.md")


if __name__ == "__main__":
    main()
