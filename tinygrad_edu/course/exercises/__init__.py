"""Exercises along the lecture, and a checker that gives points and hints."""

from tinygrad_edu.course.exercises.catalogue import EXERCISES, catalogue, start
from tinygrad_edu.course.exercises.checking import Result, check
from tinygrad_edu.course.exercises.exercise import Exercise

__all__ = ["EXERCISES", "Exercise", "Result", "catalogue", "check", "start"]
