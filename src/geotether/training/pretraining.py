"""Training from tables and settings: location encoders and models of paired sensors by one function."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from geotether.encoder import Encoder
from geotether.encoders.context import LocalContext
from geotether.files.disk import writing
from geotether.files.formats import format_of, is_address
from geotether.pairing.open import open_paired
from geotether.predict import PairedModel
from geotether.processes import joined
from geotether.searching.observations import TrainingObservations
from geotether.settings import read_layer
from geotether.tables.featurize import PLANET_MODALITIES, planet_table
from geotether.tables.store import read_table
from geotether.tables.table import Table
from geotether.training.adaptation import AdaptMethod
from geotether.training.colearning import ColearningMethod, DistilledMethod, SupervisedMethod
from geotether.training.config import LoopConfig, PairedConfig, RunConfig, load_config
from geotether.training.location import LocationMethod
from geotether.training.loop import train
from geotether.training.paired_method import PairedMethod
from geotether.training.sample_ties import TiesMethod
from geotether.user_folders import keyed_path

PAIRED_METHODS: dict[str, type[PairedMethod]] = {
    "mdico": ColearningMethod,
    "shared": ColearningMethod,
    "single": SupervisedMethod,
    "fused": SupervisedMethod,
    "distilled": DistilledMethod,
    "ties": TiesMethod,
}


def pretrain(
    tables: Mapping[str, Any] | Table | str | Path | None = None,
    recipe: str | None = None,
    *,
    config: LoopConfig | str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    fresh: bool = False,
    progress: str = "auto",
    callbacks: Sequence[Any] = (),
    keep_state: bool = True,
    card_notes: str = "",
    raster_context: LocalContext | None = None,
    **settings: Any,
) -> Encoder | PairedModel:
    """Pre-train a location encoder on any number of modalities, or a model on paired sensors.

    Args:
        tables: Modality to its feature table, to the path of one, or to a mapping that says what to build it from.
            Rows whose split is `train` are trained on (all rows of a table without a split), rows whose split is
            `validation` are validated on, others are not used. For paired sensors, one `Table`, or what
            `geotether.pairing.open.open_paired` opens. None: the tables that the configuration names.
        recipe: Recipe to start from: `default`, `paper`, `melt`, `salt` or `satclip` for location encoders; `mdico`,
            `mosaic`, `single`, `shared`, `fused`, `distilled`, `simclr` or `clip` for paired sensors. None: that of
            the configuration, or `default` (`mdico`).
        config: A configuration from `load_config`, or a YAML file for it.
        out: Folder of the run: `config.yaml`, `metrics.jsonl`, `state/`, `model/` at the end. None writes nothing.
        resume: Continue the unfinished run in `out`, or extend a finished one by more `steps` or `epochs`. An
            extended run equals one of that length from the start if its learning rate is constant (`final_share=1`);
            otherwise the rate follows the longer schedule from the old end on.
        fresh: Start again, whatever is in `out`; its model stays until the new one is complete.
        progress: `auto` (a bar on a terminal, plain lines elsewhere), `bar`, `lines` or `none`.
        callbacks: Objects with `on_step(step, values)`, such as those of `geotether.training.callbacks`.
        keep_state: Keep `state/` after the run (about three times the size of the weights), so that it can be extended.
        card_notes: Markdown for the model card of a location encoder, such as scores or a coverage map.
        raster_context: What rasters show around a place, made by `geotether.context.build.raster_context` of pixels in
            memory; None: made of the files in `context.rasters`, if there are any.
        settings: Anything of the configuration, sections as mappings: `steps=200`, `seed=1`,
            `objective={"reading": "all_pairs"}`.

    Returns:
        An `Encoder`, with the metrics in `history`; of paired sensors a `PairedModel`.

    Raises:
        TypeError: If `tables` is of another kind, or `settings` are given beside a finished configuration.
        ValueError: If a setting is unknown or out of range, tables and configuration do not fit, or the state belongs
            to another run.
        FinishedRunError: If `out` contains this run, finished, and `fresh` is not set; a FileExistsError.
        FileExistsError: If `out` contains an unfinished or another finished run, without `resume` or `fresh`.
        BlockingIOError: If another process writes to `out`; it is named.
        RunInterrupted: After Ctrl-C, once the state is saved.
        FloatingPointError: If the loss is not finite.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> lonlat = np.stack([rng.uniform(-180, 180, 50), rng.uniform(-60, 60, 50)], axis=1)
        >>> rain = Table.single("rain", lonlat, np.cos(np.radians(lonlat)).astype(np.float32))
        >>> encoder = pretrain({"rain": rain}, steps=3, batch_size=16, validate_every=None, progress="none")
        >>> encoder.encode(lon=5.66, lat=51.97).shape[0], [line["step"] for line in encoder.history]
        (1, [0, 1, 2])
    """
    if isinstance(config, LoopConfig) and (settings or recipe):
        raise TypeError(
            f"{', '.join([*settings, *(['recipe'] if recipe else [])])}: give settings to load_config, or pass "
            "recipe and settings without config."
        )
    if tables is not None and not isinstance(tables, Mapping | Table | str | Path):
        raise TypeError(
            f"tables is a {type(tables).__name__}; give a mapping of names to tables, such as {{'rain': table}}."
        )
    if not isinstance(config, LoopConfig):
        if recipe is None and config is None and isinstance(tables, Table | str | Path):
            recipe = "mdico"
        config = load_config(config, [settings] if settings else [], recipe)
    if isinstance(config, PairedConfig) and raster_context is not None:
        raise TypeError(f"the recipe {config.recipe} trains paired sensors, which take no raster_context.")

    def make() -> Any:
        if isinstance(config, RunConfig):
            return location_method(tables, config, card_notes, raster_context)
        assert isinstance(config, PairedConfig)
        return _paired_method(tables, config)

    with joined() as processes, ExitStack() as owned:
        if out is not None:  # before tables are built, which takes long
            processes.from_first(lambda: owned.enter_context(writing(out, folder=True)))
        method = processes.in_turn(make)
        return train(
            method, out, resume=resume, fresh=fresh, progress=progress, callbacks=callbacks, keep_state=keep_state
        )


def location_method(
    tables: Any, config: RunConfig, card_notes: str = "", raster_context: LocalContext | None = None
) -> LocationMethod:
    """Open the tables of a location encoder, those given or else those of the configuration, and make its method."""
    if tables is not None and not isinstance(tables, Mapping):
        raise TypeError(
            f"{config.recipe} trains a location encoder; give a mapping of names to tables, such as {{'rain': table}}."
        )
    given = dict(tables or {})
    ready = {name: one for name, one in given.items() if isinstance(one, Table)}
    named = {
        name: Path.cwd() / Path(one).expanduser() if isinstance(one, str | Path) and not is_address(one) else one
        for name, one in given.items()
        if name not in ready
    }
    config = config.model_copy(update={"tables": config.tables | named})
    wanted = named if given else config.tables
    opened = ready | open_tables(config.model_copy(update={"tables": wanted}))
    ordered = {name: opened[name] for name in given or opened}
    if config.schedule.name == "pairwise" and config.schedule.modality is None and len(ordered) == 1:
        schedule = config.schedule.model_copy(update={"modality": next(iter(ordered))})
        config = config.model_copy(update={"schedule": schedule})
    if config.adapt is not None:
        return AdaptMethod(config, ordered, card_notes, raster_context)
    return LocationMethod(config, ordered, card_notes, raster_context)


def _paired_method(samples: Any, config: PairedConfig) -> PairedMethod:
    """Open the samples of paired sensors: those given, otherwise those of the configuration."""
    samples = config.paired if samples is None else samples
    if samples is None:
        raise ValueError("the configuration does not say where the samples are: give `paired:`, a .npz or a mapping.")
    if isinstance(samples, Mapping) and len(samples) == 1 and isinstance(next(iter(samples.values())), Table):
        samples = next(iter(samples.values()))
    table = samples if isinstance(samples, Table) else open_paired(samples, config.data)
    return PAIRED_METHODS[config.method](config, table)


logger = logging.getLogger(__name__)


def open_tables(config: RunConfig, workers: int | None = None, progress: str = "auto") -> dict[str, Table]:
    """Open the table of every modality.

    Tables that were built before are used again if neither specification nor data nor code changed; this is
    checked without reading them.

    Args:
        config: Its `tables` name ready tables or say what to build them from.
        workers: Processes to build with; by default as many as are worth it.
        progress: As for `geotether.featurizing.build_table`.

    Returns:
        Modality to its table, in the configuration's order.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a table cannot be read or built; the modality is named.
    """
    tables = {}
    if not isinstance(config, RunConfig):
        raise ValueError(f"The method {config.method} trains on paired sensors, not on feature tables.")
    for name, given in config.tables.items():
        path = given
        try:
            path = given if isinstance(given, str | Path) else _built(config, name, given, workers, progress)
            tables[name] = read_table(path, name=name)
        except (FileNotFoundError, ValueError, TypeError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raw = None if isinstance(given, Mapping) or type(error) is not ValueError else format_of(given, "rows")
            if raw is not None and raw.name != "parquet":
                raise ValueError(
                    f"Modality {name!r}: {path} is a file of rows ({raw.name}), not a feature table. Write "
                    f"{name}: {{path: {path}}}, which builds one first, or run `geotether table build {path} "
                    f"--out {name}.parquet` and name that."
                ) from error
            where = f", {path}" if isinstance(path, str | Path) and str(path) not in str(error) else ""
            raise kind(f"Modality {name!r}{where}: {error}") from error
    return tables


def trained_tables(encoder: Encoder) -> dict[str, Table]:
    """Find the tables that an encoder was trained on.

    They are those of this session, or are read from the files that `config.yaml` beside the model folder names. The
    model folder itself has no paths, so that it can be handed out. Those of the demo planet come with the package.

    Returns:
        Modality to table; those that are gone or have changed are left out.
    """
    if encoder.tables:
        return dict(encoder.tables)
    found: dict[str, Table] = {}
    hashes = {name: facts.get("sha256") for name, facts in encoder.provenance.get("tables", {}).items()}
    if hashes and set(hashes) <= set(PLANET_MODALITIES):
        tables = {name: planet_table(name, encoder.provenance.get("seed") or 0) for name in hashes}
        return {name: table for name, table in tables.items() if table.content_hash == hashes[name]}
    if encoder.folder is None or not (encoder.folder.parent / "config.yaml").is_file():
        return found
    with suppress(ValueError, OSError, TypeError, AttributeError, LookupError):
        layer = read_layer(encoder.folder.parent / "config.yaml")  # not validated: that would import plug-ins
        folders: Any = {key: Path(layer[key]) for key in ("data", "cache") if layer.get(key)}
        config = RunConfig.model_construct(tables=layer["tables"], **folders)
        for name, digest in hashes.items():
            given = layer["tables"].get(name, "")
            path = table_folder(config, name) / f"{name}.parquet" if isinstance(given, dict) else given
            if is_address(path) or Path(path).exists():
                table = read_table(path, name=name)
                found |= {name: table} if table.content_hash == digest else {}
    return found


def training_observations(encoder: Encoder) -> TrainingObservations:
    """Find the training observations of an encoder, as far as `trained_tables` finds its tables."""
    planet = None if encoder.tables else TrainingObservations.of_planet(encoder.provenance.get("tables", {}))
    return planet or TrainingObservations.of_tables(trained_tables(encoder), raw_data(encoder))


def raw_data(encoder: Encoder) -> Path | None:
    """Return the folder of a model's raw data, if `config.yaml` beside the model folder names one."""
    with suppress(ValueError, OSError, TypeError, AttributeError):
        layer = read_layer(encoder.folder.parent / "config.yaml")  # type: ignore[union-attr]
        return Path(layer["data"]) if layer.get("data") else None
    return None


def table_folder(config: RunConfig, name: str) -> Path:
    """Name the folder that a built table is kept in.

    It has a hash of the specification in its name, so that configurations with modalities of the same name do not
    take each other's place.
    """
    return keyed_path("tables", name, [str(config.data), config.tables[name]], config.cache)


def _built(config: RunConfig, name: str, given: dict[str, Any], workers: int | None, progress: str) -> Path:
    # Late, because a run whose tables are ready needs nothing of the job.
    from geotether.featurizing.build import cached_table
    from geotether.featurizing.specification import TableSpec

    spec = TableSpec.of(given, config.data or Path())
    return cached_table(spec, table_folder(config, name), name, workers=workers, progress=progress)
