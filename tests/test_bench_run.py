"""A run is a row for every item, goes on after a kill, splits into shards, and refuses to mix two systems."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from doubles import Brightness
from pictures import painted, write_broken
from waiting import eventually

from facewitness import plugins
from facewitness.apps import analyze, cli
from facewitness.errors import InputError, UnknownName
from facewitness.files import held
from facewitness.types import Face, Frame, FrameRef, Moment, Reply, Sample, Testimony, Truth

pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
pq = pytest.importorskip("pyarrow.parquet")
cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
from facewitness.bench import calibrate, deletion, perturb, predictions, protocol, speakers, table  # noqa: E402
from facewitness.bench import run as bench_run  # noqa: E402
from facewitness.bench.run import System, run  # noqa: E402
from facewitness.bench.table import write  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """real/ is dark, fake/ is bright; one picture of each lies on the wrong side, and one is broken."""
    folder = tmp_path / "labelled"
    for label, levels in (("real", (40, 50, 65, 70, 80, 200)), ("fake", (150, 170, 180, 190, 60))):
        (folder / label).mkdir(parents=True)
        for level in levels:
            painted(level).save(folder / label / f"{label}{level}.png")
    write_broken(folder / "fake", "truncated.jpg")
    return folder


def system(**options) -> System:
    return System("whole", (Brightness(**options),))


def rows(out: Path) -> list[dict]:
    return predictions.read(out)[0].to_pylist()


def test_every_item_is_a_row_whatever_became_of_it(labelled, tmp_path):
    covered = run("folder", labelled, tmp_path / "run", system=system())
    assert covered == {"rows": 12, "ok": 11, "no_face": 0, "failed": 1, "missing": 0, "examples": [], "notes": []}
    by_file = {r["file"]: r for r in rows(tmp_path / "run")}
    assert by_file["real/real50.png"]["score"] == pytest.approx(50 / 255, abs=0.01)
    assert by_file["fake/fake190.png"]["verdict"] == "fake" and by_file["fake/fake190.png"]["label"] == "fake"
    broken = by_file["fake/truncated.jpg"]
    assert broken["status"] == "failed" and "damaged" in broken["problem"] and broken["score"] is None
    meta = predictions.read_meta(tmp_path / "run")
    assert meta["finished"] and meta["witnesses"][0]["name"] == "brightness" and meta["thresholds"]["fake"] > 0.5
    assert meta["coverage"]["rows"] == 12


def test_only_the_worst_mistakes_keep_a_picture(labelled, tmp_path):
    run("folder", labelled, tmp_path / "run", system=system())
    pictured = {r["file"] for r in rows(tmp_path / "run") if r["thumbnail"]}
    assert pictured == {"real/real200.png", "fake/fake60.png"}
    run("folder", labelled, tmp_path / "none", system=system(), thumbnails=0)
    assert not any(r["thumbnail"] for r in rows(tmp_path / "none"))


def test_a_finished_run_is_not_run_again(labelled, tmp_path):
    counted = tmp_path / "counted"
    first = run("folder", labelled, tmp_path / "run", system=system(started=str(counted)))
    counted.unlink()
    assert run("folder", labelled, tmp_path / "run", system=system(started=str(counted))) == first
    assert not counted.exists()


def test_questions_of_a_dataset_are_rows_of_their_own(tmp_path, monkeypatch):
    """DD-VQA asks about each picture; answers stand beside the references and never count as items."""
    root = tmp_path / "vqa"
    root.mkdir()
    for name, level in (("0_001_002", 180), ("5_001", 60)):
        painted(level).save(root / f"{name}.png")
    asked = {"0": {"question": "Does the image look real or fake?", "answer": ["It looks fake.", "Fake."]},
             "1": {"question": "Do the eyes look real or fake?", "answer": ["The eyes look real."]}}  # fmt: skip
    (root / "test_set.json").write_text(json.dumps({"0_001_002": asked, "5_001": asked}))
    covered = run("ddvqa", root, tmp_path / "run", system=system(), questions=True)
    assert covered["rows"] == covered["ok"] == 2
    table, _ = predictions.read(tmp_path / "run")
    assert predictions.items(table).num_rows == 2
    answers = [r for r in table.to_pylist() if r["question"]]
    assert len(answers) == 4
    assert answers[0]["question"] == "Does the image look real or fake?"
    assert answers[0]["references"] == ["It looks fake.", "Fake."]
    assert "is judged fake" in answers[0]["text"]
    assert {r["speaker"] for r in answers} == {"dialogue"} and answers[0]["says"] == "fake"
    assert answers[0]["score/label"] == 1 and answers[0]["seconds"] is None
    with pytest.raises(InputError, match="other questions"):
        run("ddvqa", root, tmp_path / "run", system=system())


class Speaking(Brightness):
    """A witness that says in MARE's grammar what it sees, and answers questions with yes."""

    def __init__(self):
        super().__init__(name="mare")

    def examine(self, track, clip):
        testimony = super().examine(track, clip)
        label = "fake" if testimony.fake > 0.5 else "real"
        reply = Reply(label, None, (f"The face looks {label}.",), testimony.findings, "I look.", ("no think",))
        return replace(testimony, reply=reply)

    def answer(self, track, clip, question, history=(), hear=None):
        assert clip.at(track.face.at).pixels.size
        return Reply("fake", None, (f"Yes: {question.text}",))


