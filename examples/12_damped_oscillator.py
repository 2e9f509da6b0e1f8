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

NAMES = "amplitude", "damping", "frequency", "phase", "offset"
UNITS = "mm", "1/s", "Hz", "rad", "mm"
TRUTH = 20.0, 0.3, 1.7, 0.6, 3.0
NOISE = 2.0  # of a measurement, mm

# Chosen by the training loss: 0.1 ends with the same values, 0.02 is too slow for that.
LEARNING_RATE, EPOCHS = 0.05, 1000


def oscillation(t, amplitude, damping, frequency, phase, offset):
    """Return the position at times t, in s, in mm: of arrays or of tensors."""
    wave = np.cos(2 * np.pi * frequency * t + phase)
    return amplitude * np.exp(-damping * t) * wave + offset


def loss_of(quantities):
    return np.mean((oscillation(t, *quantities) - y) ** 2)


def train(start):
    """Return the values that a training from there ends with, and the loss."""
    quantities = [te.tensor(value, requires_grad=True) for value in start]
    optimizer = te.optim.Adam(quantities, lr=LEARNING_RATE)
    falling = te.optim.schedules.CosineAnnealing(EPOCHS)
    schedule = te.optim.schedules.Schedule(optimizer, falling)
    for _ in range(EPOCHS):
        loss = loss_of(quantities)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return np.array([value.item() for value in quantities]), loss.item()


def guess_at(frequency):
    """Return the start at this frequency that one reads off the data."""
    return np.ptp(y) / 2, DECAY, frequency, 0.0, y.mean()


def best_at(frequency):
    """Return the start at this frequency that fits best.

    Once damping and frequency are known, the position is a sum of a cosine, a sine and
    a constant: a linear problem, which has one solution and needs no training.
    """
    wave = np.exp((-DECAY + 2j * np.pi * frequency) * t)
    columns = np.stack([wave.real, -wave.imag, np.ones_like(t)], axis=1)
    a, b, offset = np.linalg.lstsq(columns, y)[0]
    # amplitude cos(angle + phase) = a cos(angle) - b sin(angle)
    return np.hypot(a, b), DECAY, frequency, np.arctan2(b, a), offset


rng = np.random.default_rng(0)
t = np.linspace(0, 6, 150)  # s
y = oscillation(t, *TRUTH) + NOISE * rng.standard_normal(t.size)
DECAY = 1 / t[-1]  # to 1 / e in the end, as a guess

# Two waves fall out of step after 1 / difference of their frequencies. In 6 s, that
# makes valleys about 1 / 6 Hz wide: the steps of the search must be much smaller.
frequencies = np.arange(0.5, 4, 0.02)
best = min(frequencies, key=lambda frequency: loss_of(best_at(frequency)))

# Adam often finds its way through the valleys. It makes the damping large first, so
# that only the first waves count, which fall out of step later; but not from far away.
for start in (guess_at(0.5), guess_at(2.5), guess_at(4.0), best_at(best)):
    fitted, loss = train(start)  # what counts in the end is the last
    change = f"from {start[2]:.2f} to {fitted[2]:.3f} Hz"
    print(f"{change}, loss from {loss_of(start):5.1f} to {loss:5.2f} mm²")

# Near the minimum, the loss rises by 1/2 Δᵀ H Δ. The noise makes the minimum lie off
# the truth, by a Δ of covariance 2 σ² / n H⁻¹: a steep valley is a sharp value. For σ²
# stands what the residuals tell: their squares, over n less the 5 quantities fitted.
variance = np.sum((y - oscillation(t, *fitted)) ** 2) / (t.size - fitted.size)
H = te.hessian(loss_of)(fitted)  # (5, 5)
errors = np.sqrt(np.diag(2 * variance / t.size * np.linalg.inv(H)))

# The same by SciPy, whose H leaves out the second derivatives of the oscillation.
theirs, covariance = curve_fit(oscillation, t, y, p0=start)
their_errors = np.sqrt(np.diag(covariance))
for i, name in enumerate(NAMES):
    ours = f"{fitted[i]:8.4f} ± {errors[i]:.4f}"
    scipys = f"by curve_fit {theirs[i]:8.4f} ± {their_errors[i]:.4f}"
    print(f"{name:9} {ours}   {scipys}   in truth {TRUTH[i]:4.1f} {UNITS[i]}")
far = np.abs(fitted - theirs) / errors
print(f"from curve_fit's values by {far.max():.1e} of an uncertainty at most")

figure = Figure(figsize=(8, 7), layout="constrained")
along, data = figure.subplots(2, 1, height_ratios=(2, 3))
for start_at, label in {guess_at: "guessed", best_at: "as fits best"}.items():
    losses = [loss_of(start_at(frequency)) for frequency in frequencies]
    along.plot(frequencies, losses, label=label)
along.set(xlabel="frequency [Hz]", ylabel="loss [mm²]", title="Where to start")
along.legend(title="the other quantities")
data.errorbar(t, y, yerr=variance**0.5, fmt=".", color="0.4", elinewidth=0.5)
data.plot(t, oscillation(t, *fitted), label="fitted")
data.plot(t, oscillation(t, *TRUTH), ":", color="black", label="truth")
data.set(xlabel="time [s]", ylabel="position [mm]", title="Damped oscillation")
data.legend()
picture = te.plots.save(data, Path(tempfile.gettempdir()) / "12_damped_oscillator.png")
print("picture:", picture)
