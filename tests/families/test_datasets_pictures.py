"""Datasets of still pictures: a miniature of each layout is painted, then read; and what is missing is told."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import geometry, media, plugins
from facewitness.errors import InputError, TooLarge, UnreadableMedia
from facewitness.types import Mask, Sample

pytest.importorskip("cv2", reason="needs the extra 'forge'")
pa = pytest.importorskip("pyarrow", reason="needs the extra 'train'")
import pyarrow.parquet as pq  # noqa: E402

from facewitness.datasets import _disk  # noqa: E402

LEAVES = (
    "celeba", "dffd", "ffa_vqa", "folder", "gandiffface", "huggingface", "manifest", "mmtt", "multiffdi",
    "openforensics", "pggan", "region_coded", "sid_set", "whichfaceisreal",
)  # fmt: skip


def _encoded(values: np.ndarray | int = 90) -> bytes:
    out = io.BytesIO()
    pixels = np.full((8, 8, 3), values, np.uint8) if isinstance(values, int) else values
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _paint(root: Path, *files: str) -> Path:
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(_encoded(number))
    return root


def _mask() -> np.ndarray:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4, 2:6] = 255
    return mask


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def _read(leaf: str, root: Path, split: str | None = None) -> tuple[list[Sample], list[str]]:
    told: list[str] = []
    found = list(plugins.get("datasets", leaf).samples(root, split, tell=told.append))
    return found, told


# ------------------------------------------------------------------------------------------------- one painter a layout


def _folder(root: Path) -> None:
    _paint(root, "train/real/1.png", "train/real/deep/2.png", "train/fake/StyleGAN2/1.png", "train/fake/3.png")
    _paint(root, "valid/0_real/4.png", "valid/1_fake/5.png", "test/Real/1.png", "test/Fake/x/6.png")


def _manifest(root: Path) -> None:
    _paint(root, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    (root / "m.png").write_bytes(_encoded(_mask()))
    _write(
        root / "manifest.csv",
        "file,label,split,group,method,kind,mask,original,box,regions,text\n"
        "a/1.png,real,train,p1,,,,,,,\n"
        'b/1.png,Fake,train,p1,StyleCLIP,attribute_manipulation,m.png,a/1.png,1 1 6 7,nose left_eye,"The nose, odd."\n'
        "a/2.png,real,test,p2,,,,,,,\n"
        "b/2.png,fake,test,p2,,,,,,,\n",
    )


def _mmtt_entry(name: str, kind: str, number: int, caption: str) -> dict[str, object]:
    return {
        "image_id": f"{kind}_{number}", "instance_id": f"{number:05d}", "img_path": f"dataset/{name}.png",
        "mask_path": f"dataset/{name}_mask.png", "caption": caption, "multilabel": [0] * 21,
    }  # fmt: skip


def _mmtt(root: Path) -> None:
    entries = {
        "train": [
            _mmtt_entry("celeb512/mat_gan/7", "mat", 1, "The left eye is too large."),
            _mmtt_entry("celeb512/mat_gan/7", "mat", 2, "The nose is blurred."),
            _mmtt_entry("celeb512/e4s/7", "e4s", 3, "The skin has two tones."),
        ],
        "eval": [
            _mmtt_entry("FFHQ512/sd/00012", "sd", 4, "The teeth are merged."),
            _mmtt_entry("face_attribute_image/angry/31", "angry", 5, "The eyebrows are uneven."),
        ],
    }
    for split, listed in entries.items():
        _write(root / f"{split}-mutilabel-simple.json", listed)
        for entry in listed:
            _paint(root, str(entry["img_path"]))
            (root / str(entry["mask_path"])).write_bytes(_encoded(_mask()))


def _ffa_vqa(root: Path) -> None:
    _paint(root, "dfd/imgs/fake_1.png", "dfd/imgs/real_1.png", "pgc/imgs/a.png", "ma/imgs/a.png", "ma/imgs/b.png")
    _write(root / "dfd/dfd.json", {"fake_1.png": "fake", "real_1.png": "Real"})
    _write(root / "pgc/pgc.json", {"a.png": "fake"})
    _write(root / "ma/ma.json", {"a.png": ["fake", "Entire face synthesis"], "b.png": ["real"]})
    _paint(root, "vqa/imgs/c.png", "vqa/imgs/d.png")
    result = {"result": "fake", "type": "Identity exchange"}
    said = json.dumps({"Forgery reasoning": "The skin is waxen.", "Analysis result": result})
    _write(
        root / "vqa/vqa.json",
        [
            {"image": "vqa/imgs/c.png", "conversations": [
                {"from": "human", "value": "<image>\nIs it real or fake? Why?"}, {"from": "gpt", "value": said}]},
            {"image": "d.png", "conversations": [
                {"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Analysis result: real"}]},
        ],
    )  # fmt: skip


def _region_coded(root: Path) -> None:
    _paint(root, "training_real/real_00001.jpg", "training_real/real_00002.jpg")
    _paint(root, "training_fake/easy_1_1010.jpg", "training_fake/mid_2_0001.jpg", "training_fake/hard_3_1111.jpg")


def _whichfaceisreal(root: Path) -> None:
    _paint(root, "0_real/1.png", "0_real/2.png", "1_fake/1.png")


def _openforensics(root: Path) -> None:
    for name, picture in (("Train", "Images/Train/a.png"), ("Test-Dev", "Images/Test-Dev/b.png")):
        _paint(root, f"{name}/{Path(picture).name}")
        annotations = [
            {"id": 0, "image_id": 5, "category_id": 0, "bbox": [0, 0, 3, 4], "segmentation": [[0, 0, 3, 0, 3, 4]]},
            {"id": 1, "image_id": 5, "category_id": 1, "bbox": [2, 2, 4, 4],
             "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6], [4, 4, 7, 4, 7, 6, 4, 6]]},
        ]  # fmt: skip
        content = {
            "categories": [{"id": 0, "name": "Real"}, {"id": 1, "name": "Fake"}],
            "images": [{"id": 5, "file_name": picture, "width": 8, "height": 8}],
            "annotations": annotations,
        }
        _write(root / f"{name}_poly.json", content)


def _dffd(root: Path) -> None:
    names = {"ffhq": "R_FFHQ_{}", "faceapp": "F_FAP0_{}-3", "stargan": "F_STGN_{}-19", "pggan_v1": "F_PGN1_{}",
             "pggan_v2": "F_PGN2_{}", "stylegan_celeba": "F_SyCA_{}", "stylegan_ffhq": "F_SyFQ_{}",
             "Face2Face": "x_{}"}  # fmt: skip
    for source, name in names.items():
        for number, split in enumerate(("train", "validation", "test")):
            _paint(root, f"{source}/{split}/{name.format(f'0{number}')}.png")
    _paint(root, "faceapp/train/F_FAP0_00-4.png")


def _hub_schema(*fields: tuple[str, object]) -> object:
    features = {"label": {"names": ["fake", "real"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    return pa.schema(list(fields), metadata={"huggingface": json.dumps({"info": {"features": features}})})


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _huggingface(root: Path) -> None:
    schema = _hub_schema(("image", _IMAGE), ("label", pa.int64()), ("mask", _IMAGE), ("text", pa.string()))
    image = {"bytes": _encoded(), "path": "1.png"}
    rows = [
        {"image": image, "label": 1, "mask": None, "text": None},
        {"image": image, "label": 0, "mask": {"bytes": _encoded(_mask()), "path": None}, "text": "The nose is odd."},
    ]
    for name in ("train-00000-of-00001", "validation-00000-of-00001"):
        (root / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), root / "data" / f"{name}.parquet")


def _sid_set(root: Path) -> None:
    schema = pa.schema([("img_id", pa.string()), ("image", _IMAGE), ("mask", _IMAGE), ("width", pa.int64()),
                        ("height", pa.int64()), ("label", pa.int64())])  # fmt: skip
    image, mask = {"bytes": _encoded(), "path": None}, {"bytes": _encoded(_mask()), "path": None}
    for number, name in enumerate(("train", "validation")):
        rows = [
            {"img_id": f"{number:012d}", "image": image, "label": 0},
            {"img_id": f"tampered_{number:012d}", "image": image, "mask": mask, "label": 2},
            {"img_id": f"flux_{number}", "image": image, "label": 1},
        ]
        (root / "data").mkdir(parents=True, exist_ok=True)
        table = root / "data" / f"{name}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist([{k: r.get(k) for k in schema.names} for r in rows], schema), table)


def _celeba(root: Path) -> None:
    _paint(root, *(f"Img/img_align_celeba/{n:06d}.jpg" for n in range(1, 5)))
    _write(root / "Eval/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 0\n000003.jpg 1\n000004.jpg 2\n")
    _write(root / "Anno/identity_CelebA.txt", "000001.jpg 2880\n000002.jpg 2880\n000003.jpg 7\n000004.jpg 9\n")


def _pggan(root: Path) -> None:
    _paint(root, "000/000001.png", "000/000002.png")


def _gandiffface(root: Path) -> None:
    _paint(root, "White_Male/73/1.png", "White_Male/73/2.png", "White_Male/74/1.png", "Asian_Female/73/1.png")


def _multiffdi(root: Path) -> None:
    _paint(root, "phase1/trainset/a.jpg", "phase1/trainset/b.jpg", "phase1/valset/c.jpg")
    _write(root / "phase1/trainset_label.txt", "img_name,target\na.jpg,0\nb.jpg,1\n")
    _write(root / "phase1/valset_label.txt", "img_path,target\nc.jpg,1\n")


PAINTERS: dict[str, Callable[[Path], None]] = {name: globals()[f"_{name}"] for name in LEAVES}


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
        assert sample.split in (module.SPLITS or ("train", "test"))
        assert (
            (sample.truth.label == "real") == (sample.truth.method == "pristine") == (sample.truth.kind == "pristine")
        )
        splits_of.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in splits_of.values()), "a group is in two splits"
    keys = [(s.dataset, s.file, s.box) for s in found]
    assert len(set(keys)) == len(keys), "two samples are the same item"
    apart = [s for split in dict.fromkeys(x.split for x in found) for s in _read(leaf, tmp_path, split)[0]]
    assert sorted(s.file for s in apart) == sorted(s.file for s in found), "the splits together are not the whole"


def test_a_folder_that_is_absent_or_holds_something_else_is_said(leaf, tmp_path):
    with pytest.raises(InputError, match=r"xpected a folder at .*nowhere, found none"):
        _read(leaf, tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=r"(?s)xpected .*(holds notes|found none)"):
        _read(leaf, tmp_path)


def test_an_unknown_split_is_said(leaf, tmp_path):
    PAINTERS[leaf](tmp_path)
    there = _read(leaf, tmp_path)[0][-1].split
    with pytest.raises(InputError, match=rf"got '{there}s'\. Did you mean {there}\?"):
        _read(leaf, tmp_path, f"{there}s")


def test_docstrings_say_where_a_dataset_comes_from(leaf):
    text = plugins.get("datasets", leaf).__doc__ or ""
    assert text.split("\n")[0].endswith(".") and "icence" in text
    assert "ROOT/" in text or leaf == "manifest"


# ----------------------------------------------------------------------------------------------------- each one's truth


def test_folders_name_label_split_and_method(tmp_path):
    _folder(tmp_path)
    found, told = _read("folder", tmp_path)
    said = {s.file: (s.truth.label, s.truth.method, s.split) for s in found}
    assert said["train/fake/StyleGAN2/1.png"] == ("fake", "StyleGAN2", "train")
    assert said["train/fake/3.png"] == ("fake", None, "train")
    assert said["train/real/deep/2.png"] == ("real", "pristine", "train")
    assert said["valid/1_fake/5.png"] == ("fake", None, "val") and said["test/Real/1.png"][2] == "test"
    assert len(found) == 8 and not told


def test_plain_folders_have_the_split_all_and_one_label_is_told(tmp_path):
    _paint(tmp_path, "real/1.png", "stray.png")
    (tmp_path / "fake").mkdir()
    found, told = _read("folder", tmp_path)
    assert [(s.split, s.group) for s in found] == [("all", "real/1.png")]
    assert "has no fake picture" in told[0] and "1 pictures" in told[1]
    with pytest.raises(InputError, match="expected one of the splits all, got 'val'"):
        _read("folder", tmp_path, "val")


def test_empty_folders_are_not_a_dataset(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    with pytest.raises(InputError, match="found none; is it unpacked completely"):
        _read("folder", tmp_path)


def test_a_manifest_gives_all_it_says(tmp_path):
    _manifest(tmp_path)
    found, told = _read("manifest", tmp_path)
    fake = found[1]
    assert (fake.truth.label, fake.truth.method, fake.truth.kind) == ("fake", "StyleCLIP", "attribute_manipulation")
    assert fake.box == (1, 1, 6, 7) and fake.original == "a/1.png" and fake.group == "p1"
    assert fake.truth.regions == {"nose", "left_eye"} and fake.truth.texts == ("The nose, odd.",)
    assert np.array_equal(fake.truth.mask(), _mask() / np.float32(255)) and fake.truth.mask().dtype == np.float32
    assert found[0].truth.regions == frozenset() and found[3].truth.regions is None
    assert [s.file for s in _read("manifest", tmp_path / "manifest.csv", "test")[0]] == ["a/2.png", "b/2.png"]
    assert not told


def test_a_manifest_may_have_semicolons_and_only_two_columns(tmp_path):
    _paint(tmp_path, "1.png", "2.png")
    _write(tmp_path / "mine.csv", "\ufefffile;Label;colour\n1.png;real;red\n2.png;fake;blue\n3.png;fake;blue\n")
    found, told = _read("manifest", tmp_path)
    assert [(s.file, s.truth.label, s.split, s.dataset) for s in found] == [
        ("1.png", "real", "all", "mine"), ("2.png", "fake", "all", "mine")]  # fmt: skip
    assert "nobody reads the column 'colour'" in told[0] and "3.png of line 4 does not exist" in told[1]


def test_frames_in_a_manifest_are_keyed_by_all_that_tells_videos_apart(tmp_path):
    _paint(tmp_path, "1.png", "2.png", "3.png")
    lines = ("1.png,fake,FaceSwap,c23,v/1", "2.png,real,,c23,v/1", "3.png,fake,,,")
    _write(tmp_path / "m.csv", "\n".join(("file,label,method,compression,video", *lines)))
    found, _ = _read("manifest", tmp_path)
    assert [s.video for s in found] == ["m/FaceSwap/c23/v/1", "m/pristine/c23/v/1", None]
    assert [s.group for s in found] == ["v/1", "v/1", "3.png"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("file,lable\n1.png,real\n", "label missing; came file, lable"),
        ("file,label\n1.png,1\n", r"line 2: 1\.png: expected label real or fake, got '1'"),
        ("file,label,split,group\n1.png,real,train,p\n2.png,fake,test,p\n", "the group 'p' is in the split 'test' and"),
        ("file,label\n", "expected a line for each picture, found none"),
        ("", "expected the columns file, label"),
        ("file,label\n1.png,real,extra\n", "line 2: expected 2 values"),
        ("file,label\n1.png\n", "line 2: expected 2 values"),
        ("file,label\n../1.png,real\n", "expected file below"),
        ("file,label,box\n1.png,real,1 2 3\n", "expected box as four numbers"),
        ("file,label,box\n1.png,real,3 2 1 4\n", "expected a finite box with x1 < x2"),
        ("file,label,box\n1.png,real,0 0 1 inf\n", "expected a finite box"),
        ("file,label,kind\n1.png,fake,swap\n", "expected kind to be one of"),
        ("file,label,regions\n1.png,fake,knee\n", "expected regions among .*got 'knee'"),
        ('file,label\n"1.png,real\n', r"line 2, is not CSV \(unexpected end of data\)"),
        ('file,label\n"1.png,real\n' + "2.png,fake\n" * 20_000, "a value of more than 131,072 characters"),
        ("file,label," + ",".join(map(str, range(300_000))) + "\n1.png,real\n", "at most 1,000 columns, got 300,002"),
        ("file,label,label\n1.png,real,real\n", "the column label is there twice"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said(tmp_path, lines, sentence):
    _write(tmp_path / "manifest.csv", lines)
    with pytest.raises(InputError, match=sentence):
        _read("manifest", tmp_path)


@pytest.mark.parametrize(
    ("lines", "disk"),
    [
        ("file,label\na\\1.png,real\n.\\b\\2.png,fake\n", ("a/1.png", "b/2.png")),
        ("file,label\n./a/1.png,real\nb//2.png,fake\n", ("a/1.png", "b/2.png")),
        ("file,label\na/IMG_1.png,real\nB/2.PNG,fake\n", ("a/IMG_1.PNG", "b/2.png")),
        ("sep=;\r\nfile;label\r\na/1.png;real\r\nb/2.png;fake\r\n;\r\n;\r\n", ("a/1.png", "b/2.png")),
        ("\ufeffsep=;\nfile;label;\na/1.png;real;\n\nb/2.png;fake;\n;;\n", ("a/1.png", "b/2.png")),
        ("file,label\n/home/ann/set/a/1.png,real\nC:\\Users\\ann\\set\\b\\2.png,fake\n", ("a/1.png", "b/2.png")),
        ("file,label\nan\u0303o/e\u0301.png,real\nb/\u00e4.png,fake\n", ("a\u00f1o/\u00e9.png", "b/a\u0308.png")),
    ],
    ids=["backslashes", "dots", "capitals", "excel", "excel with a mark", "absolute", "accents apart"],
)
def test_a_list_of_another_machine_is_read(tmp_path, lines, disk):
    _paint(tmp_path, *disk)
    _write(tmp_path / "list.csv", lines)
    for root in (tmp_path, tmp_path / "list.csv"):
        found, told = _read("manifest", root)
        assert [s.file for s in found] == list(disk) and told == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_spreadsheet_s_unicode_text_and_its_cells_that_are_no_numbers_are_read(encoding, tmp_path):
    _paint(tmp_path, "a/007.png", "b/ä.png")
    mark = "" if encoding == "utf-16" else "\ufeff"
    lines = f'{mark}"=""file"""\tlabel\r\n"=""a/007.png"""\treal\r\nb/ä.png\t="fake"\r\n'
    (tmp_path / "list.csv").write_bytes(lines.encode(encoding))
    found, told = _read("manifest", tmp_path / "list.csv")
    assert [(s.file, s.truth.label) for s in found] == [("a/007.png", "real"), ("b/ä.png", "fake")] and told == []
    (tmp_path / "list.csv").write_bytes(lines.encode(encoding)[:-1])  # half a letter at its end
    with pytest.raises(InputError, match="is not UTF-8 text"):
        _read("manifest", tmp_path / "list.csv")


