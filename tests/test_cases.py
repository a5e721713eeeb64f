"""What a person who tries facewitness meets first, with its right value: notes, left-out files, edits, film frames.

Each test draws the picture it needs: the painted faces of the benchmark, or the one photograph that comes with
scikit-image. Cases that belong to one room are tested beside it: lists and labels in test_datasets_*, kinds of files
in test_media, who is meant in test_questions.
"""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps
from reports import REPORTS

from facewitness import drawn, judge, phrases, plugins
from facewitness.apps import analyze
from facewitness.apps.cli import main
from facewitness.dialogue import Dialogue
from facewitness.errors import WeightsError
from facewitness.forge import routine
from facewitness.pipeline import Analyzer
from facewitness.types import Frame, Label, Pixels, Report, Verdict


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    """The parts that a plain `facewitness analyze` uses."""
    try:
        return Analyzer()
    except WeightsError as error:
        pytest.skip(str(error))


def face() -> Image.Image:
    """A painted genuine face of 256 px."""
    sample = next(iter(plugins.get("datasets", "painted").samples(None, "test")))
    return Image.open(io.BytesIO(sample.image)).convert("RGB")


def jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


# -------------------------------------------------------------------------------- "no face" keeps what reading decided

PAPER = Image.new("RGB", (256, 256), "white")
FIRST = "Only the first of {} pictures in the file was analysed."
ON_WHITE = "The picture is transparent in places; it was put on white."


def fading_in(path: Path, kind: str, count: int = 2) -> None:
    """White paper first, then a face: what is analysed shows nobody."""
    later = [face().rotate(5 * number) for number in range(1, count)]  # GIF joins pictures that are equal
    PAPER.save(path, kind, save_all=True, append_images=later, duration=100)


