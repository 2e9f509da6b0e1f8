"""All exercises by name, and how one begins with one of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from tinygrad_edu.course.exercises import better, mechanics, networks, single_neuron
from tinygrad_edu.course.exercises.exercise import Exercise, exercise_named_in

__all__ = ["EXERCISES", "catalogue", "exercise_of", "start"]

#: The exercises by name, in the order of the lecture.
EXERCISES: Mapping[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        *single_neuron.EXERCISES,
        *networks.EXERCISES,
        *mechanics.EXERCISES,
        *better.EXERCISES,
    )
}


def exercise_of(path: str | Path) -> Exercise:
    """Return the exercise that a file is an answer to.

    Parameters
    ----------
    path : path
        Whatever it is called: the line that the starter begins with tells.

    Returns
    -------
    Exercise

    Raises
    ------
    ValueError
        If there is no such line in it, or no exercise of that name.
    OSError
        If it cannot be read.
    """
    name = exercise_named_in(Path(path).read_text("utf-8-sig", errors="replace"))
    if name is None:
        raise ValueError(
            f"{path} does not say which exercise it is: keep the starter's first line, "
            "# tinygrad-edu exercise: NAME"
        )
    if name not in EXERCISES:
        raise ValueError(
            f"{path} names exercise {name!r}; there are {', '.join(EXERCISES)}"
        )
    return EXERCISES[name]


def start(name: str, folder: str | Path = ".") -> Path:
    """Write an exercise's starter into a folder.

    Parameters
    ----------
    name : str
        One of :data:`EXERCISES`.
    folder : path, default "."

    Returns
    -------
    Path
        Of the new file, NAME.py.

    Raises
    ------
    ValueError
        If there is no exercise of that name.
    FileExistsError
        If the file is there already: it is never written over.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(start("softmax", folder).read_text("utf-8").splitlines()[0])
    # tinygrad-edu exercise: softmax
    """
    if name not in EXERCISES:
        raise ValueError(
            f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}"
        )
    path = Path(folder) / f"{name}.py"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXERCISES[name].starter)
    except FileExistsError:
        raise FileExistsError(
            f"{path} is there already, and stays as it is. To begin anew, rename it"
        ) from None
    return path


def catalogue(folder: str | Path = ".") -> str:
    """Return a table of the exercises by chapter.

    Parameters
    ----------
    folder : path, default "."
        Of the .py files in it, those that are answers are named.

    Returns
    -------
    str

    Examples
    --------
    >>> print(catalogue("no such folder").splitlines()[1])
      neuron                 3 points  a neuron's forward pass
    """
    here: dict[str, list[str]] = {}
    for path in sorted(Path(folder).glob("*.py")):
        name = exercise_named_in(path.read_text("utf-8-sig", errors="replace"))
        here.setdefault(name or "", []).append(path.name)
    lines = []
    for chapter, of_it in groupby(EXERCISES.values(), lambda e: e.chapter):
        lines.append(chapter)
        for e in of_it:
            found = f" (here: {', '.join(here[e.name])})" if e.name in here else ""
            lines.append(f"  {e.name:22} {e.points} points  {e.title}{found}")
    count = sum(e.points for e in EXERCISES.values())
    lines.append(f"{len(EXERCISES)} exercises, {count} points")
    return "\n".join(lines)
