"""Ours beside hand-derived NumPy and its peers: what docs/benchmarks.md says of speed.

    python tests/benchmarks/bench.py [--rounds 15] [--only CNN] [--write]

With --write the tables go into docs/benchmarks.md. Peers that are not installed are
left out. It wants a quiet machine and takes about fifteen minutes.
"""

from __future__ import annotations

import argparse
import sys

import chains
import layers
import networks
import operations
import sequences
from measuring import Result, installed, measure
from page import duration, machine, write_section
from tqdm import tqdm

WORKLOADS = [
    *chains.WORKLOADS,
    *networks.WORKLOADS,
    *layers.WORKLOADS,
    *sequences.WORKLOADS,
]


def table(result: Result) -> str:
    """One workload as a table in Markdown."""
    workload = result.workload
    memory = bool(result.megabytes)
    lines = [
        f"**{workload.name}**",
        "",
        f"| | time per {workload.per} | ours takes | bar |"
        + f" memory, ours at most {workload.megabytes} MB |" * memory,
        "| --- | ---: | ---: | ---: |" + " ---: |" * memory,
    ]
    for candidate, seconds in sorted(result.seconds.items(), key=lambda pair: pair[1]):
        ratio, bar = result.ratios.get(candidate), workload.bars.get(candidate)
        cells = [
            f"**{candidate}**" if candidate == "ours" else candidate,
            duration(seconds),
            "" if ratio is None else f"{ratio:.2f}",
            ""
            if bar is None
            else f"{bar:.2f}" + " missed" * (candidate in result.missed),
        ]
        if memory:
            cells.append(f"{result.megabytes[candidate]:.0f} MB")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def missed_bars(results: list[Result]) -> str:
    """Say which bars do not hold, and by how much."""
    lines = [
        f"- {r.workload.name}, against {other}: {r.ratios[other]:.2f}, where "
        f"{r.workload.bars[other]:.2f} is wanted"
        for r in results
        for other in r.missed
        if other in r.ratios
    ]
    lines += [
        f"- {r.workload.name}: {r.megabytes['ours']:.0f} MB, where "
        f"{r.workload.megabytes} are wanted"
        for r in results
        if "memory" in r.missed
    ]
    return "\n".join(["**Bars that are missed**", "", *(lines or ["None."])])


def all_operations(rounds: int, write: bool) -> None:
    """Print the table of :mod:`operations`, and write it."""
    sizes = (operations.SMALL, operations.LARGE)
    text = operations.table(*(operations.measured(n, rounds) for n in sizes))
    print("\n" + text, flush=True)
    if write:
        text = f"{machine()} Medians of {rounds} rounds.\n\n{text}"
        write_section("operations", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="what has this in its name")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    given = parser.parse_args()
    if given.only in "every operation" and installed("torch"):
        all_operations(given.rounds, given.write)
    chosen = [w for w in WORKLOADS if given.only in w.name]
    results = []
    for workload in tqdm(chosen, unit="workload"):
        results.append(measure(workload, given.rounds))
        tqdm.write("\n" + table(results[-1]))
    missed = missed_bars(results)
    print("\n" + missed)
    if given.write and results:
        tables = "\n\n".join(map(table, results))
        rounds = f"Medians of {given.rounds} rounds, of the longest fewer."
        text = f"{machine()} {rounds}\n\n{tables}\n\n{missed}"
        write_section("speed", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
