"""The words of a report, each explained in a sentence or two."""

GLOSSARY = {
    "R2": "Share of the variance of the true values that the predictions explain: 1 is perfect, 0 is as good as always "
    "saying the mean, below 0 is worse than that.",
    "accuracy": "Share of places whose class is predicted right. A class that no labelled place has cannot be "
    "predicted, so its places count as wrong.",
    "labels": "Number of places with a known answer that the probe may learn from. The encoder itself never sees them.",
    "± interval": "Half of the 95 % interval (Student's t) of the mean over seeds. It tells how much the draw of "
    "labels matters; with all available labels drawn, the seeds of a block split agree and it shrinks to nothing.",
    "block split": "Training and test places lie in different spatial blocks, fixed in the data before anything was "
    "trained. This is the honest test: the answer has to be known somewhere else.",
    "random split": "Training and test places are mixed, so that a test place often has a training place next door. "
    "It rewards memory for position and is shown for comparison only.",
    "probe": "A simple model from the frozen numbers of an encoder to the answer. Its strength is chosen inside the "
    "training places, never on test places.",
    "ridge": "Linear probe by least squares with a penalty; classes by one column of 0 and 1 each.",
    "logistic": "Linear probe for classes by softmax with a penalty.",
    "mlp": "Small neural network as a probe. Its scores are never mixed with those of linear probes.",
    "neighbors": "Probe that averages the answers of the training places whose embeddings are most alike.",
    "neighbors_in_space": "Weighted mean, or vote, of the nearest labelled places on the Earth; no encoder at all.",
    "xyz": "Baseline: only the place itself, as a point on the unit sphere.",
    "raw encoding": "Baseline: the positional encoding without its network, so nothing that was learned.",
    "nearest in space": "Baseline: the nearest labelled places answer.",
    "untrained": "Baseline: the same architecture with its initial random weights.",
}


def words_used(words: set[str]) -> dict[str, str]:
    """The entries that a report needs: general ones, and those of the names that occur in it."""
    always = {"labels", "± interval", "probe"}
    renamed = {f"{word} split" if word in ("block", "random") else word for word in words} | always
    return {word: text for word, text in GLOSSARY.items() if word in renamed}
