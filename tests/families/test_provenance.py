"""The witness that reads the file: what decides, what is only told, and what a stranger cannot make it say."""

from __future__ import annotations

import io
import time

import files
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from facewitness import media
from facewitness.errors import InputError
from facewitness.formats import html, markdown
from facewitness.formats import json as wire
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
    assert "libjpeg's tables at quality 75, lower than cameras save at and several passes (progressive)" in said


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
    started = time.perf_counter()
    testimony = inspected(witness, content(picture))
    assert testimony.fake is None and time.perf_counter() - started < 3
    assert any("not read" in finding.claim for finding in testimony.findings)


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
