"""Tables: the form in which data reach training.

* `table`: `Table`, rows of one or several modalities; `modality`, `target`: its parts.
* `store`: tables in Parquet and .npz files; `matrix`: features of Parquet files, memory-mapped if large.
* `origin`: where a table comes from and how it was made.
* `splits`: training, validation and test rows by blocks of space, and folds.
* `featurize`: tables of images and texts.
"""
