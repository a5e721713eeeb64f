"""The table: its numbers are the measures', what is not measured says why, and bad input gets one sentence."""

import csv
import importlib.util
import io
import json
import math
import os
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facewitness.bench import controls, measures, peers, predictions, protocol, speakers, table, wording
from facewitness.bench.measures import ONE_CLASS
from facewitness.errors import InputError

NASTY = '<script>alert("1")</script>|x'
METHODS = ("Deepfakes", "Face2Face", NASTY)


def meta(name="compact", **changed):
    return {
        "schema": predictions.SCHEMA, "name": name, "dataset": "folder", "root_name": "data", "split": "test",
        "frames": 4, "finder": {"name": "facemesh"},
        "witnesses": [{"name": "compact", "weights": {"compact.onnx": "ab" * 32}}], "options": {}, "profile": None,
        "thresholds": {"real": 0.3, "fake": 0.7}, "perturbations": [["none", 0], ["jpeg", 3]], "seed": 0, "limit": None,
        "keep": {}, "shard": None,
        "scores": ["label", "mask", "brevity"], "version": "9.9", "libraries": {"numpy": "2"}, "platform": "Linux",
    } | changed  # fmt: skip


def picture():
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def video_rows(dataset="Painted", seed=0, videos=24, frames=4, strengths=(1, 3, 5), good=0.25):
    """Frames of videos: half genuine, the others by three methods; some without a face."""
    rng = np.random.default_rng(seed)
    for perturbation, strength in [("none", 0), *(("jpeg", s) for s in strengths)]:
        for v in range(videos):
            fake = v % 2 == 1
            method = METHODS[v // 2 % 3] if fake else "pristine"
            base = rng.normal(0.5 + good * (1 if fake else -1) / (1 + strength), 0.15)
            for f in range(frames):
                p = float(np.clip(base + rng.normal(0, 0.1), 0, 1))
                row = {
                    "dataset": dataset, "file": f"{method}/{v}.mp4", "frame": f, "video": f"{dataset}/{method}/c23/{v}",
                    "group": f"g{v // 2}", "split": "test", "label": "fake" if fake else "real", "method": method,
                    "compression": "c23", "perturbation": perturbation, "strength": strength, "faces": 1,
                }  # fmt: skip
                if f == 3 and v % 5 == 0:
                    yield row | {"status": "no_face", "faces": 0}
                    continue
                verdict = "fake" if p >= 0.7 else "real" if p < 0.3 else "inconclusive"
                row |= {"status": "ok", "score": p, "fake": p, "verdict": verdict, "seconds": 0.1}
                if perturbation == "none":
                    row |= words_and_places(fake, p, v, f)
                    if (p >= 0.5) != fake:
                        row["thumbnail"] = picture()
                yield row


def words_and_places(fake, p, v, f):
    said = ["nose", "mouth"] if p > 0.5 else []
    row = {
        "regions_true": (["nose"] if v % 4 == 1 else ["mouth", "eyes"]) if fake else [], "regions_said": said,
        "text": f"The image is {'fake' if p > 0.5 else 'real'}. The {'nose' if f % 2 else 'mouth'} looks odd.",
        "references": [f"The {'nose' if v % 4 == 1 else 'mouth'} of this {'fake' if fake else 'real'} face looks odd"],
    }  # fmt: skip
    if fake:
        row |= {"mask_precision": p, "mask_recall": 0.5, "mask_f1": p / 2, "mask_ap": p}
    label = "fake" if fake else "real"
    row["says"] = "fake" if p > 0.5 else "real"
    row["scores"] = {"label": float(row["says"] == label), "mask": p / 2 if fake else None, "brevity": p}
    return row


def still_rows(dataset="Stills", label=None, count=30, seed=1):
    rng = np.random.default_rng(seed)
    for i in range(count):
        this = label or ("fake" if i % 2 else "real")
        p = float(np.clip(rng.normal(0.65 if this == "fake" else 0.35, 0.2), 0, 1))
        yield {
            "dataset": dataset, "file": f"{this}/{i}.jpg", "group": f"p{i}", "split": "test", "label": this,
            "method": "StyleGAN2" if this == "fake" else "pristine", "perturbation": "none", "strength": 0,
            "status": "ok", "faces": 1, "score": p, "fake": p, "verdict": "fake" if p > 0.6 else "real",
        }  # fmt: skip


def made(folder, rows, missing=(), **changed):
    writer = predictions.Writer(folder, meta(**changed))
    with writer:
        for row in rows:
            writer.add(row)
        writer.finish(list(missing))
    return folder


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Few draws, no Java, no sentence encoder: other tests have those; here numbers are to be the measures' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "DRAWS", 40)
        patch.setenv("PATH", "")
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory, quick):
    """A system over videos, and over stills and a genuine-only set; a peer; and what was written of them."""
    root = tmp_path_factory.mktemp("table")
    first = made(root / "videos", video_rows(), missing=["a.mp4 is not there"])
    stills = [*still_rows(), *still_rows("Genuine", "real", 12, 2)]
    second = made(root / "stills", stills, dataset="manifest")
    rng = np.random.default_rng(5)
    peer = root / "peer.csv"
    items = [r for r in video_rows() if r["perturbation"] == "none" and r["file"] != "pristine/0.mp4"]
    lines = [f"{r['file']},{rng.random():.4f},{r['frame']}" for r in items]
    peer.write_text("file,score,frame\n" + "\n".join([*lines, "nowhere.mp4,0.5,0", lines[0]]) + "\n")
    written = table.write([first, second], root / "out", scores={"other <b>": peer}, title="A & B")
    return root, written


