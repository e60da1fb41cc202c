"""Make the model folder that comes with the package from a finished run of recipes/world.yaml.

    geotether pretrain recipes/world.yaml --set data=DATA --out runs/world
    python experiments/ship_world.py --run runs/world --data DATA --judged JUDGED

It checks that the licence of every source is known and can be met, scores the model and its baselines as
experiments/world_model.py does (in JUDGED, where stored scores count), measures its effective resolution and what
its training covered, and writes `src/geotether/models/world`: the location encoder with what searching needs (heads and
fitted features of `SEARCHED`, decoders of all modalities), a card with all of this, and a provenance with the command,
the hashes of the raw files and the seed. The folder may have 25 MB, so weights of the network, heads and decoders are
rounded to 16 bits, and features of texts to 8 bits and the 8,000 groups of letters that weigh most.
`tests/data/golden/world.npz` gets embeddings of seeded places, which the tests compare.

    python experiments/ship_world.py --run runs/world --queries

only adds to that folder what searching needs, measures recall, and rounds its weights.

    python experiments/ship_world.py --tables TABLES

only adds where it was trained, from TABLES/MODALITY.parquet.
"""

import argparse
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from world_model import BESIDE, WORLD, score

from geotether.benchmark.baselines import baseline_encoders
from geotether.benchmark.bootstrap import mean_value
from geotether.benchmark.bootstrap import score as score_of
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import markdown_rows
from geotether.checkpoint.model import ModelParts, load_model, save_model
from geotether.diagnostics import effective_resolution, even_places, nearness, seen_places
from geotether.diagnostics.places import land_places
from geotether.encoder import Encoder
from geotether.features.ngrams import NgramFeatures
from geotether.featurizing.transform import fitted_features, transform_bytes, transform_of_bytes
from geotether.files.disk import replacing_file, size_in_words
from geotether.loading import load_encoder
from geotether.searching import land_candidates, open_index
from geotether.searching.recall import cross_modal_recall, recall_rows
from geotether.settings import read_layer
from geotether.tables.store import read_table
from geotether.tables.table import Table
from geotether.training.card import model_card
from geotether.training.pretraining import trained_tables

