"""Images: photographs with GPS or an index, bytes in a Parquet column, and Sentinel-2 patches.

* `images`, `image_column`, `sentinel2`: the sources.
* `pixels`: decoding; `exif`: place, time and orientation.
"""
