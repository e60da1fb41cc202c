"""Sources of records: rows of columns, texts, occurrences and vectors, from any format of rows.

* `columns`, `texts`, `darwin_core`, `vectors`: the sources.
* `row_file`: rows by number, and what sources of one file share.
"""
