"""Datasets of videos: a miniature of each layout is painted, then read; and what is missing is told."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import plugins
from facewitness.errors import InputError, UnreadableMedia
from facewitness.types import Sample

cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")

FF, CELEB = "faceforensics", "celebdf"


def _film(path: Path, frames: int = 6, mask: bool = False) -> None:
    """A video of 32 pixels a side; as a mask, a white square on black that grows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_painted(frames, mask))


@cache
def _painted(frames: int, mask: bool) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "film.mp4"
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 10, (32, 32))
        for index in range(frames):
            picture = np.full((32, 32, 3), 0 if mask else 60 + 10 * index, np.uint8)
            if mask:
                picture[8 : 16 + index, 8:24] = 255
            writer.write(picture)
        writer.release()
        return file.read_bytes()


def _films(root: Path, *files: str, frames: int = 6) -> None:
    for file in files:
        _film(root / file, frames)


def _png(value: int = 90) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def _stills(folder: Path, count: int = 3, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index:04d}{suffix}").write_bytes(_png(index))


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def _read(leaf: str, root: Path, split: str | None = None, frames: int = 2) -> tuple[list[Sample], list[str]]:
    told: list[str] = []
    found = list(plugins.get("datasets", leaf).samples(root, split, frames=frames, tell=told.append))
    return found, told


# ------------------------------------------------------------------------------------------------- one painter a layout


def _faceforensics(root: Path) -> None:
    pairs = {"train": [["000", "003"], ["001", "004"]], "val": [["005", "006"]], "test": [["012", "026"]]}
    for split, listed in pairs.items():
        _write(root / f"splits/{split}.json", listed)
        for a, b in listed:
            _films(root, *(f"original_sequences/youtube/c23/videos/{x}.mp4" for x in (a, b)))
            for x, y in ((a, b), (b, a)):
                _film(root / f"manipulated_sequences/Deepfakes/c23/videos/{x}_{y}.mp4")
                _film(root / f"manipulated_sequences/Deepfakes/masks/videos/{x}_{y}.mp4", mask=True)
                _stills(root / f"manipulated_sequences/Face2Face/c40/frames/{x}_{y}")
                _stills(root / f"manipulated_sequences/Face2Face/c40/masks/{x}_{y}")


def _celebdf(root: Path) -> None:
    _films(root, "Celeb-real/id0_0000.mp4", "Celeb-real/id0_0001.mp4", "Celeb-real/id1_0000.mp4")
    _films(root, "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id0_id1_0001.mp4")
    _films(root, "Celeb-synthesis/id1_id0_0000.mp4", "YouTube-real/00000.mp4", "YouTube-real/00170.mp4")
    listed = "1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0001.mp4\n0 Celeb-synthesis/id0_id1_0001.mp4\n"
    _write(root / "List_of_testing_videos.txt", listed)


def _dfdc(root: Path) -> None:
    _films(root, "dfdc_train_part_0/a.mp4", "dfdc_train_part_0/b.mp4", "dfdc_train_part_10/c.mp4")
    _films(root, "validation/d.mp4", "validation/e.mp4", "test/videos/f.mp4")
    _stills(root / "test/frames/g")
    real, fake = {"label": "REAL", "split": "train"}, {"label": "FAKE", "split": "train", "original": "b.mp4"}
    _write(root / "dfdc_train_part_0/metadata.json", {"a.mp4": fake, "b.mp4": real | {"original": None}})
    _write(root / "dfdc_train_part_10/metadata.json", {"c.mp4": real})
    _write(root / "validation/labels.csv", "filename,label\nd.mp4,0\ne.mp4,1\n")
    _write(root / "test/metadata.json", {"f.mp4": {"is_fake": 1, "augmentations": {}}, "g.mp4": {"is_fake": 0}})


def _dfd(root: Path) -> None:
    _films(root, "original_sequences/actors/c23/videos/01__hugging_happy.mp4")
    _films(root, "original_sequences/actors/c23/videos/02__kitchen_pan.mp4")
    swap = "01_02__hugging_happy__YVGY8LOK"
    _films(root, f"manipulated_sequences/DeepFakeDetection/c23/videos/{swap}.mp4")
    _film(root / f"manipulated_sequences/DeepFakeDetection/masks/videos/{swap}.mp4", mask=True)


def _preview(split: str, label: str, filmed: int, **more: object) -> dict[str, object]:
    return {"label": label, "set": split, "target_id": filmed, "swapped_id": None, "augmentations": []} | more


