"""Data sets read by torchgeo: a table of the samples that one of its classes returns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.pairing.layouts.chips import ChipRows
from geotether.pairing.layouts.chosen_rows import choose_rows, split_name, unknown
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.tables.target import Target

_KINDS = {1: "vector", 2: "series", 3: "chip"}
_MODALITY = ("key", "bands", "names", "dtype")
_TARGET = ("key", "kind", "names")
_DTYPES = ("uint8", "uint16", "int16", "float32")


def read_torchgeo(
    path: str | Path,
    dataset: str,
    modalities: Mapping[str, Mapping[str, Any]],
    targets: Mapping[str, Mapping[str, Any]] | None = None,
    splits: Sequence[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
    limit: int | None = None,
    seed: int = 0,
    scratch: str | Path | None = None,
) -> Table:
    """Read the samples of one of torchgeo's data sets without geographic index, which give no places.

    A modality is a tensor of the sample, or some of its bands: one axis is a vector, two are a series (t, bands), three
    a chip. See docs/paired-layouts.md.

    Returns:
        The modalities, targets and split; ids are the parts and the numbers of the samples.

    Raises:
        FileNotFoundError: If torchgeo does not find the data.
        ValueError: If the class, a key or an option is unknown, or a tensor does not match its description.
        ImportError: If torchgeo is not installed or torchvision does not match torch.
    """
    asked = _checked(modalities, _MODALITY, "modality") if modalities else {}
    if not asked:
        raise ValueError("modalities is empty; give, for example, {s1: {key: image, bands: [0, 1]}}.")
    wanted = _checked(targets or {}, _TARGET, "target")
    sets = _sets(dataset, Path(path), splits, dict(arguments or {}))
    parts = [part for part, one in sets for _ in range(len(one))]
    at = [(one, number) for _, one in sets for number in range(len(one))]
    rows = choose_rows(None, None, limit, seed, len(at))
    collected: dict[str, ChipRows | list[np.ndarray]] = {}
    answers: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    for row in rows:
        one, number = at[row]
        sample = one[number]
        for name, form in asked.items():
            values = _values(sample, form, f"{dataset}, sample {number}: {name}")
            if values.ndim == 3:
                chips = collected.setdefault(name, ChipRows(name, len(rows), form.get("names", ()), scratch))
                chips.add(values, f"{dataset}, sample {number}")  # type: ignore[union-attr]
            else:
                collected.setdefault(name, []).append(values)  # type: ignore[union-attr]
        for name, form in wanted.items():
            answers[name].append(_tensor(sample, form["key"], f"{dataset}, sample {number}: {name}"))
    return Table(
        dataset,
        {name: _sensor(name, values, asked[name]) for name, values in collected.items()},
        {name: _target(name, answers[name], form, sets[0][1]) for name, form in wanted.items()},
        id=np.array([f"{parts[row]}{'-' if parts[row] else ''}{row}" for row in rows], dtype=object),
        split=None if splits is None else np.array([split_name(parts[row]) for row in rows], dtype=object),
        origin=Origin(source=f"{dataset}, read by torchgeo", made={"layout": "torchgeo", "dataset": dataset}),
    )


def _checked(given: Mapping[str, Any], known: Sequence[str], what: str) -> dict[str, dict[str, Any]]:
    for name, form in given.items():
        if not isinstance(form, Mapping) or not isinstance(form.get("key"), str):
            raise ValueError(f"{what} {name!r} needs a key of the sample, such as {{key: image}}.")
        for option in form:
            if option not in known:
                raise ValueError(f"{what} {name!r}: {unknown('option', option, known)}")
        if form.get("dtype", "float32") not in _DTYPES:
            raise ValueError(f"{what} {name!r}: dtype must be one of {', '.join(_DTYPES)}, got {form['dtype']!r}.")
        if known == _TARGET and form.get("kind") not in ("classes", "labels", "numbers"):
            raise ValueError(f"target {name!r} needs a kind: classes, labels or numbers.")
    return {name: dict(form) for name, form in given.items()}


def _sets(dataset: str, root: Path, splits: Sequence[str] | None, arguments: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the data set of each part."""
    try:
        from torchgeo import datasets
    except ImportError:
        raise ImportError("This layout reads with torchgeo: pip install 'geotether[eo]'.") from None
    except RuntimeError as error:  # torchvision's operators were built for another torch
        raise ImportError(f"torchgeo cannot be imported: torchvision does not match this torch ({error}).") from error
    known = [name for name in dir(datasets) if _is_set(getattr(datasets, name), datasets)]
    if dataset not in known:
        raise ValueError(unknown("data set without geographic index in torchgeo,", dataset, known))
    if {"root", "split"} & set(arguments) or arguments.get("download"):
        raise ValueError("arguments must not have root (it is the path), split (use splits) or download.")
    made = []
    for part in [None] if splits is None else ([splits] if isinstance(splits, str) else splits):
        given = arguments if part is None else {**arguments, "split": part}
        try:
            made.append((part or "", getattr(datasets, dataset)(root=root, **given)))
        except datasets.DatasetNotFoundError as error:
            raise FileNotFoundError(f"{dataset} is not at {root}: {error}") from error
        except (AssertionError, TypeError, KeyError) as error:  # torchgeo's errors for wrong arguments
            said = f"{type(error).__name__} {error}".strip()
            raise ValueError(f"torchgeo's {dataset} does not accept {given}: {said}.") from error
    return made