def test_each_speaker_has_a_row_with_its_own_words_and_every_score(tmp_path):
    """The report's sentences, the witness's words, and both their answers to what the dataset asks."""
    root = tmp_path / "vqa"
    root.mkdir()
    for name, level in (("0_001_002", 180), ("5_001", 60)):
        painted(level).save(root / f"{name}.png")
    asked = {"0": {"question": "Does the image look real or fake?", "answer": ["It looks fake."]}}
    (root / "test_set.json").write_text(json.dumps({"0_001_002": asked, "5_001": asked}))
    run("ddvqa", root, tmp_path / "run", system=System("whole", (Speaking(),)), questions=True)
    table, meta = predictions.read(tmp_path / "run")
    by = speakers.each(table)
    assert list(by) == ["explanation", "mare's own words", "dialogue", "dialogue, mare"]
    own = by["mare's own words"].to_pylist()
    assert [(r["says"], r["text"], r["grammar"]) for r in own] == [
        ("fake", "The face looks fake.", "mare"), ("real", "The face looks real.", "mare"),
    ]  # fmt: skip
    assert own[0]["thought"] == "I look." and own[0]["refusals"] == ["no think"]
    assert own[0]["score/label"] == own[1]["score/label"] == 1 and own[0]["score/grammar"] == 0
    assert by["dialogue, mare"]["text"].to_pylist() == ["Yes: Does the image look real or fake?"] * 2
    assert by["dialogue, mare"]["score/label"].to_pylist() == [1, 0]
    assert by["explanation"]["text"].to_pylist() != by["dialogue"]["text"].to_pylist()
    assert set(predictions.score_columns(table)) == {*meta["scores"]} >= {"label", "regions", "mask", "boxes", "length"}
    reply, truth = speakers.replies(by["mare's own words"])[0], speakers.truths(by["mare's own words"])[0]
    for name in meta["scores"]:
        if name != "mask":  # whose pixels are not kept
            value = speakers.scored(reply, truth, [name])[name]
            assert own[0][f"score/{name}"] == (None if value is None else pytest.approx(value))
    with pytest.raises(InputError, match="--jobs 1 where a witness answers"):
        run("ddvqa", root, tmp_path / "two", system=System("whole", (Speaking(),)), questions=True, jobs=2)


BREVITY = '''
"""Whether the reply is short."""
def score(reply, truth):
    """min(1, 4 / words)."""
    words = len(reply.text.split())
    return min(1.0, 4 / words) if words else None
'''


def test_a_score_of_another_package_is_a_column_at_once(labelled, tmp_path, monkeypatch):
    for name, text in (("their_brevity", BREVITY), ("their_broken", "raise RuntimeError('no')")):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    entries = {n: (EntryPoint(n, f"their_{n}", "facewitness.scores"),) for n in ("brevity", "broken")}
    outside = plugins._outside
    monkeypatch.setattr(plugins, "_outside", lambda family: entries if family == "scores" else outside(family))
    plugins.names.cache_clear()
    try:
        run("folder", labelled, tmp_path / "run", system=system())
        write([tmp_path / "run"], tmp_path / "out")
    finally:
        monkeypatch.undo()
        plugins.names.cache_clear()
    spoken = [r for r in rows(tmp_path / "run") if r["text"]]
    for row in spoken:
        assert row["score/brevity"] == pytest.approx(min(1, 4 / len(row["text"].split())))
    assert spoken
    assert "brevity" in (tmp_path / "out" / "table.md").read_text()
    assert "no" in predictions.read_meta(tmp_path / "run")["scores_lacking"]["broken"]


def test_two_systems_do_not_mix(labelled, tmp_path):
    run("folder", labelled, tmp_path / "run", system=system())
    with pytest.raises(InputError, match=r"other seed .*Give another --out"):
        run("folder", labelled, tmp_path / "run", system=system(), seed=5)


_KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from doubles import Brightness
from facewitness.bench import predictions
from facewitness.bench.run import System, run
import facewitness.bench.run as module
writer = predictions.Writer.__init__
predictions.Writer.__init__ = lambda self, run, meta, data: writer(self, run, meta, every=2, data=data)
if __name__ == "__main__":
    witness = Brightness(seconds=float(sys.argv[3]), started=sys.argv[4], gate=sys.argv[4] + ".gate")
    print(run("folder", sys.argv[1], Path(sys.argv[2]), system=System("whole", (witness,)))["rows"])
