"""Questions and answers about self-made forgeries: what is said is what was done, and both survive the disk."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
pq = pytest.importorskip("pyarrow.parquet")

from facewitness import plugins, regions  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.builders import chats, sbi_qa  # noqa: E402
from facewitness.builders.sbi_qa import Pristine  # noqa: E402
from facewitness.errors import InputError, UnknownName  # noqa: E402
from facewitness.types import Face  # noqa: E402


def painted(number: int, size: int = 160) -> Pristine:
    """A face in flat colours with a camera's grain, its features where the average mesh has them."""
    rng = np.random.default_rng(number)
    mesh = (regions.average_landmarks()[:, :2] - (0.5, 0.5)) * size * 0.62 + size * np.array([0.5, 0.52])
    points = (mesh + rng.uniform(-3, 3, 2)).astype(np.float32)
    canvas = np.full((size, size, 3), rng.uniform(60, 120, 3), np.float32)
    for name in ("face", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye", "nose", "mouth", "chin"):
        rings = [np.rint(ring).astype(np.int32) for ring in regions.polygons(name, points)]
        cv2.fillPoly(canvas, rings, rng.uniform(40, 220, 3).tolist())
    canvas = cv2.GaussianBlur(canvas, (0, 0), 1.0) + rng.normal(0, 6, canvas.shape)
    pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Pristine(f"person/{number}.png", pixels, points, f"identity {number // 2}")


FACES = [painted(n) for n in range(8)]


@pytest.fixture(scope="module")
def items():
    return list(sbi_qa.build(FACES, seed=5, copies=3, size=128))


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def fields(item) -> dict:
    return dataclasses.asdict(item)


def test_equation_6_alone_can_be_asked_for(tmp_path, monkeypatch):
    """Poisson blending and no change of colours: the data of the paper's second stage could not be made so."""
    forge, asked = plugins.get("forge", "region_edit").forge, []

    def spy(*given, **options):
        made = forge(*given, **options)
        asked.append((options["blends"], options["changed"], [s for s in made.record if s["operation"] == "change"]))
        return made

    monkeypatch.setattr(plugins.get("forge", "region_edit"), "forge", spy)
    monkeypatch.setattr(sbi_qa, "pristine", lambda *_, **__: iter(FACES[:4]))
    command = ["build", "sbi_qa", "folder", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*command, "--blends", "poisson", "--changed", "0"]) == 0
    assert len(asked) >= 4 and all(told == (["poisson"], 0.0, []) for told in asked)
    asked.clear()
    assert main(command) == 0
    assert all(told[:2] == (("poisson", "poisson", "alpha"), 0.7) for told in asked) and any(told[2] for told in asked)
    assert main([*command, "--changed", "2"]) == 2


def test_every_forged_face_stands_beside_its_pristine_one(items):
    assert len(items) == len(FACES) * 3 * 4
    verdicts = [i for i in items if i.asked is None]
    assert Counter(i.label for i in verdicts) == {"real": 24, "fake": 24}
    groups = {face.file: face.group for face in FACES}
    assert all(i.group == groups[i.original] and i.file.startswith(i.original) for i in items)


def test_the_mask_holds_every_changed_pixel_and_changed_pixels_fill_it(items):
    real = {i.original: picture(i.image) for i in items if i.label == "real"}
    for item in {i.file: i for i in items if i.label == "fake"}.values():
        forged, mask = picture(item.image), picture(item.mask)
        assert forged.shape == (128, 128, 3) and mask.shape == (128, 128) and mask.dtype == np.uint8
        changed = (forged != real[item.original]).any(axis=2)
        assert not changed[mask == 0].any()
        assert changed[mask >= 128].mean() > 0.7
    assert all(i.mask is None and i.regions == () for i in items if i.label == "real")


def test_regions_named_are_those_that_changed():
    for item in sbi_qa.build(FACES[:4], seed=2, copies=3, size=None):
        if item.label == "real" or item.asked is not None:
            continue
        pristine = next(f for f in FACES if f.file == item.original)
        difference = np.abs(picture(item.image).astype(int) - pristine.pixels).mean(axis=2)
        assert 1 <= len(item.regions) <= 3 and len(set(item.regions)) == len(item.regions)
        inside = np.zeros(difference.shape, np.uint8)
        for name in item.regions:
            own = np.zeros_like(inside)
            cv2.fillPoly(own, [np.rint(r).astype(np.int32) for r in regions.polygons(name, pristine.landmarks)], 1)
            assert difference[own > 0].mean() > 0.8, f"{name} did not change"
            inside |= own
        near = cv2.dilate(inside, np.ones((31, 31), np.uint8))
        assert difference[near == 0].sum() == 0, "something else changed"
        for name in item.regions:
            assert regions.title(name) in item.answer
        others = set(sbi_qa.CHOICES) - set(item.regions)
        assert not any(re.search(rf"the {regions.title(name)}\b", item.answer) for name in others)


