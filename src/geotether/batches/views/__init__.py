"""Views: one more look at the same observations, changed in ways that should not matter.

`make_views` gives a function of values and a `torch.Generator`. Values are as in the table, not standardised, with NaN
where missing, which stays missing; what a view takes away becomes missing as well. Rows never mix, and which numbers
are drawn depends on the shape of the values alone.
"""

from geotether.batches.views.chip_views import ChipViews
from geotether.batches.views.make import VIEWS, make_views
from geotether.batches.views.series_views import SeriesViews
from geotether.batches.views.vector_views import VectorViews

__all__ = ["VIEWS", "ChipViews", "SeriesViews", "VectorViews", "make_views"]
