"""Feature tables: the only form in which data reach the training.

* `table`: `FeatureTable`, checked once.
* `store`: GeoParquet in and out, memory-mapped where large.
* `origin`: where a table comes from and how it was made.
* `splits`: training, validation and test rows by blocks of space.
* `featurize`: chips and texts to tables.
* `yaml_text`: YAML as people write it.
"""
