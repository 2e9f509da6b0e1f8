"""The lecture's networks: its draws, its losses, its published numbers."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numeric import assert_near
from sklearn import metrics

import tinygrad_edu as te
from tinygrad_edu.course import lecture
from tinygrad_edu.course.lecture import systems

THREE = ["neuron", "hidden", "digits"]
HIDDEN = 64


@pytest.fixture(scope="module")
def digits():
    return te.data.load_digits()


@pytest.fixture(scope="module")
def on_digits(digits):
    """The result of every system on the embedded digits, by name, and what was said."""
    lines: list[str] = []
    results = lecture.run(lecture.SYSTEMS, digits, say=lines.append, progress=False)
    return {result.system.name: result for result in results}, "\n".join(lines)


def run(names, split, **how):
    return lecture.run(names, split, say=lambda line: None, progress=False, **how)


# ------------------------------------------------- the lecture in plain NumPy, by hand


class Draws:
    """What the lecture draws, in its order, from NumPy's legacy global generator."""

    def __init__(self, rows, features):
        before = np.random.get_state()
        try:
            np.random.seed(1)
            self.order_of_zeros = np.random.permutation(rows)
            self.neuron = np.random.randn(features, 1) * 0.01
            self.hidden = [
                np.random.randn(HIDDEN, features),
                np.random.randn(1, HIDDEN),
            ]
            self.order_of_digits = np.random.permutation(rows)
            self.digits = [
                np.random.randn(HIDDEN, features),
                np.random.randn(10, HIDDEN),
            ]
        finally:
            np.random.set_state(before)


def squashed(z):
    return 1 / (1 + np.exp(-z))


def zero_or_not(A, Y):
    """Binary cross-entropy: A says how likely a zero is, Y whether it is one."""
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def neuron_by_hand(X, labels, w, epochs):
    """X holds one example per column. dL/dw = X (A - Y)ᵀ / m, dL/db = mean(A - Y)."""
    w, b, Y, losses = w.copy(), 0.0, (labels == 0)[None, :].astype(float), []
    for _ in range(epochs):
        A = squashed(w.T @ X + b)
        losses.append(zero_or_not(A, Y))
        w -= X @ (A - Y).T / Y.size
        b -= np.mean(A - Y)
    return losses, [w.T, np.array([b])]


def network_by_hand(X, Y, weights, epochs, last, loss):
    """One hidden layer of sigmoids; ``last`` is the output's, and dL/dz2 is A2 - Y."""
    W1, W2 = (W.copy() for W in weights)
    b1, b2, m, losses = np.zeros((len(W1), 1)), np.zeros((len(W2), 1)), X.shape[1], []
    for _ in range(epochs):
        A1 = squashed(W1 @ X + b1)
        A2 = last(W2 @ A1 + b2)
        losses.append(loss(A2, Y))
        dZ2 = A2 - Y
        dZ1 = W2.T @ dZ2 * A1 * (1 - A1)
        W2 -= dZ2 @ A1.T / m
        b2 -= dZ2.mean(axis=1, keepdims=True)
        W1 -= dZ1 @ X.T / m
        b1 -= dZ1.mean(axis=1, keepdims=True)
    return losses, [W1, b1[:, 0], W2, b2[:, 0]]


def shares(Z):
    """Softmax of every column."""
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def by_hand(name, split, epochs):
    """Losses of every epoch and the trained parameters, in the order of the layers."""
    X, labels, _, _ = split
    draws = Draws(*X.shape)
    order = draws.order_of_digits if name == "digits" else draws.order_of_zeros
    X, labels = X[order].T, labels[order]
    if name == "neuron":
        return neuron_by_hand(X, labels, draws.neuron, epochs)
    if name == "hidden":
        Y = (labels == 0)[None, :].astype(float)
        return network_by_hand(X, Y, draws.hidden, epochs, squashed, zero_or_not)
    Y = np.eye(10)[labels].T

    def which_digit(A, Y):
        return -np.mean(np.sum(Y * np.log(A), axis=0))

    return network_by_hand(X, Y, draws.digits, epochs, shares, which_digit)


# ------------------------------------------------------------- on the embedded digits


