"""Rasters: GeoTIFF, NetCDF and Zarr of any grid and CRS, as values, windows and statistics.

* `raster_source`: the source and its options; `raster_places`: where it reads.
* `geotiff`, `gridded`: the two families of formats; `grid`: from places to cells; `cells`: reading cells.
* `windows`: images, values and statistics around places.
* `rasters`: values at places, for tasks.
"""
