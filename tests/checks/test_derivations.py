"""check_derivation: the lecture's gradients pass, and each usual slip is named."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

import tinygrad_edu as te
from tinygrad_edu import nn
from tinygrad_edu.checks import derivations

PIXELS = slice(18, 25)  # some of the 64, that differ between digits
N, M, HIDDEN = 7, 20, 5  # no axis has length 2, which is a factor to be found


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def compute_loss(Y, A):
    m = Y.shape[1]
    return -(1.0 / m) * (
        np.sum(np.multiply(np.log(A), Y)) + np.sum(np.multiply(np.log(1 - A), 1 - Y))
    )


def compute_multiclass_loss(Y, A):
    return -(1 / Y.shape[1]) * np.sum(np.multiply(Y, np.log(A)))


def softmax(Z):
    return np.exp(Z) / np.sum(np.exp(Z), axis=0)


# ------------------------------------------------ the lecture's networks, in columns


class Neuron:
    """784-1, sigmoid, binary cross-entropy; here of 7 pixels."""

    def __init__(self):
        images, digits, *_ = te.data.load_digits()
        self.X = images[:M, PIXELS].T  # (n, m)
        self.Y = (digits[:M] == 0).astype(float).reshape(1, -1)
        rng = np.random.RandomState(1)
        self.inputs = {"W": rng.randn(N, 1) * 0.1, "b": np.array([[0.3]])}
        self.model = nn.Sequential(nn.Linear(N, 1), nn.Sigmoid())

    def numpy(self, W, b):
        return compute_loss(self.Y, sigmoid(np.matmul(W.T, self.X) + b))

    def operations(self, W, b):
        a = te.sigmoid(te.linear(self.X.T, W.T, te.reshape(b, (-1,))))
        return nn.binary_cross_entropy(a, self.Y.T)

    def layers(self, W, b):
        self.model[0].weight, self.model[0].bias = W.T, te.reshape(b, (-1,))
        return nn.binary_cross_entropy(self.model(self.X.T), self.Y.T)

    def derived(self, slip=""):
        m, X, Y = M, self.X, self.Y
        A = sigmoid(np.matmul(self.inputs["W"].T, X) + self.inputs["b"])
        dZ = A - Y
        if slip == "no derivative of the output":
            dZ = dZ / (A * (1 - A))
        if slip == "derivative of the output twice":
            dZ = dZ * (A * (1 - A))
        if slip == "target minus output":
            dZ = -dZ
        if slip == "factor 2":
            dZ = 2 * dZ
        dW = (1 / m) * np.matmul(X, dZ.T)
        db = (1 / m) * np.sum(dZ, axis=1, keepdims=True)
        return {
            "no 1/m in dW": {"W": m * dW, "b": db},
            "no 1/m in db": {"W": dW, "b": m * db},
            "dW transposed": {"W": dW.T, "b": db},
            "db over axis 0": {"W": dW, "b": dZ.sum(axis=0) / m},
            "db not summed": {"W": dW, "b": dZ / m},
            "db of shape (1,)": {"W": dW, "b": np.sum(dZ, axis=1) / m},
        }.get(slip, {"W": dW, "b": db})


class Hidden:
    """784-64-1, sigmoids, binary cross-entropy; here 7-5-1."""

    outputs = 1

    def __init__(self, features=N, m=M, hidden=HIDDEN, outputs=None):
        images, digits, *_ = te.data.load_digits()
        rng = np.random.RandomState(1)
        outputs = outputs or self.outputs
        self.X = images[:m, PIXELS].T if features == N else rng.rand(features, m)
        self.labels = digits[:m] % outputs
        self.m = m
        self.model = nn.Sequential(
            nn.Linear(features, hidden), nn.Sigmoid(), nn.Linear(hidden, outputs)
        )
        self.Y = self.targets(digits[:m], outputs)
        self.inputs = {
            "W1": rng.randn(hidden, features) * 0.3,
            "b1": rng.randn(hidden, 1),
            "W2": rng.randn(outputs, hidden),
            "b2": rng.randn(outputs, 1),
        }

    def targets(self, digits, outputs):
        return (digits == 0).astype(float).reshape(1, -1)

    def output(self, Z2):
        return sigmoid(Z2)

    def loss(self, A2):
        return compute_loss(self.Y, A2)

    def numpy(self, W1, b1, W2, b2):
        Z1 = np.matmul(W1, self.X) + b1
        A1 = sigmoid(Z1)
        Z2 = np.matmul(W2, A1) + b2
        return self.loss(self.output(Z2))

    def operations(self, W1, b1, W2, b2):
        a1 = te.sigmoid(te.linear(self.X.T, W1, te.reshape(b1, (-1,))))
        z2 = te.linear(a1, W2, te.reshape(b2, (-1,)))
        return nn.binary_cross_entropy(te.sigmoid(z2), self.Y.T)

    def layers(self, W1, b1, W2, b2):
        first, _, second = self.model
        first.weight, first.bias = W1, te.reshape(b1, (-1,))
        second.weight, second.bias = W2, te.reshape(b2, (-1,))
        return self.loss_of(self.model(self.X.T))

    def loss_of(self, Z2):
        return nn.binary_cross_entropy(te.sigmoid(Z2), self.Y.T)

    def values(self):
        W1, b1, W2, b2 = self.inputs.values()
        Z1 = np.matmul(W1, self.X) + b1
        A1 = sigmoid(Z1)
        Z2 = np.matmul(W2, A1) + b2
        return Z1, A1, Z2, self.output(Z2)

    def no_derivative(self, A2):
        return (A2 - self.Y) / (A2 * (1 - A2))

    def derived(self, slip=""):
        m, X, Y, W2 = self.m, self.X, self.Y, self.inputs["W2"]
        Z1, A1, _, A2 = self.values()
        dZ2 = A2 - Y
        if slip == "no derivative of the output":
            dZ2 = self.no_derivative(A2)
        if slip == "derivative of the output twice":
            dZ2 = dZ2 * A2 * (1 - A2)
        if slip == "target minus output":
            dZ2 = Y - A2
        if slip == "factor 2":
            dZ2 = 2 * dZ2
        dW2 = (1.0 / m) * np.matmul(dZ2, A1.T)
        db2 = (1.0 / m) * np.sum(dZ2, axis=1, keepdims=True)
        dA1 = np.matmul(W2.T, dZ2)
        if slip == "no W2":
            dA1 = np.ones((HIDDEN, 1)) * dZ2
        if slip == "W2 not transposed":
            dA1 = np.matmul(W2, dZ2)
        dZ1 = dA1 * sigmoid(Z1) * (1 - sigmoid(Z1))
        if slip == "no derivative of the hidden layer":
            dZ1 = dA1
        if slip == "derivative of the hidden layer twice":
            dZ1 = dZ1 * sigmoid(Z1) * (1 - sigmoid(Z1))
        dW1 = (1.0 / m) * np.matmul(dZ1, X.T)
        db1 = (1.0 / m) * np.sum(dZ1, axis=1, keepdims=True)
        right = {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
        changed = {
            "no 1/m in dW1": {"W1": m * dW1},
            "no 1/m in db1": {"b1": m * db1},
            "no 1/m in dW2": {"W2": m * dW2},
            "no 1/m in db2": {"b2": m * db2},
            "dW1 transposed": {"W1": dW1.T},
            "dW2 transposed": {"W2": dW2.T},
            "db1 over axis 0": {"b1": dZ1.sum(axis=0) / m},
            "db2 over axis 0": {"b2": dZ2.sum(axis=0) / m},
            "db1 over all": {"b1": dZ1.sum() / m},
            "db1 not summed": {"b1": dZ1 / m},
            "db2 not summed": {"b2": dZ2 / m},
            "db1 of shape (5,)": {"b1": dZ1.sum(axis=1) / m},
            "mean over the classes too": {"W2": dW2 / 10, "b2": db2 / 10},
            "sign of dW2": {"W2": -dW2},
            "half of dW1": {"W1": dW1 / 2},
        }
        if slip == "X not transposed":
            changed[slip] = {"W1": np.matmul(dZ1, X) / m}
        if slip == "A1 not transposed":
            changed[slip] = {"W2": np.matmul(dZ2, A1) / m}
        return {**right, **changed.get(slip, {})}


class Digits(Hidden):
    """784-64-10, sigmoid, softmax, cross-entropy on one-hot labels; here 7-5-10."""

    outputs = 10

    def targets(self, digits, outputs):
        return np.eye(outputs)[digits % outputs].T  # (10, m)

    def output(self, Z2):
        return softmax(Z2)

    def loss(self, A2):
        return compute_multiclass_loss(self.Y, A2)

    def operations(self, W1, b1, W2, b2):
        a1 = te.sigmoid(te.linear(self.X.T, W1, te.reshape(b1, (-1,))))
        a2 = te.softmax(te.linear(a1, W2, te.reshape(b2, (-1,))))
        return -te.mean(te.sum(self.Y.T * te.log(a2), axis=1))

    def loss_of(self, Z2):
        return nn.softmax_cross_entropy(Z2, self.labels)

    def no_derivative(self, A2):
        return -self.Y / A2


NETWORKS = {"neuron": Neuron(), "hidden": Hidden(), "digits": Digits()}
STYLES = ("numpy", "operations", "layers")

every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
every_style = pytest.mark.parametrize("style", STYLES)


def causes_of(report):
    """The name and the cause of each wrong claim."""
    return {claim.name: claim.cause for claim in report.claims if not claim.correct}


@every_network
@every_style
def test_the_lectures_gradients_are_right(network, style):
    f = getattr(network, style)

    report = te.check_derivation(f, network.inputs, network.derived())

    assert report.correct, report.text
    assert report.causes == ()
    assert [claim.name for claim in report.claims] == list(network.inputs)


def both(cause):
    return {"W": cause, "b": cause}


def all_four(cause):
    return {"W1": cause, "b1": cause, "W2": cause, "b2": cause}


def first(cause):
    return {"W1": cause, "b1": cause}


COMMON = {
    "no 1/m in dW1": {"W1": "missing-mean"},
    "no 1/m in db1": {"b1": "missing-mean"},
    "no 1/m in dW2": {"W2": "missing-mean"},
    "no 1/m in db2": {"b2": "missing-mean"},
    "no derivative of the hidden layer": first("missing-derivative"),
    "derivative of the hidden layer twice": first("extra-factor"),
    "target minus output": all_four("sign"),
    "sign of dW2": {"W2": "sign"},
    "factor 2": all_four("factor"),
    "half of dW1": {"W1": "factor"},
    "dW1 transposed": {"W1": "transpose"},
    "dW2 transposed": {"W2": "transpose"},
    "db1 over axis 0": {"b1": "wrong-axis"},
    "db1 over all": {"b1": "extra-sum"},
    "db2 over axis 0": {"b2": "wrong-axis"},
    "db1 not summed": {"b1": "missing-sum"},
    "db2 not summed": {"b2": "missing-sum"},
    "db1 of shape (5,)": {"b1": "shape"},
    "no derivative of the output": all_four("missing-derivative"),
}
SLIPS = {
    "neuron": {
        "no 1/m in dW": {"W": "missing-mean"},
        "no 1/m in db": {"b": "missing-mean"},
        "no derivative of the output": both("missing-derivative"),
        "derivative of the output twice": both("extra-factor"),
        "target minus output": both("sign"),
        "factor 2": both("factor"),
        "dW transposed": {"W": "transpose"},
        "db over axis 0": {"b": "wrong-axis"},
        "db not summed": {"b": "missing-sum"},
        "db of shape (1,)": {"b": "shape"},
    },
    "hidden": {
        **COMMON,
        "derivative of the output twice": all_four("extra-factor"),
        "no W2": first("missing-derivative"),
    },
    "digits": {**COMMON, "mean over the classes too": {"W2": "factor", "b2": "factor"}},
}
# One operation computes softmax and cross-entropy: there is no output to be seen.
HIDDEN_FROM = {("digits", "layers", "no derivative of the output")}
EVERY_SLIP = [
    pytest.param(name, style, slip, expected, id=f"{name}-{style}-{slip}")
    for name, slips in SLIPS.items()
    for style in STYLES
    for slip, expected in slips.items()
    if (name, style, slip) not in HIDDEN_FROM
]


@pytest.mark.parametrize(("name", "style", "slip", "expected"), EVERY_SLIP)
def test_each_slip_is_diagnosed_by_name(name, style, slip, expected):
    network = NETWORKS[name]
    f, claimed = getattr(network, style), network.derived(slip)

    report = te.check_derivation(f, network.inputs, claimed)

    assert causes_of(report) == expected, report.text


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("no 1/m in dW1", "is 20 x the gradient: a division by 20, the length of axis"),
        ("no derivative of the hidden layer", "the derivative of the sigmoid (divide"),
        ("no W2", "the factor W2, transposed, is missing"),
        ("sign of dW2", "the sign is wrong"),
        ("half of dW1", "the claim is 1/2 x the gradient"),
        ("db1 over axis 0", "was summed over axis 0 instead of 1"),
        ("db1 over all", "the claim is the sum of the gradient over axis 0"),
        ("db1 not summed", "a sum over axis 1 of (5, 20) is missing"),
        ("dW1 transposed", "the claim has shape (7, 5)"),
    ],
)
def test_the_text_says_what_the_slip_is(slip, said):
    network = NETWORKS["hidden"]

    report = te.check_derivation(
        network.numpy, network.inputs, network.derived(slip), rtol=1e-6
    )

    assert said in report.text


def test_the_text_uses_the_names_that_f_gives():
    network = NETWORKS["hidden"]

    def f(W1, b1, W2, b2):
        Z1 = np.matmul(W1, network.X) + b1
        Z1.name = "Z1"
        A1 = te.sigmoid(Z1)
        A1.name = "A1"
        return compute_loss(network.Y, sigmoid(np.matmul(W2, A1) + b2))

    claimed = network.derived("no derivative of the hidden layer")
    report = te.check_derivation(f, network.inputs, claimed)

    assert "the derivative of A1 by Z1 is missing" in report.text


# ---------------------------------------- square matrices, where shapes hide the slip


SQUARE = {
    "hidden": Hidden(features=6, m=6, hidden=6),
    "digits": Digits(features=6, m=6, hidden=6, outputs=6),
}
SQUARE_SLIPS = [
    ("hidden", "dW1 transposed", {"W1": "transpose"}),
    ("hidden", "X not transposed", {"W1": "transpose"}),
    ("hidden", "A1 not transposed", {"W2": "transpose"}),
    ("hidden", "db1 over axis 0", {"b1": "wrong-axis"}),
    ("digits", "dW1 transposed", {"W1": "transpose"}),
    ("digits", "dW2 transposed", {"W2": "transpose"}),
    ("digits", "X not transposed", {"W1": "transpose"}),
    ("digits", "A1 not transposed", {"W2": "transpose"}),
    ("digits", "W2 not transposed", first("transpose")),
    ("digits", "db1 over axis 0", {"b1": "wrong-axis"}),
    ("digits", "db2 over axis 0", {"b2": "wrong-axis"}),
    ("digits", "no derivative of the hidden layer", first("missing-derivative")),
    ("digits", "db1 not summed", {"b1": "missing-sum"}),
]


@every_style
@pytest.mark.parametrize(("name", "slip", "expected"), SQUARE_SLIPS)
def test_slips_are_diagnosed_where_all_matrices_are_square(name, style, slip, expected):
    network = SQUARE[name]
    f, claimed = getattr(network, style), network.derived(slip)

    report = te.check_derivation(f, network.inputs, claimed)

    assert causes_of(report) == expected, report.text


@pytest.mark.parametrize("network", SQUARE.values(), ids=SQUARE)
def test_square_networks_pass(network):
    report = te.check_derivation(network.numpy, network.inputs, network.derived())

    assert report.correct, report.text


# --------------------------------------------------- gradients by what is in between


@pytest.mark.parametrize("network", [NETWORKS["hidden"], NETWORKS["digits"]])
class TestIntermediateGradients:
    def of_Z1(self, network):
        W2, b2 = network.inputs["W2"], network.inputs["b2"]
        return lambda Z1: network.loss(network.output(np.matmul(W2, sigmoid(Z1)) + b2))

    def dA1(self, network):
        *_, A2 = network.values()
        return np.matmul(network.inputs["W2"].T, A2 - network.Y)

    def test_dZ1_is_right_for_the_sum_of_the_losses(self, network):
        Z1, A1, *_ = network.values()
        dZ1 = self.dA1(network) * A1 * (1 - A1)

        report = te.check_derivation(
            lambda Z1: M * self.of_Z1(network)(Z1), {"Z1": Z1}, {"Z1": dZ1}
        )

        assert report.correct, report.text

    @pytest.mark.parametrize(
        ("cause", "slip"),
        [
            ("missing-mean", lambda dA1, A1: dA1 * A1 * (1 - A1)),
            ("missing-derivative", lambda dA1, A1: dA1 / M),
            ("sign", lambda dA1, A1: -dA1 * A1 * (1 - A1) / M),
            ("transpose", lambda dA1, A1: (dA1 * A1 * (1 - A1)).T / M),
        ],
    )
    def test_slips_in_dZ1_are_named(self, network, cause, slip):
        Z1, A1, *_ = network.values()

        report = te.check_derivation(
            self.of_Z1(network), {"Z1": Z1}, {"Z1": slip(self.dA1(network), A1)}
        )

        assert causes_of(report) == {"Z1": cause}, report.text

    def test_dZ2_is_the_output_minus_the_target(self, network):
        _, _, Z2, A2 = network.values()

        report = te.check_derivation(
            lambda Z2: network.loss(network.output(Z2)), Z2, (A2 - network.Y) / M
        )

        assert report.correct, report.text


# ------------------------------------------------------------------ how it is judged


def square(x):
    return te.sum(x * x)


def test_one_wrong_entry_is_located(rng):
    x = rng.standard_normal((3, 4))
    claim = 2 * x
    claim[1, 2] += 0.5

    report = te.check_derivation(square, x, claim)

    assert "wrong in 1 of 12 entries" in report.text
    index, mine, autodiff, numeric = numbers(report.text)[0]
    assert index == "[1, 2]"
    np.testing.assert_allclose(mine, claim[1, 2], rtol=1e-8)
    np.testing.assert_allclose([autodiff, numeric], 2 * x[1, 2], rtol=1e-8)


def numbers(text):
    """The table of a report: index, claimed, autodiff, differences."""
    lines = [line for line in text.splitlines() if line.lstrip().startswith("[")]
    rows = [line.rsplit(maxsplit=3) for line in lines]
    return [(index.strip(), *map(float, values)) for index, *values in rows]


@pytest.mark.parametrize(
    ("at", "where"),
    [
        (np.s_[1], "wrong in 4 of 12 entries, all at index 1 of axis 0"),
        (np.s_[:, 3], "wrong in 3 of 12 entries, all at index 3 of axis 1"),
    ],
    ids=["row", "column"],
)
def test_a_wrong_line_is_located_and_its_factor_named(at, where, rng):
    x = rng.standard_normal((3, 4))
    claim = 2 * x
    claim[at] *= -1

    report = te.check_derivation(square, x, claim)

    assert where in report.text
    assert "where it is wrong, the claim is -1 x the gradient" in report.text
    assert report.causes == ("sign",)


def test_no_cause_is_made_up(rng):
    x = rng.standard_normal((3, 4))

    report = te.check_derivation(square, x, rng.standard_normal((3, 4)))

    assert report.causes == ("unknown",)
    assert "no simple relation found" in report.text


def test_three_columns_show_the_worst_entries_first(rng):
    x = rng.standard_normal((5, 4))

    report = te.check_derivation(square, {"x": x}, {"x": 6 * x})

    rows = numbers(report.text)
    order = np.argsort(-np.abs(x), axis=None)[:5]
    assert report.text.splitlines()[1].split() == [
        "index",
        "claimed",
        "autodiff",
        "differences",
    ]
    assert [row[0] for row in rows] == [
        str(list(map(int, np.unravel_index(i, x.shape)))) for i in order
    ]
    expected = np.stack([6 * x, 2 * x, 2 * x], axis=-1).reshape(-1, 3)[order]
    np.testing.assert_allclose([row[1:] for row in rows], expected, rtol=1e-8)


def test_a_large_input_is_checked_too(rng):
    x = rng.standard_normal((64, 50))
    claim = 2 * x
    claim[40, 7] = 0

    report = te.check_derivation(square, x, claim)

    assert "wrong in 1 of 3,200 entries" in report.text
    assert numbers(report.text)[0][0] == "[40, 7]"


def test_a_claim_of_relative_error_1e_5_is_wrong_and_of_1e_8_right(rng):
    x = rng.standard_normal(6)

    assert not te.check_derivation(square, x, 2 * x * (1 + 1e-5)).correct
    assert te.check_derivation(square, x, 2 * x * (1 + 1e-8)).correct
    assert te.check_derivation(square, x, 2 * x * (1 + 1e-5), rtol=1e-4).correct


def test_a_claim_in_single_precision_is_judged_by_it(rng):
    x = rng.standard_normal(6)
    rough = 2 * x * (1 + 1e-5)  # as sums in float32 come out

    assert te.check_derivation(square, x, rough.astype(np.float32)).correct
    assert not te.check_derivation(square, x, rough).correct
    assert not te.check_derivation(square, x, (2.01 * x).astype(np.float32)).correct


def test_a_gradient_that_cancels_to_zero_is_zero(rng):
    x = rng.standard_normal((20, 7))
    labels = np.arange(20) % 7

    def shift(c):  # the softmax does not see a shift
        return te.softmax_cross_entropy(x + c, labels)

    by_graph = te.gradients(shift(c := te.tensor(0.7, requires_grad=True)), [c])[0]
    report = te.check_derivation(shift, {"c": 0.7}, {"c": 0.0})

    assert by_graph != 0  # but rounding
    assert report.correct, report.text


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_badly_scaled_inputs_are_no_excuse(size, rng):
    x = size * rng.standard_normal(5)

    assert te.check_derivation(square, x, 2 * x).correct
    assert te.check_derivation(square, x, x).causes == ("factor",)


def test_a_number_is_not_called_a_multiple_of_another():
    """Two numbers always have a ratio; so a slip that explains it exactly is better."""
    report = te.check_derivation(lambda x: te.sigmoid(x) ** 2, {"x": 0.3}, {"x": 1.15})
    slip = 2 / (1 + np.exp(-0.3))
    named = te.check_derivation(lambda x: te.sigmoid(x) ** 2, {"x": 0.3}, {"x": slip})

    assert report.causes == ("unknown",)
    assert named.causes == ("missing-derivative",)


@pytest.mark.parametrize(
    ("claim", "cause"),
    [(17.0, "unknown"), (2 * np.exp(0.7), "factor"), (-np.exp(0.7), "sign")],
)
def test_of_one_number_only_what_people_forget_is_a_cause(claim, cause):
    report = te.check_derivation(te.exp, {"x": 0.7}, {"x": claim})

    assert report.causes == (cause,)


def test_one_wrong_entry_is_called_a_multiple_only_by_a_short_fraction(rng):
    x = rng.standard_normal(5)
    by_chance, halved = 2 * x, 2 * x
    by_chance[2], halved[2] = 1.2345, x[2]

    assert te.check_derivation(square, x, by_chance).causes == ("unknown",)
    assert te.check_derivation(square, x, halved).causes == ("factor",)


def test_a_claim_of_zeros_is_detached(rng):
    report = te.check_derivation(square, rng.standard_normal(3), np.zeros(3))

    assert report.causes == ("detached",)


@pytest.mark.parametrize(
    ("relu", "slope"), [(te.relu, 1.0), (lambda x: te.maximum(x, 0), 0.0)]
)
def test_a_claim_that_differs_at_a_kink_alone_is_told_so(relu, slope):
    x, claim = np.array([-1.0, 0.0, 2.0]), np.array([0.0, 3 * slope, 3.0])

    report = te.check_derivation(lambda x: te.sum(relu(x) * 3), x, claim)

    assert report.causes == ("kink",)
    assert "no derivative at [1]: the slope is 0 to the left and 3 to the right" in (
        report.text
    )


def test_a_wrong_claim_is_not_excused_by_a_kink():
    x = np.array([-1.0, 0.0, 2.0, 3.0])

    report = te.check_derivation(
        lambda x: te.sum(te.relu(x)), x, np.array([0.0, 0.0, -1.0, -1.0])
    )

    assert report.causes == ("sign",)
    assert "the gradient from the graph disagrees with finite differences, too" in (
        report.text
    )


def test_a_right_claim_at_a_kink_says_that_differences_disagree():
    x = np.array([0.0, 1.0])

    report = te.check_derivation(lambda x: te.sum(te.relu(x)), x, x)

    assert report.correct
    assert "finite differences disagree" in report.text


def test_a_slip_in_one_of_two_branches_is_named(rng):
    x = rng.standard_normal((3, 4))

    report = te.check_derivation(lambda x: te.sum(te.tanh(x) * 3 + x * x), x, 3 + 2 * x)

    assert report.causes == ("missing-derivative",)
    assert "tanh" in report.text


def test_an_input_forgotten_by_the_chain_rule_is_named():
    x, y = np.array([[0.5], [2.0], [-1.0]]), 1.0  # one example

    def loss(W):
        return -te.log(te.sigmoid(np.matmul(W.T, x)))

    def by_hand(W):
        return (sigmoid(W.T @ x) - y) * np.ones((3, 1))

    report = te.check_derivation(loss, {"W": np.full((3, 1), 0.3)}, by_hand)

    assert report.causes == ("missing-derivative",)
    assert "the factor a constant (3, 1) is missing" in report.text


def test_a_missing_mean_over_a_vector_is_named(rng):
    x, y = rng.standard_normal((7, 3)), rng.standard_normal(7)

    report = te.check_derivation(
        lambda w: te.mean((x @ w - y) ** 2),
        {"w": np.ones(3)},
        lambda w: {"w": 2 * x.T @ (x @ w - y)},
    )

    assert report.causes == ("missing-mean",)
    assert "a division by 7" in report.text


# --------------------------------------------------------- a lost 2, or a lost mean


def data(*shape):
    return np.random.default_rng(3).standard_normal(shape)


def residual(X, w, y):
    return np.matmul(X, w) - y


TWO_OR_MEAN = [
    # examples, shape of the weights, factor, cause, words
    (3, (2,), 2, "factor", "is a 1/2 or a 2 lost?); 2 is also the length of axis 0 of"),
    (3, (2,), 1 / 2, "factor", "is a 1/2 or a 2 lost?); 2 is also the length of axis"),
    (3, (3, 2), 2, "factor", "a 2 lost?); 2 is also the length of axis 1 of W"),
    (2, (3, 2), 2, "factor", "a 2 lost?); 2 is also the length of axis 1 of W"),
    (
        2,
        (3,),
        2,
        "missing-mean",
        "a division by 2, the length of axis 0 of matmul (2,)",
    ),
    (
        2,
        (3,),
        1 / 2,
        "factor",
        "divided by 2, the length of axis 0 of matmul (2,), once",
    ),
    (
        3,
        (2,),
        3,
        "missing-mean",
        "a division by 3, the length of axis 0 of matmul (3,)",
    ),
    (6, (3, 2), 1 / 6, "factor", "divided by 6, the length of axis 0 of matmul (6, 2)"),
    (6, (3, 2), 6, "missing-mean", "a division by 6, the length of axis 0 of matmul"),
    (7, (3, 5), 35, "missing-mean", "a division by 35, the size of matmul (7, 5)"),
    (7, (3, 5), 3, "factor", "the claim is 3 x the gradient; 3 is also the length of "),
    (7, (3, 5), 4, "factor", "the claim is 4 x the gradient"),
]


@pytest.mark.parametrize(("m", "shape", "factor", "cause", "words"), TWO_OR_MEAN)
def test_a_lost_2_is_told_from_a_lost_mean(m, shape, factor, cause, words):
    X, W = data(m, shape[0]), data(*shape)
    y = np.ones((m, *shape[1:]))
    gradient = 2 * X.T @ residual(X, W, y) / y.size

    report = te.check_derivation(
        lambda W: te.mean(residual(X, W, y) ** 2), {"W": W}, {"W": factor * gradient}
    )

    assert report.causes == (cause,)
    assert words in report.text


def test_a_mean_for_the_sum_over_the_examples_is_named_by_their_number():
    X, W, b, Y = data(6, 3), data(3, 2), np.zeros(2), np.ones((6, 2))

    report = te.check_derivation(
        lambda W, b: te.sum((residual(X, W, Y) + b) ** 2),
        {"W": W, "b": b},
        {"b": 2 * residual(X, W, Y).mean(axis=0)},
    )

    assert "divided by 6, the length of axis 0 of matmul (6, 2), once" in report.text


# --------------------------------------------------- a product of a matrix and a vector


@pytest.mark.parametrize(
    ("product", "slip"),
    [
        (lambda Q, x: np.matmul(Q, x), lambda Q, x: 2 * Q @ (Q @ x)),
        (lambda Q, x: np.matmul(x, Q), lambda Q, x: 2 * (x @ Q) @ Q),
        (lambda Q, x: te.linear(x, Q), lambda Q, x: 2 * Q @ (Q @ x)),
    ],
    ids=["matrix times vector", "vector times matrix", "linear of a vector"],
)
def test_a_transpose_missing_beside_a_vector_is_found(product, slip):
    Q, x = data(3, 3), data(3)

    report = te.check_derivation(
        lambda x: te.sum(product(Q, x) ** 2), {"x": x}, {"x": slip(Q, x)}
    )

    assert report.causes == ("transpose",), report.text
    assert "the product with a constant (3, 3)" in report.text


def test_a_product_of_two_vectors_has_nothing_to_transpose():
    x, y = data(3), np.array([0.5, -1.0, 2.0])

    report = te.check_derivation(lambda x: te.tanh(x @ te.tensor(y)), x, x + y)

    assert report.causes == ("unknown",)


# ------------------------------------------------------------------- a term of a sum


X, Y = data(12, 4), data(12, 3)
DECAY = {"W1": data(4, 5), "W2": data(5, 3)}


def decayed(W1, W2):
    """Squared error, and half the squares of W1."""
    error = te.mean((np.matmul(te.tanh(np.matmul(X, W1)), W2) - Y) ** 2)
    return error + 0.1 / 2 * te.sum(W1**2)


def by_hand_decayed(times, of_data=1.0):
    def by_hand(W1, W2):
        A = np.tanh(X @ W1)
        D = 2 * (A @ W2 - Y) / Y.size
        dW1 = X.T @ (D @ W2.T * (1 - A**2))
        return {"W1": of_data * dW1 + times * 0.1 * W1, "W2": A.T @ D}

    return by_hand


TERM = "the term multiply () of W1"
DATA = "the term mean () of W1, W2"


@pytest.mark.parametrize(
    ("times", "of_data", "cause", "said"),
    [
        (0, 1, "missing-term", f"{TERM} is missing from the sum add ()"),
        (-1, 1, "sign", f"{TERM} has the wrong sign in the sum add ()"),
        (2, 1, "factor", f"{TERM} is taken twice in the sum add ()"),
        (0.5, 1, "factor", f"{TERM} is taken by half in the sum add ()"),
        (1, 0, "missing-term", f"{DATA} is missing from the sum add ()"),
        (1, -1, "sign", f"{DATA} has the wrong sign in the sum add ()"),
        (2, 2, "factor", "the claim is 2 x the gradient"),
        (0, 2, "missing-term", f"{TERM} is missing from the sum add () (and the claim"),
        (0.77, 1, "unknown", "no simple relation found"),
    ],
)
def test_a_wrong_term_of_a_sum_is_named(times, of_data, cause, said):
    report = te.check_derivation(decayed, DECAY, by_hand_decayed(times, of_data))

    assert causes_of(report) == {"W1": cause}, report.text
    assert f"likely cause: {said}" in report.text


def test_a_sum_whose_terms_are_right_is_right():
    assert te.check_derivation(decayed, DECAY, by_hand_decayed(1)).correct


@pytest.mark.parametrize("times", [0, -1])
def test_a_term_that_is_subtracted_is_named(times):
    x = data(5)

    report = te.check_derivation(
        lambda x: te.sum(te.exp(x)) - te.sum(x**3), x, np.exp(x) - times * 3 * x**2
    )

    assert report.causes == ("missing-term" if times == 0 else "sign",)
    assert "the term sum () of x" in report.text
    assert "the sum subtract ()" in report.text


def test_a_mean_that_was_taken_for_a_constant_is_a_missing_term():
    x = data(5)

    report = te.check_derivation(
        lambda x: te.sum((x - te.mean(x)) ** 3), x, 3 * (x - x.mean()) ** 2
    )

    assert "the term mean () of x is missing from the sum subtract (5,)" in report.text


def test_a_term_is_called_by_its_name():
    x = data(5)

    def f(x):
        penalty = te.sum(x**3)
        penalty.name = "penalty"
        return te.sum(te.exp(x)) + penalty

    report = te.check_derivation(f, x, np.exp(x))

    assert "the term penalty of x is missing from the sum add ()" in report.text


def test_a_long_sum_is_searched_within_bounds(monkeypatch):
    x, calls = data(4), []
    monkeypatch.setattr(derivations, "_VISITS", 20_000)
    true = derivations.gradients
    monkeypatch.setattr(
        derivations, "gradients", lambda *a, **k: calls.append(1) or true(*a, **k)
    )

    def f(x):
        total = te.sum(te.exp(x))
        for k in range(400):
            total = total + k * te.sum(te.sin(x))
        return total

    report = te.check_derivation(f, x, data(4) + 1)

    assert report.causes == ("unknown",)
    assert len(calls) < 200


# ------------------------------------------------------ the forms of inputs and claims


def product(a, b):
    return te.sum(a * b)


A, B = np.array([1.0, 2.0]), np.array([3.0, 5.0])


@pytest.mark.parametrize("inputs", [{"a": A, "b": B}, {"b": B, "a": A}, [A, B], (A, B)])
@pytest.mark.parametrize(
    "claimed",
    [
        {"a": B, "b": A},
        {"b": A},
        {"a": te.tensor(B), "b": None},
        lambda a, b: {"a": b, "b": a},
        lambda a, b: {"b": a},
    ],
    ids=["dict", "some", "tensor and None", "function", "function of some"],
)
def test_claims_by_name(inputs, claimed):
    assert te.check_derivation(product, inputs, claimed).correct


@pytest.mark.parametrize(
    "claimed",
    [
        [B, A],
        (B, A),
        [B],
        [None, A],
        [[3.0, 5.0], [1, 2]],
        B,
        lambda a, b: (b, a),
        lambda a, b: b,
        lambda *arrays: [arrays[1], arrays[0]],
    ],
)
def test_claims_in_the_order_of_the_inputs(claimed):
    report = te.check_derivation(product, [A, B], claimed)

    assert report.correct, report.text


@pytest.mark.parametrize(
    ("inputs", "claimed"),
    [
        (A, 2 * A),
        ([1.0, 2.0], [2.0, 4.0]),
        ([A], [2 * A]),
        ({"x": [1.0, 2.0]}, {"x": [2.0, 4.0]}),
        ({"anything": A}, [2 * A]),
        (te.tensor(A), te.tensor(2 * A)),
        (3.0, 6.0),
        (3.0, [6.0]),
        (np.float64(3.0), lambda x: 2 * x),
        ([[[1.0, 2.0], [3.0, 4.0]]], [[2.0, 4.0], [6.0, 8.0]]),
        ([[[1.0, 2.0]]], [[2.0, 4.0]]),
    ],
)
def test_a_single_input_in_every_form(inputs, claimed):
    report = te.check_derivation(square, inputs, claimed)

    assert report.correct, report.text


def test_numbers_for_a_function_of_several():
    report = te.check_derivation(lambda x, y: x * y * y, [2.0, 3.0], [9.0, 12.0])

    assert report.correct, report.text
    assert [claim.name for claim in report.claims] == ["x", "y"]


def test_other_names_than_those_of_f_go_by_their_order():
    report = te.check_derivation(
        lambda x, y: te.sum(x * x * y), {"p": A, "q": B}, {"q": A * A, "p": 2 * A * B}
    )

    assert report.correct, report.text


def test_integers_without_a_claim_are_handed_on():
    labels = np.array([1, 0])
    logits = np.array([[0.3, 0.1], [0.5, -0.2]])

    def loss(logits, labels):
        return te.softmax_cross_entropy(logits, labels)

    def by_hand(logits, labels):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return {"logits": (p - np.eye(2)[labels]) / 2}

    report = te.check_derivation(loss, {"logits": logits, "labels": labels}, by_hand)

    assert report.correct, report.text


def test_inputs_and_claims_are_left_as_they_are(rng):
    x = rng.standard_normal(4)
    claim = 3 * x
    before = x.copy(), claim.copy()

    def by_hand(x):
        x *= 2  # on a copy
        return x

    te.check_derivation(square, x, claim)
    report = te.check_derivation(square, {"x": x}, by_hand)

    assert report.correct
    np.testing.assert_array_equal([x, claim], before)


def test_the_report_names_each_cause_once_and_reads_as_its_text():
    report = te.check_derivation(product, {"a": A, "b": B}, {"a": -B, "b": -A})

    assert report.causes == ("sign",)
    assert str(report) == report.text
    assert [claim.cause for claim in report.claims] == ["sign", "sign"]


# ------------------------------------------------------------------- it never raises


class Unprintable:
    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


def broken(*args):
    raise ZeroDivisionError("by hand")


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("dW", "no array of real numbers; pass one of shape (2,)"),
        (np.array(["a", "b"]), "no array of real numbers"),
        (np.array([1j, 2]), "no array of real numbers"),
        ([1.0, [2.0, 3.0]], "no array of real numbers"),
        ({1, 2}, "no array of real numbers"),
        (object(), "no array of real numbers"),
        (Unprintable(), "no array"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_claim_that_is_no_array_is_an_error(claim, said):
    report = te.check_derivation(product, {"a": A, "b": B}, {"a": claim, "b": A})

    assert not report.correct
    assert report.causes == ("error",)
    assert said in report.text


def test_the_other_claims_are_judged_beside_one_that_is_no_array():
    report = te.check_derivation(product, {"a": A, "b": B}, {"a": "b", "b": -A})

    assert causes_of(report) == {"a": "error", "b": "sign"}


@pytest.mark.parametrize(
    ("claim", "cause"),
    [
        (np.zeros((3, 3)), "shape"),
        (np.ones(3), "shape"),
        (8.0, "extra-sum"),
        (np.zeros(0), "shape"),
        (np.arange(2).reshape(1, 1, 1, 2), "shape"),
        ([None, 5.0], "nan"),
        (B[:, None], "shape"),
        (B[None], "shape"),
        ([np.nan, 5.0], "nan"),
        ([np.inf, 5.0], "nan"),
        ([[np.nan]], "nan"),
        ([True, False], "unknown"),
        ([Decimal(3), Decimal(5)], ""),
    ],
    ids=str,
)
def test_claims_of_wrong_shape_or_number(claim, cause):
    report = te.check_derivation(product, {"a": A, "b": B}, {"a": claim})

    assert report.claims[0].cause == cause, report.text
    assert report.correct is (cause == "")


@pytest.mark.parametrize(
    ("f", "inputs", "claimed", "said"),
    [
        (product, [A, B], None, "claimed holds no gradient. Pass an array for each"),
        (product, [A, B], {}, "claimed holds no gradient"),
        (product, [A, B], [], "claimed holds no gradient"),
        (product, [A, B], {"a": None}, "claimed holds no gradient"),
        (product, [A, B], {"a": B, "c": A}, "claimed holds c; the inputs are a, b"),
        (product, [A, B], {"a": B, 3: A}, "claimed holds 3; the inputs are a, b"),
        (product, [A, B], [B, A, A], "claimed holds 3 arrays; there are 2 inputs"),
        (product, [A], [B], "f stopped with TypeError"),
        (product, [A, B, A], [B], "f stopped with TypeError"),
        (product, None, B, "a holds object, which has no gradient"),
        (product, "AB", B, "a holds <U2, which has no gradient"),
        (product, [], B, "f stopped with TypeError"),
        (product, {}, {}, "claimed holds no gradient"),
        (lambda: te.tensor(1.0), {}, {"a": 1.0}, "claimed holds a"),
        (product, {"a": A}, {"a": B}, "It was handed a (2,)"),
        (product, [A, B], broken, "the function of the claim stopped with ZeroDiv"),
        (product, [A, B], lambda a: a, "the function of the claim stopped with Type"),
        (product, [A, B], lambda a, b: None, "claimed holds no gradient"),
        (broken, [A, B], [B, A], "f stopped with ZeroDivisionError: by hand"),
        (lambda x: x, A, B, "f must return a single number, got shape (2,); sum it"),
        (lambda x: (x[0], x[1]), A, B, "a single number, got shape () and ()"),
        (lambda x: x.data, A, B, "f must return a Tensor or several, got ndarray"),
        (lambda x: 3.0, A, B, "f must return a Tensor or several, got float"),
        (lambda x: float(te.sum(x)), A, B, "float(), .data, .item()"),
        (lambda x: None, A, B, "f must return a Tensor or several, got NoneType"),
        (lambda x: [], A, B, "f must return a Tensor or several, got none"),
        (square, {"x": [1, 2]}, {"x": [2, 4]}, "x holds int64, which has no gradient"),
        (square, 3, 6, "write 3.0 for 3"),
        (square, np.array(3), 6, "write 3.0 for 3"),
        (square, {"x": [1, 2]}, {"x": [2, 4]}, "write 3.0 for 3"),
        (square, np.arange(3), np.arange(3), "int64, which has no gradient: pass x.as"),
        (square, te.tensor([1, 2]), [2, 4], "pass x.astype(float)"),
        (square, {"x": [1j, 2.0]}, {"x": [2, 4]}, "pass real numbers"),
        (square, {"x": [np.nan, 2.0]}, {"x": [2, 4]}, "x holds nan or infinity"),
        (square, {"x": [[1.0], [1.0, 2.0]]}, {"x": [2, 4]}, "could not be done"),
        ("f", A, B, "f must be a function of the inputs, got str"),
        (None, A, B, "f must be a function of the inputs, got NoneType"),
    ],
)
def test_what_cannot_be_checked_is_a_report_of_an_error(f, inputs, claimed, said):
    report = te.check_derivation(f, inputs, claimed)

    assert not report.correct
    assert report.causes == ("error",)
    assert report.text.startswith("the check could not be done: ")
    assert said in report.text


@pytest.mark.parametrize("options", [{"rtol": "small"}, {"rng": "seed"}])
def test_wrong_options_are_reported_too(options):
    report = te.check_derivation(square, A, 2 * A, **options)

    assert report.causes == ("error",)


def test_a_function_that_gives_nan_is_reported():
    report = te.check_derivation(lambda x: te.sum(te.log(x)), np.array([-1.0, 2.0]), A)

    assert not report.correct
    assert report.causes == ("nan",)
    assert "f gives nan at these inputs; check at others" in report.text


def test_a_gradient_that_is_infinite_is_reported():
    x, claim = np.array([0.0, 1.0]), np.array([1.0, 0.5])

    report = te.check_derivation(lambda x: te.sum(te.sqrt(x)), x, claim)

    assert "wrong in 1 of 2 entries" in report.text
    assert report.causes == ("nan",)
    assert "the gradient itself is nan or infinite here" in report.text


@pytest.mark.parametrize(
    "by_hand",
    [lambda x: x / x, lambda x: x + np.mean(np.zeros(0))],
    ids=["0/0", "mean"],
)
def test_a_function_of_the_claim_that_gives_nan_is_reported_without_warnings(by_hand):
    report = te.check_derivation(square, {"x": np.zeros(2)}, by_hand)

    assert report.causes == ("nan",)


# ------------------------------------------------------------------------- heat maps


def test_one_heat_map_for_each_wrong_claim_of_the_right_shape():
    network = NETWORKS["hidden"]
    right = network.derived()
    claimed = {**right, "W1": -right["W1"], "b1": right["b1"].T, "b2": right["b2"] + 1}

    report = te.check_derivation(network.numpy, network.inputs, claimed, plot=True)

    assert [ax.get_title() for ax in report.axes] == [
        "error of the claimed W1",
        "error of the claimed b2",
    ]
    error = np.asarray(report.axes[0].images[0].get_array())
    np.testing.assert_allclose(error, -2 * right["W1"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("plot", [True, False])
def test_no_heat_map_for_right_claims_or_none_asked_for(plot):
    claimed = 2 * A if plot else A

    assert te.check_derivation(square, A, claimed, plot=plot).axes == ()


def test_a_heat_map_of_a_claim_with_nan():
    report = te.check_derivation(square, A, [np.nan, 4.0], plot=True)

    assert report.causes == ("nan",)
    assert len(report.axes) == 1


def test_a_claim_report_draws_on_given_axes():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    report = te.check_derivation(square, {"x": A}, {"x": A})

    assert report.claims[0].plot(ax) is ax


# -------------------------------------------------------------------------------- trees


def weighted(params):
    return te.sum(params["a"] ** 2 * params["b"][0])


TREE = {"a": A, "b": [B]}
RIGHT = {"a": 2 * A * B, "b": [A * A]}


@pytest.mark.parametrize("inputs", [TREE, [TREE], {"params": TREE}, {"p": TREE}])
@pytest.mark.parametrize(
    "claimed",
    [
        RIGHT,
        [RIGHT],
        {"a": None, "b": [A * A]},
        lambda p: {"a": 2 * p["a"] * p["b"][0], "b": [p["a"] ** 2]},
    ],
    ids=["tree", "list of it", "some", "function"],
)
def test_a_tree_of_inputs_and_its_claim(inputs, claimed):
    report = te.check_derivation(weighted, inputs, claimed)

    assert report.correct, report.text
    assert report.claims[-1].name.endswith("['b'][0]")


def test_a_wrong_claim_in_a_tree_is_named_by_its_path():
    report = te.check_derivation(weighted, TREE, {"a": A * B, "b": [A * A]})

    assert report.causes == ("factor",)
    assert report.text.startswith("params['a'] (2,): wrong in 2 of 2 entries")
    assert "params['b'][0] (2,): right" in report.text


def test_trees_beside_arrays_by_name(rng):
    x = rng.standard_normal(2)
    report = te.check_derivation(
        lambda x, params: te.sum(x * params["w"]),
        {"params": {"w": A}, "x": x},
        {"params": {"w": x}, "x": A},
    )

    assert report.correct, report.text


@pytest.mark.parametrize(
    ("claimed", "says"),
    [
        ({"a": A}, "params must be a dict of 'a', 'b', got a dict of 'a'"),
        ({"a": A, "b": B}, r"params['b'] must be a list of 1, got ndarray"),
        ({"a": None, "b": [None]}, "holds no gradient"),
    ],
)
def test_a_claim_of_another_form_says_where(claimed, says):
    report = te.check_derivation(weighted, TREE, claimed)

    assert report.causes == ("error",)
    assert says in report.text


def test_what_is_no_float_in_a_tree_is_named():
    whole = {"a": A, "b": [B.astype(int)]}
    report = te.check_derivation(weighted, whole, RIGHT)

    assert "params['b'][0] holds int64, which has no gradient" in report.text
    with pytest.raises(TypeError, match=r"inputs\['b'\]\[0\] is a masked array"):
        te.check_derivation(weighted, {"a": A, "b": [np.ma.masked_array(B)]}, RIGHT)
