"""Batches: the rows of each step, as a pure function of (seed, step).

* `schedule`: ties and tying schedules (our terms): MELT, SALT and pairwise CLIP differ in nothing else.
* `batch`: the tensors of one step, and the endless, epoch-wise shuffled stream of rows of each table.
* `views`: augmented observations, as a pure function of a generator.
"""
