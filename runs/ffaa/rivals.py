"""Rows of Table 2 beside our own: Xception trained as in FFAA's appendix B, and a network of self-blended images.

    python runs/ffaa/rivals.py xception PACK --size 64 --steps 20 --out out/xception
    facewitness train kfd runs/ffaa/sbi-small.toml --pack PACK --init-from IMAGENET --out out/sbi
    python runs/ffaa/rivals.py scores PACK --unseen TABLES --cache out/cases --network xception=out/xception/xception.safetensors
    python runs/ffaa/rivals.py scores PACK --unseen TABLES --cache out/cases --network sbi=out/sbi/sbi.safetensors

"Xception: We trained for 20 epochs on 2 RTX 3090 GPUs using the Adam optimizer, with a learning rate of 1e-3, a batch
size of 112, and a weight decay of 1e-6. Data augmentation included HorizontalFlip." These are the defaults, at the
299 px of Xception; the network is timm's by its name. Where the paper is silent: half of a batch is forged, crops are
those of the other systems here (margin 1.3), and training begins at random weights unless --init-from names a file.
Draw k of step i comes from (seed, i, k) alone; a killed run goes on from its last state.

`scores` writes what a network says of the faces that open_world.py measures, beside that script's cache; open_world.py
adds a row for each file of scores that it finds.
"""  # noqa: E501  (commands are one line each)

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cases
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from facewitness import geometry
from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models import _torchvision  # noqa: F401  (timm imports torchvision)
from facewitness.models.sbi import SBI
from facewitness.train.loop import Loop
from facewitness.train.schedule import Schedule

NAME = "legacy_xception"  # timm's name of Chollet's network
EPOCHS, BATCH, LR, DECAY, SIZE, MARGIN = 20, 112, 1e-3, 1e-6, 299, 1.3


def crop(pixels: np.ndarray, mesh: np.ndarray, size: int) -> np.ndarray:
    """The upright face, RGB uint8 (size, size, 3)."""
    return np.asarray(geometry.crop(pixels, geometry.align(mesh, size, MARGIN), size), np.uint8)


def tensor(crops: Iterable[np.ndarray]) -> Tensor:
    """RGB (B, 3, S, S) in −1..1, as Xception's weights are used to."""
    batch = np.stack(list(crops)).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(batch)).float() / 127.5 - 1


def xception() -> torch.nn.Module:
    """Chollet's network with two classes, at random weights."""
    import timm  # after torchvision was mended

    return timm.create_model(NAME, pretrained=False, num_classes=2)


class Draws(Dataset):
    """Batches of a pack's training faces, half of them forged, each turned over with a chance of one half."""

    def __init__(self, pack: Pack, size: int, batch: int, seed: int):
        self.pack, self.size, self.batch, self.seed = pack, size, batch, seed
        rows = [i for i, row in enumerate(pack.rows) if row["split"] == "train" and pack.landmarks(i) is not None]
        self.rows = {label: [i for i in rows if pack.rows[i]["label"] == label] for label in ("real", "fake")}
        if not all(self.rows.values()):
            raise InputError("xception: expected genuine and forged faces in the pack's split 'train'")

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        crops, labels = [], []
        for k in range(self.batch):
            rng = np.random.default_rng((self.seed, step, k))
            label = ("real", "fake")[k % 2]
            i = int(rng.choice(self.rows[label]))
            mesh = self.pack.landmarks(i)
            assert mesh is not None
            one = crop(self.pack.pixels(i), mesh, self.size)
            crops.append(one[:, ::-1] if rng.random() < 0.5 else one)
            labels.append(k % 2)
        return {"pixels": tensor(crops), "label": torch.tensor(labels)}


