"""Training: fit, predict, evaluate, the history, callbacks, saving and loading."""

from tinygrad_edu.diagnosis.advice import advise
from tinygrad_edu.diagnosis.nonfinite import NonFiniteError, explain_nonfinite
from tinygrad_edu.metrics import Meter, accuracy, binary_accuracy
from tinygrad_edu.nn.borrowing import evaluating
from tinygrad_edu.saving.weights import load, save
from tinygrad_edu.training.callbacks import (
    CSVLog,
    EarlyStopping,
    LivePlot,
    ModelCheckpoint,
)
from tinygrad_edu.training.fitting import fit
from tinygrad_edu.training.history import History
from tinygrad_edu.training.inference import evaluate, predict
from tinygrad_edu.training.moments import BeforeStep, EveryBatch, Training

__all__ = [
    "BeforeStep",
    "CSVLog",
    "EarlyStopping",
    "EveryBatch",
    "History",
    "LivePlot",
    "Meter",
    "ModelCheckpoint",
    "NonFiniteError",
    "Training",
    "accuracy",
    "advise",
    "binary_accuracy",
    "evaluate",
    "evaluating",
    "explain_nonfinite",
    "fit",
    "load",
    "predict",
    "save",
]