def test_yes_means_fake_and_is_as_frequent_as_no(items):
    said = Counter()
    for item in items:
        yes = item.answer.startswith("Yes")
        assert yes != item.answer.startswith("No")
        expected = item.label == "fake" if item.asked is None else item.asked in item.regions
        assert yes == expected
        said[item.asked is not None, yes] += 1
        if item.asked is not None:
            assert regions.title(item.asked) in item.question
    assert said[False, True] == said[False, False] and said[True, True] == said[True, False]
    noes = [i for i in items if i.asked is not None and i.asked not in i.regions]
    assert {i.label for i in noes} == {"real", "fake"}, "a no says nothing of the verdict"


def test_a_region_denied_on_a_forged_face_was_left_alone(items):
    real = {i.original: picture(i.image).astype(int) for i in items if i.label == "real"}
    for item in (i for i in items if i.label == "fake" and i.asked is not None and i.asked not in i.regions):
        face = next(f for f in FACES if f.file == item.original)
        _, points = sbi_qa._cropped(face, 128, 1.3)
        own = np.zeros((128, 128), np.uint8)
        cv2.fillPoly(own, [np.rint(r).astype(np.int32) for r in regions.polygons(item.asked, points)], 1)
        assert np.abs(picture(item.image) - real[item.original])[own > 0].mean() < 0.5
        assert all(regions.title(name) in item.answer for name in item.regions)


@pytest.mark.parametrize(("elsewhere", "labels"), [(0.0, {"real"}), (1.0, {"fake"})])
def test_more_can_be_asked_about_places_and_where_the_no_is_said(elsewhere, labels):
    asked = [i for i in sbi_qa.build(FACES, seed=5, size=128, pairs=4, elsewhere=elsewhere) if i.asked is not None]
    assert len(asked) == len(FACES) * 4 * 2
    assert Counter(i.answer.startswith("Yes") for i in asked) == {True: 32, False: 32}
    assert {i.label for i in asked if i.answer.startswith("No")} == labels
    assert all(i.answer.startswith("Yes") == (i.asked in i.regions) for i in asked)


def test_words_vary_and_each_prompt_says_all(items):
    for column, least in (("description", 6), ("question", 20), ("answer", 40)):
        assert len({getattr(i, column) for i in items}) >= least
    combinations = len(sbi_qa.DESCRIPTIONS) * len(sbi_qa.VERDICT_QUESTIONS)
    assert combinations >= 36
    assert all(i.prompt == f"{i.description} {i.question}" and i.score is None for i in items)
    assert not any("{" in i.question + i.answer + i.prompt for i in items)


def test_words_agree_in_number():
    assert sbi_qa._about("{Be} the {region} fake?", "left_eye") == "Is the left eye fake?"
    assert sbi_qa._about("{Have} the {region} been altered?", "teeth") == "Have the teeth been altered?"


def test_the_detector_sees_the_picture_asked_about_and_is_quoted():
    seen = []

    def detector(pixels):
        seen.append(pixels.copy())
        return 0.25 if len(seen) % 2 else 0.931

    made = list(sbi_qa.build(FACES[:1], size=64, detector=detector))
    scores = {i.label: i.score for i in made}
    assert scores == {"real": 0.25, "fake": 0.931}
    assert all(np.array_equal(picture(i.image), seen[i.label == "fake"]) for i in made)
    fake = next(i for i in made if i.label == "fake")
    assert fake.prompt == f"{fake.description} The KFD detector gives a forgery score of 0.93. {fake.question}"


def test_the_seed_alone_decides(items):
    again = list(sbi_qa.build(FACES[::-1], seed=5, copies=3, size=128))
    assert sorted(map(repr, map(fields, again))) == sorted(map(repr, map(fields, items)))
    other = list(sbi_qa.build(FACES, seed=6, copies=3, size=128))
    assert [i.image for i in other if i.label == "fake"] != [i.image for i in items if i.label == "fake"]


