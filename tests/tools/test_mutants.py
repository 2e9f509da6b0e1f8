"""The test of the checks sees what they let pass, and what they find."""

from __future__ import annotations

import contextlib
import signal
import time

import mutants
import numpy as np
import pytest
from mutants import Mutant, planted, tried

import tinygrad_edu as te


def test_a_mutant_is_killed_and_the_rule_is_put_back():
    rules = te.tanh.rules

    for kind in ("doubled everywhere", "doubled at 1", "a constant in g", "abs(g)"):
        assert tried(Mutant("tanh", "x", kind))[1] == "killed"

    assert te.tanh.rules is rules


def test_a_change_of_the_source_is_killed_and_put_back():
    first = next(m for m in mutants.mutants_of(te.maximum) if m.change >= 0)
    code = te.maximum.rules[0].__code__

    assert tried(first)[1] == "killed"
    assert te.maximum.rules[0].__code__ is code


def test_a_rule_is_put_back_after_an_error():
    rules = te.tanh.rules

    with pytest.raises(KeyboardInterrupt), planted(Mutant("tanh", "x", "abs(g)")):
        raise KeyboardInterrupt

    assert te.tanh.rules is rules


@pytest.mark.parametrize(
    ("kind", "state"),
    [("doubled at 1", "survived"), ("doubled of three axes or more", "equivalent")],
)
def test_what_a_check_lets_pass_has_survived_unless_it_is_equivalent(
    monkeypatch, kind, state
):
    monkeypatch.setattr(te, "check_op", lambda op, **how: None)
    monkeypatch.setattr(mutants, "INPUTS", 200)

    assert tried(Mutant("tanh", "x", kind))[1] == state


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm here")
def test_what_never_ends_is_killed_whatever_a_check_catches(monkeypatch):
    def endless(op, **how):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(5)

    monkeypatch.setattr(te, "check_op", endless)
    monkeypatch.setattr(mutants, "SECONDS", 1)

    assert tried(Mutant("tanh", "x", "abs(g)"))[1] == "killed"


def test_what_differs_beside_a_kink_alone_is_counted_apart(monkeypatch):
    monkeypatch.setattr(te, "check_op", lambda op, **how: None)
    monkeypatch.setattr(mutants, "INPUTS", 200)

    assert tried(Mutant("leaky_relu", "x", "doubled at 0"))[1] == "at kinks"


def test_the_report_gives_the_share_of_those_that_are_not_equivalent():
    states = ["killed", "killed", "killed", "survived", "equivalent", "none"]
    kinds = [Mutant("tanh", "x", "abs(g)") for _ in states]

    text, share = mutants.report([*zip(kinds, states, strict=True)])

    assert share == 0.25
    assert "survived: tanh, by x: abs(g)" in text
    assert text.endswith("25.00% of those that are not equivalent survived")


@pytest.mark.slow
def test_of_a_sample_of_mutants_no_more_than_two_percent_survive(monkeypatch):
    monkeypatch.setattr(mutants, "INPUTS", 300)
    every = [m for op in mutants.operations() for m in mutants.mutants_of(op)]
    sample = np.random.default_rng(0).choice(len(every), 150, replace=False)

    _, share = mutants.report(mutants.run([every[i] for i in sample], 1))

    assert share <= 0.02
