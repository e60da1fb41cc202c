"""The words of a report, each explained in a sentence or two."""

GLOSSARY = {
    "R2": "Share of the variance of the true values that the predictions explain: 1 is perfect, 0 is as good as always "
    "saying the mean, below 0 is worse than that.",
    "accuracy": "Share of places whose class is predicted right. A class that no labelled place has cannot be "
    "predicted, so its places count as wrong.",
    "labels": "Number of places with a known answer that the probe may learn from. The encoder itself never sees them.",
    "interval": "95 % interval of the mean over seeds, by bootstrap over spatial blocks: how the score would vary on "
    "another sample of the Earth's regions. Where all seeds judge the same places, seeds are drawn again too, so that "
    "the luck of the labels is in it.",
    "verdict": "Difference of two encoders on the same rows and the same draws of blocks. Better: the 95 % interval of "
    "the difference leaves zero out. A point is 0.01 of the score. Verdicts are not corrected for their number.",
    "blocks split": "Equal-area blocks (10 degrees are 1112 km, everywhere) are dealt into five folds, each held out "
    "once; training places close to a judged one are dropped. This is the honest test: the answer has to be known "
    "somewhere else.",
    "own split": "The task's own parting into training and test places, as published. On the demo planet: whole "
    "spatial blocks of 1000 km, fixed before anything was trained.",
    "continents split": "Each continent is held out in turn: the hardest test.",
    "random split": "Training and test places are mixed, so that a test place often has a training place next door. "
    "It rewards memory for position and is shown for comparison only.",
    "probe": "A simple model from the frozen numbers of an encoder to the answer. Its strength is chosen inside the "
    "training places, never on test places.",
    "ridge": "Linear probe by least squares with a penalty; classes by one column of 0 and 1 each.",
    "logistic": "Linear probe for classes by softmax with a penalty.",
    "mlp": "Small neural network as a probe. Its scores are never mixed with those of linear probes.",
    "neighbors": "Probe that averages the answers of the training places whose embeddings are most alike.",
    "neighbors_in_space": "Mean, or vote, of the nearest labelled places on the Earth; no encoder at all.",
    "inverse_distance": "The same, each weighted by a power of its inverse distance; number and power are chosen.",
    "xyz": "Baseline: only the place itself, as a point on the unit sphere.",
    "micro F1": "Harmonic mean of precision and recall over all labels of all places together.",
    "mean": "Baseline: always the mean of the training labels, or their most frequent class.",
    "raw harmonics": "Baseline: spherical harmonics up to degree 19.",
    "raw Fourier features": "Baseline: 512 random Fourier features of the place at four scales.",
    "inverse distance": "Baseline: labelled places answer, weighted by their inverse distance.",
    "+ Fourier features": "The encoder's numbers beside raw Fourier features. Not better than raw Fourier features "
    "alone: pre-training added nothing to position. Better than the encoder alone: it misses detail of position.",
    "raw encoding": "Baseline: the positional encoding without its network, so nothing that was learned.",
    "nearest in space": "Baseline: the nearest labelled places answer.",
    "untrained": "Baseline: the same architecture with its initial random weights.",
}


def words_used(words: set[str]) -> dict[str, str]:
    """The entries that a report needs: general ones, and those of the names that occur in it."""
    splits = {f"{word.split('-')[0]} split" for word in words if f"{word.split('-')[0]} split" in GLOSSARY}
    joined = {"+ Fourier features" for word in words if word.endswith("+ Fourier features")}
    needed = words | splits | joined | {"labels", "interval", "verdict", "probe"}
    return {word: text for word, text in GLOSSARY.items() if word in needed}
