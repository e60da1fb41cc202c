"""Fixed maps from coordinates to features: one published encoding a file.

Every class takes plain arguments, keeps them as attributes of the same name, and has
`out_dim` and `forward(lonlat, dtype=torch.float64) -> (n, out_dim)`.
"""

from torch import nn

from geotether.encoders.positional.cartesian import Cartesian
from geotether.encoders.positional.direct import Direct
from geotether.encoders.positional.equal_earth import EqualEarthFourierFeatures
from geotether.encoders.positional.fourier import SphereFourierFeatures
from geotether.encoders.positional.grid import Grid
from geotether.encoders.positional.harmonics import SphericalHarmonics
from geotether.encoders.positional.satclip_harmonics import SatCLIPHarmonics
from geotether.encoders.positional.sphere_c import SphereC
from geotether.encoders.positional.sphere_c_plus import SphereCPlus
from geotether.encoders.positional.sphere_m import SphereM
from geotether.encoders.positional.sphere_m_plus import SphereMPlus
from geotether.encoders.positional.theory import Theory
from geotether.encoders.positional.wrap import Wrap

POSITIONAL: dict[str, type[nn.Module]] = {
    "spherical_harmonics": SphericalHarmonics,
    "satclip_harmonics": SatCLIPHarmonics,
    "direct": Direct,
    "cartesian": Cartesian,
    "wrap": Wrap,
    "sphere_fourier": SphereFourierFeatures,
    "equal_earth_fourier": EqualEarthFourierFeatures,
    "grid": Grid,
    "theory": Theory,
    "sphere_c": SphereC,
    "sphere_c_plus": SphereCPlus,
    "sphere_m": SphereM,
    "sphere_m_plus": SphereMPlus,
}

__all__ = [
    "POSITIONAL",
    "Cartesian",
    "Direct",
    "EqualEarthFourierFeatures",
    "Grid",
    "SatCLIPHarmonics",
    "SphereC",
    "SphereCPlus",
    "SphereFourierFeatures",
    "SphereM",
    "SphereMPlus",
    "SphericalHarmonics",
    "Theory",
    "Wrap",
]
