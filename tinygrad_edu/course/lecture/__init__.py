"""The lecture's networks, as data, and a function that trains and judges them.

Three are the lecture's own, with its random draws, learning rate and order of the
examples. The fourth is its ten-digit network again, of the same size, trained well.
"""

from tinygrad_edu.course.lecture.derivation import derived
from tinygrad_edu.course.lecture.pictures import drawing, save_pictures
from tinygrad_edu.course.lecture.results import Result
from tinygrad_edu.course.lecture.systems import SYSTEMS, System
from tinygrad_edu.course.lecture.training import load, run

__all__ = [
    "SYSTEMS",
    "Result",
    "System",
    "derived",
    "drawing",
    "load",
    "run",
    "save_pictures",
]