def _dfdc_preview(root: Path) -> None:
    _films(root, "original_videos/7/7_A_000.mp4", "method_A/7/7_A_001.mp4", "original_videos/9/9_B_000.mp4")
    _stills(root / "method_B/frames/9_B_001")
    real, fake = _preview("train", "real", 7), _preview("test", "fake", 9, swapped_id=7)
    listed = {
        "original_videos/7/7_A_000.mp4": real,
        "method_A/7/7_A_001.mp4": real | {"label": "fake", "source_video": "original_videos/7/7_A_000.mp4"},
        "original_videos/9/9_B_000.mp4": _preview("test", "real", 9),
        "method_B/9/9_B_001.mp4": fake | {"source_video": "9_B"},
    }
    _write(root / "dataset.json", listed)


def _archive(path: Path, *files: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as opened:
        for value, file in enumerate(files):
            member, content = tarfile.TarInfo(file), _png(value)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))


def _wilddeepfake(root: Path) -> None:
    _stills(root / "real_train/1/real/3", 4)
    _stills(root / "real_train/extracted/2/2/real/0")
    _archive(root / "fake_train/1.tar.gz", *(f"1/fake/{s}/{i}.png" for s in (0, 10) for i in (0, 10, 9)), "1/notes.txt")
    _archive(root / "real_train/1.tar.gz", "1/real/3/0000.png")
    _stills(root / "real_test/1/real/0")
    _stills(root / "fake_test/1/fake/0")


def _deeperforensics(root: Path) -> None:
    names = {"train": ("000_M101", "001_M101"), "val": ("002_W002",), "test": ("003_W010",)}
    for split, listed in names.items():
        _write(root / f"lists/splits/{split}.txt", "".join(f"{name}.mp4\n" for name in listed))
        _films(root, *(f"manipulated_videos/end_to_end/{name}.mp4" for name in listed))
        _films(root, *(f"manipulated_videos/end_to_end_level_5/{name}.mp4" for name in listed))


def _ffiw(root: Path) -> None:
    for split in ("train", "val"):
        _films(root, f"source/{split}/00000.mp4", f"source/{split}/00001.mp4", f"target/{split}/00000.mp4")
        _film(root / f"target_mask/{split}/00000.mp4", mask=True)
    _film(root / "target/val/00002.mp4")


def _df40(root: Path) -> None:
    _stills(root / "DF40_train/blendface/ff/frames/001_004", 4)
    _stills(root / "DF40_train/blendface/landmarks/ff/001_004")
    _stills(root / "DF40_train/sd2.1/ff/004")
    _stills(root / "DF40/blendface/ff/frames/000_003")
    _stills(root / "DF40/blendface/cdf/frames/id0_id1_0003")
    _stills(root / "DF40/fomm/cdf/frames/id5_id1_0003")
    _stills(root / "DF40/heygen/heygen_new/fake/frames/a")
    _stills(root / "DF40/heygen/heygen_new/real")
    _stills(root / "DF40/StarGANv2/fake/fake", 2)
    _stills(root / "DF40/StarGANv2/real", 2)
    _films(root, "DF40/simswap/ff/000_003.mp4")
    (root / "DF40/notes").mkdir()


PAINTERS: dict[str, Callable[[Path], None]] = {
    FF: _faceforensics, CELEB: _celebdf, "dfdc": _dfdc, "dfd": _dfd, "dfdc_preview": _dfdc_preview,
    "wilddeepfake": _wilddeepfake, "deeperforensics": _deeperforensics, "ffiw": _ffiw, "df40": _df40,
}  # fmt: skip
LEAVES = tuple(PAINTERS)


# ----------------------------------------------------------------------------------------------------- what all promise


@pytest.fixture(params=LEAVES)
def leaf(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_miniature_of_the_layout_is_read_whole(leaf, tmp_path):
    PAINTERS[leaf](tmp_path)
    module = plugins.get("datasets", leaf)
    found, _ = _read(leaf, tmp_path)
    assert found
    splits_of: dict[str, set[str]] = {}
    for sample in found:
        assert sample.image is not None or (tmp_path / sample.file).is_file()
        assert sample.original is None or (tmp_path / sample.original).is_file()
        assert sample.split in module.SPLITS
        assert (
            (sample.truth.label == "real") == (sample.truth.method == "pristine") == (sample.truth.kind == "pristine")
        )
        splits_of.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in splits_of.values()), "a group is in two splits"
    keys = [(s.dataset, s.file, s.frame) for s in found]
    assert len(set(keys)) == len(keys), "two samples are the same item"
    apart = [s for split in module.SPLITS for s in _read(leaf, tmp_path, split)[0]]
    assert sorted((s.file, s.frame or 0, s.split, s.group) for s in apart) == sorted(
        (s.file, s.frame or 0, s.split, s.group) for s in found
    ), "the splits together are not the whole"


