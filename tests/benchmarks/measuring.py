"""Who is faster? Candidates in processes of their own, round by round.

Each round takes the candidates in a fresh random order, with a pause before each burst
(BLAS threads spin for a while after their last job). What counts is the median of the
ratios of each round: a machine swings from one minute to the next, and all swing with
it.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PAUSE = 0.1  # s

Burst = Callable[[], object]

#: What a candidate needs to be installed, where that is not its name.
NEEDS = {"scikit-learn": "sklearn"}
PEERS = {"torch", "jax", "autograd", "mygrad", "scikit-learn"}


@dataclass(frozen=True)
class Workload:
    """One job, done by several candidates.

    ``candidates`` are functions that return a burst: a function that does the job
    ``count`` times. ``bars`` are the most that ours may take of another's time.
    With ``rows``, each candidate takes their number. ``megabytes`` is the most that
    ours may need beyond the data. ``most`` rounds are enough for a long one.
    """

    name: str
    candidates: dict[str, Callable[..., Burst]]
    count: int
    per: str
    bars: dict[str, float] = field(default_factory=dict)
    rows: int | None = None
    megabytes: float | None = None
    most: int = 1000


@dataclass(frozen=True)
class Result:
    """Seconds for each ``per``, and megabytes, by candidate; and ours over others'."""

    workload: Workload
    seconds: dict[str, float]
    ratios: dict[str, float]
    megabytes: dict[str, float]

    @property
    def missed(self) -> list[str]:
        """Against whom ours takes more than the bar allows; and "memory"."""
        most = self.workload.megabytes
        too_much = most is not None and self.megabytes.get("ours", 0.0) > most
        return ["memory"] * too_much + [
            other
            for other, bar in self.workload.bars.items()
            if self.ratios.get(other, 0.0) > bar
        ]


def installed(candidate: str) -> bool:
    """Whether a peer is there; all else takes NumPy alone."""
    name = NEEDS.get(candidate, candidate)
    return candidate not in PEERS or importlib.util.find_spec(name) is not None


def made(workload: Workload, candidate: str, rows: int | None = None) -> Burst:
    make = workload.candidates[candidate]
    return make() if workload.rows is None else make(rows or workload.rows)


def serve(workload: Workload, candidate: str, pipe: Connection) -> None:
    """Answer each request with the seconds of one burst."""
    burst = made(workload, candidate)
    burst()
    while pipe.recv():
        time.sleep(PAUSE)
        start = time.perf_counter()
        burst()
        pipe.send(time.perf_counter() - start)


def tell_memory(workload: Workload, candidate: str, pipe: Connection) -> None:
    """Send the megabytes that the first burst takes beyond what there was before."""
    made(workload, candidate, 64)()  # libraries load, threads start
    burst = made(workload, candidate)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _kilobytes("VmRSS")
    burst()
    pipe.send((_kilobytes("VmHWM") - before) / 1024)


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise LookupError(name)


def _started(target: Any, workload: Workload, candidate: str) -> Connection:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=target, args=(workload, candidate, theirs), daemon=True
    )
    process.start()
    theirs.close()
    return ours


def measure(workload: Workload, rounds: int) -> Result:
    """Run all candidates that are installed, and return what they took."""
    pipes = {
        candidate: _started(serve, workload, candidate)
        for candidate in workload.candidates
        if installed(candidate)
    }
    bursts: dict[str, list[float]] = {candidate: [] for candidate in pipes}
    for _ in range(min(rounds, workload.most)):
        for candidate in random.sample(list(pipes), len(pipes)):
            pipes[candidate].send(True)
            bursts[candidate].append(pipes[candidate].recv())
    for pipe in pipes.values():
        pipe.send(False)
    memory = {}
    if workload.megabytes is not None and Path("/proc/self/clear_refs").exists():
        memory = {c: _started(tell_memory, workload, c).recv() for c in pipes}
    ratios = {
        other: statistics.median(
            a / b for a, b in zip(bursts["ours"], bursts[other], strict=True)
        )
        for other in pipes
        if other != "ours"
    }
    seconds = {c: statistics.median(s) / workload.count for c, s in bursts.items()}
    return Result(workload, seconds, ratios, memory)
