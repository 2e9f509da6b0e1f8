"""check: a file is run in a process of its own, within a time, and given points."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_edu.course.exercises.catalogue import exercise_of
from tinygrad_edu.course.exercises.exercise import Exercise, Outcome

__all__ = ["Result", "check"]

_PRINTED = 1_000  # characters of what a file prints that are shown,
_TOO_MUCH = 1_000_000  # and at which it is stopped


@dataclass(frozen=True)
class Result:
    """What an answer got.

    Attributes
    ----------
    exercise : Exercise
    outcomes : tuple of Outcome
        One for each part.
    printed : str
        The beginning of what the file printed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from tinygrad_edu.course import exercises
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sigmoid.py"
    ...     _ = path.write_text(exercises.EXERCISES["sigmoid"].starter)
    ...     result = exercises.check(path)
    >>> result.points, result.passed
    (0, False)
    >>> print(result.hint)
    sigmoid is not written yet. What to do ...
    """

    exercise: Exercise
    outcomes: tuple[Outcome, ...]
    printed: str = ""

    @property
    def points(self) -> int:
        """How many it got, dimensionless."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def passed(self) -> bool:
        """Whether it got all."""
        return self.points == self.exercise.points

    @property
    def hint(self) -> str:
        """What is wrong with the first part that is; empty if nothing is."""
        return next((o.hint for o in self.outcomes if o.hint), "")

    def __str__(self) -> str:
        lines = []
        if self.printed:
            lines += ["Your file printed:", *_indented(self.printed), ""]
        e = self.exercise
        lines.append(f"{e.name}: {self.points} of {e.points} points")
        for outcome in self.outcomes:
            part = outcome.part
            lines.append(f"  {outcome.points} of {part.points}  {part.title}")
        if not self.passed:
            title = next(o.part.title for o in self.outcomes if o.hint)
            lines += ["", f"Hint, {title}:", *_indented(self.hint)]
        return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]


def check(path: str | Path, *, seconds: float | None = None) -> Result:
    """Check an answer: run the file, give points for each part, and a hint.

    Parameters
    ----------
    path : path
        A file that was begun with :func:`start`, whatever it is called now.
    seconds : float, optional
        How long it may take, in s; the exercise's own time unless given.

    Returns
    -------
    Result
        Whatever the file does: run without end, crash, print without end.

    Raises
    ------
    ValueError
        If the file does not say which exercise it is an answer to.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from tinygrad_edu.course import exercises
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = exercises.check(exercises.start("softmax", folder))
    >>> print(f"{result.points} points: {result.hint[:29]}")
    0 points: softmax is not written yet. W
    """
    exercise = exercise_of(path)
    limit = exercise.seconds if seconds is None else seconds
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        told.touch()
        printed, problem = _run(Path(path), told, limit)
        lines = [json.loads(line) for line in told.read_text("utf-8").split("\n")[:-1]]
    return Result(exercise, _outcomes(exercise, lines, problem), printed)


def _outcomes(
    exercise: Exercise, told: list[dict[str, Any]], problem: str
) -> tuple[Outcome, ...]:
    """Return what the process told of the parts, and of the others why it did not."""
    hints = [line["hint"] for line in told if "hint" in line]
    if not any("loaded" in line for line in told):
        where = " while the file itself was run, before any part"
    elif len(hints) < len(exercise.parts):
        where = f" in this part: {exercise.parts[len(hints)].title}"
    else:
        where = ""
    said = [line["problem"] for line in told if "problem" in line]
    why = said[0] if said else f"{problem}{where}"
    hints += [why] * (len(exercise.parts) - len(hints))
    return tuple(Outcome(p, h) for p, h in zip(exercise.parts, hints, strict=True))


def _run(path: Path, told: Path, seconds: float) -> tuple[str, str]:
    """Run the worker; return what was printed, and why it came to no end of its own."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
        "PYTHONUTF8": "1",
        "MPLBACKEND": "Agg",  # a picture that is shown waits for nobody
    }
    module = "tinygrad_edu.course.exercises.worker"
    process = subprocess.Popen(
        # -P: what lies in the present folder must not hide the standard library.
        [sys.executable, "-P", "-u", "-m", module, str(path.resolve()), str(told)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    pipe = process.stdout
    output = bytearray()
    count = 0

    def read() -> None:
        nonlocal count
        while part := os.read(pipe.fileno(), 65536):
            output.extend(part[: max(0, 4 * _PRINTED - len(output))])
            count += len(part)
            if count > _TOO_MUCH:
                _end(process)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    problem = ""
    try:
        code = process.wait(seconds)
        if count > _TOO_MUCH:
            problem = f"stopped after more than {_TOO_MUCH:,} characters were printed"
        elif code < 0:
            name = signal.Signals(-code).name
            problem = f"the process crashed (it was ended by {name})"
        else:
            problem = f"the process ended itself with exit code {code}"
    except subprocess.TimeoutExpired:
        problem = (
            f"stopped after {seconds:g} s. Is there a loop that does not end? It was"
        )
    finally:
        _end(process)  # and whatever it started
        process.wait()
        reader.join(5)
        pipe.close()
    return _beginning(output.decode("utf-8", "replace"), count), problem


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _beginning(text: str, count: int) -> str:
    if len(text) <= _PRINTED:
        return text
    return f"{text[:_PRINTED]}\n... ({count:,} bytes in all)"
