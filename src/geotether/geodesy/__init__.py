"""Places, distances, areas, coordinate reference systems and times; the only package that handles degrees.

* `coordinates`, `distance`, `blocks`, `azimuthal`: places, distances, equal-area blocks, squares on the ground.
* `crs`: conversions between coordinate reference systems; `dates`: the parser of times.
* `jitter`: random moves of places, with torch.
"""
