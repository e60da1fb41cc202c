"""Sources: points, images and texts as they come from outside, and the demo planet.

* `points`: CSV, Parquet, GeoParquet and GeoJSON in and out.
* `source`: the protocol of a source; `catalogue`: which there are, built in and from other packages.
* `planet`: the demo planet.
* `raster_source`: a raster as a source; `cells`, `windows`, `sampling`: what it is made of.
* `disk`: writing so that a file is either complete or as it was.
"""