def cells(root):
    with (root / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("system", "dataset", "level", "measure", "method", "perturbation", "strength", "speaker")
    assert len({tuple(row[k] for k in keys) for row in rows}) == len(rows)  # no number stands twice
    return {tuple(row[k] for k in keys): row for row in rows}


def number(found, *key, method="", perturbation="none", strength="0", speaker=""):
    return found[(*key, method, perturbation, strength, speaker)]


def test_detection_is_what_the_measures_say(results):
    root, _ = results
    found = cells(root)
    rows, _ = predictions.read(root / "videos")
    plain = rows.filter(pc.equal(rows["perturbation"], "none"))
    for level, data in (("frame", measures.scored(plain)), ("video", measures.videos(plain))):
        expected = measures.detection(data.fake, data.p, data.group, threshold=0.7)
        for name, value in expected.items():
            row = number(found, "compact", "Painted", level, name)
            assert float(row["value"]) == value.value
            assert (float(row["low"]), float(row["high"]), int(row["n"])) == (value.low, value.high, value.n)
        assert int(float(number(found, "compact", "Painted", level, "unscored")["value"])) == data.unscored
    jpeg = rows.filter(pc.and_(pc.equal(rows["perturbation"], "jpeg"), pc.equal(rows["strength"], 3)))
    data = measures.videos(jpeg)
    row = number(found, "compact", "Painted", "video", "auc", perturbation="jpeg", strength="3")
    assert float(row["value"]) == measures.detection(data.fake, data.p, data.group, only=("auc",))["auc"].value


def test_a_method_stands_against_the_pristine_rows_of_its_test_set(results):
    root, _ = results
    found = cells(root)
    rows, _ = predictions.read(root / "videos")
    plain = rows.filter(pc.equal(rows["perturbation"], "none"))
    for method in METHODS:
        of = plain.filter(pc.or_(pc.equal(plain["label"], "real"), pc.equal(plain["method"], method)))
        data = measures.scored(of)
        expected = measures.detection(data.fake, data.p, data.group, only=("auc", "acc"))
        row = number(found, "compact", "Painted", "frame", "auc", method=method)
        assert float(row["value"]) == expected["auc"].value
        assert float(row["low"]) == expected["auc"].low


def test_coverage_counts_every_row(results):
    root, _ = results
    found = cells(root)
    counted = {
        m: number(found, "compact", "Painted", "rows", m)["value"] for m in ("rows", "scored", "no_face", "missing")
    }
    assert counted == {"rows": "96.0", "scored": "91.0", "no_face": "5.0", "missing": "1.0"}
    peer = number(found, "other <b>", "Painted", "rows", "no_face")
    assert peer["value"] == "" and "list of scores" in peer["why"]


def test_places_and_verdicts_are_what_the_measures_say(results):
    root, _ = results
    found = cells(root)
    rows, _ = predictions.read(root / "videos")
    plain = rows.filter(pc.equal(rows["perturbation"], "none"))
    for level, expected in (("place", measures.places(plain)), ("verdict", measures.verdicts(plain))):
        for name, value in expected.items():
            row = number(found, "compact", "Painted", level, name)
            assert row["value"] == ("" if value.value is None else repr(value.value))
    assert number(found, "compact", "Painted", "place", "region_f1/nose")["value"]
    row = number(found, "compact", "Stills", "place", "mask_f1")
    assert row["value"] == "" and row["why"] == "no item has a truth mask"


def test_words_stand_beside_their_controls(results):
    root, _ = results
    found = cells(root)
    rows, _ = predictions.read(root / "videos")
    plain = rows.filter(pc.and_(pc.equal(rows["perturbation"], "none"), pc.is_valid(rows["references"])))
    texts = {
        "": plain["text"].to_pylist(),
        ": shuffled": controls.shuffled(plain),
        ": image-blind": controls.blind(plain),
    }
    assert all(None not in column for column in texts.values())
    for suffix, column in texts.items():
        expected = wording.measure(column, plain["references"].to_pylist(), meteor=False)
        for name in ("bleu4", "rouge_l", "cider"):
            row = number(found, "compact", "Painted", "text", name, speaker=f"explanation{suffix}")
            assert float(row["value"]) == getattr(expected, name)
    row = number(found, "compact", "Painted", "text", "cider", speaker="explanation")
    assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    why = "Java" if importlib.util.find_spec("pycocoevalcap") else "pycocoevalcap"
    assert why in number(found, "compact", "Painted", "text", "meteor", speaker="explanation")["why"]
    said = wording.verdicts(texts[""], plain["label"].to_pylist())
    for name, value in (("verdict_acc", said.accuracy), ("verdict_f1", said.f1)):
        row = number(found, "compact", "Painted", "text", name, speaker="explanation")
        assert float(row["value"]) == pytest.approx(value)


def test_every_score_is_a_column_of_every_speaker_beside_its_controls(results):
    """ "brevity" is no score of ours: whatever the predictions hold is in the table."""
    root, written = results
    found = cells(root)
    rows, _ = predictions.read(root / "videos")
    plain = rows.filter(pc.equal(rows["perturbation"], "none"))
    for name in ("label", "mask", "brevity"):
        row = number(found, "compact", "Painted", "score", name, speaker="explanation")
        assert float(row["value"]) == pytest.approx(np.nanmean(plain[f"score/{name}"].to_numpy().astype(float)))
    labels = plain.filter(pc.is_valid(plain["text"]))["label"].to_pylist()
    shares = [labels.count(label) / len(labels) for label in ("fake", "real")]
    for label, share in zip(("fake", "real"), shares, strict=True):
        row = number(found, "compact", "Painted", "score", "label", speaker=f"explanation: always {label}")
        assert float(row["value"]) == pytest.approx(share)
    alone = number(found, "compact", "Painted", "score", "label", speaker="explanation: score alone")
    p = np.array([np.nan if v is None else v for v in plain["fake"].to_pylist()], float)
    right = (p >= 0.7) == np.array([v == "fake" for v in plain["label"].to_pylist()])
    assert float(alone["value"]) == pytest.approx(right[~np.isnan(p)].mean())
    nothing = number(found, "compact", "Painted", "score", "label", speaker="explanation: map alone")
    assert nothing["value"] == "" and "no mask" in nothing["why"]
    head = next(
        line for line in written[0].read_text().splitlines() if line.startswith("| system") and "brevity" in line
    )
    assert "mask IoU" in head and "who speaks" in head


def test_baselines_have_seen_nothing(results):
    root, _ = results
    found = cells(root)
    assert float(number(found, "baseline: constant", "Painted", "frame", "auc")["value"]) == 0.5
    assert float(number(found, "baseline: constant", "Painted", "frame", "ece")["value"]) == pytest.approx(0)
    assert float(number(found, "baseline: random", "Painted", "frame", "brier")["value"]) > 0.25


def test_one_class_has_no_auc_and_says_so_everywhere(results):
    root, written = results
    row = number(cells(root), "compact", "Genuine", "frame", "auc")
    assert row["value"] == "" and row["why"] == ONE_CLASS and row["n"] == "12"
    assert number(cells(root), "compact", "Genuine", "frame", "acc")["value"]
    assert f"]: {ONE_CLASS}." in written[0].read_text()
    assert ONE_CLASS in written[2].read_text()


def test_stills_have_no_video_level_and_a_run_over_two_sets_is_taken_apart(results):
    root, _ = results
    found = cells(root)
    row = number(found, "compact", "manifest (all)", "video", "auc")
    assert row["value"] == "" and row["why"].startswith("still pictures")
    assert int(number(found, "compact", "manifest (all)", "frame", "auc")["n"]) == 42
    assert int(number(found, "compact", "Stills", "frame", "auc")["n"]) == 30
    sacc = number(found, "compact", table.ALL_SETS, "frame", "sacc")
    each = [float(number(found, "compact", d, "frame", "acc")["value"]) for d in ("Painted", "Stills", "Genuine")]
    assert float(sacc["value"]) == pytest.approx(np.std(each)) and sacc["n"] == "3"


def test_a_peer_is_joined_by_file_and_frame(results):
    root, written = results
    found = cells(root)
    assert number(found, "other <b>", "Painted", "rows", "rows")["value"] == "96.0"
    assert number(found, "other <b>", "Painted", "rows", "scored")["value"] == "91.0"  # 4 not in it, 1 twice
    text = written[0].read_text()
    assert "4 of 96 items have no score: not in it." in text
    assert "1 of 96 items have no score: not told apart from others." in text
    assert "1 of its rows are about no item of the run, such as nowhere.mp4." in text
    assert number(found, "other <b>", "Painted", "frame", "acc_shipped")["why"] == "no shipped threshold is known"


class Page(HTMLParser):
    void = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.refs, self.links, self.texts = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.links.append(value)
            self.refs += re.findall(r"url\(#([^)]+)\)", value or "")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing_else(results):
    _, written = results
    text = written[2].read_text()
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == [] and "script" not in page.tags and page.tags.count("svg") > 8
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "http://" not in text and "https://" not in text and "@import" not in text
    words = " ".join(page.texts)
    for needed in ("ROC", "Precision–recall", "Reliability", "jpeg", "Worst mistakes", "facewitness bench run folder"):
        assert needed in words
    assert "A & B" in words and NASTY in words  # shown, and not run


def test_names_from_outside_are_escaped(results):
    _, written = results
    text, page = written[2].read_text(), Page()
    page.feed(text)  # inside a quoted attribute "<" may stand as it is: it opens no tag
    assert not {"script", "b"} & set(page.tags) and "&lt;script&gt;" in text
    markdown = written[0].read_text()
    assert "<script" not in markdown and "\\|x" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| compact")]
    assert rows and all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)