"""


def test_a_killed_run_goes_on_and_does_nothing_twice(labelled, tmp_path):
    script, counted, out = tmp_path / "killed.py", tmp_path / "counted", tmp_path / "run"
    script.write_text(_KILLED.format(tests=str(HERE)))
    command = [sys.executable, str(script), str(labelled), str(out)]
    gate = tmp_path / "counted.gate"
    gate.touch()
    process = subprocess.Popen([*command, "0", str(counted)], stdout=subprocess.PIPE)
    assert eventually(lambda: list((out / "parts").glob("*.parquet")), process=process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gate.unlink()
    assert not (out / "predictions.parquet").exists()
    with pytest.raises(InputError, match="is not finished: it holds parts"):
        predictions.read(out)
    counted.write_bytes(b"")
    again = subprocess.run([*command, "0", str(counted)], capture_output=True, text=True, check=True, env=os.environ)
    assert again.stdout.strip() == "12"
    assert 0 < counted.stat().st_size <= 11 - 2, "what was on disk is not worked out again"
    files = [r["file"] for r in rows(out)]
    assert len(files) == len(set(files)) == 12


def test_shards_keep_groups_together_and_gather_to_the_whole(labelled, tmp_path):
    whole = run("folder", labelled, tmp_path / "whole", system=system())
    for i in (1, 2, 3):
        covered = run("folder", labelled, tmp_path / "run", system=system(), shard=(i, 3))
    assert covered["rows"] == whole["rows"]
    columns = ("file", "score", "status")
    assert sorted(tuple(r[c] for c in columns) for r in rows(tmp_path / "run") if r["score"]) == sorted(
        tuple(r[c] for c in columns) for r in rows(tmp_path / "whole") if r["score"]
    )
    shards = [{r["group"] for r in rows(tmp_path / "run" / f"shard-{i}-of-3")} for i in (1, 2, 3)]
    assert not (shards[0] & shards[1] | shards[0] & shards[2] | shards[1] & shards[2])


def test_two_processes_say_what_one_says(labelled, tmp_path):
    compact = System("whole", ("compact",))
    run("folder", labelled, tmp_path / "one", system=compact)
    run("folder", labelled, tmp_path / "two", system=compact, jobs=2)
    one, two = ({r["file"]: (r["status"], r["score"]) for r in rows(tmp_path / n)} for n in ("one", "two"))
    assert one == two


# ------------------------------------------------------------------------------- the same data, one writer, every kill


def test_a_run_knows_its_data_by_content(labelled, tmp_path):
    """A changed, added, removed or relabelled picture and another root are told; a copy elsewhere is the same data."""
    out = tmp_path / "run"
    first = run("folder", labelled, out, system=system())
    copy = tmp_path / "elsewhere" / "labelled"
    shutil.copytree(labelled, copy)
    assert run("folder", copy, out, system=system()) == first
    (copy / "real" / "real40.png").unlink()
    with pytest.raises(
        InputError, match=r"over other data: 1 removed \(real/real40.png\)\. Give another --out, or delete"
    ):
        run("folder", copy, out, system=system())
    painted(41).save(copy / "real" / "new.png")
    painted(42).save(copy / "real" / "real50.png")
    (copy / "fake" / "fake60.png").rename(copy / "real" / "fake60.png")
    sentence = "1 changed .real/real50.png., 2 added .*real/new.png.*, 2 removed .*fake/fake60.png"
    with pytest.raises(InputError, match=sentence):
        run("folder", copy, out, system=system())
    assert len(rows(out)) == 12, "what was measured stays"


def test_what_is_amiss_with_the_data_is_told_in_its_own_words(labelled, tmp_path):
    (labelled / "fake" / "again.png").write_bytes((labelled / "real" / "real50.png").read_bytes())
    covered = run("folder", labelled, tmp_path / "twins", system=system())
    (note,) = covered["notes"]
    assert "1 picture with the same bytes under two labels" in note
    assert "real/real50.png and fake/again.png" in note
    shutil.rmtree(labelled / "fake")
    covered = run("folder", labelled, tmp_path / "one", system=system())
    assert any(note.startswith("one class only: all 6 items are genuine") for note in covered["notes"])


def test_a_list_that_is_named_as_a_file_is_measured(labelled, tmp_path):
    """Its pictures lie below the folder that it lies in; `analyze` takes it, too."""
    lines = [f"{p.parent.name}\\{p.name},{p.parent.name}" for p in sorted(labelled.rglob("*.png"))]
    (labelled / "list.csv").write_text("\n".join(["file,label", *lines]))
    covered = run("manifest", labelled / "list.csv", tmp_path / "run", system=system())
    assert covered["rows"] == covered["ok"] == 11
    assert run("manifest", labelled, tmp_path / "run", system=system()) == covered
    assert {str(p) for p in labelled.rglob("*.png")} == set(analyze._listed(labelled / "list.csv"))
    with pytest.raises(InputError, match="If it is a list, read it as manifest"):
        run("folder", labelled / "list.csv", tmp_path / "other", system=system())


def test_the_deletion_test_is_printed_for_people_and_as_json(labelled, capsys):
    words = ["bench", "deletion", "folder", "--root", str(labelled), "--finder", "whole"]
    assert cli.main(words) == 1
    assert "no claim could be tested, so nothing is known of what the explanations rest on" in capsys.readouterr().out
    assert cli.main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["claims"] == 0
    made = [deletion.Deletion(f"{n}.png", f"g{n}", "fake", "nose", 0.5, 0.9, 0.4, 0.8 - 0.01 * n) for n in range(12)]
    told = deletion.in_words({"pictures": 12, "without_claim": 2, **deletion.summary(made)})
    assert "12 claims of 12 groups in 12 pictures (2 faces without a claim)" in told and "the test is passed" in told
    assert "nose                  12" in told
    for few in (made[:1], made[:9], [replace(each, group="g") for each in made]):
        numbers = deletion.summary(few)
        told = deletion.in_words({"pictures": 12, **numbers})
        assert numbers["interval"] is None and numbers["faithfulness"] > 0, "one claim has no interval"
        assert "(no interval); 100% of claims" in told and "too few claims to tell" in told and "passed" not in told


def test_labels_the_wrong_way_round_are_asked_about(tmp_path):
    for label, base in (("real", 150), ("fake", 30)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for n in range(12):
            painted(base + 5 * n).save(tmp_path / "set" / label / f"{n}.png")
    covered = run("folder", tmp_path / "set", tmp_path / "run", system=system())
    assert any(
        "AUC 0.00, where one half is chance): are the labels the wrong way round?" in n for n in covered["notes"]
    )


def begun(labelled, out, count=4):
    """A run as a kill leaves it: two rows in a part, `count` of them."""
    stop = iter(range(10 * count))
    with pytest.MonkeyPatch.context() as patch:
        writer = predictions.Writer.__init__
        patch.setattr(
            predictions.Writer, "__init__", lambda self, run, meta, data: writer(self, run, meta, every=2, data=data)
        )

        def progress(done):
            if next(stop) >= 2 * count - 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run("folder", labelled, out, system=system(), progress=progress)


def test_a_second_writer_is_refused_and_one_that_is_gone_is_not(labelled, tmp_path):
    out = tmp_path / "run"
    begun(labelled, out, 2)
    assert not (out / "lock").exists()
    with held(out / "lock"), pytest.raises(InputError, match=rf"written to by process {os.getpid()}\. Wait for it"):
        run("folder", labelled, out, system=system())
    (out / "lock").write_text(json.dumps({"pid": 7, "host": "another"}))  # of one that was killed
    assert run("folder", labelled, out, system=system())["rows"] == 12
    assert not (out / "lock").exists()


def test_two_commands_at_once_lose_nothing(labelled, tmp_path):
    """One of the two is refused, or finds the other's run finished; all rows are there once."""
    script, out = tmp_path / "two.py", tmp_path / "run"
    script.write_text(_KILLED.format(tests=str(HERE)))
    command = [sys.executable, str(script), str(labelled), str(out), "0.1", str(tmp_path / "counted")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate(), process.returncode) for process in both]
    assert 0 in {status for _, status in ended}
    for (_, errors), status in ended:
        assert status == 0 or "is being written to by process" in errors
    files = [r["file"] for r in rows(out)]
    assert len(files) == len(set(files)) == 12