def test_weights_and_orders_are_drawn_in_the_lectures_order():
    expected = Draws(1500, 64)

    drawn = systems.drawn(1500, 64)

    neuron, hidden, digits = (drawn[name] for name in THREE)
    np.testing.assert_array_equal(neuron[0][0].weight.data, expected.neuron.T)
    np.testing.assert_array_equal(neuron[1], expected.order_of_zeros)
    for (model, _), weights in [(hidden, expected.hidden), (digits, expected.digits)]:
        np.testing.assert_array_equal(model[0].weight.data, weights[0])
        np.testing.assert_array_equal(model[2].weight.data, weights[1])
    np.testing.assert_array_equal(hidden[1], expected.order_of_zeros)
    np.testing.assert_array_equal(digits[1], expected.order_of_digits)


def test_biases_start_at_zero():
    for model, _ in systems.drawn(10, 64).values():
        for name, parameter in model.named_parameters():
            assert ("bias" in name) == (not parameter.data.any())


def test_drawing_leaves_numpys_global_generator_alone():
    before = np.random.get_state()[1].copy()

    systems.drawn(10, 64)

    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("name", THREE)
def test_losses_of_every_epoch_are_those_of_the_lecture_in_plain_numpy(
    name, digits, on_digits
):
    result = on_digits[0][name]

    expected, parameters = by_hand(name, digits, result.system.epochs)

    np.testing.assert_allclose(result.curve, expected, rtol=1e-12, atol=0)
    for actual, by_formula in zip(result.model.parameters(), parameters, strict=True):
        assert_near(actual.data, by_formula, 1e-11, "trained parameter")


@pytest.mark.parametrize("name", THREE)
def test_a_system_gives_the_same_whichever_others_are_run(name, digits, on_digits):
    (alone,) = run([name], digits, epochs=3)

    assert alone.curve == on_digits[0][name].curve[:3]


def test_running_again_gives_the_same(digits):
    first, second = (
        run(["digits-trained-well"], digits, epochs=2)[0] for _ in range(2)
    )

    assert first.curve == second.curve
    np.testing.assert_array_equal(first.confusion_matrix, second.confusion_matrix)


def test_the_systems_are_the_lectures():
    facts = {
        name: (s.zeros_only, s.epochs, s.learning_rate, s.momentum, s.batch_size)
        for name, s in lecture.SYSTEMS.items()
    }

    assert list(facts) == [*THREE, "digits-trained-well"]
    assert facts["neuron"] == (True, 100, 1.0, 0.0, None)
    assert facts["hidden"] == (True, 100, 1.0, 0.0, None)
    assert facts["digits"] == (False, 200, 1.0, 0.0, None)


def test_training_well_changes_the_recipe_and_not_the_network():
    lectures, well = (
        lecture.SYSTEMS[name].model(784, 0)
        for name in ("digits", "digits-trained-well")
    )

    assert repr(lectures) == repr(well)
    shapes = [p.shape for p in well.parameters()]
    assert shapes == [(64, 784), (64,), (10, 64), (10,)]


def test_training_well_beats_the_lecture(on_digits):
    results, _ = on_digits

    well = results["digits-trained-well"].test_accuracy
    assert well > results["digits"].test_accuracy
    assert well > 0.92  # what the lecture's introduction promises


@pytest.mark.parametrize("name", lecture.SYSTEMS)
def test_every_system_learns(name, on_digits):
    result = on_digits[0][name]

    assert len(result.curve) == result.system.epochs
    assert result.curve[-1] < 0.2 * result.curve[0]
    assert result.test_accuracy > 0.85
    assert result.seconds > 0


@pytest.mark.parametrize("name", lecture.SYSTEMS)
def test_a_result_judges_the_test_set(name, digits, on_digits):
    result = on_digits[0][name]
    X, y = digits[2:]

    with te.no_grad():
        output = np.asarray(result.model(te.tensor(X)))
    if result.system.zeros_only:
        predicted, actual = output[:, 0] > 0.5, y == 0
    else:
        predicted, actual = output.argmax(axis=1), y

    by_loops = np.zeros((len(set(actual)),) * 2, int)
    for row, column in zip(predicted, actual, strict=True):
        by_loops[int(row), int(column)] += 1
    np.testing.assert_array_equal(result.confusion_matrix, by_loops)
    assert result.test_accuracy == np.trace(by_loops) / len(y)
    names = ["other", "zero"] if result.system.zeros_only else None
    right = metrics.classification_report(actual, predicted, target_names=names)
    assert result.report == right
    assert result.lecture_report == metrics.classification_report(predicted, actual)


