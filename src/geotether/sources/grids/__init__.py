"""Rasters: GeoTIFF, NetCDF and Zarr of any grid and CRS, as values, windows and statistics.

* `raster_source`: the source; `raster_options`, `raster_places`, `raster_rows`: its options, places and rows.
* `grid`: places to cells; `cells`: reading them; `geotiff`, `gridded`: the two families of formats.
* `windows`, `window_statistics`: what lies around a place.
* `rasters`: values at places, for tasks.
"""