@pytest.mark.parametrize("state", ["table before meta", "table instead of parts", "parts after meta"])
def test_a_kill_between_any_two_writes_is_mended(labelled, tmp_path, state):
    out, whole = tmp_path / "run", tmp_path / "whole"
    begun(labelled, out)
    run("folder", labelled, whole, system=system())
    parts = sorted((out / "parts").iterdir())
    if state == "table before meta":  # the table was written, meta.json does not say so yet
        shutil.copy(whole / "predictions.parquet", out / "predictions.parquet")
    elif state == "table instead of parts":
        shutil.rmtree(out / "parts")
        shutil.copy(whole / "predictions.parquet", out / "predictions.parquet")
    else:
        shutil.copytree(out / "parts", whole / "parts")
        out = whole
    assert parts and run("folder", labelled, out, system=system())["rows"] == 12
    assert len(rows(out)) == 12 and not (out / "parts").exists()
    assert {r["file"]: r["score"] for r in rows(out)} == {r["file"]: r["score"] for r in rows(whole)}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("00000 (copy).parquet", None, r"00000 \(copy\)\.parquet is no part of this run: expected names such as"),
        ("00007.parquet", b"", r"00007\.parquet is empty\. Delete 00007\.parquet, and give the same command again"),
        ("00007.parquet", b"PAR1 and no more", r"00007\.parquet is no whole Parquet table"),
        ("00007.parquet", "other", r"00007\.parquet is part of another run than"),
    ],
)
def test_a_foreign_empty_or_copied_part_is_told(labelled, tmp_path, name, content, sentence):
    out = tmp_path / "run"
    begun(labelled, out)
    part = sorted((out / "parts").iterdir())[0]
    if content == "other":
        other = tmp_path / "other"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys.modules[__name__], "system", lambda: System("whole", (Brightness(mood="uncalibrated"),)))
            (labelled / "real" / "real40.png").unlink()
            begun(labelled, other)
            painted(40).save(labelled / "real" / "real40.png")
        content = sorted((other / "parts").iterdir())[0].read_bytes()
    (out / "parts" / name).write_bytes(part.read_bytes() if content is None else content)
    with pytest.raises(InputError, match=sentence):
        run("folder", labelled, out, system=system())
    (out / "parts" / name).unlink()
    assert run("folder", labelled, out, system=system())["rows"] == 12


