"""The witness that reads the file: what decides, what is only told, and what a stranger cannot make it say."""

from __future__ import annotations

import io
import struct

import files
import numpy as np
import pytest
from effort import grows_with_its_length
from PIL import Image, TiffImagePlugin

from facewitness import film, media
from facewitness.errors import InputError
from facewitness.formats import html, markdown
from facewitness.formats import json as wire
from facewitness.metadata import container, credentials
from facewitness.pipeline import Analyzer
from facewitness.types import Testimony
from facewitness.witnesses import provenance

SETTINGS = "a man\nSteps: 20, Sampler: Euler a, Seed: 123"


@pytest.fixture
def picture(astronaut) -> Image.Image:
    return Image.fromarray(astronaut)


@pytest.fixture(scope="module")
def witness():
    return provenance.load()


def inspected(witness, content: bytes) -> Testimony:
    return witness.inspect(media.read(content))


def claims(witness, content: bytes) -> str:
    return " ".join(finding.claim for finding in inspected(witness, content).findings)


def test_a_generator_decides_and_its_sentence_comes_first(witness, picture):
    testimony = inspected(witness, files.png(picture, parameters=SETTINGS))
    assert testimony.fake == 1.0 and testimony.findings[0].claim.startswith("The file says that Stable Diffusion")
    for finding in testimony.findings:
        assert finding.box == (0.0, 0.0, 512.0, 512.0) and finding.region is None and finding.strength is None


def test_a_plain_file_is_told_that_it_proves_nothing(witness, picture):
    testimony = inspected(witness, files.png(picture))
    assert testimony.fake is None
    assert [f.claim for f in testimony.findings] == [
        "The file holds no C2PA manifest. That proves nothing: most pictures have none."
    ]
    assert witness.inspect(media.read(np.asarray(picture))).findings == (), "an array is no file"


def test_a_camera_is_named_and_believed_in_nothing(witness, picture):
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Maker", "Camera\u202e <b>1</b>"
    tags.get_ifd(0x8769)[0x829A] = TiffImagePlugin.IFDRational(1, 125)
    tags.get_ifd(0x8769)[0xA002], tags.get_ifd(0x8769)[0xA003] = 4000, 3000
    said = claims(witness, files.jpeg(picture, exif=tags, quality=75, progressive=True))
    assert "The EXIF names a camera, “Maker Camera" in said and "proves nothing" in said
    assert "4000 × 3000, the picture has 512 × 512" in said
    assert "most likely saved by a program, not by a camera: it has libjpeg's tables at quality 75, lower than" in said
    assert "lower than most cameras save at and several passes (progressive)" in said
    assert "saved by a program" not in claims(witness, files.jpeg(picture, quality=92))


def test_saved_twice_is_told_without_suspicion(witness, picture):
    again = Image.open(io.BytesIO(files.jpeg(picture, quality=70)))
    assert "saved as JPEG at least twice" in claims(witness, files.jpeg(again, quality=90))
    assert "at least twice" not in claims(witness, files.jpeg(picture, quality=90))


def with_thumbnail(picture: Image.Image, shown: Image.Image, orientation: int = 1) -> bytes:
    """A JPEG whose EXIF carries a small JPEG of another picture."""
    small = shown.copy()
    small.thumbnail((160, 160))
    thumb = files.jpeg(small, quality=75)
    first = b"".join((b"\0\1\x01\x12\0\3\0\0\0\1", orientation.to_bytes(2), b"\0\0", (26).to_bytes(4)))
    second = (
        b"\0\2\x02\x01\0\4\0\0\0\1" + (56).to_bytes(4) + b"\x02\x02\0\4\0\0\0\1" + len(thumb).to_bytes(4) + b"\0" * 4
    )
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + first + second + thumb
    return files.with_segment(files.jpeg(picture, quality=92), 0xE1, exif)


def test_a_thumbnail_of_another_picture_shows_where(witness, picture):
    assert "thumbnail" not in claims(witness, with_thumbnail(picture, picture))
    turned = picture.crop((0, 0, 500, 400))
    stored = turned.transpose(Image.Transpose.ROTATE_90)  # shown turned by a quarter, clockwise
    assert "thumbnail" not in claims(witness, with_thumbnail(stored, stored, 6))
    pasted = picture.copy()
    pasted.paste(picture.crop((0, 300, 150, 450)), (170, 60))
    finding = inspected(witness, with_thumbnail(pasted, picture)).findings[-1]
    assert "shows something else here" in finding.claim
    x1, y1, x2, y2 = finding.box
    assert 140 < x1 < 200 and 30 < y1 < 100 and 280 < x2 < 350 and 170 < y2 < 240
    assert "has another shape" in claims(witness, with_thumbnail(picture.crop((0, 0, 512, 300)), picture))