def test_thumbnails_are_shown_when_kept_and_absent_when_not(results, tmp_path):
    _, written = results
    assert 'src="data:image/jpeg;base64,' in written[2].read_text()
    rows = still_rows()
    page = table.write([made(tmp_path / "run", rows)], tmp_path / "out")[2].read_text()
    assert "<img" not in page and "Worst mistakes" not in page


def test_markdown_footnotes_are_all_there(results):
    _, written = results
    text = written[0].read_text()
    used, told = set(re.findall(r"(?<=[—\]\d])\[\^(\d+)\]", text)), set(re.findall(r"^\[\^(\d+)\]:", text, re.M))
    assert used == told and used
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_a_folder_of_runs_stands_for_all_of_them(tmp_path):
    made(tmp_path / "runs" / "Set-A", still_rows("Stills"))
    made(tmp_path / "runs" / "Set-B", still_rows("Stills", seed=9))
    table.write([tmp_path / "runs"], tmp_path / "out")
    found = cells(tmp_path)
    assert number(found, "compact", "Set-A", "frame", "auc")["value"]
    assert number(found, "compact", "Set-B", "frame", "auc")["value"]
    steady = number(found, "compact", table.ALL_SETS, "frame", "sacc")
    assert steady["n"] == "2" and float(steady["low"]) <= float(steady["value"]) <= float(steady["high"])
    rows = [int(number(found, "compact", name, "frame", "auc")["n"]) for name in ("Set-A", "Set-B")]
    whole = number(found, "compact", table.ALL_SETS, "frame", "acc")
    each = [float(number(found, "compact", name, "frame", "acc")["value"]) for name in ("Set-A", "Set-B")]
    assert whole["n"] == str(sum(rows)) and float(whole["value"]) == pytest.approx(np.average(each, weights=rows))
    assert "## All test sets together" in (tmp_path / "out" / "table.md").read_text()


