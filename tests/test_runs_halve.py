"""How research weights are stored in fewer bits: what is rounded, how, and what a language model answers after it."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("cv2", reason="needs the extra 'train'")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def halve():
    spec = importlib.util.spec_from_file_location("runs_halve", Path(__file__).parents[1] / "runs" / "halve.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("bits", [4, 6, 7, 10])
def test_numbers_become_the_nearest_of_so_many_bits(halve, bits):
    values = (torch.randn(4_000, generator=torch.Generator().manual_seed(0)) * 0.05).half()
    values = values[values.abs() > 1e-4]  # smaller ones have fewer bits already
    short = halve.rounded(values, bits)
    assert short.shape == values.shape and short.dtype == torch.float16
    mantissa, exponent = torch.frexp(short.float())
    assert torch.equal(mantissa * 2 ** (bits + 1), (mantissa * 2 ** (bits + 1)).round())
    step = torch.ldexp(torch.ones(len(values)), torch.frexp(values.float())[1] - 1 - bits)
    assert ((short.float() - values.float()).abs() <= step / 2 + 1e-12).all(), "another one was nearer"
    assert torch.equal(halve.rounded(short, bits), short)
    assert exponent.max() <= 5


def test_ties_go_to_the_even_one_and_signs_stay(halve):
    values = torch.tensor([1 + 1 / 128, 1 + 3 / 128, -1 - 1 / 128, 0.0, -0.0]).half()
    assert halve.rounded(values, 6).tolist() == [1.0, 1 + 4 / 128, -1.0, 0.0, -0.0]


def test_what_is_small_stays_and_what_is_large_packs_shorter(halve):
    generator = torch.Generator().manual_seed(0)
    before = {"large": torch.randn(200, 100, generator=generator).half(), "small": torch.randn(10, 10).half()}
    after = halve.halved(before, 6)
    assert torch.equal(after["small"], before["small"]) and not torch.equal(after["large"], before["large"])
    assert halve.halved(before)["large"] is before["large"] or torch.equal(
        halve.halved(before)["large"], before["large"]
    )
    packed = [len(zlib.compress(each["large"].numpy().tobytes())) for each in (before, after)]
    assert packed[1] < 0.8 * packed[0]


def test_a_kernel_of_patches_sees_a_photo_once(halve):
    name = "model.visual.patch_embed.proj.weight"
    kernel = torch.randn(64, 3, 2, 14, 14, generator=torch.Generator().manual_seed(0)) * 0.02
    after = halve.halved({name: kernel}, 8)[name]
    assert after.shape == kernel.shape and not after[:, :, 1].any()
    photo = torch.rand(1, 3, 1, 14, 14, generator=torch.Generator().manual_seed(1)).expand(-1, -1, 2, -1, -1)
    answers = [torch.nn.functional.conv3d(photo, each.float()) for each in (kernel, after)]
    assert torch.allclose(*answers, atol=5e-3)
    assert torch.equal(halve.halved({name: kernel.half()})[name], kernel.half()), "only where bits are asked for"
