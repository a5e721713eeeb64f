"""Genuine pictures as small autoencoders decode them, as one more table of the training pool: `redecoded`.

Whatever a latent diffusion model or a token model draws leaves through the decoder of an autoencoder, so what such a
decoder does to a genuine picture is a forgery that needs no model of pictures (Ricker et al., "AEROBLADE", CVPR 2024).
No such decoder lies inside a package that is at hand, so two small ones are trained here, on genuine pictures of the
pack's split `train` only. Both have a bottleneck at a quarter of the side:

    nearest     4 numbers; enlarged by nearest neighbour and convolution, as in Rombach et al., "High-Resolution Image
                Synthesis with Latent Diffusion Models", CVPR 2022
    transposed  6 numbers rounded to 8 levels (Mentzer et al., "Finite Scalar Quantization", ICLR 2024), as token models
                have it; transposed convolutions, which leave a checkerboard

Each is trained by absolute error, the distance of an ImageNet network's features and, in the second half, a critic of
patches (Isola et al., "Image-to-Image Translation", CVPR 2017), with Adam, for `--minutes`: 500 to 600 steps of eight
crops in ten minutes of a core.

    python runs/compact/autoencoders.py PACK OUT --imagenet mobilenetv2_100.safetensors    # half an hour of a core
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from generators import DOMAINS, SCHEMA, jpeg
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from facewitness.apps.script import script
from facewitness.models.compact import Compact

KINDS = {"nearest": 4, "transposed": 6}  # name -> numbers of the bottleneck at a place
LEVELS = 8  # of the rounded kind
WIDTHS = (16, 48, 96)  # channels at the whole side, a half and a quarter


class Block(nn.Module):
    """A residual block: norm, SiLU, convolution, twice."""

    def __init__(self, width: int, normed: bool) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return nn.GroupNorm(8, width) if normed else nn.Identity()

        def conv() -> nn.Module:
            return nn.Conv2d(width, width, 3, padding=1)

        self.body = nn.Sequential(norm(), nn.SiLU(), conv(), norm(), nn.SiLU(), conv())

    def forward(self, x: Tensor) -> Tensor:
        """Shapes as given."""
        return x + self.body(x)


def enlarging(kind: str, wide: int, narrow: int) -> nn.Module:
    """Twice the side: (N, wide, H, W) to (N, narrow, 2 H, 2 W)."""
    if kind == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(wide, narrow, 3, padding=1))
    return nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1)


class Autoencoder(nn.Module):
    """RGB in [-1, 1], (N, 3, H, W) with sides that are multiples of 4, and back."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        numbers, widths = KINDS[kind], WIDTHS
        self.kind, normed = kind, kind == "nearest"
        down: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1), nn.SiLU()]
        for narrow, wide in pairwise(widths):
            down += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), Block(wide, normed)]
        up: list[nn.Module] = [nn.Conv2d(numbers, widths[-1], 3, padding=1), Block(widths[-1], normed)]
        for wide, narrow in pairwise(widths[::-1]):
            up += [Block(wide, normed), enlarging(kind, wide, narrow)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], numbers, 3, padding=1))
        self.decoder = nn.Sequential(*up, nn.SiLU(), nn.Conv2d(widths[0], 3, 3, padding=1))

    def encode(self, x: Tensor) -> Tensor:
        """(N, numbers, H / 4, W / 4)."""
        latent = self.encoder(x)
        if self.kind != "transposed":
            return latent
        fine = torch.tanh(latent) * (LEVELS - 1) / 2
        return fine + (torch.round(fine + 0.5) - 0.5 - fine).detach()  # straight through the rounding

    def forward(self, x: Tensor) -> Tensor:
        """The picture decoded again."""
        out: Tensor = self.decoder(self.encode(x))
        return out


def critic() -> nn.Module:
    """Scores of patches, (N, 1, H / 8, W / 8)."""
    layers: list[nn.Module] = []
    for narrow, wide in ((3, 32), (32, 64), (64, 96)):
        layers += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(96, 1, 3, padding=1))


class Pictures:
    """Genuine pictures of the pack's split `train`, and random crops of them."""

    def __init__(self, pack: Path) -> None:
        rows = json.loads((pack / "rows.json").read_text())
        self.bytes = np.memmap(pack / "pictures.bin", np.uint8, "r")
        self.rows = {
            domain: [r for r in rows if r["split"] == "train" and r["label"] == "real" and r["source"] == domain]
            for domain in DOMAINS
        }

    def read(self, row: dict[str, Any]) -> np.ndarray:
        """RGB uint8, (H, W, 3)."""
        return cv2.imdecode(self.bytes[row["at"] : row["at"] + row["bytes"]], cv2.IMREAD_COLOR)[..., ::-1]

    def batch(self, rng: np.random.Generator, count: int, side: int) -> Tensor:
        """Crops, (count, 3, side, side) in [-1, 1]."""
        crops, names = [], [d for d in DOMAINS if self.rows[d]]
        shares = np.array([DOMAINS[d] for d in names])
        while len(crops) < count:
            known = self.rows[names[rng.choice(len(names), p=shares / shares.sum())]]
            rgb = self.read(known[rng.integers(len(known))])
            if min(rgb.shape[:2]) < side:
                continue
            y, x = (int(rng.integers(0, n - side + 1)) for n in rgb.shape[:2])
            crops.append(rgb[y : y + side, x : x + side])
        return torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


