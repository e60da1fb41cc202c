"""Rasters: GeoTIFF, NetCDF and Zarr of any grid and CRS, as values, windows and statistics."""
