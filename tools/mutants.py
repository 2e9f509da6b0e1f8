"""Is a wrong rule found? Break every rule in many ways, and ask ``te.check_op``.

python tools/mutants.py                  # all, on two processes
python tools/mutants.py --op maximum     # of one operation
python tools/mutants.py --sample 150     # some of them, drawn with --seed

Each mutant is a rule of a declared operation with one fault: its numbers are changed at
some inputs, it is no longer linear in g, or its source is (+ for -, < for >, 2 for 1).
What ``check_op`` (for rules that are not linear ``gradcheck``, too) takes for right has
survived. Survivors that give the same numbers as the right rule at thousands of inputs,
also when differentiated again, are equivalent; those that give others only beside
kinks, where any slope between is right, may be. Both are counted apart. The exit status
is 1 if more than ``--bar`` of the others survive.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from faults import BENT, DOUBLED, OTHERWISE, broken, numbers
from slips_in_source import changes, helpers
from tqdm import tqdm

import tinygrad_edu as te
from tinygrad_edu.checks.differences import one_sided
from tinygrad_edu.checks.problems import as_called, of_operation
from tinygrad_edu.engine.core import Op, Tensor
from tinygrad_edu.engine.declaration import _EveryPosition

SECONDS = 60  # for one mutant: what takes longer has been noticed
STATES = ("killed", "equivalent", "at kinks", "survived")
INPUTS = 2000  # that an equivalent mutant is tried at


class TooLong(BaseException):
    """A mutant takes too long; no ``except Exception`` of a check holds it up."""


class Mutant(NamedTuple):
    """One fault in one rule; of a change to the source, which one of the rule's."""

    op: str
    argument: str
    kind: str
    change: int = -1


def rules_of(op: Op) -> dict[str, Any]:
    """Return the rule of each argument that has a derivative."""
    rules = [op.rules.rule] if op.variadic else list(op.rules)
    named = dict(zip(op.arguments, rules, strict=True))
    return {name: rule for name, rule in named.items() if name not in op.constant}


@cache
def written() -> dict[Any, list[tuple[str, str]]]:
    """Return the functions that rules are written in, each with those who use it."""
    found: dict[Any, list[tuple[str, str]]] = {}
    for op in operations():
        forward = set(helpers(op.forward))
        for argument, rule in rules_of(op).items():
            for function in helpers(rule):
                if function not in forward:  # else it changes the operation as well
                    found.setdefault(function, []).append((op.name, argument))
    return found


# ------------------------------------------------------------------------ the mutants


def operations() -> list[Op]:
    """Return the package's operations that have cases and rules."""
    ours = [
        o for o in te.OPS.values() if o.forward.__module__.startswith("tinygrad_edu.")
    ]
    return [op for op in ours if op.cases and set(op.arguments) - op.constant]


def mutants_of(op: Op) -> Iterator[Mutant]:
    """Yield all mutants of an operation's rules."""
    for argument in rules_of(op):
        kinds = [f"doubled {kind}" for kind in DOUBLED if _may_differ(op, kind)]
        kinds += [*OTHERWISE, *BENT]
        kinds += [f"doubled in case {i}" for i, c in enumerate(op.cases) if c.kwargs]
        yield from (Mutant(op.name, argument, kind) for kind in kinds)
        for function, users in written().items():
            if users[0] == (op.name, argument):
                for i, (text, _) in enumerate(changes(function)):
                    yield Mutant(op.name, argument, f"{function.__name__}, {text}", i)


def _may_differ(op: Op, kind: str) -> bool:
    """Whether there are such inputs: another argument, so many axes."""
    if "argument" in kind:
        return op.variadic or len(op.arguments) > 1
    axes = {np.ndim(x) for case in op.cases for x in case.sample(0) if x is not None}
    if kind == "of a single number":
        return 0 in axes
    return kind != "of three axes or more" or max(axes) > 2


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[list[Op]]:
    """Put a mutant in the place of the rule; yield who uses it."""
    op = te.OPS[mutant.op]
    if mutant.change >= 0:
        function, users, changed = _changed_source(mutant)
        code = function.__code__
        function.__code__ = changed
        try:
            yield [] if changed == code else users
        finally:
            function.__code__ = code
        return
    before, position = op.rules, op.arguments.index(mutant.argument)
    rules = [before.rule] if op.variadic else list(before)
    rules[position] = bad = broken(rules[position], position, mutant.kind, op.cases)
    op.rules = _EveryPosition(bad) if op.variadic else rules
    try:
        yield [op]
    finally:
        op.rules = before


