"""The measuring of MARE's replies: what perfect, wrong, blind and broken ones get, and the command on a tiny model."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
pq = pytest.importorskip("pyarrow.parquet")
torch = pytest.importorskip("torch", reason="needs the extra 'train'")
for package in ("peft", "transformers", "trl"):
    if find_spec(package) is None:
        pytest.skip(f"needs {package}, of the extra 'vlm'", allow_module_level=True)

from doubles import AverageFace, tiny_fdm  # noqa: E402

from facewitness import geometry, regions  # noqa: E402  isort: skip
from facewitness.models import prompted_vlm as pv  # noqa: E402  isort: skip  (it mends torchvision)
from facewitness.bench import predictions, speakers  # noqa: E402
from facewitness.builders import chats, dma  # noqa: E402
from facewitness.builders.pack import Pack  # noqa: E402
from facewitness.errors import InputError  # noqa: E402
from facewitness.grammars import mare  # noqa: E402
from facewitness.models.fdm import FDM  # noqa: E402
from facewitness.models.trace_expert import TraceExpert  # noqa: E402
from facewitness.train import paired, small_vlm  # noqa: E402
from facewitness.types import Finding, Reply  # noqa: E402

RUNS = Path(__file__).parents[1] / "runs" / "mare"
SIZE = 112
WHOLE, NOSE = "Does the image looks real/fake?", "Does the person's nose look real/fake?"


def _script(name):
    spec = importlib.util.spec_from_file_location(f"mare_{name}", RUNS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"mare_{name}"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[f"mare_{name}"]


@pytest.fixture(scope="module")
def evaluate():
    spec = importlib.util.spec_from_file_location("mare_evaluate", RUNS / "evaluate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mare_evaluate"] = module
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    spec.loader.exec_module(module)
    yield module
    torch.set_num_threads(before)
    del sys.modules["mare_evaluate"]


def annotated(count: int) -> list[dma.Item]:
    """Two questions about each of `count` noise pictures, two annotations of the first; every second one is fake."""
    out = []
    for n in range(count):
        fake, at = bool(n % 2), 10.0 + n % 5
        picture = io.BytesIO()
        noise = np.random.default_rng(n).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(picture, "PNG")
        boxes = {"nose": (40.0, 50.0 + at, 70.0, 80.0 + at), "mouth": (35.0, 80.0 + at, 75.0, 95.0 + at)}
        texts = {
            WHOLE: ("The image looks fake. The nose is blurred.", "The image looks fake. The mouth is dark.")
            if fake
            else ("The image looks real. All is natural.", "The image looks real."),
            NOSE: ("The nose looks fake. The nose is blurred.",) if fake else ("The nose looks real.",),
        }
        for question, said in texts.items():
            for text in said:
                names = [name for name in boxes if name in text] if fake else []
                findings = tuple(Finding.on(name, boxes[name], None, "", None) for name in names)
                reply = Reply("fake" if fake else "real", None, (text,), findings, "I look for seams.")
                others = tuple(t for t in said if t != text)
                out.append(
                    dma.Item(
                        f"{n}.png", picture.getvalue(), None, (SIZE, SIZE), "fake" if fake else "real",
                        f"person {n // 2}", "val", "noise", question, text, (text, *others), tuple(names),
                        tuple(boxes[name] for name in names), mare.render(reply),
                    )
                )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return dma.write_parquet(annotated(20), tmp_path_factory.mktemp("dma") / "dma.parquet")


@pytest.fixture(scope="module")
def asked(evaluate, table) -> list[Any]:
    return evaluate.items(chats.read_dma(table))


def replies(asked: list[Any], table: Path) -> list[str]:
    rows = chats.read_dma(table)
    return [
        next(r["reply"] for r in rows if (r["file"], r["question"]) == (i.row["file"], i.row["question"]))
        for i in asked
    ]


def predicted(evaluate, asked, texts, traces=None) -> Any:
    made = evaluate.rows_of(asked, texts, traces or [None] * len(asked))
    names = list(made[0]["scores"])
    rows = [{**row, **{f"score/{n}": v for n, v in row["scores"].items()}} for row in made]
    table = pa.Table.from_pylist([{k: v for k, v in row.items() if k != "scores"} for row in rows],
                                 predictions.schema(names))  # fmt: skip
    return table, speakers.replies(table)


def value(found: dict[str, Any], name: str) -> Any:
    return found[name].value


def test_a_question_about_a_picture_is_asked_once_with_all_its_answers(asked):
    assert len(asked) == 40
    (item,) = [i for i in asked if (i.row["file"], i.row["question"]) == ("1.png", WHOLE)]
    assert item.whole and item.truth.regions == {"nose", "mouth"} and set(item.truth.boxes) == {"nose", "mouth"}
    assert len(item.truth.texts) == 2 and item.row["prompt"] == mare.prompt(WHOLE)
    assert not any(i.whole for i in asked if i.row["question"] == NOSE)


def test_what_people_replied_is_right_and_controls_are_chance(evaluate, asked, table):
    traces = [0.9 if i.row["label"] == "fake" else 0.1 for i in asked]
    rows, _ = predicted(evaluate, asked, replies(asked, table), traces)
    found = {name: evaluate.measured(rows, said, tokenizer="plain")[0] for name, said in evaluate.systems(rows).items()}
    assert list(found) == ["model", *speakers.CONTROLS]
    model = found["model"]
    for name in ("verdict", "f1", "verdict, whole", "told", "rouge_l", "agreement", "score/grammar", "score/boxes",
                 "score/alignment", "score/label"):  # fmt: skip
        assert value(model, name) == pytest.approx(1), name
    assert value(model, "bleu4") == pytest.approx(1, abs=1e-6) and model["bleu4"].low <= 1 + 1e-6
    assert value(model, "claims, agreed") == 1 and value(model, "claims, boxed") is None
    assert value(model, "score/side") is None
    assert value(found["image-blind"], "verdict") == pytest.approx(0.5, abs=0.15)
    assert value(found["always fake"], "verdict") == value(found["always real"], "verdict") == 0.5
    assert value(found["score alone"], "verdict") == 1 and value(found["map alone"], "verdict") is None
    told = found["image-blind, told the label"]
    assert value(found["shuffled"], "verdict") < 0.8 and value(told, "verdict") == 1
    assert 0.5 < value(told, "score/boxes") < 1, "the median box is near, and not there"
    assert value(found["shuffled"], "cider") < value(model, "cider")


def test_numbers_of_wrong_replies_by_hand(evaluate, asked):
    few = [i for i in asked if i.row["question"] == NOSE][:4]  # real, fake, real, fake
    box = dict(few[1].truth.boxes)["nose"]
    nose = Finding.on("nose", box, None, "", None)
    said = [
        mare.render(Reply("fake", None, ("The nose looks fake.",), (), "x")),  # a claim that is wrong, without a box
        mare.render(Reply("fake", None, ("It looks fake.",), (nose,), "x")),  # boxed alone
        "no JSON at all",
        mare.render(Reply("real", None, ("The nose looks real.",), (), "x")),
    ]
    rows, read = predicted(evaluate, few, said, [None, 0.9, 0.2, 0.8])
    found, tokenizer = evaluate.measured(rows, read, tokenizer="plain")
    assert value(found, "verdict") == 1 / 4 and value(found, "told") == 3 / 4
    assert value(found, "f1") == pytest.approx(2 / (2 + 2))  # said fake: 2, are fake: 2, both: 1
    assert value(found, "score/grammar") == 3 / 4 and rows["refusals"].to_pylist()[2][0].startswith("no think")
    assert rows["raw"].to_pylist() == said
    assert value(found, "claims, named") == 0 and value(found, "claims, boxed") == 1
    assert value(found, "score/boxes") == pytest.approx((1 + 0) / 2)  # of the two fakes, the second boxes nothing
    assert value(found, "agreement") == 1 / 2 and value(found, "score") == 1
    assert found["verdict, whole"].value is None and tokenizer == "plain"


@pytest.mark.parametrize(
    "text", ["", "[" * 5000, "<think>" * 500, '{"bboxes": {"tail": [1, NaN, "x"]}}', "fake " * 9000]
)
def test_no_reply_stops_the_measuring(evaluate, asked, text):
    rows, read = predicted(evaluate, asked[:6], [text] * 6)
    found, _ = evaluate.measured(rows, read, tokenizer="plain")
    assert value(found, "score/grammar") == 0 and all(rows["refusals"].to_pylist())
    assert 0 <= value(found, "verdict") <= 1 and value(found, "score") is None


def test_a_text_that_is_none_counts_nowhere(evaluate, asked, table):
    rows, read = predicted(evaluate, asked, replies(asked, table), [0.5] * len(asked))
    said = [None if n % 2 else reply for n, reply in enumerate(read)]
    found, _ = evaluate.measured(rows, said, tokenizer="plain")
    assert value(found, "verdict") == 1 and found["verdict"].n == 20 and found["bleu4"].n == 20


@pytest.fixture(scope="module")
def model(table, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    prompts = [mare.prompt(WHOLE), mare.prompt(NOSE)]
    small, processor = small_vlm.make(prompts, width=64, layers=1, rows=400, size=SIZE, vision_width=32)
    pv.attach(small, TraceExpert.of(FDM.load(tiny_fdm(folder)), 64, 64, grid=2), processor)
    pv.save(small, processor, folder / "model")
    return folder / "model"


def test_the_command_asks_a_model_and_measures_what_it_said_again_without_it(evaluate, model, table, tmp_path, capsys):
    options = ["--split", "val", "--most", "6", "--tokens", "5", "--tokenizer", "plain"]
    evaluate.main([str(model), str(table), "--out", str(tmp_path / "a"), "--keep", *options])
    assert "| verdict, whole |" in capsys.readouterr().out
    first = json.loads((tmp_path / "a" / "results.json").read_text())
    assert first["items"] == 6 and first["pictures"] == 3 and first["model"]["score/grammar"]["value"] == 0
    assert sum(first["refused"].values()) >= 6
    lines = predictions.read(tmp_path / "a" / "predictions")[0].to_pylist()
    assert len(lines) == 6 and all(0 <= line["score"] <= 1 and line["score/grammar"] == 0 for line in lines)
    before = str(tmp_path / "a" / "predictions")
    evaluate.main([before, "--out", str(tmp_path / "b"), "--tokenizer", "plain"])
    second = json.loads((tmp_path / "b" / "results.json").read_text())
    assert second["model"] == first["model"] and second["shuffled"] == first["shuffled"]


def test_a_measuring_that_was_stopped_goes_on_with_a_sample(evaluate, model, table, tmp_path, monkeypatch):
    out = tmp_path / "out"
    options = ["--sample", "5", "--batch", "2", "--tokens", "3", "--tokenizer", "plain", "--out", str(out)]
    with pytest.raises(InputError, match="Asked 0 of 5 questions"):
        evaluate.main([str(model), str(table), *options, "--minutes", "0"])
    evaluate.main([str(model), str(table), *options])
    kept = (out / "replies.jsonl").read_text().splitlines()
    assert len(kept) == 5
    (out / "replies.jsonl").write_text("\n".join([*kept[:3], kept[3][:9]]) + "\n")
    heard = []
    real = evaluate.paired.ask
    monkeypatch.setattr(
        evaluate.paired, "ask", lambda m, p, rows, asking: heard.append(rows) or real(m, p, rows, asking)
    )
    evaluate.main([str(model), str(table), *options])
    assert [len(rows) for rows in heard] == [2], "what was kept whole is not asked for again"
    smaller = [*options[:1], "3", *options[2:]]
    evaluate.main([str(model), str(table), *smaller])
    assert len(heard) == 1, "a part of the sample"
    assert json.loads((out / "results.json").read_text())["items"] == 3


@pytest.fixture
def draws(evaluate):
    yield from _script("draws")


def test_how_replies_are_drawn_is_fitted_on_what_the_module_was_not_shown(
    draws, evaluate, model, table, tmp_path, monkeypatch
):
    shutil.copytree(model.parent, tmp_path / "copy")  # the module lies beside the model
    folder = tmp_path / "copy" / model.name
    rows = [{"file": f"{n}.jpg", "split": "calibrate" if n < 8 else "train"} for n in range(20)]
    monkeypatch.setattr(draws, "Pack", lambda path: type("Held", (), {"rows": rows}))
    given = [str(table), "--unseen", "pack", "--model", str(folder), "--draws", "2", "--tokens", "3", "--out",
             str(tmp_path / "out")]  # fmt: skip
    with pytest.raises(InputError, match="Drew for 0 of 16 questions"):
        draws.main([*given, "--minutes", "0"])
    draws.main(given)
    held = json.loads((folder / "draws.json").read_text())
    assert held["draws"] == 2 and held["fitted"]["questions"] == 16 and held["fitted"]["groups"] == 4
    assert held["fitted"]["verdict"] in ("together", "score", "words")
    drawing = draws._drawn.read(folder)
    assert drawing is not None and drawing.offset == held["offset"]
    options = ["--sample", "4", "--tokens", "3", "--tokenizer", "plain", "--out", str(tmp_path / "val")]
    evaluate.main([str(folder), str(table), *options, "--drawn"])
    assert json.loads((tmp_path / "val" / "results.json").read_text())["drawn"] is True
    with pytest.raises(InputError, match=r"expected draws\.json"):
        evaluate.main([str(model), str(table), *options[:-1], str(tmp_path / "w"), "--drawn"])
    monkeypatch.setattr(draws, "Pack", lambda path: type("None", (), {"rows": rows[8:]}))
    with pytest.raises(InputError, match="expected a pack that holds out"):
        draws.main(given)


def test_words_and_score_are_weighed_by_what_was_right_elsewhere(draws):
    rng = np.random.default_rng(0)
    fake = rng.random(200) < 0.5
    rows = [(str(i // 4), float(rng.normal()), float(rng.normal() + 4 * f - 2), bool(f)) for i, f in enumerate(fake)]
    right, groups = draws.elsewhere(rows), [group for group, *_ in rows]
    assert right["score"].mean() > 0.9 > 0.7 > right["words"].mean() and right["together"].mean() > 0.9
    assert draws.better(right, groups) in ("score", "together")
    assert draws.better({**right, "score": right["words"], "together": right["words"]}, groups) == "words", "a draw"
    words, evidence, _ = draws.fitted(rows, "together")
    assert evidence > 5 * abs(words) and draws.fitted(rows, "score")[0] == 0


def test_shares_of_right_claims_are_kept_where_the_witness_reads_them(evaluate, asked, table, tmp_path, monkeypatch):
    made = evaluate.rows_of(asked, replies(asked, table), [None] * len(asked))
    monkeypatch.setattr(evaluate, "replied", lambda *_: made)
    options = ["--out", str(tmp_path / "out"), "--keep", "--tokenizer", "plain"]
    evaluate.main([str(tmp_path), str(table), *options])
    assert not (tmp_path / evaluate.CLAIMS).exists(), "a share of a handful of claims is no measure"
    monkeypatch.setattr(evaluate, "ENOUGH", 1)
    evaluate.main([str(tmp_path), str(table), *options])
    kept = json.loads((tmp_path / evaluate.CLAIMS).read_text())
    assert kept["agreed"] == 1.0 and "boxed" not in kept and 0 < kept["groups"] < 10, "half of the groups"
    assert "in the other: agreed 1.000" in (tmp_path / "out" / "results.md").read_text()


def test_what_cannot_be_measured_is_one_sentence(evaluate, model, table, tmp_path):
    out = ["--out", str(tmp_path / "out")]
    for arguments, sentence in (
        ([str(model)], "expected predictions in it, or a table of questions beside a model"),
        ([str(model), str(tmp_path / "none.parquet")], "that builders/dma wrote"),
        ([str(model), str(table), "--split", "test"], "expected rows of the split test, got val"),
        ([str(model), str(table), "--most", "0"], "at least one question"),
        (["hub/name", str(table), "--keep"], "--keep: expected a folder"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            evaluate.main([*arguments, *out])


# ----------------------------------------------------------------------------------------------------- the map alone


@pytest.fixture
def one_face(evaluate, monkeypatch):
    leaf = type("Leaf", (), {"load": staticmethod(lambda: AverageFace())})
    found = evaluate.plugins.get
    monkeypatch.setattr(
        evaluate.plugins, "get", lambda family, name: leaf if family == "finders" else found(family, name)
    )


def test_the_map_alone_names_what_it_covers_of_what_is_asked(evaluate, asked):
    box = (10.0, 10.0, 20.0, 20.0)
    maps = {i.row["file"]: {"nose": (0.9, box), "mouth": (0.5, box), "chin": (0.1, box)} for i in asked}
    del maps["0.png"]
    made = evaluate.rows_of(asked, [""] * len(asked), [None] * len(asked), maps)
    table = pa.Table.from_pylist([{k: row.get(k) for k in predictions.COLUMNS.names} for row in made],
                                 predictions.COLUMNS)  # fmt: skip
    said = evaluate.systems(table)["map alone"]
    for item, reply in zip(asked, said, strict=True):
        if item.row["file"] == "0.png":
            assert reply is None, "a picture without a mesh"
        else:
            names = ["nose", "mouth"] if item.whole else ["nose"]
            assert reply.label == "fake" and [f.region for f in reply.findings] == names
    assert evaluate.mapped({"nose": (0.2, box)}) == "[]" and evaluate.mapped(None) is None
    found = evaluate.above(table, evaluate.systems(table), tokenizer="plain")
    assert found["score/regions − map alone"].n == 38 and found["score/boxes − map alone"].value == 0


@pytest.fixture
def maps(evaluate):
    yield from _script("maps")


def test_maps_are_tried_elsewhere_and_answer_in_the_grammar(maps, model, table, one_face, tmp_path, monkeypatch):
    rows = [{"file": f"{n}.jpg", "split": "calibrate" if n < 8 else "train"} for n in range(20)]
    monkeypatch.setattr(maps.draws, "Pack", lambda path: type("Held", (), {"rows": rows}))
    maps.main([str(model), "--fit", str(table), "--unseen", "pack", "--table", str(table), "--out", str(tmp_path)])
    text = (tmp_path / "maps.md").read_text()
    assert text.count("\n| ") == len(maps.TRIED) and text.count("**") == 2
    assert "Fitted on 16 questions about 8 pictures, answered 40 questions about 20 pictures" in text
    lines = predictions.read(tmp_path / "predictions")[0].to_pylist()
    assert len(lines) == 40 and all(mare.parse(line["raw"]).label == line["says"] for line in lines)
    assert all(line["mapped"] is not None for line in lines)
    (spoken,) = {(line["says"], len(json.loads(line["mapped"])) > 0) for line in lines if line["question"] == WHOLE}
    assert spoken[0] == ("fake" if spoken[1] else "real")


# ------------------------------------------------------------------------------------------------------- the figures


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("mare_figures", RUNS / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def spoken(evaluate, asked, table, tmp_path) -> dict[str, Path]:
    """Replies of two: what people said, and one that says the same of all."""
    same = '<think>I see.</think><answer>{"explanation": "Hair lacks texture.", "bboxes": {}}</answer>'
    out = {}
    for name, texts in (("echo", replies(asked, table)), ("same", [same] * len(asked))):
        rows = evaluate.rows_of(asked, texts, [None] * len(asked))
        predictions.write(tmp_path / name, {"name": name, "dataset": "dma", "questions": True}, rows)
        out[name] = tmp_path / name
    return out


def test_terms_are_counted_once_a_reply_and_compared_with_peoples(figures, spoken, tmp_path):
    assert figures.terms("The nose, the nose looks very FAKE!") == {"nose"}
    assert figures.shares(["The nose.", "A blurred nose."]) == {"nose": 1.0, "blurred": 0.5}
    assert figures.nearness({"a": 0.5, "b": 0.5}, {"a": 1.0, "b": 1.0}) == pytest.approx(1)  # as often, in proportion
    assert figures.nearness({"a": 1.0}, {"b": 1.0}) == pytest.approx(0) and figures.nearness({}, {"a": 1.0}) is None
    of = [f"{name}={folder}" for name, folder in spoken.items()]
    figures.main(["words", *of, "--out", str(tmp_path / "words.svg")])
    numbers = json.loads((tmp_path / "words.json").read_text())
    assert numbers["terms"]["people"]["nose"] > 0.2 and numbers["terms"]["same"]["texture"] == 1.0
    assert numbers["near"]["echo"] > 0.8 and numbers["near"]["same"] == 0
    assert "share of replies" in (tmp_path / "words.svg").read_text()


def test_a_sheet_has_the_same_faces_for_everybody(figures, spoken, table, tmp_path):
    drawn = figures.sheet(spoken, table, count=2)
    assert len(drawn.axes) == 2 * 3 and {axes.get_title().split("\n")[-1] for axes in drawn.axes} == {
        "people", "echo", "same",
    }  # fmt: skip
    boxed = [axes for axes in drawn.axes if axes.patches]
    assert {axes.get_title().split("\n")[-1] for axes in boxed} <= {"people", "echo"} and boxed
    with pytest.raises(InputError, match="expected --table"):
        figures.main(["sheet", f"echo={spoken['echo']}", "--out", str(tmp_path / "x.png")])


def packed(tmp_path: Path, *sources: str) -> Path:
    """A pack of two genuine and two forged noise pictures of each source."""
    from facewitness.builders import pack

    class Blind:
        def find(self, frame):
            return ()

    for source in sources:
        rows = [
            {"file": f"{n}.png", "image": annotated(n + 1)[-1].image, "label": "fake" if n % 2 else "real",
             "source": source, "group": str(n), "original": None, "method": "made", "split": "val"}
            for n in range(4)
        ]  # fmt: skip
        (tmp_path / "tables").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "tables" / f"{source}.parquet")
    pack.pack(tmp_path / "tables", tmp_path / "pack", Blind())
    return tmp_path / "pack"


def test_attention_of_several_modules_stands_in_columns(figures, tmp_path):
    packed(tmp_path, "s")
    weights = tiny_fdm(tmp_path)
    drawn = figures.attention({"whole": weights, "no L_r": weights}, tmp_path / "pack", ["s"], count=2)
    assert len(drawn.axes) == 2 * 3 and [axes.get_title() for axes in drawn.axes[:3]] == ["s, made", "whole", "no L_r"]
    assert len(drawn.axes[1].images) == 2 and len(drawn.axes[0].images) == 1


# -------------------------------------------------------------------------------------------------------- the tables


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("mare_tables", RUNS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_model_that_looks_is_above_its_controls_and_one_answer_is_not(evaluate, asked, table):
    rows, _ = predicted(evaluate, asked, replies(asked, table))
    found = evaluate.above(rows, evaluate.systems(rows), tokenizer="plain")
    assert list(found) == [
        "verdict − always fake", "verdict − score alone", "cider − shuffled", "cider − shuffled, mean of swaps",
        "score/boxes − shuffled", "score/boxes − shuffled, mean of swaps", "verdict − map alone",
        "score/regions − map alone", "score/boxes − map alone",
    ]  # fmt: skip
    assert found["score/regions − map alone"].value is None, "nobody kept a map"
    assert found["verdict − always fake"].value == 0.5 and found["verdict − always fake"].low > 0
    assert found["cider − shuffled"].value > 0
    once, often = found["score/boxes − shuffled"], found["score/boxes − shuffled, mean of swaps"]
    assert 0 < often.value < 1 and often.n == once.n and abs(often.value - once.value) < 0.3
    same = '<think>I look.</think><answer>{"explanation": "The image looks fake.", "bboxes": {}}</answer>'
    rows, _ = predicted(evaluate, asked, [same] * len(asked))
    found = evaluate.above(rows, evaluate.systems(rows), tokenizer="plain")
    assert found["verdict − always fake"].value == found["cider − shuffled"].value == 0


def test_tables_have_the_papers_rows_ours_and_why_a_row_was_not_run(tables, evaluate, model, table, tmp_path, capsys):
    """A model is asked for table 3 as one of the hub is, by its name; what nobody ran says how it is run."""
    from facewitness.models import prompted_vlm as pv

    small, processor = small_vlm.make([mare.prompt(WHOLE)], width=64, layers=1, rows=400, size=SIZE, vision_width=32)
    small.save_pretrained(tmp_path / "plain")
    processor.save_pretrained(tmp_path / "plain")
    assert not pv.is_saved(tmp_path / "plain"), "a plain model, as those of the hub are"
    options = ["--whole", "--most", "4", "--tokens", "3", "--tokenizer", "plain", "--out", str(tmp_path / "3" / "qwen")]
    evaluate.main([str(tmp_path / "plain"), str(table), *options])
    capsys.readouterr()
    tables.main(["3", str(tmp_path / "3")])
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in lines}) == 1, "every row has every column"
    rows = {line.split("|")[1].strip(): line for line in lines}
    assert rows["Qwen"].endswith("59.41 / 51.04 % |") and "not run" not in rows["Qwen"] and "0.000" in rows["Qwen"]
    assert "not run: runs/mare/evaluate.py OpenGVLab/InternVL2_5-8B-MPO-hf dma.parquet --whole" in rows["InternVL"]
    assert "0.500" in rows["always fake"] and "98.09" in rows["MARE"]
    tables.main(["4", str(tmp_path)])
    assert "published-qwen3b.toml" in capsys.readouterr().out


def test_a_folder_that_holds_no_runs_of_table_5_is_told(tables, tmp_path):
    for content in ("{}", "[1]", '{"model": 1}'):
        (tmp_path / "f.json").write_text(content)
        with pytest.raises(InputError, match="expected what `verdicts` wrote"):
            tables.main(["5", str(tmp_path)])
    with pytest.raises(InputError, match="expected the folder of the runs"):
        tables.main(["3", str(tmp_path / "none")])


def test_table_5_is_the_verdict_of_models_by_source(tables, model, tmp_path, capsys):
    pack = packed(tmp_path, "dfdc", "ffpp_c40")
    capsys.readouterr()
    asked = ["verdicts", f"f={model}", f"fir={model}", "--pack", str(pack), "--tokens", "3", "--limit", "2"]
    tables.main([*asked, "--out", str(tmp_path / "out")])
    text = capsys.readouterr().out
    rows = {line.split("|")[1].strip(): line for line in text.splitlines()}
    assert "dfdc, accuracy / F1 | ffpp_c40, accuracy / F1 | WDF, the paper's" in text
    assert "0.000" in rows["L_f"] and "92.07" not in rows["L_f"] and "94.92 / 96.07 %" in rows["L_f"]
    assert "not run" in rows["L_f + L_I"] and "0.500" in rows["always real"] and "score alone (fir)" in rows
    with pytest.raises(InputError, match="expected NAME=MODEL"):
        tables.main(["verdicts", "nothing", "--pack", str(pack), "--out", str(tmp_path / "x")])
    asked = ["verdicts", f"f={model}", "--pack", str(pack), "--sources", "wdf", "--out", str(tmp_path / "x")]
    with pytest.raises(InputError, match="rows of wdf"):
        tables.main(asked)


def test_verdicts_are_counted_by_hand(tables):
    from types import SimpleNamespace

    labels = ("real", "fake", "fake", "real")
    data = SimpleNamespace(rows=[{"source": "dfdc", "label": v, "group": str(i)} for i, v in enumerate(labels)])
    found = tables.measured(data, [(0, "real", 0.1), (1, "fake", 0.9), (2, "", 0.2), (3, "fake", 0.3)])
    value = {who: {k: v["value"] for k, v in each["dfdc"].items()} for who, each in found.items()}
    assert value["model"] == {"acc": 0.5, "f1": 2 / 4} and value["score alone"]["acc"] == 0.75
    assert value["always fake"] == {"acc": 0.5, "f1": pytest.approx(2 / 3)} and value["always real"]["f1"] == 0


# ------------------------------------------------------------------------------------------- is there a prior in a map


@pytest.fixture(scope="module")
def prior(evaluate):
    yield from _script("prior")


def test_a_map_covers_what_it_lies_on(prior):
    mesh = regions.average_landmarks()[:, :2] * 80 + np.array([10, 20])
    nose = geometry.fill(list(regions.polygons("nose", mesh)), SIZE, SIZE)

    covered = prior.covered(nose.astype(np.float32), SIZE, SIZE, mesh)

    assert covered["nose"] == pytest.approx(1.0)
    assert covered["left_eye"] == covered["chin"] == 0.0


def looked(count: int, seed: int) -> list[dict[str, Any]]:
    """Two of twelve regions are forged; the default map lies on them, the own one anywhere."""
    rng, out = np.random.default_rng(seed), []
    for n in range(count):
        forged = set(rng.choice(regions.MARE, 2, replace=False))
        out.append(
            {
                "at": str(n), "group": f"person {n // 2}",
                "true": {name: float(name in forged) for name in regions.MARE},
                "own": {name: float(rng.uniform(0.1, 0.9)) for name in regions.MARE},
                "default": {name: 0.8 if name in forged else 0.2 for name in regions.MARE},
            }
        )  # fmt: skip
    return out


def test_a_map_that_knows_the_regions_is_worth_more_than_their_names_and_noise_is_not(prior):
    found = prior.results({"calibrate": looked(60, 0), "val": looked(60, 1)})

    of = found["measured"]
    assert of["default, order"][0] == of["default, Jaccard"][0] == 1.0
    assert of["default, order, more"][1] > 0.2 and found["slopes"]["default"][0] > 1
    assert of["names, order, more"] == [0.0, 0.0, 0.0]
    assert of["own, order, more"][1] < 0 < of["own, order, more"][2]
    assert abs(found["slopes"]["own"][0]) < 0.3
    rows = {"pictures": {"calibrate": 60, "val": 60}, "groups": {"calibrate": 30, "val": 30}, **found}
    assert "| … more than by names alone |" in prior.written({"words": rows, "edits": rows})


# ------------------------------------------------------------------------------- what of a picture gets into the words


@pytest.fixture(scope="module")
def seen(evaluate):
    yield from _script("seen")


def test_a_way_to_the_picture_that_carries_nothing_adds_nothing(seen, model, table, tmp_path, capsys):
    vlm, processor = pv.load(model)
    rows = seen.by_turns(paired.read(table), 4)
    with torch.no_grad():
        vlm.base_model.visual.patch_embed.proj.weight.zero_()
    blind = seen.weighed(vlm, processor, rows)

    assert [row["label"] for row in rows] == ["real", "fake"] * 2 and len({row["file"] for row in rows}) == 4
    assert [line["image tower"] for line in blind] == [0.0] * 4
    assert any(abs(line["expert"]) > 1e-6 for line in blind)
    assert blind[0]["nats"] < 0

    given = [str(model), str(table), "--count", "4", "--beside", str(model), "--out", str(tmp_path / "seen.md")]
    seen.main(given)
    text = (tmp_path / "seen.md").read_text(encoding="utf-8")
    assert "| image tower |" in text and "likelier than to the other model by 0.000 (0.000–0.000) nats" in text
    assert "4 replies about as many pictures" in capsys.readouterr().out


# --------------------------------------------------------------------------- what is shown where the score is undecided


@pytest.fixture(scope="module")
def undecided(evaluate):
    yield from _script("undecided")


def test_map_and_words_are_sorted_by_what_the_score_decides(undecided, table, tmp_path):
    calibration = json.loads((RUNS / "model" / "fdm.json").read_text())["calibration"]
    seen = {"a": (0.9, 0.8, 2.0), "b": (0.5, 0.5, 1.0), "c": (0.5, 0.3, 1.0)}  # score, marked, spread
    said = [("a", "fake", "fake"), ("b", "real", "fake"), ("b", "real", "real"), ("c", "fake", "fake")]
    rows = [{"file": file, "group": file, "label": label, "says": says} for file, label, says in said]
    fake, open_ = (line.split(" | ") for line in reversed(undecided.table(seen, rows, calibration)[2:]))
    assert fake[:3] == ["| fake", "1", "0.80 (0.80–0.80)"] and fake[7].startswith("1.000")
    assert open_[:5] == ["| inconclusive", "2", "0.40 (0.32–0.48)", "1.00", "3"]
    assert [cell.split(" ")[0] for cell in open_[5:8]] == ["0.500", "1.000", "0.667"]

    module = tiny_fdm(tmp_path)
    predictions.write(tmp_path / "on", {"name": "m", "dataset": "dma", "questions": True}, [])
    given = [str(module), str(table), "--on", str(tmp_path / "on"), "--out", str(tmp_path / "out.md")]
    with pytest.raises(InputError, match="expected a calibration"):
        undecided.main(given)
    card = json.loads(module.with_suffix(".json").read_text()) | {"calibration": calibration}
    module.with_suffix(".json").write_text(json.dumps(card))
    row = chats.read_dma(table)[0]
    score, share, spread = undecided.marked(undecided.load(weights=str(module)), row)
    assert 0 < score < 1 and 0 <= share <= 1 and spread > 0


# ------------------------------------------------------------------------------------------ where a face's regions lie


@pytest.fixture(scope="module")
def places(evaluate):
    yield from _script("places")


def test_every_box_that_is_known_of_a_picture_is_asked_for_without_the_traces(places, table, tmp_path, capsys):
    rows = chats.read_dma(table)
    chat = [{"messages": [], "images": [f"images/{row['file']}"]} for row in rows]
    (tmp_path / "chat.json").write_text(json.dumps(chat))
    out = tmp_path / "places.json"
    places.main([str(table), str(tmp_path / "chat.json"), "--orders", "2", "--out", str(out)])
    made = json.loads(out.read_text())
    forged = {row["file"] for row in rows if row["label"] == "fake"}
    assert len(made) == 2 * len(forged) and f"{len(made)} conversations" in capsys.readouterr().out
    for said in made:
        answer = said["messages"][1]["content"][0]["text"]
        told = json.loads(answer.removeprefix("<answer>").removesuffix("</answer>"))["bboxes"]
        known = {name: box for row in rows if f"images/{row['file']}" == said["images"][0]
                 for name, box in zip(row["regions"], row["boxes"], strict=True) if box is not None}  # fmt: skip
        assert told == {name: [round(edge) for edge in box] for name, box in known.items()}

    (tmp_path / "short.json").write_text(json.dumps(chat[:3]))
    (tmp_path / "broken.json").write_text("[")
    with pytest.raises(InputError, match=r"broken\.json': expected JSON"):
        places.main([str(table), str(tmp_path / "broken.json"), "--out", str(out)])
    with pytest.raises(InputError, match="expected a conversation for each of the"):
        places.main([str(table), str(tmp_path / "short.json"), "--out", str(out)])


# ------------------------------------------------------------------------------------------------ masks of the pool


@pytest.fixture(scope="module")
def masks(evaluate):
    yield from _script("masks")


def test_what_a_mask_covers_is_named_and_of_that_what_was_changed_most(masks):
    mesh = regions.average_landmarks()[:, :2] * 160 + np.array([30, 30])
    nose, mouth, chin = (geometry.fill(list(regions.polygons(n, mesh)), 224, 224) for n in ("nose", "mouth", "chin"))
    levels = np.where(nose, 40.0, np.where(mouth, 35.0, np.where(chin, 10.0, 0.0))).astype(np.float32)
    covered, most = masks.changes((levels > 0).astype(np.float32), levels, mesh)
    assert {"nose", "mouth", "chin"} <= set(covered) and "left_eye" not in covered
    assert {"nose", "mouth"} <= set(most) and "chin" not in most and len(most) <= masks.FEW
    assert list(most) == [name for name in regions.MARE if name in most], "in one order, whatever the rank"
    assert masks.changes(np.zeros((224, 224), np.float32), levels, mesh) == ((), ())


def test_answers_claim_what_the_mask_has_and_nothing_else(masks):
    rng = np.random.default_rng(0)
    fake = masks.answers(("left_eye", "nose", "teeth"), ("nose", "left_eye"), rng)
    assert masks.WHOLE in fake and len(fake) == 1 + masks.ASKED
    assert set(fake) <= {masks.WHOLE, *masks.PARTS} and not any("mouth" in q or "skin" in q for q in fake)
    assert set(regions.mentioned(fake[masks.WHOLE][0])) == {"nose", "left_eye"}
    assert fake["Do the person's eyes look real/fake?"] == ("The person's eyes look fake. The left eye was changed.",)
    real = masks.answers(None, (), rng)
    assert len(real) == 1 + masks.ASKED and all(" real." in text for (text,) in real.values())
    only = masks.answers(("teeth",), ("teeth",), rng)
    assert list(only) == [masks.WHOLE] and not re.search(r"teeth (was|differs)", only[masks.WHOLE][0])


def test_forgeries_that_line_up_become_replies_with_boxes(masks, one_face, tmp_path, capsys):
    mesh = regions.average_landmarks().astype(np.float32)[:, :2] * 80 + 16
    nose = geometry.fill(list(regions.polygons("nose", mesh)), SIZE, SIZE)
    rows, pictures = [], []
    for n in range(3):
        plain = np.random.default_rng(n).integers(90, 160, (SIZE, SIZE, 3), dtype=np.uint8)
        forged = plain.copy()
        forged[nose] = forged[nose] // 3
        if n == 2:
            forged = np.roll(forged, 9, axis=1)  # does not line up
        for name, label, pixels in ((f"{n}.png", "real", plain), (f"{n}-f.png", "fake", forged)):
            original = f"{n}.png" if label == "fake" else None
            rows.append({"file": name, "label": label, "source": "films", "group": str(n), "original": original,
                         "method": "swap", "kind": "identity_exchange", "split": "train"})  # fmt: skip
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            pictures.append(out.getvalue())
    at = 0
    for row, content in zip(rows, pictures, strict=True):
        row |= {"height": SIZE, "width": SIZE, "quality": 1.0, "sha256": "", "at": at, "bytes": len(content),
                "parsing_at": None, "parsing_bytes": 0}  # fmt: skip
        at += len(content)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pictures.bin").write_bytes(b"".join(pictures))
    (tmp_path / "pack" / "rows.json").write_text(json.dumps(rows))
    np.save(tmp_path / "pack" / "landmarks.npy", np.stack([mesh] * len(rows)))
    assert Pack(tmp_path / "pack").encoded(1) == pictures[1]
    out = tmp_path / "out"
    masks.main([str(tmp_path / "pack"), "--sources", "films", "--out", str(out)])
    made = chats.read_dma(out / "dma.parquet")
    assert f"{len(made)} items of 4 pictures" in capsys.readouterr().out
    assert {row["file"] for row in made if row["label"] == "fake"} == {"films/0-f.png", "films/1-f.png"}
    whole = next(r for r in made if r["label"] == "fake" and r["question"] == masks.WHOLE)
    assert whole["regions"] == ["nose"] and whole["boxes"][0] is not None and whole["size"] == [masks.SIZE] * 2
    with pytest.raises(InputError, match="expected forgeries of 'photos' beside their pristine pictures, got none"):
        masks.main([str(tmp_path / "pack"), "--sources", "photos", "--out", str(out)])


# ------------------------------------------------------------------------------------ where two models put the same box


@pytest.fixture(scope="module")
def matched(evaluate):
    yield from _script("matched")


def test_boxes_of_two_models_are_compared_pair_by_pair(matched, evaluate, asked, table, spoken, capsys, tmp_path):
    off = [text.replace("[40, ", "[43, ") for text in replies(asked, table)]
    rows = evaluate.rows_of(asked, off, [None] * len(asked))
    predictions.write(tmp_path / "off", {"name": "off", "dataset": "dma", "questions": True}, rows)
    matched.main([str(tmp_path / "off"), str(spoken["echo"])])
    printed = capsys.readouterr().out
    assert "after 1.000 (1.000–1.000)" in printed and "  nose " in printed
    before, after = (predictions.read(run)[0] for run in (tmp_path / "off", spoken["echo"]))
    found = matched.pairs(before, after)
    assert found and all(name == "nose" and b == 1.0 and a == pytest.approx(0.9) for _, name, a, b in found)

    with pytest.raises(InputError, match="got none"):
        matched.main([str(spoken["same"]), str(spoken["echo"])])
    predictions.write(tmp_path / "few", {"name": "few", "dataset": "dma", "questions": True}, rows[:3])
    with pytest.raises(InputError, match="about the same questions"):
        matched.main([str(tmp_path / "few"), str(spoken["echo"])])


# -------------------------------------------------------------------------- modules that have not seen what is taught


@pytest.fixture(scope="module")
def crossfit(evaluate):
    yield from _script("crossfit")


def packed_of(table: Path, folder: Path) -> Path:
    """A pack of the table's pictures, every fourth of them held out for calibration."""
    folder.mkdir(parents=True)
    pictures = {row["file"]: row for row in chats.read_dma(table)}
    rows, data = [], b""
    for n, (name, row) in enumerate(pictures.items()):
        rows.append({
            "file": name, "label": row["label"], "source": "noise", "group": f"target {n}", "original": None,
            "method": None, "kind": None, "split": "calibrate" if n % 4 == 3 else "train", "height": SIZE,
            "width": SIZE, "quality": None, "sha256": hashlib.sha256(row["image"]).hexdigest(), "at": len(data),
            "bytes": len(row["image"]), "parsing_at": None, "parsing_bytes": 0,
        })  # fmt: skip
        data += row["image"]
    rows.append(rows[0] | {"file": "other.png", "source": "elsewhere", "group": "a", "sha256": "0" * 64})
    (folder / "pictures.bin").write_bytes(data)
    (folder / "rows.json").write_text(json.dumps(rows))
    np.save(folder / "landmarks.npy", np.full((len(rows), 468, 2), np.nan, np.float32))
    return folder


