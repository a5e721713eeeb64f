"""What calibrations are fitted to: the faces of a pack, degraded, forged, and shown to a witness."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from doubles import AverageFace, Brightness
from PIL import Image

from facewitness.bench.conditions import CONDITIONS, examined, pictures
from facewitness.builders.pack import Pack, pack


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Pack:
    """Of two sources four genuine faces of `val` each, two forged ones, and a training face."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for i in range(14):
        out = io.BytesIO()
        soft = Image.fromarray(np.random.default_rng(i).integers(60, 200, (12, 12, 3), dtype=np.uint8))
        soft.resize((96, 96), Image.Resampling.BICUBIC).save(out, "PNG")
        fake = i in (8, 9, 10, 11)
        rows.append({"file": f"{i}.png", "image": out.getvalue(), "label": "fake" if fake else "real",
                     "source": "painted" if i % 2 else "drawn", "group": f"person {i}", "original": None,
                     "method": "Deepfakes" if fake else "pristine", "split": "train" if i >= 12 else "val"
                     })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    pack(folder, folder / "pack", AverageFace())
    return Pack(folder / "pack")


def test_every_row_of_the_split_comes_once_and_a_genuine_one_forged_besides(packed):
    shown = [about for about, *_ in pictures(packed, "val")]
    as_they_are = [about for about in shown if not about["made"]]
    assert sorted(int(about["file"][:-4]) for about in as_they_are) == list(range(12))
    made = [about for about in shown if about["made"]]
    assert made and {about["made"] for about in made} <= {"self_blend", "region_edit"}
    assert all(about["label"] == "fake" and about["touched"] and int(about["file"][:-4]) < 8 for about in made)
    touched = {about["label"]: about["touched"] for about in as_they_are}
    assert touched == {"real": (), "fake": None}, "what another forger touched is not known"


def test_sources_numbers_and_forgers_can_be_chosen(packed):
    few = [about for about, *_ in pictures(packed, "val", limit=1, sources=["painted"], forgers=())]
    assert [(about["source"], about["label"]) for about in few] == [("painted", "real"), ("painted", "fake")]


def test_a_row_stands_for_each_witness_condition_and_picture(packed):
    witnesses = [Brightness(), Brightness(name="again")]
    rows = examined(witnesses, packed, "val", ["plain", "blur"], limit=2)
    shown = len(list(pictures(packed, "val", limit=2)))
    assert len(rows) == 2 * 2 * shown and {row["witness"] for row in rows} == {"brightness", "again"}
    plain, blurred = ([row["score"] for row in rows if row["condition"] == c] for c in ("plain", "blur"))
    assert plain != blurred and np.allclose(plain, blurred, atol=0.1), "blur changes a mean brightness a little"
    assert all(row["iou"] is None for row in rows if not row["made"])
    assert examined(witnesses, packed, "val", ["plain", "blur"], limit=2) == rows, "forgeries repeat"


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_keep_the_size_and_so_the_mesh(name):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    assert CONDITIONS[name](pixels).shape == pixels.shape