def test_frames_of_one_video_share_a_key_of_dataset_method_compression_and_name(leaf, tmp_path):
    PAINTERS[leaf](tmp_path)
    found, _ = _read(leaf, tmp_path)
    truths: dict[str, set[tuple]] = {}
    for sample in (s for s in found if s.video):
        start = (sample.dataset, sample.truth.method or sample.truth.label, sample.compression or "-")
        assert sample.video.startswith("/".join(start) + "/") and not sample.video.endswith("/")
        truths.setdefault(sample.video, set()).add((sample.truth.label, sample.split, sample.group, sample.original))
    assert truths and all(len(said) == 1 for said in truths.values()), "two videos have one key"
    whole, _ = _read(leaf, tmp_path, frames=0)
    assert len({s.video for s in whole if s.video}) == len(truths) == sum(bool(s.video) for s in whole)
    assert all(s.frame is None for s in whole), "a whole video has no frame"


def test_a_folder_that_is_absent_or_holds_something_else_is_said(leaf, tmp_path):
    with pytest.raises(InputError, match=r"xpected a folder at .*nowhere, found none"):
        _read(leaf, tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=r"(?s)xpected .*(holds notes|found none)"):
        _read(leaf, tmp_path)


def test_an_unknown_split_is_said(leaf, tmp_path):
    PAINTERS[leaf](tmp_path)
    with pytest.raises(InputError, match=r"got 'tests'"):
        _read(leaf, tmp_path, "tests")


def test_docstrings_say_where_a_dataset_comes_from(leaf):
    text = plugins.get("datasets", leaf).__doc__ or ""
    assert text.split("\n")[0].endswith(".") and "icence" in text
    assert "ROOT/" in text and ("Paper: " in text or "Source: " in text) and "How to obtain: " in " ".join(text.split())


def test_a_video_that_does_not_open_stays_one_item_and_is_told(leaf, tmp_path):
    PAINTERS[leaf](tmp_path)
    films = [p for p in tmp_path.rglob("*.mp4") if "mask" not in p.as_posix()]
    for film in films:
        film.write_bytes(b"cut")
    found, told = _read(leaf, tmp_path)
    broken = [s for s in found if s.file.endswith(".mp4")]
    assert len(broken) == len(films) and all(s.frame is None for s in broken)
    assert sum("cannot be opened as a video" in sentence for sentence in told) == len(films)


# ------------------------------------------------------------------------------------------------------ FaceForensics++


def test_faceforensics_gives_labels_methods_groups_and_originals(tmp_path):
    _faceforensics(tmp_path)
    found, told = _read(FF, tmp_path)
    said = {s.video: (s.truth.label, s.truth.method, s.truth.kind, s.split, s.compression, s.original) for s in found}
    assert said["FaceForensics++/pristine/c23/000"] == ("real", "pristine", "pristine", "train", "c23", None)
    swapped = said["FaceForensics++/Deepfakes/c23/026_012"]
    assert swapped[:5] == ("fake", "Deepfakes", "identity_exchange", "test", "c23")
    assert swapped[5] == "original_sequences/youtube/c23/videos/026.mp4"
    assert said["FaceForensics++/Face2Face/c40/005_006"] == (
        "fake", "Face2Face", "attribute_manipulation", "val", "c40", None)  # fmt: skip
    group = {s.video.rsplit("/", 1)[1]: s.group for s in found}
    assert group["000"] == group["003"] == group["000_003"] == group["003_000"] != group["001"]
    assert [next(n for n in ("FaceSwap", "NeuralTextures", "FaceShifter") if n in t) for t in told] == [
        "FaceSwap", "NeuralTextures", "FaceShifter"]  # fmt: skip


def test_faceforensics_takes_evenly_spaced_frames(tmp_path):
    _faceforensics(tmp_path)
    found, _ = _read(FF, tmp_path, "val", frames=3)
    assert [s.frame for s in found if s.video == "FaceForensics++/pristine/c23/005"] == [1, 3, 5]
    stills = [s for s in found if s.video == "FaceForensics++/Face2Face/c40/005_006"]
    assert [Path(s.file).name for s in stills] == ["0000.png", "0001.png", "0002.png"]
    assert len(_read(FF, tmp_path, "val", frames=99)[0]) == 2 * 6 + 2 * 6 + 2 * 3


def test_faceforensics_loads_the_mask_of_the_frame_when_it_is_called(tmp_path):
    _faceforensics(tmp_path)
    found, _ = _read(FF, tmp_path, "test", frames=2)
    first, last = (s.truth.mask() for s in found if s.video == "FaceForensics++/Deepfakes/c23/012_026")
    assert first.shape == (32, 32) and first.dtype == np.float32 and set(np.unique(first)) == {0.0, 1.0}
    assert [s.frame for s in found[:2]] == [1, 4] and first[10, 10] == 1 and first[2, 2] == 0
    assert first[19, 10] == 0 and last[18, 10] == 1, "the mask grows with the frames"
    still = next(s for s in found if s.truth.method == "Face2Face")
    assert still.truth.mask().shape == (8, 8)
    assert all(s.truth.mask is None for s in found if s.truth.label == "real")
    (tmp_path / "manipulated_sequences/Deepfakes/masks/videos/012_026.mp4").write_bytes(b"cut")
    with pytest.raises(UnreadableMedia, match=r"012_026\.mp4: expected a mask in frame 1"):
        found[4].truth.mask()


