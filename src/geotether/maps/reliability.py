"""Charts of how far predictions may be trusted: stated against observed coverage, and error against dissimilarity."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from geotether.maps.figure import COLOURS, FAINT, INK, dress, new_figure
from geotether.probes.scores import Score

BINS = 8


def coverage_chart(
    observed: Mapping[float, Score],
    what: str,
    confidence: tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None = None,
) -> Figure:
    """Draw observed against stated coverage, with intervals; of classes also accuracy against probability.

    Args:
        observed: Stated level to observed share on held-out places.
        what: What has the level, such as "prediction interval".
        confidence: Probability of the most probable class of held-out places, and whether it was right.
    """
    figure = new_figure(9.0 if confidence else 5.0, 4.2)
    panels = figure.subplots(1, 2 if confidence else 1, squeeze=False)[0]
    axes = panels[0]
    dress(axes, f"Coverage of the {what}", "stated", "observed on unseen blocks")
    low = min(observed, default=0.5) - 0.05
    axes.plot([low, 1], [low, 1], color=FAINT, linewidth=1, linestyle="--", label="as stated")
    for level, found in observed.items():
        if np.isfinite(found.low):
            axes.plot([level, level], [found.low, found.high], color=COLOURS[1], linewidth=2)
        axes.plot(level, found.mean, "o", color=COLOURS[1], markersize=6)
    axes.set_xlim(low, 1)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    if confidence:
        stated, right = confidence
        axes = panels[1]
        dress(axes, "Calibration of the probabilities", "probability of the predicted class", "share that is right")
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
        for part in _bins(stated):
            share = float(right[part].mean())
            error = np.sqrt(share * (1 - share) / len(part))
            axes.errorbar(stated[part].mean(), share, 2 * error, fmt="o", color=COLOURS[1], markersize=5, capsize=2)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    return figure


def error_chart(
    dissimilarity: Float[np.ndarray, " n"],
    errors: Float[np.ndarray, " n"],
    covered: Bool[np.ndarray, " n"],
    threshold: float,
    level: float,
    label: str,
) -> Figure:
    """Draw the mean error and the coverage of held-out places against their dissimilarity.

    Args:
        dissimilarity: Of held-out places to those that were used.
        errors: Absolute errors, or 1 for a wrong class.
        covered: Whether the true value was in the interval or set.
        threshold: Where the area of applicability ends.
        level: Stated coverage.
        label: Label of the errors, with their unit.
    """
    figure = new_figure(9.0, 4.0)
    parts = _bins(dissimilarity)
    centres = [float(np.median(dissimilarity[part])) for part in parts]
    for axes, values, title, y in zip(
        figure.subplots(1, 2),
        (errors, covered.astype(np.float64)),
        ("Error against dissimilarity", "Coverage against dissimilarity"),
        (label, "share of places covered"),
        strict=True,
    ):
        dress(axes, title, "dissimilarity to the labelled places", y)
        means = [float(values[part].mean()) for part in parts]
        spread = [2 * float(values[part].std()) / np.sqrt(len(part)) for part in parts]
        axes.errorbar(centres, means, spread, fmt="o-", color=COLOURS[1], markersize=5, linewidth=1.2, capsize=2)
        axes.axvline(threshold, color=INK, linewidth=1, linestyle=":", label="end of the area of applicability")
        axes.set_ylim(bottom=0)
    axes.axhline(level, color=FAINT, linewidth=1, linestyle="--", label=f"stated: {100 * level:g} %")
    axes.set_ylim(min(0.5, min(means) - 0.1), 1.02)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower left")
    return figure


def _bins(values: Float[np.ndarray, " n"]) -> list[np.ndarray]:
    """Divide rows by value into bins of equal size, of 10 rows or more."""
    order = np.argsort(values, kind="stable")
    return np.array_split(order, max(1, min(BINS, len(order) // 10)))
