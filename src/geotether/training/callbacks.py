"""Loggers for TensorBoard, Weights & Biases and MLflow: each an object with `on_step(step, values)`."""

from collections.abc import Mapping
from typing import Any


class TensorBoard:
    """Write metrics for TensorBoard (pip install 'geotether[tensorboard]').

    Args:
        folder: Folder of the event files.
    """

    def __init__(self, folder: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(folder)

    def on_step(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the numbers of one step."""
        for name, value in numbers_of(values).items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()


class WeightsAndBiases:
    """Log metrics to Weights & Biases (pip install 'geotether[wandb]').

    Args:
        options: Arguments of `wandb.init`, such as project and name.
    """

    def __init__(self, **options: Any) -> None:
        import wandb

        self.run = wandb.init(**options)

    def on_step(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the numbers of one step."""
        self.run.log(numbers_of(values), step=step)


class MLflow:
    """Log metrics to the active run of MLflow (pip install 'geotether[mlflow]')."""

    def on_step(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the numbers of one step."""
        import mlflow

        # MLflow allows no other punctuation than - _ . / and spaces in names.
        mlflow.log_metrics({name.replace("@", "_at_"): value for name, value in numbers_of(values).items()}, step=step)


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are numbers, without the step.

    Example:
        >>> numbers_of({"step": 3, "loss": 6.5, "note": "warm-up"})
        {'loss': 6.5}
    """
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float) and name != "step"}
