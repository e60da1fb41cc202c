"""Methods on paired sensors compared: each is trained and judged on the same rows, by folds or seeds."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geotether.benchmark.store import Origin, ResultStore
from geotether.code import code_hash
from geotether.files.disk import writing
from geotether.predict import load_paired
from geotether.settings import overlay
from geotether.studies.paired_judge import TUNED, PairedOutcome, Repeat, judge_embedding, judge_linear, judge_model
from geotether.suggestions import closest
from geotether.tables.table import Table
from geotether.training.config import PairedConfig, make_config, over_recipe
from geotether.training.pretraining import pretrain

logger = logging.getLogger(__name__)

OUTCOMES = "outcomes.sqlite"
# The store of an earlier version, whose lines are taken over, and the hash of its code, which gives the same scores.
# Empty the latter when a change of training or judging is meant to change scores.
OLD_OUTCOMES = "outcomes.jsonl"
SAME_SCORES = "71fef8796e647ca431e5e50e822d80e3c98650178af485c6fd7d659a80fe497c"
# The modules whose code decides an outcome.
TRAINING, JUDGING = "training.pretraining", "studies.paired_judge"
LINEAR = "linear"
# Method to its recipe and its changes. The first group learns a target and predicts it; the second learns an embedding,
# which is judged by a linear probe and by fine-tuning; `linear` has no network.
SUPERVISED: dict[str, tuple[str, dict[str, Any]]] = {
    "mdico": ("mdico", {}),
    "mdico without auxiliary": ("mdico", {"colearning": {"auxiliary": 0.0}}),
    "mdico without contrast": ("mdico", {"colearning": {"contrast": 0.0}}),
    "mdico without discrimination": ("mdico", {"colearning": {"discrimination": 0.0}}),
    "mdico without unused part": ("mdico", {"colearning": {"wiring": "no_unused"}}),
    "mdico wired as released": ("mdico", {"colearning": {"wiring": "code"}}),
    "mdico with learned weights": ("mdico", {"colearning": {"weighting": "corrected"}}),
    "shared": ("shared", {}),
    "single": ("single", {}),
    "distilled": ("distilled", {}),
    "fused": ("fused", {}),
}
# Without a label tie, no share of labelled rows may be set.
_UNLABELLED: dict[str, Any] = {"label": 0.0, "labelled_share": None}
# A method named after one tie has no other, whatever weights the configuration gives.
CONTRASTIVE: dict[str, tuple[str, dict[str, Any]]] = {
    "mosaic": ("mosaic", {}),
    "mosaic with location": ("mosaic", {"ties": {"location": 1.0}}),
    "mosaic without view": ("mosaic", {"ties": {"view": 0.0}}),
    "mosaic without sample": ("mosaic", {"ties": {"sample": 0.0}}),
    "mosaic without label": ("mosaic", {"ties": _UNLABELLED}),
    "labels alone": ("mosaic", {"ties": {"view": 0.0, "sample": 0.0, "location": 0.0}}),
    "simclr": ("simclr", {"ties": {**_UNLABELLED, "sample": 0.0, "location": 0.0}}),
    "clip": ("clip", {"ties": {**_UNLABELLED, "view": 0.0, "location": 0.0}}),
}
METHOD_NAMES = (LINEAR, *SUPERVISED, *CONTRASTIVE)
COLEARNING_STUDY = (LINEAR, "single", "distilled", "shared", "mdico", "fused")
# Not every table has places.
TIES_STUDY = (LINEAR, "fused", *(name for name in CONTRASTIVE if name != "mosaic with location"))


@dataclass(frozen=True)
class PairedVariant:
    """A method with its settings.

    Attributes:
        name: Of the method.
        modality: The one sensor it is trained on; None: all.
        changes: Merged over the configuration.
    """

    name: str
    modality: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_contrastive(self) -> bool:
        """Whether the method learns an embedding first."""
        return self.name in CONTRASTIVE

    def configure(self, given: Mapping[str, Any], seed: int, labels: float) -> PairedConfig:
        """Make the configuration of one run.

        Args:
            given: The user's settings, which take precedence over every recipe: a mapping without `recipe` and
                `method`.
            seed: Of the run.
            labels: Share of the training labels.
        """
        recipe = SUPERVISED.get(self.name, CONTRASTIVE.get(self.name, ("fused", {})))[0]
        layer = overlay(over_recipe(recipe, given), self.changes)
        made: PairedConfig = make_config({**layer, "recipe": recipe, "seed": seed, "labels": labels})
        return made


# Fine-tunes all encoders together.
FUSED = PairedVariant("fused")


def paired_variants(names: Sequence[str], table: Table, modalities: Sequence[str]) -> list[PairedVariant]:
    """Find methods by name; `single` and `distilled` become one variant per sensor.

    Args:
        names: Of `METHOD_NAMES`.
        table: With the sensors.
        modalities: The sensors to use.

    Raises:
        ValueError: If a name is unknown or repeated.
    """
    variants = []
    for name in names:
        if name not in METHOD_NAMES:
            known = ", ".join(METHOD_NAMES)
            raise ValueError(f"Unknown method {name!r}.{closest(name, METHOD_NAMES)} Known: {known}.")
        if list(names).count(name) > 1:
            raise ValueError(f"The method {name!r} is named twice.")
        if name in ("single", "distilled"):
            variants += [PairedVariant(name, sensor, {"modality": sensor}) for sensor in modalities]
        else:
            variants.append(PairedVariant(name, None, {**SUPERVISED, **CONTRASTIVE}.get(name, ("", {}))[1]))
    for sensor in modalities:
        table.modality(sensor)
    return variants


def compare_paired(
    given: Mapping[str, Any],
    variants: Sequence[PairedVariant],
    repeats: Sequence[Repeat],
    out: str | Path,
    labels: Sequence[float] = (1.0,),
    fine_tune: bool = True,
) -> list[PairedOutcome]:
    """Train and judge every method on every repeat; results that `out` already has are not computed again.

    Args:
        given: Settings of all methods, plain; see `PairedConfig`. `target` is required, `modalities` optional.
        variants: From `paired_variants`.
        repeats: From `fold_repeats` or `seed_repeats`.
        out: Folder for outcomes and models.
        labels: Shares of the training labels, each in (0, 1].
        fine_tune: Whether embeddings are also judged by fine-tuning.

    Returns:
        All outcomes, including those read back.

    Raises:
        ValueError: If settings and rows do not fit.
        BlockingIOError: If another process writes to the folder.
    """
    out = Path(out)
    outcomes: list[PairedOutcome] = []
    trained: set[Path] = set()
    with writing(out, folder=True), ResultStore(out / OUTCOMES) as store:
        take_over(out / OLD_OUTCOMES, store)
        for repeat in repeats:
            for share in labels:
                for variant in variants:
                    config = variant.configure(given, repeat.seed, share)
                    tuned = FUSED.configure(given, repeat.seed, share) if fine_tune and variant.is_contrastive else None
                    origin = origin_of(config, repeat, tuned)
                    key = origin.key(variant.name, repeat.number)
                    rows = store.get_rows(key) or store.get_rows(earlier_key(variant, config, repeat, tuned))
                    if rows is None:
                        started = time.perf_counter()
                        found = _run(variant, config, repeat, tuned, out / "models", trained)
                        rows = [asdict(one) for one in found]
                        store.put_rows(key, origin, rows)
                        spent = time.perf_counter() - started
                        logger.info("%s: %s in %.0f s", _named(variant, repeat, share), _first(found), spent)
                    outcomes += [PairedOutcome(**row) for row in rows]
    return outcomes


def _run(
    variant: PairedVariant,
    config: PairedConfig,
    repeat: Repeat,
    tuned: PairedConfig | None,
    models: Path,
    trained: set[Path],
) -> list[PairedOutcome]:
    modalities = config.modalities or list(repeat.table.modalities)
    name, share, number = variant.name, config.labels, repeat.number
    if variant.name == LINEAR:
        return judge_linear(name, repeat, config, modalities)
    # A method that uses no label is the same for every share of labels.
    blind = variant.is_contrastive and not config.ties.label
    place = models / f"{name.replace(' ', '_')}-{variant.modality or 'all'}-{number}{'' if blind else f'-{share:g}'}"
    if not (blind and place in trained):
        # A model found here is not reused: the outcomes of finished repeats are stored with the hash of their code.
        pretrain(repeat.table, config=config, out=place, fresh=True, progress="none")
        trained.add(place)
    model = load_paired(place / "model")
    if not variant.is_contrastive:
        return judge_model(name, model, repeat, config)
    found = judge_embedding(name, model, repeat, config, modalities)
    if tuned is not None:
        beside = place.with_name(f"{place.name}-tuned")
        begun = tuned.model_copy(update={"start_from": place / "model"})
        pretrain(repeat.table, config=begun, out=beside, fresh=True, progress="none")
        found += judge_model(name, load_paired(beside / "model"), repeat, tuned, how=TUNED)
    return found


def origin_of(config: PairedConfig, repeat: Repeat, tuned: PairedConfig | None) -> Origin:
    """Return what decides the outcomes of a run: its settings, its rows, and the code that trains and judges."""
    settings, tuning = (json.dumps(one, sort_keys=True) for one in plain_settings(config, tuned))
    digest = hashlib.sha256(settings.encode()).hexdigest()
    return Origin(digest, repeat.table.content_hash, f"{code_hash(TRAINING)} {code_hash(JUDGING)}", tuning)


def plain_settings(*configs: PairedConfig | None) -> list[dict[str, Any] | None]:
    """Return the settings that decide a result; where the rows come from does not."""
    return [None if one is None else one.model_dump(mode="json", exclude={"paired", "data"}) for one in configs]


def earlier_key(variant: PairedVariant, config: PairedConfig, repeat: Repeat, tuned: PairedConfig | None) -> str:
    """Return the key of a result in `OLD_OUTCOMES`."""
    settings, tuning = plain_settings(config, tuned)
    facts = {"method": variant.name, "config": settings, "table": repeat.table.content_hash, "repeat": repeat.number}
    facts |= {"code": SAME_SCORES, "fine_tune": tuning}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def take_over(path: Path, store: ResultStore) -> None:
    """Copy the results of an earlier version's store, which has one line per key, unless the new store has them."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        entries = {entry["key"]: entry["outcomes"] for entry in map(json.loads, lines)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a store of results, or damaged ({error}); delete it or move it away."
        ) from error
    for key, outcomes in entries.items():
        if store.get_rows(key) is None:
            store.put_rows(key, Origin("", "", "", OLD_OUTCOMES), outcomes)


def _named(variant: PairedVariant, repeat: Repeat, share: float) -> str:
    of = f" on {variant.modality}" if variant.modality else ""
    return f"{variant.name}{of}, repeat {repeat.number}" + (f", {share:.0%} of labels" if share < 1 else "")


def _first(found: Sequence[PairedOutcome]) -> str:
    of_first = [one for one in found if one.measure == found[0].measure and one.rows == "all"]
    return ", ".join(f"{one.source} {one.how} {one.value:.3f}" for one in of_first)
