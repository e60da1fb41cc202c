"""Encoders of sensor observations: vectors, time series and image chips with any bands.

A `SensorEncoder` standardises by band, marks missing values and runs one of `SENSOR_ENCODERS`. Those have `shape` (of
a row, with the missing channel if there is one), `out_dim`, `kinds` (of observation) and `any_size` (whether chips may
differ in size from `shape`).
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
