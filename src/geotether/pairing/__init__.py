"""Paired data from files: npz, files of rows, folders of files, and published layouts.

* `open`: `open_paired`, which reads all of them.
* `specification`: what a paired table is read from.
* `npz`, `table_file`, `files`: the generic formats; `observations`, `targets`: their content.
* `layouts`: published layouts.
"""
