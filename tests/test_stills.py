"""HEIC, JPEG XL, PDFs, pages of a TIFF and parts of a picture are read by name; hostile ones take nothing down."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from reports import landmarks, painted

from facewitness import media, pipeline, screenshot, stills
from facewitness.apps import cli
from facewitness.errors import TooLarge, UnreadableMedia

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
pillow_jxl = pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
pypdfium2 = pytest.importorskip("pypdfium2", reason="the extra documents is not installed")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.fromarray(painted(240, 200, landmarks(50, 40, 110)).pixels)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def heic(picture: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, **options)
    return out.getvalue()


def far(one: np.ndarray, other: Image.Image) -> float:
    return float(np.abs(one.astype(int) - np.asarray(other)).mean())


# ------------------------------------------------------------------------------------------------- HEIC and JPEG XL


def test_a_heic_is_read_with_its_turn_and_its_other_pictures_are_told(picture):
    clip = media.read(heic(picture, quality=95), name="photo.heic")
    assert far(clip.frame.pixels, picture) < 4 and clip.notes == () and len(clip.sha256) == 64
    turned = picture.copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.info["exif"] = exif.tobytes()
    # a HEIC has a turn of its own, which its decoder follows; the one in the EXIF would turn it twice
    assert media.read(heic(turned, quality=90)).frame.pixels.shape[:2] == (200, 240)
    file = pillow_heif.from_pillow(picture)
    file.add_from_pillow(picture.rotate(180))
    out = io.BytesIO()
    file.save(out, quality=90)
    assert "first of 2 pictures" in media.read(out.getvalue()).notes[0]


def test_a_jpeg_xl_is_read_and_one_made_of_a_jpeg_is_that_jpeg_again(picture):
    assert far(media.read(saved(picture, "JXL", lossless=True)).frame.pixels, picture) == 0
    grey = media.read(saved(picture.convert("L"), "JXL", lossless=True)).frame.pixels
    assert (grey == np.asarray(picture.convert("L"))[..., None]).all()
    clear = media.read(saved(picture.convert("RGBA"), "JXL", lossless=True))
    assert far(clear.frame.pixels, picture) == 0
    jpeg = saved(picture, "JPEG", quality=88)
    encoder = pillow_jxl.Encoder(mode="RGB", lossless=True, quality=100, decoding_speed=0, effort=3, use_container=True,
                                 use_original_profile=False, num_threads=1)  # fmt: skip
    try:
        packed = bytes(encoder(jpeg, picture.width, picture.height, True))
    except TypeError:
        pytest.skip("this encoder cannot keep a JPEG")
    assert (media.read(packed).frame.pixels == media.read(jpeg).frame.pixels).all()


@pytest.mark.parametrize("size", [(4097, 3001), (256, 256), (1024, 768), (1600, 900), (300, 200), (9, 70000), (8, 8)])
def test_the_size_of_a_jpeg_xl_is_known_from_its_header(size):
    content = saved(Image.new("L", size), "JXL", effort=1)
    assert stills.jxl_size(content) == size


def test_of_a_damaged_jpeg_xl_nobody_is_told_to_build_a_decoder(picture):
    content = saved(picture, "JXL")
    for damaged in (content[: len(content) // 2], content[:3], content[:30] + bytes(2_000)):
        with pytest.raises(UnreadableMedia, match=r"damaged or incomplete JPEG XL, or of a kind that is not read\."):
            media.read(damaged)


@pytest.mark.parametrize("kind", ["heic", "jxl"])
def test_too_large_and_broken_ones_are_refused_with_a_sentence(picture, kind):
    content = heic(picture) if kind == "heic" else saved(picture, "JXL")
    with pytest.raises(TooLarge, match="million pixels"):
        media.read(content, max_pixels=1000)
    with pytest.raises(TooLarge, match="GB of memory"):
        media.read(content, max_memory=100_000)
    dice = np.random.default_rng(7)
    for broken in (content[: len(content) // 2], content[:40], content[:16] + dice.bytes(4000)):
        with pytest.raises(UnreadableMedia) as error:
            media.read(broken, name=f"x.{kind}")
        assert f"x.{kind}" in str(error.value) and str(error.value).endswith((".", "'"))


def test_what_is_not_installed_says_what_to_install(picture, monkeypatch):
    find = media.importlib.util.find_spec
    monkeypatch.setattr(media.importlib.util, "find_spec", lambda name: None if name == "pillow_heif" else find(name))
    with pytest.raises(
        UnreadableMedia, match=r"HEIC, which takes pip install '\.\[heic\]', from a clone of the repository"
    ):
        media.read(heic(picture), name="photo.heic")


def test_a_decoder_that_dies_or_is_silent_takes_nothing_down(picture, monkeypatch):
    monkeypatch.setattr(media, "_PATIENCE", 0.01)
    started, start = [], subprocess.Popen
    monkeypatch.setattr(
        media.subprocess, "Popen", lambda *given, **more: started.append(start(*given, **more)) or started[-1]
    )
    with pytest.raises(UnreadableMedia, match=r"the HEIC decoder gave no answer for 0\.01 seconds"):
        media.read(heic(picture))
    assert [process.returncode for process in started] == [-9]
    monkeypatch.setattr(media, "_PATIENCE", 60.0)
    monkeypatch.setattr(media.sys, "executable", "/bin/false")
    with pytest.raises(UnreadableMedia, match="the HEIC decoder gave no answer"):
        media.read(heic(picture))


# --------------------------------------------------------------------------------------------------- pages and pictures


def test_the_pages_of_a_tiff_are_pictures_with_names(picture, tmp_path):
    pages = [picture, picture.rotate(90, expand=True), picture.resize((120, 100))]
    path = tmp_path / "scan.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert media.parts(path) == [f"{path}#1", f"{path}#2", f"{path}#3"]
    for number, page in enumerate(pages, start=1):
        clip = media.read(f"{path}#{number}")
        assert (clip.frame.pixels == np.asarray(page)).all() and clip.source == f"{path}#{number}"
        assert clip.notes == (f"This is page {number} of 3 in the file.",)
    first = media.read(path)
    assert first.sha256 == clip.sha256 and "the second is named scan.tif#2" in first.notes[0]
    with pytest.raises(UnreadableMedia, match="holds 3 pictures"):
        media.read(f"{path}#4")
    with pytest.raises(UnreadableMedia):
        media.read(f"{path}#0")


def test_a_file_that_has_such_a_name_is_itself(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    picture.rotate(180).save(tmp_path / "a.png#2", "PNG")
    assert (media.read(tmp_path / "a.png#2").frame.pixels == np.asarray(picture.rotate(180))).all()
    with pytest.raises(UnreadableMedia, match="does not exist"):
        media.read(tmp_path / "b.png#2")


def test_the_pictures_inside_a_pdf_are_found_once_each(picture, tmp_path):
    path = tmp_path / "letter.pdf"
    document = pypdfium2.PdfDocument.new()
    photo = pypdfium2.PdfImage.new(document)
    photo.load_jpeg(io.BytesIO(saved(picture, "JPEG", quality=95)), inline=True)
    drawn = pypdfium2.PdfImage.new(document)
    drawn.set_bitmap(pypdfium2.PdfBitmap.from_pil(picture.rotate(180)))
    speck = pypdfium2.PdfImage.new(document)
    speck.set_bitmap(pypdfium2.PdfBitmap.from_pil(picture.resize((20, 20))))
    for images in ((photo,), (speck,), (drawn,)):
        page = document.new_page(300, 300)
        for image in images:
            image.set_matrix(pypdfium2.PdfMatrix().scale(200, 200))
            page.insert_obj(image)
        page.gen_content()
    document.save(path)
    assert media.parts(path) == [f"{path}#1", f"{path}#2"]
    clip = media.read(f"{path}#1")
    assert (clip.frame.pixels == media.read(saved(picture, "JPEG", quality=95)).frame.pixels).all()  # the JPEG itself
    assert clip.notes[0] == "This is picture 1 of 2 in the PDF, on page 1 of 3."
    assert (media.read(f"{path}#2").frame.pixels == np.asarray(picture.rotate(180))).all()
    assert "named letter.pdf#2" in media.read(path).notes[1]
    with pytest.raises(UnreadableMedia, match="holds 2 pictures"):
        media.read(f"{path}#3")


def test_pdfs_without_pictures_or_broken_are_told(tmp_path):
    document = pypdfium2.PdfDocument.new()
    document.new_page(100, 100)
    document.save(tmp_path / "empty.pdf")
    with pytest.raises(UnreadableMedia, match=r"what it shows is drawn\. Export the page as PNG"):
        media.read(tmp_path / "empty.pdf")
    for content in (b"%PDF-1.4\n" + bytes(500), b"%PDF-1.7\n" + os.urandom(2000)):
        with pytest.raises(UnreadableMedia, match="damaged or incomplete PDF"):
            media.read(content, name="x.pdf")


def test_the_command_analyses_every_page_and_resumes(picture, tmp_path, capsys):
    picture.save(tmp_path / "scan.tif", save_all=True, append_images=[picture.rotate(180)])
    words = ["analyze", str(tmp_path / "scan.tif"), "--finder", "whole", "--out", str(tmp_path / "out"), "--no-date"]
    assert cli.main(words) == 0 and "2 pictures" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("scan*.json"))) == 2
    assert cli.main([*words, "--resume"]) == 0 and "2 done before" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------- parts of a picture


def shot(
    photo: Image.Image, ground: tuple[int, int, int] = (255, 255, 255), at: tuple[int, int] = (90, 330)
) -> Image.Image:
    """A screenshot: a bar, lines of words, and a photograph."""
    screen = Image.new("RGB", (540, 960), ground)
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, 540, 70), fill=(25, 100, 190))
    for y in (*range(100, 300, 30), *range(780, 930, 30)):
        draw.text((30, y), "Somebody wrote some words about a picture here", fill=(110, 110, 110))
    screen.paste(photo, at)
    return screen


def noisy(width: int, height: int) -> Image.Image:
    """A picture of many colours, as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([127 + 90 * np.sin(x / 31 + i) * np.cos(y / 23 - i) for i in range(3)], -1)
    grain = np.random.default_rng(3).normal(0, 12, waves.shape)
    return Image.fromarray(np.clip(waves + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("ground", [(255, 255, 255), (18, 20, 24), (236, 229, 221)])
@pytest.mark.parametrize("quality", [None, 75])
def test_a_photograph_on_a_screenshot_is_proposed_with_its_box(ground, quality):
    screen = shot(noisy(360, 420), ground)
    if quality:
        screen = Image.open(io.BytesIO(saved(screen, "JPEG", quality=quality)))
    (box,) = screenshot.photographs_in(np.asarray(screen.convert("RGB")))
    assert np.abs(np.subtract(box, (90, 330, 450, 750))).max() <= 2


def test_what_is_no_screenshot_is_left_alone(picture):
    for other in (noisy(500, 400), picture.resize((600, 500)), shot(Image.new("RGB", (360, 420), (200, 30, 30))),
                  Image.new("RGB", (600, 400)), Image.new("RGB", (50, 50))):  # fmt: skip
        assert screenshot.photographs_in(np.asarray(other)) == ()
    disc = Image.new("RGB", (600, 600))
    mask = Image.new("L", (400, 400))
    ImageDraw.Draw(mask).ellipse((0, 0, 399, 399), fill=255)
    disc.paste(noisy(400, 400), (100, 100), mask)
    assert screenshot.photographs_in(np.asarray(disc)) == ()


def test_each_photograph_of_a_page_is_proposed():
    page = Image.new("RGB", (1240, 1754), (250, 248, 244))
    boxes = [(80, 100, 580, 700), (650, 150, 1150, 650), (100, 900, 600, 1400), (700, 1000, 1075, 1380)]
    for box in boxes:
        page.paste(noisy(box[2] - box[0], box[3] - box[1]), box[:2])
    (note,) = media.read(saved(page, "PNG")).notes
    assert note.startswith(
        f"{media.SCREEN}: 4 photographs seem to stand in it, 500 × 600 pixels from 80, 100 to 580, 700;"
    )
    names = shlex.split(note.rpartition("facewitness analyze ")[2])
    assert names == [f"FILE#{','.join(map(str, box))}" for box in boxes]


def test_what_a_photograph_shares_with_the_page_is_no_ground_of_it():
    photo = noisy(420, 420)
    ImageDraw.Draw(photo).ellipse((200, 200, 415, 415), fill=(0, 0, 0))  # as much black as makes it a common colour
    box = (60, 300, 480, 720)
    assert screenshot.photographs_in(np.asarray(shot(photo, at=box[:2]))) == (box,)


def test_the_note_names_the_part_and_the_part_is_read(tmp_path):
    path = tmp_path / "shot.png"
    shot(noisy(360, 420)).save(path)
    (note,) = media.read(path).notes
    assert "360 × 420 pixels from 90, 330 to 450, 750" in note
    (name,) = shlex.split(note.rpartition("facewitness analyze ")[2])
    assert name == f"{path}#90,330,450,750"
    part = media.read(name)
    assert (part.frame.pixels == np.asarray(noisy(360, 420))).all()
    assert part.sha256 == media.read(path).sha256 and "Only the part from 90, 330" in part.notes[0]
    with pytest.raises(UnreadableMedia, match="expected a page, such as #2, or a box"):
        media.read(f"{path}#9,9")
    with pytest.raises(UnreadableMedia, match="expected a box"):
        media.read(f"{path}#90,330,450,1750")
    report = pipeline.analyze(name)
    assert report.source == name and report.size == (360, 420)
    (note,) = media.read(path.read_bytes()).notes
    assert note.endswith("'FILE#90,330,450,750'")


def test_a_web_address_is_refused_with_the_reason_and_what_to_type():
    addresses = {  # what may be a secret is not repeated
        "http://example.org/a.jpg": "http://example.org/a.jpg", "https://example.org/a.jpg?key=1": "ADDRESS",
        "https://me:pass@example.org/a.jpg": "ADDRESS",
    }  # fmt: skip
    for address, named in addresses.items():
        with pytest.raises(UnreadableMedia, match="Nothing is fetched: whoever serves it would see who looks") as error:
            media.read(address)
        assert f"curl -L -o picture.jpg {named} && facewitness analyze picture.jpg" in str(error.value)
        assert "key=1" not in str(error.value) and "pass" not in str(error.value)
    with pytest.raises(UnreadableMedia, match="with its own tool"):
        media.read("s3://bucket/a.jpg")
    with pytest.raises(UnreadableMedia, match=r"curl .*'https://example\.org/a b\.jpg'"):
        media.read(Path("https://example.org/a b.jpg"))
