"""Measure how much of the information of other sensors a sensor can learn at all: an upper bound for co-learning.

    python experiments/colearning_bound.py recipes/paired/worldcereal.yaml --set data=DATA [--folds 5]

For every sensor and fold of whole groups, ridge regression from the sensor's data (its strength chosen on the
validation fold) gives on test rows, as means over folds with 95 % intervals:

* R2 of the other sensors' leading components, and of the predictions (log-probabilities, numbers) of a model of all
  sensors that was trained on the other folds;
* the same within classes: both sides minus the mean of their class. A teacher or a second sensor can help beyond the
  labels only with what remains, and only as far as the sensor can predict it;
* the score of a student of the labels, of one of the teacher's predictions, and of one of both in equal parts.
"""

import argparse
from pathlib import Path

import numpy as np

from geotether.pairing.open import open_paired
from geotether.predict import load_paired
from geotether.probes.scores import paired_scores
from geotether.studies.paired_judge import fold_repeats, plain_features
from geotether.studies.paired_report import t_interval
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain

STRENGTHS = np.logspace(0, 5, 11)
COMPONENTS = 10


def standardised(features, training):
    """Scale columns to mean 0 and standard deviation 1 over training rows; missing values become the mean."""
    seen = np.where(np.isfinite(features), features, np.nan)
    mean, spread = np.nanmean(seen[training], axis=0), np.nanstd(seen[training], axis=0)
    return np.nan_to_num((seen - mean) / np.where(spread > 0, spread, np.inf)).clip(-10, 10)


def explained(truth, predicted, baseline):
    """Return the share of the variance around the baseline that a prediction explains, over all columns."""
    return 1 - np.square(truth - predicted).sum() / np.square(truth - baseline).sum()


def best_ridge(x, y, training, validation):
    """Predict all rows by ridge regression with the strength that is best on validation rows."""
    from sklearn.linear_model import Ridge

    # For goals with one column scikit-learn returns (n,), which would broadcast over all pairs of rows.
    fits = [Ridge(strength).fit(x[training], y[training]).predict(x).reshape(y.shape) for strength in STRENGTHS]
    errors = [np.square(y[validation] - fit[validation]).sum() for fit in fits]
    return fits[int(np.argmin(errors))]


def within(values, classes, training):
    """Subtract each row's class mean in training, or the mean of all if training lacks it; numbers are one class."""
    means = {c: values[training & (classes == c)].mean(0) for c in np.unique(classes[training])}
    return values - np.stack([means.get(c, values[training].mean(0)) for c in classes])


def bound(table, config, folder):
    """Compute the measures of one fold: (sensor, measure) to value."""
    pretrain(table, config=config, out=folder, progress="none")
    teacher = load_paired(folder / "model")
    rows = table.rows(np.flatnonzero(table.target(config.target).known))
    target = rows.target(config.target)
    training, validation, test = (rows.split == part for part in ("train", "validation", "test"))
    answers = teacher.predict_fused({name: rows.modality(name).values for name in teacher.modalities}).scores
    if target.kind == "classes":
        truth, classes = np.eye(len(target.names))[target.values], target.values
        answers = np.log(answers + 1e-3)
    else:
        truth, classes = target.values[:, None], np.zeros(len(rows), dtype=int)
        answers = answers[:, None]
    found = {}
    for name in teacher.modalities:
        x = standardised(plain_features(rows.modality(name)), training)
        others = [other for other in teacher.modalities if other != name]
        seen = np.hstack([standardised(plain_features(rows.modality(other)), training) for other in others])
        axes = np.linalg.svd(seen[training] - seen[training].mean(0), full_matrices=False)[2][:COMPONENTS]
        goals = {"other sensors": standardised(seen @ axes.T, training), "teacher": answers}
        for what, goal in goals.items():
            fit = best_ridge(x, goal, training, validation)
            found[name, f"{what}, R2"] = explained(goal[test], fit[test], goal[training].mean(0))
            if target.kind == "classes":
                left = within(goal, classes, training)
                own = within(x, classes, training)
                fit = best_ridge(own, left, training, validation)
                found[name, f"{what}, R2 within classes"] = explained(left[test], fit[test], 0.0)
        taught = np.exp(answers) if target.kind == "classes" else answers
        for what, goal in {"labels": truth, "teacher": taught, "halves": (truth + taught) / 2}.items():
            fit = best_ridge(x, goal, training, validation)[test]
            scores = paired_scores(target.kind, target.values[test], fit if target.kind == "classes" else fit[:, 0])
            found[name, f"student of {what}"] = next(iter(scores.values()))
    return found


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.set, recipe="fused")
    table = open_paired(config.paired, config.data)
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in fold_repeats(table, arguments.folds):
            one = config.model_copy(update={"seed": repeat.seed})
            for key, value in bound(repeat.table, one, Path(folder) / str(repeat.number)).items():
                found.setdefault(key, []).append(value)
    sensors, measures = (list(dict.fromkeys(part)) for part in zip(*found, strict=True))
    print(f"| {config.target} from | {' | '.join(sensors)} |\n|---|{'---:|' * len(sensors)}")
    for measure in measures:
        print(f"| {measure} | {' | '.join(str(t_interval(found[name, measure])) for name in sensors)} |")


if __name__ == "__main__":
    main()