def test_the_original_of_a_still_is_the_still_of_its_name(tmp_path):
    _faceforensics(tmp_path)
    pristine = tmp_path / "original_sequences/youtube/c40/frames/005"
    _stills(pristine, 2)
    found, _ = _read(FF, tmp_path, "val", frames=3)
    assert [s.original for s in found if s.video == "FaceForensics++/Face2Face/c40/005_006"] == [
        "original_sequences/youtube/c40/frames/005/0000.png",
        "original_sequences/youtube/c40/frames/005/0001.png",
        None,
    ]
    _film(tmp_path / "manipulated_sequences/Face2Face/c40/videos/005_006.mp4")
    found, _ = _read(FF, tmp_path, "val", frames=1)
    swapped = next(s for s in found if s.video == "FaceForensics++/Face2Face/c40/005_006")
    assert swapped.frame == 3 and swapped.original is None, "a file is read before frames of the same name"


def test_what_faceforensics_lacks_is_told(tmp_path):
    _faceforensics(tmp_path)
    (tmp_path / "manipulated_sequences/Deepfakes/c23/videos/005_006.mp4").unlink()
    (tmp_path / "original_sequences/youtube/c23/videos/006.mp4").unlink()
    _film(tmp_path / "original_sequences/youtube/c23/videos/999.mp4")
    found, told = _read(FF, tmp_path, "val")
    assert {s.video.rsplit("/", 1)[1] for s in found} == {"005", "006_005", "005_006"}
    assert any("006 of the split 'val' is not in" in t for t in told)
    assert any("005_006 of the split 'val' is not in" in t for t in told)
    assert any("1 videos that no split lists (999" in t for t in told)
    assert next(s for s in found if s.video.endswith("006_005")).original is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"expected the official split .*val\.json, which does not exist; copy"),
        ("[[", r"val\.json is not JSON"),
        ([["5", "6"]], r"val\.json: expected pairs of ids"),
        ({"000": 1}, r"val\.json: expected pairs of ids"),
        ([["000", "006"]], r"val\.json: 000 is already in the split 'train'"),
        ([["005", "006"], ["006", "007"]], r"val\.json: 006 is already in the split 'val'"),
    ],
)
def test_what_is_wrong_with_the_splits_of_faceforensics_is_said(tmp_path, content, sentence):
    _faceforensics(tmp_path)
    (tmp_path / "splits/val.json").unlink()
    if content is not None:
        _write(tmp_path / "splits/val.json", content)
    with pytest.raises(InputError, match=sentence):
        _read(FF, tmp_path)


def test_an_empty_split_is_said(tmp_path):
    _faceforensics(tmp_path)
    _write(tmp_path / "splits/val.json", [])
    with pytest.raises(InputError, match="expected pictures for the split 'val'"):
        _read(FF, tmp_path, "val")


# ------------------------------------------------------------------------------------------------------------- Celeb-DF


def test_celeb_df_reads_one_as_real_and_zero_as_fake(tmp_path):
    _celebdf(tmp_path / "Celeb-DF-v2")
    found, told = _read(CELEB, tmp_path / "Celeb-DF-v2", frames=1)
    said = {s.file: (s.truth.label, s.split, s.group, s.original) for s in found}
    assert said["YouTube-real/00170.mp4"] == ("real", "test", "YouTube-real/00170", None)
    assert said["Celeb-synthesis/id0_id1_0001.mp4"] == (
        "fake", "test", "Celeb-real/id0_0001", "Celeb-real/id0_0001.mp4")  # fmt: skip
    assert said["Celeb-synthesis/id1_id0_0000.mp4"][:3] == ("fake", "train", "Celeb-real/id1_0000")
    assert said["Celeb-real/id1_0000.mp4"][:3] == ("real", "train", "Celeb-real/id1_0000")
    assert {s.dataset for s in found} == {"Celeb-DF-v2"} and len(found) == 8 and not told


def test_celeb_df_tells_the_source_videos_that_the_official_split_divides(tmp_path):
    _celebdf(tmp_path / "Celeb-DF-v1")
    _film(tmp_path / "Celeb-DF-v1/Celeb-synthesis/id0_id2_0001.mp4")
    found, told = _read(CELEB, tmp_path / "Celeb-DF-v1", frames=1)
    groups = {s.file: s.group for s in found}
    assert groups["Celeb-synthesis/id0_id2_0001.mp4"] == "train/Celeb-real/id0_0001"
    assert groups["Celeb-synthesis/id0_id1_0001.mp4"] == "test/Celeb-real/id0_0001" == groups["Celeb-real/id0_0001.mp4"]
    assert len(told) == 1 and "1 of 5 source videos" in told[0] and "Celeb-real/id0_0001" in told[0]


