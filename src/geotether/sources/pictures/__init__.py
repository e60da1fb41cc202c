"""Images: photographs with GPS or an index, bytes in a Parquet column, and Sentinel-2 patches."""
