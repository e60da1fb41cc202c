"""Methods on paired sensors, side by side: every one trained and judged on the same rows, folds or seeds."""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geotether.code import code_hash
from geotether.files.disk import replacing_file
from geotether.predict import load_paired
from geotether.studies.paired_judge import TUNED, judge_embedding, judge_linear, judge_model
from geotether.studies.paired_repeats import Repeat
from geotether.studies.paired_standings import PairedOutcome
from geotether.studies.paired_variants import LINEAR, PairedVariant
from geotether.training.paired_config import PairedConfig
from geotether.training.pretraining import pretrain

logger = logging.getLogger(__name__)

OUTCOMES = "outcomes.jsonl"
CODE = "training.pretraining"
FUSED = PairedVariant("fused")  # which fine-tunes all encoders together


def compare_paired(
    given: Mapping[str, Any],
    variants: Sequence[PairedVariant],
    repeats: Sequence[Repeat],
    out: str | Path,
    labels: Sequence[float] = (1.0,),
    fine_tune: bool = True,
) -> list[PairedOutcome]:
    """Train and judge every method on every repeat; what is done already in `out` is not done again.

    Args:
        given: Settings of all methods, plain; see `PairedConfig`. `target` and perhaps `modalities` among them.
        variants: From `paired_variants`.
        repeats: From `fold_repeats` or `seed_repeats`.
        out: Folder for outcomes and models.
        labels: Shares of the training labels, each in (0, 1].
        fine_tune: Whether embeddings are also judged by fine-tuning.

    Returns:
        All outcomes, those read back among them.

    Raises:
        ValueError: If settings and rows do not fit.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    done = _read(out / OUTCOMES)
    outcomes: list[PairedOutcome] = []
    trained: set[Path] = set()
    for repeat in repeats:
        for share in labels:
            for variant in variants:
                config = variant.configure(given, repeat.seed, share)
                tuned = FUSED.configure(given, repeat.seed, share) if fine_tune and variant.is_contrastive else None
                key = _key(variant, config, repeat, tuned)
                if key not in done:
                    started = time.perf_counter()
                    found = _run(variant, config, repeat, tuned, out / "models", trained)
                    done[key] = found
                    _append(out / OUTCOMES, key, found)
                    spent = time.perf_counter() - started
                    logger.info("%s: %s", _named(variant, repeat, share), f"{_first(found)} in {spent:.0f} s")
                outcomes += done[key]
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
    # What looks at no label is the same for every share of labels.
    blind = variant.is_contrastive and not config.ties.label
    place = models / f"{name.replace(' ', '_')}-{variant.modality or 'all'}-{number}{'' if blind else f'-{share:g}'}"
    if not (blind and place in trained):
        # What lies there is of no use: a finished repeat is in the outcomes, and those know the code that made it.
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


def _key(variant: PairedVariant, config: PairedConfig, repeat: Repeat, tuned: PairedConfig | None) -> str:
    settings, tuning = (one and one.model_dump(mode="json", exclude={"paired", "data"}) for one in (config, tuned))
    facts = {
        "method": variant.name,
        "config": settings,
        "table": repeat.table.content_hash,
        "repeat": repeat.number,
        "code": code_hash(CODE),
        "fine_tune": tuning,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> dict[str, list[PairedOutcome]]:
    done: dict[str, list[PairedOutcome]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        entry = json.loads(line)
        done[entry["key"]] = [PairedOutcome(**outcome) for outcome in entry["outcomes"]]
    return done


def _append(path: Path, key: str, found: Sequence[PairedOutcome]) -> None:
    """Write all lines anew, so that a kill leaves whole lines."""
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    with replacing_file(path) as part:
        part.write_text(before + json.dumps({"key": key, "outcomes": [asdict(one) for one in found]}) + "\n", "utf-8")


def _named(variant: PairedVariant, repeat: Repeat, share: float) -> str:
    of = f" on {variant.modality}" if variant.modality else ""
    return f"{variant.name}{of}, repeat {repeat.number}" + (f", {share:.0%} of labels" if share < 1 else "")


def _first(found: Sequence[PairedOutcome]) -> str:
    measure = found[0].measure
    of_first = [one for one in found if one.measure == measure and one.rows == "all"]
    return ", ".join(f"{one.source} {one.how} {one.value:.3f}" for one in of_first)