@pytest.mark.parametrize(
    ("attributes", "fake", "sentence"),
    [
        (f'iptc:DigitalSourceType="{files.GENERATED}"', 1.0, "made by a trained model"),
        ('iptc:DigitalSourceType="compositeWithTrainedAlgorithmicMedia"', None, "a composite with parts"),
        ('ps:Credit="Edited with Google AI"', None, "a part may be generated"),
        ('d:provenance="https://somewhere/manifest"', None, "is not fetched: it is not checked"),
        ("not xml", None, "The XMP is not XML"),
    ],
)
def test_what_xmp_says(witness, picture, attributes, fake, sentence):
    testimony = inspected(witness, files.jpeg(picture, quality=95, xmp=files.xmp(attributes)))
    assert testimony.fake == fake and any(sentence in finding.claim for finding in testimony.findings)


@pytest.mark.parametrize(
    "content",
    [
        lambda p: files.with_chunk(files.png(p), b"caBX", b"\0" * 50_000_000),
        lambda p: files.jpeg(p, xmp=b'<!DOCTYPE a [<!ENTITY b "Steps: 1, Seed: 2">]><a>&b;</a>'),
        lambda p: files.with_segment(files.jpeg(p), 0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01" * 32_000),
    ],
)
def test_hostile_files_are_told_and_never_decisive(witness, picture, content):
    testimony = inspected(witness, content(picture))
    assert testimony.fake is None
    assert any("not read" in finding.claim for finding in testimony.findings)
    manifest = any("A C2PA manifest of" in finding.claim for finding in testimony.findings)
    assert manifest != any("holds no C2PA manifest" in finding.claim for finding in testimony.findings)


@pytest.mark.parametrize(
    "content",
    [
        lambda p, many: files.with_chunk(files.png(p), b"caBX", b"\0" * (500 * many)),
        lambda p, many: files.with_segment(
            files.jpeg(p), 0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01" * many
        ),
    ],
)
def test_inspecting_hostile_files_costs_what_their_length_does(witness, picture, content):
    assert grows_with_its_length(lambda many: inspected(witness, content(picture, many)), 32_000)


def test_a_manifest_of_another_picture_never_decides(witness, picture):
    pytest.importorskip("c2pa")
    signed = files.signed(files.jpeg(picture), files.certificates(), files.manifest())
    assert inspected(witness, signed).fake == 1.0
    other = files.jpeg(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    start = signed.index(b"\xff\xeb")
    end = start + 2 + int.from_bytes(signed[start + 2 : start + 4])
    moved = inspected(witness, other[:2] + signed[start:end] + other[2:])
    assert moved.fake is None and "does not hold" in moved.findings[0].claim


def test_a_signer_whom_the_user_trusts_is_valid(picture, tmp_path):
    pytest.importorskip("c2pa")
    keys = files.certificates()
    (tmp_path / "root.pem").write_bytes(keys[2])
    signed = files.signed(files.jpeg(picture), keys, files.manifest())
    trusting = provenance.load(anchors=str(tmp_path / "root.pem"))
    assert "a valid C2PA manifest, signed by “Test Signer, Test”" in claims(trusting, signed)
    for name, content in (("none.pem", b"hello"), ("absent.pem", None)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=r"provenance\.anchors"):
            provenance.load(anchors=str(tmp_path / name))


def test_the_report_is_fake_by_the_files_word_with_no_probability_and_no_markup(picture):
    hostile = "<script>alert(1)</script>\u202e\nSteps: 20<b>, Sampler: [x](y), Seed: 1"
    analyzer = Analyzer(finder="whole", witnesses=("provenance",))
    report = analyzer.analyze(files.png(picture, parameters=hostile))
    assert (report.verdict.label, report.verdict.fake) == ("fake", None)
    assert report.people[0].verdict.label == "inconclusive", "the face is judged by itself"
    assert wire.render(wire.parse(wire.render(report))) == wire.render(report)
    page, text = html.render(report).decode(), markdown.render(report).decode()
    assert "<script>alert" not in page and "<b>," not in page and "[x](y)" not in text
    assert "The file itself says that the picture was generated." in page


def test_a_generated_picture_without_a_face_is_fake_too():
    blank = Image.new("RGB", (96, 96), (90, 120, 60))
    report = Analyzer().analyze(files.png(blank, parameters=SETTINGS))
    assert (report.status, report.verdict.label) == ("no_face", "fake")
    assert "No face was found. The file itself says" in html.render(report).decode()
    assert Analyzer().analyze(files.png(blank)).verdict is None


# --------------------------------------------------------------------------------------------------------------- films


def of_film(says: dict[str, str] | None = None, kind: str = "mp4", **more) -> bytes:
    films = pytest.importorskip("films", reason="needs the extra 'video'")
    return films.film(6, kind, says=says or {}, **more)


def told_of_film(witness, content: bytes) -> Testimony:
    return witness.inspect(film.read(content))


ANY_TAG = {"movflags": "use_metadata_tags"}


@pytest.mark.parametrize(
    ("says", "fake", "sentence"),
    [
        ({"software": "Runway"}, 1.0, "names Runway, a generator: “Runway”"),
        ({"com.apple.quicktime.software": "Kling AI 2.1"}, 1.0, "names Kling"),
        ({"software": "OpenAI Sora"}, 1.0, "names OpenAI"),
        ({"software": "Google Veo 3"}, 1.0, "names Google"),
        ({"software": "Pika 2.2"}, 1.0, "names Pika"),
        (
            {"AIGC": '{"Label": "1", "ContentProducer": "somebody"}'},
            1.0,
            "label AIGC (GB 45438): generated by “somebody”",
        ),
        ({"AIGC": '{"AIGC": {"Label": "2"}}'}, None, "possibly generated"),
        ({"prompt": '{"1": {"class_type": "KSampler"}}'}, 1.0, "with a sampler"),
        ({"comment": "Made with Kling AI"}, None, "The field “comment” names Kling"),
        ({"title": "Sora and I in Runway, Pika lives in the Alps"}, None, "names"),
        ({"software": "CapCut"}, None, "a program that edits films, “CapCut”"),
        ({"artist": "Vidu Pika", "software": "Runway Films Camera"}, None, "The film's tags name the software"),
    ],
)
def test_what_a_films_tags_say(witness, says, fake, sentence):
    testimony = told_of_film(witness, of_film(says, mux=ANY_TAG))
    assert testimony.fake == fake
    assert sentence in " ".join(finding.claim for finding in testimony.findings)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_that_is_read_as_a_film_is_called_one(witness, kind):
    pytest.importorskip("films", reason="needs the extra 'video'")
    out, frames = io.BytesIO(), [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    claims = [finding.claim for finding in told_of_film(witness, out.getvalue()).findings]
    assert "most films have none." in claims[0]


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "avi"])
def test_a_film_written_by_ffmpeg_is_told_to_say_nothing(witness, kind):
    testimony = told_of_film(witness, of_film({"title": "a title"}, kind))
    claims = [finding.claim for finding in testimony.findings]
    assert testimony.fake is None and "That proves nothing: most films have none." in claims[0]
    assert any("says nothing of where the film came from" in claim for claim in claims)


def test_a_films_camera_is_named_and_hostile_tags_are_data(witness):
    camera = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone <script>alert(1)</script>\u202e",
        "com.apple.quicktime.creationdate": "2025-05-01T10:00:00+0200",
        "comment": "x" * 1_000_000,
        **{f"key{i}": "A" for i in range(500)},
    }
    read = film.read(of_film(camera, mux=ANY_TAG))
    assert len(read.tags) <= 200 and sum(map(len, read.tags.values())) <= 200_000
    (claim,) = [f.claim for f in witness.inspect(read).findings if "camera" in f.claim]
    assert "“Apple iPhone <script>alert(1)</script>\\u202e”, filmed “2025-05-01" in claim