def test_celeb_df_tells_its_version_by_name_else_by_celebrities(tmp_path):
    for name, celebrities, version in (("Celeb-DF", 13, "v1"), ("Celeb-DF-new", 14, "v2"), ("celeb_df_v2", 3, "v2")):
        root = tmp_path / name
        _stills(root / "YouTube-real/frames/00000", 1)
        for celebrity in range(celebrities):
            _stills(root / f"Celeb-real/frames/id{celebrity}_0000", 1)
        _write(root / "List_of_testing_videos.txt", "1 YouTube-real/00000.mp4\n")
        found, told = _read(CELEB, root)
        assert {s.dataset for s in found} == {f"Celeb-DF-{version}"}
        assert any("says neither v1 nor v2" in t for t in told) == ("v2" not in name)
        assert any("Celeb-synthesis holds no video" in t for t in told)
    (tmp_path / "Celeb-DF-new").rename(tmp_path / "Celeb-DF-v1")
    assert any("named version 1, but has 14 celebrities" in t for t in _read(CELEB, tmp_path / "Celeb-DF-v1")[1])


def test_what_celeb_df_lacks_is_told(tmp_path):
    _celebdf(tmp_path)
    (tmp_path / "YouTube-real/00170.mp4").unlink()
    _, told = _read(CELEB, tmp_path)
    assert any("YouTube-real/00170, listed in List_of_testing_videos.txt, does not exist" in t for t in told)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 YouTube-real/00170.mp4", "line 2: expected 1 for real and 0 for fake"),
        ("1 Celeb-synthesis/id0_id1_0000.mp4", "line 2: expected 1 for real and 0 for fake"),
        ("2 YouTube-real/00170.mp4", "line 2: expected a line such as"),
        ("YouTube-real/00170.mp4", "line 2: expected a line such as"),
        ("1 YouTube/00170.mp4", "line 2: expected a line such as"),
        ("1 YouTube-real/00000.mp4", "line 2: YouTube-real/00000 is there twice"),
    ],
)
def test_what_is_wrong_with_the_list_of_celeb_df_is_said(tmp_path, line, sentence):
    _celebdf(tmp_path)
    _write(tmp_path / "List_of_testing_videos.txt", f"1 YouTube-real/00000.mp4\n{line}\n")
    with pytest.raises(InputError, match=sentence):
        _read(CELEB, tmp_path)
    _write(tmp_path / "List_of_testing_videos.txt", "\n")
    with pytest.raises(InputError, match="expected the videos of the test split, found none"):
        _read(CELEB, tmp_path)


# ----------------------------------------------------------------------------------------------------------------- DFDC


def test_dfdc_reads_parts_and_tables_of_labels(tmp_path):
    _dfdc(tmp_path)
    found, told = _read("dfdc", tmp_path, frames=1)
    said = [(s.file, s.truth.label, s.split, s.group, s.original) for s in found]
    assert said == [
        ("dfdc_train_part_0/a.mp4", "fake", "train", "b", "dfdc_train_part_0/b.mp4"),
        ("dfdc_train_part_0/b.mp4", "real", "train", "b", None),
        ("dfdc_train_part_10/c.mp4", "real", "train", "c", None),
        ("validation/d.mp4", "real", "val", "d", None),
        ("validation/e.mp4", "fake", "val", "e", None),
        ("test/videos/f.mp4", "fake", "test", "f", None),
        ("test/frames/g/0001.png", "real", "test", "g", None),
    ]
    assert found[0].truth.method is None and found[0].truth.kind == "identity_exchange"
    assert found[0].video == "DFDC/fake/-/a"
    assert not told


def test_dfdc_finds_parts_in_train_and_in_a_folder_of_their_own_name(tmp_path):
    for part, name in (("train/dfdc_train_part_3", "a"), ("dfdc_train_part_04/dfdc_train_part_4", "b")):
        _film(tmp_path / part / f"{name}.mp4")
        _write(tmp_path / part / "metadata.json", {f"{name}.mp4": {"label": "REAL"}})
    found, told = _read("dfdc", tmp_path, "train", frames=0)
    assert sorted(s.group for s in found) == ["a", "b"] and not told


