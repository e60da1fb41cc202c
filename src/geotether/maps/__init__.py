"""Figures: maps of values and places, scores with intervals, losses, diagnoses and feature tables."""

from geotether.maps.figure import save_figure
from geotether.maps.losses import loss_curves
from geotether.maps.scores import accuracy_against_labels
from geotether.maps.values import predicted_and_true
from geotether.maps.world import coverage_map

__all__ = ["accuracy_against_labels", "coverage_map", "loss_curves", "predicted_and_true", "save_figure"]
