"""Sources: points, images, texts and rasters as they come from outside, and the demo planet.

* `points`: CSV, Parquet, GeoParquet and GeoJSON in and out.
* `source`: the protocol of a source; `catalogue`: which there are, built in and from other packages.
* `planet`: the demo planet.
* `records`, `pictures`, `grids`: sources of rows, of images and of rasters, a room each.
* `sampling`: places drawn uniformly by area; `geometry`, `polygons`, `readers`, `writers`: what formats are made of.
* `disk`: writing so that a file is either complete or as it was.
"""
