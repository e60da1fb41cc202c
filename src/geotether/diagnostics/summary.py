"""A diagnosis as lines of text, each with its meaning."""

import math
from typing import NamedTuple

import numpy as np

from geotether.diagnostics.diagnosis import Diagnosis
from geotether.diagnostics.nearness import Nearness
from geotether.diagnostics.resolution import Resolution

MEANINGS = {
    "intrinsic dimension": "Number of coordinates needed to locate an embedding among its neighbours. The Earth's "
    "surface has 2. About 2 means that embeddings change smoothly between the sampled places; more means that they "
    "change so fast that neighbouring places are no longer neighbours in the embedding.",
    "local dimension": "The same around each place, from its 100 nearest embeddings: lower quartile, median and upper "
    "quartile over the places.",
    "effective rank": "Number of directions in which the embeddings spread, whatever their curvature: exp of the "
    "entropy of the singular values. At most the length of an embedding.",
    "participation ratio": "Number of directions that contain the variance. Far below the effective rank if a few "
    "directions dominate.",
    "alignment": "Mean squared distance on the unit sphere between embeddings of places a stated distance apart: 0 if "
    "they agree, 2 if they are unrelated.",
    "uniformity": "How evenly embeddings of random places fill the unit sphere: 0 if all are the same, about -4 if "
    "they are spread in many directions. Lower is more even.",
    "effective resolution": "Distance at which cosine similarity falls to one half, median and quartiles over places. "
    "It measures how fast embeddings change, not the finest detail that a probe can still read from them.",
    "effective resolution, centred": "The same after subtracting the mean embedding, for embeddings that all share a "
    "large common part.",
    "seam at the antimeridian": "Change of the embedding over a step of 1 km across 180 degrees, divided by the change "
    "over an equal step elsewhere: median and largest over latitudes. About 1 without a seam.",
    "poles": "Spread of the embeddings of the pole written with different longitudes, as a share of the distance "
    "between random places (0 if the pole is one place), and change over a step across it divided by that over an "
    "equal step beside it (about 1).",
    "coverage": "Distance from places on land to the nearest pre-training place: median, and share within 100 km.",
    "leakage": "Distance from test places to the nearest pre-training place: median, and share within 10 km. Scores at "
    "places that pre-training has seen say little about other places.",
    "geo-bias": "Surprise, in nats, at the pattern of test places around wrong predictions (unmarked SSI) and at the "
    "pattern of right and wrong ones (marked SSI), by Moran's I within 100 km. Larger is more clustered.",
}


class Line(NamedTuple):
    """One line of a diagnosis: a quantity (a key of `MEANINGS`, with a detail after a colon) and its value."""

    name: str
    value: str

    @property
    def meaning(self) -> str:
        """The meaning of the number."""
        return MEANINGS[self.name.split(":")[0]]


def lines_of(diagnosis: Diagnosis) -> list[Line]:
    """Return one line per quantity of a diagnosis, in a fixed order."""
    one, seam = diagnosis.dimensionality, diagnosis.continuity
    low, middle, high = one.local_quartiles
    copies = f"; {one.two_nn.duplicates:,} of {len(one.lonlat):,} equal to others, left out"
    copies = copies if one.two_nn.duplicates else ""
    poles = [
        f"{name}: spread {spread:.2%}, step {step:.2g}"
        for name, spread, step in zip(("south", "north"), seam.pole_spread, seam.pole_step, strict=True)
    ]
    usual, worst = float(np.median(seam.seam)), float(seam.seam.max())
    lines = [
        Line("intrinsic dimension", f"{plain(one.two_nn.value)} (TwoNN), {plain(one.mle.value)} (MLE){copies}"),
        Line("local dimension", f"{plain(middle)} ({plain(low)} to {plain(high)})"),
        Line("effective rank", f"{plain(one.effective_rank)} of {one.dim}"),
        Line("participation ratio", f"{plain(one.participation_ratio)} of {one.dim}"),
        Line("alignment", f"{diagnosis.alignment:.3g} at {diagnosis.alignment_km:g} km"),
        Line("uniformity", f"{diagnosis.uniformity:.2f}"),
        Line("effective resolution", resolution_words(diagnosis.resolution)),
        Line("effective resolution, centred", resolution_words(diagnosis.centered_resolution)),
        Line("seam at the antimeridian", f"{plain(usual)}, at most {plain(worst)}"),
        Line("poles", "; ".join(poles)),
    ]
    lines += [Line(f"coverage: {name}", near_words(near, 100.0)) for name, near in diagnosis.coverage.items()]
    lines += [Line(f"leakage: {name}", near_words(near, 10.0)) for name, near in diagnosis.leakage.items()]
    for name, bias in diagnosis.bias.items():
        said = f"unmarked {bias.unmarked:.2f}, marked {bias.marked:.2f} around {len(bias.centers):,} wrong answers"
        said = said if len(bias.centers) else "no wrong answers"
        lines.append(Line(f"geo-bias: {name}", f"{said}; {bias.share_correct:.1%} right"))
    return lines


def table_of(diagnosis: Diagnosis) -> str:
    """Return the lines as plain text in two columns, with the verdict on continuity below."""
    lines = lines_of(diagnosis)
    width = max(len(line.name) for line in lines)
    rows = [f"{line.name:<{width}}  {line.value}" for line in lines]
    return "\n".join([*rows, "", diagnosis.continuity.verdict])


def resolution_words(one: Resolution) -> str:
    """Describe median and quartiles in km, or that similarity never falls to the level."""
    limit = f"beyond {one.rings_km[-1]:,.0f} km"
    values = [one.quantile_km(share) for share in (0.25, 0.5, 0.75)]
    if math.isinf(values[0]):
        return f"{limit} for {one.share_beyond:.0%} of the places"
    low, middle, high = (f"{km:,.0f} km" if math.isfinite(km) else limit for km in values)
    rest = f"; {limit} for {one.share_beyond:.0%} of the places" if one.share_beyond else ""
    return f"{middle} ({low} to {high}){rest}"


def near_words(one: Nearness, km: float) -> str:
    """Describe the median distance and the share within a distance."""
    middle = plain(one.quantiles_km["50%"])
    return f"median {middle} km, {one.within((km,))[km]:.1%} within {km:g} km of one of {one.rows:,} places"


def plain(value: float) -> str:
    """Format a number with two or three significant digits; "undefined" for NaN, "infinite" for infinity."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
