"""What every dataset keeps, and what a Parquet table must hold."""

from __future__ import annotations

import inspect
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins
from facewitness.errors import InputError, UnknownName
from facewitness.types import KINDS

pa = pytest.importorskip("pyarrow", reason="needs the extra 'train'")
pytest.importorskip("cv2", reason="needs the extra 'forge'")
import pyarrow.parquet as pq  # noqa: E402

from facewitness.datasets import _disk  # noqa: E402


def _rows() -> list[dict]:
    out = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(out, "PNG")
    row = {"image": out.getvalue(), "source": "painted", "group": "a", "original": None, "split": "train"}
    return [
        row | {"file": "1.png", "label": "real", "method": "pristine"},
        row | {"file": "2.png", "label": "fake", "method": "Face2Face", "original": "1.png"},
        row | {"file": "3.png", "label": "fake", "method": "a new one", "group": "b", "split": "val"},
    ]


LEAVES = plugins.names("datasets")
# anybody's pictures: no paper, splits as they are found
GENERIC = ("fifa", "folder", "huggingface", "manifest", "parquet", "sbi_qa")
ON_DISK = tuple(name for name in LEAVES if name != "painted")
PUBLISHED = tuple(name for name in ON_DISK if name not in GENERIC)


@pytest.mark.parametrize("name", LEAVES)
def test_a_dataset_opens_with_a_sentence_and_shows_its_tree(name):
    about = plugins.get("datasets", name).__doc__
    first = about.splitlines()[0]
    assert first == plugins.about("datasets", name) and first.endswith(".") and len(first) <= 120
    if name != "parquet":
        assert [line for line in about.splitlines() if line.startswith("    ")], "the tree it expects"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_dataset_names_paper_licence_and_how_to_obtain_it(name):
    about = " ".join(plugins.get("datasets", name).__doc__.split())
    assert "Paper:" in about or "Source:" in about, "where it was published"
    for word in ("icence", "ow to obtain", "ROOT/"):
        assert word in about, word
    assert "Paper:" not in about or re.search(r"\b20\d\d\b", about), "the year of the paper"
    assert not re.search(r"https?://", about), "addresses are written without their scheme"


@pytest.mark.parametrize("name", LEAVES)
def test_samples_has_the_signature_that_the_benchmark_calls(name):
    known = inspect.signature(plugins.get("datasets", name).samples).parameters
    assert list(known)[:2] == ["root", "split"] and known["split"].default is None
    assert set(known) <= {"root", "split", "frames", "tell"}
    for option in ("frames", "tell"):
        assert option not in known or known[option].kind is inspect.Parameter.KEYWORD_ONLY
    assert "frames" not in known or known["frames"].default == 32
    if name in PUBLISHED:
        assert known["tell"].default is _disk.silent and known["root"].default is inspect.Parameter.empty


@pytest.mark.parametrize("name", [name for name in LEAVES if name != "parquet"])
def test_splits_are_names(name):
    splits = plugins.get("datasets", name).SPLITS
    assert isinstance(splits, tuple) and all(isinstance(split, str) and split for split in splits)
    assert len(set(splits)) == len(splits) and (splits or name in GENERIC)


