"""Feature tables: the only form in which data reach the training.

* `table`: `Table`, checked once.
* `store`: GeoParquet in and out, memory-mapped where large.
* `origin`: where a table comes from and how it was made.
* `splits`: training, validation and test rows by blocks of space.
* `featurize`: chips and texts to tables.
* `row_columns`: ids, times and splits of rows, checked alike in every table.
* `sensor`, `paired_target`, `paired`: `Table`, samples that several sensors saw.
* `paired_store`: paired tables in and out.
* `folds`: folds of whole groups.
* `yaml_text`: YAML as people write it.
"""
