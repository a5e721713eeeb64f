"""DMA: what people wrote gets the boxes of what they named, and what cannot be used is counted, not raised."""

from __future__ import annotations

import dataclasses
import io
import json
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'bench'")

from facewitness import plugins, regions  # noqa: E402
from facewitness.apps.cli import main  # noqa: E402
from facewitness.builders import _disk, dma  # noqa: E402
from facewitness.errors import InputError, WeightsError  # noqa: E402
from facewitness.grammars import mare  # noqa: E402
from facewitness.train.rewards import Rewards  # noqa: E402
from facewitness.types import Face, Mask, Quality, Sample, Truth  # noqa: E402

SIDE = 160


def mesh(centre=(0.5, 0.5), scale=0.6, side=SIDE) -> np.ndarray:
    """The average face, so many times as large as the picture."""
    points = (regions.average_landmarks()[:, :2] - 0.5) * scale + np.array(centre)
    return (points * side).astype(np.float32)


def painted(points=None, side=SIDE, seed=0) -> bytes:
    canvas = np.full((side, side, 3), 90, np.float32)
    for colour, name in enumerate(("face", "left_eye", "right_eye", "nose", "mouth")):
        rings = [
            np.rint(ring).astype(np.int32) for ring in regions.polygons(name, mesh() if points is None else points)
        ]
        cv2.fillPoly(canvas, rings, [60 + 40 * colour, 200 - 30 * colour, 120])
    canvas += np.random.default_rng(seed).normal(0, 4, canvas.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


class Placed:
    """A finder that knows where its faces are: one each of these meshes, None for a face without one."""

    def __init__(self, *meshes):
        self.meshes = meshes

    def find(self, frame):
        boxes = [(0.0, 0.0, 9.0, 9.0) if m is None else (*m.min(axis=0), *m.max(axis=0)) for m in self.meshes]
        return tuple(Face(frame.at, tuple(map(float, box)), m) for box, m in zip(boxes, self.meshes, strict=True))


def sample(text="It looks fake. The nose is blurred.", label="fake", number=0, **more) -> Sample:
    truth = more.pop("truth", None) or Truth(label, texts=(text,) if isinstance(text, str) else text)
    content = more.pop("image", None) or painted(seed=number)
    return Sample(f"set/{number}.png", truth, "train", f"person {number}", "painted", image=content, **more)


def built(*samples, finder=None, **options):
    statistics = dma.Statistics()
    items = list(dma.build(samples, finder or Placed(mesh()), statistics=statistics, **options))
    return items, statistics


# ---------------------------------------------------------------- Eq. 1


def test_a_box_is_the_least_and_the_greatest_of_its_landmarks():
    points = mesh()
    nose = np.concatenate(regions.polygons("nose", points))
    low, high = np.floor(nose.min(axis=0)), np.ceil(nose.max(axis=0))
    assert dma.box_of("nose", points, SIDE, SIDE) == (low[0], low[1], high[0], high[1])
    [item], _ = built(sample())
    assert (item.regions, item.boxes) == (("nose",), ((low[0], low[1], high[0], high[1]),))


def test_the_word_face_is_the_skin_as_table_6_has_it():
    [item], _ = built(sample("The face looks fake. The nose is blurred."))
    assert item.regions == ("skin", "nose")


def test_sides_are_the_subjects_in_words_and_boxes():
    [item], _ = built(sample("It looks fake: the left eye and the right eyebrow are doubled."))
    assert item.regions == ("left_eye", "right_eyebrow")
    (left, _, _, _), (_, _, right, _) = item.boxes
    assert left > SIDE / 2 > right  # the subject's left is on the right of an upright picture


def test_boxes_end_where_the_picture_ends_and_what_is_beyond_has_none():
    low = mesh(centre=(0.5, 1.02))  # the chin is far below the picture
    text = "It looks fake. The hairline, the nose and the chin are blurred."
    [item], statistics = built(sample(text), finder=Placed(low))
    assert item.regions == ("hairline", "nose", "chin") and item.boxes[2] is None
    assert item.boxes[1][3] == SIDE and statistics.clipped == 1 and statistics.outside == 1
    assert [f.region for f in mare.parse(item.reply).findings] == ["hairline", "nose"]
    assert mare.refusals(item.reply, item.size) == ()


def test_all_twelve_regions_have_a_box_on_the_picture():
    text = f"It looks fake. Odd are {', '.join(map(regions.title, regions.MARE))}."
    [item], statistics = built(sample(text))
    assert item.regions == regions.MARE and statistics.regions == Counter(regions.MARE)
    assert all(0 <= x1 < x2 <= SIDE and 0 <= y1 < y2 <= SIDE for x1, y1, x2, y2 in item.boxes)


@pytest.mark.parametrize("size", [None, 96])
def test_boxes_and_masks_follow_the_picture_where_it_is_cropped(size):
    points = mesh(centre=(0.4, 0.45), scale=0.4)
    x1, y1, x2, y2 = (int(v) for v in dma.box_of("mouth", points, SIDE, SIDE))
    values = np.zeros((SIDE, SIDE), np.float32)
    values[y1:y2, x1:x2] = 1
    as_box = Mask((float(x1), float(y1), float(x2), float(y2)), np.ones((2, 2), np.float32))
    for truth_mask in (values, lambda: values, as_box):
        truth = Truth("fake", mask=truth_mask, texts=("The mouth looks fake.",))
        [item], _ = built(sample(truth=truth, image=painted(points)), finder=Placed(points), size=size)
        picture, mask = (np.asarray(Image.open(io.BytesIO(content))) for content in (item.image, item.mask))
        assert item.size == ((SIDE, SIDE) if size is None else (size, size)) == picture.shape[1::-1] == mask.shape[::-1]
        rows, columns = np.nonzero(mask >= 128)
        assert item.boxes[0] == pytest.approx((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), abs=2)


# ---------------------------------------------------------------- items


QUESTIONS = {
    "Does the image look real or fake?": (
        "The image looks fake. The nose  is blurred.",
        "It looks fake. The chin is odd.",
    ),
    "Does the mouth look real or fake?": ("The mouth looks fake.", "The mouth looks real.", " "),
}


def test_every_annotation_is_an_item_and_the_others_are_its_references():
    truth = Truth("fake", texts=QUESTIONS["Does the image look real or fake?"], questions=QUESTIONS)
    items, statistics = built(sample(truth=truth))
    assert [(i.question.split()[2], i.text, len(i.texts), i.regions) for i in items] == [
        ("image", "The image looks fake. The nose is blurred.", 2, ("nose",)),
        ("image", "It looks fake. The chin is odd.", 2, ("chin",)),
        ("mouth", "The mouth looks fake.", 1, ("mouth",)),
    ]
    assert all(i.texts[0] == i.text for i in items)
    assert (statistics.samples, statistics.annotations, statistics.items) == (1, 4, {"fake": 3})
    assert statistics.left_out == {"contradiction": 1}
    assert len({i.image for i in items}) == 1
    verdicts, _ = built(sample(truth=truth), questions=False)
    assert [i.text for i in verdicts] == [i.text for i in items[:2]]
    assert {i.question for i in verdicts} == {"Does the image look real or fake?"}


def test_a_real_face_has_words_and_no_boxes():
    [item], statistics = built(sample("The nose looks real and has natural pores.", "real"))
    reply = mare.parse(item.reply)
    assert (item.regions, item.boxes, item.mask) == ((), (), None)
    assert (reply.label, reply.findings, reply.text) == ("real", (), item.text)
    assert statistics.items == {"real": 1}


def test_a_report_without_a_verdict_gets_one():
    [item], _ = built(sample("The corners of the mouth are smeared."))
    assert mare.parse(item.reply).text == "The image looks fake. The corners of the mouth are smeared."
    assert item.text == "The corners of the mouth are smeared." and item.question == dma.QUESTION


def test_every_reply_keeps_the_grammar_and_earns_all_that_can_be_earned(tmp_path):
    items, _ = built(*BATCH)
    table = pq.read_table(dma.write_parquet(items, tmp_path / "dma.parquet")).to_pydict()
    weights = dict.fromkeys(("grammar", "label", "boxes", "alignment", "regions", "coverage", "length"), 1.0)
    judged = Rewards(weights).judge(table["reply"], **{k: v for k, v in table.items() if k != "reply"})
    assert {name: set(values) - {None} for name, values in judged.items() if name != "reward"} == {
        name: {1.0} for name in weights
    }
    assert all(mare.refusals(item.reply, item.size) == () for item in items)
    assert all(item.prompt == mare.prompt(item.question) for item in items)


BATCH = [
    sample("The face looks fake. The left eye and the mouth have soft edges that do not match.", number=1),
    sample("The face looks real. The skin has even pores and natural shadows.", "real", number=2),
    sample(
        ("The nose looks fake and blurry, with no pores.", "It looks fake: the eyebrows differ in colour."), number=3
    ),
]


# ---------------------------------------------------------------- what cannot be used


BAD = {
    "unreadable": sample(image=b"no picture"),
    "no text": sample((" ",)),
    "another language": sample("El rostro parece falso porque la nariz no es natural y los ojos son distintos."),
    "contradiction": sample("The nose looks real."),
    "no region": sample("It looks fake because of the light."),
}


@pytest.mark.parametrize("reason", BAD)
def test_what_is_left_out_is_counted_and_explained(reason):
    items, statistics = built(BAD[reason], *BATCH)
    assert len(items) == 4 and statistics.left_out == {reason: 1}
    told = statistics.as_dict()["left_out"][reason]
    assert told["count"] == 1 and told["why"] and told["examples"][0].startswith("set/0.png")


@pytest.mark.parametrize(
    ("reason", "finder"),
    [
        ("no face", Placed()),
        ("no mesh", Placed(None)),
        ("no mesh", Placed(np.full((468, 2), np.nan, np.float32))),
        ("outside", Placed(mesh(centre=(3.0, 3.0)))),
    ],
)
def test_faces_that_have_no_place_are_counted(reason, finder):
    class Hidden:
        def find(self, frame):  # a box that is one, whatever the mesh
            return tuple(dataclasses.replace(face, box=(0.0, 0.0, 9.0, 9.0)) for face in self.inner(frame))

        inner = staticmethod(lambda frame: tuple(Face(frame.at, (0.0, 0.0, 9.0, 9.0), m) for m in finder.meshes))

    items, statistics = built(sample(), finder=Hidden())
    assert items == [] and statistics.left_out == {reason: 1}
    if reason == "no mesh":
        _, cropped = built(sample(), finder=Placed(None), size=64)
        assert cropped.left_out == {"no mesh": 1}


class Found:
    """A finder of one face with this mesh and quality, in a box that is one whatever the mesh."""

    def __init__(self, points, quality=None):
        self.points, self.quality = points, quality or Quality()

    def find(self, frame):
        return (Face(frame.at, (9.0, 9.0, 99.0, 99.0), self.points.astype(np.float32), self.quality),)


RNG = np.random.default_rng(0)
NO_MESHES = {
    "one point": np.full((468, 2), 50.5),
    "nearly one point": 50 + RNG.normal(0, 1e-3, (468, 2)),
    "points at random": RNG.uniform(0, SIDE, (468, 2)),
    "a face's points in another order": RNG.permutation(mesh()),
    "a line": mesh() * (1, 0) + (0, 50),
    "a dot": mesh(scale=0.01),
    "points that are nowhere": np.full((468, 2), np.inf),
}


@pytest.mark.parametrize("size", [None, 64])
@pytest.mark.parametrize("name", NO_MESHES)
def test_a_mesh_that_is_no_face_is_refused_at_any_size(name, size):
    items, statistics = built(sample(), finder=Found(NO_MESHES[name]), size=size)
    assert items == [] and statistics.left_out == {"no mesh": 1}


@pytest.mark.parametrize("size", [None, 64])
def test_a_mesh_is_believed_as_far_as_its_finder_does(size):
    for quality, count in ((0.0, 0), (0.05, 0), (0.1, 1), (1.0, 1), (None, 1)):
        items, statistics = built(sample(), finder=Found(mesh(), Quality(mesh=quality)), size=size)
        assert len(items) == count and statistics.left_out == ({} if count else {"no mesh": 1})


def turned(yaw, pitch, roll, open_mouth=0.0) -> np.ndarray:
    """The average face turned by so many degrees, (468, 3) in pixels."""
    points = regions.average_landmarks() - (0.5, 0.5, 0.0)
    points[points[:, 1] > 0.2, 1] += open_mouth
    for degrees, (i, j) in zip((yaw, pitch, roll), ((0, 2), (1, 2), (0, 1)), strict=True):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        points[:, [i, j]] = points[:, [i, j]] @ np.array([[cos, sin], [-sin, cos]])
    return (points * 0.6 + 0.5) * SIDE


@pytest.mark.parametrize("pose", [(80, 0, 0), (-60, 20, 30), (0, 45, 0), (0, -45, 90), (0, 0, 180), (20, 10, 5, 0.2)])
def test_faces_that_turn_and_open_their_mouths_are_faces(pose):
    items, _ = built(sample("It looks fake. The nose, the mouth and the chin are odd."), finder=Found(turned(*pose)))
    assert len(items) == 1 and len(items[0].boxes) == 3
    shaken = turned(*pose)[:, :2] + np.random.default_rng(1).normal(0, 1, (468, 2))  # a pixel of noise on 96
    assert len(built(sample(), finder=Found(shaken))[0]) == 1
    stretched = turned(*pose)[:, :2] * (1, 0.6)  # 16:9 made square
    assert len(built(sample(), finder=Found(stretched))[0]) == 1


ENGLISH = """
The nose is blurred.
Odd chin.
Looks fake
Mouth corners exhibit smearing artifacts
Visible seams along jaw
Blending artifacts near mouth
Nose shows unusual sharpness
Evidence suggests manipulation near jawline
No visible artifacts.
Skin tone inconsistent with neck
Face swap boundary visible
This is a real image.
Lighting mismatch
Teeth merged into one block
Iris reflections differ
A naïve blend: the mouth’s edges don’t match.
THE LEFT EYEBROW IS MISSING
Real.
"""
FOREIGN = """
El rostro parece falso porque la nariz no es natural y los ojos son distintos.
Parece real
La imagen no es real
El rostro es fake, con blending artifacts
Das Gesicht sieht falsch aus, weil die Nase unscharf ist und so in die Haut übergeht.
Das Bild ist real
Der Look ist fake
Die Iris ist in der Mitte hell
Le visage semble faux: le nez est flou, il n'a pas de texture.
On a une image réelle
La face est nette
Manipulation visible près de la bouche
Dit is echt.
De lip is over de tanden getrokken
Dit is een foto van een man met een bril
Il naso è sfocato
Questo volto sembra reale
A face parece real
Imagem real, sem artefatos
As bordas do nariz são irregulares
这张脸看起来是假的,鼻子模糊。
嘴巴周围有模糊的痕迹
Лицо выглядит фальшивым, нос размыт.
Это реальное фото
Kuva on aito
1234 %%%
"""


@pytest.mark.parametrize("text", ENGLISH.strip().splitlines())
def test_english_is_told_from_other_languages(text):
    assert dma.is_english(text)


@pytest.mark.parametrize("text", FOREIGN.strip().splitlines())
def test_other_languages_are_told_from_english(text):
    assert not dma.is_english(text)


def test_all_real_answers_are_english():
    answers = Path(__file__).resolve().parents[2] / "shared" / "data" / "ddvqa"
    if not answers.is_dir():
        pytest.skip("DD-VQA's answers are not here")
    said = {
        text
        for file in answers.glob("*.json")
        for asked in json.loads(file.read_text()).values()
        for entry in asked.values()
        for text in entry["answer"]
        if text.strip()
    }
    assert len(said) > 2000 and [text for text in said if not dma.is_english(text)] == []


def raising(error):
    def mask():
        raise error

    return mask


@pytest.mark.parametrize(
    "mask",
    [
        *map(raising, (ValueError("no mask"), KeyError("mask"), InputError("no mask"), OSError("no file"))),
        lambda: np.zeros((SIDE, SIDE, 3), np.float32),
        lambda: np.full((SIDE, SIDE), np.nan, np.float32),
        "a path",
    ],
)
def test_a_mask_that_is_none_costs_its_sample_alone(mask):
    bad = sample(truth=Truth("fake", mask=mask, texts=("The nose looks fake.",)))
    items, statistics = built(bad, *BATCH)
    assert len(items) == 4 and statistics.left_out == {"unreadable": 1}
    assert statistics.examples["unreadable"][0].startswith("set/0.png: ")
    genuine = Truth("real", mask=mask, texts=("The nose looks real.",))
    assert len(built(sample(truth=genuine))[0]) == 1, "a genuine picture's mask is not asked for"


def test_what_is_no_text_is_counted_and_its_neighbours_stay():
    items, statistics = built(sample((None, "It looks fake. The nose is blurred.", 7)), *BATCH)
    assert len(items) == 5 and statistics.left_out == {"not text": 1}, "each once"
    assert statistics.annotations == 6 and items[0].texts == ("It looks fake. The nose is blurred.",)
    asked = {"Why?": (None,), "Where?": ("The mouth looks fake.",), "Who?": None}
    items, statistics = built(sample(truth=Truth("fake", questions=asked)))
    assert [i.question for i in items] == ["Where?"] and statistics.left_out == {"not text": 1}
    items, statistics = built(sample((None,)), *BATCH)
    assert len(items) == 4 and statistics.left_out == {"not text": 1}


def test_what_utf_8_does_not_have_is_written_as_a_question_mark(tmp_path):
    items, statistics = built(sample("The nose looks fake \ud83d."), dataclasses.replace(sample(), file="\udce9.png"))
    assert [i.text for i in items] == ["The nose looks fake ?."] and statistics.left_out == {"unreadable": 1}
    dma.write_all(items, statistics, tmp_path)
    assert "?.png: UnicodeEncodeError" in (tmp_path / "statistics.json").read_text()


class Failing(Placed):
    """A finder that fails on the first picture that it is shown."""

    def __init__(self, error):
        super().__init__(mesh())
        self.errors = [error]

    def find(self, frame):
        if self.errors:
            raise self.errors.pop()
        return super().find(frame)


@pytest.mark.parametrize("error", [InputError("too odd"), ValueError("too odd"), RuntimeError("too odd")])
def test_a_finder_that_fails_on_one_picture_costs_that_one(error):
    items, statistics = built(sample(), *BATCH, finder=Failing(error))
    assert len(items) == 4 and statistics.left_out == {"finder failed": 1}
    assert "too odd" in statistics.examples["finder failed"][0]


def test_a_finder_without_its_weights_is_told_at_once():
    with pytest.raises(WeightsError):
        built(sample(), *BATCH, finder=Failing(WeightsError("none")))


def test_of_several_faces_the_one_meant_is_taken():
    small, large = mesh((0.2, 0.2), 0.25), mesh((0.6, 0.6), 0.6)
    finder = Placed(small, large)
    [item], statistics = built(sample(), finder=finder)
    assert item.boxes == (dma.box_of("nose", large, SIDE, SIDE),) and statistics.several_faces == 1
    box = tuple(float(v) for v in (*small.min(axis=0), *small.max(axis=0)))
    [item], statistics = built(sample(box=box), finder=finder)
    assert item.boxes == (dma.box_of("nose", small, SIDE, SIDE),) and statistics.several_faces == 0
    items, statistics = built(sample(box=(150.0, 0.0, 160.0, 10.0)), finder=finder)
    assert items == [] and statistics.left_out == {"no face": 1}


def test_frames_of_videos_and_files_on_disk_are_read(tmp_path):
    film = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 5, (64, 64))
    for grey in (20, 120, 220):
        film.write(np.full((64, 64, 3), grey, np.uint8))
    film.release()
    Image.open(io.BytesIO(painted())).convert("L").save(tmp_path / "b.webp")
    truth = Truth("fake", texts=("The nose looks fake.",))
    listed = [
        Sample("a.mp4", truth, "train", "a", "films", frame=2),
        Sample("b.webp", truth, "train", "b", "films"),
        Sample("a.mp4", truth, "train", "a", "films", frame=9),
        Sample("c.png", truth, "train", "c", "films"),
    ]
    items, statistics = built(*listed, root=tmp_path, finder=Placed(mesh(side=64)))
    assert [i.file for i in items] == ["a.mp4", "b.webp"]
    frame = np.asarray(Image.open(io.BytesIO(items[0].image)))
    assert frame.shape == (64, 64, 3) and abs(frame.mean() - 220) < 6
    assert all(i.image.startswith(b"\x89PNG") for i in items)
    assert statistics.left_out == {"unreadable": 2} and "ends there" in statistics.examples["unreadable"][0]


