"""How far from its place a text or an image leads, beside chance and an encoder that never saw that modality.

    python experiments/search_recall.py --out runs/search_recall

trains the demo's encoder on the demo planet, and once more without each modality. To these a linear head of the missing
modality is fitted afterwards, with the location encoder frozen: what the other modalities know of the places that the
observations lead to. Trained models in the folder are used again. With `--model MODEL` the recall of a trained model is
measured alone, on the tables that it was trained on; `--tables-of runs/world/model` names another folder of the same
run, for a model without tables such as `world`.

The results are in docs/search.md.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geotether.benchmark.score_table import markdown_rows
from geotether.demo.run import demo_config, demo_context, pretrain_or_resume
from geotether.encoder import Encoder
from geotether.encoders.context import LocalContext
from geotether.encoders.heads import ProjectionHead
from geotether.loading import load
from geotether.objectives.info_nce import info_nce
from geotether.searching.candidates import land_candidates
from geotether.searching.index import Index, open_index
from geotether.searching.recall import CrossModalRecall, cross_modal_recall, recall_rows
from geotether.tables.featurize import planet_tables
from geotether.tables.table import Table
from geotether.training.config import RunConfig
from geotether.training.pretraining import trained_tables

BATCH, STEPS, RATE, TEMPERATURE, WEIGHT_DECAY = 1024, 500, 2e-3, 0.07, 1e-2


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments = parsed()
    if arguments.model is not None:
        asked = load(arguments.model)
        tables = trained_tables(load(arguments.tables_of or arguments.model))
        print(table(recalls(asked, {name: one for name, one in tables.items() if name in asked.heads})))
        return
    found = demo(arguments.out)
    print("\n\n".join(f"{title}\n\n{table(rows)}" for title, rows in found.items()))


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the demo's models")
    parser.add_argument("--model", help="measure this model alone")
    parser.add_argument("--tables-of", help="with the tables of this model's training")
    arguments = parser.parse_args(given)
    if (arguments.out is None) == (arguments.model is None):
        parser.error("give --out or --model")
    return arguments


def demo(out: Path) -> dict[str, list[CrossModalRecall]]:
    """Train the demo's encoder, and once more without each modality, and measure recall."""
    tables, config, context = planet_tables(), demo_config(), demo_context()
    train(config, tables, out / "all", context)
    found = {"Trained on all modalities": recalls(load(out / "all" / "model"), tables)}
    blind = []
    for name, one in tables.items():
        others = {other: table for other, table in tables.items() if other != name}
        train(config, others, out / f"without_{name}", context)
        encoder = load(out / f"without_{name}" / "model")
        encoder.heads = {name: fitted_head(encoder, one)}
        blind += recalls(encoder, {name: one})
    return {**found, "Trained without the modality that asks, its head fitted afterwards": blind}


def train(config: RunConfig, tables: dict[str, Table], out: Path, context: LocalContext) -> None:
    """Train a model, unless it is finished."""
    if not (out / "model" / "config.json").is_file():
        pretrain_or_resume(config, tables, out, context)


def recalls(encoder: Any, tables: dict[str, Table]) -> list[CrossModalRecall]:
    """Measure the recall by every modality."""
    index: Index = open_index(encoder, land_candidates())
    return [cross_modal_recall(encoder, index, name, one) for name, one in tables.items()]


def fitted_head(encoder: Encoder, table: Table, seed: int = 0) -> ProjectionHead:
    """Fit a linear head to a frozen location encoder, by the softmax over places that training uses."""
    rows, generator = table.numbers("train"), torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        chunks = torch.tensor(table.lonlat[rows]).split(4096)
        places = torch.cat([encoder.module(chunk) for chunk in chunks]).clone()
    features = torch.tensor(np.asarray(table.features[rows]))
    torch.manual_seed(seed)
    head = ProjectionHead(table.dim, encoder.module.embed_dim)
    head.fit_standardisation(table.features[rows])
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(rows), (BATCH,), generator=generator)
        loss = info_nce(places[batch], head(features[batch]), 1 / TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return head.eval()


def table(found: Sequence[CrossModalRecall]) -> str:
    """Return the recalls as a Markdown table."""
    head, *rows = recall_rows(found)
    return markdown_rows(head[:2], head[2:], rows)


if __name__ == "__main__":
    main()