@pytest.mark.parametrize("name", lecture.SYSTEMS)
def test_precision_is_of_what_was_said_and_recall_of_what_is_there(name, on_digits):
    result = on_digits[0][name]
    matrix = result.confusion_matrix  # [said, is]
    found = matrix.diagonal()

    rows = [line.split() for line in result.report.splitlines()[2:][: len(matrix)]]

    precision, recall = found / matrix.sum(axis=1), found / matrix.sum(axis=0)
    assert [row[1] for row in rows] == [f"{share:.2f}" for share in precision]
    assert [row[2] for row in rows] == [f"{share:.2f}" for share in recall]
    assert [int(row[4]) for row in rows] == matrix.sum(axis=0).tolist()
    assert (precision != recall).any()  # so that an exchange would be seen


@pytest.mark.parametrize("name", lecture.SYSTEMS)
def test_what_is_predicted_is_the_likelier_class(name):
    system = lecture.SYSTEMS[name]
    outputs = np.array([[0.4, 0.6], [0.49, 0.1], [0.5, 0.7], [0.51, 0.2]])

    predicted = system.predict(te.nn.Sequential(), outputs)  # hands the outputs through

    expected = [False, False, False, True] if system.zeros_only else [1, 0, 1, 0]
    np.testing.assert_array_equal(predicted, expected)


def test_losses_are_those_of_every_tenth_epoch_and_the_last(digits):
    for epochs, expected in [(1, [0]), (10, [0, 9]), (11, [0, 10]), (12, [0, 10, 11])]:
        (result,) = run(["neuron"], digits, epochs=epochs)

        assert [epoch for epoch, _ in result.losses] == expected
        assert [loss for _, loss in result.losses] == [
            result.curve[e] for e in expected
        ]


def test_a_loss_is_the_one_before_its_epochs_update(digits):
    X, y, _, _ = digits
    draws = Draws(*X.shape)

    (result,) = run(["neuron"], digits, epochs=1)

    A = squashed(X @ draws.neuron)
    expected = zero_or_not(A, (y == 0)[:, None])
    np.testing.assert_allclose(result.curve, [expected], rtol=1e-14)


def test_a_mini_batch_loss_is_the_mean_over_the_examples_of_the_epoch(digits):
    # so few examples that the last batch is smaller
    X, y, X_test, y_test = digits
    X = X.astype(np.float32)  # what this system computes in
    split = X[:50], y[:50], X_test, y_test
    system = lecture.SYSTEMS["digits-trained-well"]
    model = system.model(64, np.random.default_rng(1))
    optimizer = te.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    (result,) = run(["digits-trained-well"], split, epochs=1)

    order, rows = np.random.default_rng(1).permutation(50), []
    for batch in (order[:32], order[32:]):
        losses = te.softmax_cross_entropy(model(X[batch]), y[batch], reduction="none")
        rows += losses.data.tolist()
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    np.testing.assert_allclose(result.curve, [np.mean(rows)], rtol=1e-6)


def test_what_is_said_holds_every_number(on_digits):
    results, said = on_digits

    for name, result in results.items():
        assert f"\n{name}: {result.system.title} (64-" in said
        for epoch, loss in result.losses[:-1]:
            assert f"Epoch {epoch:3d} loss: {loss}\n" in said
        assert f"Final loss: {result.losses[-1][1]}\n" in said
        assert f"\n{table(result)}\n" in said
        assert result.report in said
        assert f"test accuracy {result.test_accuracy:.2%}" in said


