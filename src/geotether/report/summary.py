"""Summary of scores in sentences that claim no more than the paired intervals allow, and the glossary of a report."""

from collections.abc import Mapping, Sequence

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import best_of
from geotether.benchmark.verdict import difference, in_words


def split_in_words(split: str) -> str:
    """Describe a split.

    Example:
        >>> split_in_words("blocks-10")
        'unseen blocks of 10 degrees'
    """
    if split.startswith("blocks-"):
        side = split.removeprefix("blocks-")
        return f"unseen blocks of {side.replace('km', ' km') if side.endswith('km') else side + ' degrees'}"
    return {"own": "the task's own split", "random": "a random split", "continents": "unseen continents"}[split]


def plain_words(
    grid: Mapping[tuple[str, str], Sequence[Outcome]], baselines: Sequence[str], split: str, labels: int
) -> list[str]:
    """Compare the best encoder with the best baseline on every task.

    Args:
        grid: Outcomes by (encoder, "task, metric") of one probe, split and label count.
        baselines: Encoders that are baselines; without any, or with nothing else, only the best encoder is named.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        Sentences, a general one first.
    """
    scores = {key: score(found) for key, found in grid.items()}
    encoders, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    judged = [e for e in encoders if e not in baselines]
    sentences, wins = [], 0
    for task in tasks:
        name, metric = task.rsplit(", ", 1)
        ours = best_of(scores, judged, task)
        theirs = best_of(scores, [e for e in encoders if e in baselines], task)
        if ours is None or theirs is None:
            one = ours or theirs
            best = f"the best is {one} with {metric} {scores[one, task]}" if one else f"no {metric} is defined"
            sentences.append(f"{name}: {best}.")
            continue
        found = difference(grid[ours, task], grid[theirs, task])
        wins += found.low > 0
        sentences.append(
            f"{name}: {ours} reaches {metric} {scores[ours, task]}; the best baseline, {theirs}, "
            f"{scores[theirs, task]}: {in_words(ours, theirs, found)}."
        )
    if judged and any(e in baselines for e in encoders):
        subject = judged[0] if len(judged) == 1 else "the best of the encoders"
        of = "the task" if len(tasks) == 1 else f"{wins} of {len(tasks)} tasks"
        clear = f"{subject} is clearly better than every baseline on {of}"
        if len(tasks) == 1 and not wins:
            clear = f"{subject} is not clearly better than every baseline"
        sentences.insert(0, f"With {labels:,} labels, evaluated on {split_in_words(split)}, {clear}.")
    return sentences


GLOSSARY = {
    "R2": "Share of the variance of the true values that the predictions explain: 1 is perfect, 0 is as good as "
    "the mean, below 0 is worse than the mean.",
    "accuracy": "Share of places whose class is predicted correctly. A class without labelled places cannot be "
    "predicted, so its places count as wrong.",
    "labels": "Number of labelled places that the probe is fitted on. The encoder itself never sees labels.",
    "interval": "95 % interval of the mean over seeds, by bootstrap over spatial blocks: how the score would vary on "
    "another sample of the Earth's regions. If all seeds use the same test places, seeds are resampled too, which "
    "includes the variation by the draw of labels.",
    "verdict": "Difference of two encoders on the same rows and the same draws of blocks. Better: the 95 % interval of "
    "the difference excludes zero. A point is 0.01 of the score. Verdicts are not corrected for their number.",
    "blocks split": "Equal-area blocks (10 degrees are 1112 km, everywhere) are assigned to five folds, each held out "
    "once; training places close to a test place are dropped. This measures prediction in unseen regions.",
    "own split": "The task's own division into training and test places, as its file gives it.",
    "continents split": "Each continent is held out in turn: the hardest test.",
    "random split": "Training and test places are mixed, so a test place often has a training place nearby. This "
    "rewards memorised positions and is shown for comparison only.",
    "probe": "A simple model that predicts labels from frozen embeddings. Its settings are chosen inside the "
    "training places, never on test places.",
    "ridge": "Linear probe by least squares with a penalty; one column of 0 and 1 per class.",
    "logistic": "Linear probe for classes by softmax with a penalty.",
    "mlp": "Small neural network as a probe. Its scores are never mixed with those of linear probes.",
    "neighbors": "Probe that averages the labels of the training places with the most similar embeddings.",
    "neighbors_in_space": "Mean, or majority, of the nearest labelled places on the Earth, without an encoder.",
    "inverse_distance": "The same, each weighted by a power of its inverse distance; number and power are chosen.",
    "xyz": "Baseline: the position as a point on the unit sphere.",
    "micro F1": "Harmonic mean of precision and recall over all labels of all places together.",
    "mean": "Baseline: always the mean of the training labels, or their most frequent class.",
    "raw harmonics": "Baseline: spherical harmonics up to degree 19.",
    "raw Fourier features": "Baseline: 512 random Fourier features of the place at four scales.",
    "inverse distance": "Baseline: mean of labelled places, weighted by their inverse distance.",
    "+ Fourier features": "The embedding together with raw Fourier features. If it is not better than raw Fourier "
    "features alone, pre-training added nothing to position; if it is better than the encoder alone, the encoder "
    "lacks detail of position.",
    "raw encoding": "Baseline: the positional encoding without its network, so without anything learned.",
    "nearest in space": "Baseline: mean, or majority, of the nearest labelled places.",
    "context alone": "Baseline: the local context that the encoder reads, without position and network.",
    "untrained": "Baseline: the same architecture and local context with its initial random weights.",
}


def words_used(words: set[str], own_split: str = "") -> dict[str, str]:
    """Return the entries that a report needs: general ones, and those of names that occur in it.

    `own_split`, if given, takes the place of the entry about the tasks' own split.
    """
    splits = {f"{word.split('-')[0]} split" for word in words if f"{word.split('-')[0]} split" in GLOSSARY}
    joined = {"+ Fourier features" for word in words if word.endswith("+ Fourier features")}
    needed = words | splits | joined | {"labels", "interval", "verdict", "probe"}
    glossary = GLOSSARY | ({"own split": own_split} if own_split else {})
    return {word: text for word, text in glossary.items() if word in needed}