@pytest.mark.parametrize("name", ON_DISK)
def test_a_root_that_is_absent_or_empty_is_said(name, tmp_path):
    samples = plugins.get("datasets", name).samples
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=re.escape(str(root))):
            list(samples(root))
        with pytest.raises(InputError, match=re.escape(str(root))):
            list(samples(str(root)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_unknown_split_suggests_the_near_one(name, tmp_path, monkeypatch):
    leaf = plugins.get("datasets", name)
    # The root passes for whole; miniatures of each layout are painted in the tests of the leaves.
    monkeypatch.setattr(leaf, "folder", lambda root, *_, **__: Path(root))
    with pytest.raises(InputError, match=f"Did you mean {leaf.SPLITS[0]}"):
        list(leaf.samples(tmp_path, leaf.SPLITS[0] + "x"))


def test_an_unknown_split_of_the_painted_faces_suggests_the_near_one():
    with pytest.raises(UnknownName, match="Did you mean 'train'"):
        plugins.get("datasets", "painted").samples(split="trian")


def test_the_page_of_datasets_names_every_leaf():
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page, flags=re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(LEAVES)
    heads = next(line for line in page.splitlines() if line.startswith("| name |")).count("|")
    assert all(row.count("|") + 3 == heads for _, row in rows), "every row has every column"
    for name, row in rows:
        for split in () if name in GENERIC else plugins.get("datasets", name).SPLITS:
            assert split in row, f"{name}: {split}"


def test_the_example_of_the_page_works(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    example: dict = {}
    exec(block, example)
    for name in ("train/1-genuine", "train/1-morphed", "test/2-genuine", "test/3"):
        (tmp_path / f"{name}.png").parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{name}.png")
    told: list[str] = []
    found = list(example["samples"](tmp_path, tell=told.append))
    assert [(s.file, s.truth.label, s.group) for s in found] == [
        ("train/1-genuine.png", "real", "1"), ("train/1-morphed.png", "fake", "1"), ("test/2-genuine.png", "real", "2"),
    ]  # fmt: skip
    assert len(told) == 1 and "3.png to end in" in told[0]
    with pytest.raises(InputError, match="Did you mean test"):
        example["samples"](tmp_path, "tset")


def test_a_file_of_a_list_is_found_wherever_the_list_was_written(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.png").touch()
    (tmp_path / "2.png").touch()
    there = tmp_path / "a" / "b" / "1.png"
    for listed in ("a/b/1.png", "./a\\b\\1.png", "/other/machine/a/b/1.png", "D:\\sets\\a\\b\\1.png"):
        assert _disk.below(tmp_path, listed) == there
    assert _disk.below(tmp_path, "2.png") == tmp_path / "2.png"
    assert _disk.below(tmp_path, "/other/2.png") is None, "a bare name may be anyone's"
    assert _disk.below(tmp_path / "a", "../2.png") is None and _disk.below(tmp_path, "") is None


def test_every_page_of_a_file_in_a_folder_is_a_picture_of_one_group(tmp_path):
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / label / "a.png")
    page = Image.new("RGB", (8, 8), "red")
    page.save(tmp_path / "real" / "scan.tif", save_all=True, append_images=[page])
    page.save(tmp_path / "real" / "one.tiff")
    folder = plugins.get("datasets", "folder")
    read = [(s.file, s.group) for s in folder.samples(tmp_path) if s.truth.label == "real"]
    assert read == [
        ("real/a.png", "real/a.png"), ("real/one.tiff", "real/one.tiff"),
        ("real/scan.tif#1", "real/scan.tif"), ("real/scan.tif#2", "real/scan.tif"),
    ]  # fmt: skip


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
    for name, value, said in (
        ("image", 5, "expected bytes in the column image, got int64"),
        ("label", ["real"], "expected text in the column label, got list"),
        ("split", None, "1.png: expected a value in the column split, got none"),
        ("group", None, "1.png: expected a value in the column group, got none"),
        ("group", ["a"], "expected text in the column group, got list"),
        ("method", {"a": 1}, "expected text in the column method, got struct"),
        ("parsing", ["a"], "expected bytes in the column parsing, got list"),
    ):
        pq.write_table(pa.Table.from_pylist([r | {name: value} for r in _rows()]), tmp_path / "odd.parquet")
        with pytest.raises(InputError, match=said):
            list(parquet.samples(tmp_path / "odd.parquet"))


def test_a_row_of_a_builder_s_table_that_was_edited_is_told(tmp_path):
    names = ("file", "image", "mask", "label", "group", "regions", "question", "answer", "asked", "original")
    row = dict.fromkeys(names) | {"file": "a.png", "label": "fake", "regions": ["elbow"]}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "sbi_qa.parquet")
    with pytest.raises(InputError, match=r"expected rows as builders/sbi_qa writes them, got one that is none .*elbow"):
        list(plugins.get("datasets", "sbi_qa").samples(tmp_path))


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


def test_files_are_in_the_order_of_their_numbers_whatever_digits_are_in_their_names():
    assert sorted(["10.png", "2.png", "1²2.png"], key=_disk.natural) == ["1²2.png", "2.png", "10.png"]