def test_parts_without_their_meta_are_told(labelled, tmp_path):
    begun(labelled, tmp_path / "run")
    (tmp_path / "run" / "meta.json").unlink()
    with pytest.raises(InputError, match=r"holds parts but no meta\.json that says of what"):
        run("folder", labelled, tmp_path / "run", system=system())


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text exist there")
def test_a_name_that_is_no_text_is_a_row_and_a_line(labelled, tmp_path):
    (labelled / "real" / "real40.png").rename(os.fsdecode(bytes(labelled) + b"/real/\xff=1.png"))
    out = tmp_path / "run"
    begun(labelled, out, 1)
    assert run("folder", labelled, out, system=system())["rows"] == 12
    assert [r["file"] for r in rows(out) if "udcff" in r["file"]] == ["real/\\udcff=1.png"]
    assert write([out], tmp_path / "out")


def test_predictions_of_the_version_before_are_read(labelled, tmp_path):
    out = tmp_path / "run"
    run("folder", labelled, out, system=system())
    table = predictions.read(out)[0]
    before = {name: table[name] for name in table.column_names if name in BEFORE}
    before |= {name: pa.nulls(12, pa.float32()) for name in ("mask_iou", "text_box", "side")}
    before["box_iou"] = pa.array([0.5] * 12, pa.float32())
    pq.write_table(pa.table(before), out / "predictions.parquet")
    meta = json.loads((out / "meta.json").read_text())
    (out / "meta.json").write_text(json.dumps(meta | {"schema": predictions.BEFORE}))
    old, _ = predictions.read(out)
    assert old["score/boxes"].to_pylist() == [0.5] * 12 and set(old["speaker"].to_pylist()) == {"explanation"}
    assert old["says"].to_pylist() == table["verdict"].to_pylist()
    assert write([out], tmp_path / "out")


BEFORE = (
    "dataset", "file", "frame", "box", "video", "group", "split", "label", "method", "compression", "kind",
    "perturbation", "strength", "status", "problem", "faces", "score", "fake", "verdict", "mask_precision",
    "mask_recall", "mask_f1", "mask_ap", "regions_true", "regions_said", "question", "text", "references", "seconds",
    "thumbnail",
)  # fmt: skip


def test_perturbations_are_rows_of_their_own_and_fall_the_same_on_both_labels(labelled, tmp_path):
    run("folder", labelled, tmp_path / "run", system=system(), perturbations=perturb.parse(["brightness:5", "blur"]))
    found = rows(tmp_path / "run")
    assert len(found) == 12 * 7
    plain = {r["file"]: r["score"] for r in found if r["perturbation"] == "none"}
    moved = {r["file"]: r["score"] for r in found if r["perturbation"] == "brightness"}
    assert all(abs(abs(moved[f] - plain[f]) - 75 / 255) < 0.05 for f in plain if plain[f] and 0.3 < plain[f] < 0.7)
    blurred = {r["file"]: r["score"] for r in found if r["perturbation"] == "blur" and r["strength"] == 3}
    assert all(blurred[f] == pytest.approx(plain[f], abs=0.01) for f in plain if plain[f])


def test_perturbations_are_parsed_and_named():
    assert perturb.parse([]) == (("none", 0),)
    assert perturb.parse(["jpeg:3", "none"]) == (("none", 0), ("jpeg", 3))
    assert len(perturb.parse(["all"])) == 1 + 5 * len(perturb.NAMES)
    with pytest.raises(UnknownName, match="Did you mean 'jpeg'"):
        perturb.parse(["jpg"])
    with pytest.raises(InputError, match="strength of 1 to 5"):
        perturb.parse(["jpeg:9"])


# five kinds of grey, not five strengths; saved twice, where the second time is the same; letters at a drawn place
OTHERWISE = ("monochrome", "double_jpeg", "social", "text")


@pytest.mark.parametrize("name", perturb.PIXELS)
def test_a_stronger_perturbation_changes_more(name, astronaut):
    small = astronaut[60:252, 120:312]
    change = [
        np.abs(perturb.apply(small, (name, s), seed=0, group="a").astype(int) - small).mean() for s in perturb.STRENGTHS
    ]
    assert change[0] > 0
    if name not in OTHERWISE:
        assert change == sorted(change) and change[-1] > 2 * change[0]
    again = perturb.apply(small, (name, 4), seed=0, group="a")
    assert (again == perturb.apply(small, (name, 4), seed=0, group="a")).all(), "the same group draws the same"


def test_a_shifted_finder_moves_box_and_mesh_together():
    finder = perturb.ShiftedFinder("whole", {}, 0.1)
    face = finder.find(Frame(np.zeros((100, 80, 3), np.uint8)))[0]
    left, top, right, bottom = face.box
    assert np.hypot(80 - (right - left), 100 - (bottom - top)) == pytest.approx(10), "what it is moved by is cut off"
    assert 0 <= left < right <= 80 and 0 <= top < bottom <= 100 and isinstance(face, Face)


