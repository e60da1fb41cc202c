"""Mirrors src/geotether/report/glossary.py."""

from geotether.benchmark.baselines import BASELINES
from geotether.benchmark.probing import PROBES
from geotether.report.glossary import GLOSSARY, words_used
from geotether.tasks.task import METRICS


def test_every_probe_metric_and_baseline_is_explained():
    assert set(PROBES) | set(METRICS.values()) | set(BASELINES) <= set(GLOSSARY)


def test_only_words_that_occur_are_listed():
    used = {"ridge", "blocks-10", "my encoder", "my encoder + Fourier features"}
    assert set(words_used(used)) == {
        "ridge", "blocks split", "+ Fourier features", "labels", "interval", "verdict", "probe"
    }  # fmt: skip
