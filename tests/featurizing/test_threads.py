"""Mirrors src/geotether/featurizing/threads.py."""

import logging
import subprocess
import sys

import torch
from threadpoolctl import threadpool_info

from geotether.featurizing import threads
from geotether.featurizing.threads import OneThread


def test_all_pools_are_held_and_given_back():
    before = torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]
    torch.set_num_threads(2)
    with OneThread() as one:
        assert one.run(torch.get_num_threads) == 1
        assert one.run(lambda: {pool["num_threads"] for pool in threadpool_info()}) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before[0])


def test_a_pool_that_a_call_brings_is_held_too(monkeypatch):
    pools = {"blas"}
    monkeypatch.setattr(threads, "_pools", lambda: set(pools))
    calls = []

    def call():
        calls.append(set(pools))
        pools.add("late")
        return len(calls)

    with OneThread() as one:
        assert one.run(call) == 2  # what several threads may have computed is not used
        assert one.run(call) == 3


def test_a_small_call_brings_the_pools_once_and_in_silence(monkeypatch, caplog):
    pools, calls = {"blas"}, []
    monkeypatch.setattr(threads, "_pools", lambda: set(pools))

    def small():
        calls.append("small")
        logging.getLogger("geotether").warning("left out")
        pools.add("late")
        raise ValueError("too few rows")

    with OneThread() as one:
        for _ in range(2):
            one.run(lambda: calls.append("call"), small)
    assert calls == ["small", "call", "call"]
    assert caplog.text == ""
    logging.getLogger("geotether").warning("heard again")
    assert "heard again" in caplog.text


def test_torch_imported_by_the_call_itself():
    code = (
        "from geotether.featurizing.threads import OneThread\n"
        "def call():\n    import torch\n    return torch.get_num_threads()\n"
        "with OneThread() as one:\n    held = one.run(call)\nimport torch\nprint(held, torch.get_num_threads())"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["1", "2"]
