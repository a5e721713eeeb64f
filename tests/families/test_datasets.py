"""What every dataset keeps, and what a Parquet table must hold."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins
from facewitness.errors import InputError
from facewitness.types import KINDS

pa = pytest.importorskip("pyarrow", reason="needs the extra 'train'")
import pyarrow.parquet as pq  # noqa: E402


def _rows() -> list[dict]:
    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(out, "PNG")
    row = {"image": out.getvalue(), "source": "painted", "group": "a", "original": None, "split": "train"}
    return [
        row | {"file": "1.png", "label": "real", "method": "pristine"},
        row | {"file": "2.png", "label": "fake", "method": "Face2Face", "original": "1.png"},
        row | {"file": "3.png", "label": "fake", "method": "a new one", "group": "b", "split": "val"},
    ]


def test_every_dataset_has_samples():
    for name in plugins.names("datasets"):
        assert callable(plugins.get("datasets", name).samples)


def test_a_table_or_a_folder_of_them_gives_samples(tmp_path):
    parquet = plugins.get("datasets", "parquet")
    pq.write_table(pa.Table.from_pylist(_rows()), tmp_path / "painted.parquet")
    samples = list(parquet.samples(tmp_path))
    assert samples[1].original == "1.png" and samples[1].truth.kind == "attribute_manipulation"
    assert samples[2].truth.kind is None, "an unknown method has no kind"
    assert all(s.truth.kind in (*KINDS, None) and s.dataset == "painted" for s in samples)
    assert np.asarray(Image.open(io.BytesIO(samples[0].image))).shape == (8, 8, 3)
    assert [s.file for s in parquet.samples(tmp_path / "painted.parquet", "val")] == ["3.png"]


def test_what_is_wrong_with_a_table_is_said(tmp_path):
    parquet = plugins.get("datasets", "parquet")
    with pytest.raises(InputError, match="found none"):
        list(parquet.samples(tmp_path))
    pq.write_table(pa.table({"file": ["1.png"]}), tmp_path / "short.parquet")
    with pytest.raises(InputError, match=r"short\.parquet: expected the columns"):
        list(parquet.samples(tmp_path / "short.parquet"))
    rows = [r | {"label": "maybe"} for r in _rows()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "odd.parquet")
    with pytest.raises(InputError, match="expected label real or fake, got 'maybe'"):
        list(parquet.samples(tmp_path / "odd.parquet"))


def test_a_difference_mask_marks_what_was_changed_and_not_the_compression():
    cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
    from facewitness.builders import difference
    from facewitness.forge import degrade

    rng = np.random.default_rng(0)
    pristine = cv2.resize(rng.integers(60, 200, (14, 14, 3), dtype=np.uint8), (224, 224), interpolation=cv2.INTER_CUBIC)
    fake = pristine.copy()
    fake[80:140, 80:140] = 255 - fake[80:140, 80:140]
    fake[80:140, 80:140, 0] = 20
    mask = difference.mask(degrade.jpeg(fake, 75), degrade.jpeg(pristine, 75))
    assert mask[90:130, 90:130].mean() > 0.9 and mask[:60].max() < 0.2
    assert difference.mask(degrade.jpeg(pristine, 75), pristine).max() < 0.2
    with pytest.raises(InputError, match="one size"):
        difference.mask(fake, pristine[:100])
