"""A fit as in physics: five quantities of a damped oscillation, with uncertainties.

The model is no network but a law, and its parameters have units. It is trained like any
other. Two things are particular to such a fit. Along the frequency the loss has many
valleys, and not every start leads into the right one. And a value is worth little
without its uncertainty: that follows from the second derivatives of the loss.

python examples/12_damped_oscillator.py
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

import tinygrad_edu as te

NOISE = 2.0  # of a measurement, mm
TRUTH = {
    "amplitude": 20.0,  # mm
    "damping": 0.3,  # 1/s
    "frequency": 1.7,  # Hz
    "phase": 0.6,  # rad
    "offset": 3.0,  # mm
}
UNITS = dict(zip(TRUTH, ("mm", "1/s", "Hz", "rad", "mm"), strict=True))

# Chosen by the training loss: 0.1 ends with the same values, 0.02 is too slow for that.
LEARNING_RATE, EPOCHS = 0.05, 1000


def oscillation(t, amplitude, damping, frequency, phase, offset):
    """Return the position at times t, in s, in mm: of arrays or of tensors."""
    wave = np.cos(2 * np.pi * frequency * t + phase)
    return amplitude * np.exp(-damping * t) * wave + offset


class Oscillator(te.nn.Layer):
    """From times (N,) to positions (N,)."""

    def __init__(self, **quantities):
        for name, value in quantities.items():
            setattr(self, name, te.tensor(float(value), requires_grad=True))

    def forward(self, t):
        return oscillation(t, *self.parameters())


def train(start):
    """Return the values that a training from there ends with, and the history."""
    model = Oscillator(**start)
    optimizer = te.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    falling = te.optim.schedules.CosineAnnealing(EPOCHS)
    history = te.fit(
        model,
        t,
        y,
        loss=te.nn.mse_loss,
        optimizer=optimizer,
        epochs=EPOCHS,
        callbacks=[te.optim.schedules.Schedule(optimizer, falling)],
        progress=False,
    )
    return np.array([p.item() for p in model.parameters()]), history


def best_at(frequency):
    """Return the start at this frequency that fits best.

    Once damping and frequency are known, the position is a sum of a cosine, a sine and
    a constant: a linear problem, which has one solution and needs no training.
    """
    decay, angle = np.exp(-DECAY * t), 2 * np.pi * frequency * t
    columns = np.stack(
        [decay * np.cos(angle), -decay * np.sin(angle), np.ones_like(t)], axis=1
    )
    a, b, offset = np.linalg.lstsq(columns, y)[0]
    # amplitude cos(angle + phase) = a cos(angle) - b sin(angle)
    start = np.hypot(a, b), DECAY, frequency, np.arctan2(b, a), offset
    return dict(zip(TRUTH, start, strict=True))


def guess_at(frequency):
    """Return the start at this frequency that one reads off the data."""
    start = np.ptp(y) / 2, DECAY, frequency, 0.0, y.mean()
    return dict(zip(TRUTH, start, strict=True))


def loss_from(start):
    return np.mean((oscillation(t, **start) - y) ** 2)


rng = np.random.default_rng(0)
t = np.linspace(0, 6, 150)  # s
y = oscillation(t, **TRUTH) + NOISE * rng.standard_normal(t.size)
DECAY = 1 / t[-1]  # to 1 / e in the end, as a guess

# Two waves fall out of step after 1 / difference of their frequencies. In 6 s, that
# makes valleys about 1 / 6 Hz wide: the steps of the search must be much smaller.
frequencies = np.arange(0.5, 4, 0.02)
best = min(frequencies, key=lambda frequency: loss_from(best_at(frequency)))

# Adam often finds its way through the valleys. It makes the damping large first, so
# that only the first waves count, which fall out of step later; but not from far away.
starts = [guess_at(0.5), guess_at(2.5), guess_at(4.0), best_at(best)]
for start in starts:
    fitted, history = train(start)  # what counts in the end is the last
    print(
        f"from {start['frequency']:.2f} Hz, loss {loss_from(start):5.1f} mm²: "
        f"to {fitted[2]:.3f} Hz, loss {history['loss'][-1]:5.2f} mm²"
    )


# Near the minimum, the loss rises by 1/2 Δᵀ H Δ. The noise makes the minimum lie off
# the truth, by a Δ of covariance 2 σ² / n H⁻¹: a steep valley is a sharp value. For σ²
# stands what the residuals tell: their squares, over n less the 5 quantities fitted.
def loss_of(quantities):
    return te.nn.mse_loss(oscillation(t, *quantities), y)


residuals = y - oscillation(t, *fitted)
variance = np.sum(residuals**2) / (t.size - fitted.size)
H = te.hessian(loss_of)(fitted)  # (5, 5)
errors = np.sqrt(np.diag(2 * variance / t.size * np.linalg.inv(H)))

# The same by SciPy, whose H leaves out the second derivatives of the oscillation.
theirs, covariance = curve_fit(oscillation, t, y, p0=list(start.values()))
their_errors = np.sqrt(np.diag(covariance))

print(f"noise {variance**0.5:.2f} mm, in truth {NOISE:.2f} mm")
for i, (name, truth) in enumerate(TRUTH.items()):
    print(
        f"{name:9} {fitted[i]:8.4f} ± {errors[i]:.4f}   "
        f"by curve_fit {theirs[i]:8.4f} ± {their_errors[i]:.4f}   "
        f"in truth {truth:4.1f} {UNITS[name]}"
    )
far = np.abs(fitted - theirs) / errors
print(f"from curve_fit's values by {far.max():.1e} of an uncertainty at most")

figure = Figure(figsize=(8, 9), layout="constrained")
along, data, rest = figure.subplots(3, 1, height_ratios=(2, 3, 1.5))
for kind, look in ((guess_at, ":"), (best_at, "-")):
    losses = [loss_from(kind(frequency)) for frequency in frequencies]
    label = "the rest guessed" if kind is guess_at else "the rest as fits best"
    along.plot(frequencies, losses, look, label=label)
along.plot(best, min(losses), "ko", label=f"the start, {best:.2f} Hz")
along.set(xlabel="frequency [Hz]", ylabel="loss [mm²]", title="Where to start")
along.legend()
fine = np.linspace(0, t[-1], 1000)
data.plot(t, y, ".", color="0.4", label="measured")
data.plot(fine, oscillation(fine, *fitted), label="fitted")
data.plot(fine, oscillation(fine, **TRUTH), ":", color="black", label="truth")
data.set(ylabel="position [mm]", title="Damped oscillation")
data.legend()
rest.errorbar(t, residuals, yerr=variance**0.5, fmt=".", color="0.4", elinewidth=0.5)
rest.axhline(0, color="black", linewidth=1)
rest.set(xlabel="time [s]", ylabel="residual [mm]")
picture = te.plots.save(rest, Path(tempfile.gettempdir()) / "12_damped_oscillator.png")
print("picture:", picture)
