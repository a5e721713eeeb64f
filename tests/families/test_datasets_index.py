"""Datasets that are lists over other datasets' pictures, and `facewitness datasets check` over all of them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins, regions
from facewitness.errors import InputError
from facewitness.types import Sample

cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
pa = pytest.importorskip("pyarrow", reason="needs the extra 'train'")
import pyarrow.parquet as pq  # noqa: E402

from facewitness.apps._words import ALL, NONE, SOME  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.bench import listing, openable  # noqa: E402
from facewitness.datasets import _disk  # noqa: E402


def _encoded(values: np.ndarray | int = 90) -> bytes:
    out = io.BytesIO()
    pixels = np.full((8, 8, 3), values, np.uint8) if isinstance(values, int) else values
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _paint(root: Path, *files: str, values: np.ndarray | int = 90) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(_encoded(values))


def _film(path: Path, frames: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (32, 32))
    for i in range(frames):
        video.write(np.full((32, 32, 3), 20 * i, np.uint8))
    video.release()


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def _read(leaf: str, root: Path, split: str | None = None, **options: int) -> tuple[list[Sample], list[str]]:
    told: list[str] = []
    found = list(plugins.get("datasets", leaf).samples(root, split, tell=told.append, **options))
    return found, told


def _mask() -> np.ndarray:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4, 2:6] = 255
    return mask


def _groups_are_apart(samples: list[Sample]) -> bool:
    return all(len({s.split for s in samples if s.group == group}) == 1 for group in {s.group for s in samples})


# --------------------------------------------------------------------------------------------------------- DD-VQA


def _asked(whole: str, **parts: str) -> dict[str, object]:
    asked: dict[str, object] = {"0": {"question": "Is the image genuine?", "answer": [whole]}}
    for number, (part, answer) in enumerate(parts.items(), 1):
        asked[str(number)] = {"question": f"Does the {part} look genuine?", "answer": [answer, answer]}
    return asked


def _ddvqa(root: Path) -> None:
    fake = _asked("It looks fake.", nose="The nose is crooked.", mouth="The mouth looks real.")
    _write(root / "train_set/Deepfakes/Deepfakes.json", {"0_001_002": fake})
    _write(root / "train_set/Original/Original.json", {"5_001": _asked("It looks real. The eyes are round.")})
    _write(root / "test_set/FaceSwap/FaceSwap.json", {"3_011_012": _asked("It looks fake. Both brows are doubled.")})
    _write(root / "total_fake.json", {"0_001_002": fake, "4_29829": fake})


def test_ddvqa_joins_answers_to_pictures_by_name(tmp_path):
    _ddvqa(tmp_path)
    _paint(tmp_path, "crops/0_001_002.png", "crops/5_001.png", "3_011_012.jpg", "crops/unrelated.png")
    samples, told = _read("ddvqa", tmp_path)
    assert told == []
    of = {Path(s.file).stem: s for s in samples}
    assert set(of) == {"0_001_002", "5_001", "3_011_012"}
    fake = of["0_001_002"].truth
    assert (fake.label, fake.method, fake.kind) == ("fake", "Deepfakes", "identity_exchange")
    assert fake.texts == ("It looks fake.",)
    assert fake.questions["Does the nose look genuine?"] == ("The nose is crooked.", "The nose is crooked.")
    assert fake.regions == {"nose"}, "an answer that calls its part real names no forged region"
    assert of["3_011_012"].truth.regions == {"left_eyebrow", "right_eyebrow"} <= set(regions.MARE)
    real = of["5_001"].truth
    assert (real.label, real.method, real.regions) == ("real", "pristine", frozenset())
    assert of["0_001_002"].group == of["5_001"].group != of["3_011_012"].group
    assert {s.split for s in samples} == {"train", "test"} and _groups_are_apart(samples)
    assert {s.dataset for s in samples} == {"DD-VQA"}
    assert [s.file for s in _read("ddvqa", tmp_path, "test")[0]] == ["3_011_012.jpg"]


def test_ddvqa_takes_the_middle_frame_of_faceforensics_videos(tmp_path):
    _ddvqa(tmp_path)
    _film(tmp_path / "FF/manipulated_sequences/Deepfakes/c40/videos/001_002.mp4")
    _film(tmp_path / "FF/original_sequences/youtube/c40/videos/001.mp4")
    _paint(tmp_path, *(f"FF/manipulated_sequences/FaceSwap/c23/frames/011_012/{i}.png" for i in range(12)))
    samples, told = _read("ddvqa", tmp_path)
    swap, fake, real = samples  # test_set, then train_set
    assert (fake.file, fake.frame, fake.compression) == (
        "FF/manipulated_sequences/Deepfakes/c40/videos/001_002.mp4", 4, "c40",
    )  # fmt: skip
    assert fake.original == real.file and real.frame == 4
    assert fake.video == "DD-VQA/Deepfakes/c40/001_002"
    assert swap.file.endswith("FaceSwap/c23/frames/011_012/6.png") and told == []


def test_ddvqa_joins_a_table_and_tells_what_it_lacks(tmp_path):
    _ddvqa(tmp_path)
    row = {"image": _encoded(), "source": "x", "group": "a", "original": None, "split": "val", "label": "fake"}
    rows = [row | {"file": "0_001_002.jpg", "method": "Deepfakes"}, row | {"file": "no.jpg", "method": "Deepfakes"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "ffpp_c40.parquet")
    samples, told = _read("ddvqa", tmp_path)
    (sample,) = samples
    assert sample.image == _encoded() and sample.compression == "c40"
    assert sample.split == "train", "the split is that of the answers, not of the table"
    assert len(told) == 2 and "FaceSwap 011_012" in told[0] and "5_001" in told[1]


def test_ddvqa_finds_the_split_of_a_plain_file_by_the_pairs(tmp_path):
    entries = {"0_001_002": _asked("Fake."), "5_011": _asked("Real."), "0_777_778": _asked("Fake.")}
    _write(tmp_path / "answers.json", entries)
    _paint(tmp_path, *(f"{name}.png" for name in entries))
    samples, told = _read("ddvqa", tmp_path)
    assert {s.split for s in samples} == {"train"} and "of 3 pictures" in told[0]
    _write(tmp_path / "splits/test.json", [["011", "012"]])
    _write(tmp_path / "splits/val.json", [["001", "002"]])
    samples, told = _read("ddvqa", tmp_path)
    assert [s.split for s in samples] == ["val", "test", "train"] and "of 1 pictures (0_777_778…)" in told[0]


def test_ddvqa_takes_the_split_of_a_table_where_nothing_else_names_one(tmp_path):
    _write(tmp_path / "answers.json", {"0_001_002": _asked("It looks fake."), "5_011": _asked("It looks real.")})
    row = {"image": _encoded(), "source": "x", "group": "a", "original": None, "label": "fake", "method": "Deepfakes"}
    rows = [row | {"file": "0_001_002.jpg", "split": "val"}, row | {"file": "5_011.jpg", "split": None}]
    table = pa.Table.from_pylist(rows)
    names = table.schema.get_field_index("file")  # as tables come whose names were found to repeat
    pq.write_table(table.set_column(names, "file", table["file"].dictionary_encode()), tmp_path / "ffpp_c40.parquet")
    samples, told = _read("ddvqa", tmp_path)
    assert [s.split for s in samples] == ["val", "train"] and "of 1 pictures (5_011…)" in told[0]


def test_ddvqa_says_which_table_is_broken(tmp_path):
    _ddvqa(tmp_path)
    (tmp_path / "ffpp_c40.parquet").write_bytes(b"half a table")
    with pytest.raises(InputError, match=r"ffpp_c40\.parquet: expected a Parquet table"):
        _read("ddvqa", tmp_path)
    pq.write_table(pa.Table.from_pylist([{"file": 3, "image": b""}]), tmp_path / "ffpp_c40.parquet")
    with pytest.raises(InputError, match="expected text in the column file, got int64"):
        _read("ddvqa", tmp_path)


def test_ddvqa_keeps_sets_apart_that_share_a_video(tmp_path):
    _write(tmp_path / "train_set/a.json", {"0_001_002": _asked("Fake.")})
    _write(tmp_path / "test_set/a.json", {"5_002": _asked("Real."), "4_29829": _asked("Fake.")})
    _paint(tmp_path, "0_001_002.png", "5_002.png")
    samples, told = _read("ddvqa", tmp_path)
    assert len(samples) == 2 and _groups_are_apart(samples)
    assert "1 answered pictures are of no method" in told[0] and "two official splits" in told[1]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("train_set/a.json", "{", "is not JSON"),
        ("train_set/a.json", '{"0_001_002": [], "0_001_002": []}', "the key '0_001_002' stands twice"),
        ("train_set/a.json", [], "expected an object of names"),
        ("train_set/a.json", {"0_001_002": {"0": {"question": "Why?", "answer": "So."}}}, "json: 0_001_002: expected"),
        ("train_set/b/a.json", {"5_044": _asked("Real.")}, "5_044 is in"),
        ("split/train.json", [["1"]], "expected pairs"),
    ],
)  # fmt: skip
def test_ddvqa_says_where_an_annotation_is_broken(tmp_path, file, content, said):
    _write(tmp_path / "test_set/whole.json", {"5_044": _asked("Real.")})
    _paint(tmp_path, "5_044.png")
    _write(tmp_path / file, content)
    with pytest.raises(InputError, match=said):
        _read("ddvqa", tmp_path)


# -------------------------------------------------------------------------------------------------- DeepfakeBench


def _entry(label: str, where: str, count: int = 4, slash: str = "/", before: str = "") -> dict[str, object]:
    frames = [f"{before}{where}/{i:03d}.png".replace("/", slash) for i in range(count)]
    return {"label": label, "frames": frames}


def _deepfakebench(root: Path) -> None:
    ff, real = "FaceForensics++/manipulated_sequences/Deepfakes/c23", "FaceForensics++/original_sequences/youtube/c23"
    fake = _entry("FF-DF", f"{ff}/frames/000_003", slash="\\")
    fake["masks"] = [f"{ff}/masks/000_003/001.png".replace("/", "\\")]
    content = {
        "FF-real": {
            "train": {"c23": {"005": _entry("FF-real", f"{real}/frames/005")}},
            "val": {"c23": {}},
            "test": {"c23": {"000": _entry("FF-real", f"{real}/frames/000")}},
        },
        "FF-DF": {"train": {"c23": {}}, "val": {}, "test": {"c23": {"000_003": fake}}},
    }
    _write(root / "dataset_json/FaceForensics++.json", {"FaceForensics++": content})
    _write(root / "dataset_json/FF-DF.json", {"FF-DF": content})
    for place in (f"{ff}/frames/000_003", f"{real}/frames/005", f"{real}/frames/000"):
        _paint(root / "rgb", *(f"{place}/{i:03d}.png" for i in range(4)))
    _paint(root / "rgb", f"{ff}/masks/000_003/001.png", values=_mask())
    celeb = "Celeb-DF-v2"
    there = _entry("CelebDFv2_fake", f"{celeb}/Celeb-synthesis/frames/id0_id1_0002", before="/elsewhere/sets/")
    pristine = _entry("CelebDFv2_real", f"{celeb}/Celeb-real/frames/id0_0002", before="D:\\sets\\", slash="\\")
    _write(
        root / "dataset_json/Celeb-DF-v2.json",
        {celeb: {
            "CelebDFv2_fake": {split: {"id0_id1_0002": there} for split in ("train", "val", "test")},
            "CelebDFv2_real": {"train": {"id0_0002": pristine}, "val": {}, "test": {}},
        }},
    )  # fmt: skip
    _paint(root, *(f"{celeb}/Celeb-synthesis/frames/id0_id1_0002/{i:03d}.png" for i in range(4)))
    _paint(root, *(f"{celeb}/Celeb-real/frames/id0_0002/{i:03d}.png" for i in range(4)))


def test_deepfakebench_reads_its_lists_with_either_slash_and_with_or_without_compression(tmp_path):
    _deepfakebench(tmp_path)
    samples, told = _read("deepfakebench", tmp_path, frames=2)
    assert Counter((s.dataset, s.truth.method, s.split, s.compression) for s in samples) == {
        ("FaceForensics++", "pristine", "train", "c23"): 2,
        ("FaceForensics++", "pristine", "test", "c23"): 2,
        ("FaceForensics++", "Deepfakes", "test", "c23"): 2,
        ("Celeb-DF-v2", "CelebDFv2_fake", "test", None): 2,
        ("Celeb-DF-v2", "pristine", "train", None): 2,
    }
    assert all((tmp_path / s.file).is_file() and "\\" not in s.file for s in samples)
    assert [Path(s.file).stem for s in samples if s.truth.method == "Deepfakes"] == ["001", "003"], "evenly spaced"
    masked = [s for s in samples if s.truth.mask is not None]
    assert [s.truth.method for s in masked] == ["Deepfakes"]
    np.testing.assert_array_equal(masked[0].truth.mask(), _mask() / 255)
    fake, real = (next(s for s in samples if s.video == f"FaceForensics++/{v}") for v in
                  ("Deepfakes/c23/000_003", "pristine/c23/000"))  # fmt: skip
    assert fake.group == real.group and fake.truth.kind == "identity_exchange"
    assert _groups_are_apart(samples)
    assert "2 times a video is listed in a further split" in told[0]
    assert "id0_0002" in told[1] and "two official splits" in told[1]
    assert [s.split for s in _read("deepfakebench", tmp_path, "train", frames=0)[0]] == ["train", "train"]


def test_deepfakebench_tells_absent_frames_and_the_video_that_stands_for_a_split(tmp_path):
    _deepfakebench(tmp_path)
    entry = _entry("DFDC_Real", "DFDC/test/frames/aaa")
    _write(tmp_path / "DFDC.json", {"DFDC": {"DFDC_Real": {"train": {}, "test": {"aaa": entry}, "val": entry}}})
    samples, told = _read("deepfakebench", tmp_path)
    assert all(s.dataset != "DFDC" for s in samples)
    assert any("is one video" in sentence for sentence in told)
    assert any("4 of 4 frames of DFDC/pristine/-/aaa are not in" in sentence for sentence in told)


def test_a_name_that_is_too_long_for_the_disk_is_absent(tmp_path):
    _deepfakebench(tmp_path)
    frames = [f"DFDC/test/frames/aaa/{'a' * 3000}.png"]
    entry = {"label": "DFDC_Real", "frames": frames}
    _write(tmp_path / "DFDC.json", {"DFDC": {"DFDC_Real": {"train": {}, "test": {"aaa": entry}, "val": {}}}})
    assert any(
        "1 of 1 frames of DFDC/pristine/-/aaa are not in" in said for said in _read("deepfakebench", tmp_path)[1]
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "is not JSON"),
        ([["953", "974"]], "expected {dataset"),
        ({"X": {"X_real": {"dev": {}}}}, "expected one of the splits"),
        ({"X": {"X_maybe": {"test": {"a": {"frames": []}}}}}, "expected a label that ends in real or fake"),
        ({"X": {"X_real": {"test": {"a": {"frames": "one.png"}}}}}, "X_real: test: a: expected"),
    ],
)
def test_deepfakebench_says_where_a_list_is_broken(tmp_path, content, said):
    _write(tmp_path / "list.json", content)
    with pytest.raises(InputError, match=said):
        _read("deepfakebench", tmp_path)


# ------------------------------------------------------------------------------------------------------ IMDL-BenCo


def test_imdlbenco_reads_lists_of_pictures_and_masks(tmp_path):
    _paint(tmp_path, "Tp/6.png", "Au/8.png", "Tp/7.png")
    _paint(tmp_path, "Gt/6.png", values=_mask())
    _write(tmp_path / "train.json", [["./Tp/6.png", "./Gt/6.png"], [".\\Au\\8.png", "Negative"]])
    _write(tmp_path / "casia_test.json", [["/elsewhere/Tp/7.png", "Gt/7.png"], ["Tp/9.png", "Gt/9.png"]])
    samples, told = _read("imdlbenco", tmp_path)
    assert {(s.file, s.truth.label, s.split) for s in samples} == {
        ("Tp/6.png", "fake", "train"), ("Au/8.png", "real", "train"), ("Tp/7.png", "fake", "test"),
    }  # fmt: skip
    of = {s.file: s for s in samples}
    np.testing.assert_array_equal(of["Tp/6.png"].truth.mask(), _mask() / 255)
    assert of["Au/8.png"].truth.regions == frozenset() and of["Tp/7.png"].truth.mask is None
    assert len(told) == 2 and "Gt/7.png, the mask of" in told[0] and "Tp/9.png, listed in" in told[1]
    assert _groups_are_apart(samples)


def test_imdlbenco_pairs_the_folders_by_name_and_else_by_order(tmp_path):
    _paint(tmp_path, "a/Tp/x.jpg", "a/Tp/y.jpg", "b_test/Tp/1.png", "b_test/Tp/2.png")
    _paint(tmp_path, "a/Gt/x_gt.png", "b_test/Gt/m1.png", "b_test/Gt/m2.png", values=_mask())
    samples, told = _read("imdlbenco", tmp_path)
    assert [(s.file, s.split, s.dataset) for s in samples] == [
        ("a/Tp/x.jpg", "all", "a"), ("a/Tp/y.jpg", "all", "a"),
        ("b_test/Tp/1.png", "test", "b_test"), ("b_test/Tp/2.png", "test", "b_test"),
    ]  # fmt: skip
    assert [s.truth.mask is None for s in samples] == [False, True, False, False]
    assert "y.jpg has no mask" in told[0] and "paired by order" in told[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "expected a list of"),
        ([["Tp/6.png"]], "entry 1: expected"),
        ([["ManiDataset", "/sets/CASIA"]], "lists datasets"),
        ([["Tp/6.png", "Negative"], ["Tp/6.png", "Gt/6.png"]], "is listed in .* and again in"),
    ],
)
def test_imdlbenco_says_where_a_list_is_broken(tmp_path, content, said):
    _paint(tmp_path, "Tp/6.png")
    _write(tmp_path / "list.json", content)
    with pytest.raises(InputError, match=said):
        _read("imdlbenco", tmp_path)


def test_imdlbenco_wants_the_masks_of_a_folder(tmp_path):
    _paint(tmp_path, "Tp/6.png")
    with pytest.raises(InputError, match="expected the masks of"):
        _read("imdlbenco", tmp_path)


# ------------------------------------------------------------------------------------------- facewitness datasets


def _command(*words: str) -> int:
    return main(["datasets", *words])


def test_datasets_lists_every_leaf_with_its_sentence(capsys):
    assert _command() == ALL
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(plugins.names("datasets"))
    assert any(line.endswith(plugins.about("datasets", "ddvqa")) for line in lines)
    assert _command("--json") == ALL
    assert list(json.loads(capsys.readouterr().out)) == list(plugins.names("datasets"))


def test_check_counts_what_is_there_and_proves_the_splits_apart(tmp_path, capsys):
    for number, file in enumerate(("train/real/1", "train/fake/GAN/1", "train/fake/2", "test/real/3", "test/fake/4")):
        _paint(tmp_path, f"{file}.png", values=90 + number)
    assert _command("check", "folder", str(tmp_path)) == ALL
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == [
        "split",
        "real",
        "fake",
        "methods",
        "videos",
        "groups",
        "masks",
        "texts",
        "regions",
    ]
    assert said.splitlines()[1].split()[:8] == ["train", "1", "2", "3", "0", "3", "0", "0"]
    assert "train: 1 GAN, 1 pristine, 1 unknown" in said and "no group is in two splits" in said
    assert _command("check", "folder", str(tmp_path), "--split", "test", "--json") == ALL
    found = json.loads(capsys.readouterr().out)
    assert list(found["splits"]) == ["test"] and found["splits"]["test"]["methods"] == {"pristine": 1, "unknown": 1}
    assert found["divided"]["count"] == found["missing"]["count"] == 0 and found["problem"] is None


def test_check_finds_groups_in_two_splits_and_samples_that_are_there_twice(tmp_path, capsys):
    row = {"image": _encoded(), "source": "x", "original": None, "label": "real", "method": "pristine"}
    rows = [
        row | {"file": f"{i}.png", "group": f"person {i // 2}", "split": ("train", "val")[i % 2]} for i in range(14)
    ]
    pq.write_table(pa.Table.from_pylist([*rows, rows[0]]), tmp_path / "leaking.parquet")
    assert _command("check", "parquet", str(tmp_path)) == SOME
    said = capsys.readouterr().out
    assert "in two splits: 7 groups (person 0 in train and val, " in said and "person 4 in train and val…)" in said
    assert "there twice: 1 samples (0.png)" in said and "no group is in two splits" not in said


def test_check_tells_what_no_score_can_be_right_on(tmp_path, capsys):
    """The same bytes under two labels, in two splits, and pictures of one label only, each in its own words."""
    _paint(tmp_path / "two", "real/a.png", "fake/b.png")
    assert _command("check", "folder", str(tmp_path / "two")) == SOME
    said = capsys.readouterr().out
    assert "1 picture with the same bytes under two labels" in said and "(real/a.png and fake/b.png)" in said
    assert "missing" not in said
    for number, file in enumerate(("train/real/1", "test/fake/2", "train/fake/3")):
        _paint(tmp_path / "leak", f"{file}.png", values=90 + number)
    _paint(tmp_path / "leak", "test/real/1.png", values=90)
    assert _command("check", "folder", str(tmp_path / "leak"), "--json") == SOME
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert "the same bytes in two splits" in note and "train/real/1.png and test/real/1.png" in note
    _write(tmp_path / "one" / "manifest.csv", "file,label\na.png,fake\nb.png,fake\n")
    _paint(tmp_path / "one", "a.png")
    _paint(tmp_path / "one", "b.png", values=91)
    assert _command("check", "manifest", str(tmp_path / "one")) == SOME
    assert "one class only: all 2 items are fake. Without a genuine one there is no AUC." in capsys.readouterr().out


def test_check_shows_the_first_sentences_of_what_is_missing(tmp_path, capsys):
    _write(tmp_path / "train.json", [[f"Tp/{i}.png", "Negative"] for i in range(30)])
    _paint(tmp_path, "Tp/3.png")
    assert _command("check", "imdlbenco", str(tmp_path)) == SOME
    said = capsys.readouterr().out
    assert "missing or noted: 29" in said and said.count("is not in") == listing.SHOWN and "… and 9 more" in said
    assert "one split only" in said


def _broken(root: Path) -> None:
    """Whole pictures of both labels beside one or two of each kind that cannot be read."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
        for number in (0, 1):
            Image.fromarray(noise[number + 2 * (label == "fake")]).save(root / label / f"{number}.jpg")
    whole = (root / "real" / "0.jpg").read_bytes()
    for name, content in {
        "real/cut.jpg": whole[: len(whole) // 2], "fake/cut.jpg": whole[: len(whole) // 3], "real/empty.jpg": b"",
        "fake/ended.jpg": whole[: len(whole) // 2] + b"\xff\xd9", "fake/text.jpg": b"no picture",
    }.items():  # fmt: skip
        (root / name).write_bytes(content)
    (root / "fake" / "link.jpg").symlink_to("nowhere")
    os.mkfifo(root / "fake" / "pipe.jpg")


def test_check_opens_the_pictures_and_tells_each_kind_of_broken_one_once(tmp_path, capsys):
    _broken(tmp_path)
    assert _command("check", "folder", str(tmp_path), "--json") == SOME
    found = json.loads(capsys.readouterr().out)
    counts = {kind: each["count"] for kind, each in found["broken"].items()}
    assert counts == {"missing": 1, "closed": 1, "empty": 1, "other": 1, "broken": 2, "short": 1}
    assert (found["opened"], found["decoded"]) == (9, 7)
    assert _command("check", "folder", str(tmp_path)) == SOME
    said = capsys.readouterr().out
    assert "2 pictures are damaged or incomplete, the first: " in said and said.count("is damaged or incomplete (") == 1
    assert "1 picture is an empty file: real/empty.jpg" in said and "9, of which 7 were decoded" in said


def test_check_decodes_no_more_pictures_than_asked_for_and_the_same_ones_again(tmp_path, capsys):
    _broken(tmp_path)
    found = [listing.check("folder", tmp_path, decode=3) for _ in range(2)]
    assert found[0].broken == found[1].broken and {each.decoded for each in found} == {3}
    assert _command("check", "folder", str(tmp_path), "--decode", "0") == SOME
    said = capsys.readouterr().out
    assert "is no picture" in said and "of which 0 were decoded" in said and "incomplete" not in said


def test_check_opens_pictures_and_masks_inside_tables(tmp_path):
    for sample in plugins.get("datasets", "painted").samples(None, "test"):
        opening = openable.Openable(None, 2)
        opening.add(sample)
        assert opening.broken() == () and (opening.opened, opening.decoded) == (1, 1)
        opening = openable.Openable(None)
        mask = partial(_disk.mask_in, b"no picture")
        opening.add(replace(sample, truth=replace(sample.truth, mask=mask)))
        opening.add(replace(sample, file="cut.png", image=(sample.image or b"")[:-200]))
        assert [(each.kind, each.count) for each in opening.broken()] == [("broken", 1), ("mask", 1)]
        break


def test_check_tells_boxes_of_a_larger_picture():
    sample = next(iter(plugins.get("datasets", "painted").samples(None, "test")))
    opening = openable.Openable(None)
    a, b, c = [(-9, 0, 50, 60)], [(0, 0, 50, 60), (900, 0, 950, 60)], [(0, 900, 9, 950)]
    for name, boxes in (("a", a), ("b", b), ("c", c)):
        for box in boxes:
            opening.add(replace(sample, file=name, box=box, truth=replace(sample.truth, boxes={"nose": boxes[0]})))
    (found,) = opening.broken()
    assert (found.kind, found.count) == ("box", 2)
    assert found.first.startswith("c: expected boxes in 256 × 256 pixels, got 0, 900, 9, 950")


def test_check_counts_videos_without_opening_them(tmp_path):
    _deepfakebench(tmp_path)
    found = listing.check("deepfakebench", tmp_path)
    assert len(found.splits["test"].videos) == 3 and found.samples == 5
    assert listing.check("deepfakebench", tmp_path, frames=3).samples == 15
    assert list(found.splits) == ["train", "test"], "in the dataset's own order"


def test_check_says_what_is_wrong_and_ends_with_none_where_nothing_is_there(tmp_path, capsys):
    assert _command("check", "deepfakebench", str(tmp_path)) == NONE
    assert str(tmp_path) in capsys.readouterr().err
    assert _command("check", "folder", str(tmp_path / "nowhere"), "--json") == NONE
    assert "nowhere" in json.loads(capsys.readouterr().out)["problem"]
    assert _command("check", "folder") == NONE
    assert "expected the folder it is in" in capsys.readouterr().err


def test_check_keeps_what_was_counted_before_a_broken_row(tmp_path):
    row = {"image": _encoded(), "source": "x", "original": None, "method": "pristine", "group": "g", "split": "val"}
    rows = [row | {"file": "1.png", "label": "real"}, row | {"file": "2.png", "label": "maybe"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "odd.parquet")
    found = listing.check("parquet", tmp_path)
    assert found.samples == 1 and "'maybe'" in found.problem and found.amiss


def test_unknown_names_suggest_the_near_one():
    from facewitness.errors import UnknownName

    with pytest.raises(UnknownName, match="Did you mean 'painted'"):
        listing.check("paintd", None)
    with pytest.raises(UnknownName, match="Did you mean 'test'"):
        listing.check("painted", None, "tset")


def test_a_terminal_gets_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.chdir(tmp_path)  # a long name would be broken into lines
    root = Path("[bold]set")  # no markup
    _paint(root, "test/real/1.png")
    _paint(root, "test/fake/[red]/2.png", values=91)
    assert _command("check", "folder", str(root)) == ALL
    said = capsys.readouterr().out
    assert "[bold]set" in said and "\x1b[" in said and "test: 1 [red], 1 pristine" in said
    assert _command() == ALL
    assert "dataset" in capsys.readouterr().out


def test_what_is_painted_needs_no_root():
    painted = listing._samples(plugins.get("datasets", "painted"), "painted", None, "val", 0, print)
    assert next(iter(painted)).split == "val"


def test_the_words_bring_no_heavy_package():
    code = (
        "import argparse, sys; from facewitness.apps import datasets; "
        "datasets.add_to(argparse.ArgumentParser().add_subparsers()); "
        "print([m for m in ('cv2', 'pyarrow', 'PIL', 'torch', 'rich') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