def test_a_set_that_its_protocol_holds_apart_is_not_measured_with_the_others(tmp_path):
    for name, seed in (("Set-A", 0), ("Set-B", 9), ("Own", 4)):
        made(tmp_path / "runs" / name, still_rows("Stills", seed=seed))
    tests = tuple(protocol.Test(n, "folder", apart=n == "Own") for n in ("Set-A", "Set-B", "Own"))
    protocol.note(protocol.Protocol("mine", "about", tests), tmp_path / "runs")
    assert protocol.printed(tmp_path / "runs")["apart"] == ["Own"]
    table.write([tmp_path / "runs"], tmp_path / "out")
    found = cells(tmp_path)
    rows = [int(number(found, "compact", name, "frame", "auc")["n"]) for name in ("Set-A", "Set-B")]
    assert number(found, "compact", table.ALL_SETS, "frame", "auc")["n"] == str(sum(rows))
    assert number(found, "compact", table.ALL_SETS, "frame", "sacc")["n"] == "3", "sACC is over every set, as published"


def test_no_shipped_threshold_is_no_number(tmp_path):
    run = made(tmp_path / "run", still_rows(), thresholds={"real": None, "fake": None})
    table.write([run], tmp_path / "out")
    row = number(cells(tmp_path), "compact", "Stills", "frame", "acc_shipped")
    assert row["value"] == "" and row["why"] == "no shipped threshold is known"


