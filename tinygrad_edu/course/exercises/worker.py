"""What runs in a process of its own: a file, then its parts one after the other."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_edu.course.exercises.catalogue import exercise_of
from tinygrad_edu.course.exercises.exercise import Answer, Wrong, judged

__all__ = ["load", "main"]


def load(source: str | bytes, path: str) -> Answer:
    """Run a file, and return what it defines.

    Parameters
    ----------
    source : str or bytes
        What stands in it.
    path : str
        Where it is.

    Returns
    -------
    Answer

    Raises
    ------
    Wrong
        If it does not run to its end.
    """
    module = ModuleType("answer")
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise Wrong(
            f"line {error.lineno} of your file is no Python: {error.msg}"
            f"{chr(10) if line else ''}{line}"
        ) from error
    except SystemExit as error:
        at = Answer(module).line_of(error)
        raise Wrong(
            f"the file ends the program by itself{at}; the check needs its functions"
        ) from error
    except Exception as error:  # whatever it does
        at = Answer(module).line_of(error)
        said = "".join(traceback.format_exception_only(error)).strip()
        text = f"the file stopped with {said}{at}"
        if isinstance(error, EOFError):
            text += ". There is no keyboard here: do without input()"
        raise Wrong(text) from error
    return Answer(module)


def main(path: str, told: str) -> None:
    """Run a file, judge its parts, and tell of each in a line of the file ``told``."""
    sys.path.append(str(Path(path).parent))  # answers to earlier exercises lie there
    with open(told, "a", encoding="utf-8") as file:

        def tell(**what: Any) -> None:
            print(json.dumps(what), file=file, flush=True)

        try:
            exercise = exercise_of(path)
            answer = load(Path(path).read_bytes(), path)
        except Wrong as wrong:
            tell(problem=str(wrong))
            return
        tell(loaded=True)
        for outcome in judged(exercise, answer):
            tell(hint=outcome.hint)


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # and wait for nothing that the file may have left running
