"""Anything at all at the readers of strangers' bytes: media, reports, metadata and lists. A sentence, or an answer.

Whole files are changed by hypothesis: cut, spliced and overwritten where it likes. `tests/hostile/guided.py` goes on
from there, guided by coverage.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from files import XMP, png, with_chunk, with_segment, xmp
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import jpeg, painted
from reports import REPORTS

from facewitness import media
from facewitness.calibration import Profile
from facewitness.datasets import manifest
from facewitness.errors import FacewitnessError, InputError, ReportError
from facewitness.formats import json as wire
from facewitness.metadata import container, exif, generators, jumbf
from facewitness.metadata import xmp as xmp_reader

SMALL = painted(120, 40)
FILES = [
    jpeg(SMALL),
    with_segment(jpeg(SMALL), 0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    with_segment(jpeg(SMALL), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp('d:creator="x"')),
    png(SMALL, parameters="a face, Steps: 20, Model: x"),
    with_chunk(png(SMALL), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.format('ps:Credit="y"').encode()),
    with_chunk(png(SMALL), b"caBX", b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9bq\3c2pa\0"),
]


def attempt(read: Callable[[], Any], error: type[FacewitnessError]) -> tuple[Any, str]:
    """What a reader gives, or its sentence; any other exception is a fault."""
    try:
        return read(), ""
    except error as refused:
        return None, str(refused)


@st.composite
def changed(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """A whole file, a few stretches of which are replaced, cut out or repeated."""
    content = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 60))
        piece = draw(st.binary(max_size=30) | st.just(content[at : at + length] * 2))
        content = content[:at] + piece + content[at + length :]
    return content


@given(changed(FILES) | st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes_are_a_picture_or_a_sentence(content):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip, sentence = attempt(lambda: media.read(content, max_pixels=100_000, max_bytes=1_000_000), InputError)
    assert sentence or clip.frame.pixels.shape == (clip.medium.height, clip.medium.width, 3)


@given(changed(FILES) | st.binary(max_size=300))
@settings(max_examples=150)
def test_any_bytes_have_metadata_or_none(content):
    parts = container.split(content)
    read = exif.read(parts.exif or content[:400])
    properties, _ = xmp_reader.read(parts.xmp or content[:400])
    jumbf.read(content[:400])
    for trace in generators.traces([("parameters", content[:400].decode("latin-1"))], read, properties):
        assert trace


WIRE = {name: wire.render(report) for name, report in REPORTS.items()}


@given(st.sampled_from(sorted(WIRE)), st.data())
@settings(max_examples=150)
def test_any_change_to_a_report_is_read_or_refused(name, data):
    value = json.loads(WIRE[name])
    place, keys = value, []
    while isinstance(place, dict | list) and place and (not keys or data.draw(st.booleans())):
        steps = sorted(place) if isinstance(place, dict) else range(len(place))
        keys.append(data.draw(st.sampled_from(steps)))
        above, place = place, place[keys[-1]]
    above[keys[-1]] = data.draw(JSON)
    read, sentence = attempt(lambda: wire.parse(json.dumps(value)), ReportError)
    assert sentence or wire.parse(wire.render(read)).source == read.source


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("identity_exchange"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


@given(changed(list(WIRE.values())) | st.binary(max_size=200))
@settings(max_examples=150)
def test_any_bytes_are_a_report_or_refused(content):
    read, sentence = attempt(lambda: wire.parse(content), ReportError)
    assert sentence or read.status in ("ok", "no_face", "failed")


@given(changed([b"file,label,mask\na.png,real,\nb.png,fake,m.png\n", b'{"file": "a.png", "label": "fake"}\n' * 3]))
@settings(max_examples=100)
def test_any_list_is_samples_or_a_sentence(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("list")
    for suffix in (".csv", ".jsonl"):
        path = folder / f"list{suffix}"
        path.write_bytes(content)
        samples, sentence = attempt(lambda path=path: list(manifest.samples(path, None)), InputError)
        assert sentence or all(sample.truth.label in ("real", "fake") for sample in samples)


@given(JSON | st.builds(json.dumps, JSON))
@settings(max_examples=100)
def test_any_profile_is_one_or_a_sentence(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), errors="replace")
    with pytest.raises(InputError):
        Profile.read(path)
