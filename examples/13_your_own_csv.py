"""A network for a table of your own: from a CSV file to an error on a test set.

Call it with a file and the column to predict: numbers are predicted, words are classes.
The first line names the columns, each further line is an example; commas, semicolons or
tabs stand between. A column of words becomes one of zeros and ones for each word.
Without a file wines are taken, whose proline, an amino acid, is to be predicted.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tinygrad_edu as te

# For some hundred examples. How to search for what suits yours: 16_grid_search.py.
SETTINGS = {"alpha": 0.1, "batch_size": 16, "max_iter": 500, "random_state": 0}
STOPPING = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 30}
MISSING = {"", "-", "?", "na", "n/a", "nan", "none", "null", "inf", "-inf"}
FOLDER = Path(tempfile.gettempdir())


def read(path):
    """Return columns by name, of numbers or of words; nan is what is missing."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        table = csv.reader(file, delimiter=max(",;\t", key=header.count))
        rows = [(table.line_num, [x.strip() for x in row]) for row in table if row]
    (_, names), *rows = rows or [(1, [])]
    if len(names) < 2 or len({*names}) < len(names):
        sys.exit(f"{path}: the first line must name the columns, each differently")
    for line, row in rows:
        if len(row) != len(names):
            sys.exit(f"{path}, line {line}: {len(row)} columns, not {len(names)}")
    columns = {}
    for name, *texts in zip(names, *(row for _, row in rows), strict=True):
        gone = np.array([text.lower() in MISSING for text in texts], dtype=bool)
        if gone.any():
            lines = ", ".join(str(rows[i][0]) for i in np.flatnonzero(gone)[:5])
            print(f"{name}: {gone.sum()} missing, in line {lines}")
        cells = np.where(gone, "nan", texts)
        try:
            columns[name] = cells.astype(float)
        except ValueError:
            columns[name] = cells
    return columns


def network(hidden):
    """Fill in means, scale what goes in, and what comes out, too, if it is a number."""
    kind = te.NeuralNetClassifier if classes else te.NeuralNetRegressor
    model = kind(hidden, learning_rate_init=0.003, **SETTINGS, **STOPPING)
    model = make_pipeline(SimpleImputer(), StandardScaler(), model)
    if classes:
        return model
    return TransformedTargetRegressor(model, transformer=StandardScaler())


parser = argparse.ArgumentParser(description="Pass a file and the column to predict.")
parser.add_argument("file", nargs="?", type=Path, default=FOLDER / "wines.csv")
parser.add_argument("target", nargs="?", default="proline")
path, target = vars(parser.parse_args()).values()
if len(sys.argv) == 1:
    wines = load_wine()
    table = np.column_stack([wines.data.astype(str), wines.target_names[wines.target]])
    table[8, 4], table[98, 0] = "", "NA"  # two measurements are missing
    header = ",".join([*wines.feature_names, "cultivar"])
    np.savetxt(path, table, "%s", ",", header=header, comments="")
if len(sys.argv) == 2 or not path.is_file():
    parser.error("pass a file that is there, and the column to predict")
columns = read(path)
if target not in columns:
    sys.exit(f"{path}: there is no column {target!r}, but {', '.join(columns)}")
wanted = columns.pop(target)
classes = wanted.dtype.kind == "U"
known = np.flatnonzero(wanted.astype(str) != "nan")
if len(known) < 20:
    sys.exit(f"{path}: {len(known)} examples with a {target} are too few")

features = {}
for name, column in columns.items():
    values = np.unique(column[column.astype(str) != "nan"])
    if len(values) < 2:
        print(f"{name}: left out, it has less than two different values")
    elif column.dtype.kind == "f":
        features[name] = column
    elif len(values) > 20:  # such as names
        print(f"{name}: left out, {len(values)} different words like {values[0]}")
    else:
        features |= {f"{name}={word}": (column == word) * 1.0 for word in values}
if not features:
    sys.exit("there is no column to predict from")
print(f"{len(known)} examples; features: {', '.join(features)}")
X = np.stack([*features.values()], axis=1)  # nan where a number is missing
shuffled = np.random.default_rng(0).permutation(known)
train, test = np.split(shuffled, [round(0.8 * len(known))])
always = DummyClassifier() if classes else DummyRegressor()
models = {"always the same": always, "linear": network(()), "network": network((64,))}
print(f"error on the test set, {len(test)} examples, and how uncertain these make it:")
for name, model in models.items():
    said = model.fit(X[train], wanted[train]).predict(X[test])
    losses = said != wanted[test] if classes else (said - wanted[test]) ** 2
    mean, spread = losses.mean(), losses.std() / len(test) ** 0.5
    if classes:
        print(f"  {name}: {mean:.1%} ± {spread:.1%} wrong")
    else:
        print(f"  {name}: {mean**0.5:.4g} ± {spread / 2 / mean**0.5:.2g}")

history = (model if classes else model.regressor_)[-1].history_
print("picture:", te.plots.save(history.plot(), FOLDER / "13_your_own_csv.png"))
