"""A network for a table of your own: from a CSV file to an error on a test set.

The first line names the columns, each further line is an example; commas, semicolons or
tabs stand between. A column of words becomes one of zeros and ones for each word. The
target is named by its column: numbers are predicted, words are classes.

Without a file, the script writes one: wines, of which the proline, an amino acid, is to
be told from twelve other measurements and the cultivar.

python examples/13_your_own_csv.py file.csv target_column
"""

import csv
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine

import tinygrad_edu as te

# Chosen by the validation loss on the wines, from (16,), (32, 16) and (64,), 0.001,
# 0.003 and 0.01, and 0.01, 0.1 and 1. Other tables may want others.
HIDDEN, LEARNING_RATE, WEIGHT_DECAY = (64,), 0.003, 0.1
EPOCHS, BATCH, PATIENCE = 500, 16, 30

MOST_WORDS = 20  # different ones in a column
MISSING = {"", "-", "?", "na", "n/a", "nan", "none", "null"}
FOLDER = Path(tempfile.gettempdir())


def write_wines(path):
    """Write scikit-learn's wines as a table, in which two measurements are missing."""
    wines = load_wine()
    cultivars = wines.target_names[wines.target]
    rows = [[*map(str, x), c] for x, c in zip(wines.data, cultivars, strict=True)]
    rows[8][4], rows[98][0] = "", "NA"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*wines.feature_names, "cultivar"], *rows])


def read(path):
    """Return columns of text by name, and in which line each example stands."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        table = csv.reader(file, delimiter=max(",;\t", key=header.count))
        names = [name.strip() for name in next(table, [])]
        if len(names) < 2 or len({*names}) < len(names):
            sys.exit(f"{path}: the first line must name the columns, each differently")
        rows, lines = [], []
        for row in filter(None, table):
            if len(row) != len(names):
                sys.exit(
                    f"{path}, line {table.line_num}: {len(row)} columns, but the first "
                    f"line names {len(names)}"
                )
            rows.append([text.strip() for text in row])
            lines.append(table.line_num)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}, lines


def as_array(name, texts, lines):
    """Return numbers, nan where one is missing; or words, "" where one is missing."""
    missing = np.array([text.lower() in MISSING for text in texts])
    if missing.any():
        where = ", ".join(str(lines[row]) for row in np.flatnonzero(missing)[:5])
        more = ", ..." if missing.sum() > 5 else ""
        print(f"{name}: {missing.sum()} missing, in line {where}{more}")
    try:
        numbers = np.where(missing, "nan", texts).astype(float)
    except ValueError:
        return np.where(missing, "", texts)
    if np.isinf(numbers).any():
        sys.exit(f"{name}: infinite in line {lines[np.isinf(numbers).argmax()]}")
    return numbers


def features(columns, train):
    """Return X (n, features), nan where a number is missing, and what the columns are.

    Only the training part decides what becomes of a column: otherwise the model would
    know something of the examples that it is going to be tested on.
    """
    X = {}
    for name, column in columns.items():
        numbers = column.dtype.kind == "f"
        seen = column[train]
        values = np.unique(seen[~np.isnan(seen)] if numbers else seen[seen != ""])
        if len(values) < 2:
            print(f"{name}: left out, it has less than two different values")
        elif numbers:
            X[name] = column
        elif len(values) > MOST_WORDS:
            print(f"{name}: left out, {len(values)} different words like {values[0]}")
        else:
            X |= {f"{name}={word}": (column == word) * 1.0 for word in values}
    if not X:
        sys.exit("there is no column to predict from")
    return np.stack([*X.values()], axis=1), [*X]


class Standardise(te.nn.Layer):
    """Move each feature to mean 0 and deviation 1, and to 0 where it is missing.

    As a layer, with the mean and deviation of the training part as buffers, it is saved
    with the weights: they are worth nothing without.
    """

    def __init__(self, X):
        self.mean, self.deviation = np.nanmean(X, axis=0), np.nanstd(X, axis=0)

    def forward(self, x):
        return np.nan_to_num((x - self.mean) / self.deviation)


def dense(sizes, X):
    rng = np.random.default_rng(0)
    model = te.nn.Sequential(Standardise(X))
    for before, after in pairwise(sizes):
        model.append(te.nn.Linear(before, after, init="he_normal", rng=rng))
        model.append(te.nn.ReLU())
    return model[:-1]


if len(sys.argv) not in (1, 3):
    sys.exit("python examples/13_your_own_csv.py file.csv target_column")
path, target = FOLDER / "wines.csv", "proline"
if len(sys.argv) == 3:
    path, target = Path(sys.argv[1]), sys.argv[2]
else:
    write_wines(path)

texts, lines = read(path)
if target not in texts:
    sys.exit(f"{path}: there is no column {target!r}, but {', '.join(texts)}")
columns = {name: as_array(name, column, lines) for name, column in texts.items()}
wanted = columns.pop(target)
classes = np.unique(wanted[wanted != ""]) if wanted.dtype.kind == "U" else []
known = np.flatnonzero(wanted != "" if len(classes) else ~np.isnan(wanted))
if len(known) < 20:
    sys.exit(f"{path}: {len(known)} examples with a {target} are too few")

# One part to learn from, one to see when to stop, one to be judged by.
shares = [round(0.6 * len(known)), round(0.8 * len(known))]
train, validation, test = np.split(np.random.default_rng(0).permutation(known), shares)
X, names = features(columns, train)
print(f"{len(known)} examples; features: {', '.join(names)}")

if len(classes):
    y, outputs = np.searchsorted(classes, wanted), len(classes)
    loss, metrics = te.nn.softmax_cross_entropy, "accuracy"
else:
    mean, deviation = wanted[train].mean(), wanted[train].std()
    y, outputs = (wanted[:, None] - mean) / deviation, 1
    loss, metrics = te.nn.mse_loss, ()


def judged(output):
    """Return the error on the test set, and how uncertain so few examples make it."""
    if len(classes):
        wrong = np.mean(output.argmax(axis=1) != y[test])
        return f"{wrong:.1%} ± {(wrong * (1 - wrong) / len(test)) ** 0.5:.1%} wrong"
    squares = ((output - y[test]) * deviation) ** 2
    error = squares.mean() ** 0.5
    return f"{error:.4g} ± {squares.std() / len(test) ** 0.5 / 2 / error:.2g}"


print(f"error on the test set, {len(test)} examples:")
always = np.bincount(y[train], minlength=outputs) if len(classes) else [0.0]
print("  without the features:", judged(np.tile(always, (len(test), 1))))
for kind, sizes in (("linear", ()), ("network", HIDDEN)):
    model = dense((len(names), *sizes, outputs), X[train])
    optimizer = te.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    history = te.fit(
        model,
        X[train],
        y[train],
        loss=loss,
        metrics=metrics,
        optimizer=optimizer,
        epochs=EPOCHS,
        batch_size=BATCH,
        validation=(X[validation], y[validation]),
        callbacks=[te.training.EarlyStopping(patience=PATIENCE)],
        progress=False,
        rng=0,
    )
    print(f"  {kind}: {judged(te.predict(model, X[test]))}; {history.stopped}")

picture = te.plots.save(history.plot(), FOLDER / "13_your_own_csv.png")
print("picture:", picture)
# te.load(model, weights) reads them into a model that is built in the same way.
weights = te.save(model, FOLDER / "13_your_own_csv.safetensors")
print("weights:", weights)
