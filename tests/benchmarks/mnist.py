"""MNIST over several seeds: ours, PyTorch and MLPClassifier with the same recipe.

    python tests/benchmarks/mnist.py [--seeds 5] [--only cnn] [--write]

Each training is a process of its own with a single thread, one after another, in a
fresh random order for each seed. What counts is the processor's time of the training
alone, which says the same on a machine that has other things to do. It takes half an
hour; TINYGRAD_EDU_DATA names the folder of MNIST. With --write the tables go into
docs/benchmarks.md.

The recipes with one cycle are those of examples/14_mnist.py, which is run as it stands;
it tells how they were chosen, by images of the training set. MLPClassifier knows no
such schedule, so that beside it all train with a constant learning rate.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import runpy
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from page import machine, write_section
from tqdm import tqdm

EXAMPLE = Path(__file__).parents[2] / "examples" / "14_mnist.py"
HIDDEN = {"small": 64, "mlp": 256}
EPOCHS = {"small": 8, "mlp": 8, "cnn": 6}
BATCH = 64
PEAK = 0.005  # the highest rate of a cycle
CONSTANT = 0.001

#: network and schedule -> who trains it so
JOBS = {
    ("small", "one-cycle"): ("tinygrad_edu", "PyTorch"),
    ("small", "constant"): ("tinygrad_edu", "PyTorch", "MLPClassifier"),
    ("mlp", "one-cycle"): ("tinygrad_edu", "PyTorch"),
    ("mlp", "constant"): ("tinygrad_edu", "PyTorch", "MLPClassifier"),
    ("cnn", "one-cycle"): ("tinygrad_edu", "PyTorch"),
}
TITLES = {
    "small": "784-64-10",
    "mlp": "784-256-10",
    "cnn": "convolutions 8 of 5 x 5 and 32 of 3 x 3, 128 hidden units",
}


def by_example(name: str, seed: int) -> tuple[float, float]:
    """Run the example; return the share of the test set that is right, and seconds."""
    time.perf_counter = time.process_time  # the clock that te.fit reads
    sys.argv = [str(EXAMPLE), name, "--seed", str(seed)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    found = re.search(r"parameters: ([\d.]+)% of .* after ([\d.]+) s", said.getvalue())
    assert found, said.getvalue()
    return float(found[1]) / 100, float(found[2])


def by_estimator(kind: str, name: str, seed: int) -> tuple[float, float]:
    """MLPClassifier, or our classifier with the same parameters."""
    import tinygrad_edu as te

    if kind == "MLPClassifier":
        from sklearn.neural_network import MLPClassifier as Classifier
    else:
        Classifier = te.NeuralNetClassifier
    X, y, X_test, y_test = te.data.load_mnist(dtype=np.float32)
    classifier = Classifier(
        HIDDEN[name],
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=CONSTANT,
        max_iter=EPOCHS[name],
        random_state=seed,
    )
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        classifier.fit(X, y)
    return float(classifier.score(X_test, y_test)), time.process_time() - start


def by_torch(name: str, schedule: str, seed: int) -> tuple[float, float]:
    import torch

    import tinygrad_edu as te

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    X, y, X_test, y_test = map(torch.from_numpy, te.data.load_mnist(dtype=np.float32))
    if name == "cnn":
        X, X_test = X.view(-1, 1, 28, 28), X_test.view(-1, 1, 28, 28)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 5, padding="same"),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 32, 3, padding="same"),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(32 * 49, 128),
            torch.nn.ReLU(),
            torch.nn.Linear(128, 10),
        )
    else:
        model = torch.nn.Sequential(
            torch.nn.Linear(784, HIDDEN[name]),
            torch.nn.ReLU(),
            torch.nn.Linear(HIDDEN[name], 10),
        )
    *inner, last = [m for m in model if hasattr(m, "weight")]
    for layer in inner:
        torch.nn.init.kaiming_normal_(layer.weight)
    torch.nn.init.xavier_uniform_(last.weight)
    for layer in (*inner, last):
        torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=CONSTANT)
    steps = EPOCHS[name] * -(-len(X) // BATCH)
    rates = np.full(steps, CONSTANT)
    if schedule == "one-cycle":
        shares = te.optim.schedules.OneCycle(steps)
        rates = PEAK * np.array([shares(step) for step in range(steps)])
    numbers = iter(rates.tolist())
    start = time.process_time()
    for _ in range(EPOCHS[name]):
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.param_groups[0]["lr"] = next(numbers)
            loss = torch.nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seconds = time.process_time() - start
    with torch.no_grad():
        right = (model(X_test).argmax(axis=1) == y_test).double().mean()
    return float(right), seconds


def train(name: str, schedule: str, who: str, seed: int) -> tuple[float, float]:
    if who == "PyTorch":
        return by_torch(name, schedule, seed)
    if schedule == "constant":
        return by_estimator(who, name, seed)
    return by_example(name, seed)


def in_a_process(*job: str | int) -> tuple[float, float]:
    run = subprocess.run(
        [sys.executable, __file__, "--train", *map(str, job)],
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    if run.returncode:
        sys.exit(run.stderr)
    accuracy, seconds = map(float, run.stdout.split())
    return accuracy, seconds


def table(job: tuple[str, str], runs: dict[str, list[tuple[float, float]]]) -> str:
    name, schedule = job
    rate = f"up to {PEAK} and down" if schedule == "one-cycle" else str(CONSTANT)
    lines = [
        f"**{TITLES[name]}**, Adam, learning rate {rate}, batches of {BATCH}, "
        f"{EPOCHS[name]} epochs",
        "",
        "| | test accuracy | mean | processor time | ours takes |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for who, results in runs.items():
        accuracies, seconds = zip(*results, strict=True)
        ratio = statistics.median(
            a / b for (_, a), (_, b) in zip(runs["tinygrad_edu"], results, strict=True)
        )
        ours = who == "tinygrad_edu"
        lines.append(
            f"| {f'**{who}**' if ours else who} | {min(accuracies):.2%} to "
            f"{max(accuracies):.2%} | {statistics.mean(accuracies):.2%} | "
            f"{statistics.median(seconds):.1f} s | {'' if ours else f'{ratio:.2f}'} |"
        )
    return "\n".join(lines).replace("%", " %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="small, mlp or cnn")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        name, schedule, who, seed = given.train
        print(*train(name, schedule, who, int(seed)))
        return
    jobs = {job: who for job, who in JOBS.items() if given.only in job[0]}
    runs = {job: {one: [] for one in who} for job, who in jobs.items()}
    todo = [(*job, one) for job, who in jobs.items() for one in who]
    with tqdm(total=given.seeds * len(todo), unit="training") as bar:
        for seed in range(given.seeds):
            for name, schedule, who in random.sample(todo, len(todo)):
                result = in_a_process(name, schedule, who, seed)
                runs[name, schedule][who].append(result)
                bar.write(f"{name} {schedule} {who} seed {seed}: {result}")
                bar.update()
    tables = "\n\n".join(table(job, results) for job, results in runs.items())
    print(f"\n{tables}")
    if given.write:
        write_section("mnist", f"{machine()} {given.seeds} seeds.\n\n{tables}")


if __name__ == "__main__":
    main()
