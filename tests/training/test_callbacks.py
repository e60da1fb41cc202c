"""Mirrors src/geotether/training/callbacks.py: each logger with a stand-in for its library."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from geotether.training.callbacks import MLflow, TensorBoard, WeightsAndBiases


@pytest.fixture
def logged(monkeypatch):
    """Replace the three libraries; returns what they are given as (name, value, step)."""
    found = []

    def note(values, step):
        found.extend((name, value, step) for name, value in values.items())

    writer = SimpleNamespace(add_scalar=lambda name, value, step: note({name: value}, step), flush=lambda: None)
    stand_ins = {
        "torch.utils.tensorboard": {"SummaryWriter": lambda folder: writer},
        "wandb": {"init": lambda **options: SimpleNamespace(log=note)},
        "mlflow": {"log_metrics": note},
    }
    for name, attributes in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    return found


@pytest.mark.parametrize(
    "make, recall",
    [(lambda: TensorBoard("logs"), "recall@10"), (WeightsAndBiases, "recall@10"), (MLflow, "recall_at_10")],
    ids=["tensorboard", "wandb", "mlflow"],
)
def test_numbers_reach_the_library_with_their_step(logged, make, recall):
    make().on_step(7, {"step": 7, "loss": 6.5, "recall@10": 0.25, "note": "text"})
    assert logged == [("loss", 6.5, 7), (recall, 0.25, 7)]


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="wandb"):
        WeightsAndBiases()