_OTHERS = {
    "a spreadsheet's workbook": b"PK\3\4" + bytes(range(256)),
    "workbook; save": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "UTF-16 or UTF-32 without its mark": "file\tlabel\na/1.png\treal\n".encode("utf-16-le"),
    "or UTF-32 without": "file,label\na/1.png,real\n".encode("utf-32"),
    "JSON; write a line": b'[{"file": "a/1.png", "label": "real"}]',
    "a web page; save its table": b"<html><table><tr><td>file</td></tr></table></html>",
    "is not UTF-8 text; save it": "file,label\na\xe4.png,real\n".encode("cp1252"),
    "expected 1 value, as in its first line, got 2": b"My faces\nfile,label\na/1.png,real\n",
    "got an empty cell. Of merged cells only the first": b"file,label\na/1.png,real\nb/2.png,\n",
}


@pytest.mark.parametrize("why", _OTHERS)
def test_what_is_no_list_is_called_what_it_is(why: str, tmp_path):
    _paint(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "list.csv").write_bytes(_OTHERS[why])
    with pytest.raises(InputError, match=why):
        _read("manifest", tmp_path / "list.csv")


@pytest.mark.parametrize(
    "lines",
    [
        "\n\nfile,label\na/1.png,real\nb/2.png,fake\n",
        ";;\n;;\nfile;label;\na/1.png;real;\nb/2.png;fake;\n",
        "file,label\n\u00a0a/1.png,real\u200b\n\u202ab/2.png\u202c,\ufefffake\n",
        "file,label\n'a/1.png,real\nb/2.png,fake\n",
        "file,label\nfile:///set/a/1%2Epng,real\nb/%32.png,fake\n",
        'file;label;"mask, kind, box"\na/1.png;real;\nb/2.png;fake;\n',
    ],
    ids=["empty lines above", "empty cells above", "unseen", "apostrophe", "percent", "commas in the head"],
)
def test_what_spreadsheets_and_copied_cells_leave_in_a_list_is_no_part_of_it(lines: str, tmp_path):
    _paint(tmp_path, "a/1.png", "b/2.png")
    _write(tmp_path / "list.csv", lines)
    found, told = _read("manifest", tmp_path / "list.csv")
    assert [(s.file, s.truth.label) for s in found] == [("a/1.png", "real"), ("b/2.png", "fake")]
    assert told == [] or "nobody reads the column 'mask, kind, box'" in told[0]


