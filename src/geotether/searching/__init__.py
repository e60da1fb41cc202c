"""Searching: the places most like a place, a text, a picture or values of columns, and why they are alike.

* `candidates`: the places that are searched among, on a land grid or in a file.
* `query`: a question as a vector; observations go through the fitted features and the trained head of their modality.
* `index`: vectors of the candidates, in memory or in a folder that belongs to one model.
* `answers`: the exact best candidates, thinned by distance; `alikeness`: the modalities in which places are alike.
* `recall`: how often a search by held-out observations finds their place.
"""

from geotether.searching.answers import Answers, search
from geotether.searching.candidates import Candidates, file_candidates, grid_candidates, land_candidates
from geotether.searching.index import Index, open_index
from geotether.searching.query import Query, columns_query, image_query, place_query, text_query

__all__ = [
    "Answers",
    "Candidates",
    "Index",
    "Query",
    "columns_query",
    "file_candidates",
    "grid_candidates",
    "image_query",
    "land_candidates",
    "open_index",
    "place_query",
    "search",
    "text_query",
]