ROOT = Path(__file__).parents[1]
NAME = "world"
SHIPPED, GOLDEN = ROOT / "src" / "geotether" / "models" / NAME, ROOT / "tests" / "data" / "golden" / f"{NAME}.npz"
COMMAND = "geotether pretrain recipes/world.yaml --set data=DATA --out runs/world"
MOST_BYTES = 25_000_000
LAND_PLACES, RESOLUTION_PLACES = 20_000, 800
WITHIN_KM = (10.0, 100.0, 500.0)
SHOWN_KM = (10.0, 25.0, 50.0, 100.0, 300.0, 1000.0)
QUARTILES = {"25%": 0.25, "50%": 0.5, "75%": 0.75}
SEARCH, LICENCES = "## Search", "## Licences"
# What searching needs: the modalities that can be asked by, and what is rounded.
SEARCHED = ("satellite", "night_lights", "text", "climate", "birds", "mammals")
LETTER_GROUPS = 8000
ROUNDED, ROUNDING = ("location.network", "heads", "decoders"), 5e-4
# What is compared by the tests: all numbers at the first places, and the mean and spread of each column at all.
GOLDEN_PLACES, GOLDEN_ROWS = 10_000, 200
LICENCE = "Apache-2.0, as the package; the credits in the card stay with the weights"
# Licences whose terms were read, and what each asks of weights that were trained on such data. Others are refused.
TERMS = {
    "public domain": "asks for nothing; the sources are credited nevertheless.",
    "NASA open data": "may be used without restriction; NASA asks to be credited, and endorses nothing made of it.",
    "free use with citation": "asks to cite the publication.",
    "CC BY 3.0": "asks for the same as CC BY 4.0 (https://creativecommons.org/licenses/by/3.0/).",
    "CC BY 4.0": "asks to credit the authors, to name the licence, to say what was changed (the data were reduced to "
    "features, and to smoothed components of rasters, on which the weights were trained), and to add no terms "
    "that hinder others (https://creativecommons.org/licenses/by/4.0/).",
    "ODC-By 1.0": "asks to keep the notice of the database and its licence with what is made from it "
    "(https://opendatacommons.org/licenses/by/1-0/).",
}
SHARE_ALIKE = ("CC BY-SA", "ODbL", "SA 4.0")
LEFT_OUT = """Left out because of share-alike terms: the 280 texts of Wikivoyage (CC BY-SA 4.0) and the airports of
OpenFlights (ODbL 1.0). Whether weights are an adaptation, or a database derived from the data, is not settled; if they
are, they would have to carry these licences, and the package could not pass them on under its own."""
NOT_FOR = """* **People and households**: the vectors describe surroundings, not those who live there; do not decide on
  credit, insurance, aid, policing or migration by them.
* **Detail below {finest:g} km**, the finest scale of the context: neighbouring fields have nearly equal vectors.
* **Change over time**: a place has one vector for all dates. Sources are of different years
  (images and lights of the 2000s and 2010s, climate of 1979 to 2013, texts of all times).
* **The sea and Antarctica**: hardly any source is there, and nothing was evaluated there.
* **Borders and names**: they follow Natural Earth and the sources, and settle nothing that is disputed.
* **Evidence about its own inputs**: scores on elevation, climate, night lights or population partly repeat what the
  sources contain, and are not independent confirmation.
* **Equal quality everywhere**: texts are from regions with projects, ruins or landslides, stations and species from
  where people count them. Evaluate on held-out blocks of your own region before use:
  `geotether evaluate world --points FILE --label COLUMN`."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments = parsed()
    if arguments.tables is not None:
        print(f"{arguments.out}: {size_in_words(add_places(arguments.out, arguments.tables))}")
        return
    if arguments.queries:
        add_queries(arguments.run / "model", arguments.out)
        return
    encoder = Encoder.load(arguments.run / "model")
    credits(encoder.provenance)
    tables = trained_tables(encoder)
    if missing := sorted(set(encoder.provenance["tables"]) - set(tables)):
        raise SystemExit(f"The tables {', '.join(missing)} of {arguments.run} are gone or have changed.")
    notes, facts = measured(encoder, tables, arguments.data, arguments.judged)
    facts |= {"command": arguments.command, "files": hashes(read_layer(WORLD), arguments.data)}
    size = write(load_model(arguments.run / "model"), arguments.out, notes, facts, tables)
    shipped = Encoder.load(arguments.out)
    places = golden_places()
    np.testing.assert_allclose(shipped.encode(places), encoder.encode(places), rtol=0, atol=ROUNDING)
    write_golden(shipped, arguments.golden)
    print(f"{arguments.out}: {size_in_words(size)}; {facts['scores']['line']}")


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of the finished run")
    parser.add_argument("--data", type=Path, help="folder with pretrain/ and downstream/")
    parser.add_argument("--judged", type=Path, help="folder of stored scores")
    parser.add_argument("--queries", action="store_true", help="with --run: only add what searching needs")
    parser.add_argument("--tables", type=Path, help="folder of its tables: only add where the model was trained")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="model folder to write")
    parser.add_argument("--golden", type=Path, default=GOLDEN, help="file of embeddings to write")
    parser.add_argument("--command", default=COMMAND, help="what trained the model, for its provenance")
    arguments = parser.parse_args(given)
    needed = [arguments.run] if arguments.queries else [arguments.run, arguments.data, arguments.judged]
    if arguments.tables is None and None in needed:
        parser.error("give --run, --data and --judged, or --run and --queries, or --tables")
    return arguments


def origins(provenance: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the origin of every table, raster and polygon file that a model was made of; {} where it is not stated."""
    context = provenance.get("context") or {}
    found = {name: facts.get("origin") or {} for name, facts in provenance["tables"].items()}
    files = {**context.get("rasters", {}), **({"land polygons": context["land"]} if context.get("land") else {})}
    for name, facts in files.items():
        origin = {"licence": facts.get("licence") or "", "source": facts.get("origin") or ""}
        found[f"{name} (context)"] = origin if any(origin.values()) else {}
    return found


