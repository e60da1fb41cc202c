"""Embeddings and maps as files of other tools: Cloud-optimized GeoTIFF, Zarr, GeoParquet, STAC."""
