"""Measure what each real modality is worth under the recipe `default`, by `geotether.studies.contribution`.

    python experiments/world_contribution.py --data DATA --tables TABLES --out OUT [--modalities satellite text ...]

The same as `geotether contribution`, on the four tasks of `paper_questions.py`: population density is evaluated on a
logarithm and biomes are classes, which a file of points cannot express. An interrupted run continues.
"""

import argparse
import logging
from pathlib import Path

from paper_questions import world_tasks

from geotether.studies.contribution import measure_contribution
from geotether.tables.store import read_table
from geotether.training.config import load_config

MODALITIES = ["satellite", "text", "night_lights", "climate", "languages"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with downstream/")
    parser.add_argument("--tables", type=Path, required=True, help="from world_tables.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--modalities", nargs="*", default=MODALITIES, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, help="steps of all runs together; by default 300 each")
    parser.add_argument("--equal", choices=["rows", "batch"], default="rows")
    parser.add_argument("--split", default="own", help="own (10-degree blocks of the table), blocks-10, ...")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tables = {name: read_table(arguments.tables / f"{name}.parquet", name=name) for name in arguments.modalities}
    found = measure_contribution(
        load_config(overrides=["validate_every=null"]), tables, world_tasks(arguments.data), arguments.out,
        range(arguments.seeds), arguments.budget, arguments.equal, split=arguments.split,
    )  # fmt: skip
    print(found.page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
