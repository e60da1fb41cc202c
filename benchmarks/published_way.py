"""SatCLIP's and GeoCLIP's training steps, written directly from the formulas of the papers.

`benchmarks/training_step.py` times them beside this package's step. Each harmonic is computed on its own, by the
formula of its degree and order; nothing is optimised or slowed down.

Source:
    Klemmer et al. (2025), AAAI, arXiv:2311.17179 (SatCLIP; harmonics and network as in Russwurm et al. 2024,
    arXiv:2310.06743, section 3 and appendix A); Sitzmann et al. (2020), arXiv:2006.09661 (the sine layers);
    Vivanco Cepeda et al. (2023), arXiv:2309.16020 (GeoCLIP).
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def associated_legendre(degree: int, order: int, x: Tensor) -> Tensor:
    """Return (-1)^m 2^l (1 - x^2)^(m/2) sum over k of k! / (k - m)! x^(k - m) C(l, k) C((l + k - 1) / 2, l)."""
    total = torch.zeros_like(x)
    for k in range(order, degree + 1):
        half = (degree + k - 1) / 2
        generalised = math.prod(half - i for i in range(degree)) / math.factorial(degree)
        factor = math.factorial(k) / math.factorial(k - order) * math.comb(degree, k) * generalised
        total = total + factor * x ** (k - order)
    return (-1) ** order * 2.0**degree * (1 - x**2) ** (order / 2) * total


def spherical_harmonic(degree: int, order: int, phi: Tensor, theta: Tensor) -> Tensor:
    """Return a real harmonic of longitude `phi` and colatitude `theta` in radians."""
    m = abs(order)
    norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m))
    legendre = associated_legendre(degree, m, theta.cos())
    if order == 0:
        return norm * legendre
    wave = torch.sin(m * phi) if order < 0 else torch.cos(m * phi)
    return (-1) ** m * math.sqrt(2) * norm * wave * legendre


class Harmonics(nn.Module):
    """Every real spherical harmonic up to a degree, one after another, in float64."""

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places (n, 2) in degrees to (n, (l_max + 1)^2)."""
        phi, theta = torch.deg2rad(lonlat[:, 0] + 180), torch.deg2rad(lonlat[:, 1] + 90)
        return torch.stack(
            [
                spherical_harmonic(degree, order, phi, theta)
                for degree in range(self.l_max + 1)
                for order in range(-degree, degree + 1)
            ],
            dim=-1,
        )


class SineLayer(nn.Module):
    """sin(omega (W x + b)), then dropout."""

    def __init__(self, in_dim: int, out_dim: int, omega: float, bound: float, dropout: float) -> None:
        super().__init__()
        self.linear, self.omega, self.dropout = nn.Linear(in_dim, out_dim), omega, nn.Dropout(dropout)
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's activations."""
        return self.dropout(torch.sin(self.omega * self.linear(x)))


class SirenNet(nn.Sequential):
    """Two sine layers and a linear one; the first frequency is 30, the second 1, dropout is 0.5."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            SineLayer(in_dim, hidden_dim, 30.0, 1 / in_dim, 0.5),
            SineLayer(hidden_dim, hidden_dim, 1.0, math.sqrt(6 / hidden_dim), 0.5),
            nn.Linear(hidden_dim, out_dim),
        )


class SatCLIP(nn.Module):
    """Harmonics and sine network in float64, a linear projection of image features, and one temperature."""

    def __init__(self, l_max: int, feature_dim: int, hidden_dim: int = 512, out_dim: int = 256) -> None:
        super().__init__()
        self.harmonics = Harmonics(l_max)
        self.network = SirenNet((l_max + 1) ** 2, hidden_dim, out_dim).double()
        self.image = nn.Linear(feature_dim, out_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, lonlat: Tensor, features: Tensor) -> Tensor:
        """Return the loss of places and the features observed there."""
        return clip_loss(self.network(self.harmonics(lonlat)).float(), self.image(features), self.log_scale.exp())


class GeoCLIP(nn.Module):
    """Equal Earth, random Fourier features at three scales, one perceptron per scale, and their sum; float32."""

    def __init__(self, feature_dim: int, out_dim: int = 512, width: int = 1024, scales: tuple = (1, 16, 256)) -> None:
        super().__init__()
        for number, scale in enumerate(scales):
            self.register_buffer(f"frequencies_{number}", scale * torch.randn(2, 256))
        widths = [512, width, width, width]
        self.capsules = nn.ModuleList(
            nn.Sequential(
                *(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())),
                nn.Linear(width, out_dim),
            )
            for _ in scales
        )
        self.image = nn.Sequential(nn.Linear(feature_dim, feature_dim), nn.ReLU(), nn.Linear(feature_dim, out_dim))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode(self, lonlat: Tensor) -> Tensor:
        """Return the sum of the capsules' outputs."""
        xy = equal_earth(lonlat).float()
        total = torch.zeros(())
        for number, capsule in enumerate(self.capsules):
            turns = 2 * math.pi * xy @ self.get_buffer(f"frequencies_{number}")
            total = total + capsule(torch.cat([turns.cos(), turns.sin()], dim=-1))
        return total

    def forward(self, lonlat: Tensor, features: Tensor) -> Tensor:
        """Return the loss of places and the features observed there."""
        return clip_loss(self.encode(lonlat), self.image(features), self.log_scale.exp())


def equal_earth(lonlat: Tensor) -> Tensor:
    """Project by Equal Earth (Savric et al. 2018), scaled as in GeoCLIP to about -1 to 1."""
    a = (1.340264, -0.081106, 0.000893, 0.003796)
    lon, lat = torch.deg2rad(lonlat).unbind(-1)
    theta = torch.asin(math.sqrt(3) / 2 * lat.sin())
    slope = 9 * a[3] * theta**8 + 7 * a[2] * theta**6 + 3 * a[1] * theta**2 + a[0]
    x = 2 * math.sqrt(3) * lon * theta.cos() / (3 * slope)
    y = a[3] * theta**9 + a[2] * theta**7 + a[1] * theta**3 + a[0] * theta
    return torch.stack([x, y], dim=-1) / math.pi


def clip_loss(places: Tensor, observed: Tensor, scale: Tensor) -> Tensor:
    """Return the symmetric cross-entropy of Radford et al. (2021), figure 3."""
    logits = scale * F.normalize(observed, dim=-1) @ F.normalize(places, dim=-1).T
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