def test_what_a_list_names_and_is_no_file_is_told_for_what_it_is(tmp_path):
    _paint(tmp_path, "a/1.png", "b/2.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere.png")
    named = ("pipe.png", "folder.png", "link.png", "nowhere.png", '=A1&"".png""')
    others = "".join(f'"{name}",fake,\n' for name in named)
    _write(tmp_path / "list.csv", f"file,label,mask\na/1.png,real,\nb/2.png,fake,pipe.png\n{others}")
    found, told = _read("manifest", tmp_path / "list.csv")
    assert len(found) == 2
    ends = [r"mask \S+pipe.png of line 3 is a device, a pipe or a socket, no file; its picture has none",
            "pipe.png of line 4 is a device, a pipe", "folder.png of line 5 is a folder",
            "link.png of line 6 is a link to what does not exist", "nowhere.png of line 7 does not exist",
            "of line 8 is a formula"]  # fmt: skip
    assert len(told) == len(ends) and all(re.search(end, each) for end, each in zip(ends, told, strict=True)), told


def test_an_address_in_a_list_is_told_as_that_and_not_fetched(tmp_path):
    _paint(tmp_path, "a/1.png")
    _write(tmp_path / "list.csv", "file,label\nhttps://example.org/a.jpg,real\na/1.png,fake\n")
    found, told = _read("manifest", tmp_path / "list.csv")
    assert [s.file for s in found] == ["a/1.png"]
    assert "https://example.org/a.jpg of line 2 is an address; nothing is fetched" in told[0]


