"""All diagnostics of one encoder in one call."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from geotether.diagnostics.continuity import Continuity, continuity
from geotether.diagnostics.dimensionality import Dimensionality, dimensionality
from geotether.diagnostics.nearness import Nearness, nearness
from geotether.diagnostics.places import land_places, move
from geotether.diagnostics.resolution import RINGS_KM, Resolution, resolutions
from geotether.geodesy.coordinates import check_lonlat
from geotether.loading import encode_places, load_encoder
from geotether.probes.geobias import GeoBias, geo_bias
from geotether.probes.spread import alignment, uniformity

PLACES, RESOLUTION_PLACES = 4000, 800
ALIGNMENT_KM = 50.0


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Results of all diagnostics of one encoder.

    Attributes:
        dimensionality, resolution, centered_resolution, continuity: See their classes.
        alignment: Mean squared distance between the embeddings of places `alignment_km` apart, on the unit sphere.
        uniformity: Log of the mean Gaussian potential between the embeddings of random places.
        coverage, leakage: By modality; empty without tables (or test places).
        bias: By name of the predictions; empty without any.
        seed: Seed of all draws.
    """

    dimensionality: Dimensionality
    alignment: float
    alignment_km: float
    uniformity: float
    resolution: Resolution
    centered_resolution: Resolution
    continuity: Continuity
    coverage: dict[str, Nearness] = field(default_factory=dict)
    leakage: dict[str, Nearness] = field(default_factory=dict)
    bias: dict[str, GeoBias] = field(default_factory=dict)
    seed: int = 0

    def numbers(self) -> dict[str, Any]:
        """Return all summary numbers, ready for JSON: nested dicts, with None for values that are not finite."""
        dimension, seam = self.dimensionality, self.continuity
        quartiles = dict(zip(("25%", "50%", "75%"), dimension.local_quartiles, strict=True))
        return finite(
            {
                "embedding_dim": dimension.dim,
                "places": len(dimension.lonlat),
                "seed": self.seed,
                "intrinsic_dimension": {
                    "two_nn": dimension.two_nn.value,
                    "mle": dimension.mle.value,
                    "duplicates": dimension.two_nn.duplicates,
                    "local_neighbors": dimension.local_neighbors,
                    "local": quartiles,
                },
                "effective_rank": dimension.effective_rank,
                "participation_ratio": dimension.participation_ratio,
                "alignment": {"km": self.alignment_km, "value": self.alignment},
                "uniformity": self.uniformity,
                "effective_resolution_km": {
                    "raw": resolution_numbers(self.resolution),
                    "centered": resolution_numbers(self.centered_resolution),
                },
                "continuity": {
                    "seamless": seam.seamless,
                    "step_km": seam.step_km,
                    "seam_median": float(np.median(seam.seam)),
                    "seam_max": float(seam.seam.max()),
                    "pole_spread": dict(zip(("south", "north"), seam.pole_spread, strict=True)),
                    "pole_step": dict(zip(("south", "north"), seam.pole_step, strict=True)),
                    "verdict": seam.verdict,
                },
                "coverage": {name: nearness_numbers(one) for name, one in self.coverage.items()},
                "leakage": {name: nearness_numbers(one) for name, one in self.leakage.items()},
                "geo_bias": {
                    name: {
                        "unmarked_ssi": one.unmarked,
                        "marked_ssi": one.marked,
                        "centers": len(one.centers),
                        "share_correct": one.share_correct,
                    }
                    for name, one in self.bias.items()
                },
            }
        )


def diagnose(
    encoder: Any,
    places: Float[np.ndarray, "n 2"] | None = None,
    tables: Mapping[str, Float[np.ndarray, "_ 2"]] | None = None,
    test_lonlat: Float[np.ndarray, "m 2"] | None = None,
    correct: Mapping[str, Bool[np.ndarray, " m"]] | None = None,
    num_places: int = PLACES,
    resolution_places: int = RESOLUTION_PLACES,
    alignment_km: float | int = ALIGNMENT_KM,
    seed: int = 0,
) -> Diagnosis:
    """Diagnose an encoder.

    Args:
        encoder: Anything that `geotether.load_encoder` takes, such as an `Encoder`, a path, or a function f(lon, lat).
        places: Places to measure at, drawn at random, shape (n, 2), n at least 3. None: `num_places` places on land.
        tables: Modality to the lonlat of its pre-training rows, for coverage and leakage; see `seen_places`.
        test_lonlat: Test places, for leakage and geo-bias.
        correct: By name, whether the prediction is right at each test place, for geo-bias; see `is_correct`.
        num_places: Number of places to draw; fewer are faster, more are less noisy.
        resolution_places: Number of places to draw rings around.
        alignment_km: Distance between the two places of a positive pair, in a random direction.
        seed: Seed of all draws.

    Returns:
        The diagnosis, after about half a minute for 1,168 numbers per place at default sizes.

    Raises:
        TypeError: If the encoder is none of these.
        ValueError: If an option is out of range, `correct` comes without test places, or the encoder does not
            return numbers (n, d).
    """
    encoder = load_encoder(encoder)
    if places is None:
        places = land_places(num_places, seed)
    check_lonlat(places)
    if resolution_places < 1 or not alignment_km > 0:
        raise ValueError(
            f"resolution_places must be 1 or more and alignment_km above 0, got {resolution_places} and {alignment_km}."
        )
    if correct and test_lonlat is None:
        raise ValueError("geo-bias needs the places of the predictions: give test_lonlat with correct.")
    features = encode_places(encoder, places)
    direction = np.random.default_rng([seed, 1]).uniform(0.0, 360.0, len(places))
    beside = encode_places(encoder, move(places, direction, float(alignment_km)))
    raw, centered = resolutions(encoder, places[:resolution_places], RINGS_KM, 8, 0.5, (False, True))
    return Diagnosis(
        dimensionality=dimensionality(encoder, places),
        alignment=alignment(features, beside),
        alignment_km=float(alignment_km),
        uniformity=uniformity(features),
        resolution=raw,
        centered_resolution=centered,
        continuity=continuity(encoder, seed=seed),
        coverage=nearness(places, tables) if tables else {},
        leakage=nearness(test_lonlat, tables) if tables and test_lonlat is not None else {},
        bias={name: geo_bias(test_lonlat, right, seed=seed) for name, right in correct.items()}
        if correct and test_lonlat is not None
        else {},
        seed=seed,
    )


def resolution_numbers(one: Resolution) -> dict[str, Any]:
    """Return quartiles and curve of a resolution."""
    return {
        "25%": one.quantile_km(0.25),
        "50%": one.median_km,
        "75%": one.quantile_km(0.75),
        "share_beyond": one.share_beyond,
        "beyond_km": float(one.rings_km[-1]),
        "similarity": {f"{km:g} km": float(value) for km, value in zip(one.rings_km, one.similarity, strict=True)},
    }


def nearness_numbers(one: Nearness) -> dict[str, Any]:
    """Return quantiles and shares of one modality."""
    within = {f"{km:g} km": share for km, share in one.within().items()}
    return {"rows": one.rows, "places": len(one.km), "quantiles_km": one.quantiles_km, "within": within}


def finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
