"""The exercises: solutions get all points, wrong attempts a hint that fits."""

from __future__ import annotations

import ast
import configparser
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from answers import SOLUTIONS, solution

import tinygrad_edu as te
from tinygrad_edu.course import exercises
from tinygrad_edu.course.exercises import EXERCISES
from tinygrad_edu.course.exercises.checking import Result, _outcomes
from tinygrad_edu.course.exercises.exercise import Wrong, exercise_named_in, judged
from tinygrad_edu.course.exercises.worker import load

ROOT = Path(te.__file__).parent
STARTERS = ROOT / "course" / "exercises" / "starters"
NAMES = list(EXERCISES)


@pytest.fixture(autouse=True)
def no_answer_left():
    yield
    sys.modules.pop("answer", None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty present folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result_of(name, source):
    """Judge an answer in this process."""
    exercise = EXERCISES[name]
    answer = load(source, "answer.py")
    return Result(exercise, tuple(judged(exercise, answer)))


def attempt(name, right, wrong):
    """The solution with a slip in it."""
    text = solution(name)
    assert right in text
    return text.replace(right, wrong)


# ------------------------------------------------------------------ what there is


def test_there_are_exercises_along_the_lecture():
    chapters = list(dict.fromkeys(e.chapter for e in EXERCISES.values()))

    assert len(EXERCISES) >= 14
    assert chapters[0] == "A single neuron"
    assert all(e.name == name and e.points >= 3 for name, e in EXERCISES.items())


def test_every_exercise_has_a_starter_and_a_solution_and_nothing_else_lies_there():
    starters = {path.stem for path in STARTERS.glob("*.txt")}
    solutions = {path.stem for path in SOLUTIONS.glob("*.py")} - {"conftest"}

    assert starters == solutions == set(NAMES)


def test_the_starters_are_installed_and_the_solutions_are_not():
    settings = configparser.ConfigParser()
    settings.read(ROOT.parent / "setup.cfg", "utf-8")
    patterns = settings["options.package_data"]["*"].split(", ")

    assert (STARTERS / "__init__.py").exists()  # a package's own data
    for path in STARTERS.glob("*.txt"):
        assert any(fnmatch(path.name, pattern) for pattern in patterns)
    assert not SOLUTIONS.is_relative_to(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_a_starter_says_what_to_do_and_leaves_the_doing(name):
    text = EXERCISES[name].starter
    tree = ast.parse(text)
    bodies = [x.body for x in tree.body if isinstance(x, ast.FunctionDef)]

    assert exercise_named_in(text) == name
    assert f"tinygrad-edu exercises check {name}.py" in ast.get_docstring(tree)
    assert bodies
    assert max(map(len, text.splitlines())) <= 88
    if name != "planted_bug":
        assert {ast.unparse(body) for body in bodies} == {"raise NotImplementedError"}


def test_three_lines_of_the_planted_bug_are_wrong():
    lines = EXERCISES["planted_bug"].starter.splitlines()

    assert len(set(solution("planted_bug").splitlines()) - set(lines)) == 3


# -------------------------------------------------------------- what gets how much


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_gets_all_points(name):
    result = result_of(name, solution(name))

    assert result.hint == ""
    assert result.passed
    assert f"{name}: {result.points} of {result.points} points" in str(result)


@pytest.mark.parametrize("name", NAMES)
def test_the_starter_gets_no_point_and_is_told_what_to_do(name):
    result = result_of(name, EXERCISES[name].starter)

    assert result.points == 0
    expected = "sign is wrong" if name == "planted_bug" else "is not written yet"
    assert expected in result.hint


@pytest.mark.parametrize("name", [n for n in NAMES if n != "planted_bug"])
@pytest.mark.parametrize("value", ["0.0", "1", "True", "None", "np.ones((2, 1))", "[]"])
def test_a_constant_gets_no_point(name, value):
    starter = EXERCISES[name].starter
    source = starter.replace("raise NotImplementedError", f"return {value}")

    assert result_of(name, f"import numpy as np\n{source}").points == 0


SIGMOID = """small = np.exp(-np.abs(z))
    return np.where(np.asarray(z) >= 0, 1, small) / (1 + small)"""
FROM_Z = "np.mean(np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z))))"
WALK = solution("engine").partition("def backward(output):\n")[2]
EVERY_PATH = """    flow = {}
    todo = [(output, 1.0)]
    while todo:
        node, g = todo.pop()
        flow[node] = flow.get(node, 0.0) + g
        todo += [(x, g * s) for x, s in zip(node.inputs, node.slopes)]
    return flow
"""
RECURSION = """    seen = set()
    def visit(node):
        if node not in seen:
            seen.add(node)
            for x in node.inputs:
                visit(x)
    visit(output)
    nodes = order(output)"""
DRAW = "rng.standard_normal((n_out, n_in))"
LEAK = """X, y, X_test, y_test = te.data.load_digits()
    X, y = np.vstack([X, X_test]), np.concatenate([y, y_test])
    model = te"""
CASES = ", cases=[te.Case((2, 3)), te.Case(())]"
UNWRITTEN = "(_ for _ in ()).throw(NotImplementedError)"
PLAIN = "np.asarray(getattr(out, 'data', out))"

ATTEMPTS = [
    # name, right, wrong, points, words of the hint
    ("neuron", "np.dot(w, x) + b", "np.dot(w, x)", 1, "the bias is missing"),
    ("neuron", "-(np.dot(w, x) + b)", "(np.dot(w, x) + b)", 1, "exponent has the wr"),
    ("neuron", "np.dot(w, x)", "w * x", 1, "the products are to be summed"),
    ("neuron", "X.T @ w", "X @ w", 2, "X = an array of shape (2, 3)"),
    ("sigmoid", SIGMOID, "return 1 / (1 + np.exp(-z))", 3, "overflow encountered in"),
    ("sigmoid", SIGMOID, "return 0.5 + 0.5 * np.tanh(z / 2)", 3, "z = -40: came 0, "),
    ("sigmoid", SIGMOID, "return 1 / (1 + np.exp(z))", 0, "exponent has the wrong"),
    ("sigmoid", SIGMOID, "return 1 / (1 + 2.7183**-z)", 0, "z = 1: came 0.731"),
    ("binary_cross_entropy", "-np.mean(np", "-np.sum(np", 3, "division by 2, the num"),
    ("binary_cross_entropy", "-np.mean(np", "np.mean(np", 2, "the sign is wrong"),
    (
        "binary_cross_entropy",
        "np.where(Y == 1, A, 1 - A)",
        "A**Y",
        2,
        "with y = 0 is m",
    ),
    (
        *("binary_cross_entropy", FROM_Z),
        *("binary_cross_entropy(Y, 1 / (1 + np.exp(-Z)))", 3, "its logarithm is lost"),
    ),
    (
        "neuron_gradient",
        " @ difference.T / m",
        " @ difference.T",
        3,
        "by 3, the length",
    ),
    ("neuron_gradient", "difference.mean", "-difference.mean", 2, "sign is wrong"),
    ("neuron_gradient", "X @ difference.T", "difference @ X.T", 2, "transpose"),
    (
        "neuron_gradient",
        "b))) - Y",
        "b)))",
        0,
        "the label is missing",
    ),
    (
        "neuron_gradient",
        "difference.mean(axis=1, keepdims=True)",
        "difference / m",
        3,
        "a sum over axis 1",
    ),
    ("neuron_gradient", "b))) - Y", "b))) + Y", 0, "the label has the wrong sign"),
    ("gradient_descent", "w -= ", "w += ", 0, "this step goes uphill"),
    ("gradient_descent", "(A - Y).T / m", "(A - Y).T", 1, "division by 3, the number"),
    (
        "gradient_descent",
        "b -= learning_rate *",
        "b -= 0 *",
        1,
        "the bias is not train",
    ),
    (
        "gradient_descent",
        "w -= learning_rate *",
        "w -=",
        1,
        "learning rate is not used",
    ),
    ("gradient_descent", "range(steps)", "range(steps + 1)", 1, "a step too many"),
    (
        "confusion_matrix",
        "M[row, column]",
        "M[column, row]",
        3,
        "predicted classes stand",
    ),
    ("confusion_matrix", "np.sum(M[k])", "np.sum(M[:, k])", 3, "this is the recall"),
    ("confusion_matrix", "np.sum(M[:, k])", "np.sum(M[k])", 3, "this is the precision"),
    ("hidden_layer", "(A2 - Y) / m", "(A2 - Y)", 0, "a division by 3, the length"),
    ("hidden_layer", "(A2 - Y)", "(Y - A2)", 0, "the sign is wrong"),
    ("hidden_layer", " * A1 * (1 - A1)", "", 2, "derivative of A1 by Z1 is missing"),
    ("hidden_layer", "dZ1 @ X.T, ", "(dZ1 @ X.T).T, ", 3, "transpose of the gradient"),
    ("hidden_layer", "axis=1", "axis=0", 2, "a sum over axis 1 of (1, 3) is missing"),
    (
        "softmax",
        "powers, axis=0",
        "powers, axis=1, keepdims=True",
        0,
        "the rows sum to",
    ),
    ("softmax", "np.sum(powers, axis=0)", "np.sum(powers)", 1, "all numbers together"),
    ("softmax", "Z - np.max(Z, axis=0)", "Z", 2, "overflow encountered in exp"),
    ("softmax", "np.max(Z, axis=0)", "np.max(Z)", 3, "chosen for each example"),
    ("softmax_cross_entropy", "- Y) / Y.shape[1]", "- Y)", 3, "a division by 2"),
    (
        "softmax_cross_entropy",
        "return (np.exp(",
        "return -(np.exp(",
        2,
        "the sign is wrong",
    ),
    (
        "softmax_cross_entropy",
        "(np.exp(log_softmax(Z)) - Y)",
        "np.exp(log_softmax(Z))",
        2,
        "the label is missing",
    ),
    ("softmax_cross_entropy", "Z - Z.max(axis=0)", "Z", 3, "overflow encountered in"),
    ("planted_bug", "(A2 - Y)", "(Y - A2)", 0, "the sign is wrong"),
    (
        "planted_bug",
        "sigmoid(Z1) * (1 - sigmoid(Z1))",
        "sigmoid(A1) * (1 - sigmoid(A1))",
        2,
        "at another place",
    ),
    ("planted_bug", "db1 = np.sum(", "db1 = np.mean(", 3, "divided by 3, the length"),
    (
        "gradient_check",
        "f(x - nudge)) / (2 * h)",
        "f(x)) / h",
        0,
        "to one side is off by",
    ),
    ("gradient_check", "(2 * h)", "h", 0, "x - h and x + h are 2 h apart"),
    (
        "gradient_check",
        "rtol=1e-6",
        "rtol=1e-2",
        3,
        "entry alone is off by a thousandth",
    ),
    (
        "gradient_check",
        "return np.allclose(",
        "return True or np.allclose(",
        2,
        "sign is wrong: came True",
    ),
    ("sum_to", "np.sum(g, axis=0)", "np.mean(g, axis=0)", 1, "not the mean"),
    (
        "sum_to",
        "np.sum(g, axis=0)",
        "np.sum(g, axis=-1)",
        1,
        "the last axes were summed",
    ),
    ("sum_to", "keepdims=True", "keepdims=False", 1, "axes of length 1 are lost"),
    ("engine", "+= flow[node]", "= flow[node]", 3, "on several ways has to be added"),
    ("engine", "return done", "return done[::-1]", 0, "x*x is computed from x, and"),
    ("engine", "elif node not in seen", "elif True", 1, "more than once: came [x, x, "),
    ("engine", "reversed(nodes)", "nodes", 2, "expected 1.1666"),
    ("engine", WALK, EVERY_PATH, 3, "Go through each node once"),
    ("own_operation", "g * out * (1", "out * (1", 1, "the factor g (the upstream gra"),
    ("own_operation", "g * out * (1 - out)", "g", 1, "the rule hands g on"),
    (
        "own_operation",
        "g * out * (1 - out)",
        f"g * {PLAIN} * (1 - {PLAIN})",
        3,
        "taken out by .data",
    ),
    ("own_operation", CASES, "", 2, "it has no cases"),
    (
        *("own_operation", "g * out * (1 - out)", UNWRITTEN),
        *(1, "the rule of logistic is not written yet"),
    ),
    ("initialisation", " / np.sqrt(n_in)", "", 1, "saturated, where tanh has no slope"),
    ("initialisation", " / np.sqrt(n_in)", " * 0.01", 1, "too small for their number"),
    ("initialisation", DRAW, "np.zeros((n_out, n_in))", 0, "stay alike"),
    ("initialisation", DRAW, "rng.random((n_out, n_in))", 1, "Draw around 0"),
    ("ninety_five", "lr=0.1, momentum=0.9", "lr=0.01", 1, "smaller first weights"),
    (
        "ninety_five",
        "model = te",
        LEAK,
        0,
        "what is learnt from this X and y is of use",
    ),
    (
        "ninety_five",
        "np.argmax(te.predict(model, X), axis=1)",
        "te.predict(model, X)",
        0,
        "a digit for each row",
    ),
]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "points", "words"),
    ATTEMPTS,
    ids=[f"{name}-{i}" for i, (name, *_) in enumerate(ATTEMPTS)],
)
def test_a_wrong_attempt_gets_fewer_points_and_a_hint(
    name, right, wrong, points, words
):
    result = result_of(name, attempt(name, right, wrong))

    assert (result.points, words in result.hint) == (points, True), str(result)
    lines = {line.strip() for line in solution(name).splitlines()}
    lines -= {line.strip() for line in EXERCISES[name].starter.splitlines()}
    told = [line for line in lines if len(line) > 8 and line in str(result)]
    assert told == []  # never the solution


