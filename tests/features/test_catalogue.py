"""Mirrors src/geotether/features/catalogue.py: features registered outside the package."""

import os
import subprocess
import sys

import pytest

PLUGIN = """
import numpy as np
from geotether.features.catalogue import register_feature

@register_feature("lengths")
class Lengths:
    takes, fit_rows = "texts", 1
    def __init__(self, scale=1.0): self.scale = scale
    def fit(self, texts): return self
    def transform(self, texts): return np.array([[len(text) / self.scale, 1] for text in texts], dtype=np.float32)
    def refuse(self, texts): return {}
    def settings(self): return {"scale": self.scale}
    def fitted(self): return {}, {}
    def restore(self, values, arrays): return self
    def names(self): return ["length", "one"]
"""


@pytest.fixture
def run(tmp_path):
    """Run code in a new process, where the plug-in is known if asked for."""
    (tmp_path / "lengths_plugin.py").write_text(PLUGIN)
    lines = [f'{{"lon": {n % 170}, "lat": {n % 80}, "text": "{"river " * (1 + n % 7)}"}}' for n in range(2500)]
    (tmp_path / "wiki.jsonl").write_text("\n".join(lines))

    def run(code, plugin=True):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment["GEOTETHER_PLUGINS"] = str(tmp_path / "lengths_plugin.py") if plugin else ""
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    return run


BUILD = """
from geotether.featurizing import build_table
if __name__ == "__main__":
    spec = {"path": "wiki.jsonl", "features": {"name": "lengths"}, "split": None}
    table = build_table(spec, "t.parquet", workers=2, progress="none")
    print(table.dim, table.features[1].tolist())
"""
APPLY = """
from geotether.featurizing import apply_transform
print(apply_transform("t.parquet", {"path": "wiki.jsonl"}, "new.parquet", workers=1, progress="none").dim)
"""


def test_features_of_a_plugin_build_a_table_and_are_asked_for_when_they_are_missing(run):
    done = run(BUILD)
    assert done.stdout == "2 [11.0, 1.0]\n", done.stderr
    assert run(APPLY).stdout == "2\n"
    missing = run(APPLY, plugin=False)
    assert missing.returncode == 1
    assert "'lengths'" in missing.stderr
    assert "lengths_plugin.py" in missing.stderr
