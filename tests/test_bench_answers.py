"""Answers in words against truth and detector: systems whose numbers are known beforehand, and the command."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from facewitness.apps.cli import main  # noqa: E402

from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness.bench import answers, predictions  # noqa: E402
from facewitness.builders import sbi_qa  # noqa: E402
from facewitness.errors import InputError  # noqa: E402
from facewitness.models.forgery_expert import ForgeryExpert  # noqa: E402
from facewitness.models.kfd import KFD, SmallEncoders  # noqa: E402
from facewitness.train import small_vlm  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 112
YES, NO = "Yes, this face is fake. The forged part is the nose.", "No, this face is real."


def items(count: int) -> list[sbi_qa.Item]:
    """Of each person a real and a fake picture; a verdict and a region question about each. Scores are wrong for 3."""
    out = []
    for n in range(count):
        fake, person = bool(n % 2), n // 2
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(file, "PNG")
        score = 0.9 if fake != (n == 3) else 0.1
        for asked in (None, "nose"):
            out.append(
                sbi_qa.Item(
                    f"{n}.png", file.getvalue(), None, "fake" if fake else "real", f"person {person}",
                    ("nose",) if fake else (), "Is this face fake?" if asked is None else "Is the nose fake?",
                    YES if fake else NO, sbi_qa.DESCRIPTIONS[0], asked, score, f"{person}.png",
                )
            )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict[str, Any]]:
    path = tmp_path_factory.mktemp("rows") / "t.parquet"
    sbi_qa.write_parquet(items(40), path)
    return sbi_qa.read_parquet(path)


def measured(rows: list[dict[str, Any]], texts: list[str]) -> dict[str, Any]:
    made = answers.rows_of(rows, texts)
    return answers.measure(pa.Table.from_pylist(made, predictions.schema(())))


def value(numbers: dict[str, Any], name: str, system: str = "model") -> float | None:
    return numbers[system][name]["value"]


def test_true_answers_get_one_and_those_who_have_not_looked_get_chance(rows):
    numbers = measured(rows, [YES if r["label"] == "fake" else NO for r in rows])
    for name in ("verdict", "regions", "regions, forged", "regions, nothing is forged", "named"):
        assert value(numbers, name) == 1.0
    assert numbers["model"]["balanced"] == 1.0 and value(numbers, "untold") == 0.0
    assert value(numbers, "agreement") == value(numbers, "detector") == 39 / 40  # the detector errs once
    assert numbers["model"]["verdict"]["n"] == 40 and numbers["model"]["verdict"]["low"] == 1.0
    for system in ("image-blind", "shuffled", "always fake", "always real"):
        assert 0.2 <= value(numbers, "verdict", system) <= 0.8
        assert 0.2 <= value(numbers, "regions", system) <= 0.8
    assert value(numbers, "verdict", "image-blind") == pytest.approx(
        0.5
    )  # of each person one picture is real, one is fake
    assert numbers["model"]["regions, another is forged"]["value"] is None
    assert (numbers["questions"], numbers["pictures"], numbers["groups"]) == (80, 40, 20)
    assert numbers["wording"]["bleu4"] == pytest.approx(1.0)
    json.dumps(numbers)


def test_answers_that_follow_the_detector_agree_with_it_and_share_its_error(rows):
    numbers = measured(rows, [YES if r["score"] > 0.5 else NO for r in rows])
    assert value(numbers, "agreement") == 1.0 and value(numbers, "verdict") == 39 / 40


def test_what_says_nothing_is_wrong_and_what_always_says_yes_is_balanced_at_half(rows):
    silent = measured(rows, ["The weather is fine."] * len(rows))
    assert value(silent, "verdict") == value(silent, "agreement") == 0.0 and value(silent, "untold") == 1.0
    yes = measured(rows, ["Yes, the nose and the chin."] * len(rows))
    assert value(yes, "verdict, fake") == 1.0 and value(yes, "verdict, real") == 0.0
    assert yes["model"]["balanced"] == 0.5
    assert value(yes, "named") == 0.5


def test_a_region_that_was_left_alone_on_a_forged_face_is_a_no(rows):
    chin = [row | {"question": "Is the chin fake?"} for row in rows if row["asked"] and row["label"] == "fake"]
    numbers = measured(chin, ["No, the chin is genuine."] * len(chin))
    assert value(numbers, "regions, another is forged") == 1.0 and value(numbers, "verdict") is None
    assert numbers["model"]["balanced"] is None


def test_without_scores_agreement_is_not_measured_and_nothing_can_be_quoted(rows):
    blank = [row | {"score": None} for row in rows]
    assert value(measured(blank, [YES] * len(rows)), "agreement") is None
    with pytest.raises(InputError, match="Name one with --detector"):
        answers.ask(None, None, blank, quoted=True)
    with pytest.raises(InputError, match="an answer for each row, got 1 for 80"):
        answers.rows_of(rows, [YES])


def test_the_command_asks_a_saved_model_and_scores_with_its_own_detector(tmp_path, capsys):
    sbi_qa.write_parquet(items(6), tmp_path / "t.parquet")
    rows = sbi_qa.read_parquet(tmp_path / "t.parquet")
    model, processor = small_vlm.make([YES, NO], width=64, layers=1, rows=400, size=SIZE, vision_width=32)
    torch.manual_seed(0)
    seen = SmallEncoders("mobilenetv2_035", (4, 8, 16), SIZE, 24, embed=lambda s: np.eye(len(s), 24))
    detector = KFD(seen, width=4, pool=2, hidden=8).eval()
    pv.attach(model, ForgeryExpert.of(detector, pv.width_of(model), tokens=4, width=4), processor)
    pv.save(model, processor, tmp_path / "model")
    arguments = [str(tmp_path / "model"), str(tmp_path / "t.parquet"), "--out", str(tmp_path / "a.json")]
    assert main(["bench", "answers", *arguments]) == 0
    assert "agreement" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "a.json").read_text())
    lines = predictions.read(tmp_path / "a")[0].to_pylist()
    assert [line["file"] for line in lines] == [row["file"] for row in rows]
    with torch.no_grad():
        pixels = np.asarray(Image.open(io.BytesIO(rows[0]["image"]))).transpose(2, 0, 1)[None]
        expected = float(detector(torch.from_numpy(pixels.copy()).float()).score)
    assert lines[0]["score"] == lines[1]["score"] == pytest.approx(expected, abs=1e-5)
    assert numbers["score"] == "the model's own" and numbers["questions"] == 12
    again = answers.run(str(tmp_path / "a"), None, tmp_path / "b.json")
    assert again == numbers == json.loads((tmp_path / "b.json").read_text())
    assert main(["bench", "answers", str(tmp_path / "none"), *arguments[1:]]) == 2
    assert "There is no folder" in capsys.readouterr().err
