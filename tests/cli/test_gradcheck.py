"""``tinygrad-edu gradcheck``: reports, and functions and shapes that are none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from command_line import command, failed, is_one_line

from tinygrad_edu.cli import main

FUNCTIONS = """
import sys
import numpy as np
import tinygrad_edu as te

def layer(x, w):
    return te.tanh(x @ w)

def product(x, y):
    return x * y

@te.op
def doubled(x):
    return 2.0 * x

doubled.vjp(x=lambda g, out, x: 3.0 * g)

def wrong(x):
    return te.sum(te.tanh(doubled(x)))

@te.op
def squared(x):
    return x * x

squared.vjp(x=lambda g, out, x: 2.0 * g * getattr(x, "data", x))

def wrong_at_order_2(x):
    return te.sum(squared(x))

def not_a_tensor(x):
    return 0.0

def random(x):
    return x * np.random.default_rng().random()

def raises(x):
    raise AttributeError("several\\nlines")

def exits(x):
    sys.exit(0)

class Model:
    scale = te.tensor(2.0)
    def loss(x):
        return te.sum(x * Model.scale)

class Half(te.nn.Layer):
    def forward(self, x):
        return x / 2

half = Half()

def summed(*arrays):
    return sum(te.sum(x) for x in arrays)

def shifted(x, by=1.0):
    return x + by

number = 3
"""


MODULES = {
    "functions": FUNCTIONS,
    "package/__init__": "",
    "package/module": FUNCTIONS,
    "no_syntax": "def f(:",
    "needs_more": "import a_module_that_is_nowhere",
    "breaks": "raise RuntimeError('no\\nGPU')",
    "exits": "raise SystemExit",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A current directory with modules, as the installed command finds it."""
    for name, text in MODULES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if Path(p) != Path.cwd()])
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name.replace("/", "."), None)
    sys.modules.pop("package", None)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("function", "shapes", "inputs"),
    [
        ("functions:layer", "(3,4),(4,)", ["x (3, 4): ", "w (4,): "]),
        ("package.module:layer", "(3, 4), (4, 2),", ["x (3, 4): ", "w (4, 2): "]),
        ("functions:product", "(),3", ["x (): ", "y (3,): "]),
        ("functions:Model.loss", "(2,)", ["x (2,): "]),
        ("functions:half", "(2,)", ["x (2,): "]),
        ("functions:summed", "2,3", ["input 0 (2,): ", "input 1 (3,): "]),
        ("functions:shifted", "2", ["x (2,): "]),
        ("functions:shifted", "2,2", ["x (2,): ", "by (2,): "]),
        ("tinygrad_edu:softmax", "(2,3)", ["x (2, 3): "]),
    ],
)
def test_gradcheck_prints_the_report_of_a_right_function(
    function, shapes, inputs, capsys
):
    assert main(["gradcheck", function, "--shapes", shapes]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    first, *others = out.splitlines()
    assert first.startswith("gradcheck: right, order 1; ")
    assert [re.match(r"  (.*?\): )", line)[1] for line in others] == inputs


@pytest.mark.usefixtures("modules")
def test_gradcheck_takes_a_number_unless_told_the_shapes(capsys):
    assert main(["gradcheck", "tinygrad_edu:tanh"]) == 0

    said = capsys.readouterr().out
    assert "order 1; 1 number compared in 4 calls" in said
    assert "  x (): the 1 entry, worst" in said


@pytest.mark.usefixtures("modules")
def test_gradcheck_prints_all_that_is_wrong_and_returns_1(capsys):
    code = main(["gradcheck", "functions:wrong", "--shapes", "(2,3)"])

    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "gradcheck failed"
    assert lines[1].startswith("the gradient by x (2, 3) is wrong in 6 of 6 numbers")
    assert "culprit: doubled, argument x: analytic is 3/2 x numeric" in lines


@pytest.mark.usefixtures("modules")
def test_gradcheck_goes_up_to_the_order(capsys):
    function = ["gradcheck", "functions:wrong_at_order_2", "--shapes", "3"]

    codes = [main([*function, *order]) for order in ([], ["--order=1"], ["--order=2"])]

    assert codes == [0, 0, 1]
    lines = capsys.readouterr().out.splitlines()
    assert "gradcheck failed at order 2" in lines


@pytest.mark.usefixtures("modules")
def test_gradcheck_draws_the_inputs_from_the_seed(capsys):
    function = ["gradcheck", "functions:wrong", "--shapes", "3"]

    said = []
    for seed in ([], ["--seed=0"], ["--seed=1"], ["--seed=1"]):
        main([*function, *seed])
        said.append(capsys.readouterr().out)

    assert said[0] == said[1] != said[2] == said[3]


def test_the_module_finds_functions_in_the_current_directory(modules):
    done = command("gradcheck", "functions:layer", "--shapes=(3,4),(4,)", cwd=modules)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gradcheck: right")


def test_the_module_returns_1_for_a_wrong_function(modules):
    done = command("gradcheck", "functions:wrong", cwd=modules)

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("gradcheck failed\n")


TANH = "tinygrad_edu:tanh"


WRONG_CHECKS = {
    "no function": ([], "required: MODULE:FUNCTION"),
    "no colon": (
        ["functions.layer"],
        "expected MODULE:FUNCTION, got 'functions.layer'",
    ),
    "no module": ([":layer"], "expected MODULE:FUNCTION, got ':layer'"),
    "no name": (["functions:"], "expected MODULE:FUNCTION, got 'functions:'"),
    "an empty part": ([".functions:f"], "expected MODULE:FUNCTION, got '.functions:f'"),
    "an empty name": (["functions:Model."], "expected MODULE:FUNCTION, got "),
    "an unknown module": (
        ["nowhere:f"],
        "cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'",
    ),
    "an unknown function": (["functions:f"], "functions has no 'f'"),
    "an unknown method": (["functions:Model.f"], "functions has no 'Model.f'"),
    "no callable": (["functions:number"], "functions:number is no function"),
    "a syntax error": (
        ["no_syntax:f"],
        r"cannot import no_syntax: SyntaxError: .*no_syntax.py, line 1",
    ),
    "an import that fails": (
        ["needs_more:f"],
        "cannot import needs_more: ModuleNotFoundError: No module named 'a_module_",
    ),
    "an error on import": (
        ["breaks:f"],
        "cannot import breaks: RuntimeError: no GPU; see",
    ),
    "an exit on import": (["exits:f"], "cannot import exits: SystemExit"),
    "too few shapes": (
        ["functions:layer", "--shapes=(3,4)"],
        r"--shapes must have one shape for each of x, w, got '\(3,4\)'",
    ),
    "too many shapes": (
        ["functions:layer", "--shapes=3,4,5"],
        "--shapes must have one shape for each of x, w, got '3,4,5'",
    ),
    "a shape more than a loss takes": (
        ["tinygrad_edu.nn:mse_loss", "--shapes=3,3,3"],
        "--shapes must have one shape for each of predictions, targets, got '3,3,3'",
    ),
    "too many shapes for a layer": (
        ["functions:half", "--shapes=3,4"],
        "--shapes must have one shape for each of x, got '3,4'",
    ),
    "order 0": ([TANH, "--order=0"], r"--order must be 1, 2, \.\.\., got 0"),
    "no order": ([TANH, "--order=x"], "argument --order: invalid int value: 'x'"),
    "a negative seed": ([TANH, "--seed=-1"], "--seed must not be negative, got -1"),
}


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("arguments", "message"), WRONG_CHECKS.values(), ids=WRONG_CHECKS
)
def test_bad_arguments_of_gradcheck_are_one_line_and_exit_code_2(
    arguments, message, capsys
):
    code, said = failed(capsys, "gradcheck", *arguments)

    assert code == 2
    assert is_one_line(said)
    assert said.startswith("tinygrad-edu gradcheck: ")
    assert said.endswith("; see tinygrad-edu gradcheck --help\n")
    assert re.search(message, said), said