def test_what_dfdc_lacks_is_told(tmp_path):
    _dfdc(tmp_path)
    (tmp_path / "dfdc_train_part_0/b.mp4").unlink()
    (tmp_path / "validation/labels.csv").unlink()
    found, told = _read("dfdc", tmp_path)
    assert next(s for s in found if s.group == "b").original is None
    assert "b.mp4, listed in metadata.json, does not exist" in told[0]
    assert "validation holds neither metadata.json nor labels.csv" in told[1] and len(told) == 2
    with pytest.raises(InputError, match="expected pictures for the split 'val'"):
        _read("dfdc", tmp_path, "val")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("dfdc_train_part_0/metadata.json", "{", "is not JSON"),
        ("dfdc_train_part_0/metadata.json", ["a.mp4"], "expected an entry for each video"),
        ("dfdc_train_part_0/metadata.json", {"a.mp4": {"label": "MAYBE"}}, r"a\.mp4: expected the label REAL or FAKE"),
        ("dfdc_train_part_10/metadata.json", {"a.mp4": {"label": "REAL"}}, r"a\.mp4 is already in .*part_0"),
        ("validation/labels.csv", "file,label\nd.mp4,0\n", "expected the columns filename and label"),
        ("validation/labels.csv", "filename,label\nd.mp4,2\n", "expected the label REAL or FAKE"),
        ("validation/labels.csv", "filename,label\nd.mp4\n", "expected the label REAL or FAKE"),
        ("validation/labels.csv", f"filename,label\n{'d' * 200_000},1\n", "is not CSV .field larger"),
        ("validation/labels.csv", "filename,label\nd.mp4,0\nd.mp4,1\n", "is there twice"),
    ],
)
def test_what_is_wrong_with_the_tables_of_dfdc_is_said(tmp_path, file, content, sentence):
    _dfdc(tmp_path)
    _write(tmp_path / file, content)
    with pytest.raises(InputError, match=sentence):
        _read("dfdc", tmp_path)


# ------------------------------------------------------------------------------------------------------------------ DFD


def test_dfd_pairs_a_swap_with_the_scene_of_the_actor_who_was_filmed(tmp_path):
    _dfd(tmp_path)
    found, told = _read("dfd", tmp_path, frames=1)
    real, other, fake = found
    assert fake.video == "DFD/DeepFakeDetection/c23/01_02__hugging_happy__YVGY8LOK" and fake.original == real.file
    assert [s.group for s in found] == ["01", "02", "01"] and fake.truth.kind == "identity_exchange"
    assert fake.frame == 3 and fake.truth.mask()[18, 10] == 1 and other.truth.mask is None and not told


def test_dfd_and_faceforensics_share_a_tree_and_no_video(tmp_path):
    _faceforensics(tmp_path)
    _dfd(tmp_path)
    both = [{s.file for s in _read(leaf, tmp_path)[0]} for leaf in (FF, "dfd")]
    assert all(both) and not both[0] & both[1]


def test_what_dfd_lacks_is_told(tmp_path):
    _films(tmp_path, "original_sequences/actors/raw/videos/01__kitchen_pan.mp4")
    found, told = _read("dfd", tmp_path)
    assert {s.truth.label for s in found} == {"real"} and "DeepFakeDetection holds no video" in told[0]


# ---------------------------------------------------------------------------------------------------------------- DFDCP


def test_the_preview_of_dfdc_is_read_as_its_list_says(tmp_path):
    _dfdc_preview(tmp_path)
    found, told = _read("dfdc_preview", tmp_path, frames=1)
    assert [(s.truth.label, s.truth.method, s.split, s.group, s.original) for s in found] == [
        ("real", "pristine", "train", "7", None),
        ("fake", "method_A", "train", "7", "original_videos/7/7_A_000.mp4"),
        ("real", "pristine", "test", "9", None),
        ("fake", "method_B", "test", "9", None),
    ]
    assert found[3].file == "method_B/frames/9_B_001/0001.png" and not told


def test_the_preview_tells_actors_that_its_split_divides_and_absent_videos(tmp_path):
    _dfdc_preview(tmp_path)
    listed = json.loads((tmp_path / "dataset.json").read_text())
    listed["method_A/7/7_A_002.mp4"] = _preview("test", "fake", 7)
    _write(tmp_path / "dataset.json", listed)
    found, told = _read("dfdc_preview", tmp_path)
    assert {s.group for s in found} == {"train/7", "9"}
    assert "1 of 2 source videos or identities are in two official splits (7" in told[0]
    assert "7_A_002.mp4, listed in dataset.json, does not exist" in told[1] and len(told) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ([], "expected an entry for each video"),
        ({"a.mp4": 1}, r"a\.mp4: expected an entry with label and set, got 1"),
        ({"a.mp4": _preview("train", "FAKE", 7)}, "expected the label real or fake, got 'FAKE'"),
        ({"a.mp4": _preview("dev", "fake", 7)}, "expected the set train or test, got 'dev'"),
        ({"a.mp4": _preview("train", "fake", 7) | {"target_id": None}}, "expected a target_id"),
        ({"../a.mp4": _preview("train", "fake", 7)}, "expected a path below the folder"),
    ],
)
def test_what_is_wrong_with_the_list_of_the_preview_is_said(tmp_path, content, sentence):
    _dfdc_preview(tmp_path)
    _write(tmp_path / "dataset.json", content)
    with pytest.raises(InputError, match=sentence):
        _read("dfdc_preview", tmp_path)


