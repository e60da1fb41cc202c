"""Fixed maps from coordinates to features.

Every class takes plain arguments, keeps them as attributes of the same name, and has
`out_dim` and `forward(lonlat, dtype=torch.float64) -> (n, out_dim)`.
"""

from geotether.encoders.positional.angles import Cartesian, Direct, Wrap
from geotether.encoders.positional.fourier import EqualEarthFourierFeatures, SphereFourierFeatures
from geotether.encoders.positional.harmonics import SphericalHarmonics
from geotether.encoders.positional.multiscale import Grid, SphereC, SphereCPlus, SphereM, SphereMPlus, Theory
from geotether.encoders.positional.satclip_harmonics import SatCLIPHarmonics
from geotether.plugins import Registry

POSITIONAL = Registry(
    "positional",
    "geotether.positional",
    {
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
    },
)
register_positional = POSITIONAL.register
"""Class decorator `@register_positional("name")`; see docs/extend.md."""