@lru_cache(maxsize=1)  # it is planted again and again
def _changed_source(mutant: Mutant) -> tuple[Any, list[Op], Any]:
    """Return the function that is changed, the operations behind it, and its code."""
    for function, users in written().items():
        if users[0] == mutant[:2] and mutant.kind.startswith(f"{function.__name__}, "):
            for i, (text, make) in enumerate(changes(function)):
                if (f"{function.__name__}, {text}", i) == mutant[2:]:
                    names = dict.fromkeys(name for name, _ in users)
                    ops = [te.OPS[name] for name in names]
                    return function, ops, make() or function.__code__
    raise LookupError(mutant)


# ----------------------------------------------------------------------- are they found


def rejected(check: Callable[[], Any]) -> bool:
    """Whether a check ends with an error, of whatever kind: that is no silent one."""
    try:
        check()
    except Exception:
        return True
    return False


def by_check_op(op: Op) -> bool:
    """Whether check_op rejects an operation; its values are right."""
    return rejected(lambda: te.check_op(op, reference=op))


def by_gradcheck(op: Op, argument: str) -> bool:
    """Whether gradcheck rejects an operation in one of its cases."""
    for case in op.cases:
        inputs = case.sample(0)
        by = {i: x for i, x in enumerate(inputs) if is_leaf(op, i, x)}

        def f(*given: Any, by: Any = by, inputs: Any = inputs, case: Any = case) -> Any:
            moved = dict(zip(by, given, strict=True))
            args = [moved.get(i, x) for i, x in enumerate(inputs)]
            return op.call(*as_called(op, args, case.kwargs), **case.kwargs)

        if argument in map(op.argument, by) and rejected(
            partial(te.gradcheck, f, *by.values())
        ):
            return True
    return False


def tried(mutant: Mutant) -> tuple[Mutant, str]:
    """Say of a mutant whether it is killed, survived, equivalent, or none at all."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with planted(mutant) as users:
            if not users:
                return mutant, "none"
            try:
                with _limited():
                    killed = any(by_check_op(op) for op in users)
                    if killed and mutant.kind in BENT:
                        killed = by_gradcheck(users[0], mutant.argument)
            except TooLong:
                killed = True
        if killed:
            return mutant, "killed"
        return mutant, max((of_survivor(mutant, op) for op in users), key=STATES.index)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Stop what takes too long, where the system can."""

    def stop(*_: Any) -> None:
        raise TooLong

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------ are they equivalent


