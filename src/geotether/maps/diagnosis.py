"""Figures of a diagnosis: local dimension, effective resolution, similarity over distance, nearness, geo-bias."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from geotether.diagnostics.continuity import JUMP, Continuity
from geotether.diagnostics.dimensionality import Dimensionality
from geotether.diagnostics.nearness import Nearness
from geotether.diagnostics.resolution import Resolution
from geotether.maps.figure import COLOURS, FAINT, INK, dress, new_figure
from geotether.maps.values import value_maps
from geotether.probes.geobias import GeoBias


def dimension_map(found: Dimensionality) -> Figure:
    """Draw the local intrinsic dimension."""
    name = f"local intrinsic dimension, {len(found.lonlat):,} places"
    label = f"maximum-likelihood estimate over {found.local_neighbors} neighbours"
    return value_maps({name: found.lonlat}, {name: found.local}, label, colour_map="viridis")


def resolution_map(raw: Resolution, centered: Resolution) -> Figure:
    """Draw the distance at which cosine similarity falls to one half, raw and centred, in one scale."""
    both = {"raw embeddings": raw, "mean embedding subtracted": centered}
    return value_maps(
        {name: one.lonlat for name, one in both.items()},
        {name: one.km for name, one in both.items()},
        f"distance in km at which cosine similarity falls to {raw.level:g}",
        "Effective resolution",
        "cividis_r",
        logarithmic=True,
        beyond=f"beyond {raw.rings_km[-1]:,.0f} km",
    )


def similarity_curve(raw: Resolution, centered: Resolution) -> Figure:
    """Draw mean cosine similarity against distance, and the distance at which it falls to one half."""
    figure = new_figure(7.0, 3.8)
    axes = figure.subplots()
    for name, one, colour in (("raw", raw, COLOURS[0]), ("centred", centered, COLOURS[1])):
        axes.plot(one.rings_km, one.similarity, color=colour, marker="o", markersize=4, label=name)
        if np.isfinite(one.median_km):
            axes.plot([one.median_km] * 2, [one.level, -0.02], color=colour, linewidth=1.2, linestyle=":")
    axes.axhline(raw.level, color=FAINT, linewidth=1.0)
    axes.axhline(0.0, color=FAINT, linewidth=0.8)
    dress(axes, "Cosine similarity to places at a distance", "great-circle distance (km)", "mean cosine similarity")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", title="dotted: median place", title_fontsize=9)
    return figure


def continuity_chart(found: Continuity) -> Figure:
    """Draw the change across the antimeridian relative to equal steps elsewhere, by latitude."""
    figure = new_figure(7.0, 3.2)
    axes = figure.subplots()
    finite = np.isfinite(found.seam) & (found.seam > 0)
    axes.axhline(1.0, color=FAINT, linewidth=1.0)
    axes.axhline(JUMP, color=FAINT, linewidth=1.0, linestyle="--")
    axes.annotate("a jump", (-84, JUMP * 1.15), color=FAINT, fontsize=9)
    axes.plot(found.lats[finite], found.seam[finite], color=COLOURS[0], marker="o", markersize=5)
    dress(axes, "Change across the antimeridian relative to equal steps elsewhere", "latitude", "ratio")
    axes.set_yscale("log")
    low, high = (found.seam[finite].min(), found.seam[finite].max()) if finite.any() else (1.0, 1.0)
    axes.set_ylim(min(0.1, low / 2), max(30.0, high * 2))
    axes.set_xlim(-90, 90)
    axes.set_xticks(range(-90, 91, 30))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    return figure


def nearness_map(found: Mapping[str, Nearness]) -> Figure:
    """Draw the distance to the nearest pre-training place, one map per modality.

    Args:
        found: From `nearness`.

    Raises:
        ValueError: If there are no modalities.
    """
    names = {name: f"{name} · {one.rows:,} places" for name, one in found.items()}
    return value_maps(
        {names[name]: one.lonlat for name, one in found.items()},
        {names[name]: one.km for name, one in found.items()},
        "distance to the nearest pre-training place (km)",
        colour_map="magma_r",
        logarithmic=True,
        beyond="no place",
    )


def bias_map(lonlat: Float[np.ndarray, "n 2"], found: GeoBias, name: str) -> Figure:
    """Draw the marked score around every wrong answer.

    Args:
        lonlat: Test places, degrees, shape (n, 2), as given to `geo_bias`.
        found: From `geo_bias`.
        name: Name of the task.
    """
    heading = f"{name}: marked SSI around {len(found.centers):,} wrong answers"
    places = lonlat[found.centers]
    order = np.argsort(found.marked_at, kind="stable")  # the most surprising on top
    label = "surprise at the pattern of wrong answers (nats)"
    scores = {heading: found.marked_at[order]}
    return value_maps({heading: places[order]}, scores, label, colour_map="magma_r", backdrop=lonlat)
