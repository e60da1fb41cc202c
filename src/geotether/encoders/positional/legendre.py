"""Legendre functions, the latitude parts of spherical harmonics, as sums of cosines and sines of the colatitude."""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float64
from scipy.fft import dct, dst
from torch import Tensor


@lru_cache(maxsize=8)
def coefficient_tables(
    l_max: int, weights: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    """Compute the Fourier coefficients in colatitude of every Legendre function, once, in float64.

    They are not buffers of the module, because casting a model to another dtype must not round them.

    Returns:
        For degree l a table of shape (2 * (l // 2 + 1), 2l + 1): cosine and sine of every
        second multiple up to l, by order from -l to l. Even orders are sums of cosines,
        odd ones of sines.
    """
    if dtype != torch.float64:
        with torch.inference_mode(False):
            return [table.to(dtype) for table in coefficient_tables(l_max, weights, torch.float64, device)]
    # On these midpoints the transforms below are exact for up to l_max turns.
    count = l_max + 2
    theta = (np.arange(count) + 0.5) * np.pi / count
    before, legendre = np.empty((0, count)), np.full((1, count), 1 / math.sqrt(4 * math.pi))
    tables = []
    for degree, weight in enumerate(weights):
        if degree:
            before, legendre = legendre, next_degree(degree, before, legendre, theta)
        # Orders other than 0 carry sqrt(2), because sine and cosine share their energy.
        values = weight * np.where(np.arange(degree + 1) > 0, math.sqrt(2), 1.0)[:, None] * legendre
        cosines, sines = dct(values[0::2]) / count, dst(values[1::2]) / count
        cosines[:, 0] /= 2
        sines = np.pad(sines, ((0, 0), (1, 0)))  # the transform omits the sine of 0
        table = np.zeros((degree // 2 + 1, 2, 2 * degree + 1))
        for odd, waves in ((0, cosines), (1, sines)):
            table[:, odd, degree + odd :: 2] = waves[:, degree % 2 : degree + 1 : 2].T
        table[:, :, :degree] = table[:, :, :degree:-1]
        tables.append(table.reshape(-1, 2 * degree + 1))
    # Tensors made in inference mode cannot be used for gradients later.
    with torch.inference_mode(False):
        return [torch.from_numpy(table).to(device) for table in tables]


def next_degree(
    degree: int, before: np.ndarray, legendre: np.ndarray, theta: Float64[np.ndarray, " t"]
) -> Float64[np.ndarray, "l t"]:
    """Step the fully normalised associated Legendre functions, rows by order, from degree - 1 (`legendre`) to degree.

    `before` are the functions of degree - 2, of shape (0, t) for degree 1; `theta` are colatitudes in radians (t,).
    """
    m = np.arange(degree)[:, None]
    a = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
    below = a * np.cos(theta) * legendre
    if degree > 1:
        b = np.sqrt(((degree - 1) ** 2 - m[:-1] ** 2) / (4 * (degree - 1) ** 2 - 1))
        below[:-1] -= a[:-1] * b * before
    diagonal = math.sqrt((2 * degree + 1) / (2 * degree)) * np.sin(theta) * legendre[-1:]
    return np.concatenate((below, diagonal))
