"""When operations record: no_grad in blocks, functions, generators, threads, tasks."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu.engine.recording import RECORDING, Scope


@pytest.fixture
def x():
    return te.tensor([1.0, 2.0], requires_grad=True)


@pytest.fixture
def records(x):
    """Whether an operation records at this very place."""
    return lambda: (x * x).requires_grad


# ------------------------------------------------------------------------------- blocks


def test_nothing_is_recorded_inside_the_block(x):
    with te.no_grad():
        y = x * x

    assert (y.requires_grad, y.is_leaf, y.inputs, y.op) == (False, True, (), None)
    np.testing.assert_array_equal(y.data, [1.0, 4.0])


def test_recording_goes_on_after_the_block(records):
    assert records()
    with te.no_grad():
        assert not records()
    assert records()


def test_blocks_nest(records):
    with te.no_grad():
        with te.no_grad():
            assert not records()
        assert not records()
    assert records()


def test_an_error_ends_the_block(records):
    with pytest.raises(ZeroDivisionError), te.no_grad():
        raise ZeroDivisionError

    assert records()


def test_one_object_serves_many_blocks(records):
    off = te.no_grad()
    for _ in range(2):
        with off:
            with off:
                assert not records()
            assert not records()
        assert records()


def test_a_leaf_made_inside_still_requires_gradients():
    with te.no_grad():
        w = te.tensor(2.0, requires_grad=True)

    (w * w).backward()
    assert w.grad == 4.0


def test_backward_works_inside(x):
    loss = te.sum(x * x)

    with te.no_grad():
        loss.backward()

    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


def test_a_stack_of_contexts_may_hold_it(records):
    with ExitStack() as stack:
        stack.enter_context(te.no_grad())
        assert not records()
    assert records()


# ------------------------------------------------------------------------- as decorator


def test_a_decorated_function_records_nothing(records):
    @te.no_grad()
    def inside():
        """What it says."""
        return records()

    assert inside() is False
    assert records()
    assert inside.__doc__ == "What it says."


def test_a_decorated_function_may_call_itself(records):
    @te.no_grad()
    def down(n):
        return [records()] + (down(n - 1) if n else []) + [records()]

    assert down(3) == [False] * 8
    assert records()


def test_a_decorated_function_that_fails_puts_recording_back(records):
    @te.no_grad()
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert records()


# --------------------------------------------------------------------------- generators


def pausing(records, steps=2):
    """Pauses inside the block, saying whether it records."""
    with te.no_grad():
        for _ in range(steps):
            yield records()
    yield records()


def test_the_consumer_of_a_pausing_generator_records(records):
    seen = []
    for inside in pausing(records):
        seen.append((inside, records()))

    assert seen == [(False, True), (False, True), (True, True)]
    assert records()


def test_what_the_generator_calls_is_inside_too(records):
    def deeper():
        return (lambda: records())()

    def generate():
        with te.no_grad():
            yield deeper()
            yield from (deeper() for _ in range(1))

    assert list(generate()) == [False, False]
    assert records()


def test_a_decorated_generator_function_records_nothing_inside(records):
    @te.no_grad()
    def generate(n):
        """What it says."""
        for _ in range(n):
            got = yield records()
            assert got == "sent"
        return "returned"

    def consume():
        result = yield from generate(2)
        yield result

    g = consume()
    assert (next(g), records()) == (False, True)
    assert (g.send("sent"), records()) == (False, True)
    assert g.send("sent") == "returned"
    assert records()
    assert generate.__doc__ == "What it says."


@pytest.mark.parametrize("end", ["close", "drop", "throw"])
def test_a_generator_that_ends_early_puts_recording_back(records, end):
    g = pausing(records)
    next(g)

    if end == "close":
        g.close()
    elif end == "throw":
        with pytest.raises(ZeroDivisionError):
            g.throw(ZeroDivisionError)
    else:
        del g

    assert records()


def test_the_consumers_own_block_holds_when_the_generator_ends_inside(records):
    g = pausing(records, steps=1)
    assert next(g) is False

    with te.no_grad():
        assert next(g) is False  # the consumer's block reaches into it
        assert list(g) == []
        assert not records()
    assert records()


def test_a_generator_started_inside_a_block_and_finished_outside(records):
    g = pausing(records, steps=2)
    with te.no_grad():
        assert next(g) is False
        assert not records()

    assert records()
    assert next(g) is False  # its own block has not ended
    assert records()
    assert list(g) == [True]
    assert records()


def test_generators_started_inside_nested_blocks_and_finished_outside(records):
    first, second = pausing(records, steps=3), pausing(records, steps=3)
    with te.no_grad():
        next(first)
        with te.no_grad():
            next(second)
            assert not records()
        assert not records()
        assert [next(first), next(second)] == [False, False]
    assert records()
    assert [next(first), next(second)] == [False, False]
    assert list(first) == [True]
    assert records()
    assert list(second) == [True]
    assert records()


def test_interleaved_generators_end_in_any_order(records):
    for order in ("ab", "ba"):
        there = {"a": pausing(records, 3), "b": pausing(records, 3)}
        assert [next(g) for g in there.values()] == [False, False]
        assert records()
        for name in order:
            assert list(there[name]) == [False, False, True]
            assert records()


def test_an_interleaved_block_of_the_consumer_ends_after_the_generator(records):
    g = pausing(records, steps=1)
    block = te.no_grad()
    next(g)

    block.__enter__()
    list(g)
    assert not records()
    block.__exit__(None, None, None)

    assert records()


def test_ten_thousand_interleaved_generators_leave_no_trail(records):
    """What held before is not remembered through generators that have ended."""

    def consume():
        for _ in range(10_000):
            g = pausing(records, steps=1)
            next(g)
            with te.no_grad():
                list(g)
        assert records()
        overlapping = pausing(records)
        next(overlapping)
        for _ in range(10_000):
            later = pausing(records)
            next(later)
            overlapping.close()
            overlapping = later
        overlapping.close()
        assert records()

    contextvars.copy_context().run(consume)


def test_a_generator_in_a_generator_is_off_in_both(records):
    def outer():
        with te.no_grad():
            for inside in pausing(records, steps=1):
                yield inside, records()

    assert list(outer()) == [(False, False), (False, False)]
    assert records()


def test_a_context_manager_made_of_a_generator_is_a_block_for_its_user(records):
    @contextmanager
    def evaluating():
        with te.no_grad():
            yield

    with evaluating():
        assert not records()
    assert records()


# ----------------------------------------------------------------------- threads, tasks


def test_other_threads_go_on_recording(x, records):
    inside, done = threading.Event(), threading.Event()
    seen = {}

    def quiet():
        with te.no_grad():
            inside.set()
            done.wait(5)
            seen["quiet"] = records()

    thread = threading.Thread(target=quiet)
    thread.start()
    inside.wait(5)
    seen["main"] = records()
    done.set()
    thread.join()

    assert seen == {"quiet": False, "main": True}


def test_a_new_thread_records_whatever_its_starter_does(records):
    seen = []
    with te.no_grad():
        thread = threading.Thread(target=lambda: seen.append(records()))
        thread.start()
        thread.join()

    assert seen == [True]


def test_threads_walk_back_through_graphs_of_their_own():
    def work(results, i):
        w = te.tensor(np.full(50, float(i)), requires_grad=True)
        for _ in range(20):
            y = w
            for _ in range(20):
                y = y + w * 2
            te.sum(y).backward()
        results[i] = w.grad

    results = {}
    threads = [threading.Thread(target=work, args=(results, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for i in range(4):
        np.testing.assert_array_equal(results[i], np.full(50, 20 * 41.0))


def test_tasks_do_not_switch_each_other_off(records):
    async def quiet():
        with te.no_grad():
            await asyncio.sleep(0.001)
            return records()

    async def loud():
        await asyncio.sleep(0)
        return records()

    async def both():
        return await asyncio.gather(quiet(), loud(), quiet(), loud())

    assert asyncio.run(both()) == [False, True, False, True]
    assert records()


def test_the_consumer_of_an_asynchronous_generator_records(records):
    async def generate():
        with te.no_grad():
            yield records()

    async def consume():
        return [(inside, records()) async for inside in generate()]

    assert asyncio.run(consume()) == [(False, True)]


def test_decorating_what_runs_later_is_refused():
    """The block would have ended before the coroutine begins."""

    async def coroutine():
        pass

    async def asynchronous_generator():
        yield

    for function in (coroutine, asynchronous_generator):
        with pytest.raises(TypeError, match=r"with te\.no_grad\(\): inside"):
            te.no_grad()(function)


def test_plain_code_keeps_a_plain_state():
    """The state is asked by every operation; only generators pay for more."""
    with te.no_grad():
        assert RECORDING.get() is False
    assert RECORDING.get() is True


# ------------------------------------------------------------------------------- scopes


def test_a_scope_reads_as_the_layer_it_stands_for():
    assert str(Scope("encoder.0", "Linear")) == "Linear 'encoder.0'"
    assert str(Scope("", "Sequential")) == "Sequential"