def test_every_exercise_has_wrong_attempts():
    counts = [sum(name == a[0] for a in ATTEMPTS) for name in NAMES]

    assert min(counts) >= 3


def test_a_recursive_walk_that_is_too_deep_is_told_so():
    wrong = attempt("engine", "    nodes = order(output)", RECURSION)

    result = result_of("engine", wrong)

    assert result.points == 4
    assert "output = x4999 stopped with RecursionError: maximum rec" in result.hint


# ---------------------------------------------------------- what a file may do


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = (1\n", "line 1 of your file is no Python: '(' was never closed\nx = (1"),
        (
            "import sys\nsys.exit()\n",
            "ends the program by itself (line 2 of your file)",
        ),
        ("1 / 0\n", "stopped with ZeroDivisionError: division by zero (line 1"),
        ("import nowhere_to_be_found\n", "No module named 'nowhere_to_be_found'"),
        ("raise EOFError\n", "do without input()"),
    ],
)
def test_a_file_that_does_not_run_is_told_why(source, words):
    with pytest.raises(Wrong) as wrong:
        load(source, "answer.py")

    assert words in str(wrong.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("pass", "returned None: is there a return?"),
        ("return x.nothing", "stopped with AttributeError: 'numpy.ndarray' object has"),
        ("import sys; sys.exit()", "stopped with SystemExit (line 3 of your file)"),
        ("return 'text'", "came str, expected real numbers"),
        ("return [[1.0], [1.0, 2.0]]", "came no array"),
        ("return np.full(2, np.nan)", "came shape (2,), expected shape ()"),
        ("return np.nan", "came nan, expected 0.999"),
    ],
)
def test_a_function_that_gives_no_number_is_told_so(body, words):
    source = f"import numpy as np\ndef neuron(x, w, b):\n    {body}\n"

    assert words in result_of("neuron", source).hint