def test_whole_groups_are_dealt_out_and_what_shares_a_group_anywhere_stays_together(crossfit, table, tmp_path, capsys):
    pack, out = packed_of(table, tmp_path / "pack"), tmp_path / "fold"
    crossfit.main(["parts", str(pack), str(table), "--parts", "2", "--out", str(out)])
    assert "10 + 10 pictures" in capsys.readouterr().out
    part = json.loads((out / "parts.json").read_text())["pictures"]
    whole = Pack(pack).rows
    for k in range(2):
        left = Pack(out / str(k) / "pack")
        for before, after in zip(whole, left.rows, strict=True):
            mine = part.get(before["sha256"]) == k and before["split"] == "train"
            assert after["split"] == ("left_out" if mine else before["split"])
        assert np.array_equal(left.pixels(0), Pack(pack).pixels(0))
    people: dict[str, set[int]] = {}
    for row in chats.read_dma(table):
        people.setdefault(row["group"], set()).add(part[hashlib.sha256(row["image"]).hexdigest()])
    assert all(len(parts) == 1 for parts in people.values()), "the table's people, whom the pack's groups do not know"

    one = [{"source": "s", "group": group, "sha256": sha} for group, sha in (("1", "x"), ("2", "x"), ("3", "y"))]
    edit = {"source": "edits", "group": "e", "sha256": "z", "identity": "s/3"}
    groups, _ = crossfit.joined([*one, edit], [])
    assert groups[0] == groups[1] != groups[2] == groups[3]
    with pytest.raises(InputError, match="expected from 2 to 10 parts"):
        crossfit.main(["parts", str(pack), str(table), "--parts", "21", "--out", str(out)])


