"""From labelled points to a map: fitted probes, their scores on unseen blocks, intervals, and the raster."""
