"""The command line, run here and in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_edu as te
from tinygrad_edu.cli import main

SYSTEMS = ["neuron", "hidden", "digits", "digits-trained-well"]


#: For processes of their own, whether or not the package is installed.
IMPORTABLE = {"PYTHONPATH": str(Path(te.__file__).parents[1])}


def command(*arguments, **how):
    """Run ``python -m tinygrad_edu`` in a process of its own, with its output piped."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinygrad_edu", *map(str, arguments)],
        env=os.environ | IMPORTABLE | how.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **how,
    )


def failed(capsys, *arguments):
    """Run a command that must fail; return its exit code and what it says."""
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    assert out == ""
    return ended.value.code, err


def is_one_line(text):
    return text.endswith("\n") and text.count("\n") == 1 and len(text) > 1