def credits(provenance: Mapping[str, Any]) -> list[str]:
    """Write what the licence of each source asks for.

    Raises:
        ValueError: If a source or its licence is not stated, asks for share-alike, or has terms that are not known.
    """
    by_licence: dict[str, list[str]] = {}
    for name, origin in origins(provenance).items():
        if not (origin.get("licence") and origin.get("source")):
            raise ValueError(f"{name} has no licence or source; state both in the recipe.")
        for licence in map(str.strip, origin["licence"].split(",")):
            if any(mark in licence for mark in SHARE_ALIKE):
                raise ValueError(f"{name} has the licence {licence}, which asks for share-alike; leave it out.")
            if licence not in TERMS:
                raise ValueError(f"{name} has the licence {licence!r}, whose terms are not known; read them first.")
            by_licence.setdefault(licence, []).append(name)
    return [f"* **{one}** {TERMS[one]} Here: {', '.join(names)}." for one, names in by_licence.items()]


def hashes(recipe: Any, data: Path) -> dict[str, str]:
    """Return the SHA-256 of every raw file that a recipe names, by its path relative to the data."""
    found = {}
    for path in sorted(set(texts(recipe))):
        if (data / path).is_file():
            with (data / path).open("rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def texts(layer: Any) -> Iterator[str]:
    """Yield the texts in nested mappings and lists."""
    if isinstance(layer, str):
        yield layer
    for part in layer.values() if isinstance(layer, Mapping) else layer if isinstance(layer, list) else ():
        yield from texts(part)


def measured(
    encoder: Encoder, tables: Mapping[str, Table], data: Path, judged: Path
) -> tuple[list[str], dict[str, Any]]:
    """Measure scores, coverage and resolution; returns the sections of the card, and the facts for the provenance."""
    scores, score_facts = scored(encoder, data, judged)
    coverage, covered = coverage_lines(encoder, tables)
    resolution_lines, resolved = resolution(encoder)
    notes = [
        *["## Scores", "", *scores, ""],
        *["## Coverage", "", *coverage, ""],
        *["## Effective resolution", ""],
        *resolution_lines,
        *["", SEARCH, "", *search_lines(encoder, tables), "", LICENCES, ""],
        f"Weights: {LICENCE}.",
        "The credits are in the tables of modalities and local context above; their licences ask for this:",
        *["", *credits(encoder.provenance), "", LEFT_OUT, ""],
        *["## Not for", "", NOT_FOR.format(finest=finest_km(encoder))],
    ]
    return notes, {"scores": score_facts, "coverage": covered, "resolution_km": resolved}


def finest_km(encoder: Encoder) -> float:
    """Return the finest scale of a model's local context; infinite without any."""
    levels = [] if encoder.module.context is None else encoder.module.context.levels
    return float(min((level["scale_km"] for level in levels), default=np.inf))


def resolution(encoder: Any) -> tuple[list[str], dict[str, int]]:
    """Measure how far apart two places must be for their vectors to differ.

    The difference of two vectors of equal length is sqrt(2 - 2 cos); it is half of that of unrelated places (cosine 0
    of centred vectors) where the cosine is 0.75.
    """
    places = land_places(RESOLUTION_PLACES)
    found = effective_resolution(load_encoder(encoder), places, level=0.75, centered=True)
    km = {name: round(found.quantile_km(share)) for name, share in QUARTILES.items()}
    shown = [(ring, one) for ring, one in zip(found.rings_km, found.similarity, strict=True) if ring in SHOWN_KM]
    lines = [
        f"**{km['50%']:,} km** (quartiles {km['25%']:,} and {km['75%']:,}): the distance at which vectors differ half",
        f"as much as those of unrelated places, the median of {len(places):,} places on land (centred vectors, eight",
        "directions). Places that are closer are told apart, but by less:",
        "",
        "| distance, km | " + " | ".join(f"{ring:,.0f}" for ring, _ in shown) + " |",
        "|---" + "|---:" * len(shown) + "|",
        "| difference | " + " | ".join(f"{np.sqrt(max(1 - one, 0)):.0%}" for _, one in shown) + " |",
    ]
    return lines, km


def scored(encoder: Encoder, data: Path, judged: Path) -> tuple[list[str], dict[str, Any]]:
    """Score the model, its first 64 numbers, all of them, and baselines."""
    widths = {NAME: None, f"{NAME}, 64 numbers": 64, f"{NAME}, all {encoder.full_dim} numbers": "full"}
    encoders: dict[str, object] = {
        name: load_encoder(lambda lon, lat, dim=dim: encoder.encode(lon=lon, lat=lat, dim=dim))
        for name, dim in widths.items()
    }
    encoders |= {name: one for name, one in baseline_encoders(encoder.module).items() if name in BESIDE}
    return score_table(score(encoders, data, judged))


def score_table(scores: Mapping[str, Mapping[str, Sequence[Outcome]]]) -> tuple[list[str], dict[str, Any]]:
    """Write scores with intervals; returns also the scores as plain values, with one line that sums them up."""
    tasks = list(next(iter(scores.values())))
    said = {name: {task: score_of(outcomes) for task, outcomes in by_task.items()} for name, by_task in scores.items()}
    header = ", ".join(f"{task} ({scores[NAME][task][0].metric})" for task in tasks)
    lines = [
        f"Tasks: {header}. Ridge probe, 2,700 labels, 30,000 places on land, of which whole blocks of 10 degrees",
        "are held out (training places at least 50 km from test places), five folds; in brackets 95 % intervals by",
        "bootstrap over blocks. No label was used for pre-training; observations and images of test blocks were.",
        "Settings were chosen on places outside the test blocks of `split_block10`, which the 30,000 include, so",
        "scores are somewhat optimistic. `untrained` has the same context and architecture, and all of its numbers.",
        "",
        "| encoder | " + " | ".join(tasks) + " | mean |",
        "|---" + "|---:" * (len(tasks) + 1) + "|",
    ]
    plain: dict[str, Any] = {}
    for name, by_task in said.items():
        mean = mean_value([one.mean for one in by_task.values()])
        cells = [f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in by_task.values()]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{mean:.3f}"]) + " |")
        plain[name] = {task: [round(v, 4) for v in (one.mean, one.low, one.high)] for task, one in by_task.items()}
    ours = ", ".join(f"{task} {one.mean:.2f}" for task, one in said[NAME].items())
    return lines, {"line": f"{ours} (ridge, 2,700 labels, held-out blocks of 10 degrees)", "encoders": plain}


def coverage_lines(encoder: Encoder, tables: Mapping[str, Table]) -> tuple[list[str], dict[str, Any]]:
    """Write which share of the land is near an observation of each modality, and which share has local context."""
    places = land_places(LAND_PLACES)
    near = nearness(places, {name: seen_places(table) for name, table in tables.items()})
    lines = [
        "Share of the land without Antarctica (20,000 places drawn by area) with a training observation nearby:",
        "",
        "| modality | rows | " + " | ".join(f"within {km:g} km" for km in WITHIN_KM) + " |",
        "|---" + "|---:" * (len(WITHIN_KM) + 1) + "|",
    ]
    facts = {}
    for name, one in near.items():
        shares = one.within(WITHIN_KM)
        lines.append(f"| {name} | {one.rows:,} | " + " | ".join(f"{share:.0%}" for share in shares.values()) + " |")
        facts[name] = {f"{km:g} km": round(share, 4) for km, share in shares.items()}
    if encoder.module.context is not None:
        known = np.mean(list(encoder.coverage(places).context.values()), axis=1)
        facts["context"] = [round(float(share), 4) for share in known]
        lines += [
            "",
            f"Rasters show {known.min():.0%} of it at every scale. The sea, and land that they do not show, have one",
            "common value.",
        ]
    return lines + seen_lines(encoder), facts


def seen_lines(encoder: Encoder) -> list[str]:
    """Write where the model was trained, and from where on it says that it does not know a place."""
    if encoder.seen is None or encoder.seen.threshold is None:
        return []
    return [
        "",
        f"`encoder.coverage(lon=, lat=)` knows the training places as cells of {encoder.seen.cell_km:g} km. It returns",
        "the distance to the nearest one of each modality, the dissimilarity of the embedding to theirs, and whether a",
        f"place is outside of what the model saw: dissimilarity above {encoder.seen.threshold:.3f}, or "
        f"{encoder.seen.threshold_km:,.0f} km from any of them.",
    ]


def add_places(folder: Path, tables: Path) -> int:
    """Add to a model folder where it was trained; returns its size in bytes. Nothing else in it changes but the card.

    Args:
        folder: The model folder.
        tables: Folder with MODALITY.parquet for every modality.

    Raises:
        ValueError: If a table is not the one that the model was trained on, or the folder becomes too large.
    """
    parts = load_model(folder)
    encoder, places = Encoder.of(parts), {}
    before = encoder.encode(golden_places())
    for name, facts in parts.provenance["tables"].items():
        table = read_table(tables / f"{name}.parquet", name=name)
        if table.content_hash != facts["sha256"]:
            raise ValueError(f"{tables / name}.parquet is not the table that {folder} was trained on.")
        places[name] = table.part("train").lonlat
    encoder.learn_coverage(places)
    lines = "\n".join(seen_lines(encoder))
    card = re.sub(r"(?s)common value[.;].*?\n\n(?=## )", lambda _: f"common value.\n{lines}\n\n", parts.card)
    size = save(replace(parts, seen=encoder.seen, card=card), folder)
    np.testing.assert_allclose(Encoder.load(folder).encode(golden_places()), before, rtol=0, atol=ROUNDING)
    return size


def write(
    parts: ModelParts, out: Path, notes: Sequence[str], facts: Mapping[str, Any], tables: Mapping[str, Table]
) -> int:
    """Write the model folder; returns its size in bytes.

    Raises:
        ValueError: If it is larger than `MOST_BYTES`.
    """
    if parts.location is None:
        raise ValueError(f"{parts.folder} has no location encoder.")
    provenance = {**parts.provenance, "name": NAME, "licence": LICENCE, **facts}
    about = {"handout_dim": parts.location.handout_dim}
    card = model_card(parts.config, provenance, about, "\n".join(notes)).replace("path/to/this/folder", NAME)
    card = card.replace("\n\nThe complete record", f"\n- Command: `{provenance['command']}`.\n\nThe complete record")
    return save(replace(with_queries(parts, tables), provenance=provenance, card=card), out)


def add_queries(run: Path, out: Path) -> None:
    """Add to a model folder what searching needs, from the model folder of its run, and round its weights."""
    tables = trained_tables(Encoder.load(run))
    trained, shipped = load_model(run), load_model(out)
    before = Encoder.of(trained).encode(golden_places())
    np.testing.assert_allclose(Encoder.of(shipped).encode(golden_places()), before, rtol=0, atol=ROUNDING)
    full = with_queries(trained, tables)
    kept: dict[str, Any] = {name: getattr(full, name) for name in ("location", "heads", "decoders", "transforms")}
    section = "\n".join([SEARCH, "", *search_lines(Encoder.of(trained), tables), "", LICENCES])
    card = re.sub(rf"({SEARCH}\n.*?)?{LICENCES}", lambda _: section, shipped.card, count=1, flags=re.DOTALL)
    size = save(replace(shipped, **kept, card=card), out)
    change = np.abs(Encoder.load(out).encode(golden_places()) - before).max()
    print(f"{out}: {size_in_words(size)} ({size:,} bytes); numbers changed by at most {change:.2g}")


def search_lines(encoder: Encoder, tables: Mapping[str, Table]) -> list[str]:
    """Measure how far from their place held-out observations lead, and write it."""
    index = open_index(encoder, land_candidates())
    found = [cross_modal_recall(encoder, index, name, tables[name]) for name in SEARCHED if name in tables]
    head, *rows = recall_rows(found)
    return [
        '`geotether search world --near LON LAT`, `--text "..."`, `--image FILE` and `--column NAME=VALUE` find places',
        f"among {index.candidates.said}. Observations of held-out blocks of 500 km lead this far from",
        "their place; `another row's answer` tells what is gained by knowing where observations are made:",
        "",
        *markdown_rows(head[:2], head[2:], rows).splitlines(),
        "",
        "Images: the encoder reads the same mosaics around every place (local context), also of held-out chips; a chip",
        "of other images finds its place less often. Texts are of landslides, aid projects, ruins and countries, most",
        "of them in English; others lead astray. Here the features of texts are rounded, which costs 0.6 points",
        "within 750 km.",
    ]


def with_queries(parts: ModelParts, tables: Mapping[str, Table]) -> ModelParts:
    """Keep the heads and fitted features of `SEARCHED`, and all decoders, of a model."""
    fitted = {name: fitted_features(tables[name]) for name in SEARCHED if name in tables}
    transforms = {name: small_features(content, name) for name, content in fitted.items() if content is not None}
    heads = {name: head for name, head in parts.heads.items() if name in transforms}
    return replace(parts, heads=heads, transforms=transforms, specific=None)


def small_features(content: bytes, name: str) -> bytes:
    """Round fitted features to 8 bits; of those of texts, keep the groups of letters that weigh most."""
    transform = transform_of_bytes(content, name)
    texts = transform.featurizer
    if isinstance(texts, NgramFeatures):
        weight = np.linalg.norm(texts.directions_, axis=0)
        kept = np.sort(np.argsort(-weight, kind="stable")[:LETTER_GROUPS])
        values, arrays = texts.fitted()
        small = {"buckets": arrays["buckets"][kept].astype(np.int32), "rarity": arrays["rarity"][kept]}
        small["directions"] = np.ascontiguousarray(arrays["directions"][:, kept])
        transform = replace(transform, featurizer=NgramFeatures(**texts.settings()).restore(values, small))
    return transform_bytes(transform, bits=8)


def save(parts: ModelParts, out: Path) -> int:
    """Write a model folder with rounded weights; returns its size in bytes.

    Raises:
        ValueError: If it is larger than `MOST_BYTES`.
    """
    save_model(out, parts, rounded=ROUNDED)
    size = sum(file.stat().st_size for file in out.iterdir())
    if size > MOST_BYTES:
        raise ValueError(f"{out} has {size_in_words(size)}, more than {size_in_words(MOST_BYTES)}.")
    return size


def golden_places() -> Float[np.ndarray, "n 2"]:
    """Draw the places that the tests encode: over the whole Earth, with both poles and the antimeridian."""
    corners = np.array([[0.0, 90.0], [0.0, -90.0], [180.0, 0.0], [-180.0, 50.0], [0.0, 0.0]])
    return np.concatenate([corners, even_places(GOLDEN_PLACES - len(corners), seed=14)])


def write_golden(encoder: Encoder, path: Path) -> None:
    """Write embeddings of the first places, and the mean and standard deviation of each column at all of them."""
    vectors = encoder.encode(golden_places())
    kept = {"first": vectors[:GOLDEN_ROWS], "mean": vectors.mean(axis=0, dtype=np.float64)}
    with replacing_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **kept, spread=vectors.std(axis=0, dtype=np.float64))


if __name__ == "__main__":
    main()
