"""Grad-CAM on networks small enough to work it out by hand, and its heat on a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from torch import nn  # noqa: E402

from facewitness.errors import InputError  # noqa: E402
from facewitness.formats import overlay  # noqa: E402
from facewitness.models.gradcam import heatmap  # noqa: E402
from facewitness.types import Clip, Face, Frame, Mask, Medium, PersonReport, Report, Track, Verdict  # noqa: E402


class TwoMaps(nn.Module):
    """Two maps of the picture, A¹ = red and A² = green, and two classes: y₀ = 6 Σ A¹ − 2 Σ A², y₁ = −y₀."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.maps.weight.data = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).view(2, 3, 1, 1)
        self.full = nn.Linear(2, 2, bias=False)
        self.full.weight.data = torch.tensor([[6.0, -2.0], [-6.0, 2.0]])
        self.dropout = nn.Dropout(0.5)

    def forward(self, pixels):
        return self.full(self.dropout(self.maps(pixels)).sum((2, 3)))


def picture():
    pixels = torch.zeros(1, 3, 2, 2)
    pixels[0, 0] = torch.tensor([[1.0, 2.0], [0.0, 1.0]])  # red
    pixels[0, 1] = torch.tensor([[0.0, 3.0], [4.0, 4.0]])  # green
    return pixels


def test_equations_1_and_2_by_hand():
    # ∂y₀/∂A¹ is 6 at each of the Z = 4 places and ∂y₀/∂A² is −2, so α = (6, −2):
    # 6 A¹ − 2 A² = [[6, 12 − 6], [−8, 6 − 8]] = [[6, 6], [−8, −2]] → ReLU → [[6, 6], [0, 0]] → by its peak
    network = TwoMaps()
    heat = heatmap(network, network.maps, picture(), 0)
    assert heat.dtype == np.float32 and heat.tolist() == [[1, 1], [0, 0]]
    # for the other class α = (−6, 2): [[−6, −6], [8, 2]]
    assert heatmap(network, network.maps, picture(), 1).tolist() == [[0, 0], [1, 0.25]]


def test_a_target_is_a_class_or_a_function():
    network = TwoMaps()
    by_function = heatmap(network, network.maps, picture(), lambda output: output[0, 1])
    assert np.array_equal(by_function, heatmap(network, network.maps, picture(), 1))


def test_nothing_in_favour_is_no_heat():
    network, red = TwoMaps(), picture()
    red[0, 1] = 0
    assert heatmap(network, network.maps, red, 1).max() == 0
    assert heatmap(network, network.maps, torch.zeros(1, 3, 2, 2), 0).max() == 0


def test_a_coarse_layer_is_enlarged_to_the_picture_and_the_network_left_as_it_was():
    network = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 4, 2))
    network.train()
    torch.manual_seed(0)
    heat = heatmap(network, network[1], torch.rand(1, 3, 6, 8), 0)
    assert heat.shape == (6, 8) and heat.min() >= 0 and heat.max() <= 1
    assert network.training and not network[1]._forward_hooks
    assert all(p.grad is None for p in network.parameters())


def test_a_frozen_network_can_be_looked_into_and_so_can_one_in_inference_mode():
    network = TwoMaps().requires_grad_(False)
    assert heatmap(network, network.maps, picture(), 0).tolist() == [[1, 1], [0, 0]]
    with torch.inference_mode():
        assert heatmap(network, network.maps, picture(), 0).tolist() == [[1, 1], [0, 0]]


class Tokens(nn.Module):
    """The same maps as a transformer has them: a class token, then one token a place."""

    def __init__(self, first: bool):
        super().__init__()
        self.first, self.embed, self.inner = first, nn.Identity(), TwoMaps()

    def forward(self, pixels):
        tokens = self.inner.maps(pixels).flatten(2).transpose(1, 2)
        if self.first:
            tokens = torch.cat([torch.full_like(tokens[:, :1], 9.0), tokens], dim=1)
        tokens = self.embed(tokens)
        return self.inner.full(tokens[:, 1 if self.first else 0 :].sum(1))


@pytest.mark.parametrize("first", [True, False])
def test_tokens_stand_on_their_grid_without_the_class_token(first):
    network = Tokens(first)
    assert heatmap(network, network.embed, picture(), 0).tolist() == [[1, 1], [0, 0]]


def test_what_does_not_fit_is_refused_with_a_sentence():
    network, other = TwoMaps(), nn.Conv2d(3, 2, 1)
    with pytest.raises(InputError, match="never called"):
        heatmap(network, other, picture(), 0)
    with pytest.raises(InputError, match="one picture"):
        heatmap(network, network.maps, torch.zeros(2, 3, 2, 2), 0)
    with pytest.raises(InputError, match="class 2"):
        heatmap(network, network.maps, picture(), 2)
    with pytest.raises(InputError, match="one number"):
        heatmap(network, network.maps, picture(), lambda output: output)
    with pytest.raises(InputError, match="does not depend"):
        heatmap(network, network.maps, picture(), lambda output: torch.ones(1))
    with pytest.raises(InputError, match="got \\(1, 2\\)"):
        heatmap(network, network.full, picture(), 0)


def test_overlay_draws_the_heat_where_it_is():
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[0, 0, :32, :32] = 255.0  # red, above and to the left
    network = TwoMaps()
    heat = heatmap(network, network.maps, pixels, 0)
    assert heat[10, 10] == 1 and heat[50, 50] == 0
    frame = Frame(np.full((64, 64, 3), 90, np.uint8))
    box = (0.0, 0.0, 64.0, 64.0)
    track = Track(0, (Face(frame.at, box),))
    person = PersonReport(track, Verdict("fake", 0.9, (0.8, 0.95)), mask=Mask(box, heat))
    report = Report("painted", "ok", None, Medium(64, 64), verdict=person.verdict, people=(person,))
    clip = Clip("painted", (frame,))
    with Image.open(io.BytesIO(overlay.render(report, clip))) as image:
        drawn = np.asarray(image.convert("RGB")).astype(int)[:64]
    change = np.abs(drawn - 90).max(2)
    assert change[16:28, 16:28].min() > 40 and change[40:56, 40:56].max() == 0