def test_frames_of_videos_are_read_and_a_broken_one_is_a_row(tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
    for level in range(10, 250, 20):
        writer.write(np.full((64, 64, 3), level, np.uint8))
    writer.release()
    (folder / "b.mp4").write_bytes(b"no video")

    class Leaf:
        @staticmethod
        def samples(root, split=None, *, frames=32, tell=None):
            from facewitness.datasets import _disk

            for name in ("a", "b"):
                yield from _disk.of_video(
                    Path(root), Path(root) / f"{name}.mp4", Truth("real", "pristine"), dataset="painted", split="test",
                    group=name, frames=frames, tell=tell,
                )  # fmt: skip

    get = plugins.get
    monkeypatch.setattr(plugins, "get", lambda family, name: Leaf if name == "videos" else get(family, name))
    covered = run("videos", folder, tmp_path / "run", system=system(), frames=3)
    assert (covered["rows"], covered["ok"], covered["failed"], covered["missing"]) == (4, 3, 1, 1)
    found = rows(tmp_path / "run")
    assert [r["frame"] for r in found if r["frame"] is not None] == [2, 6, 10]
    assert [r["score"] * 255 for r in found if r["score"]] == pytest.approx([50, 130, 210], abs=6)
    assert found[0]["video"] == "painted/pristine/-/a.mp4"


def test_an_empty_dataset_is_said(labelled, tmp_path):
    with pytest.raises(InputError, match=r"samples with method nothing, found none. There are: method pristine \(6\)"):
        run("folder", labelled, tmp_path / "run", system=system(), keep={"method": ("nothing",)})
    with pytest.raises(UnknownName, match="column to keep by"):
        run("folder", labelled, tmp_path / "other", system=system(), keep={"colour": ("red",)})


def test_predictions_of_another_version_are_refused(labelled, tmp_path):
    run("folder", labelled, tmp_path / "run", system=system())
    meta = tmp_path / "run" / "meta.json"
    value = json.loads(meta.read_text())
    meta.write_text(json.dumps({**value, "schema": "facewitness.predictions/9"}))
    with pytest.raises(InputError, match="of another version"):
        predictions.read(tmp_path / "run")
    meta.write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        predictions.read(tmp_path / "run")
    with pytest.raises(InputError, match="is no run"):
        predictions.read(tmp_path)
    meta.write_text(json.dumps(value))
    (tmp_path / "run" / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a Parquet table"):
        predictions.read(tmp_path / "run")


# --------------------------------------------------------------------------------------------------- the protocols


@pytest.mark.parametrize("name", protocol.names())
def test_every_protocol_can_be_read(name):
    plan = protocol.read(name)
    assert plan.about and plan.tests and plan.level in protocol.LEVELS


def test_what_papers_print_stands_beside_what_is_measured(tmp_path):
    fused = protocol.read("mare-fused")
    assert [test.name for test in fused.tests] == ["FF++", "Celeb-DF", "WDF", "DFDC", "DFD"]
    assert fused.tests[3].published["MARE"] == {"auc": 99.77, "acc": 98.83} and "M2F2" in fused.tests[4].published
    assert protocol.read("kfd-cross").tests[0].published["SBI"] == {"auc": 93.82, "ap": 92.99}
    ours, theirs = protocol.read("open-world"), protocol.read("ow-ffa-bench")
    assert ours.tests[3].source == ("ffhq_140k", "sg1_140k", "genphotos", "sg2_omi", "sg2_edit")
    assert [test.name for test in (*ours.tests, *theirs.tests) if test.apart] == ["FF++-c40", "Multi-attack"]
    assert theirs.tests[0].published["FFAA"] == {"acc": 94.2, "auc": 98.8, "ap": 98.9}
    accuracies = [test.published["FFAA"]["acc"] for test in theirs.tests]
    assert round(float(np.std(accuracies)), 1) == 10.0, "the paper's sACC, with its in-domain set"
    intra = protocol.read("kfd-intra")
    assert "FaceShifter" in intra.tests[0].method and "genuine frames only" in intra.train["datasets"][0]
    assert protocol.read("mare-intra").tests[0].published["TGN"] == {"auc": 99.32}
    assert protocol.printed(tmp_path) is None
    protocol.note(fused, tmp_path)
    (grid,) = table._printed_grids([tmp_path])
    assert grid.title == "Printed in papers (mare-fused)" and "not measured here" in grid.about
    row = next(row for row in grid.rows if row[:2] == ("MARE", "DFD"))
    assert [cell[0].value for cell in row[2:]] == [0.9968, None, 0.9825]
    path = tmp_path / "mine.toml"
    head = 'about = "a"\n[[test]]\nname = "n"\ndataset = "folder"\n'
    for line, kind, expected in (
        ("S = { auk = 1 }", UnknownName, "printed measure in mine"),
        ("S = { auc = 101 }", InputError, "per cent for auc of S"),
    ):
        path.write_text(f"{head}[test.published]\n{line}\n")
        with pytest.raises(kind, match=expected):
            protocol.read(path)


@pytest.mark.parametrize(("asked", "first", "count"), [([], ("jpeg", 1), None), (["--perturb", "none"], None, 1)])
def test_what_is_perturbed_in_a_protocol_can_be_chosen(tmp_path, monkeypatch, asked, first, count):
    seen = []

    def run(dataset, root, out, *, perturbations, **options):
        seen.append(perturbations)
        return {"rows": 1, "ok": 1, "no_face": 0, "failed": 0, "missing": 0, "examples": []}

    monkeypatch.setattr("facewitness.bench.run.run", run)
    line = ["bench", "run", "--protocol", "shared", "--root", str(tmp_path), "--out", str(tmp_path / "out"), *asked]
    assert cli.main(line) == 0 and len(seen) == 5
    assert all(each[0] == ("none", 0) and (count is None or len(each) == count) for each in seen)
    assert first is None or all(first in each and len(each) > 100 for each in seen)


def test_what_is_wrong_with_a_protocol_is_said(tmp_path):
    path = tmp_path / "mine.toml"
    with pytest.raises(InputError, match="expected a protocol"):
        protocol.read(path)
    path.write_text('about = "x"')
    with pytest.raises(InputError, match="at least one"):
        protocol.read(path)
    path.write_text('about = "x"\n[[test]]\nname = "a"\ndataset = "foldr"')
    with pytest.raises(UnknownName, match="Did you mean 'folder'"):
        protocol.read(path)
    path.write_text('about = "x"\nlevl = "frame"\n[[test]]\nname = "a"\ndataset = "folder"')
    with pytest.raises(UnknownName, match="Did you mean 'level'"):
        protocol.read(path)
    with pytest.raises(UnknownName, match="Did you mean 'kfd-cross'"):
        protocol.read("kfd-cros")


# ------------------------------------------------------------------------------------------------- recalibration


def _predictions(genuine: int, fakes: int, apart: float = 0.4) -> pa.Table:
    rng = np.random.default_rng(3)
    made = [("real", s) for s in rng.normal(0.3, 0.1, genuine)] + [
        ("fake", s) for s in rng.normal(0.3 + apart, 0.1, fakes)
    ]
    return pa.Table.from_pylist(
        [
            {"score": float(np.clip(s, 0.01, 0.99)), "label": label, "group": str(i), "dataset": "mine"}
            for i, (label, s) in enumerate(made)
        ]
    )


def test_a_profile_keeps_the_rate_that_was_asked_for_and_is_read_back(tmp_path):
    from facewitness.calibration import Profile

    table = _predictions(400, 300)
    fitted = calibrate.fit(table, max_fpr=0.01)
    p = fitted.calibration.probabilities(table.column("score").to_pylist())
    genuine = np.array(table.column("label").to_pylist()) == "real"
    assert (p[genuine] >= fitted.calibration.fake_above).mean() <= 0.01
    assert (p[~genuine] >= fitted.calibration.fake_above).mean() > 0.5
    path = calibrate.write(tmp_path / "p.json", [("brightness", {}, fitted)], data="mine", options={})
    profile = Profile.read(path)
    assert profile.calibrations({"brightness": {"weights": {}}})["brightness"] == fitted.calibration
    with pytest.raises(InputError, match="other weights"):
        profile.calibrations({"brightness": {"weights": {"a.onnx": "00"}}})
    with pytest.raises(InputError, match="expected a calibration of compact"):
        profile.calibrations({"compact": {"weights": {}}})
    path.write_text("{}")
    with pytest.raises(InputError, match=r"facewitness\.profile/1"):
        Profile.read(path)


def test_too_few_pictures_are_refused_and_hard_ones_are_told():
    with pytest.raises(InputError, match="at least 20 genuine and 20 fake"):
        calibrate.fit(_predictions(19, 100), max_fpr=0.05)
    told = " ".join(calibrate.fit(_predictions(60, 60, apart=0.0), max_fpr=0.01).warnings)
    assert "hardly tell" in told and "cannot show a share of 1.0%" in told


# ---------------------------------------------------------------------------------------------------- deletion test


class Patch:
    """A witness that looks at the mouth alone: its brightness is the score; it claims what it is told to claim."""

    name, calibration = "patch", None

    def __init__(self, claims: str):
        self.claims = claims

    def made_by(self):
        return {}

    def examine(self, track, clip):
        face = track.face
        from facewitness import geometry, regions
        from facewitness.types import Finding, Testimony

        def place(name):
            return geometry.fill(list(regions.polygons(name, face.landmarks)), face.at.height, face.at.width)

        score = float(clip.at(face.at).pixels[place("mouth")].mean() / 255)
        box = geometry.bounds(np.concatenate(regions.polygons(self.claims, face.landmarks)))
        return Testimony(self.name, score, None, (Finding.on(self.claims, box, None, "It shows traces.", 0.9),))


class Average:
    """A finder that lays the average face on every picture."""

    name = "average"

    def find(self, frame):
        from facewitness import regions

        points = regions.average_landmarks()
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        mesh = ((points[:, :2] - low) / (high - low) * 150 + 25).astype(np.float32)
        return (Face(frame.at, (25.0, 25.0, 175.0, 175.0), mesh),)


@pytest.mark.parametrize(("claims", "faithful"), [("mouth", True), ("nose", False)])
def test_a_claim_about_what_was_looked_at_beats_one_about_another_place(claims, faithful):
    from facewitness import geometry, regions
    from facewitness.pipeline import Analyzer

    picture = np.full((200, 200, 3), 60, np.uint8)
    mesh = Average().find(Frame(picture))[0].landmarks
    picture[geometry.fill(list(regions.polygons("mouth", mesh)), 200, 200)] = 220
    analyzer = Analyzer(finder=Average(), witnesses=(Patch(claims),))
    sample = Sample("a.png", Truth("fake", "painted"), "test", "a", "painted", image=_png(picture))
    found, tally = deletion.deletions([sample], Path(), analyzer)
    assert tally["pictures"] == 1 and len(found) == 1
    assert (found[0].faithfulness > 0.3) == faithful
    told = deletion.summary(found)
    assert told["claims"] == 1 and told["by_region"][claims]["claims"] == 1
    assert deletion.summary([])["claims"] == 0


def test_the_deletion_test_looks_at_the_frame_and_the_face_that_an_item_means(monkeypatch):
    from facewitness.pipeline import Analyzer

    asked = []

    class Film:
        def frame(self, path, index):
            asked.append((path.name, index))
            return np.full((200, 200, 3), 60, np.uint8)

    monkeypatch.setattr(deletion, "Frames", Film)
    analyzer = Analyzer(finder=Average(), witnesses=(Patch("mouth"),))

    def tally(box):
        sample = Sample("a.mp4", Truth("fake", "painted"), "test", "a", "painted", frame=7, box=box)
        return deletion.deletions([sample], Path("films"), analyzer)[1]

    assert tally(None)["without_face"] == 0 and asked == [("a.mp4", 7)]
    assert tally((20, 20, 170, 170))["without_face"] == 0 and tally((180, 180, 199, 199))["without_face"] == 1


def test_a_face_that_is_larger_than_its_picture_can_be_covered_too():
    from facewitness import regions
    from facewitness.types import Finding

    mesh = (regions.average_landmarks() * np.float32(320) - np.float32([100, 60, 0])).astype(np.float32)
    face = Face(FrameRef(90, 120), (0, 0, 90, 120), mesh)
    for region in ("nose", "mouth", "left_eye", "chin"):
        places = deletion._places(face, Finding.on(region, (0, 0, 9, 9), None, "It is odd.", 0.5))
        assert places is None or (places[0].any() and places[1].any() and places[0].shape == (120, 90))


def _png(pixels):
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_a_row_has_the_columns_that_are_written():
    assert list(predictions.Row.__annotations__) == [*predictions.COLUMNS.names, "scores"]


def test_films_are_judged_as_films_and_asked_about(tmp_path):
    """One row a film, its score the plain mean over its frames; the table has the video level and how many frames."""
    films = pytest.importorskip("films", reason="needs the extra 'video'")
    folder = tmp_path / "own"
    for label, levels in (("real", (40, 60)), ("fake", (200, 220))):
        (folder / label).mkdir(parents=True)
        for level in levels:
            grey = [np.full((64, 64, 3), level + i, np.uint8) for i in range(12)]
            (folder / label / f"{level}.mp4").write_bytes(films.film(grey))

    class Highest(Brightness):
        """Its score of a film is that of the brightest frame; its series has them all."""

        def examine(self, track, clip):
            scores = [float(clip.at(face.at).pixels.mean()) / 255 for face in track.faces]
            series = tuple(Moment(face.at, score) for face, score in zip(track.faces, scores, strict=True))
            return Testimony(self.name, max(scores), series=series if len(series) > 1 else None)

    bright = System("whole", (Highest(),))
    frames = run("folder", folder, tmp_path / "frames", system=bright, frames=3)
    whole = run("folder", folder, tmp_path / "films", system=bright, frames=3, films=True, questions=True, name="films")
    assert (frames["rows"], whole["rows"]) == (12, 4) and frames["ok"] == 12 and whole["ok"] == 4
    found = rows(tmp_path / "films")
    items = [r for r in found if r["speaker"] == "explanation"]
    assert sorted(r["score"] * 255 for r in items) == pytest.approx([46, 66, 206, 226], abs=2)  # the mean of 2, 6, 10
    assert {r["question"] for r in found if r["speaker"] == "dialogue"} == set(bench_run.FILM_QUESTIONS)
    assert all(r["frame"] is None and r["video"] for r in items)
    write([tmp_path / "frames", tmp_path / "films"], tmp_path / "table")
    text = (tmp_path / "table" / "table.md").read_text()
    assert "films judged as a whole: see the video level" in text and "frames a video" in text
    import csv

    with (tmp_path / "table" / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    own = [r for r in lines if r["dataset"] == "own"]  # not all test sets together: there is one
    auc = {(r["system"], r["level"]): r["value"] for r in own if r["measure"] == "auc" and not r["method"]}
    assert auc["films", "video"] == "1.0" and auc["films", "frame"] == ""
    asked = {
        r["system"]: r["value"] for r in lines if r["measure"] == "frames_a_video" and "baseline" not in r["system"]
    }
    assert set(asked.values()) == {"3.0"}
    with pytest.raises(InputError, match="films are judged as they are"):
        run("folder", folder, tmp_path / "other", system=system(), films=True, perturbations=perturb.parse(["blur:1"]))