def test_parquet_gives_back_what_went_in_and_keeps_shared_pictures_once(items, tmp_path):
    path = sbi_qa.write_parquet(iter(items), tmp_path / "deep" / "sbi_qa.parquet", rows=20)
    rows = pq.read_table(path).to_pylist()
    assert rows == [{**fields(i), "regions": list(i.regions)} for i in items]
    assert set(rows[0]) == {f.name for f in dataclasses.fields(sbi_qa.Item)}
    whole = sbi_qa.write_parquet(items, tmp_path / "whole.parquet")
    assert whole.stat().st_size < 0.75 * sum(len(i.image) + len(i.mask or b"") for i in items)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["sbi_qa.parquet"]


def test_chat_is_read_back_with_its_pictures(items, tmp_path):
    path = sbi_qa.write_chat(items, tmp_path)
    chat = json.loads(path.read_text())
    assert len(chat) == len(items)
    for item, entry in zip(items, chat, strict=True):
        user, assistant = entry["messages"]
        assert user == {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": item.prompt}],
        }
        assert assistant == {"role": "assistant", "content": [{"type": "text", "text": item.answer}]}
        (image,) = entry["images"]
        assert (tmp_path / image).read_bytes() == item.image
    assert len(list((tmp_path / "images").iterdir())) == len({i.file for i in items})


@pytest.mark.parametrize("write", [sbi_qa.write_parquet, sbi_qa.write_chat])
def test_what_cannot_be_finished_leaves_no_table(write, items, tmp_path):
    def broken():
        yield items[0]
        raise RuntimeError("the data ran out")

    with pytest.raises(RuntimeError):
        write(broken(), tmp_path / "out")
    with pytest.raises(InputError, match="at least one pristine face"):
        write([], tmp_path / "out")
    assert not (tmp_path / "out").is_file() and not (tmp_path / "out" / "chat.json").exists()


def test_a_face_that_cannot_be_forged_is_told_and_left_out():
    flat = dataclasses.replace(FACES[0], file="flat.png", pixels=np.full((160, 160, 3), 90, np.uint8))
    line = dataclasses.replace(FACES[0], file="line.png", landmarks=np.zeros((468, 2), np.float32))
    lost = dataclasses.replace(FACES[0], file="lost.png", landmarks=np.full((468, 2), np.nan, np.float32))
    told = []
    blends, choices = ("poisson",), ("nose",)  # a flat picture moved and blended without a seam is the same picture
    made = list(sbi_qa.build([flat, line, lost, FACES[1]], size=96, blends=blends, choices=choices, tell=told.append))
    assert {i.original for i in made} == {FACES[1].file}
    assert [sentence.split(":")[0] for sentence in told] == ["flat.png", "line.png", "lost.png"]


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'nose'"):
        list(sbi_qa.build(FACES, choices=("noose",)))
    with pytest.raises(UnknownName, match="blend"):
        list(sbi_qa.build(FACES, blends=("poison",)))
    with pytest.raises(InputError, match="at least 1"):
        list(sbi_qa.build(FACES, copies=0))
    with pytest.raises(InputError, match="share from 0 to 1"):
        list(sbi_qa.build(FACES, elsewhere=1.5))
    with pytest.raises(InputError, match=r"expected turns from 1 to .*, got 1,000,000"):
        sbi_qa.of_turns(1_000_000)
    with pytest.raises(InputError, match="expected copies and pairs of at most 1,000, got 99,999,999 and 1"):
        list(sbi_qa.build(FACES, copies=99_999_999))


