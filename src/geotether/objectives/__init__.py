"""Objectives: arithmetic on embeddings, as pure functions that know nothing of training.

* `info_nce.info_nce`: symmetric softmax between two modalities (the CLIP loss).
* `sigmoid.sigmoid_loss`: every pair judged on its own (the SigLIP loss).
* `tying.tying_loss`: any number of modalities tied to their places, in the `readings.READINGS` of MELT.
* `chunked.pair_logsumexp`: the softmax under all of them, a block of rows at a time where the batch is large.
* `masks.NearbyPairs`, `masks.closer_than_km`: negatives that are in truth matches.
* `retrieval.recall_at_k`: how often a row finds its own partner.
"""
