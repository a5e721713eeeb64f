"""How often the default finder finds faces, how fast, and how its mesh quality tells covered faces from whole ones.

    python perf/finder.py [--data FOLDER] [--rows 200]

On scikit-image's `astronaut`: processor time of `find` by picture. With the folder of the training tables: for the val
rows of each, the share found, the share without believed landmarks, the deviation of the mesh between the picture and
its mirror image (of the face's width), and the AUC of `quality.mesh` between faces and the same faces with one half
painted over by a piece of another photograph (covered faces that are not found at all are left out, and counted).
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from facewitness.finders import facemesh
from facewitness.regions import mirrored_indices
from facewitness.types import Face, Frame, Pixels

TABLES = ("dfdc", "ffpp_c40", "stylegan2_photos", "celebamask_hq", "utkface")


def photograph(name: str) -> Image.Image:
    """One of scikit-image's photographs."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        sys.exit("perf/finder.py needs photographs that come with scikit-image. Try: pip install scikit-image")
    return Image.open(Path(package.origin).parent / "data" / name).convert("RGB")


def milliseconds(finder: facemesh.FaceMesh, picture: Image.Image, repeats: int = 20) -> tuple[float, float, int]:
    """Least and median processor time of `find`, and the number of faces."""
    frame = Frame(np.asarray(picture))
    count, times = len(finder.find(frame)), []
    for _ in range(repeats):
        start = time.process_time()
        finder.find(frame)
        times.append(1000 * (time.process_time() - start))
    return min(times), float(np.median(times)), count


def val_pictures(table: Path, rows: int) -> Iterator[Pixels]:
    """At most `rows` val pictures of a table, drawn with a fixed seed."""
    import pyarrow.parquet as pq

    columns = pq.read_table(table, columns=["image", "split"])
    chosen = np.flatnonzero(np.array(columns["split"].to_pylist()) == "val")
    for row in np.random.default_rng(0).permutation(chosen)[:rows]:
        yield np.asarray(Image.open(io.BytesIO(columns["image"][int(row)].as_py())).convert("RGB"))


def covered(pixels: Pixels, face: Face, cover: Image.Image) -> Iterator[Pixels]:
    """The picture with its left, right, upper and lower half, through the face's middle, painted over."""
    height, width = pixels.shape[:2]
    x, y = int((face.box[0] + face.box[2]) / 2), int((face.box[1] + face.box[3]) / 2)
    foreign = np.asarray(cover.resize((width, height)))
    for part in np.s_[:, :x], np.s_[:, x:], np.s_[:y], np.s_[y:]:
        copy = pixels.copy()
        copy[part] = foreign[part]
        yield copy


def auc(low: list[float], high: list[float]) -> float:
    """The share of pairs in which the second kind has the higher score; a draw counts half."""
    a, b = np.array(low)[:, None], np.array(high)[None, :]
    return float(((b > a) + 0.5 * (b == a)).mean())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the training tables (Parquet)")
    parser.add_argument("--rows", type=int, default=200, help="val rows of each table (default 200)")
    arguments = parser.parse_args()
    finder, twin = facemesh.load(), mirrored_indices()

    photo, cover = photograph("astronaut.png"), photograph("coffee.png")
    small = Image.new("RGB", (1024, 1024), (96, 110, 104))
    small.paste(photo.resize((230, 230), Image.Resampling.LANCZOS), (600, 300))
    tile = photo.crop((126, 10, 326, 210)).resize((170, 170), Image.Resampling.LANCZOS)
    crowd = Image.new("RGB", (1024, 1024))
    for i in range(30):
        crowd.paste(tile, (i % 6 * 170, i // 6 * 170))
    pictures = {
        "portrait, 1024 px": photo.resize((1024, 1024), Image.Resampling.LANCZOS),
        "the same on its side": photo.resize((1024, 1024)).rotate(90),
        "crop, 224 px": photo.crop((130, 10, 330, 210)).resize((224, 224)),
        "one face of 42 px in 1024 px": small,
        "thirty faces in 1024 px": crowd,
        "no face, 1024 px": cover.resize((1024, 1024)),
    }
    print(f"{'find, processor time in ms':32}{'least':>8}{'median':>8}{'faces':>7}")
    for name, picture in pictures.items():
        least, median, count = milliseconds(finder, picture)
        print(f"{name:32}{least:8.1f}{median:8.1f}{count:7}")

    if arguments.data is None:
        return
    print(f"\n{'val rows of':18}{'rows':>6}{'found':>8}{'no mesh':>9}{'mirror':>8}{'AUC':>7}{'covered':>9}{'found':>7}")
    for table in TABLES:
        deviations: list[float] = []
        whole: list[float] = []
        halves: list[float] = []
        rows = tried = without = 0
        for pixels in val_pictures(arguments.data / f"{table}.parquet", arguments.rows):
            rows += 1
            faces = finder.find(Frame(pixels))
            if not faces:
                continue
            face = faces[0]
            whole.append(face.quality.mesh or 0.0)
            without += face.landmarks is None
            mirrored = finder.find(Frame(np.ascontiguousarray(pixels[:, ::-1])))
            if face.landmarks is not None and mirrored and mirrored[0].landmarks is not None:
                back = mirrored[0].landmarks[twin, :2] * (-1, 1) + (pixels.shape[1], 0)
                width = face.box[2] - face.box[0]
                deviations.append(float(np.hypot(*(back - face.landmarks[:, :2]).T).mean()) / width)
            for half in covered(pixels, face, cover):
                tried += 1
                halves += [other.quality.mesh or 0.0 for other in finder.find(Frame(half))[:1]]
        print(
            f"{table:18}{rows:6}{len(whole) / rows:8.1%}{without / rows:9.1%}{np.median(deviations):8.2%}"
            f"{auc(halves, whole):7.3f}{tried:9}{len(halves) / tried:7.0%}"
        )


if __name__ == "__main__":
    main()