# --------------------------------------------------------------------------------------------------------- WildDeepfake


def test_wilddeepfake_reads_folders_and_archives_alike(tmp_path):
    _wilddeepfake(tmp_path)
    found, told = _read("wilddeepfake", tmp_path)
    said = {(s.video, s.file, s.group) for s in found if s.split == "train"}
    assert said == {
        ("WildDeepfake/pristine/-/real_train/1/real/3", "real_train/1/real/3/0001.png", "real_train/1"),
        ("WildDeepfake/pristine/-/real_train/1/real/3", "real_train/1/real/3/0003.png", "real_train/1"),
        ("WildDeepfake/pristine/-/real_train/2/2/real/0", "real_train/extracted/2/2/real/0/0000.png", "real_train/2"),
        ("WildDeepfake/pristine/-/real_train/2/2/real/0", "real_train/extracted/2/2/real/0/0002.png", "real_train/2"),
        ("WildDeepfake/fake/-/fake_train/1/fake/0", "fake_train/1.tar.gz/1/fake/0/0.png", "fake_train/1"),
        ("WildDeepfake/fake/-/fake_train/1/fake/0", "fake_train/1.tar.gz/1/fake/0/10.png", "fake_train/1"),
        ("WildDeepfake/fake/-/fake_train/1/fake/10", "fake_train/1.tar.gz/1/fake/10/0.png", "fake_train/1"),
        ("WildDeepfake/fake/-/fake_train/1/fake/10", "fake_train/1.tar.gz/1/fake/10/10.png", "fake_train/1"),
    }
    packed = [s for s in found if s.image is not None]
    pixels = [np.asarray(Image.open(io.BytesIO(s.image)))[0, 0, 0] for s in packed]
    assert pixels == [0, 1, 3, 4] and not told


def test_what_wilddeepfake_lacks_is_told(tmp_path):
    _wilddeepfake(tmp_path)
    archive = tmp_path / "fake_train/1.tar.gz"
    archive.write_bytes(archive.read_bytes()[:60])
    (tmp_path / "real_test/1/real/0").rename(tmp_path / "moved")
    found, told = _read("wilddeepfake", tmp_path)
    assert {s.split + s.truth.label for s in found} == {"trainreal", "testfake"}
    assert "1.tar.gz cannot be read to its end" in told[0] and "real_test/1 holds no picture" in told[1]
    (tmp_path / "real_test").rename(tmp_path / "elsewhere")
    assert any("real_test holds neither archives nor" in t for t in _read("wilddeepfake", tmp_path)[1])


# ------------------------------------------------------------------------------------------------------ DeeperForensics


def test_deeperforensics_reads_variants_by_the_official_split(tmp_path):
    _deeperforensics(tmp_path)
    found, told = _read("deeperforensics", tmp_path, "train", frames=1)
    assert [(s.video, s.group) for s in found] == [
        ("DeeperForensics-1.0/DF-VAE/end_to_end/000_M101", "M101"),
        ("DeeperForensics-1.0/DF-VAE/end_to_end/001_M101", "M101"),
        ("DeeperForensics-1.0/DF-VAE/end_to_end_level_5/000_M101", "M101"),
        ("DeeperForensics-1.0/DF-VAE/end_to_end_level_5/001_M101", "M101"),
    ]
    assert {s.truth.label for s in found} == {"fake"} and len(told) == 9 and "reenact_postprocess" in told[0]


def test_what_is_wrong_with_the_lists_of_deeperforensics_is_said(tmp_path):
    _deeperforensics(tmp_path)
    (tmp_path / "manipulated_videos/end_to_end/003_W010.mp4").rename(
        tmp_path / "manipulated_videos/end_to_end/999_W010.mp4"
    )
    _, told = _read("deeperforensics", tmp_path)
    assert any("1 videos that no split lists (999_W010" in t for t in told)
    assert any("003_W010 of the split 'test' is not in" in t for t in told)
    _write(tmp_path / "lists/splits/val.txt", "000_M101.mp4\n")
    with pytest.raises(InputError, match=r"val\.txt, line 1: 000_M101 is already in the split 'train'"):
        _read("deeperforensics", tmp_path)
    _write(tmp_path / "lists/splits/val.txt", "\nthem all\n")
    with pytest.raises(InputError, match=r"val\.txt, line 2: expected a name such as"):
        _read("deeperforensics", tmp_path)
    (tmp_path / "lists/splits/val.txt").unlink()
    with pytest.raises(InputError, match=r"expected lists/splits/val\.txt in"):
        _read("deeperforensics", tmp_path)


