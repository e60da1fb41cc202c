"""Records: rows of columns, texts, occurrences and ready-made vectors, from any usual format.

* `columns`, `texts`, `darwin_core`, `vectors`: the sources.
* `row_source`: what sources of one file share; `row_file`: rows by number; `spool`: a copy that can be read anywhere.
* `delimited`, `json_records`, `layers`: the formats; `places`, `cell_values`: what a row says.
"""
