"""Images: photographs with GPS or an index, bytes in a Parquet column, and Sentinel-2 patches.

* `images`, `image_column`, `sentinel2`: the sources; `image_source`: what the first two share.
* `image_index`, `image_rows`: where rows come from.
* `exif`: position, time and orientation; `pixels`: decoding.
"""
