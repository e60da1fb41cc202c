"""Encoders of sensor observations: vectors, time series and image chips with any bands.

A `SensorEncoder` standardises by band, marks missing values and runs one of `SENSOR_ENCODERS`. Those have `shape` (of
a row, with the missing channel if there is one), `out_dim`, `kinds` (of observation) and `any_size` (whether chips may
differ in size from `shape`).
"""