def test_a_run_where_nothing_was_scored_is_still_a_table(tmp_path):
    rows = [row | {"score": None, "fake": None, "verdict": None, "status": "failed"} for row in still_rows()]
    table.write([made(tmp_path / "run", rows)], tmp_path / "out")
    row = number(cells(tmp_path), "compact", "Stills", "frame", "acc")
    assert row["value"] == "" and row["why"] == measures.NO_ROWS


# ------------------------------------------------------------------------------------------------------ bad input


def refused(tmp_path, sentence, runs, **options):
    with pytest.raises(InputError, match=sentence) as caught:
        table.write(runs, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_run_of_another_version(tmp_path):
    run = made(tmp_path / "run", still_rows())
    raw = json.loads((run / "meta.json").read_text())
    (run / "meta.json").write_text(json.dumps(raw | {"schema": "facewitness.predictions/0"}))
    refused(
        tmp_path, r"expected the schema facewitness.predictions/2, got 'facewitness.predictions/0'.*run it again", [run]
    )


def test_an_unfinished_run(tmp_path):
    with predictions.Writer(tmp_path / "run", meta()) as writer:
        writer.add(next(still_rows()))
        writer.flush()
    refused(tmp_path, "run is not finished: it holds parts.*again", [tmp_path / "run"])


def test_shards_that_are_not_gathered(tmp_path):
    made(tmp_path / "run" / "shard-1-of-2", still_rows(), shard=[1, 2])
    refused(tmp_path, "some of its shards are missing", [tmp_path / "run"])


def test_no_run_an_empty_run_and_a_folder_that_is_none(tmp_path):
    refused(tmp_path, "expected at least one run", [])
    refused(tmp_path, "is no run: expected meta.json", [tmp_path / "nowhere"])
    refused(tmp_path, "has no rows", [made(tmp_path / "run", [])])


def test_runs_whose_files_are_no_run_s(tmp_path):
    odd = made(tmp_path / "odd", video_rows())
    rows = pq.read_table(odd / "predictions.parquet")
    lists = rows.set_column(0, rows.column_names[0], pa.array([["x"]] * rows.num_rows))
    pq.write_table(lists, odd / "predictions.parquet")
    refused(tmp_path, "expected string in the column dataset, got list", [odd])
    (odd / "meta.json").write_text("[" * 300_000)
    refused(tmp_path, "meta.json is not JSON", [odd])
    if hasattr(os, "mkfifo"):
        (odd / "meta.json").unlink()
        os.mkfifo(odd / "meta.json")
        refused(tmp_path, "meta.json cannot be read", [odd])


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("score", math.nan, r"row 0: expected a number in \[0, 1\] as 'score', got nan"),
        ("fake", -3.0, r"expected a number in \[0, 1\] as 'fake', got -3.0"),
        ("score/label", math.inf, "expected a number as 'score/label', got inf"),
        ("box", [0.0, 1.0], "expected four numbers as 'box'"),
        ("file", None, "expected a value as 'file'"),
        ("status", "fine", "expected ok or no_face or failed as 'status', got 'fine'"),
        ("speaker", "nobody", "expected explanation or witness or dialogue as 'speaker', got 'nobody'"),
        ("says", "FAKE", "expected real or fake or inconclusive as 'says', got 'FAKE'"),
    ],
)
def test_rows_that_were_edited_by_hand_are_told(tmp_path, name, value, told):
    run = made(tmp_path / "run", still_rows())
    path = run / "predictions.parquet"
    rows = pq.read_table(path)
    first, *others = rows.to_pylist()
    pq.write_table(pa.Table.from_pylist([first | {name: value}, *others], rows.schema), path)
    refused(tmp_path, told, [run])