def test_a_path_that_could_be_two_files_is_none(tmp_path):
    _paint(tmp_path, "A/1.png", "a/1.png", "real/2.png")
    if len(list(tmp_path.iterdir())) == 3:  # the disk tells capitals apart
        _write(tmp_path / "manifest.csv", "file,label\nÄ/1.png,real\n2.png,real\nreal/2.png,fake\n")
        found, told = _read("manifest", tmp_path)
        assert [s.file for s in found] == ["real/2.png"] and len(told) == 2
        assert all("does not exist" in sentence for sentence in told)
    _write(tmp_path / "manifest.csv", "file,label\na\\..\\..\\1.png,real\n")
    with pytest.raises(InputError, match="expected file below"):
        _read("manifest", tmp_path)


def test_a_file_that_is_listed_twice_is_read_once_and_one_with_two_labels_not_at_all(tmp_path):
    _paint(tmp_path, "a/1.png", "a/2.png", "a/3.png")
    lines = "file,label\na/1.png,real\na\\1.png,fake\na/2.png,fake\n./a/2.png,fake\na/3.png,real\n"
    _write(tmp_path / "manifest.csv", lines)
    found, told = _read("manifest", tmp_path)
    assert [s.file for s in found] == ["a/2.png", "a/3.png"]
    assert "a/1.png is real in line 2 and fake in line 3: one of the two is wrong, so both are left out" in told[0]
    assert "line 5: a/2.png is already in line 4; it is read once" in told[1]


def test_datasets_read_every_picture_that_the_analyser_reads_and_tell_the_others(tmp_path):
    endings = sorted(media.SUFFIXES)
    _paint(tmp_path, *(f"real/{n}{ending}" for n, ending in enumerate(endings)), "fake/a.GIF")
    for name in ("real/b.psd", "real/c.PSD", "fake/d.jpg_large", "fake/notes", "fake/.hidden", "fake/Thumbs.db"):
        _write(tmp_path / name, "x")
    found, told = _read("folder", tmp_path)
    assert len(found) == len(endings) + 1
    assert any("real that are no pictures we read are left out: 2 .psd" in sentence for sentence in told)
    assert any("left out: 1 .jpg_large, 1 without an ending" in sentence for sentence in told)


def test_a_manifest_must_be_text_and_one(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"file,label\n\xff\xfe,real\n")
    with pytest.raises(InputError, match="not UTF-8"):
        _read("manifest", tmp_path)
    _write(tmp_path / "b.csv", "file,label\n")
    with pytest.raises(InputError, match=r"found a\.csv, b\.csv\. Give the file itself"):
        _read("manifest", tmp_path)


