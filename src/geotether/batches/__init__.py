"""Batches: which rows of which tables meet in a step, as a pure function of (seed, step).

* `tie`, `schedule`, `salt`: ties and tying schedules (our words): MELT, SALT and pairwise CLIP differ in nothing else.
* `sampler`: which rows of a table come at which position of its endless, epoch-wise shuffled stream.
* `batch`: the tensors of one step.
* `views`: one more look at the same observations, as a pure function of a generator.
"""