class AverageFace:
    """A finder that lays the average mesh where painted portraits have it."""

    def find(self, frame):
        points = (regions.average_landmarks()[:, :2] - 0.5) * frame.height * 0.55 + frame.height * 0.51
        points = points.astype(np.float32)
        (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
        return (Face(frame.at, (x1, y1, x2, y2), points),)


def test_the_command_builds_from_the_real_pictures_of_a_dataset(tmp_path, monkeypatch, capsys):
    from facewitness.finders import facemesh

    monkeypatch.setattr(facemesh, "load", AverageFace)
    out = tmp_path / "out"
    assert main(["build", "sbi_qa", "painted", str(tmp_path), "--split", "val", "--faces", "2", "--out", str(out)]) == 0
    rows = pq.read_table(out / "sbi_qa.parquet").to_pylist()
    assert len(rows) == 8 and len({r["original"] for r in rows}) == 2
    assert all("swap" not in r["original"] and "edit" not in r["original"] for r in rows)
    assert len(json.loads((out / "chat.json").read_text())) == 8
    assert "8 questions about 4 pictures" in capsys.readouterr().out
    assert main(["build", "sbi_qa", "painted", str(tmp_path), "--split", "dev", "--out", str(out)]) == 2
    assert "Unknown split" in capsys.readouterr().err


def test_every_other_face_is_a_part_of_the_whole_dataset(tmp_path, monkeypatch):
    from facewitness.finders import facemesh

    monkeypatch.setattr(facemesh, "load", AverageFace)
    names = [face.file for face in sbi_qa.pristine("painted", tmp_path, "val")]
    assert len(names) > 3
    assert [face.file for face in sbi_qa.pristine("painted", tmp_path, "val", every=2)] == names[::2]


def test_the_command_asks_a_saved_detector_at_its_own_size(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from facewitness.finders import facemesh
    from facewitness.models.kfd import KFD, SmallEncoders

    torch.manual_seed(0)
    encoders = SmallEncoders("mobilenetv2_035", strides=(8, 16), size=64, text_width=8)
    model = KFD(encoders, text=False, width=4, pool=2, hidden=8).eval()
    model.save(tmp_path / "kfd.safetensors")
    monkeypatch.setattr(facemesh, "load", AverageFace)
    chosen = ["--faces", "1", "--out", str(tmp_path), "--detector", str(tmp_path / "kfd.safetensors")]
    assert main(["build", "sbi_qa", "painted", str(tmp_path), *chosen]) == 0
    for row in pq.read_table(tmp_path / "sbi_qa.parquet").to_pylist():
        pixels = torch.tensor(picture(row["image"])).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            assert row["score"] == pytest.approx(float(model(pixels).score), abs=1e-6)
    assert main(["build", "sbi_qa", "painted", str(tmp_path), *chosen[:-1], str(tmp_path / "absent.safetensors")]) == 2


def test_the_edits_are_a_dataset_that_other_builders_take(items, tmp_path):
    sbi_qa.write_parquet(items, tmp_path / "sbi_qa.parquet")
    samples = list(plugins.get("datasets", "sbi_qa").samples(tmp_path, "val"))
    verdicts = {item.file: item for item in reversed(items) if item.asked is None}  # the first that is said of each
    assert [sample.file for sample in samples] == list(dict.fromkeys(item.file for item in items)), "each once"
    for sample in samples:
        item = verdicts[sample.file]
        assert (sample.truth.label, sample.group, sample.split) == (item.label, item.group, "val")
        assert sample.truth.texts == (item.answer,) and sample.truth.questions == {item.question: (item.answer,)}
        assert sample.truth.regions <= set(regions.MARE) and bool(sample.truth.regions) == bool(item.regions)
        if item.label == "fake":
            assert sample.original in verdicts and sample.truth.mask().max() > 0.5 and sample.truth.mask().ndim == 2
    assert next(iter(plugins.get("datasets", "sbi_qa").samples(tmp_path / "sbi_qa.parquet"))).split == "train"
    pq.write_table(pa.table({"file": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="expected a table of builders/sbi_qa; image, mask"):
        list(plugins.get("datasets", "sbi_qa").samples(tmp_path / "other.parquet"))


def test_a_conversation_asks_for_the_verdict_first_and_after_each_region_once(tmp_path):
    faces = [painted(n) for n in range(4)]
    items = list(sbi_qa.build(faces, seed=3, copies=2, size=128, pairs=4, elsewhere=0.5))
    talks = list(sbi_qa.conversations(items, 3))
    assert {len(talk) for talk in talks} <= {1, 2, 3} and any(len(talk) == 3 for talk in talks)
    assert len(talks) == sum(item.asked is None for item in items)  # every verdict opens one
    for talk in talks:
        assert talk[0].asked is None and len({item.image for item in talk}) == 1
        regions_asked = [item.asked for item in talk[1:]]
        assert None not in regions_asked and len(set(regions_asked)) == len(regions_asked)
    path = sbi_qa.write_chat(items, tmp_path, turns=3)
    examples = chats.read(path)
    assert len(examples) == sum(map(len, talks))
    last = next(example for example in examples if len(example.before) == 5)
    asked = [text for role, text in last.before if role == "user"]
    assert any(asked[0].startswith(text) for text in sbi_qa.DESCRIPTIONS)
    assert not any(text.startswith(tuple(sbi_qa.DESCRIPTIONS)) for text in asked[1:])
    assert sbi_qa.write_chat(items, tmp_path / "single").read_text(encoding="utf-8").count('"user"') == len(items)
