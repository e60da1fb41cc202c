"""Featurising: from a source to a feature table, by a job that can be killed and goes on.

* `specification`: what a table is built from; `guess`: which source reads a file.
* `build`: the job from front to back; `cache`: the table built earlier, if nothing changed.
* `transform_file`: what was fitted, stored beside the table; `apply`: the same features for new rows.
* `rows`, `parts`, `workers`, `threads`: reading, one part of the work, many processes, one thread in each.
* `job`, `assembly`, `times`, `progress`: the job's folder, parts into a table, time as features, a bar.
"""

from geotether.featurizing.apply import apply_transform
from geotether.featurizing.build import build_table
from geotether.featurizing.cache import cached_table
from geotether.featurizing.guess import guess_source
from geotether.featurizing.specification import TableSpec, read_spec

__all__ = ["TableSpec", "apply_transform", "build_table", "cached_table", "guess_source", "read_spec"]
