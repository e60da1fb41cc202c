"""The readings of MELT: which embeddings compete in the softmax of one row."""

from geotether.suggestions import closest

READINGS: dict[str, str] = {
    "modality_to_location": "each observation picks its own place among the places of the whole merged batch",
    "location_to_modality": "each place picks its own observation among the observations of the whole merged batch",
    "all_pairs": "each observation picks its own place among all places and all other observations of the merged batch",
    "within_modality": "each modality by itself: observation and place pick each other among the rows of that modality",
}
"""Name of each reading and its meaning.

The paper's "asymmetric NT-Xent" is published without its formula; the first reading is taken to be it,
the next two are the other ways to understand the words, the last one keeps modalities out of each other's
softmax and equals the CLIP loss where only one modality is in the batch.

Source:
    Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location Tying".
"""


def check_reading(reading: str) -> None:
    """Raise if `reading` is not one of `READINGS`.

    Args:
        reading: Name of a reading.

    Raises:
        ValueError: If the name is unknown; the message lists the known ones.

    Example:
        >>> check_reading("within_modality")
    """
    if reading not in READINGS:
        hint = closest(reading, READINGS)
        raise ValueError(f"Unknown reading {reading!r}; the readings are {', '.join(READINGS)}.{hint}")