def table(result):
    """The confusion matrix of ten digits as it is said, or that of zeros."""
    if result.system.zeros_only:
        (tn, fn), (fp, tp) = result.confusion_matrix
        return (
            "         says other  says zero\n"
            f"is other {tn:10} {fp:10}\n"
            f"is zero  {fn:10} {tp:10}"
        )
    head = "     says 0 says 1 says 2 says 3 says 4 says 5 says 6 says 7 says 8 says 9"
    rows = [
        f"is {digit} "
        + " ".join(f"{result.confusion_matrix[said, digit]:6}" for said in range(10))
        for digit in range(10)
    ]
    return "\n".join([head, *rows])


DIFFERENCE = "The lecture prints rows and columns, precision and recall exchanged"


def test_a_line_in_the_end_says_how_the_lecture_prints_it(on_digits):
    *_, last = on_digits[1].splitlines()

    assert last == f"{DIFFERENCE} (--as-the-lecture)."
    assert on_digits[1].count(DIFFERENCE) == 1


def test_as_the_lecture_it_is_printed_with_predictions_for_targets(digits):
    lines: list[str] = []
    how = {"epochs": 20, "progress": False, "as_the_lecture": True}

    (result,) = lecture.run(["digits"], digits, say=lines.append, **how)

    said = "\n".join(lines)
    assert (
        f"rows are predicted, columns are actual\n{result.confusion_matrix}\n" in said
    )
    assert f"\n\n{result.lecture_report}\nTrained in " in said
    assert DIFFERENCE not in said
    assert result.report not in said


def test_what_is_returned_is_the_same_however_it_is_printed(digits):
    (right,), (lectures,) = (
        run(["hidden"], digits, epochs=20, as_the_lecture=way) for way in (False, True)
    )

    np.testing.assert_array_equal(right.confusion_matrix, lectures.confusion_matrix)
    assert right.report == lectures.report
    assert right.lecture_report == lectures.lecture_report


def test_classes_that_nobody_shows_or_says_keep_their_rows(digits):
    X, y, X_test, y_test = digits
    sevens = y_test == 7

    (neuron,), (ten,) = (
        run([name], (X, y, X_test[sevens], y_test[sevens]), epochs=60)
        for name in ("neuron", "digits-trained-well")
    )

    assert neuron.confusion_matrix.tolist() == [[sevens.sum(), 0], [0, 0]]
    assert ten.confusion_matrix.shape == (10, 10)
    assert ten.confusion_matrix.sum(axis=0)[7] == sevens.sum()
    assert [line.split()[0] for line in ten.report.splitlines()[2:12]] == [
        *"0123456789"
    ]


