"""Mirrors src/geotether/featurizing/threads.py."""

import os
import subprocess
import sys

import torch
from threadpoolctl import threadpool_info

from geotether.featurizing.threads import one_thread


def test_all_pools_are_limited_and_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    pools, variable = [pool["num_threads"] for pool in threadpool_info()], os.environ.get("OMP_NUM_THREADS")
    with one_thread():
        assert torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    assert torch.get_num_threads() == 2
    assert [pool["num_threads"] for pool in threadpool_info()] == pools
    assert os.environ.get("OMP_NUM_THREADS") == variable
    torch.set_num_threads(before)


def test_libraries_imported_inside_are_limited_too():
    code = (
        "from geotether.featurizing.threads import one_thread\n"
        "from threadpoolctl import threadpool_info\n"
        "def threads():\n    return {torch.get_num_threads(), *(p['num_threads'] for p in threadpool_info())}\n"
        "with one_thread():\n    import torch, sklearn.cluster\n    print(threads())\n"
        "print(threads())"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["{1}", "{2}"]