def test_a_mask_that_is_no_picture_is_said_when_it_is_loaded(tmp_path):
    _paint(tmp_path, "1.png")
    _write(tmp_path / "m.png", "not a picture")
    _write(tmp_path / "manifest.csv", "file,label,mask\n1.png,fake,m.png\n")
    found, _ = _read("manifest", tmp_path)
    with pytest.raises(UnreadableMedia, match=r"m\.png: expected a picture of the forged pixels"):
        found[0].truth.mask()
    (tmp_path / "m.png").write_bytes(_encoded(_mask() // 255))
    assert found[0].truth.mask().max() == 1.0, "a mask of zeros and ones is one too"


def test_mmtt_is_read_from_the_hubs_tables_as_from_its_lists(tmp_path):
    face, mask = _encoded(1), _encoded(_mask())
    rows = [
        {"image": {"bytes": face, "path": None}, "mask": {"bytes": mask, "path": None}, "image_id": f"{kind}_7_{n}",
         "img_path": f"dataset/celeb512/{kind}/7.png", "caption": "The left eye is too large."}
        for n, kind in enumerate(("sd", "e4s"))
    ]  # fmt: skip
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "train-00000-of-00001.parquet")
    empty = [dict(rows[0], image={"bytes": None, "path": None}, img_path="dataset/celeb512/sd/8.png"), rows[1]]
    pq.write_table(pa.Table.from_pylist(empty), tmp_path / "data" / "test-00000-of-00001.parquet")
    samples, told = _read("mmtt", tmp_path)
    assert [s.split for s in samples] == ["train", "train", "test"]
    assert samples[0].truth.method == "diffusion inpainting" and samples[1].truth.kind == "identity_exchange"
    assert samples[0].image == face and set(np.unique(samples[0].truth.mask())) <= {0.0, 1.0}
    assert samples[0].truth.texts == ("The left eye is too large.",) and "left_eye" in str(samples[0].truth.regions)
    assert samples[0].group == samples[1].group != samples[2].group, "a portrait in two splits is told and named apart"
    assert any("two official splits" in t for t in told) and any("expected an encoded picture" in t for t in told)
    pq.write_table(pa.Table.from_pylist([{"image": face, "mask": mask}]), tmp_path / "data" / "test-1.parquet")
    with pytest.raises(InputError, match="caption"):
        _read("mmtt", tmp_path)


def test_mmtt_joins_reports_of_one_picture_and_tells_its_methods(tmp_path):
    _mmtt(tmp_path)
    found, told = _read("mmtt", tmp_path)
    said = [(s.truth.method, s.truth.kind, s.split, s.group) for s in found]
    assert said == [
        ("MAT inpainting", "attribute_manipulation", "train", "celeb512/7"),
        ("E4S", "identity_exchange", "train", "celeb512/7"),
        ("diffusion inpainting", "attribute_manipulation", "val", "FFHQ512/00012"),
        ("attribute editing", "attribute_manipulation", "val", "face_attribute_image/31"),
    ]
    assert found[0].truth.texts == ("The left eye is too large.", "The nose is blurred.")
    assert found[0].truth.regions == {"left_eye", "nose"} and found[0].truth.mask().sum() == 8
    assert len(told) == 1 and "test-mutilabel-simple.json" in told[0]


def test_what_mmtt_lacks_is_told(tmp_path):
    _mmtt(tmp_path)
    (tmp_path / "dataset/celeb512/mat_gan/7.png").unlink()
    (tmp_path / "dataset/celeb512/e4s/7_mask.png").unlink()
    found, told = _read("mmtt", tmp_path, "train")
    assert [s.truth.mask for s in found] == [None]
    assert "mat_gan/7.png, listed in train-mutilabel-simple.json, does not exist" in told[0] and "7_mask.png" in told[1]
    with pytest.raises(InputError, match="expected pictures for the split 'test'"):
        _read("mmtt", tmp_path, "test")


def test_what_is_wrong_with_mmtts_lists_is_said(tmp_path):
    _mmtt(tmp_path)
    again = [_mmtt_entry("celeb512/e4s/7", "e4s", 9, "Once more.")]
    _write(tmp_path / "test-mutilabel-simple.json", again)
    with pytest.raises(InputError, match=r"e4s/7\.png is in the splits train and test"):
        _read("mmtt", tmp_path)
    _paint(tmp_path, "dataset/celeb512/sd/7.png")
    _write(tmp_path / "test-mutilabel-simple.json", [_mmtt_entry("celeb512/sd/7", "sd", 9, "Once more.")])
    assert [s.truth.kind for s in _read("mmtt", tmp_path, "test")[0]] == ["attribute_manipulation"]
    table = tmp_path / "train-mutilabel-simple.json"
    for content, sentence in (
        (again * 2, "instance_id 00009 is there twice"),
        ({}, "expected a list"),
        ([{"image_id": "sd_1"}], "entry 0: expected text for img_path, mask_path, caption"),
        ("[{", "is not JSON"),
    ):
        _write(table, content)
        with pytest.raises(InputError, match=sentence):
            _read("mmtt", tmp_path)


def test_sets_of_ow_ffa_bench_are_datasets_of_their_own(tmp_path):
    _ffa_vqa(tmp_path)
    found, told = _read("ffa_vqa", tmp_path)
    said = {(s.dataset, Path(s.file).name): (s.truth.label, s.truth.method, s.truth.kind, s.split) for s in found}
    assert said["OW-FFA-Bench/dfd", "fake_1.png"] == ("fake", "DeepFakeDetection", "identity_exchange", "test")
    assert said["OW-FFA-Bench/dfd", "real_1.png"] == ("real", "pristine", "pristine", "test")
    assert said["OW-FFA-Bench/pgc", "a.png"] == ("fake", "PGGAN", "entire_synthesis", "test")
    assert said["Multi-attack", "a.png"] == ("fake", None, "entire_synthesis", "test")
    assert said["FFA-VQA/vqa", "c.png"] == ("fake", None, "identity_exchange", "train")
    asked = next(s for s in found if s.file == "vqa/imgs/c.png").truth
    assert asked.questions is not None and list(asked.questions) == ["Is it real or fake? Why?"]
    assert "waxen" in asked.texts[0] and len(found) == 7
    assert len([t for t in told if "is absent" in t]) == 4, "dfdc, dpf, mffdi and wfir"
    one, told = _read("ffa_vqa", tmp_path / "dfd")
    assert [s.file for s in one] == ["imgs/fake_1.png", "imgs/real_1.png"] and not told


def test_what_is_wrong_with_ow_ffa_bench_is_said(tmp_path):
    _ffa_vqa(tmp_path)
    (tmp_path / "dfd/imgs/fake_1.png").unlink()
    (tmp_path / "ma/ma.json").unlink()
    told = _read("ffa_vqa", tmp_path)[1]
    assert any("dfd/imgs/fake_1.png" in t for t in told) and any("ma.json" in t for t in told)
    talk = [{"image": "a.png", "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "Hm."}]}]
    for content, sentence in (
        ({"a.png": "unsure"}, "a.png: expected real or fake, got 'unsure'"),
        ({"a.png": []}, "expected real or fake"),
        ("{", "is not JSON"),
        (3, "expected a label for each picture"),
        ([{"image": "a.png"}], "entry 0: expected image and conversations"),
        (talk, "expected one 'Analysis result', real or fake, found none"),
    ):
        _write(tmp_path / "pgc/pgc.json", content)
        with pytest.raises(InputError, match=sentence):
            _read("ffa_vqa", tmp_path / "pgc")


def test_digits_of_a_name_say_what_was_edited(tmp_path):
    _region_coded(tmp_path)
    _paint(tmp_path, "training_fake/hard_4_0000.jpg", "training_fake/copy of easy.jpg")
    found, told = _read("region_coded", tmp_path)
    assert {Path(s.file).stem: s.truth.regions for s in found if s.truth.label == "fake"} == {
        "easy_1_1010": {"left_eye", "nose"},
        "mid_2_0001": {"mouth"},
        "hard_3_1111": {"left_eye", "right_eye", "nose", "mouth"},
    }
    assert [s.truth.regions for s in found if s.truth.label == "real"] == [frozenset()] * 2
    assert len(told) == 2 and all("expected a name such as easy_1_1010.jpg" in t for t in told)


def test_half_of_whichfaceisreal_is_told(tmp_path):
    _paint(tmp_path, "whichfaceisreal/0_real/1.png", "progan/0_real/2.png")
    found, told = _read("whichfaceisreal", tmp_path)
    assert [s.file for s in found] == ["whichfaceisreal/0_real/1.png"]
    assert len(told) == 1 and "1_fake holds no picture" in told[0]


def test_openforensics_gives_each_face_with_its_outline(tmp_path):
    _openforensics(tmp_path)
    found, told = _read("openforensics", tmp_path, "train")
    assert [(s.truth.label, s.box, s.file, s.group) for s in found] == [
        ("real", (0, 0, 3, 4), "Train/a.png", "Train/a"),
        ("fake", (2, 2, 6, 6), "Train/a.png", "Train/a"),
    ]
    mask = found[1].truth.mask()
    assert isinstance(mask, Mask) and found[0].truth.mask is None
    drawn = geometry.place(mask, 8, 8)
    assert drawn.sum() == 18 and drawn[2:6, 2:6].all() and drawn[4:6, 6].all(), "parts that overlap are no hole"
    assert not told
    assert sum("does not exist; download it" in t for t in _read("openforensics", tmp_path)[1]) == 2


def test_what_is_wrong_with_openforensics_is_said(tmp_path):
    _openforensics(tmp_path)
    table = tmp_path / "Train_poly.json"
    good = json.loads(table.read_text())
    (tmp_path / "Train/a.png").rename(tmp_path / "Train/z.png")
    with pytest.raises(InputError, match="expected pictures for the split 'train'"):
        _read("openforensics", tmp_path, "train")
    (tmp_path / "Train/z.png").rename(tmp_path / "Train/a.png")
    flat = good | {"annotations": [good["annotations"][1], good["annotations"][0] | {"bbox": [1, 1, 0, 2]}]}
    _write(table, flat)
    found, told = _read("openforensics", tmp_path, "train")
    assert len(found) == 1 and "empty box" in told[0]
    for change, sentence in (
        ({"images": good["images"] * 2}, "the image id 5 is there twice"),
        ({"categories": [{"id": 0, "name": "cat"}]}, "expected the categories Real and Fake, got cat"),
        ({"annotations": [good["annotations"][0] | {"category_id": 4}]}, "annotation 0: expected category_id"),
        ({"annotations": [good["annotations"][0] | {"bbox": [1]}]}, "annotation 0: expected category_id and a bbox"),
        *(
            (
                {"annotations": [good["annotations"][1] | {"segmentation": [[0, 0, 4, 0, 4, odd]]}]},
                "segmentation of numbers",
            )
            for odd in (None, "4", [], float("nan"), 1e9)
        ),
        ({"images": [{"id": 1}]}, "of MS-COCO .KeyError.'file_name'"),
        ({"images": [{"id": [1], "file_name": "a.png"}]}, "of MS-COCO .TypeError"),
    ):
        _write(table, good | change)
        with pytest.raises(InputError, match=sentence):
            _read("openforensics", tmp_path, "train")


def test_dffd_groups_edits_of_one_face(tmp_path):
    _dffd(tmp_path)
    found, told = _read("dffd", tmp_path, "train")
    said = {Path(s.file).stem: (s.truth.label, s.truth.method, s.truth.kind, s.group) for s in found}
    assert said["R_FFHQ_00"] == ("real", "pristine", "pristine", "ffhq/00")
    assert said["F_FAP0_00-3"][3] == said["F_FAP0_00-4"][3] == "faceapp/00"
    assert said["F_SyCA_00"][1:] == ("stylegan_celeba", "entire_synthesis", "stylegan_celeba/00")
    assert said["x_00"][2] == "attribute_manipulation" and not told
    (tmp_path / "stargan/test/F_STGN_02-19.png").unlink()
    assert ["stargan/test" in t for t in _read("dffd", tmp_path)[1]] == [True]


def test_parquet_from_the_hub_is_read_with_its_label_names(tmp_path):
    _huggingface(tmp_path)
    found, told = _read("huggingface", tmp_path)
    assert [(s.truth.label, s.split) for s in found] == [
        ("real", "train"),
        ("fake", "train"),
        ("real", "val"),
        ("fake", "val"),
    ]
    assert found[1].file == "data/train-00000-of-00001.parquet#1" and found[1].truth.texts == ("The nose is odd.",)
    assert found[1].truth.mask().sum() == 8 and found[0].truth.mask is None and not told
    assert np.asarray(Image.open(io.BytesIO(found[0].image))).shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"splits train, val, got 'test'"):
        _read("huggingface", tmp_path, "test")


def test_a_folder_saved_by_datasets_is_read(tmp_path):
    schema = pa.schema([("img", _IMAGE), ("label", pa.int64()), ("group", pa.string())])
    _paint(tmp_path, "kept/1.png")
    rows = [
        {"img": {"bytes": None, "path": "kept/1.png"}, "label": 0, "group": "p"},
        {"img": {"bytes": None, "path": "gone.png"}, "label": 1, "group": "p"},
        {"img": {"bytes": _encoded(), "path": None}, "label": 1, "group": "p"},
    ]
    _write(tmp_path / "dataset_dict.json", {"splits": ["train", "test"]})
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        _write(tmp_path / split / "dataset_info.json", {"features": {"label": {"names": ["Human", "AI"]}}})
        with pa.OSFile(str(tmp_path / split / "data-00000-of-00001.arrow"), "wb") as out:
            make = pa.ipc.new_stream if split == "train" else pa.ipc.new_file
            with make(out, schema) as writer:
                writer.write_table(pa.Table.from_pylist(rows, schema))
    found, told = _read("huggingface", tmp_path)
    assert [(s.file, s.truth.label, s.split) for s in found] == [
        ("test/data-00000-of-00001.arrow#0", "real", "test"), ("test/data-00000-of-00001.arrow#2", "fake", "test"),
        ("train/data-00000-of-00001.arrow#0", "real", "train"), ("train/data-00000-of-00001.arrow#2", "fake", "train"),
    ]  # fmt: skip
    assert sum("#1 has neither a picture" in t for t in told) == 2
    assert {s.group for s in found} == {"train/p", "test/p"} and "1 of 1 source videos or identities" in told[0]
    half = tmp_path / "train" / "data-00000-of-00001.arrow"
    for size, sentence in (
        (half.stat().st_size // 2 + 200, "could not be read to its end"),
        (9, "format arrow, could"),
    ):
        with half.open("r+b") as file:
            file.truncate(size)
        with pytest.raises(InputError, match=rf"arrow: .*{sentence}"):
            _read("huggingface", tmp_path)


def test_what_is_wrong_with_a_table_of_the_hub_is_said(tmp_path):
    table = tmp_path / "train.parquet"
    image = {"image": [{"bytes": _encoded(), "path": None}]}
    for columns, sentence in (
        ({"image": image["image"]}, "expected a column image and a column label"),
        (image | {"label": [1]}, "row 0: expected a label that says real or fake, got 1 .a number without a name"),
        (image | {"label": ["cat"]}, "row 0: expected a label that says real or fake, got 'cat'"),
    ):
        pq.write_table(pa.table(columns), table)
        with pytest.raises(InputError, match=sentence):
            _read("huggingface", tmp_path)
    table.write_bytes(b"PAR1, not")
    with pytest.raises(InputError, match=r"train\.parquet: expected a table in the format parquet, could not read it"):
        _read("huggingface", table)


def test_sid_set_has_two_kinds_of_fakes(tmp_path):
    _sid_set(tmp_path)
    found, told = _read("sid_set", tmp_path)
    assert [(s.truth.method, s.truth.kind, s.group) for s in found[:3]] == [
        ("pristine", "pristine", "000000000000"),
        ("tampered", None, "000000000000"),
        ("fully synthetic", "entire_synthesis", "flux_0"),
    ]
    assert found[1].truth.mask().sum() == 8 and [s.split for s in found] == ["train"] * 3 + ["val"] * 3
    assert len(told) == 1 and "'test', is absent; ask the authors" in told[0]


def test_what_is_wrong_with_sid_set_is_said(tmp_path):
    _sid_set(tmp_path)
    data = tmp_path / "data"
    (data / "train-00000-of-00001.parquet").rename(data / "train-00001-of-00003.parquet")
    assert "2 of 3 files train-*.parquet, number 0 first" in _read("sid_set", tmp_path, "train")[1][0]
    table = data / "validation-00000-of-00001.parquet"
    content = pq.read_table(table)
    odd = content.set_column(content.schema.get_field_index("label"), "label", pa.array([0, 7, 1]))
    for written, sentence in ((odd, "row 1: expected label 0"), (content.drop_columns(["mask"]), "mask missing")):
        pq.write_table(written, table)
        with pytest.raises(InputError, match=sentence):
            _read("sid_set", tmp_path, "val")
    table.write_bytes(b"half")
    with pytest.raises(InputError, match="could not be read as Parquet"):
        _read("sid_set", tmp_path, "val")


def test_celeba_keeps_its_official_split_and_identities(tmp_path):
    _celeba(tmp_path)
    (tmp_path / "Img/img_align_celeba/000002.jpg").unlink()
    found, told = _read("celeba", tmp_path)
    assert [(s.file[-10:], s.split, s.group) for s in found] == [
        ("000001.jpg", "train", "2880"), ("000003.jpg", "val", "7"), ("000004.jpg", "test", "9")]  # fmt: skip
    assert len(told) == 1 and "000002.jpg, listed in list_eval_partition.txt" in told[0]
    (tmp_path / "Anno/identity_CelebA.txt").unlink()
    found, told = _read("celeba", tmp_path)
    assert found[0].group == "000001.jpg" and "every picture is its own group" in told[0]
    for line, sentence in (
        ("000001.jpg 3", "expected 0 .train."),
        ("a b c", "line 1: expected a picture and a number"),
    ):
        _write(tmp_path / "Eval/list_eval_partition.txt", line)
        with pytest.raises(InputError, match=sentence):
            _read("celeba", tmp_path)


def test_all_of_pggan_and_gandiffface_is_fake(tmp_path):
    _pggan(tmp_path / "p")
    assert {(s.truth.label, s.truth.kind, s.split) for s in _read("pggan", tmp_path / "p")[0]} == {
        ("fake", "entire_synthesis", "all")}  # fmt: skip
    _gandiffface(tmp_path / "images_crops_112x112")
    found, told = _read("gandiffface", tmp_path)
    assert [s.group for s in found] == ["Asian_Female/73", "White_Male/73", "White_Male/73", "White_Male/74"]
    assert {s.truth.method for s in found} == {"GANDiffFace"} and len(told) == 8


def test_multiffdi_reads_its_lists(tmp_path):
    _multiffdi(tmp_path)
    found, told = _read("multiffdi", tmp_path / "phase1")
    assert [(s.file, s.truth.label, s.split) for s in found] == [
        ("trainset/a.jpg", "real", "train"),
        ("trainset/b.jpg", "fake", "train"),
        ("valset/c.jpg", "fake", "val"),
    ]
    (tmp_path / "phase1/trainset/a.jpg").unlink()
    (tmp_path / "phase1/valset_label.txt").unlink()
    told = _read("multiffdi", tmp_path)[1]
    assert "trainset/a.jpg, listed in" in told[0] and "the labels of the split 'val'" in told[1]
    for lines, sentence in (
        ("img_name,target\nb.jpg,2\n", "line 2: expected a picture and 0 or 1"),
        ("img_name,target\nb.jpg,1\nb.jpg,0\n", "b.jpg is there twice"),
        ("b.jpg,1\n", "expected the columns img_name,target"),
    ):
        _write(tmp_path / "phase1/trainset_label.txt", lines)
        with pytest.raises(InputError, match=sentence):
            _read("multiffdi", tmp_path)


# --------------------------------------------------------------------- what an official split divides, and odd content


def _divide(leaf: str, root: Path) -> None:
    """A miniature whose official split has one person, portrait or photograph on both sides."""
    PAINTERS[leaf](root)
    if leaf == "celeba":
        _write(root / "Anno/identity_CelebA.txt", "".join(f"{n:06d}.jpg 7\n" for n in range(1, 5)))
    elif leaf == "dffd":
        _paint(root, "faceapp/test/F_FAP0_00-9.png")
    elif leaf == "mmtt":
        _paint(root, "dataset/celeb512/sd/7.png")
        _write(root / "test-mutilabel-simple.json", [_mmtt_entry("celeb512/sd/7", "sd", 9, "Once more.")])
    elif leaf == "sid_set":
        data = root / "data"
        (data / "test-00000-of-00001.parquet").write_bytes((data / "train-00000-of-00001.parquet").read_bytes())
    else:
        rows = {"image": [_encoded()] * 2, "label": ["real", "fake"], "group": ["p", "p"], "split": ["train", "dev"]}
        pq.write_table(pa.table(rows), root / "more.parquet")


@pytest.mark.parametrize("leaf", ["celeba", "dffd", "huggingface", "mmtt", "sid_set"])
def test_a_group_that_the_split_divides_is_told_and_named_by_split(leaf, tmp_path):
    _divide(leaf, tmp_path)
    found, told = _read(leaf, tmp_path)
    assert sum("are in two official splits" in t for t in told) == 1
    splits_of: dict[str, set[str]] = {}
    for sample in found:
        splits_of.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    for split in {s.split for s in found}:
        alone, told = _read(leaf, tmp_path, split)
        assert any("are in two official splits" in t for t in told), "reading one split tells it too"
        assert [(s.file, s.group) for s in alone] == [(s.file, s.group) for s in found if s.split == split]


@pytest.mark.parametrize(
    ("leaf", "file"),
    [
        ("celeba", "Eval/list_eval_partition.txt"),
        ("multiffdi", "phase1/trainset_label.txt"),
        ("mmtt", "train-mutilabel-simple.json"),
        ("ffa_vqa", "dfd/dfd.json"),
        ("openforensics", "Train_poly.json"),
    ],
)
def test_a_list_that_is_no_text_is_said(leaf, file, tmp_path):
    PAINTERS[leaf](tmp_path)
    (tmp_path / file).write_bytes(b"\xff\xfe\x00half")
    with pytest.raises(InputError, match=rf"{Path(file).name} (could not be read as text|is not JSON)"):
        _read(leaf, tmp_path)


def test_an_empty_list_is_said(tmp_path):
    _multiffdi(tmp_path)
    _write(tmp_path / "phase1/trainset_label.txt", "")
    with pytest.raises(InputError, match="expected the columns img_name,target in its first line, got ''"):
        _read("multiffdi", tmp_path)


def test_a_list_cannot_name_a_file_outside_the_root(tmp_path):
    _paint(tmp_path, "secret.png")
    root = tmp_path / "sets"
    _ffa_vqa(root)
    _write(root / "dfd/dfd.json", {"../../../secret.png": "fake", str(tmp_path / "secret.png"): "real"})
    found, told = _read("ffa_vqa", root)
    assert not [s for s in found if "secret" in s.file] and sum("secret.png, listed" in t for t in told) == 2
    table = pa.table({"image": ["../secret.png", "dfd/imgs/real_1.png"], "label": ["real", "real"]})
    pq.write_table(table, root / "train.parquet")
    assert [s.file for s in _read("huggingface", root)[0]] == ["train.parquet#1"]


def test_a_column_names_the_splits_of_a_table(tmp_path):
    rows = {"image": [_encoded()] * 3, "label": ["real", "fake", "fake"], "split": ["train", "dev", "hard"]}
    pq.write_table(pa.table(rows), tmp_path / "all.parquet")
    assert [(s.split, s.file) for s in _read("huggingface", tmp_path, "val")[0]] == [("val", "all.parquet#1")]
    with pytest.raises(InputError, match=r"splits train, val, hard, got 'hart'\. Did you mean hard\?"):
        _read("huggingface", tmp_path, "hart")


def test_masks_of_mmtt_are_forged_wherever_they_are_not_black(tmp_path):
    _mmtt(tmp_path)
    mask = _mask() // 255 * np.uint8(17)  # as a map of classes has it
    (tmp_path / "dataset/celeb512/e4s/7_mask.png").write_bytes(_encoded(mask))
    loaded = next(s for s in _read("mmtt", tmp_path)[0] if s.truth.method == "E4S").truth.mask()
    assert np.array_equal(loaded, _mask() / np.float32(255)) and loaded.dtype == np.float32


def test_an_outline_that_is_no_polygon_gives_no_mask(tmp_path):
    _openforensics(tmp_path)
    table = tmp_path / "Train_poly.json"
    good = json.loads(table.read_text())
    for outline in ([2, 2, 6, 2, 6, 6], {"counts": "x", "size": [8, 8]}, [[2, 2, 6, 2]], None):
        _write(table, good | {"annotations": [good["annotations"][1] | {"segmentation": outline}]})
        assert [s.truth.mask for s in _read("openforensics", tmp_path, "train")[0]] == [None]


def test_a_mask_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    packer = zlib.compressobj(1)
    rows = packer.compress(bytes(100 * (1 + 40_000))) + packer.flush(zlib.Z_FULL_FLUSH)
    head, block = rows[:2], rows[2:]  # zlib's header; a block that refers to nothing before it can be repeated
    zeros = 300 * 100 * (1 + 40_000)
    body = head + 300 * block + b"\x03\x00" + struct.pack(">HH", zeros % 65_521, 1)  # the last block, Adler-32

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 30_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    (tmp_path / "mask.png").write_bytes(bomb)
    with pytest.raises(TooLarge, match="1,200 million pixels"):
        _disk.mask_of(tmp_path / "mask.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    with pytest.raises(UnreadableMedia, match="no file"):
        _disk.mask_of(tmp_path / "endless.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_mask_of_any_kind_is_turned_as_its_picture_is(kind: str, orientation: int):
    stored = np.zeros((48, 64), np.uint8)
    stored[:16, :16] = 255
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(stored).convert("RGB").save(file, kind, exif=exif, quality=95)
    turned = np.rot90(stored, 2 if orientation == 3 else -1) / 255
    mask = _disk.mask_in(file.getvalue())
    assert mask.shape == turned.shape and np.abs(mask - turned).mean() < 0.02


def test_a_mask_of_which_a_part_is_missing_is_refused():
    for kind, options in (("JPEG", {"quality": 90}), ("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})):
        file = io.BytesIO()
        Image.effect_noise((96, 96), 90).save(file, kind, **options)
        whole = file.getvalue()
        assert _disk.mask_in(whole).shape == (96, 96)
        end = b"\xff\xd9" if kind == "JPEG" else b""
        with pytest.raises(UnreadableMedia, match=r"a part is missing|could not decode it"):
            _disk.mask_in(whole[: len(whole) // 2] + end)


def test_what_opencv_says_of_a_damaged_mask_does_not_reach_standard_error(capfd):
    file = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(file, "TIFF", compression="tiff_adobe_deflate")
    whole = file.getvalue()
    _disk.mask_in(whole)
    with pytest.raises(UnreadableMedia, match="could not decode it"):
        _disk.mask_in(whole[:8] + bytes(2_000) + whole[2_008:])
    assert capfd.readouterr() == ("", "")


def test_a_mask_is_upright_as_its_exif_says_and_one_on_its_side_is_refused(tmp_path):
    stored = np.zeros((30, 40), np.uint8)
    stored[:10, :5] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG", exif=exif)
    np.testing.assert_array_equal(_disk.mask_in(buffer.getvalue()), np.rot90(stored, -1) / 255)
    geometry.check_fits(_disk.mask_in(buffer.getvalue()), 400, 300)
    plain = io.BytesIO()
    Image.fromarray(stored).save(plain, "PNG")
    with pytest.raises(InputError, match="got 40 × 30, which lies on its side"):
        geometry.check_fits(_disk.mask_in(plain.getvalue()), 400, 300)
    for shape in ((400, 300), (40, 30), (200, 151), (14, 10), (405, 300)):
        geometry.check_fits(np.zeros(shape, np.float32), 400, 300)
    for shape in ((300, 300), (100, 301), (400, 320), (4, 300)):
        with pytest.raises(InputError, match="expected one of the picture's proportions, 300 × 400"):
            geometry.check_fits(np.zeros(shape, np.float32), 400, 300)


def test_masks_are_not_loaded_while_listing(tmp_path, monkeypatch):
    def loaded(*_: object) -> None:
        raise AssertionError("a mask was loaded")

    for leaf in ("manifest", "mmtt", "openforensics", "huggingface", "sid_set"):
        PAINTERS[leaf](tmp_path / leaf)
        module = plugins.get("datasets", leaf)
        for name in ("mask_of", "mask_in", "_mask"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, loaded)
        assert any(callable(s.truth.mask) for s in _read(leaf, tmp_path / leaf)[0])


# ------------------------------------------------------------------------------------------------ the painted faces


def test_painted_forgeries_equal_their_counterparts_outside_their_masks():
    painted = plugins.get("datasets", "painted")
    found = list(painted.samples())
    assert (sum(s.truth.label == "real" for s in found), sum(s.truth.label == "fake" for s in found)) == (24, 30)
    assert len({s.file for s in found}) == 54 and {s.split for s in found} == set(painted.SPLITS)
    assert len({(s.group, s.split) for s in found}) == len({s.group for s in found}), "a group is in two splits"
    pixels = {s.file: np.asarray(Image.open(io.BytesIO(s.image)), np.int32) for s in found}
    for sample in found:
        mask = sample.truth.mask()
        assert (
            mask.shape == (256, 256) and mask.dtype == np.float32 and (mask.max() > 0) == (sample.truth.label == "fake")
        )
        assert bool(sample.truth.regions) == (sample.truth.label == "fake") and sample.truth.texts
        if sample.original is not None:
            changed = np.abs(pixels[sample.file] - pixels[sample.original]).max(axis=-1)
            assert not changed[mask == 0].any() and changed[mask > 0.9].any()
    assert [s.image for s in painted.samples(split="test")] == [s.image for s in found if s.split == "test"]
