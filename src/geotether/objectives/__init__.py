"""Objectives: losses of embeddings as pure functions, independent of training.

* `tying.plain_tying_loss`: the loss of MELT, SALT and pairwise CLIP as it is defined, with the choices of negatives in
  `negatives.NEGATIVES`; `tying.tying_loss`: the same value in less time and memory.
* `info_nce.info_nce`: symmetric softmax between two modalities (the CLIP loss).
* `sigmoid.sigmoid_loss`: every pair classified by itself (the SigLIP loss).
* `pairs.pair_logsumexp`: the softmax denominators of all of them, in blocks of rows for large batches.
* `masks.NearbyPairs`: the mask of false negatives.
* `views.nt_xent`: two views of one row; within and across sensors of one sample.
* `multilabel.multilabel_contrast`: positives weighted by the overlap of their labels (MoSAiC).
* `supervised.task_loss`: losses of classes, labels and numbers; `supervised.regression_loss`: of features.
* `colearning.colearning_terms`: sensors trained together for a task (MDiCo), distillation, learned weights of terms.
* `disentangling.disentangling_terms`: a part of an embedding tied to the place, and a modality-specific part.
* `presence`: rows without a sensor.
* `retrieval.recall_at_k`: how often a row's partner is among the most similar.
"""

from geotether.objectives.negatives import OBJECTIVES, register_objective

__all__ = ["OBJECTIVES", "register_objective"]
