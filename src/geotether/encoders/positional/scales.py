"""The ladder of wavelengths that the multi-scale encodings share."""

import torch
from jaxtyping import Float64
from torch import Tensor

from geotether.geodesy.distance import EARTH_CIRCUMFERENCE_KM


def scale_factors(
    num_scales: int, min_wavelength_km: float | int, max_wavelength_km: float | int | None
) -> Float64[Tensor, " s"]:
    """Space wavelengths geometrically and express each as the divisor of an angle.

    An angle in radians divided by the factor r runs through one period over r times the
    Earth's circumference, which is the wavelength along a meridian.

    Args:
        num_scales: Number of wavelengths s, 1 or more; one scale alone gets the longest.
        min_wavelength_km: Shortest wavelength, more than 0.
        max_wavelength_km: Longest wavelength, at least the shortest; None stands for the
            Earth's circumference (factor 1), the only one that closes at the antimeridian
            unless all divide it.

    Returns:
        Factors, shape (s,), from the shortest wavelength to the longest.

    Raises:
        ValueError: If one of them is out of range.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, eq. 4: lambda_min * g ** (s / (S - 1)).

    Example:
        >>> scale_factors(3, EARTH_CIRCUMFERENCE_KM / 100, None)
        tensor([0.0100, 0.1000, 1.0000], dtype=torch.float64)
    """
    longest = EARTH_CIRCUMFERENCE_KM if max_wavelength_km is None else max_wavelength_km
    if num_scales < 1:
        raise ValueError(f"num_scales must be 1 or more, got {num_scales}.")
    if not 0 < min_wavelength_km <= longest:
        raise ValueError(
            "Wavelengths must be 0 < min_wavelength_km <= max_wavelength_km (None: the Earth's circumference, "
            f"{EARTH_CIRCUMFERENCE_KM:.0f}), got {min_wavelength_km} and {max_wavelength_km}."
        )
    exponent = torch.linspace(0, 1, num_scales, dtype=torch.float64) if num_scales > 1 else torch.ones(1).double()
    shortest = min_wavelength_km / EARTH_CIRCUMFERENCE_KM
    return shortest * (longest / min_wavelength_km) ** exponent