@pytest.mark.parametrize("options", [{"size": 4}, {"size": 1_000_000}, {"margin": 0.5}, {"margin": float("nan")}])
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match=r"expected a size of 16 to 4096 and a margin of 1 to 10, got"):
        built(sample(), **options)


# ---------------------------------------------------------------- on the disk


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_thoughts(tmp_path):
    written = []
    for name in ("a", "b"):
        items, statistics = built(*BATCH, seed=3)
        dma.write_parquet(items, tmp_path / name / "dma.parquet")
        dma.write_chat(items, tmp_path / name)
        dma.write_statistics(statistics, tmp_path / name / "statistics.json")
        (tmp_path / name / "contact.png").write_bytes(dma.contact_sheet(items))
        written.append({p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")})
    assert written[0] == written[1] and len(written[0]) == 4 + 3
    thoughts = {seed: [mare.parse(i.reply).thought for i in built(*BATCH, seed=seed)[0]] for seed in range(6)}
    assert len({tuple(t) for t in thoughts.values()}) > 1
    back, _ = built(*reversed(BATCH), seed=3)
    assert {i.reply for i in back} == {i.reply for i in built(*BATCH, seed=3)[0]}


def test_the_table_holds_it_all_and_chats_name_pictures_that_are_there(tmp_path):
    items, _ = built(*BATCH)
    rows = pq.read_table(dma.write_parquet(items, tmp_path / "dma.parquet", rows=2)).to_pylist()
    for row, item in zip(rows, items, strict=True):
        assert row == {
            **dataclasses.asdict(item), "size": list(item.size), "texts": list(item.texts),
            "regions": list(item.regions), "boxes": [list(b) for b in item.boxes],
        }  # fmt: skip
    chat = json.loads(dma.write_chat(items, tmp_path).read_text())
    for entry, item in zip(chat, items, strict=True):
        user, assistant = entry["messages"]
        assert user["content"] == [{"type": "image"}, {"type": "text", "text": item.prompt}]
        assert assistant["content"][0]["text"] == item.reply
        assert (tmp_path / entry["images"][0]).read_bytes() == item.image
    assert len(list((tmp_path / "images").iterdir())) == len(BATCH)


def test_nothing_is_written_of_nothing(tmp_path):
    items, statistics = built(*BAD.values())
    for write in (
        lambda: dma.write_parquet(items, tmp_path / "dma.parquet"),
        lambda: dma.write_chat(items, tmp_path),
        lambda: dma.contact_sheet(items),
    ):
        with pytest.raises(InputError, match="expected at least one annotation that can be used"):
            write()
    assert list(tmp_path.iterdir()) == []
    told = json.loads(dma.write_statistics(statistics, tmp_path / "s.json").read_text())
    assert told["items"] == 0 and sum(r["count"] for r in told["left_out"].values()) == len(BAD)


def read_all(folder) -> dict:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_items_written_as_they_come_are_the_same_files(tmp_path):
    items, statistics = built(*BATCH)
    paths = dma.write_all(iter(items), statistics, tmp_path / "a", 3)
    assert [path.name for path in paths] == ["dma.parquet", "chat.json", "contact.png"]
    dma.write_parquet(items, tmp_path / "b" / "dma.parquet")
    dma.write_chat(items, tmp_path / "b")
    dma.write_statistics(statistics, tmp_path / "b" / "statistics.json")
    (tmp_path / "b" / "contact.png").write_bytes(dma.contact_sheet(items))
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")
    chat = (tmp_path / "a" / "chat.json").read_text()
    assert chat == json.dumps(json.loads(chat), ensure_ascii=False, indent=1)


def test_a_chat_keeps_every_character(tmp_path):
    [item], _ = built(sample('The nose looks fake: "{\n\u2028\\n 😀}".'))
    chat = dma.write_chat([item, dataclasses.replace(item, image=b"\xff\xd8\xff")], tmp_path).read_bytes().decode()
    assert chat == json.dumps(json.loads(chat), ensure_ascii=False, indent=1)
    assert json.loads(chat)[0]["messages"][1]["content"][0]["text"] == item.reply
    assert [entry["images"] for entry in json.loads(chat)] == [["images/000000.png"], ["images/000001.jpg"]]


def breaking_off(items):
    yield from items
    raise InputError("the dataset breaks off here")


@pytest.mark.parametrize("count", [0, 1, 4])
def test_nothing_is_left_of_what_breaks_off(tmp_path, count):
    items, statistics = built(*BATCH)
    for write in (
        lambda items, folder: dma.write_all(items, statistics, folder),
        lambda items, folder: dma.write_parquet(items, folder / "dma.parquet", rows=2),
        dma.write_chat,
    ):
        with pytest.raises(InputError, match="breaks off here"):
            write(breaking_off(items[:count]), tmp_path / "new" / "folder")
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    dma.write_all(items[:2], statistics, tmp_path / "old")
    before = read_all(tmp_path / "old")
    with pytest.raises(InputError, match="breaks off here"):
        dma.write_all(breaking_off(items[4 - count :]), statistics, tmp_path / "old")
    assert read_all(tmp_path / "old") == before, "what an earlier run wrote stays whole"


def test_a_contact_sheet_is_drawn_from_all_items_alike_and_again_by_the_same_seed():
    def drawn(seed, count=40):
        kept: dict[int, int] = {}
        assert list(dma._drawing(range(count), kept, seed, limit=5)) == list(range(count))
        assert list(kept) == list(kept.values()) == sorted(kept)
        return tuple(kept)

    assert drawn(0, 5) == drawn(1, 5) == (0, 1, 2, 3, 4) and drawn(0, 3) == (0, 1, 2)
    assert drawn(7) == drawn(7) != drawn(8) and len(drawn(7)) == 5
    often = Counter(number for seed in range(400) for number in drawn(seed))
    assert all(25 < often[number] < 80 for number in range(40))  # 50 expected; 7 is a standard deviation


def test_memory_does_not_grow_with_the_items(tmp_path):
    [item], _ = built(sample())

    def peak(count: int) -> int:
        made = (
            dataclasses.replace(item, file=f"{i}", image=item.image + np.random.default_rng(i).bytes(20_000))
            for i in range(count)
        )
        tracemalloc.start()
        with _disk.table(dma.SCHEMA, tmp_path / "t.parquet", "", 8) as row, _disk.chat(tmp_path, "") as turn:
            for each in dma._drawing(made, {}, 0, limit=2):
                row(each)
                turn(each.image, each.prompt, each.reply)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(8)  # what is loaded once
    assert peak(200) < peak(20) + 500_000, "180 pictures more have 10 megabytes"


def test_the_contact_sheet_shows_boxes_where_they_are():
    items, _ = built(*BATCH)
    sheet = np.asarray(Image.open(io.BytesIO(dma.contact_sheet(items[:1], columns=1, side=320))).convert("RGB"))
    x1, y1, x2, y2 = (round(v * 2) for v in items[0].boxes[0])  # of 160 pixels, shown at 320
    yellow = np.abs(sheet.astype(int) - (255, 214, 10)).max(axis=2) < 8
    assert yellow[y2 - 1, x1:x2].all() and yellow[y1:y2, x2 - 1].all()
    many = Image.open(io.BytesIO(dma.contact_sheet(items * 9, limit=6, columns=4, side=100)))
    assert many.width == 400


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert main(["build", "dma", "painted", "-", "--out", str(tmp_path), "--finder", "whole", "--split", "val"]) == 2
    assert "facewitness: dma: expected at least one annotation" in capsys.readouterr().err
    told = json.loads((tmp_path / "statistics.json").read_text())
    assert told["left_out"]["no mesh"]["count"] > 0 and not (tmp_path / "dma.parquet").exists()
    with pytest.raises(SystemExit):
        main(["build", "dma", "painter", "-", "--out", str(tmp_path)])
    assert "Did you mean 'painted'?" in capsys.readouterr().err


def test_the_command_builds_from_a_dataset(tmp_path, capsys, monkeypatch):
    leaf = plugins.get("finders", "whole")
    monkeypatch.setattr(leaf, "load", lambda: Placed(mesh(side=256)))  # painted faces stand about there
    assert (
        main(
            [
                "build",
                "dma",
                "painted",
                "-",
                "--out",
                str(tmp_path),
                "--finder",
                "whole",
                "--split",
                "val",
                "--size",
                "96",
            ]
        )
        == 0
    )
    assert "items of 18 samples" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {
        "dma.parquet",
        "chat.json",
        "images",
        "statistics.json",
        "contact.png",
    }
    table = pq.read_table(tmp_path / "dma.parquet")
    assert set(table["split"].to_pylist()) == {"val"} and table["mask"].null_count < table.num_rows


def test_what_describes_a_real_face_is_no_reply_to_learn_and_stays_a_reference(tmp_path):
    told = "The image looks real. Proper hair and hairstyles. The person has thick eyebrows, straight nose, full mouth."
    bare = "The image looks real. Proper hair and hairstyles."
    [item], statistics = built(sample(told, "real"))
    reply = mare.parse(item.reply)
    assert reply.text == bare and item.text == told and item.texts == (told,)
    assert statistics.cut == 1 and statistics.as_dict()["descriptions_cut"] == 1 and mare.refusals(item.reply) == ()
    [whole], statistics = built(sample(told, "real"), descriptions=True)
    assert mare.parse(whole.reply).text == told and statistics.cut == 0
    fake = "The image looks fake. The person has mismatched eyebrows."
    [forged], _ = built(sample(fake, "fake"))
    assert mare.parse(forged.reply).text == fake  # there it is a sign


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The person's nose looks real. The person has naturally straight nose.", "The person's nose looks real."),
        ("The image looks real. The person have complete face feature.", None),  # names no feature
        ("The image looks real. The person has a nose that looks real.", None),  # a verdict, too
        ("The person has natural skin.", None),  # there is nothing else
        ("", None),
    ],
)
def test_only_sentences_that_do_nothing_but_describe_are_cut(text, kept):
    assert mare.without_descriptions(text) == (text if kept is None else kept)
