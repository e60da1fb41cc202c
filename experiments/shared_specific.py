"""Measure whether contrast with the place discards modality-specific information, on held-out rows of the demo planet.

    python experiments/shared_specific.py [--specific 32] [--seeds 3]

Only the shared part is contrasted with the location encoder. The script reports how much of each modality's features
(variance of their 64 leading components) can be predicted linearly from the shared part, the specific part and both,
on validation blocks, and the same for untrained heads.
"""

import argparse

import numpy as np
import torch
from sklearn.linear_model import Ridge

from geotether.encoders.model import TiedModel
from geotether.tables.featurize import planet_tables
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.pretraining import pretrain


def parts_of(model, name, features):
    """Return the shared part, the specific part and both, as arrays."""
    rows = torch.tensor(np.asarray(features))
    with torch.no_grad():
        shared = torch.nn.functional.normalize(model.encode_modality(name, rows), dim=1).numpy()
        specific = model.specific.specific(name, rows).numpy()
    return {"shared": shared, "specific": specific, "both": np.concatenate([shared, specific], axis=1)}


def explained(train, test, target_train, target_test):
    """Return the share of the variance that ridge regression explains on test rows."""
    scale = train.std(0) + 1e-9
    fitted = Ridge(alpha=10.0).fit((train - train.mean(0)) / scale, target_train)
    left = np.square(target_test - fitted.predict((test - train.mean(0)) / scale)).sum()
    return 1 - left / np.square(target_test - target_train.mean(0)).sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specific", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tables = planet_tables()
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(arguments.seeds):
        settings = [f"objective.specific_dim={arguments.specific}", f"seed={seed}", "validate_every=null"]
        config = load_config(overrides=settings)
        encoder = pretrain(tables, config=config, progress="none")
        trained = TiedModel(encoder.module, encoder.heads, specific=encoder.specific).eval()
        untrained = LocationMethod(config, tables).build(torch.device("cpu")).eval()
        for name, table in tables.items():
            train, test = table.part("train"), table.part("validation")
            rows = [torch.tensor(np.asarray(part.features)) for part in (train, test)]
            targets = [trained.specific.targets(name, part).numpy() for part in rows]
            for state, model in (("trained", trained), ("untrained", untrained)):
                one, other = parts_of(model, name, train.features), parts_of(model, name, test.features)
                for part in one:
                    value = explained(one[part], other[part], *targets)
                    found.setdefault((name, f"{state}, {part}"), []).append(value)
    kinds = list(dict.fromkeys(kind for _, kind in found))
    print(f"| modality | {' | '.join(kinds)} |\n|---|{'---:|' * len(kinds)}")
    for name in tables:
        cells = [f"{np.mean(found[name, kind]):.3f} ± {np.std(found[name, kind], ddof=1):.3f}" for kind in kinds]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
