"""Paired data from files: npz, Parquet, CSV, folders of files, and published layouts.

* `open`: the one door, `open_paired`.
* `specification`: what a paired table is read from.
* `npz`, `parquet`, `csv`, `folder`: the generic formats, one file each.
* `layouts`: published ones.
"""
