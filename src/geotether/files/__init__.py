"""One way in and out of files: formats, rows, places, values, and safe writing.

* `formats`: all formats with their endings and what they contain.
* `rows`: open any file of rows as Arrow tables; `delimited`, `json_records`: two of the formats; `random_access`: rows
  by number.
* `places`, `values`: the place of a row and the content of its cells; dates are read by `geotether.geodesy.dates`.
* `points`: rows with a place each, read and written; `geometry`, `writers`: GeoParquet geometries, output formats.
* `frames`: places in data frames and datasets in memory.
* `disk`: files that are either complete or unchanged, and fingerprints of files.
"""