@pytest.mark.parametrize(
    "name", ["thresholds", "perturbations", "keep", "libraries", "witnesses", "scores", "coverage", "frames", "name"]
)
def test_a_meta_json_that_was_edited_by_hand_is_told(tmp_path, name):
    run = made(tmp_path / "run", still_rows())
    raw = json.loads((run / "meta.json").read_text())
    (run / "meta.json").write_text(json.dumps(raw | {name: [[1]]}))
    refused(tmp_path, rf"meta.json: expected .* as '{name}', got \[\[1\]\]", [run])


def test_rows_that_repeat_an_item_are_counted_and_said(tmp_path):
    rows = list(still_rows())
    _, notes = table.read([made(tmp_path / "run", rows)], {})
    assert notes == []
    _, notes = table.read([made(tmp_path / "twice", [*rows, rows[0]])], {})
    assert notes == [f"twice: 1 of its {len(rows) + 1} rows repeat an item; each of them counts."]


@pytest.mark.parametrize(
    "text", ["x", "[[", "5", '[{"places": [5]}]', '[{"places": [{}], "claim": ""}]', "[" * 100_000]
)
def test_findings_and_boxes_that_are_none_are_a_sentence(text):
    with pytest.raises(InputError, match="expected findings as JSON in each row, got"):
        speakers.findings_of(text)
    truth = pa.table({"label": ["fake"], "regions_true": [None], "boxes_true": [text], "references": [None]})
    with pytest.raises(InputError, match="expected boxes as JSON in each row, got"):
        speakers.truths(truth)


@pytest.mark.parametrize("text", ['{"nose": [1, 2, 3]}', '{"nose": [1, 2, 3, 1e999]}', '{"nose": null}'])
def test_boxes_of_other_numbers_are_a_sentence(text):
    truth = pa.table({"label": ["fake"], "regions_true": [None], "boxes_true": [text], "references": [None]})
    with pytest.raises(InputError, match="expected boxes as JSON in each row, got"):
        speakers.truths(truth)


def test_two_runs_of_one_name(tmp_path):
    runs = [made(tmp_path / name, still_rows()) for name in ("a", "b")]
    refused(tmp_path, "Two systems are called 'compact' over 'Stills'.*a and .*b.*--name", runs)
    path = tmp_path / "peer.csv"
    path.write_text("file,score\nreal/0.jpg,0.5\n")
    refused(tmp_path, "Two systems are called 'compact'", runs[:1], scores={"compact": path})