def test_the_examples_are_left_as_they_were(digits):
    before = [array.copy() for array in digits]

    run(["neuron", "digits-trained-well"], digits, epochs=2)

    for array, copy in zip(digits, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_an_unknown_system_is_answered_with_the_known_ones(digits):
    with pytest.raises(
        ValueError, match="no system 'perceptron'; one of neuron, hidden"
    ):
        run(["neuron", "perceptron"], digits)


def test_data_are_loaded_by_name(digits):
    for array, expected in zip(lecture.load("digits"), digits, strict=True):
        np.testing.assert_array_equal(array, expected)
    with pytest.raises(ValueError, match="no data set 'letters'; one of digits, mnist"):
        lecture.load("letters")


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs_are_refused(epochs, digits):
    with pytest.raises(ValueError, match=f"epochs must be at least 1, got {epochs}"):
        run(["neuron"], digits, epochs=epochs)


def test_more_epochs_than_the_lectures_are_not_run(digits):
    (result,) = run(["neuron"], digits, epochs=1000)

    assert len(result.curve) == 100


# --------------------------------------------------- on MNIST: the published numbers

#: Loss at epochs 0, 10, ... and the final one.
LOSSES = {
    "neuron": [
        *(0.7471125121616977, 0.0730826958292902, 0.06131832354627721),
        *(0.055230119812005714, 0.0513243202361425, 0.04854004196371184),
        *(0.04642485272904433, 0.04474722082574824, 0.043374333931969114),
        *(0.042223715518407964, 0.041332921148394014),
    ],
    "hidden": [
        *(2.395166635058746, 0.2207416875926896, 0.16601548222727533),
        *(0.13990677867922954, 0.12390102523919129, 0.11269161497108851),
        *(0.10421329497723456, 0.09747959072905935, 0.09194898313097832),
        *(0.0872943606401609, 0.08367740628296327),
    ],
    "digits": [
        *(9.359409945262723, 2.48091541075077, 1.674432764227768),
        *(1.3330104308788546, 1.144784230249712, 1.0230964725181804),
        *(0.9368747323694274, 0.871957389404843, 0.8208795576102075),
        *(0.7793325725168159, 0.7446649543545801, 0.7151537041535515),
        *(0.6896258244540622, 0.6672519100025258, 0.6474268213495037),
        *(0.6296970416913454, 0.6137147676333654, 0.5992079750548169),
        *(0.5859603076597459, 0.5737971945414018, 0.5636592880338956),
    ],
}

MATRICES = {
    "neuron": "8973 42 / 47 938",
    "hidden": "8905 178 / 115 802",
    "digits": """
        896    0   26    8    8   22   30    4   14   10 /
          0 1076   15    6    2    7    3    6   14    2 /
         14   13  815   30   10   13   23   33   24   13 /
         10   12   47  820    4   60    5   18   40   17 /
          0    1   17    0  790   22   30   17   14  106 /
         27    4    7   56    5  669   23    6   58   16 /
         13    5   30    7   23   28  822    0   21    1 /
          6    2   18   25   12   10    3  866   18   37 /
         12   22   47   42   19   44   16   15  739   28 /
          2    0   10   16  109   17    3   63   32  779
    """,
}

#: Rows of the lecture's report: label, what it takes for precision and for recall, f1,
#: and how many were predicted.
REPORTS = {
    "neuron": ["False 0.99 1.00 1.00 9015", "True 0.96 0.95 0.95 985", "accuracy 0.99"],
    "hidden": ["False 0.99 0.98 0.98 9083", "True 0.82 0.87 0.85 917", "accuracy 0.97"],
    "digits": ["accuracy 0.83"],
}


@pytest.fixture(scope="module")
def mnist():
    if not os.environ.get("TINYGRAD_EDU_DATA"):
        pytest.skip("TINYGRAD_EDU_DATA names no folder with the files of MNIST")
    return te.data.load_mnist()


@pytest.fixture(scope="module")
def on_mnist(mnist):
    """The result of every system, by name; takes minutes."""
    return {r.system.name: r for r in run(lecture.SYSTEMS, mnist)}


def test_the_published_numbers_are_43():
    assert sum(map(len, LOSSES.values())) == 43
    assert np.trace(matrix_of("digits")) == 8272


def matrix_of(name):
    return np.array(
        [[int(n) for n in row.split()] for row in MATRICES[name].split("/")]
    )


@pytest.mark.slow
def test_mnist_gives_the_published_losses_of_epochs_0_and_10(mnist):
    for result in run(THREE, mnist, epochs=11):
        expected = LOSSES[result.system.name][:2]

        assert [epoch for epoch, _ in result.losses] == [0, 10]
        actual = [loss for _, loss in result.losses]
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", THREE)
def test_mnist_gives_every_published_loss(name, on_mnist):
    epochs, actual = zip(*on_mnist[name].losses, strict=True)

    last = lecture.SYSTEMS[name].epochs - 1
    assert list(epochs) == [*range(0, last, 10), last]
    np.testing.assert_allclose(actual, LOSSES[name], rtol=1e-12, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", THREE)
def test_mnist_gives_the_published_confusion_matrix(name, on_mnist):
    expected = matrix_of(name)

    np.testing.assert_array_equal(on_mnist[name].confusion_matrix, expected)
    assert on_mnist[name].test_accuracy == np.trace(expected) / 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", THREE)
def test_mnist_gives_the_published_report(name, on_mnist):
    rows = [line.split() for line in on_mnist[name].lecture_report.splitlines()]

    for expected in REPORTS[name]:
        # the accuracy's row also counts the examples
        assert any(row[: len(expected.split())] == expected.split() for row in rows)


@pytest.mark.slow
def test_mnist_trained_well_gives_97_percent(on_mnist):
    assert on_mnist["digits-trained-well"].test_accuracy >= 0.97