def _is_set(one: Any, datasets: Any) -> bool:
    return isinstance(one, type) and issubclass(one, datasets.NonGeoDataset) and one is not datasets.NonGeoDataset


def _tensor(sample: Mapping[str, Any], key: str, where: str) -> np.ndarray:
    if key not in sample:
        raise ValueError(f"{where}: {unknown('key', key, sample)}")
    value = sample[key]
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _values(sample: Mapping[str, Any], form: Mapping[str, Any], where: str) -> np.ndarray:
    values = _tensor(sample, form["key"], where)
    if values.ndim not in _KINDS:
        raise ValueError(f"{where} has shape {values.shape}; a modality must have one, two or three axes.")
    axis = 1 if values.ndim == 2 else 0
    if form.get("bands") is not None:
        if max(form["bands"], default=-1) >= values.shape[axis] or min(form["bands"], default=-1) < 0:
            raise ValueError(f"{where} has {values.shape[axis]} bands, so there are no bands {list(form['bands'])}.")
        values = values.take(list(form["bands"]), axis=axis)
    if form.get("names") and len(form["names"]) != values.shape[axis]:
        raise ValueError(f"{where}: {len(form['names'])} names for {values.shape[axis]} bands.")
    dtype = np.dtype(form.get("dtype", "float32"))
    with np.errstate(invalid="ignore"):
        stored = values.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(stored, values):
        raise ValueError(f"{where} has values that {dtype} cannot represent ({values.min()} to {values.max()}).")
    return stored


def _sensor(name: str, values: ChipRows | list[np.ndarray], form: Mapping[str, Any]) -> Modality:
    if isinstance(values, ChipRows):
        return values.sensor()
    shapes = {one.shape for one in values}
    if len(shapes) > 1:
        raise ValueError(
            f"samples of {name} have different shapes, such as {sorted(shapes)[0]} and {sorted(shapes)[1]}."
        )
    return Modality(_KINDS[values[0].ndim], np.stack(values), bands=tuple(form.get("names", ())))


def _target(name: str, answers: Sequence[np.ndarray], form: Mapping[str, Any], held: Any) -> Target:
    known = getattr(held, "classes", getattr(held, "class_set", ()))  # a list, a tuple or an array
    names = tuple(form.get("names") or map(str, known))
    if form["kind"] == "numbers":
        return Target("numbers", np.array([float(one) for one in answers]), tuple(form.get("names") or (name,)))
    if not names:
        raise ValueError(f"target {name!r} needs names: torchgeo has no class names for it.")
    values = np.stack(answers)
    return Target(form["kind"], values if form["kind"] == "labels" else values.reshape(-1), names)