def transparent(path: Path, kind: str) -> None:
    picture = face()
    picture.putalpha(0)
    picture.save(path, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_no_face_in_the_first_picture_still_says_that_there_are_others(kind, tmp_path, capsys):
    for count in (2, 3):
        path = tmp_path / f"{count}.{kind.lower()}"
        fading_in(path, kind, count)
        assert main(["analyze", str(path), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["status"] == "no_face" and report["notes"][0].startswith(FIRST.format(count))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_no_face_under_transparency_still_says_that_it_was_put_on_white(kind, tmp_path, capsys):
    path = tmp_path / f"clear.{kind.lower()}"
    transparent(path, kind)
    assert main(["analyze", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "no_face" and ON_WHITE in report["notes"]


def test_no_face_in_what_is_left_of_a_picture_says_that_a_part_is_missing(analyzer, astronaut):
    whole = jpeg(astronaut)
    for content in (whole[: len(whole) // 10] + b"\xff\xd9", whole[: len(whole) // 4] + b"\xff\xd9"):
        report = analyzer.analyze(content)
        told = report.notes if report.status == "no_face" else report.verdict.reasons
        assert any("A part of the picture is missing" in sentence for sentence in told), report.status
    assert report.status == "ok" and analyzer.analyze(whole[: len(whole) // 10] + b"\xff\xd9").status == "no_face"


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_the_notes_of_a_picture_without_a_face_stand_in_every_form(form, tmp_path, capsys):
    fading_in(tmp_path / "a.gif", "GIF")
    transparent(tmp_path / "b.png", "PNG")
    files = [str(tmp_path / "a.gif"), str(tmp_path / "b.png")]
    assert main(["analyze", *files, "--format", form, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert FIRST.format(2) in printed and ON_WHITE in printed
    written = " ".join(path.read_text() for path in sorted((tmp_path / "out").iterdir()) if path.is_file())
    assert FIRST.format(2) in written and ON_WHITE in written


# -------------------------------------------------------------------------------------- nothing left out without a word


def test_a_folder_from_a_phone_says_what_it_left_out_and_what_it_could_not_read(tmp_path, capsys):
    (tmp_path / "IMG_0001.JPG").write_bytes(jpeg(np.asarray(face())))
    (tmp_path / "photo.jpg_large").write_bytes(jpeg(np.asarray(face())))
    (tmp_path / "IMG_0004.NEF").write_bytes(b"MM\0*" + bytes(60))
    header = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"  # a HEIC that ends after its header
    for name in ("IMG_0002.HEIC", "IMG_0003.heic"):
        (tmp_path / name).write_bytes(header)
    assert main(["analyze", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert "IMG_0001.JPG: " in told.out and "3 pictures: 2 not analysed" in told.out
    assert "skipped 2 other files: 1 .jpg_large file, 1 raw photo" in told.out
    for name in ("IMG_0002.HEIC", "IMG_0003.heic"):
        assert f"{name}'" in told.err and "HEIC" in told.err


def test_a_dataset_s_folder_reads_what_the_analyser_reads_and_tells_the_rest(tmp_path, capsys):
    kinds = {
        "real/a.jpg": "JPEG", "real/b.gif": "GIF", "real/c.jfif": "JPEG",
        "fake/e.png": "PNG", "fake/f.jpe": "JPEG", "fake/g.jp2": "JPEG2000",
    }  # fmt: skip
    for number, (name, kind) in enumerate(kinds.items()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        face().rotate(number).save(tmp_path / name, kind)
    root = str(tmp_path)
    main(["datasets", "check", "folder", root, "--json"])
    whole = json.loads(capsys.readouterr().out)
    (tmp_path / "real" / "d.cr2").write_bytes(b"II*\0" + bytes(60))
    (tmp_path / "fake" / "h.pdf").write_bytes(b"%PDF-1.4")
    assert main(["datasets", "check", "folder", root]) == 3
    told = capsys.readouterr().out
    assert "left out: 1 .cr2" in told and "left out: 1 .pdf" in told
    main(["datasets", "check", "folder", root, "--json"])
    partly = json.loads(capsys.readouterr().out)
    for found in (whole, partly):
        assert (found["splits"]["all"]["real"], found["splits"]["all"]["fake"]) == (3, 3)


# ----------------------------------------------------------------------------------- tone and sharpness decide nothing


def tinted(pixels: Pixels, factors: tuple[float, float, float], lift: tuple[float, float, float] = (0, 0, 0)) -> Pixels:
    grey = routine.monochrome(pixels).astype(np.float32)
    return np.clip(grey * np.array(factors) + np.array(lift), 0, 255).astype(np.uint8)


def saved(pixels: Pixels) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg(pixels))).convert("RGB"))


def sharpened(pixels: Pixels, radius: float, percent: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(radius, percent, 0)))


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "black and white": routine.monochrome,
    "black and white through a red filter": lambda p: routine.monochrome(p, "red"),
    "blue toned": lambda p: tinted(p, (0.65, 0.9, 1.15)),
    "sepia, saved": lambda p: saved(tinted(p, (1.07, 0.94, 0.75), (10, 5, 0))),
    "selenium": lambda p: routine.toned(p, "selenium"),
    "denoised": routine.non_local_means,
    "skin smoothed": lambda p: routine.bilateral(routine.bilateral(p, 35)),
    "sharpened": lambda p: sharpened(p, 2, 180),
    "sharpened a little": lambda p: sharpened(p, 1, 100),
    "local contrast": routine.local_contrast,
    "pattern of a print": routine.print_screen,
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_says_nothing_of_forgery_makes_no_genuine_photograph_fake(edit, analyzer, astronaut):
    report = analyzer.analyze(np.ascontiguousarray(EDITS[edit](astronaut)))
    assert report.verdict is not None and report.verdict.label != "fake"
    assert report.verdict.fake is not None and report.verdict.fake < 0.6


# those of the edits that made generated faces pass for real when the networks were trained without them
@pytest.mark.parametrize("edit", ["black and white", "blue toned", "sharpened", "local contrast"])
def test_an_edit_makes_no_forgery_real(edit, analyzer, astronaut):
    (found,) = analyzer.finder.find(Frame(astronaut))
    forged = plugins.get("forge", "self_blend").forge(astronaut, found.landmarks, np.random.default_rng(0)).pixels
    verdict = analyzer.analyze(np.ascontiguousarray(EDITS[edit](forged))).verdict
    assert verdict is not None and verdict.label != "real" and verdict.fake is not None and verdict.fake > 0.9


# ------------------------------------------------------------------------------------------- frames of a genuine film


def scene(photo: Pixels, step: int) -> Pixels:
    """A talking head's frame of 720 × 576 px: the person moves 3 px a frame before a wall."""
    wall = np.full((576, 720, 3), (70, 110, 80), np.uint8)
    left = 60 + 3 * step
    wall[30:542, left : left + 512] = photo
    return wall


def test_frames_of_a_genuine_film_are_not_called_fake(analyzer, astronaut):
    av = pytest.importorskip("av", reason="needs the extra 'video'")
    import films

    content = films.film([scene(astronaut, step) for step in range(4)])
    with av.open(io.BytesIO(content)) as opened:
        stills = [jpeg(each.to_ndarray(format="rgb24")) for each in opened.decode(video=0)]
    assert len(stills) == 4
    for still in stills:
        verdict = analyzer.analyze(still).verdict
        assert verdict is not None and verdict.label != "fake" and verdict.fake is not None and verdict.fake < 0.5


@pytest.mark.parametrize("fields", ["woven", "one doubled"])
def test_a_genuine_interlaced_frame_is_not_called_fake(fields, analyzer, astronaut):
    frame = scene(astronaut, 0)
    if fields == "woven":
        frame[1::2] = scene(astronaut, 1)[1::2]
    else:
        frame = np.repeat(frame[::2], 2, axis=0)
    verdict = analyzer.analyze(frame).verdict
    assert verdict is not None and verdict.label != "fake"


# ------------------------------------------------------------------------------------------------- not a photograph


@pytest.fixture(scope="module")
def line_drawing(astronaut_path, analyzer) -> Report:
    with Image.open(astronaut_path) as photo:
        edges = photo.convert("L").filter(ImageFilter.FIND_EDGES)
    return analyzer.analyze(np.asarray(edges.point(lambda level: 255 - min(255, 3 * level)).convert("RGB")))


def test_a_line_drawing_is_not_decided(line_drawing):
    assert line_drawing.status == "ok" and line_drawing.verdict.label == "inconclusive"


def test_a_report_says_that_the_witness_was_not_made_for_paintings(line_drawing):
    for form in ("html", "markdown"):
        written = plugins.get("formats", form).render(line_drawing).decode()
        assert "not made for paintings, cartoons" in written


FEW: dict[str, Callable[[Image.Image], Image.Image]] = {
    "eight colours": lambda photo: photo.quantize(8, dither=Image.Dither.NONE).convert("RGB"),
    "sixteen colours": lambda photo: photo.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).convert("RGB"),
    "two bits a channel": lambda photo: ImageOps.posterize(photo, 2),
}


@pytest.mark.parametrize("few", FEW)
def test_a_photograph_of_few_colours_gets_no_verdict_and_its_cause(few, analyzer, astronaut):
    report = analyzer.analyze(FEW[few](Image.fromarray(astronaut)))
    assert (report.verdict.label, report.verdict.cause) == ("inconclusive", "drawn")
    assert drawn.FEW_COLOURS in report.verdict.reasons and report.verdict.interval is None
    assert Dialogue(report).ask("Is it a drawing?").text == drawn.FEW_COLOURS
    for form in ("html", "markdown", "json"):
        assert drawn.FEW_COLOURS in plugins.get("formats", form).render(report).decode()


def test_a_photograph_is_not_taken_for_a_drawing(analyzer, astronaut):
    for edit in ("black and white", "blue toned", "denoised", "skin smoothed"):
        for pixels in (astronaut, EDITS[edit](astronaut)):
            verdict = analyzer.analyze(np.ascontiguousarray(pixels)).verdict
            assert verdict is not None and verdict.cause != "drawn", edit


@pytest.mark.parametrize("question", ["Is this a painting?", "Is it a cartoon?", "Could this be a statue?"])
def test_whether_it_is_a_photograph_is_said_not_to_have_been_examined(question, line_drawing):
    answer = Dialogue(line_drawing).ask(question)
    assert "Whether it is a photograph was not examined" in answer.text and answer.label is None


# --------------------------------------------------------------------------------------------- numbers and their words


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))  # beyond, it is "< 1 %" and "> 99 %"
@example(0.2996, 0.30)
@example(0.9496, 0.95)
@example(0.3004, 0.30)
def test_a_number_is_never_below_itself(value, bound):
    assume(abs(value - bound) > 2e-6)
    shown, limit = (float(words.removesuffix(" %")) for words in phrases.apart(value, bound))
    assert (shown < limit) == (value < bound) and shown != limit


NUMBER = r"(?:[<>] )?[\d.]+"


def told(label: Label, fake: float, thresholds: tuple[float, float], width: float) -> Report:
    """A report on one face with this verdict, in the judge's own words."""
    report = REPORTS["inconclusive"]
    person, interval = report.people[0], (max(0.0, fake - width), min(1.0, fake + width))
    cause = "band" if label == "inconclusive" else None
    reasons = (judge._measured_against(label, fake, *thresholds),)
    verdict = Verdict(label, fake, interval, thresholds, cause, reasons, person.verdict.testimonies)
    return replace(report, people=(replace(person, verdict=verdict),), verdict=verdict)


def comparisons(text: str) -> Iterator[tuple[str, float, float]]:
    """Each number that a text compares: how, the probability, the threshold; all of them on one scale."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\\", "").replace("*", "")
    number = lambda word: float(word.lstrip("<> "))  # noqa: E731
    (said,) = {number(n) for n in re.findall(rf"({NUMBER}) % fake \(", text)}
    assert all(low <= said <= high for low, high in pairs(rf"{NUMBER} % fake \((\d+)–(\d+) %\)", text))
    for words, how in (
        (rf"forgery, ({NUMBER}) %, is below ({NUMBER}) %", "below"),
        (rf"forgery, ({NUMBER}) %, lies between ({NUMBER}) %", "from"),
        (rf"forgery, ({NUMBER}) %, lies between {NUMBER} %, .{{20,60}}, and ({NUMBER}) %", "below"),
        (rf"forgery, ({NUMBER}) %, reaches the threshold for fake, ({NUMBER}) %", "from"),
    ):
        for chance, threshold in re.findall(words, text):
            assert number(chance) == said
            yield how, said, number(threshold)
    for words in (
        rf"Below ({NUMBER}) % there is no sign",
        rf"Inconclusive from ({NUMBER}) %",
        rf"sign below ({NUMBER})",
    ):
        yield from (("real", said, number(found)) for found in re.findall(words, text))
    for words in (rf"from ({NUMBER}) % on this face is fake", rf"Inconclusive from {NUMBER} % to ({NUMBER}) %"):
        yield from (("fake", said, number(found)) for found in re.findall(words, text))


def pairs(pattern: str, text: str) -> list[tuple[float, float]]:
    return [(float(low), float(high)) for low, high in re.findall(pattern, text)]


def in_every_form(report: Report) -> Iterator[str]:
    yield plugins.get("formats", "html").render(report).decode()
    yield plugins.get("formats", "markdown").render(report).decode()
    yield "\n".join(line for line, _ in analyze._summary(analyze._Outcome(report), detailed=True))
    yield f"{phrases.odds(report.verdict)}\n" + "\n".join(  # JSON has the numbers as they are, and the reasons
        json.loads(plugins.get("formats", "json").render(report))["verdict"]["reasons"]
    )
    yield f"{phrases.odds(report.verdict)}\n{Dialogue(report).ask('Is it fake?').text}"


@settings(max_examples=40, deadline=None)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.floats(-0.006, 0.006), st.booleans(), st.floats(0, 0.3))
@example(0.2869, 0.9061, -0.0008, True, 0.1)  # 91 %, inconclusive, and fake from 91 % on
@example(0.2869, 0.9061, -0.0001, False, 0.1)
@example(0.2869, 0.9061, 0.0001, True, 0.0)
def test_no_output_contradicts_the_verdict_by_its_numbers(one, other, near, at_fake, width):
    """Probabilities close to a threshold, in all forms: what is inconclusive is below "fake from", and so on."""
    assume(abs(one - other) > 1e-5)
    thresholds = min(one, other), max(one, other)
    fake = min(max(thresholds[at_fake] + near, 0.011), 0.989)
    assume(all(abs(fake - threshold) > 2e-6 for threshold in thresholds))
    label: Label = "real" if fake < thresholds[0] else "fake" if fake >= thresholds[1] else "inconclusive"
    report = told(label, fake, thresholds, width)
    for text in in_every_form(report):
        compared = list(comparisons(text))
        assert compared or "The probability of forgery" not in text, text
        for how, said, threshold in compared:
            below = {"below": True, "from": False, "real": label == "real", "fake": label != "fake"}[how]
            assert (said < threshold) == below, (how, said, threshold, label)


def test_a_printed_report_does_not_contradict_itself_either():
    pdfium = pytest.importorskip("pypdfium2", reason="needs the extra 'bench'")
    pytest.importorskip("reportlab", reason="needs the extra 'pdf'")
    report = told("inconclusive", 0.9053, (0.2869, 0.9061), 0.05)
    pages = pdfium.PdfDocument(plugins.get("formats", "pdf").render(report))
    text = " ".join(" ".join(page.get_textpage().get_text_range() for page in pages).split())
    assert "90.5 % fake (85–96 %)" in text and "inconclusive 28.7–90.6 %" in text
    assert {(how, said < threshold) for how, said, threshold in comparisons(text)} == {("from", False), ("below", True)}


# ------------------------------------------------------------------------------------------------ lists and their kinds


def test_thresholds_may_be_asked_for_with_a_list_s_own_name(tmp_path, capsys):
    lines = ["file,label"]
    for count in range(3):
        for label in ("real", "fake"):
            (tmp_path / label).mkdir(exist_ok=True)
            face().rotate(count).save(tmp_path / label / f"{count}.png")
            lines.append(f"{label}/{count}.png,{label}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    for where in (tmp_path / "list.csv", tmp_path):
        if where == tmp_path:
            (tmp_path / "list.csv").rename(tmp_path / "manifest.csv")
        assert main(["calibrate", "--data", str(where), "--dataset", "manifest"]) == 2
        assert "got 3 and 3 (0 without a score)" in capsys.readouterr().err  # read, and too few


def test_masks_that_cannot_be_used_are_told_by_the_run(tmp_path, capsys, analyzer):
    turned = Image.Exif()
    turned[274] = 6
    lying = face().crop((20, 0, 236, 256)).transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "lying.jpg", exif=turned, quality=95)
    face().save(tmp_path / "real.png")
    Image.new("L", lying.size, 255).save(tmp_path / "mask.png")  # as the camera stored the picture
    (tmp_path / "list.csv").write_text("file,label,mask\nreal.png,real,\nlying.jpg,fake,mask.png\n")
    words = ["bench", "run", "manifest", "--root", str(tmp_path / "list.csv"), "--out", str(tmp_path / "run")]
    assert main([*words, "--perturb", "none"]) == 3
    told = capsys.readouterr()
    assert "2 rows (2 analysed)" in told.out
    assert "of 1 picture the mask cannot be used" in told.err and "which lies on its side" in told.err


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("burst.heic", b"\0\0\0\x18ftyphevx\0\0\0\0mif1hevx" + bytes(64), "HEIC"),
        ("photo.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "JPEG XL"),
        ("design.psd", b"8BPS\0\1" + bytes(64), "Photoshop"),
        ("photo.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(64), "raw file"),
        (
            "clip.webm",
            b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm",
            "film (WebM or MKV) whose index or header",
        ),
    ],
)
def test_a_header_alone_is_called_by_its_kind(name, content, kind, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    assert main(["analyze", str(tmp_path / name)]) == 1
    told = capsys.readouterr().err
    assert kind in told and "Traceback" not in told
