"""A run is a row for every item, goes on after a kill, splits into shards, and refuses to mix two systems."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from doubles import Brightness
from pictures import painted, write_broken

from facewitness import plugins
from facewitness.errors import InputError, UnknownName
from facewitness.types import Face, Frame, FrameRef, Sample, Truth

pa = pytest.importorskip("pyarrow", reason="needs the extra 'bench'")
cv2 = pytest.importorskip("cv2", reason="needs the extra 'forge'")
from facewitness.bench import calibrate, deletion, perturb, predictions, protocol  # noqa: E402
from facewitness.bench.run import System, run  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """real/ is dark, fake/ is bright; one picture of each lies on the wrong side, and one is broken."""
    folder = tmp_path / "labelled"
    for label, levels in (("real", (40, 50, 60, 70, 80, 200)), ("fake", (150, 170, 180, 190, 60))):
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
    assert covered == {"rows": 12, "ok": 11, "no_face": 0, "failed": 1, "missing": 0, "examples": []}
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
    first = run("folder", labelled, tmp_path / "run", system=system())
    (labelled / "real" / "real40.png").unlink()
    assert run("folder", labelled, tmp_path / "run", system=system()) == first


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
    assert answers[0]["score"] is None
    with pytest.raises(InputError, match="other questions"):
        run("ddvqa", root, tmp_path / "run", system=system())


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
predictions.Writer.__init__ = lambda self, run, meta: writer(self, run, meta, every=2)
if __name__ == "__main__":
    witness = Brightness(seconds=float(sys.argv[3]), started=sys.argv[4])
    print(run("folder", sys.argv[1], Path(sys.argv[2]), system=System("whole", (witness,)))["rows"])
"""


def test_a_killed_run_goes_on_and_does_nothing_twice(labelled, tmp_path):
    script, counted, out = tmp_path / "killed.py", tmp_path / "counted", tmp_path / "run"
    script.write_text(_KILLED.format(tests=str(HERE)))
    command = [sys.executable, str(script), str(labelled), str(out)]
    process = subprocess.Popen([*command, "0.2", str(counted)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list((out / "parts").glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "predictions.parquet").exists()
    with pytest.raises(InputError, match="is not finished: it holds parts"):
        predictions.read(out)
    counted.write_bytes(b"")
    again = subprocess.run([*command, "0", str(counted)], capture_output=True, text=True, check=True, env=os.environ)
    assert again.stdout.strip() == "12"
    assert 0 < counted.stat().st_size <= 11 - 3, "what was on disk is not worked out again"
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
    assert np.hypot(face.box[0], face.box[1]) == pytest.approx(10)
    assert face.box[2] - face.box[0] == pytest.approx(80) and isinstance(face, Face)


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
    with pytest.raises(InputError, match="has no samples"):
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
    assert list(predictions.Row.__annotations__) == predictions.COLUMNS.names
