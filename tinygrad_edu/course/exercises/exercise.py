"""What an exercise is, and how an answer to it is judged, part by part."""

from __future__ import annotations

import copy
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Any

import numpy as np

__all__ = [
    "Answer",
    "Exercise",
    "Outcome",
    "Part",
    "Wrong",
    "called",
    "exercise_named_in",
    "hinting",
    "judged",
    "real",
    "shown",
]

_LINE = re.compile(r"^# tinygrad-edu exercise: *(\S+)[ \t]*\r?$", re.MULTILINE)
_SHOWN = 12  # entries of an array that a hint prints


class Wrong(Exception):
    """An answer is wrong; the text is the hint."""


@contextmanager
def hinting(text: str) -> Iterator[None]:
    """Say more below the hint of an answer that is wrong.

    Examples
    --------
    >>> with hinting("Think of large numbers"):
    ...     raise Wrong("came inf, expected 1000")
    Traceback (most recent call last):
    tinygrad_edu.course.exercises.exercise.Wrong: came inf, expected 1000
    Think of large numbers
    """
    try:
        yield
    except Wrong as wrong:
        raise Wrong(f"{wrong}\n{text}".rstrip()) from None


@dataclass(frozen=True)
class Part:
    """What is asked for, and what it is worth.

    Attributes
    ----------
    title : str
    check : callable
        ``check(answer)`` raises :class:`Wrong` if the answer is.
    points : int
        Dimensionless.
    """

    title: str
    check: Callable[[Answer], None]
    points: int = 1


@dataclass(frozen=True)
class Exercise:
    """An exercise of the lecture.

    Attributes
    ----------
    name : str
    title : str
    chapter : str
    parts : tuple of Part
        In the order in which they are judged, the easier ones first.
    seconds : float
        How long the check may take, in s.

    Examples
    --------
    >>> from tinygrad_edu.course.exercises import EXERCISES
    >>> exercise = EXERCISES["sigmoid"]
    >>> exercise.title, exercise.points
    ('the sigmoid, stable at any input', 4)
    >>> print(exercise.starter.splitlines()[0])
    # tinygrad-edu exercise: sigmoid
    """

    name: str
    title: str
    chapter: str
    parts: tuple[Part, ...]
    seconds: float = 20.0

    @property
    def points(self) -> int:
        """How many there are to be had, dimensionless."""
        return sum(part.points for part in self.parts)

    @property
    def starter(self) -> str:
        """The text of the file to begin with."""
        folder = resources.files("tinygrad_edu.course.exercises.starters")
        return (folder / f"{self.name}.txt").read_text("utf-8")


@dataclass(frozen=True)
class Outcome:
    """What an answer got for a part.

    Attributes
    ----------
    part : Part
    hint : str
        What is wrong; empty if nothing is.
    """

    part: Part
    hint: str = ""

    @property
    def points(self) -> int:
        """All of the part's, or none."""
        return 0 if self.hint else self.part.points


def exercise_named_in(text: str) -> str | None:
    """Return the name in the line that starters begin with, if there is such a line.

    Examples
    --------
    >>> exercise_named_in("# tinygrad-edu exercise: softmax")
    'softmax'
    """
    found = _LINE.search(text)
    return found[1] if found else None