def test_a_module_is_brought_to_the_channels_and_the_spread_of_another(crossfit):
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=(4000, 5)) * (1, 2, 3, 4, 5) + 7
    mine = np.hstack([theirs @ rng.normal(size=(5, 5)), rng.normal(size=(4000, 1))]) + 3
    weight, bias, explained = crossfit.affine(mine, theirs, ridge=1e-6)
    assert explained > 0.999 and np.allclose(mine @ weight.T + bias, theirs, atol=0.05)
    unlike = rng.normal(size=(4000, 6))
    weight, bias, explained = crossfit.affine(unlike, theirs)
    assert explained < 0.01 and np.allclose((unlike @ weight.T + bias).std(0), theirs.std(0))
    line, offset = rng.normal(size=5), 0.3
    before = (unlike @ weight.T + bias) @ line + offset
    weight, bias = crossfit.spread(weight, bias, line, offset, before.mean(), before.std(), -2.0, 0.5)
    after = (unlike @ weight.T + bias) @ line + offset
    assert after.mean() == pytest.approx(-2) and after.std() == pytest.approx(0.5)


def test_a_model_is_taught_with_traces_of_the_module_that_has_not_seen_the_picture(
    crossfit, table, model, tmp_path, capsys
):
    from facewitness.train import sft
    from facewitness.train.crossfit import Crossfit, tell

    pack, out = packed_of(table, tmp_path / "pack"), tmp_path / "fold"
    crossfit.main(["parts", str(pack), str(table), "--parts", "2", "--out", str(out)])
    for k in range(2):
        torch.manual_seed(k + 5)
        FDM(5, "test_efficientnet", stage=-2, width=8).save(out / str(k) / "fdm.safetensors", {"crop": {"size": 64}})
        (out / str(k) / "resolved.json").write_text(json.dumps({"recipe": {"sources": {"noise": 1.0}}}))
    with pytest.raises(InputError, match="expected the folder of cross-fitted modules"):
        Crossfit.read(out)
    shipped = model.parent / "fdm.safetensors"
    crossfit.main(["align", str(out), "--to", str(shipped), "--pack", str(pack)])
    assert capsys.readouterr().out.count("its part, which it has not seen") == 2

    examples, found = chats.read(table), Crossfit.read(out)
    small, processor = sft.make(sft.Recipe(model=str(model), steps=1), None)
    assert tell(small, processor, examples, found) == [10, 10]
    plain, _ = sft.make(sft.Recipe(model=str(model), steps=1), None)
    for example in examples[::4]:
        part = found.pictures[hashlib.sha256(example.images[0]).hexdigest()]
        asked: list[Any] = []
        hook = pv.expert_of(small).fdm.register_forward_pre_hook(lambda _, args, asked=asked: asked.append(args[0]))
        pv.likelihoods(small, processor, example.pictures()[0], "What is seen?", ["Nothing."])
        hook.remove()
        with torch.no_grad():
            told = pv.expert_of(small).fdm(asked[0])
            expected = found.module(part, FDM.load(shipped))(asked[0])
            assert torch.equal(told.trace, expected.trace) and torch.equal(told.score, expected.score)
            assert not torch.allclose(told.trace, pv.expert_of(plain).fdm(asked[0]).trace)
            other = asked[0].flip(3)
            assert torch.allclose(pv.expert_of(small).fdm(other).trace, pv.expert_of(plain).fdm(other).trace)

    stranger = replace(examples[0], images=(io_noise(99),))
    with pytest.raises(InputError, match="expected a part for every picture"):
        tell(small, processor, [stranger], found)
    with pytest.raises(InputError, match="expected a language model with that module"):
        tell(small, processor, examples, replace(found, aligned_to="0" * 64))
    (out / "0" / "aligned.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="is another file than was aligned"):
        found.module(0, FDM.load(shipped))


def io_noise(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.filterwarnings(r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning")
def test_cross_fitted_traces_belong_to_a_run(crossfit, table, model, tmp_path):
    """The run goes through, its model keeps the module that ships, and says which modules it learned with."""
    from facewitness.train import sft

    pack, out = packed_of(table, tmp_path / "pack"), tmp_path / "fold"
    crossfit.main(["parts", str(pack), str(table), "--parts", "2", "--out", str(out)])
    for k in range(2):
        FDM(5, "test_efficientnet", stage=-2, width=8).save(out / str(k) / "fdm.safetensors", {"crop": {"size": 64}})
        (out / str(k) / "resolved.json").write_text(json.dumps({"recipe": {"sources": {"noise": 1.0}}}))
    crossfit.main(["align", str(out), "--to", str(model.parent / "fdm.safetensors"), "--pack", str(pack)])
    recipe = sft.Recipe(model=str(model), language="full", general=0.0, grammar="mare", steps=1, batch_size=2,
                        micro_batch_size=2, max_tokens=4)  # fmt: skip
    made = sft.train(recipe, [table], tmp_path / "run", crossfit=out, save_every=1)
    card = (out / "crossfit.json").read_bytes()
    resolved = json.loads((tmp_path / "run" / "resolved.json").read_text())
    assert resolved["crossfit_sha256"] == hashlib.sha256(card).hexdigest()
    taught, _ = pv.load(made)
    assert pv.expert_of(taught).stored == json.loads(card)["aligned_to"]
    with pytest.raises(InputError, match="a run with another crossfit_sha256"):
        sft.train(recipe, [table], tmp_path / "run")