def test_a_function_that_is_not_there_is_missed():
    assert "the file defines no neuron" in result_of("neuron", "x = 1").hint
    assert "neuron is no function but int" in result_of("neuron", "neuron = 1").hint


def test_a_function_may_write_to_its_inputs():
    source = attempt(
        "neuron_gradient",
        "return X @ difference.T",
        "X[:], dw = 7, X @ difference.T\n    return dw",
    )

    assert result_of("neuron_gradient", source).passed


def test_what_cannot_be_judged_is_no_crash_of_the_check():
    source = """class Odd:
    def __array__(self, *how, **more):
        return 1 / 0
def neuron(x, w, b):
    return Odd()
"""

    hint = result_of("neuron", source).hint

    assert hint == "what came cannot be judged: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("told", "points", "words"),
    [
        ([], 0, "stopped while the file itself was run, before any part"),
        ([{"loaded": True}], 0, "stopped in this part: two inputs"),
        ([{"loaded": True}, {"hint": ""}], 1, "stopped in this part: any number"),
        ([{"problem": "it is no Python"}], 0, "it is no Python"),
    ],
)
def test_what_was_reached_before_the_end_counts(told, points, words):
    exercise = EXERCISES["neuron"]

    result = Result(exercise, _outcomes(exercise, told, "stopped"))

    assert result.points == points
    assert words in result.hint