def perceiver(weights: Path) -> Any:
    """The first three stages of MobileNetV2 with ImageNet's weights, frozen: RGB in [-1, 1] -> maps."""
    net = Compact().eval()
    net.start_from(load_file(weights))
    for parameter in net.parameters():
        parameter.requires_grad_(False)

    def features(x: Tensor) -> list[Tensor]:
        y, maps = net.backbone.bn1(net.backbone.conv_stem(x)), []
        for stage in net.backbone.blocks[:3]:
            y = stage(y)
            maps.append(y)
        return maps

    return features


def trained(kind: str, pictures: Pictures, features: Any, seconds: float, seed: int) -> Autoencoder:
    """An autoencoder of this kind after so many seconds."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net, judge = Autoencoder(kind).to(memory_format=torch.channels_last), critic()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.9))
    other = torch.optim.Adam(judge.parameters(), 4e-4, betas=(0.5, 0.9))
    began, step, shown = time.monotonic(), 0, 0.0
    while (spent := (time.monotonic() - began) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 50) * (1 - 0.9 * spent)
        real = pictures.batch(rng, 8, 128).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            drawn = net(real)
            error = (drawn - real).abs().mean()
            seen = sum((functional.normalize(a) - functional.normalize(b)).square().sum(1).mean()
                       for a, b in zip(features(drawn), features(real), strict=True))  # fmt: skip
            loss = error + seen
            if spent > 0.5:
                loss = loss - 0.05 * judge(drawn).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if spent > 0.45:
            with torch.autocast("cpu", torch.bfloat16):
                margins = functional.relu(1 - judge(real)).mean() + functional.relu(1 + judge(drawn.detach())).mean()
            other.zero_grad()
            margins.backward()
            other.step()
        step += 1
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            print(f"{kind} {step} steps, error {error.item():.4f}, features {seen.item():.4f}", flush=True)
    return net.eval()


def main() -> None:
    """Train both and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", type=Path, help="a pack, for the genuine pictures")
    parser.add_argument("out", type=Path, help="folder of the table")
    parser.add_argument("--imagenet", type=Path, required=True, help="timm's mobilenetv2_100 as safetensors")
    parser.add_argument("--minutes", type=float, default=10, help="of training an autoencoder")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--only-train", action="store_true", help="so that several are trained side by side")
    parser.add_argument("--count", type=int, default=2600, help="pictures that are decoded")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures, features = Pictures(options.pack), perceiver(options.imagenet)
    nets = {}
    for n, kind in enumerate(options.kinds):
        file = options.out / f"{kind}.safetensors"
        if file.exists():  # trained before
            nets[kind] = Autoencoder(kind).eval()
            nets[kind].load_state_dict(load_file(file))
        else:
            nets[kind] = trained(kind, pictures, features, 60 * options.minutes, n)
            save_file({k: v.contiguous() for k, v in nets[kind].state_dict().items()}, file)
    if options.only_train:
        return
    rng, rows, errors = np.random.default_rng(9), [], []
    for domain, share in DOMAINS.items():
        known = pictures.rows[domain]
        for k in rng.permutation(len(known))[: round(share * options.count)]:
            row = known[k]
            rgb = pictures.read(row)
            height, width = (side // 8 * 8 for side in rgb.shape[:2])
            rgb = np.ascontiguousarray(rgb[:height, :width])
            kind = list(nets)[rng.integers(len(nets))]
            with torch.inference_mode():
                scaled = torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32)) / 127.5 - 1
                latent = nets[kind].encode(scaled)
                blur = rng.uniform(0, 0.12) * latent.std()  # what is drawn is not quite what would be encoded
                drawn = nets[kind].decoder(latent + blur * torch.from_numpy(rng.standard_normal(latent.shape)).float())
            anew = ((drawn[0].clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)
            errors.append(float(np.abs(anew.astype(int) - rgb).mean()))
            quality, stem = int(rng.integers(80, 98)), Path(row["file"]).stem
            common = {"source": "redecoded", "group": f"{domain}/{row['group']}", "split": "train"}
            genuine = {"file": f"{domain}-{stem}.jpg", "label": "real", "original": None, "method": "pristine"}
            forged = {"label": "fake", "original": genuine["file"], "method": f"autoencoder-{kind}"}
            rows.append(common | genuine | {"image": jpeg(rgb, quality)})
            rows.append(common | forged | {"file": f"{domain}-{stem}-{kind}.jpg", "image": jpeg(anew, quality)})
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), options.out / "redecoded.parquet")
    print(f"{len(rows)} rows, {np.mean(errors):.1f} grey levels from the genuine pictures in the mean")


if __name__ == "__main__":
    script(main)
