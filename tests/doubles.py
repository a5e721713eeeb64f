"""Real, small witnesses for tests, as an outside package would bring them; they need no weights.

`load(mood=…)` is what a leaf has. The witness testifies by brightness: the brighter a face's box, the likelier fake.
Its calibration was fitted on painted brightness, so the probability is what it says for such pictures.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from facewitness import regions
from facewitness.calibration import Calibration
from facewitness.types import KINDS, Box, Clip, Face, Finding, Frame, Landmarks, Mask, Pixels, Quality, Testimony, Track

DEADLY = (255, 0, 255)  # a picture whose first pixel has this colour ends the process that examines it


def load(mood: str = "calm", seconds: float = 0.0, started: str | None = None, gate: str | None = None) -> Brightness:
    """A witness that is calm, silent (never says), angry (raises) or uncalibrated; `seconds` it takes for each face.

    `started` names a file that grows by a byte for each examination, so that a test can wait for one. While there is a
    file `gate`, the fourth and later examinations wait.
    """
    return Brightness(mood, seconds, started, gate=gate)


@functools.cache
def calibration() -> Calibration:
    """Fitted on 400 painted brightnesses: genuine ones are dark, fakes bright, some overlap."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 400)
    scores = np.clip(rng.normal(0.3 + 0.4 * labels, 0.12), 0.0, 1.0)
    return Calibration.fit(scores, labels, groups=np.arange(400) // 2, resamples=50)


class Seen(NamedTuple):
    """A face in a photo, as a witness is shown it: `witness.examine(*seen)`."""

    track: Track
    clip: Clip

    @classmethod
    def of(cls, pixels: Pixels, box: Box | None = None, landmarks: Landmarks | None = None) -> Seen:
        frame = Frame(pixels)
        face = Face(frame.at, frame.at.box if box is None else box, landmarks)
        return cls(Track(0, (face,)), Clip("photo", (frame,)))

    def moved(self, landmarks: Landmarks | None) -> Seen:
        """The same face with another mesh, or none."""
        return Seen(Track(0, (replace(self.face, landmarks=landmarks),)), self.clip)

    @property
    def face(self) -> Face:
        return self.track.face

    @property
    def pixels(self) -> Pixels:
        return self.clip.frame.pixels


class Brightness:
    """Says how bright the face's box is, with one finding on its upper half where it is brighter than half."""

    def __init__(
        self,
        mood: str = "calm",
        seconds: float = 0.0,
        started: str | None = None,
        name: str = "brightness",
        gate: str | None = None,
    ):
        self.name, self.mood, self.seconds, self.started, self.gate = name, mood, seconds, started, gate
        self.calibration = None if mood == "uncalibrated" else calibration()

    def made_by(self) -> dict[str, Any]:
        return {"weights": {}}

    def examine(self, track: Track, clip: Clip) -> Testimony:
        face, pixels = track.face, clip.at(track.face.at).pixels
        if self.started is not None:
            with Path(self.started).open("ab", buffering=0) as file:  # unbuffered: it tells where this byte came to lie
                file.write(b".")
                before = file.tell() - 1
            while self.gate is not None and before >= 3 and Path(self.gate).exists():
                time.sleep(0.02)
        time.sleep(self.seconds)
        if tuple(pixels[0, 0]) == DEADLY:
            os._exit(9)
        if self.mood == "angry":
            raise RuntimeError("I will not look at this")
        if self.mood == "silent":
            return Testimony(self.name, None)
        x1, y1, x2, y2 = face.box
        seen = pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
        score = float(seen.mean() / 255.0)
        upper = (x1, y1, x2, (y1 + y2) / 2)
        mask = Mask(upper, np.full((4, 8), score, np.float32))
        claim = "The forehead is brighter than a face should be."
        findings = (Finding.on("forehead", upper, mask, claim, score, face.at),) if score > 0.5 else ()
        kind = dict(zip(KINDS, (1.0 - score, score / 2, score / 4, score / 4), strict=True))
        return Testimony(self.name, score, mask, findings, kind)


class AverageFace:
    """A finder that lays the average mesh over the middle of any picture: painted faces are painted there."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        mesh = regions.average_landmarks()[:, :2]
        mesh = (mesh - mesh.min(0)) / np.ptp(mesh[:, 1])
        points = (mesh * frame.height * 0.7 + (0.2 * frame.width, 0.15 * frame.height)).astype(np.float32)
        (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
        return (Face(frame.at, (x1, y1, x2, y2), points, quality=Quality(score=1.0)),)


class TwoFaces:
    """A finder that lays the average mesh over both halves of any picture."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        (one,) = AverageFace().find(frame)
        found = []
        for middle in (0.25, 0.75):
            (x1, _), (x2, _) = one.landmarks.min(0), one.landmarks.max(0)
            points = one.landmarks + np.array([middle * frame.width - (x1 + x2) / 2, 0], np.float32)
            (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
            found.append(replace(one, box=(left, top, right, bottom), landmarks=points))
        return tuple(found)


def embed(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of 24 numbers that depend on the words alone, in the place of a sentence encoder."""
    return np.stack([np.random.default_rng(sum(map(ord, s))).normal(size=24) for s in sentences]).astype(np.float32)


def tiny_kfd(folder: Path) -> Path:
    """A detector of KFD of 64 px with random weights, saved as a trained one is. Needs torch."""
    import torch

    from facewitness.models.kfd import KFD, SmallEncoders

    torch.manual_seed(0)
    encoders = SmallEncoders(
        "mobilenetv2_035", (4, 8, 16), 64, 24, embed=lambda s: np.eye(len(s), 24, dtype=np.float32)
    )
    path = folder / "kfd.safetensors"
    KFD(encoders, width=4, pool=2, hidden=8).save(path, {"crop": {"margin": 1.3}})
    return path


def tiny_fdm(folder: Path) -> Path:
    """MARE's forgery disentanglement module for 64 px with random weights, saved as a trained one is. Needs torch."""
    import torch

    from facewitness.models.fdm import FDM

    torch.manual_seed(0)
    path = folder / "fdm.safetensors"
    FDM(5, "test_efficientnet", stage=-2, width=8).save(path, {"crop": {"size": 64}})
    return path


_TOWER = {"kind": "clip", "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
          "image_size": 32, "patch_size": 8}  # fmt: skip
_DECODER = {"hidden": 16, "heads": 2, "mlp": 16, "layers": 1, "further": 0}
AREAS = ("eye", "nose", "mouth")
TALK = ("The nose is smeared.", "The left eye has a seam. The mouth is pasted.", "No facial area shows a manipulation.")


def tiny_forgerytalker(folder: Path) -> Path:
    """A ForgeryTalker of 32 px with random weights, saved as a trained one is. Needs torch and transformers."""
    import torch

    from facewitness.models import forgerytalker as ft
    from facewitness.models._reader import Reader, learned

    words = learned([*TALK, ft.INSTRUCTION, ", ".join(AREAS)] * 2, 330)
    torch.manual_seed(0)
    config = ft.small(
        AREAS, len(words), encoder=_TOWER, prior=False, decoder=_DECODER, queries=3, fuse=8,
        fpn={"size": 32, "patch": 8, "width": 16, "layers": 2, "heads": 2, "mlp": 16, "convolved": 1, "stem": 24},
        qformer={"vocab_size": len(words), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "intermediate_size": 16, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        language={"vocab_size": len(words), "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2,
                  "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    )  # fmt: skip
    path = folder / "forgerytalker.safetensors"
    ft.ForgeryTalker(config, Reader(words)).save(path, {"crop": {"margin": 1.25}})
    return path


def tiny_fifa(folder: Path) -> Path:
    """A FiFa of 32 px with random weights, saved as a trained one is. Needs torch and transformers."""
    import torch

    from facewitness.models import fifa
    from facewitness.models._reader import Reader, learned

    words = learned([*TALK, *fifa.QUESTIONS.values(), fifa.YES, fifa.NO] * 2, 360, fifa.TOKENS)
    torch.manual_seed(0)
    language = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
                "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}  # fmt: skip
    config = fifa.small(
        ("left_eye", "nose", "mouth"),
        len(words),
        encoder=_TOWER,
        prior=False,
        decoder=_DECODER,
        language=language,
        grid=2,
    )
    path = folder / "fifa.safetensors"
    fifa.FiFa(config, Reader(words)).save(path, {"crop": {"margin": 1.25}})
    return path


def a_minute_a_step(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment at which time stands still for trainings of language models but for a minute that each step takes."""
    from facewitness.train.tuning import Watch

    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    begun = Watch.on_step_begin

    class Clock:
        @staticmethod
        def now(_: Any) -> datetime:
            return now[-1]

    def step(*given: Any, **options: Any) -> None:
        now.append(now[-1] + timedelta(minutes=1))
        begun(*given, **options)

    monkeypatch.setattr("facewitness.train.schedule.datetime", Clock)
    monkeypatch.setattr(Watch, "on_step_begin", step)
    return now[0]


def tiny_onnx(folder: Path) -> Path:
    """A classifier of pictures in an ONNX file: a line through the mean colour, one logit. Needs onnx."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'train'")
    from onnx import TensorProto, helper, numpy_helper

    line = numpy_helper.from_array(np.array([[0.4], [-0.3], [0.2]], np.float32), "line")
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["colour"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["colour", "line"], ["logit"]),
    ]
    shapes = (("picture", [1, 3, 32, 32]), ("logit", [1, 1]))
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes)
    graph = helper.make_graph(nodes, "tiny", [given], [answer], [line])
    path = folder / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


class Dying:
    """A finder whose process ends over the first picture."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        os._exit(9)


def load_dying() -> None:
    """What a process that packs loads in the place of its finder."""
    from facewitness.builders import pack

    pack._tools["finder"] = Dying()
