"""Figures: what was predicted where, accuracy against labels, losses while training, and where the data lie."""

from geotether.maps.comparison import predicted_and_true
from geotether.maps.coverage import coverage_map
from geotether.maps.figure import save_figure
from geotether.maps.learning import accuracy_against_labels
from geotether.maps.losses import loss_curves

__all__ = ["accuracy_against_labels", "coverage_map", "loss_curves", "predicted_and_true", "save_figure"]
