"""Public data sets: a readable list of them, and the only code of the package that may use the network."""

from geotether.datasets.registry import BuilderName, Dataset, RemoteFile, find_dataset, read_registry
from geotether.datasets.retrieval import data_folder, get_dataset

__all__ = ["BuilderName", "Dataset", "RemoteFile", "data_folder", "find_dataset", "get_dataset", "read_registry"]