@pytest.mark.parametrize("kind", ["mp4", "mov", "avi"])
def test_content_credentials_of_a_film(kind):
    pytest.importorskip("c2pa")
    keys = files.certificates()
    media_type = {"mp4": "video/mp4", "mov": "video/quicktime", "avi": "video/x-msvideo"}[kind]
    signed = files.signed(of_film(kind=kind), keys, files.manifest(), media_type)
    anybody = told_of_film(provenance.load(), signed)
    assert anybody.fake == 1.0 and "says of this film with “A Model”" in anybody.findings[0].claim
    assert any("on no trust list" in finding.claim for finding in anybody.findings)
    at = signed.rfind(b"mdat" if kind != "avi" else b"movi") + 200
    changed = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
    other = told_of_film(provenance.load(), changed)
    assert other.fake is None and any("not the one that was signed" in finding.claim for finding in other.findings)


def test_a_films_manifest_is_not_believed_where_it_was_not_checked(monkeypatch):
    pytest.importorskip("c2pa")
    signed = files.signed(of_film(), files.certificates(), files.manifest(), "video/mp4")
    monkeypatch.setattr(credentials, "installed", lambda: False)
    testimony = told_of_film(provenance.load(), signed)
    assert testimony.fake is None and any(
        "is not checked without the extra c2pa" in f.claim for f in testimony.findings
    )


def test_a_films_metadata_has_bounds():
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    huge = io.BytesIO(of_film() + box(b"uuid", container.C2PA_UUID + bytes(9_000_000)))
    parts = container.split_film(huge)
    assert parts.manifest == b"" and parts.left_out == [parts.unread]
    assert parts.unread.startswith("A C2PA manifest of 9.0 MB was not read")
    assert told_of_film(provenance.load(), huge.getvalue()).findings[0].claim == parts.unread
    many = io.BytesIO(of_film() + box(b"free", b"") * 20_000)
    assert container.split_film(many).left_out == []
    lying = io.BytesIO(of_film() + struct.pack(">I4s", 1 << 31, b"uuid") + container.XMP_UUID)
    assert "damaged" in container.split_film(lying).left_out[0]


def test_a_film_that_is_gone_is_told_nothing_of(witness, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(of_film({"software": "Runway"}, mux=ANY_TAG))
    read = film.read(path)
    assert witness.inspect(read).fake == 1.0
    path.write_bytes(of_film())
    assert witness.inspect(read).findings == (), "another file has its name by now"
