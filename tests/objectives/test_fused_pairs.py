"""Mirrors src/geotether/objectives/fused_pairs.py: on a Hopper GPU, or through Triton's interpreter on the CPU."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from geotether.objectives import fused_pairs, pairs
from geotether.objectives.masks import as_pair_mask
from geotether.processes import Processes

GPU = torch.device("cuda")
ON_GPU = torch.cuda.is_available() and fused_pairs.is_available(GPU)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
NEEDS_GPU = pytest.mark.skipif(not ON_GPU, reason="needs a Hopper GPU and Triton")


@pytest.fixture
def device(monkeypatch):
    """The device on which the kernels run here: a GPU, or the CPU with TRITON_INTERPRET=1."""
    if ON_GPU:
        return GPU
    if not INTERPRETED:
        pytest.skip("needs a Hopper GPU, or Triton's interpreter (TRITON_INTERPRET=1)")
    interpreter = pytest.importorskip("triton.runtime.interpreter")

    # For bfloat16, which NumPy does not have, it multiplies the bits as integers, and truncates instead of rounding.
    def widened(factor):
        if factor.dtype.name != "bf16":
            return factor
        return interpreter.TensorHandle((factor.data.astype(np.uint32) << 16).view(np.float32), interpreter.tl.float32)

    def rounded(values, *_):
        return torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)

    builder, product = interpreter.InterpreterBuilder, interpreter.InterpreterBuilder.create_dot
    monkeypatch.setattr(builder, "create_dot", lambda self, a, b, *rest: product(self, widened(a), widened(b), *rest))
    monkeypatch.setattr(interpreter, "_convert_float", rounded)
    return torch.device("cpu")


@pytest.mark.skipif(ON_GPU or INTERPRETED, reason="the cases below run in this process")
def test_through_the_interpreter():
    pytest.importorskip("triton", reason="needs Triton, which is not installed")
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        pytest.skip("Triton's interpreter needs NumPy before 2.4")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "softmax"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def relative(got, want):
    return ((got.double() - want.double()).norm() / want.double().norm()).item()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy, about the interpreter
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # in rows of padding, which are not stored
@pytest.mark.parametrize("both", [True, False], ids=["both", "rows"])
@pytest.mark.parametrize(
    "groups, rows, columns, width, scales",
    [
        (1, 1, 1, 8, (1, 1)),  # less than a tile
        (3, 17, 17, 64, (0, 100)),
        (1, 200, 200, 256, (14.3, 14.3)),
        (3, 130, 200, 12, (100, 100)),  # a width that is not a multiple of 16 bytes
        (1, 300, 128, 200, (5, 5)),  # whole tiles of columns, and a width that is not a power of two
        (2, 150, 200, 16, (-100, -100)),  # equal directions: all logits are near -100, and those of padding would be 0
        (1, 150, 200, 16, (-100, 100)),  # log-sum-exps so different that exp(difference) is infinite
    ],
)
def test_equals_softmax_in_float64(device, groups, rows, columns, width, scales, both):
    generator = torch.Generator().manual_seed(rows)
    anchors, candidates = (
        pairs.unit_rows(torch.randn(groups, count, width, generator=generator) + 20 * (scales[0] < 0)).to(device)
        for count in (rows, columns)
    )
    anchors = torch.linspace(*scales, rows, device=device)[:, None] * anchors
    weights = [torch.randn(groups, count, generator=generator).to(device) for count in (rows, columns)]

    def values_and_gradients(dtype, logsumexps):
        inputs = [part.bfloat16().to(dtype).requires_grad_() for part in (anchors, candidates)]
        values = logsumexps(*inputs)[: 1 + both]
        loss = sum((value * weight).sum() for value, weight in zip(values, weights, strict=False))
        return *values, *torch.autograd.grad(loss, inputs)

    def in_blocks(a, b):
        return pairs._PairLogSumExp.apply(a, b, None, False, 50, True, both)

    def by_torch(a, b):
        logits = a @ b.mT
        return logits.logsumexp(2), logits.logsumexp(1)

    got = values_and_gradients(torch.float32, lambda a, b: fused_pairs.FusedLogSumExp.apply(a, b, both))
    for fused, blocks in zip(got, values_and_gradients(torch.float32, in_blocks), strict=True):
        assert fused.dtype == torch.float32
        assert relative(fused, blocks) < 3e-4
    exact = values_and_gradients(torch.float64, by_torch)
    for value, want in zip(got[:-2], exact[:-2], strict=True):
        torch.testing.assert_close(value.double(), want, rtol=1e-6, atol=1e-5)
    for gradient, want in zip(got[-2:], exact[-2:], strict=True):
        assert relative(gradient, want) < 2**-8  # the weights of candidates are rounded to bfloat16


@NEEDS_GPU
@pytest.mark.parametrize("both", [True, False], ids=["both", "rows"])
def test_a_large_matrix_is_never_in_memory(both):
    generator = torch.Generator(GPU).manual_seed(0)
    inputs = [
        pairs.unit_rows(torch.randn(20000, 64, device=GPU, generator=generator)).requires_grad_() for _ in range(2)
    ]

    def gradients():
        a, b = 20 * inputs[0], inputs[1]
        if both:
            loss = sum(part.mean() for part in pairs.pair_logsumexp_both(a[None], b[None], half=True))
        else:
            loss = pairs.pair_logsumexp(a, b, half=True).mean()
        return torch.autograd.grad(loss, inputs)

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    got = gradients()
    assert torch.cuda.max_memory_allocated() - before < 60e6  # one block of the matrix alone takes 64 MB
    assert all(torch.equal(*both) for both in zip(got, gradients(), strict=True))  # the same sums in the same order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "is_fused", lambda *_: False)
        assert all(relative(*both) < 1e-3 for both in zip(got, gradients(), strict=True))


@pytest.mark.parametrize(
    "changed, fused",
    [
        ({}, True),
        ({"shape": (4, 5000, 5000, 256)}, True),
        ({"shape": (1, 8192, 8192, 256)}, False),
        ({"shape": (1, 10_000, 10_000, 257)}, False),
        ({"device": torch.device("cpu")}, False),
        ({"half": False}, False),
        ({"without_self": True}, False),
        ({"masks": [as_pair_mask(torch.zeros(3, 3, dtype=torch.bool), 3)]}, False),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else None,
)
def test_what_is_fused(monkeypatch, changed, fused):
    monkeypatch.setattr(fused_pairs, "is_available", lambda device: True)
    plain = {"device": GPU, "shape": (1, 8193, 8193, 256), "masks": None, "without_self": False, "half": True}
    assert pairs.is_fused(**(plain | changed)) is fused
    with Processes(0, 2).dividing():
        assert not pairs.is_fused(**(plain | changed))
    monkeypatch.setattr(fused_pairs, "is_available", lambda device: False)
    assert not pairs.is_fused(**(plain | changed))
