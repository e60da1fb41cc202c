"""Features: from what was observed to a vector, by arithmetic or by a frozen backbone.

* `featurizer`: what every one of them can do.
* `convolution`: images by random patches (MOSAIKS).
* `ngrams`: texts by their character n-grams.
"""