class Answer:
    """What a file defines, called with care.

    Parameters
    ----------
    module : ModuleType
        The file, as it was run.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def get(self, name: str) -> Any:
        """Return what the file calls ``name``.

        Raises
        ------
        Wrong
            If there is no such thing.
        """
        if not hasattr(self.module, name):
            raise Wrong(
                f"the file defines no {name}. Keep the names that the starter has"
            )
        return getattr(self.module, name)

    def call(self, name: str, args: Mapping[str, Any], *, loud: bool = False) -> Any:
        """Return what a function of the file returns.

        Parameters
        ----------
        name : str
            Of the function.
        args : mapping of str to object
            What it is handed, in this order; the names are for hints. Arrays are
            copied, so the function may write to them.
        loud : bool, default False
            Whether an overflow, or a nan that comes up, is an error.

        Returns
        -------
        object

        Raises
        ------
        Wrong
            If there is no such function, or it does not return.
        """
        function = self.get(name)
        if not callable(function):
            raise Wrong(f"{name} is no function but {type(function).__name__}")
        handed = [copy.deepcopy(x) for x in args.values()]
        try:
            with np.errstate(all="raise" if loud else "ignore", under="ignore"):
                return function(*handed)
        except NotImplementedError:
            raise Wrong(
                f"{name} is not written yet. What to do stands at the top of the file; "
                "write its body in place of raise NotImplementedError"
            ) from None
        except FloatingPointError as error:
            text = f"{called(name, args)}: {error}{self.line_of(error)}"
            raise Wrong(text) from error
        except (Exception, SystemExit) as error:  # whatever a function does
            said = " ".join(str(error).split())
            raise Wrong(
                f"{called(name, args, _size)} stopped with {type(error).__name__}"
                f"{': ' if said else ''}{said[:300]}{self.line_of(error)}"
            ) from error

    def line_of(self, error: BaseException) -> str:
        """Say in which line of the file an error came up, if it was in one."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == self.module.__file__]
        return f" (line {lines[-1]} of your file)" if lines else ""

    def array(
        self, name: str, args: Mapping[str, Any], *, loud: bool = False
    ) -> np.ndarray:
        """Return what a function of the file returns, which must be real numbers.

        Raises
        ------
        Wrong
            If it is something else; also as for :meth:`call`.
        """
        return real(self.call(name, args, loud=loud), called(name, args))

    def several(self, name: str, args: Mapping[str, Any], parts: str) -> list[Any]:
        """Return the results of a function that returns several.

        Parameters
        ----------
        name, args
            As for :meth:`call`.
        parts : str
            What they are called, separated by commas.

        Raises
        ------
        Wrong
            If there are more or fewer of them; also as for :meth:`call`.
        """
        came = self.call(name, args)
        count = parts.count(",") + 1
        if not isinstance(came, tuple | list) or len(came) != count:
            what = f"{len(came)} results" if isinstance(came, tuple | list) else ""
            raise Wrong(
                f"{name} must return {parts}; came {what or type(came).__name__}"
            )
        return list(came)


def real(came: Any, what: str) -> np.ndarray:
    """Return real numbers as an array.

    Raises
    ------
    Wrong
        If it is something else; ``what`` says where it came from.
    """
    if came is None:
        raise Wrong(f"{what} returned None: is there a return?")
    try:
        array = np.asarray(getattr(came, "data", came) if _is_tensor(came) else came)
    except ValueError as error:  # ragged
        raise Wrong(f"{what}: came no array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise Wrong(f"{what}: came {type(came).__name__}, expected real numbers")
    return array


def _is_tensor(x: Any) -> bool:
    return hasattr(x, "requires_grad")


def _size(x: Any) -> str:
    """Return an array's shape: of an error on the way that tells more than numbers."""
    return f"an array of shape {x.shape}" if np.size(x) > 1 else shown(x)


def shown(x: Any) -> str:
    """Return a value for a hint: small arrays as numbers, others as a shape.

    Examples
    --------
    >>> shown(np.array([0.5, 2.0])), shown(np.zeros((64, 10)))
    ('[0.5, 2]', 'an array of shape (64, 10)')
    """
    if isinstance(x, np.ndarray | float | np.floating):
        x = np.asarray(x)
        if x.size > _SHOWN:
            return f"an array of shape {x.shape}"
        with np.printoptions(formatter={"float": lambda v: f"{v:.10g}"}):
            return re.sub(r"\s+", " ", np.array2string(x, separator=", "))
    text = repr(x)
    return text if len(text) <= 60 and " at 0x" not in text else type(x).__name__


def called(
    name: str, args: Mapping[str, Any], show: Callable[[Any], str] = shown
) -> str:
    """Return a call as text.

    Examples
    --------
    >>> called("neuron", {"x": np.array([2.0, 3.0]), "w": 1.0})
    'neuron(x, w) with x = [2, 3], w = 1'
    """
    given = ", ".join(f"{key} = {show(x)}" for key, x in args.items())
    return f"{name}({', '.join(args)}) with {given}"


def judged(exercise: Exercise, answer: Answer) -> Iterator[Outcome]:
    """Judge an answer: yield an outcome for each part.

    Parameters
    ----------
    exercise : Exercise
    answer : Answer

    Yields
    ------
    Outcome
    """
    for part in exercise.parts:
        hint = ""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                part.check(answer)
            except Wrong as wrong:
                hint = str(wrong)
            except Exception as error:  # a file may return whatever it likes
                hint = f"what came cannot be judged: {type(error).__name__}: {error}"
        yield Outcome(part, hint)
