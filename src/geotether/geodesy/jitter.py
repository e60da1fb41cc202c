"""Small random moves over the ground, as augmentation."""

import torch
from jaxtyping import Float64
from torch import Tensor

from geotether.geodesy.coordinates import lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM


def jitter_lonlat(
    lonlat: Float64[Tensor, "n 2"], sigma_m: float | int, generator: torch.Generator
) -> Float64[Tensor, "n 2"]:
    """Move every place by a random distance in a random direction.

    The step is drawn in the tangent plane of the sphere at the place and followed along a great circle. Unlike noise in
    degrees, it is equally long in every direction and at every latitude, and valid at the poles and the antimeridian.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2), float64: float32 would
            round the position by up to 1.7 m.
        sigma_m: Standard deviation per axis in metres, 0 or more; steps have the length
            sigma_m * sqrt(2) in the root mean square. 0 returns the places as they are.
        generator: Source of randomness, on the device of `lonlat`; two numbers per row are drawn.

    Returns:
        Shape (n, 2), longitudes in [-180, 180).

    Raises:
        ValueError: If `sigma_m` is negative or not a number.

    Example:
        >>> place = torch.tensor([[180.0, 89.9]], dtype=torch.float64)
        >>> moved = jitter_lonlat(place, sigma_m=20_000, generator=torch.Generator().manual_seed(0))
        >>> moved.shape
        torch.Size([1, 2])
    """
    if not sigma_m >= 0:
        raise ValueError(f"sigma_m must be 0 metres or more, got {sigma_m}.")
    if sigma_m == 0:
        return lonlat
    step = torch.randn(lonlat.shape, generator=generator, dtype=lonlat.dtype, device=lonlat.device)
    step = step * (sigma_m / 1000 / EARTH_RADIUS_KM)
    angle = step.norm(dim=-1, keepdim=True)

    up = unit_vectors(lonlat)
    lon = torch.deg2rad(lonlat[:, 0])
    east = torch.stack((-lon.sin(), lon.cos(), torch.zeros_like(lon)), dim=-1)
    north = torch.linalg.cross(up, east)
    tangent = step[:, :1] * east + step[:, 1:] * north
    # sinc is sin(angle) / angle without the division by zero.
    return lonlat_of_unit_vectors(angle.cos() * up + torch.sinc(angle / torch.pi) * tangent)
