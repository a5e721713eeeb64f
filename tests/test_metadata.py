"""What a file says of itself is read with bounds, whoever wrote it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import tracemalloc
import unicodedata
import warnings
import zlib

import files
import numpy as np
import pytest
from effort import grows_with_its_length
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from facewitness.metadata import container, credentials, exif, generators, jpeg, jumbf, shown, xmp

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def photograph() -> Image.Image:
    skimage_data = pytest.importorskip("skimage.data")
    return Image.fromarray(skimage_data.astronaut())


def camera() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Maker", "Camera 1"
    inside = tags.get_ifd(0x8769)
    inside[0x829A], inside[0x9003] = TiffImagePlugin.IFDRational(1, 125), "2020:01:02 03:04:05"
    inside[0x9286] = b"UNICODE\0" + "Steps: 20, Sampler: Euler".encode("utf-16-be")
    return tags


# ---------------------------------------------------------------------------------------------------------- containers


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_exif_and_xmp_are_found_in_every_container(format):
    packet = files.xmp('x0:CreatorTool="A Program"')
    content = io.BytesIO()
    PICTURE.save(content, format, exif=camera(), xmp=packet)
    data = content.getvalue()
    if format == "PNG":  # Pillow writes none there
        data = files.with_chunk(data, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
    if format == "TIFF":
        content = io.BytesIO()
        PICTURE.save(content, format, exif=camera(), tiffinfo={0x02BC: packet, 0x010F: "Maker", 0x0110: "Camera 1"})
        data = content.getvalue()
    parts = container.split(data)
    tags = exif.read(parts.exif)
    assert tags.texts["Make"] == "Maker" and tags.texts["Model"] == "Camera 1"
    if format != "TIFF":
        assert tags.numbers["ExposureTime"] == pytest.approx(1 / 125)
        assert tags.texts["UserComment"] == "Steps: 20, Sampler: Euler"
    assert xmp.read(parts.xmp or tags.xmp) == ({xmp.XMP + "CreatorTool": ("A Program",)}, "")
    assert parts.left_out == [] and tags.left_out == []


def test_tables_are_those_that_pillow_reads():
    for quality in (30, 75, 96):
        content = files.jpeg(PICTURE, quality=quality)
        parts = container.split(content)
        read = Image.open(io.BytesIO(content)).quantization
        assert {number: list(table) for number, table in parts.tables.items()} == read
        assert jpeg.tables(parts.tables[0]) == jpeg.Tables("libjpeg", quality)
    assert container.split(files.jpeg(PICTURE, progressive=True)).progressive


def test_tables_of_other_makers_are_told_apart():
    assert jpeg.tables(jpeg.scaled(jpeg._ROBIDOUX, 75)) == jpeg.Tables("mozjpeg", 75)
    assert jpeg.tables(tuple(range(1, 65))) == jpeg.Tables("", None)


def test_a_png_text_is_read_and_a_bomb_is_left_out():
    packed = zlib.compress(b"A" * 100_000_000, 9)
    content = files.with_chunk(files.png(PICTURE, parameters="Steps: 5"), b"zTXt", b"prompt\0\0" + packed)
    tracemalloc.start()
    parts = container.split(content)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000 < 100_000_000
    tracemalloc.stop()
    assert [(keyword, len(text)) for keyword, text in parts.texts] == [
        ("prompt", 0),
        ("parameters", 8),
    ]
    assert parts.left_out == ["A text of more than 2 MB was not read: at most 2 MB are."]
    plain = container.split(files.with_chunk(files.png(PICTURE), b"tEXt", b"prompt\0" + b"B" * 100_000_000))
    assert plain.texts[0][1] == "" and plain.left_out == ["A text of 100 MB was not read: at most 2 MB are."]


def test_a_manifest_of_50_mb_is_left_out_and_told():
    content = files.with_chunk(files.png(PICTURE), b"caBX", b"\0" * 50_000_000)
    parts = container.split(content)
    assert parts.manifest == b"" and parts.left_out == ["A C2PA manifest of 50.0 MB was not read: at most 8 MB are."]
    told = outcome(content)
    assert told.outcome == "unchecked" and told.why == parts.left_out[0], "it is not absent"


def test_a_manifest_in_very_many_segments_is_left_out_as_a_whole():
    content = files.jpeg(PICTURE)
    for number in range(200, 0, -1):  # each piece repeats the box's header
        piece = struct.pack(">HI", 1, number) + struct.pack(">I4s", 12_000_000, b"jumb") + bytes(60_000)
        content = files.with_segment(content, 0xEB, b"JP" + piece)
    parts = container.split(content)
    assert parts.manifest == b"" and parts.unread == "A C2PA manifest of 12.0 MB was not read: at most 8 MB are."
    assert outcome(content).outcome == "unchecked"


def test_many_pieces_stay_bounded():
    content = files.png(PICTURE)
    many = content[:33] + files.chunk(b"tEXt", b"key\0value") * 20_000 + content[33:]
    parts = container.split(many)
    assert len(parts.texts) == 64 and "More than 64 texts; the others were not read." in parts.left_out


def test_extents_that_take_no_bytes_of_their_file_are_counted():
    """58 kB of items with 65,535 extents each, whose places and sizes are numbers of no bytes, were 400 million."""
    items = b"".join(struct.pack(">HHHH", item, 0, 0, 65_535) for item in range(4_000))
    inside = struct.pack(">I4s6xH", 16 + len(items), b"iloc", 4_000).replace(b"iloc\0", b"iloc\1") + items
    made = io.BytesIO()
    PICTURE.save(made, "JPEG2000")
    content = made.getvalue() + struct.pack(">I4s4x", 12 + len(inside), b"meta") + inside
    tracemalloc.start()
    parts = container.split(content)
    assert "is damaged" in parts.left_out[0] and tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


MADE = {
    "jpeg": files.jpeg(PICTURE, exif=camera(), xmp=files.xmp('x0:CreatorTool="A"'), comment=b"hello"),
    "png": files.png(PICTURE, parameters="Steps: 5, Seed: 3"),
    "gif": (lambda made: (PICTURE.save(made, "GIF", comment=b"hi"), made.getvalue())[1])(io.BytesIO()),
    "webp": (lambda made: (PICTURE.save(made, "WEBP", exif=camera()), made.getvalue())[1])(io.BytesIO()),
    "avif": (lambda made: (PICTURE.save(made, "AVIF", exif=camera()), made.getvalue())[1])(io.BytesIO()),
    "tiff": (lambda made: (PICTURE.save(made, "TIFF", exif=camera()), made.getvalue())[1])(io.BytesIO()),
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(MADE)), st.data())
def test_damaged_files_never_raise(kind, data):
    content = bytearray(MADE[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    parts = container.split(bytes(content))
    tags = exif.read(parts.exif)
    properties, _ = xmp.read(parts.xmp)
    list(generators.traces(parts.texts, tags, properties))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_raising(data):
    for order in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        exif.read(order + data)
    xmp.read(data)
    jumbf.read(data)
    jumbf.read(struct.pack(">I", len(data) + 8) + b"jumb" + data)
    for head in (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"\0\0\0\x10ftypavif\0\0\0\0"):
        container.split(head + data)


# ---------------------------------------------------------------------------------------------------------------- EXIF


def test_an_exif_bomb_stays_small():
    """Each of 5,400 entries claims all of the 64 kB: copied, they would be 350 MB."""
    count = 5_400
    entries = b"".join(struct.pack("<HHII", i, 2, 65_000, 8) for i in range(count))
    tags = exif.read(b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + b"\0" * 4)
    assert tags.texts == {} and tags.left_out == ["A directory of the EXIF claims 5,400 entries and was not read."]


def test_directories_that_point_at_themselves_end():
    loop = struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    assert exif.read(b"II*\0\x08\0\0\0" + loop).texts == {}


def test_a_text_longer_than_its_file_is_what_there_is():
    entry = struct.pack("<HHHII", 1, 0x010F, 2, 4_000_000_000, 8) + struct.pack("<I", 0)
    tags = exif.read(b"II*\0\x08\0\0\0" + entry)
    assert len(tags.texts["Make"]) < 40 and tags.left_out == ["Make in the EXIF claims 4,000.0 MB and was cut."]


# ----------------------------------------------------------------------------------------------------------------- XMP


@pytest.mark.parametrize(
    ("packet", "sentence"),
    [
        (b"hello", r"The XMP is not XML"),
        (b"<a><b></a>", r"The XMP is not XML \(mismatched tag"),
        (b'<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>', "declares a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "declares a document type"),
        (b"<a>" * 10_000 + b"</a>" * 10_000, "nested deeper than 40"),
        (b"<a>" + b"<b>c</b>" * 30_000 + b"</a>", "more than 20,000 values"),
        (b'<?xml version="1.0" encoding="martian"?><a/>', "not known here|not XML"),
        (b"<a>" + b"x" * 5_000_000 + b"</a>", "5.0 MB was not read"),
        (b'<a xmlns:b="' + b"u" * 1_000_000 + b'">' + b"<b:c/>" * 150_000 + b"</a>", "namespace of more than 1,000"),
        (b'<a xmlns="' + b"u" * 1_000_000 + b'">' + b"<c/>" * 150_000 + b"</a>", "namespace of more than 1,000"),
    ],
)  # fmt: skip
def test_xmp_that_is_none_or_hostile_is_told(packet, sentence):
    properties, refused = xmp.read(packet)
    assert re.search(sentence, refused) and sum(map(len, properties.values())) <= 20_000


@pytest.mark.parametrize(
    "packet",
    [
        lambda many: b"<a>" * many + b"</a>" * many,
        lambda many: b"<a>" + b"<b>c</b>" * many + b"</a>",
        lambda many: b"<a>" + b"x" * (100 * many) + b"</a>",
        lambda many: b"<a " + b" ".join(b'b%d="c"' % number for number in range(many)) + b"/>",
    ],
)
def test_reading_xmp_costs_what_its_length_does(packet):
    assert grows_with_its_length(lambda many: xmp.read(packet(many)), 15_000)


def test_names_go_by_address_not_by_prefix():
    packet = b'<a xmlns:safe="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" safe:DigitalSourceType="composite"/>'
    assert xmp.read(packet) == ({xmp.IPTC + "DigitalSourceType": ("composite",)}, "")


# ---------------------------------------------------------------------------------------------------------- CBOR, JUMBF


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0), ("1903e8", 1000), ("3863", -100), ("f5", True), ("f6", None), ("fb3ff199999999999a", 1.1),
        ("6449455446", "IETF"), ("83010203", [1, 2, 3]), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", bytes([1, 2, 3, 4, 5])), ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
    ],
)  # fmt: skip
def test_cbor_of_the_standards_examples(data, value):
    assert jumbf.decoded(bytes.fromhex(data)) == value  # RFC 8949, appendix A


@pytest.mark.parametrize(
    "data", ["", "1b", "9bffffffffffffffff", "81" * 100, "5f01ff", "1c", "ff", "bf01ff", "7f4100ff"]
)
def test_damaged_cbor_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 -- which sentence does not matter
        jumbf.decoded(bytes.fromhex(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_cbor_ends(data):
    with contextlib.suppress(ValueError):
        jumbf.decoded(data)


# ---------------------------------------------------------------------------------------------------------- generators


def traced(**texts: str) -> list[generators.Trace]:
    return list(generators.traces([(key.replace("__", " "), text) for key, text in texts.items()], exif.Exif(), {}))


GRAPH = json.dumps({"3": {"class_type": "KSampler", "inputs": {}}, "4": {"class_type": "VAEDecode", "inputs": {}}})
SETTINGS = "a man\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 123, Size: 512x512"


@pytest.mark.parametrize(
    ("texts", "generator"),
    [
        ({"parameters": SETTINGS}, "Stable Diffusion"),
        ({"prompt": GRAPH, "workflow": json.dumps({"nodes": [{"type": "KSamplerAdvanced"}]})}, "ComfyUI"),
        ({"invokeai_metadata": '{"seed": 3}'}, "InvokeAI"),
        ({"sd-metadata": '{"model": "x"}'}, "InvokeAI"),
        ({"Dream": '"a man" -s 50 -S 12 -W512 -C7.5'}, "InvokeAI"),
        ({"Software": "NovelAI", "Comment": '{"prompt": "x", "steps": 28, "sampler": "k_euler"}'}, "NovelAI"),
        ({"fooocus_scheme": "a1111"}, "Fooocus"),
        ({"parameters": '{"sui_image_params": {"prompt": "x"}}'}, "SwarmUI"),
        ({"Description": "a man --v 6 Job ID: 0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"}, "Midjourney"),
        ({"use_stable_diffusion_model": "sd15"}, "Stable Diffusion"),
        ({"Comment": '{"AIGC": {"Label": "1", "ContentProducer": "x"}}'}, "AIGC"),
        ({"Software": "Adobe Firefly 3"}, "Adobe Firefly"),
    ],
)  # fmt: skip
def test_a_generators_own_trace_decides(texts, generator):
    found = traced(**texts)
    assert any(trace.generator == generator and trace.decides for trace in found), found
    assert all(trace.claim.endswith(".") for trace in found)


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": json.dumps({"1": {"class_type": "LoadImage"}, "2": {"class_type": "ImageUpscaleWithModel"}})},
        {"Comment": "Steps: 20 to the door"},
        {"Author": "Gemini Rossi"},
        {"Description": "An essay on Midjourney and DALL-E"},
        {"Comment": '{"AIGC": {"Label": "3"}}'},
        {"Software": "Adobe Photoshop 25.0"},
        {"prompt": "[[[[" * 5_000},
        {"prompt": '{"a": ' * 5_000},
        {"parameters": "Steps: many"},
        {"Title": "sora"},
    ],
)
def test_what_only_sounds_like_one_does_not(texts):
    assert [trace for trace in traced(**texts) if trace.decides] == []


def test_exif_and_xmp_of_generators_are_known():
    flux = exif.Exif({"Software": "AI generated;txt2img;flux", "Make": "Black Forest Labs", "Model": "flux-dev"})
    assert [t.generator for t in generators.traces([], flux, {}) if t.decides] == ["FLUX"]
    comfy = exif.Exif({"Make": "workflow:{}", "Model": f"prompt:{GRAPH}"})
    assert [t.generator for t in generators.traces([], comfy, {}) if t.decides] == ["ComfyUI"]
    comment = exif.Exif({"UserComment": SETTINGS})
    assert [t.generator for t in generators.traces([], comment, {}) if t.decides] == ["Stable Diffusion"]
    label = {xmp.TC260 + "AIGC": ('{"Label":"1"}',)}
    assert [t.decides for t in generators.traces([], exif.Exif(), label)] == [True]


@pytest.mark.parametrize(
    ("value", "decides"),
    [
        (files.GENERATED, True),
        ("trainedAlgorithmicMedia", True),
        (files.GENERATED.replace("http:", "https:") + "/", True),
        ("compositeWithTrainedAlgorithmicMedia", False),
        ("digitalCapture", False),
        ("something else", False),
        ("<script>trainedAlgorithmicMedia</script>", False),
    ],
)
def test_iptc_source_types(value, decides):
    (trace,) = generators.traces([], exif.Exif(), {xmp.IPTC + "DigitalSourceType": (value,)})
    assert trace.decides is decides


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_a_strangers_text_is_one_visible_line(text):
    line = shown(text)
    assert len(line.splitlines()) <= 1 and line[0] == "“" and line[-1] == "”"
    assert all(c.isprintable() or c in "\u3000\xa0" or unicodedata.category(c)[0] in "ZC" for c in line)
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x1b\0")


# ----------------------------------------------------------------------------------------------------- how it was saved


def luminance(content: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float32)
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)


@pytest.mark.parametrize("quality", [60, 75, 85, 90, 95])
def test_saving_once_is_told_from_saving_twice(quality):
    picture = photograph()
    once = files.jpeg(picture, quality=quality)
    steps = container.split(once).tables[0]
    assert jpeg.saved_twice(luminance(once), steps) < jpeg.LEVEL
    before = Image.open(io.BytesIO(files.jpeg(picture, quality=quality - 25)))
    twice = files.jpeg(before, quality=quality)
    if quality >= 75:  # a finer second table; where both are coarse little is left
        assert jpeg.saved_twice(luminance(twice), steps) > jpeg.LEVEL


def test_small_and_flat_pictures_say_nothing_of_saving():
    steps = jpeg.scaled(jpeg._LUMINANCE, 75)
    assert jpeg.saved_twice(np.zeros((40, 40), np.float32), steps) is None
    assert jpeg.saved_twice(np.full((400, 400), 128, np.float32), steps) is None


def test_steps_of_zero_say_nothing_of_saving():
    once = files.jpeg(photograph(), quality=80)
    assert jpeg.saved_twice(luminance(once), (0,) * 64) is None


# --------------------------------------------------------------------------------------------------------- credentials


@pytest.fixture(scope="module")
def keys():
    pytest.importorskip("c2pa")
    return files.certificates()


def outcome(content: bytes, anchors: str = "") -> credentials.Credentials:
    parts = container.split(content)
    return credentials.check(content, parts.format, parts.manifest, anchors, parts.unread)


def changed(content: bytes) -> bytes:
    """Another picture: one bit of the last scan is turned."""
    at = content.rfind(b"\xff\xda") + 100
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_five_outcomes_are_told_apart(keys, monkeypatch):
    plain = files.jpeg(PICTURE)
    content = files.signed(plain, keys, files.manifest())
    assert outcome(plain).outcome == "absent"
    valid = outcome(content, keys[2].decode())
    assert valid.outcome == "valid" and valid.signer == "“Test Signer, Test”"
    assert outcome(content).outcome == "unknown"
    invalid = outcome(changed(content), keys[2].decode())
    assert invalid.outcome == "invalid" and "not the one that was signed" in invalid.why
    monkeypatch.setattr(credentials, "installed", lambda: False)
    unchecked = outcome(content)
    assert unchecked.outcome == "unchecked" and "pip install '.[c2pa]'" in unchecked.why and unchecked.fits is True
    assert outcome(changed(content)).outcome == "invalid", "that the picture is another one is told on a plain install"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_manifests_in_other_containers(keys, kind, monkeypatch):
    made = io.BytesIO()
    PICTURE.save(made, kind)
    content = files.signed(made.getvalue(), keys, files.manifest(), f"image/{kind.lower()}")
    assert outcome(content, keys[2].decode()).outcome == "valid"
    monkeypatch.setattr(credentials, "installed", lambda: False)
    assert outcome(content).outcome == "unchecked"


@pytest.mark.parametrize("checked", [True, False])
def test_what_a_manifest_says_decides_only_where_it_is_about_this_picture(keys, checked, monkeypatch):
    monkeypatch.setattr(credentials, "installed", lambda: checked)
    content = files.signed(files.jpeg(PICTURE), keys, files.manifest())
    for anchors in ("", keys[2].decode()):
        (trace,) = credentials.traces(outcome(content, anchors))
        assert trace.decides and "“A Model”" in trace.claim
    assert credentials.traces(outcome(changed(content))) == []


@pytest.mark.parametrize(
    "claims",
    [
        files.manifest("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"),
        files.manifest("http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"),
        files.manifest(None, "c2pa.edited"),
    ],
)
def test_a_camera_an_edit_and_a_composite_do_not_decide(keys, claims):
    content = files.signed(files.jpeg(PICTURE), keys, claims)
    assert [trace for trace in credentials.traces(outcome(content, keys[2].decode())) if trace.decides] == []


def test_a_generated_parent_makes_a_generated_picture_and_a_generated_part_does_not(keys, monkeypatch):
    import c2pa

    parent = files.signed(files.jpeg(PICTURE), keys, files.manifest())
    quiet = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    for decides in (True, False):
        captured = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
        claims = {**files.manifest(), "assertions": []} if decides else files.manifest(captured)
        builder = c2pa.Builder(claims, c2pa.Context.from_dict(quiet))
        if decides:  # opened and saved again: the picture it was made from becomes its parent
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        else:
            builder.add_ingredient({"title": "p", "relationship": "componentOf"}, "image/jpeg", io.BytesIO(parent))
        info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=keys[0], private_key=keys[1], ta_url=None)
        made = io.BytesIO()
        source = parent if decides else files.jpeg(PICTURE)
        builder.sign(c2pa.Signer.from_info(info), "image/jpeg", io.BytesIO(source), made)
        for checked in (True, False):
            monkeypatch.setattr(credentials, "installed", lambda checked=checked: checked)
            result = outcome(made.getvalue(), keys[2].decode())
            assert result.outcome == ("valid" if checked else "unchecked"), result.why
            traces = credentials.traces(result)
            generated = [trace.decides for trace in traces if trace.generator == "C2PA trainedAlgorithmicMedia"]
            assert generated == [decides], checked


def test_a_soft_binding_is_named(keys):
    binding = {"label": "c2pa.soft-binding", "data": {"alg": "com.adobe.trustmark.P", "blocks": []}}
    claims = files.manifest("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture")
    claims["assertions"].append(binding)
    traces = credentials.traces(outcome(files.signed(files.jpeg(PICTURE), keys, claims)))
    assert any("“com.adobe.trustmark.P”" in trace.claim for trace in traces)


def test_boxes_that_hold_no_manifest_are_invalid():
    body = struct.pack(">I4s", 8 + 16, b"jumb") + b"\0" * 16
    made = outcome(files.with_chunk(files.png(PICTURE), b"caBX", body))
    assert made.outcome == "invalid" and "hold none" in made.why


@pytest.mark.parametrize("start", ["1e999", "-1e999", "NaN", "-1", '"9"', "[1]", "null"])
def test_a_manifest_that_leaves_out_absurd_places_fits_nothing(start, monkeypatch):
    def boxes(label: bytes, body: bytes) -> bytes:
        described = struct.pack(">I4s16xB", 8 + 17 + len(label) + 1, b"jumd", 3) + label + b"\0"
        return struct.pack(">I4s", 8 + len(described + body), b"jumb") + described + body

    monkeypatch.setattr(credentials, "installed", lambda: False)
    value = b'{"alg": "sha256", "hash": 1, "exclusions": [{"start": %s, "length": 0}]}' % start.encode()
    told = boxes(b"c2pa.hash.data", struct.pack(">I4s", 8 + len(value), b"json") + value)
    manifest = boxes(b"c2pa", boxes(b"one", boxes(b"c2pa.assertions", told)))
    made = outcome(files.with_chunk(files.png(PICTURE), b"caBX", manifest))
    assert made.outcome in ("unchecked", "invalid") and made.fits is not True


def test_our_trust_list_is_dated_and_whole():
    x509 = pytest.importorskip("cryptography.x509")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of cities that do not follow the standard's letters
        listed = x509.load_pem_x509_certificates(credentials.trusted().encode())
    assert len(listed) == 36 and credentials.TRUSTED_AS_OF in credentials.trusted()
    assert {"Google C2PA Root CA G3", "DigiCert ECC P384 Root for C2PA G1"} <= {
        name.value for one in listed for name in one.subject if name.oid.dotted_string == "2.5.4.3"
    }
