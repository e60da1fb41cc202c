"""Local context from data: fields of rasters and of observations on longitude/latitude nodes."""