def of_survivor(mutant: Mutant, op: Op) -> str:
    """Say whether a mutant gives other numbers than the right rule, at many inputs."""
    rng, state = np.random.default_rng(0), "equivalent"
    for i in range(0, INPUTS, 100):
        tries = []
        for k in range(i, i + 100):
            case = op.cases[k % len(op.cases)]
            inputs = moved(case, rng, k // len(op.cases) % 6)
            tries.append((op, case, inputs, int(rng.integers(2**32))))
        right = [outcome(*each) for each in tries]
        with planted(mutant):
            for each, found in zip(tries, right, strict=True):
                if found is None:
                    continue
                wrong = outcome(*each)
                if wrong is None or any(map(differ, found, wrong)):
                    state = "at kinks"
                    if not has_kink(*each[:3]):
                        return "survived"
    return state


def moved(case: te.Case, rng: np.random.Generator, how: int) -> list[Any]:
    """Return inputs of a case: as drawn, larger, with numbers that are round or tie."""
    inputs = case.sample(rng)
    for i, x in enumerate(inputs):
        if x is None or x.dtype.kind != "f" or not x.size:
            continue
        if how == 1:  # one number at 0, 1, -1, or as another one is
            x.flat[rng.integers(x.size)] = rng.choice([0.0, 1.0, -1.0, x.flat[0]])
        elif how == 2:
            inputs[i] = rng.permuted(x.ravel()).reshape(x.shape)
        elif how == 3 and isinstance(case.inputs[i], tuple):
            inputs[i] = np.round(1.5 * x)
        elif how > 3 and isinstance(case.inputs[i], tuple):
            inputs[i] = x * rng.choice([-4.0, -2.0, 2.0, 4.0])
    return inputs


def is_leaf(op: Op, position: int, x: Any) -> bool:
    """Whether there is a derivative by an input."""
    return (
        x is not None
        and x.dtype.kind == "f"
        and op.argument(position) not in (op.constant)
    )


def has_kink(op: Op, case: te.Case, inputs: Sequence[Any]) -> bool:
    """Whether the slopes on both sides of some input differ: then either is right."""
    problem = of_operation(op, inputs, {**op.metadata, **case.kwargs})
    for leaf in problem.leaves:
        for direction in np.eye(leaf.size).reshape(-1, *leaf.shape):
            sides = one_sided(problem.values, leaf.data, direction)
            apart = np.abs(sides.right - sides.left)
            if not np.all(apart <= 1e-2 * np.abs(sides.left) + 4 * sides.doubt):
                return True
    return False


def outcome(
    op: Op, case: te.Case, inputs: Sequence[Any], seed: int
) -> list[Any] | None:
    """Return first and second derivatives for random g; None where they are refused."""
    rng = np.random.default_rng(seed)
    leaves = [
        te.tensor(x, requires_grad=True) if is_leaf(op, i, x) else x
        for i, x in enumerate(inputs)
    ]
    by = [x for x in leaves if isinstance(x, Tensor)]
    found: list[Any] = []
    try:
        out = op.call(*as_called(op, leaves, case.kwargs), **case.kwargs)
        for y in (out if isinstance(out, tuple) else (out,)) if by else ():
            if not np.all(np.isfinite(numbers(y))):
                return None
            g = te.tensor(4 * rng.standard_normal(y.shape), requires_grad=True)
            found += te.gradients(y, by, gradient=g.data)
            if not all(map(np.all, map(np.isfinite, found))):
                return None
            for d in te.gradients(y, by, gradient=g, create_graph=True):
                found.append(numbers(d))
                weights = rng.standard_normal(d.shape)
                if d.requires_grad:
                    found += te.gradients(d, [*by, g], gradient=weights)
    except Exception:
        return None
    return found or None


def differ(a: Any, b: Any) -> bool:
    """Whether two gradients differ by more than rounding, where the first is known."""
    known = np.isfinite(a)
    scale = np.max(np.abs(a), initial=0.0, where=known)
    return not np.all(np.abs(a - b)[known] <= 1e-9 * scale)


# ------------------------------------------------------------------------- the program


def kind_of(mutant: Mutant) -> str:
    """Return what a mutant is counted under."""
    if mutant.change >= 0:
        return "source changed"
    if mutant.kind in BENT:
        return "not linear in g"
    return mutant.kind.rstrip("0123456789 ") if " case " in mutant.kind else mutant.kind


def report(outcomes: Sequence[tuple[Mutant, str]]) -> tuple[str, float]:
    """Return the figures as text, and the share of the survivors."""
    kinds: dict[str, Counter[str]] = {}
    for mutant, state in outcomes:
        if state != "none":
            kinds.setdefault(kind_of(mutant), Counter())[state] += 1
    total = sum(kinds.values(), Counter())
    lines = [f"{'kind':44} {' '.join(f'{s:>10}' for s in STATES)}"]
    for kind, count in [*sorted(kinds.items()), ("all", total)]:
        lines.append(f"{kind:44} {' '.join(f'{count[s]:10}' for s in STATES)}")
    survivors = sorted(mutant for mutant, state in outcomes if state == "survived")
    lines += [f"survived: {m.op}, by {m.argument}: {m.kind}" for m in survivors]
    share = total["survived"] / max(total["survived"] + total["killed"], 1)
    lines.append(f"{share:.2%} of those that are not equivalent survived")
    return "\n".join(lines), share


def run(mutants: Sequence[Mutant], processes: int) -> list[tuple[Mutant, str]]:
    """Try each mutant, on several processes; show how far it is."""
    bar = partial(tqdm, total=len(mutants), unit="mutant", disable=None)
    if processes == 1:
        return [*bar(map(tried, mutants))]
    with multiprocessing.Pool(processes) as pool:
        return [*bar(pool.imap_unordered(tried, mutants, chunksize=4))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--op", help="only the mutants of this operation")
    parser.add_argument("--sample", type=int, help="only so many, drawn by chance")
    parser.add_argument("--seed", type=int, default=0, help="for --sample")
    parser.add_argument(
        "--bar", type=float, default=0.01, help="share that may survive"
    )
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    ops = [op for op in operations() if chosen.op in (None, op.name)]
    mutants = [m for op in ops for m in mutants_of(op)]
    if chosen.sample is not None and chosen.sample < len(mutants):
        picked = np.random.default_rng(chosen.seed).permutation(len(mutants))
        mutants = [mutants[i] for i in sorted(picked[: chosen.sample])]
    text, share = report(run(mutants, chosen.processes))
    print(text)
    return int(share > chosen.bar)


if __name__ == "__main__":
    sys.exit(main())
