"""Regions of the Earth and the grids of pixels laid over them.

* `region`: `Region`, and `region_of`, which reads a name, a box or a polygon file.
* `grid`: `Grid`, and `grid_of`, which lays one over a region in degrees or metres.
* `named`: countries, territories and continents; `outline`: outlines across 180 degrees and their areas.
"""

from geotether.regions.grid import Grid, grid_of
from geotether.regions.named import country_of
from geotether.regions.region import Region, region_of

__all__ = ["Grid", "Region", "country_of", "grid_of", "region_of"]
