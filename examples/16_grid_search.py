"""A search for good settings, by scikit-learn's GridSearchCV around a network.

Each pair of settings is tried by cross-validation: learn from two thirds, be judged by
the last third, three times. The test set has no say in the choice. It is looked at
once, in the end.

python examples/16_grid_search.py
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tinygrad_edu as te

SIZES, RATES = (4, 16, 64), (0.001, 0.01, 0.1)
EPOCHS = 5  # few, so that all of it takes some seconds

warnings.simplefilter("ignore", ConvergenceWarning)  # after so few epochs

X, y, X_test, y_test = te.data.load_digits()

# In a pipeline, the scaler learns its means from the part to learn from, each time.
network = te.NeuralNetClassifier(max_iter=EPOCHS, batch_size=32, random_state=0)
search = GridSearchCV(
    make_pipeline(StandardScaler(), network),
    {
        "neuralnetclassifier__hidden_layer_sizes": [(size,) for size in SIZES],
        "neuralnetclassifier__learning_rate_init": RATES,
    },
    cv=3,
)
search.fit(X, y)

# Results come with the last setting running fastest.
shape = len(SIZES), len(RATES)
mean = search.cv_results_["mean_test_score"].reshape(shape)
spread = search.cv_results_["std_test_score"].reshape(shape)
for size, row, deviations in zip(SIZES, mean, spread, strict=True):
    scores = [f"{m:.1%} ± {s:.1%}" for m, s in zip(row, deviations, strict=True)]
    print(f"{size:2} hidden units: {', '.join(scores)}")
print(f"best: {search.best_params_}")
print(f"by cross-validation {search.best_score_:.1%}", end=", ")
print(f"on the test set {search.score(X_test, y_test):.1%}")

figure = Figure(figsize=(5.5, 4.5), layout="constrained")
ax = figure.subplots()
image = ax.imshow(mean, cmap="Blues", vmin=0, vmax=1)
for (i, j), score in np.ndenumerate(mean):
    color = "white" if score > 0.5 else "black"
    ax.text(j, i, f"{score:.1%}", ha="center", va="center", color=color)
ax.set_xticks(range(len(RATES)), [str(rate) for rate in RATES])
ax.set_yticks(range(len(SIZES)), [str(size) for size in SIZES])
ax.set(xlabel="learning rate", ylabel="hidden units")
ax.set_title(f"Right of those kept aside, after {EPOCHS} epochs")
figure.colorbar(image, format=lambda share, _: f"{share:.0%}")
picture = te.plots.save(ax, Path(tempfile.gettempdir()) / "16_grid_search.png")
print("picture:", picture)
