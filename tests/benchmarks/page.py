"""Pages of docs/: their text stays, their measured sections are written anew."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

DOCS = Path(__file__).parents[2] / "docs"
PACKAGES = (
    "numpy",
    "torch",
    "jax",
    "autograd",
    "mygrad",
    "scikit-learn",
    "distributed",
)


def write_section(name: str, text: str, page: str = "benchmarks.md") -> None:
    """Replace what stands between the comments that begin and end a section."""
    path = DOCS / page
    begin, end = f"<!-- {name}: measured -->", f"<!-- {name}: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.2g} us"


def machine() -> str:
    """One sentence on when this was measured, and on what."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index]
    return (
        f"Measured on {datetime.date.today().isoformat()}: {_processor()}, "
        f"{platform.system()}, Python {platform.python_version()}, "
        f"{', '.join(versions)}; BLAS {blas['name']} {blas['version']}."
    )


def _processor() -> str:
    name, cpuinfo = platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} virtual cores"