def test_out_is_a_file(tmp_path):
    run = made(tmp_path / "run", still_rows())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder to write to"):
        table.write([run], tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,score\nreal/0.jpg,0.5\nfake/1.jpg,nan\n", r"line 3: expected a score in \[0, 1\].*'nan'"),
        ("file,score\nreal/0.jpg,1.5\n", "line 2: expected a score"),
        ("file,score\nreal/0.jpg,high\n", "line 2: expected a score"),
        ("file,score,frame\nreal/0.jpg,0.5,first\n", "line 2: expected a frame's index"),
        ("file,score,label\nreal/0.jpg,0.5,maybe\n", "line 2: expected the label real or fake"),
        ("file,score,label\nreal/0.jpg,0.5,fake\n", "line 2: says fake where the run says real"),
        ("file,score\nreal/0.jpg\n", "line 2: expected 2 cells"),
        ("name,score\nreal/0.jpg,0.5\n", "expected a first line that names file and score"),
        ("", "expected a first line"),
        ("file,score,score\nreal/0.jpg,0.5,0.6\n", "expected one column score, got 2"),
        ("file,score\nelsewhere.jpg,0.5\n", "none of its 1 rows fits an item"),
        (b"file,score\n\xff\xfe,0.5\n", "expected a CSV in UTF-8"),
        (None, "No such file"),
    ],
)
def test_bad_scores_of_a_peer(tmp_path, text, sentence):
    run = made(tmp_path / "run", still_rows())
    path = tmp_path / "peer.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(tmp_path, sentence, [run], scores={"peer": path})


def test_a_peers_score_of_a_video_is_the_score_of_each_of_its_frames(tmp_path):
    """So that their mean, the video's score, is what the peer said; it is told."""
    run = made(tmp_path / "run", [*video_rows(strengths=()), *still_rows("Painted")])
    path = tmp_path / "peer.csv"
    path.write_text("file,score\npristine/0.mp4,0.5\nreal/0.jpg,0.25\nfake/1.jpg,\n")
    said = peers.read(path)
    rows, _ = predictions.read(run, ["file", "frame", "label"])
    (column,), notes = peers.join(said, [rows])
    assert [v for v in column.to_pylist() if v is not None] == [0.5, 0.5, 0.5, 0.5, 0.25]
    assert any("4 items share their file" in note for note in notes)
    assert any("empty score" in note for note in notes)


def test_every_figure_says_in_words_what_it_shows(results):
    _, written = results
    text = written[2].read_text()
    figures = re.findall(r"<figure>.*?</figure>", text, re.S)
    assert figures
    for figure in figures:
        said = re.search(r'<svg viewBox="[^"]+" role="img" aria-label="([^"]+)">', figure)
        assert said and len(said[1]) > 20
        assert "<title>" in figure and "<text" in figure and "<style" not in figure
        assert not re.search(r"(fill|stroke): #[01]", figure)  # every colour is a name of the style sheet's


def test_intervals_of_many_rows_are_those_of_the_rows(monkeypatch):
    """Above five times CELLS rows the draws are made over cells; what comes out must be the same to a thousandth."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(400), 30)
    fake = group % 3 > 0
    p = np.clip(rng.normal(0.4 + 0.2 * fake + rng.normal(0, 0.1, 400)[group], 0.2), 0, 1).round(3)
    over_cells = measures.detection(fake, p, group, threshold=0.7)
    monkeypatch.setattr(measures, "CELLS", p.size)
    over_rows = measures.detection(fake, p, group, threshold=0.7)
    for name, value in over_rows.items():
        assert over_cells[name].value == value.value
        assert over_cells[name].low == pytest.approx(value.low, abs=1e-3)
        assert over_cells[name].high == pytest.approx(value.high, abs=1e-3)
    for name in ("acc", "acc_shipped", "f1"):  # no cell lies across a threshold
        assert over_cells[name].low == pytest.approx(over_rows[name].low, abs=1e-12)
