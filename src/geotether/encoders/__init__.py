"""Encoders of places and of what sensors observe, projection heads, and the models that tie them."""

from geotether.encoders.build import build_location_encoder, build_network, build_positional
from geotether.encoders.colearner import CoLearner, Parts
from geotether.encoders.heads import FeatureDecoder, ProjectionHead
from geotether.encoders.location import READOUTS, LocationEncoder
from geotether.encoders.mixing import BlockMixing
from geotether.encoders.model import TiedModel
from geotether.encoders.networks import MLP, NETWORKS, Linear, Network, ResidualMLP, Siren, register_network
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
    register_positional,
)
from geotether.encoders.sensor_heads import SensorClassifier
from geotether.encoders.sensors import SENSOR_ENCODERS, SensorEncoder, build_sensor_encoder, sensor_of
from geotether.encoders.tied_sensors import TiedSensors

__all__ = [
    "MLP",
    "NETWORKS",
    "POSITIONAL",
    "READOUTS",
    "SENSOR_ENCODERS",
    "BlockMixing",
    "Cartesian",
    "CoLearner",
    "Direct",
    "EqualEarthFourierFeatures",
    "FeatureDecoder",
    "Grid",
    "Linear",
    "LocationEncoder",
    "Network",
    "Parts",
    "ProjectionHead",
    "ResidualMLP",
    "SensorClassifier",
    "SensorEncoder",
    "Siren",
    "SphereC",
    "SphereCPlus",
    "SphereFourierFeatures",
    "SphereM",
    "SphereMPlus",
    "SphericalHarmonics",
    "Theory",
    "TiedModel",
    "TiedSensors",
    "Wrap",
    "build_location_encoder",
    "build_network",
    "build_positional",
    "build_sensor_encoder",
    "register_network",
    "register_positional",
    "sensor_of",
]
