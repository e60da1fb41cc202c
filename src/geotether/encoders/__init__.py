"""Encoders of places and of what sensors observe, projection heads, and the models that tie them."""

from geotether.encoders.build import build_location_encoder
from geotether.encoders.location import LocationEncoder
from geotether.encoders.networks import NETWORKS, Network, register_network
from geotether.encoders.positional import POSITIONAL, register_positional
from geotether.encoders.sensors.build import SENSOR_ENCODERS, register_sensor_encoder

__all__ = [
    "NETWORKS",
    "POSITIONAL",
    "SENSOR_ENCODERS",
    "LocationEncoder",
    "Network",
    "build_location_encoder",
    "register_network",
    "register_positional",
    "register_sensor_encoder",
]
