"""Sources: points, images and texts as they come from outside, and the demo planet.

* `points`: CSV, Parquet, GeoParquet and GeoJSON in and out.
* `convolution`, `ngrams`: features of images and of texts that need no training.
* `planet`: the demo planet.
* `disk`: writing so that a file is either complete or as it was.
"""
