"""Objectives: arithmetic on embeddings, as pure functions that know nothing of training.

* `info_nce.info_nce`: symmetric softmax between two modalities (the CLIP loss).
* `sigmoid.sigmoid_loss`: every pair judged on its own (the SigLIP loss).
* `tying.tying_loss`: any number of modalities tied to their places, in the `readings.READINGS` of MELT.
* `chunked.pair_logsumexp`: the softmax under all of them, a block of rows at a time where the batch is large.
* `masks.NearbyPairs`, `masks.closer_than_km`: negatives that are in truth matches.
* `views.nt_xent`: two views of one row; between, within and across sensors of one sample.
* `multilabel.multilabel_contrast`: rows that share labels, by how many (MoSAiC).
* `supervised.task_loss`: classes, labels and numbers, rows without any left out.
* `colearning.colearning_terms`: sensors that learn a task together (MDiCo), and distillation.
* `uncertainty.UncertaintyWeights`: weights of terms that are learned.
* `disentangling.disentangling_terms`: location ties for one part of an embedding, the modality's own in the other.
* `presence`: rows that lack a sensor.
* `retrieval.recall_at_k`: how often a row finds its own partner.
"""
