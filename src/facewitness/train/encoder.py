"""Trains the encoder that ForgeryTalker and FiFa share when they are small: the compact network, on masks of edits.

    facewitness train encoder runs/grounding/encoder.toml --pack PACK --init-from COMPACT.safetensors --out RUN

Both systems hold their encoder frozen, as the papers do, and so their masks can be no better than what it tells apart.
The published ones begin with towers that have seen millions of pictures; the small ones begin with the compact
network, which learns here, once for both, where self-made edits are (`train/edits`) and where the face's regions are:

    L = BCE(mask) + dice · Dice(mask of a forged picture) + parsing · BCE(regions)

Its own map is the row of a network that only makes masks, beside which the two systems are measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from facewitness import regions
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models._norm import keep_statistics
from facewitness.models.compact import SHIPPED, Compact, read_weights
from facewitness.models.mask_decoder import bce_loss, dice_loss
from facewitness.train import checkpoint, edits, reports
from facewitness.train.loop import Batch, Loop
from facewitness.train.recipe import above_zero, at_least, digest, known, read_recipe
from facewitness.train.schedule import Schedule, last_step

LOSSES = {"mask": 1.0, "dice": 0.5, "parsing": 0.5}
STRIDE = 4  # pixels that a sample of the network's maps stands for
MIRRORED = [reports.SPOKEN.index(regions.mirrored(name)) for name in reports.SPOKEN]


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Attributes:
        draws: What is drawn.
        steps, batch_size, lr, warmup, weight_decay, ema: Of the run.
        loss_weights: Changes to LOSSES.
        shift: How far a crop is moved, in whole steps of 8 pixels and as a share of its side: a crop between pixels is
            an interpolated one, and interpolation takes away the traces that are looked for.
        tone: How far brightness and contrast are changed, as a share.
        bf16: Forward and backward in bfloat16.
        seed: Of everything drawn.
    """

    draws: edits.Draws
    steps: int
    batch_size: int
    lr: float
    warmup: int = 0
    weight_decay: float = 0.01
    ema: float = 0.995
    loss_weights: dict[str, float] = field(default_factory=dict)
    shift: float = 0.05
    tone: float = 0.12
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        known("loss", self.loss_weights, LOSSES)
        at_least(self, steps=1, batch_size=1, warmup=0, weight_decay=0, shift=0, tone=0)
        above_zero(self, "lr")
        if not 0 <= self.ema < 1:
            raise InputError(f"recipe: expected ema from 0 to below 1, got {self.ema}")

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: As `read_recipe` takes them.

        Raises:
            UnknownName: With the nearest known key, for a key that nothing has.
            InputError: Else.
        """
        return read_recipe(cls, path, changes)


class Seeing(nn.Module):
    """The compact network with a map for every region that reports speak of; only what its maps need is run."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Compact(noise=True)
        self.to_spoken = nn.Conv2d(self.network.to_mask.in_channels, len(reports.SPOKEN), 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (N, 3, S, S) in 0..255 → logits of the mask (N, 1, S/4, S/4) and of the regions (N, K, S/4, S/4).

        Args:
            pixels: RGB (N, 3, S, S) in 0..255.

        Returns:
            Logits of the mask, and of the regions' maps.
        """
        net = self.network
        last = net.decoded(pixels)
        return net.to_mask(last), self.to_spoken(last)


def _varied(
    made: edits.Edits, parsed: NDArray[np.uint8], rows: NDArray[np.intp], recipe: Recipe, seed: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops moved, mirrored and toned anew, with their masks (n, 1, g, g) and regions (n, K, g, g)."""
    size = int(made.pixels.shape[1])
    grid = size // STRIDE
    pixels, masks, maps = [], [], []
    for i in rows.tolist():
        rng = np.random.default_rng([*seed, i])
        limit = int(recipe.shift * size / (2 * STRIDE))
        dx, dy = (rng.integers(-limit, limit + 1, 2) * (2 * STRIDE)).tolist()
        flip = rng.random() < 0.5
        crop, mask = _moved(made.pixels[i], dx, dy, mirrored=True), _moved(
            made.masks[i], dx // edits.GRID, dy // edits.GRID
        )  # fmt: skip
        lying = np.ascontiguousarray(parsed[i].transpose(1, 2, 0))
        there = _moved(lying, dx // STRIDE, dy // STRIDE).transpose(2, 0, 1)
        if flip:
            crop, mask, there = crop[:, ::-1], np.ascontiguousarray(mask[:, ::-1]), there[MIRRORED, :, ::-1]
        gain, offset = 1 + rng.uniform(-recipe.tone, recipe.tone), rng.uniform(-recipe.tone, recipe.tone) * 64
        pixels.append(np.clip((crop.astype(np.float32) - 128) * gain + 128 + offset, 0, 255))
        masks.append(cv2.resize(mask, (grid, grid), interpolation=cv2.INTER_AREA))
        maps.append(there)
    return (
        torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack(masks)).float()[:, None] / 255,
        torch.from_numpy(np.stack(maps)).float() / 255,
    )


def _moved(picture: NDArray[np.uint8], dx: int, dy: int, mirrored: bool = False) -> NDArray[np.uint8]:
    """A picture moved by whole pixels."""
    height, width = picture.shape[:2]
    sides = ((max(dy, 0), max(-dy, 0)), (max(dx, 0), max(-dx, 0)), *[(0, 0)] * (picture.ndim - 2))
    wide = np.pad(picture, sides, mode="reflect" if mirrored else "constant")
    top, left = max(-dy, 0), max(-dx, 0)
    return np.asarray(wide[top : top + height, left : left + width], np.uint8)


def losses(mask: Tensor, maps: Tensor, true: Tensor, regions_: Tensor) -> dict[str, Tensor]:
    """Each loss by name; Dice only of pictures that are forged.

    Args:
        mask: Logits of the whole mask, (N, 1, h, w).
        maps: Logits of the regions' maps, (N, K, h, w).
        true: True masks, in [0, 1], of the same size as `mask`.
        regions_: Outlines of the regions, of the same size as `maps`.

    Returns:
        Name → a scalar.
    """
    forged = true.flatten(1).amax(1) > 0.5
    return {
        "mask": bce_loss(mask, true),
        "dice": dice_loss(mask[forged], true[forged]) if bool(forged.any()) else mask.sum() * 0,
        "parsing": bce_loss(maps, regions_),
    }


@checkpoint.alone
def train(
    recipe: Recipe,
    out: Path,
    *,
    pack: Path,
    init_from: Path,
    draws: Path | None = None,
    save_every: int = 50,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> Path:
    """Runs the recipe; goes on where `out` stopped.

    Args:
        recipe: Of the run.
        out: Folder of the run.
        pack: Of `builders/pack`.
        init_from: The compact network's weights.
        draws: Where the edits are kept; in `out` by default.
        save_every: Steps between two states.
        stop_at_step: Ends it after so many.
        until: When to be done: the rate falls with the clock.

    Returns:
        The averaged weights in the compact network's own names, `encoder.safetensors`.

    Raises:
        InputError: The weights do not fit, or `out` holds a run of another recipe.
    """
    cv2.setNumThreads(0)
    made = edits.drawn(recipe.draws, pack, draws or out / "edits", "train")
    parsed = reports.parsed(made, int(made.pixels.shape[1]) // STRIDE)
    torch.manual_seed(recipe.seed)
    network = Seeing()
    try:
        given = read_weights(init_from)  # of an earlier run of this recipe, the regions' head stands beside
        spoken = {k.removeprefix("to_spoken."): v for k, v in given.items() if k.startswith("to_spoken.")}
        network.network.load_state_dict({k: v for k, v in given.items() if not k.startswith("to_spoken.")})
        if spoken:
            network.to_spoken.load_state_dict(spoken)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"init_from: expected the compact network's weights; '{init_from}' does not fit: {first}. "
                         f"Name {SHIPPED} of the repository.") from error  # fmt: skip
    network = network.to(memory_format=torch.channels_last)
    used = {id(p) for name, p in network.named_parameters()
            if not any(part in name for part in (".to_fake", ".to_kind", ".to_regions", ".to_region_map",
                                                 "conv_head", "backbone.bn2"))}  # fmt: skip
    parameters = [p for p in network.parameters() if id(p) in used]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    weights = {**LOSSES, **recipe.loss_weights}

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        network.train()
        keep_statistics(network)
        pixels, true, maps = _varied(made, parsed, batch["rows"].numpy(), recipe, (recipe.seed, step))
        with torch.autocast("cpu", torch.bfloat16) if recipe.bf16 else nullcontext():
            mask, spoken = network(pixels.to(memory_format=torch.channels_last))
        parts = losses(mask.float(), spoken.float(), true, maps)
        whole = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        return {"loss": whole, **{k: v.detach() for k, v in parts.items()}}

    loop = Loop(
        out, network, optimizer, Schedule(recipe.lr, recipe.steps, recipe.warmup, until=until), loss,
        seed=f"{recipe.seed} encoder", batch_size=recipe.batch_size, ema=recipe.ema,
        about={"recipe": digest(recipe), "init_from": checkpoint.begun_with(init_from)},
        save_every=save_every, workers=0,
    )  # fmt: skip
    done = loop.resume()
    facts = {"recipe": asdict(recipe), "pictures": len(made), "commit": checkpoint.commit(),
             "init_from_sha256": checkpoint.sha256(init_from)}  # fmt: skip
    write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    last = last_step(recipe.steps, stop_at_step, done)
    if done < last:
        loop.run(edits.Rows(len(made), recipe.batch_size, recipe.seed), done, last)
    own = {k.removeprefix("network."): v.contiguous() for k, v in loop.average.items()}
    write_whole(out / "encoder.safetensors", save(own))
    return out / "encoder.safetensors"
