"""Features: from observations to vectors, by arithmetic or by a frozen backbone.

* `featurizer`: the protocol of all features; `catalogue`: features by name.
* `columns`: columns of a table; `column_kinds`, `column_encodings`: kinds of columns and their encodings.
* `ngrams`, `sentences`: texts by character n-grams, or by a model of sentence-transformers.
* `convolution`: images by random patches (MOSAIKS).
* `frozen`, `backbone`, `ssl4eo`: images by frozen networks of timm or torchgeo.
* `vectors`, `projection`: vectors that are features already, and projections on principal directions.
"""