# -------------------------------------------------------------------------------------------------------------- FFIW10K


def test_ffiw_pairs_videos_and_masks_by_name(tmp_path):
    _ffiw(tmp_path)
    found, told = _read("ffiw", tmp_path, "val", frames=1)
    assert [(s.file, s.truth.label, s.group, s.original) for s in found] == [
        ("source/val/00000.mp4", "real", "val/00000", None),
        ("source/val/00001.mp4", "real", "val/00001", None),
        ("target/val/00000.mp4", "fake", "val/00000", "source/val/00000.mp4"),
        ("target/val/00002.mp4", "fake", "val/00002", None),
    ]
    assert found[2].truth.mask()[10, 10] == 1 and found[3].truth.mask is None
    assert "1 fakes in" in told[0] and "have no mask (00002" in told[0] and "have no real video (00002" in told[1]


def test_what_ffiw_lacks_is_told(tmp_path):
    _films(tmp_path, "source/train/0.mp4")
    found, told = _read("ffiw", tmp_path, "train")
    assert {s.truth.label for s in found} == {"real"} and "target/train holds no video" in told[0]
    with pytest.raises(InputError, match="expected pictures for the split 'val'"):
        _read("ffiw", tmp_path, "val")


# ----------------------------------------------------------------------------------------------------------------- DF40


def test_df40_tells_videos_from_pictures_and_real_from_fake(tmp_path):
    _df40(tmp_path)
    found, told = _read("df40", tmp_path, frames=1)
    said = {s.file: (s.truth.label, s.truth.method, s.truth.kind, s.split, s.group) for s in found}
    swap, synthesis, edit = "identity_exchange", "entire_synthesis", "attribute_manipulation"
    sheet = "DF40_train/sd2.1/ff/004"
    real = "DF40/heygen/heygen_new/real"
    assert said == {
        "DF40_train/blendface/ff/frames/001_004/0002.png": ("fake", "blendface", swap, "train", "001"),
        **{f"{sheet}/000{i}.png": ("fake", "sd2.1", synthesis, "train", "001") for i in range(3)},
        "DF40/blendface/ff/frames/000_003/0001.png": ("fake", "blendface", swap, "test", "000"),
        "DF40/blendface/cdf/frames/id0_id1_0003/0001.png": ("fake", "blendface", swap, "test", "Celeb-real/id1_0003"),
        "DF40/fomm/cdf/frames/id5_id1_0003/0001.png": ("fake", "fomm", edit, "test", "Celeb-real/id1_0003"),
        "DF40/heygen/heygen_new/fake/frames/a/0001.png": (
            "fake", "heygen", edit, "test", "DF40/heygen/heygen_new/fake/frames/a"),
        **{f"{real}/000{i}.png": ("real", "pristine", "pristine", "test", f"{real}/000{i}.png") for i in range(3)},
        **{f"DF40/StarGANv2/fake/fake/000{i}.png": (
            "fake", "StarGANv2", edit, "test", f"DF40/StarGANv2/fake/fake/000{i}.png") for i in range(2)},
        **{f"DF40/StarGANv2/real/000{i}.png": (
            "real", "pristine", "pristine", "test", f"DF40/StarGANv2/real/000{i}.png") for i in range(2)},
        "DF40/simswap/ff/000_003.mp4": ("fake", "simswap", swap, "test", "000"),
    }  # fmt: skip
    assert {s.file.rsplit("/", 1)[0] for s in found if s.video is None} == {
        sheet, real, "DF40/StarGANv2/fake/fake", "DF40/StarGANv2/real"}  # fmt: skip
    assert len(told) == 1 and "notes is none of the methods" in told[0]


def test_df40_without_folders_of_splits_is_the_test_split_or_what_its_name_says(tmp_path):
    _df40(tmp_path)
    assert {s.split for s in _read("df40", tmp_path / "DF40")[0]} == {"test"}
    assert {s.split for s in _read("df40", tmp_path / "DF40_train")[0]} == {"train"}


def test_df40_tells_what_is_in_both_splits_and_what_is_empty(tmp_path):
    _df40(tmp_path)
    _stills(tmp_path / "DF40_train/fomm/ff/frames/003_000")
    (tmp_path / "DF40/lia").mkdir()
    found, told = _read("df40", tmp_path)
    assert {s.group for s in found if "003" in s.file} >= {"train/000", "test/000"}
    assert any("in two official splits (000" in t for t in told) and any("lia holds no picture" in t for t in told)
    (tmp_path / "DF40_train").rename(tmp_path / "elsewhere")
    assert any("holds none of DF40_train, train" in t for t in _read("df40", tmp_path)[1])
