"""Location encoders, projection heads, and the model that ties them."""

from geotether.encoders.build import build_location_encoder, build_network, build_positional
from geotether.encoders.decoders import FeatureDecoder
from geotether.encoders.heads import ProjectionHead
from geotether.encoders.location import READOUTS, LocationEncoder
from geotether.encoders.mixing import BlockMixing
from geotether.encoders.model import TiedModel
from geotether.encoders.networks import MLP, NETWORKS, Linear, ResidualMLP, Siren
from geotether.encoders.positional import (
    POSITIONAL,
    Cartesian,
    Direct,
    EqualEarthFourierFeatures,
    Grid,
    SphereC,
    SphereCPlus,
    SphereFourierFeatures,
    SphereM,
    SphereMPlus,
    SphericalHarmonics,
    Theory,
    Wrap,
)

__all__ = [
    "MLP",
    "NETWORKS",
    "POSITIONAL",
    "READOUTS",
    "BlockMixing",
    "Cartesian",
    "Direct",
    "EqualEarthFourierFeatures",
    "FeatureDecoder",
    "Grid",
    "Linear",
    "LocationEncoder",
    "ProjectionHead",
    "ResidualMLP",
    "Siren",
    "SphereC",
    "SphereCPlus",
    "SphereFourierFeatures",
    "SphereM",
    "SphereMPlus",
    "SphericalHarmonics",
    "Theory",
    "TiedModel",
    "Wrap",
    "build_location_encoder",
    "build_network",
    "build_positional",
]