def train(given: argparse.Namespace) -> Path:
    """The network after its steps."""
    torch.manual_seed(given.seed)
    network = xception()
    if given.init_from is not None:
        state = {k: v for k, v in load_file(given.init_from).items() if not k.startswith(("fc.", "classifier."))}
        missing = network.load_state_dict(state, strict=False)
        print(f"of {given.init_from}: all but {', '.join(missing.missing_keys)}")
    draws = Draws(Pack(given.pack), given.size, given.batch, given.seed)
    steps = given.steps or EPOCHS * sum(map(len, draws.rows.values())) // given.batch
    about = {"steps": str(steps), "size": str(given.size), "batch": str(given.batch), "seed": str(given.seed)}

    def loss(batch: Any, step: int) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(network(batch["pixels"]), batch["label"])}

    network.train()
    optimizer = torch.optim.Adam(network.parameters(), LR, weight_decay=DECAY)
    loop = Loop(
        given.out, network, optimizer, Schedule(LR, steps, cosine=False), loss,
        seed=str(given.seed), batch_size=given.batch, about=about, save_every=given.save_every, workers=0,
    )  # fmt: skip
    loop.run(draws, loop.resume(), steps)
    file = given.out / "xception.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file, {**about, "name": NAME})
    return file


def said_by(file: Path, kind: str, size: int) -> Any:
    """Crops → forgery scores, by a saved network; and the side of its crops."""
    if kind == "sbi":
        sbi = SBI.load(file)

        def ask(crops: list[np.ndarray]) -> np.ndarray:
            pixels = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()).float()
            return torch.sigmoid(sbi(pixels).logit).numpy()

        return ask, sbi.encoders.size
    network = xception()
    network.load_state_dict(load_file(file))
    network.eval()
    return (lambda crops: network(tensor(crops)).softmax(1)[:, 1].numpy()), size


def scores(given: argparse.Namespace) -> None:
    """What a network says of the faces of open_world.py."""
    kind, _, file = given.network.partition("=")
    if kind not in ("xception", "sbi") or not file:
        raise InputError(f"--network: expected xception=FILE or sbi=FILE, got {given.network!r}")
    ask, size = said_by(Path(file), kind, given.size)
    faces = {
        "val": cases.of_pack(Pack(given.pack), "val", given.count[0]),
        "unseen": cases.of_tables(given.unseen, given.count[1]),
    }
    found = {}
    for (name, seen), count in zip(faces.items(), given.count, strict=True):
        crops = [crop(pixels, mesh, size) for _, pixels, mesh in seen]  # 64 px: 3,000 are 40 MB
        with torch.no_grad():
            said = np.concatenate([ask(crops[k : k + 32]) for k in range(0, len(crops), 32)])
        found[f"{name}-{count}"] = said.astype(np.float64)
        print(f"{kind}: {len(said)} faces of {name}")
    out = io.BytesIO()
    np.savez(out, **found)
    write_whole(given.cache / f"scores-{kind}.npz", out.getvalue())


def main() -> None:
    """Trains or scores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("xception", "scores"))
    parser.add_argument("pack", type=Path)
    parser.add_argument("--size", type=int, default=SIZE, help="side of Xception's crops, pixels")
    parser.add_argument("--steps", type=int, help="of training; by default 20 epochs")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--save-every", type=int, default=5, help="steps between two states")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init-from", type=Path, help="weights of the same network, such as ImageNet's")
    parser.add_argument("--out", type=Path, help="folder of the run")
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--count", type=int, nargs=2, default=cases.COUNT[1:], help="as open_world.py has them")
    parser.add_argument("--cache", type=Path, help="the folder of cases.py's --out")
    parser.add_argument("--network", help="xception=FILE or sbi=FILE")
    given = parser.parse_args()
    needed = ("out",) if given.what == "xception" else ("unseen", "cache", "network")
    if lacking := [name for name in needed if getattr(given, name) is None]:
        parser.error(f"{given.what}: expected --{' and --'.join(lacking)}")
    if given.what == "xception":
        print(train(given))
    else:
        scores(given)


if __name__ == "__main__":
    script(main)