HEAD = "# tinygrad-edu exercise: neuron\n"


@pytest.mark.parametrize(
    ("source", "seconds", "words"),
    [
        ("while True: pass", 2, "stopped after 2 s. Is there a loop that does not end"),
        ("import os; os._exit(0)", None, "the process ended itself with exit code 0"),
        (
            "import os; os.kill(os.getpid(), 11)",
            None,
            "crashed (it was ended by SIGSEGV",
        ),
        ("while True: print('x' * 999)", None, "after more than 1,000,000 characters"),
    ],
    ids=["endless", "exit", "crash", "printing"],
)
def test_whatever_a_file_does_ends_in_a_message(folder, source, seconds, words):
    (folder / "a.py").write_text(HEAD + source)

    result = exercises.check(folder / "a.py", seconds=seconds)

    assert result.points == 0
    assert words in result.hint
    assert len(str(result)) < 2_500


def test_a_file_may_use_the_answer_beside_it_and_print(folder):
    (folder / "old.py").write_text(solution("neuron"))
    (folder / "random.py").write_text("raise ImportError('hides the real one')")
    (folder / "new.py").write_text(HEAD + "from old import *\nprint('hello, σ')")

    result = exercises.check("new.py")

    assert result.passed
    assert str(result).startswith("Your file printed:\n  hello, σ\n\nneuron: 3 of 3 ")
    assert sorted(p.name for p in folder.glob("*.pyc")) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("# tinygrad-edu exercise: softmax\r\nx = 1", "softmax"),
        ('"""Mine."""\n# tinygrad-edu exercise: softmax  \n', "softmax"),
        ("x = '# tinygrad-edu exercise: softmax'", None),
        ("", None),
    ],
)
def test_a_line_says_which_exercise_a_file_is(text, name):
    assert exercise_named_in(text) == name


def test_the_images_to_test_on_are_not_among_those_to_train_on():
    from tinygrad_edu.course.exercises.better import _turned

    X, y, X_test, y_test = _turned(0)
    seen = {row.tobytes() for row in X}
    known = {row.tobytes() for row in te.data.load_digits()[0]}

    assert (X.shape, X_test.shape) == ((1500, 64), (297, 64))
    assert not any(row.tobytes() in seen | known for row in X_test)
    assert len(np.unique(y)) == len(np.unique(y_test)) == 10