@pytest.mark.parametrize(
    "shapes",
    [
        *["", "(3,4", "3,4)", "(3 4)", "3x4", "x", "(-3,4)", "-3", "(0,)", "(3.0,)"],
        *["(True,)", "None", "[3,4]", "('3',)", "((3,4),)", "3] + [4", "3 # 4"],
        *["{}", "(1,)*2", "__import__('os')", "(" * 500, "9" * 5000],
        *["(9**9,)", "(999999999999999999999,)", "(1,)" + ",2" * 3 + ",((),)"],
        "(" + "1," * 100 + ")",
    ],
)
def test_malformed_shapes_are_one_line_and_exit_code_2(shapes, capsys):
    code, said = failed(capsys, "gradcheck", TANH, f"--shapes={shapes}")

    assert code == 2
    assert is_one_line(said)
    assert said.startswith("tinygrad-edu gradcheck: --shapes ")


def test_shapes_are_never_run_as_code(tmp_path, capsys):
    path = tmp_path / "written"

    failed(
        capsys, "gradcheck", TANH, f"--shapes=(open({str(path)!r}, 'w').write('3'),)"
    )

    assert not path.exists()


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("function", "shapes", "message"),
    [
        ("functions:layer", "(3,4),(5,)", "ValueError: matmul: inner sizes differ"),
        ("functions:not_a_tensor", "3", "TypeError: gradcheck: f must return a Tensor"),
        ("functions:raises", "3", "AttributeError: several lines\n"),
        ("functions:exits", "3", "SystemExit: 0\n"),
        ("functions:random", "3", "ValueError: gradcheck: f is random"),
        ("math:sin", "()", "TypeError: gradcheck: f must return a Tensor"),
    ],
)
def test_a_function_that_cannot_be_checked_is_one_line_and_exit_code_1(
    function, shapes, message, capsys
):
    code, said = failed(capsys, "gradcheck", function, "--shapes", shapes)

    assert code == 1
    assert is_one_line(said)
    assert said.startswith(f"tinygrad-edu gradcheck: {message}")


def test_interrupting_a_check_is_no_traceback(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygrad_edu.cli.gradcheck.gradcheck", interrupted)

    code, said = failed(capsys, "gradcheck", TANH)

    assert (code, said) == (130, "\n")
