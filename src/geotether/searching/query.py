"""What is searched for, as a vector: a place, or an observation through the features and the head of its modality."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64

from geotether.featurizing.transform import Transform, transform_of_bytes
from geotether.files.disk import check_file
from geotether.geodesy.coordinates import as_lonlat
from geotether.searching.candidates import land_candidates
from geotether.sources.pictures.pixels import ImageError, read_photo
from geotether.sources.source import Observations
from geotether.suggestions import closest

# The vectors that candidates are compared by: those that users get of places, and those that the objectives see, in
# which observations lie as well.
PLACE, SHARED = "place", "shared"
_SAID = {"texts": "texts", "images": "images", "columns": "columns", "vectors": "vectors"}
_PHOTO_OPTIONS = ("mode", "size", "max_pixels")
# Number of places on land whose features are predicted, and of those whose mean completes an observation.
_TYPICAL_PLACES, _NEAREST = 3000, 10


@dataclass(frozen=True, eq=False)
class Query:
    """A question in the space of the candidates.

    Attributes:
        said: What was asked, in words.
        space: "place" or "shared"; see `geotether.searching.index`.
        vector: Of length 1, shape (d,).
        modality: Of an observation; "" of a place.
        lonlat: Of a place, degrees, shape (1, 2); otherwise None.
        notes: What should be known about the question.
        shared: Of a place, its embedding in the shared space, shape (1, e).
    """

    said: str
    space: str
    vector: Float32[np.ndarray, " d"]
    modality: str = ""
    lonlat: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    shared: Float32[np.ndarray, "1 e"] | None = None


def place_query(encoder: Any, lon: float, lat: float) -> Query:
    """Ask for places like one place, given in degrees.

    Raises:
        ValueError: If it is not a place.
    """
    return place_queries(encoder, as_lonlat([lon], [lat]))[0][0]


def place_queries(encoder: Any, lonlat: Float64[np.ndarray, "n 2"]) -> tuple[list[Query], Float32[np.ndarray, "n d"]]:
    """Ask by several places, degrees, in one computation; also return their embeddings as `Encoder.encode` does."""
    with torch.inference_mode():
        found = encoder.module.handout_and_embedding(torch.tensor(lonlat, device=encoder.device))
    embeddings, shared = (one.cpu().numpy() for one in found)
    queries = [
        Query(f"{place[0]:g} {place[1]:g}", PLACE, vector, lonlat=place[None], shared=own[None])
        for place, vector, own in zip(lonlat, unit(embeddings), shared, strict=True)
    ]
    return queries, embeddings


def text_query(encoder: Any, text: str, modality: str | None = None) -> Query:
    """Ask for the places that match a text.

    Args:
        encoder: An `Encoder` with the heads and the fitted features of its modalities.
        text: The text.
        modality: The modality that the text is taken as; by default the first one of texts.

    Raises:
        ValueError: If the text is empty, nothing in it occurs in the training texts, or the model has no such modality.
    """
    if not text.strip():
        raise ValueError("The text is empty; give words, such as a name or a description of a place.")
    known = transforms_taking(encoder, "texts", modality)
    name, transform = next(iter(known.items()))
    vector, features = observation_vectors(encoder, name, transform, [text])
    if not features.any():
        raise ValueError(f"No part of {text!r} occurs in the texts that {name} was trained on; try other words.")
    return Query(repr(text), SHARED, vector[0], name, notes=_several(name, known))


def image_query(encoder: Any, image: Any, modality: str | None = None, max_pixels: int | None = None) -> Query:
    """Ask for the places that match an image.

    Args:
        encoder: As for `text_query`.
        image: A file (JPEG, PNG, WebP or TIFF), its bytes, or pixels of shape (height, width, bands), of the number
            type that the model was trained on. It should show as much ground per pixel as the training images did.
        modality: The modality that it is taken as; by default the first one with as many bands.
        max_pixels: Larger files are refused before they are decoded; by default as in training.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not an image, no modality takes such images, or the model has no such modality.
    """
    known = transforms_taking(encoder, "images", modality)
    said = "the image" if isinstance(image, np.ndarray | bytes) else str(image)
    fitting, reasons = {}, {}
    for name, transform in known.items():
        pixels = image if isinstance(image, np.ndarray) else _pixels(image, said, transform, max_pixels)
        reason = transform.featurizer.refuse([pixels]).get(0)
        if reason:
            reasons[name] = reason
        else:
            fitting[name] = pixels
    if not fitting:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(f"{said} is not an image as the model was trained on. {why}.")
    name = next(iter(fitting))
    vector, _ = observation_vectors(encoder, name, known[name], [fitting[name]])
    return Query(said, SHARED, vector[0], name, notes=_several(name, fitting))


def columns_query(encoder: Any, values: Mapping[str, Any], modality: str | None = None) -> Query:
    """Ask for the places that match values of columns.

    Columns that are left out are completed from the model's predictions if it has a decoder of the modality (see
    `completed`); otherwise they count as missing.

    Raises:
        ValueError: If the modality has no such column, a value cannot be read, or the model has no such modality.
    """
    import pyarrow as pa

    known = transforms_taking(encoder, "columns", modality)
    used = {name: [one.name for one in transform.featurizer.encodings_] for name, transform in known.items()}  # type: ignore[attr-defined]
    fitting = [name for name, columns in used.items() if set(values) <= set(columns)]
    if not values or not fitting:
        name = modality or max(used, key=lambda one: len(set(values) & set(used[one])))
        odd = next((column for column in values if column not in used[name]), "")
        said = f"has no column {odd!r}" if values else "needs a value of at least one column"
        raise ValueError(f"{name} {said}; it has {', '.join(used[name][:40])}.{closest(odd, used[name])}")
    name = fitting[0]
    row = pa.table({column: pa.array([values.get(column)]) for column in used[name]})
    vector, features = observation_vectors(encoder, name, known[name], row)
    said, notes = ", ".join(f"{column}={value}" for column, value in values.items()), _several(name, fitting)
    if len(values) < len(used[name]):
        notes += (f"{len(values)} of {len(used[name])} columns of {name} are given",)
        widths = {one.name: len(one.names()) for one in known[name].featurizer.encodings_}  # type: ignore[attr-defined]
        given = np.concatenate([np.full(width, column in values) for column, width in widths.items()])
        if name in encoder.decoders and len(given) == features.shape[1]:  # not projected on directions
            vector = head_vectors(encoder, name, completed(encoder, name, features, given))
    return Query(said, SHARED, vector[0], name, notes=notes)


def completed(
    encoder: Any, modality: str, features: Float32[np.ndarray, "n k"], given: Bool[np.ndarray, " k"]
) -> Float32[np.ndarray, "n k"]:
    """Replace missing features by their mean over the places whose predictions are nearest to the given features.

    Missing values as they are in training, the median of each column, would describe a place that is hot and wet by two
    columns and average by all others, which no place is.

    Args:
        encoder: An `Encoder` with the modality's decoder.
        modality: Name of the modality.
        features: Of one observation, as the modality's transform gives them.
        given: Which features are given.
    """
    places = torch.tensor(land_candidates(_TYPICAL_PLACES).lonlat, device=encoder.device)
    with torch.inference_mode():
        predicted = encoder.decoders[modality].decode(encoder.module(places)).cpu().numpy()
    spread = np.maximum(predicted[:, given].std(axis=0), np.finfo(np.float32).tiny)
    apart = np.square((predicted[:, given] - features[:, given]) / spread).sum(axis=1)
    nearest = predicted[np.argsort(apart)[:_NEAREST]].mean(axis=0)
    return np.where(given, features, nearest).astype(np.float32)


def transforms_taking(encoder: Any, kind: str, modality: str | None = None) -> dict[str, Transform]:
    """Return the modalities whose observations are of a kind, with their fitted features.

    Args:
        encoder: As for `text_query`.
        kind: "texts", "images", "columns" or "vectors".
        modality: Only this one.

    Raises:
        ValueError: If there are none; the message says what the model has.
    """
    usable = {name: data for name, data in encoder.transforms.items() if name in encoder.heads}
    known = {name: transform_of_bytes(data, f"{name} of the model") for name, data in usable.items()}
    found = {name: transform for name, transform in known.items() if transform.featurizer.takes == kind}
    if modality is not None:
        found = {name: transform for name, transform in found.items() if name == modality}
    if found:
        return found
    listed = ", ".join(f"{name} ({_SAID[transform.featurizer.takes]})" for name, transform in known.items())
    has = f"it can be asked by a place and by {listed}" if listed else "it can be asked by a place only"
    what = f"no modality of {_SAID[kind]}" if modality is None else f"no modality {modality!r} of {_SAID[kind]}"
    lost = sorted(set(encoder.modalities) - set(known))
    why = f" Of {', '.join(lost)} the head or the fitted features are not in the model." if lost else ""
    hint = closest(modality or "", known)
    raise ValueError(f"The model has {what} with a head and fitted features; {has}.{why}{hint}")


def observation_vectors(
    encoder: Any, modality: str, transform: Transform, content: Any
) -> tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n k"]]:
    """Return observations in the shared space, and their features.

    Args:
        encoder: As for `text_query`.
        modality: Name of the modality.
        transform: Its fitted features.
        content: Observations as its source would read them: texts, images, an Arrow table or vectors; n rows.

    Raises:
        ValueError: If an observation cannot be used.
    """
    count = len(content)
    time = np.full(count, "NaT", dtype="datetime64[ms]")
    found = Observations(np.arange(count), np.zeros((count, 2)), content, time=time)
    found, features = transform.apply(found)
    for one in found.rejected:
        raise ValueError(f"This cannot be used as {modality}: {one.reason}.")
    return head_vectors(encoder, modality, features), features


def head_vectors(encoder: Any, modality: str, features: Float32[np.ndarray, "n k"]) -> Float32[np.ndarray, "n d"]:
    """Project features into the shared space; vectors of length 1."""
    with torch.inference_mode():
        return unit(encoder.heads[modality](torch.tensor(features, device=encoder.device)).cpu().numpy())


def unit(vectors: np.ndarray) -> Float32[np.ndarray, "n d"]:
    """Scale rows to length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, np.finfo(np.float32).tiny)).astype(np.float32)


def _several(name: str, known: Any) -> tuple[str, ...]:
    others = [other for other in known if other != name]
    return (f"asked as {name}; modality chooses {' or '.join(others)} instead",) if others else ()


def _pixels(image: bytes | str | Path, said: str, transform: Transform, max_pixels: int | None) -> np.ndarray:
    if not isinstance(image, bytes):
        check_file(Path(image))
        image = Path(image).read_bytes()
    options = {key: transform.options[key] for key in _PHOTO_OPTIONS if key in transform.options}
    if max_pixels is not None:
        options["max_pixels"] = max_pixels
    try:
        return read_photo(image, **options).pixels
    except ImageError as error:
        raise ValueError(f"{said} cannot be used: {error}.") from error
