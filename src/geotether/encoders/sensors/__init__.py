"""Encoders of what sensors observe: vectors, time series and image chips, any bands.

A `SensorEncoder` standardises by band, marks what is missing and runs one of `SENSOR_ENCODERS`. Those have `shape` (of
a row, with the missing channel if there is one), `out_dim`, `kinds` (what they take) and `any_size` (whether chips may
be of another size than `shape` says).
"""

from geotether.encoders.sensors.backbone import TimmBackbone
from geotether.encoders.sensors.build import (
    SENSOR_ENCODERS,
    build_sensor_encoder,
    build_sensor_encoders,
    default_sensor_encoder,
    sensor_of,
)
from geotether.encoders.sensors.encoder import KINDS, SensorEncoder
from geotether.encoders.sensors.networks import Perceptron, ResNet, TempCNN

__all__ = [
    "KINDS",
    "SENSOR_ENCODERS",
    "Perceptron",
    "ResNet",
    "SensorEncoder",
    "TempCNN",
    "TimmBackbone",
    "build_sensor_encoder",
    "build_sensor_encoders",
    "default_sensor_encoder",
    "sensor_of",
]
