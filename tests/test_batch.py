"""Very many files: a table and pages at a glance, units of work, parts that repeat, and resuming by content."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports import HOSTILE, REPORTS, clip_of, landmarks, painted

from facewitness import regions
from facewitness.apps import cli, summary
from facewitness.errors import InputError, MissingExtra
from facewitness.formats import json as wire
from facewitness.phrases import odds
from facewitness.pipeline import Analyzer
from facewitness.types import Finding, Place, Verdict

pa = pytest.importorskip("pyarrow", reason="the extra bench is not installed")
import pyarrow.parquet as pq  # noqa: E402

from facewitness.apps import batch  # noqa: E402

OPTIONS = {"finder": "whole", "witnesses": ("compact",), "options": {}, "profile": None, "reading": {}}


def picture(number: int = 0) -> bytes:
    out = io.BytesIO()
    Image.fromarray(painted(160 + number, 160, landmarks(30, 25, 100)).pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / "broken.jpg").write_text("no picture")
    return folder


# ------------------------------------------------------------------------------------------------ the table, the pages


def rows() -> list[summary.Row]:
    return [summary.row_of(report, (f"{name}.html",)) for name, report in REPORTS.items()]


def test_a_row_says_what_its_report_says():
    row = summary.row_of(REPORTS["two_faces"])
    assert (row.verdict, row.faces, row.fake_faces) == ("fake", 2, 1)
    assert row.fake == 0.91 and row.places == "left eye, mouth, nose"  # of the most suspicious of two
    assert summary.row_of(REPORTS["failed"]).problem and summary.row_of(REPORTS["failed"]).label == "failed"


def test_a_face_that_cannot_be_judged_has_no_number_in_the_table(tmp_path):
    report = REPORTS["two_faces"]
    useless = Verdict("inconclusive", 0.99, cause="quality")
    first, second = (replace(person, verdict=useless, findings=(), explanation=()) for person in report.people)
    row = summary.row_of(replace(report, verdict=useless, people=(first,)))
    assert (row.fake, row.low, row.high) == (None, None, None)
    (page, *_) = summary.write_pages(tmp_path, [row])
    assert "99 %" not in page.read_text(encoding="utf-8")
    row = summary.row_of(replace(report, people=(first, report.people[1])))
    assert row.fake == report.people[1].verdict.fake, "the most suspicious is one that could be judged"
    assert summary.row_of(replace(report, people=(first, second))).fake is None


def test_a_row_words_numbers_people_and_places_as_its_report_does(tmp_path):
    report = REPORTS["two_faces"]
    first = report.people[0]
    verdict = Verdict("fake", 0.9914, (0.97, 0.998), (0.35, 0.9906))
    anywhere = first.findings[0].places[0]
    places = tuple(Place(anywhere.at, name, anywhere.box) for name in regions.MARE[:10])
    face = replace(first, verdict=verdict, findings=(Finding(places, "All of it.", 0.8),), explanation=())
    film = replace(report.medium, frames=50, fps=25.0)
    row = summary.row_of(replace(report, people=(face,), verdict=verdict, medium=film))
    assert row.odds == odds(verdict) and "99.14 %" in row.odds, "as many digits as the threshold needs"
    assert row.places == "nearly the whole face" and row.film
    (page, *_) = summary.write_pages(tmp_path, [row])
    text = page.read_text(encoding="utf-8")
    assert row.odds in text and "1 person" in text and "1 face" not in text


def test_the_table_is_safe_and_whole(tmp_path):
    path = summary.write_csv(tmp_path / "summary.csv", rows())
    read = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert len(read) == len(REPORTS) and {line["status"] for line in read} == {"ok", "no_face", "failed"}
    formula = summary.Row("=1+1", None, "failed", None, None, None, None, 0, 0, "", "@x")
    text = summary.write_csv(tmp_path / "f.csv", [formula]).read_text(encoding="utf-8-sig")
    assert "'=1+1" in text and "'@x" in text


def test_pages_are_sorted_without_a_script_and_hold_no_markup_of_strangers(tmp_path):
    written = summary.write_pages(tmp_path, rows())
    assert {path.name for path in written} == {
        "index.html", "index-file.html", "index-verdict.html", "index-probability.html", "index-faces.html",
    }  # fmt: skip
    for path in written:
        page = path.read_text(encoding="utf-8")
        assert "<script" not in page and HOSTILE not in page and " style=" not in page and "http" not in page
        assert page.count('href="index') == 4
    probability = (tmp_path / "index-probability.html").read_text(encoding="utf-8")
    assert probability.index("91 % fake") < probability.index("50 % fake") < probability.index("10 % fake")
    verdict = (tmp_path / "index-verdict.html").read_text(encoding="utf-8")
    assert (
        verdict.index("two.png") < verdict.index("small.jpg") < verdict.index("half.png") < verdict.index("notes.jpg")
    )
    assert "8 files" in page and "1 not analysed" in page


def test_many_rows_are_several_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "PER_PAGE", 3)
    names = {path.name for path in summary.write_pages(tmp_path, rows(), total=900, tally={"fake": 900})}
    assert {"index.html", "index-2.html", "index-3.html", "index-verdict-3.html"} <= names
    page = (tmp_path / "index-2.html").read_text(encoding="utf-8")
    assert "900 files" in page and "Shown are the 8" in page and 'aria-current="page"' in page


def test_a_folder_through_analyze_has_a_table_that_resuming_completes(photos, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["analyze", str(photos), "--out", str(out), "--format", "json", "--finder", "whole", "--no-date"]
    assert cli.main(words) == 3
    assert "index.html" in capsys.readouterr().out
    read = list(csv.DictReader(io.StringIO((out / "summary.csv").read_text(encoding="utf-8-sig"))))
    assert [Path(line["source"]).name for line in read] == ["0.png", "1.png", "2.png", "broken.jpg"]
    assert read[3]["status"] == "failed" and "expected a picture" in read[3]["problem"]
    assert (out / read[0]["reports"]).is_file() and len(list((out / "thumbs").glob("*.jpg"))) == 3
    (photos / "3.png").write_bytes(picture(3))
    assert cli.main([*words, "--resume"]) == 3
    again = list(csv.DictReader(io.StringIO((out / "summary.csv").read_text(encoding="utf-8-sig"))))
    assert len(again) == 5 and again[:3] == read[:3]
    capsys.readouterr()
    assert cli.main(words) == 3 and "written anew" not in capsys.readouterr().err, "the same folder again"
    other = tmp_path / "other"
    other.mkdir()
    for name in "ab":
        (other / f"{name}.png").write_bytes(picture(7))
    assert cli.main(["analyze", str(other), *words[2:]]) == 0
    assert "written anew, without 5 files of an earlier run. --resume keeps them in" in capsys.readouterr().err
    assert not (tmp_path / "alone" / "index.html").exists()


# ----------------------------------------------------------------------------------------------------- units of work


def test_sources_become_units(photos, tmp_path):
    pytest.importorskip("fsspec", reason="the extra ray is not installed")
    (photos / "shard.tar").write_bytes(b"")
    (photos / "table.parquet").write_bytes(b"")
    units = list(batch._units([str(photos)], 2, 1))
    kinds = [unit["kind"] for unit in units]
    assert sorted(kinds) == ["files", "files", "files", "files", "parquet", "tar"]  # four at least for one worker
    assert sum(len(unit["where"]) for unit in units if unit["kind"] == "files") == 4
    assert len([u for u in batch._units([str(photos)], 2, 100) if u["kind"] == "files"]) == 4
    with pytest.raises(InputError, match="fsspec can list"):
        list(batch._units(["nosuchstore://x/y"], 2, 1))


def test_pictures_come_out_of_tables_and_tars_with_names(tmp_path):
    table = pa.table({"image": [{"bytes": picture(), "path": "a.png"}, {"bytes": None, "path": "b.png"}], "n": [1, 2]})
    pq.write_table(table, tmp_path / "t.parquet")
    pq.write_table(pa.table({"bytes": [picture()] * 3}), tmp_path / "u.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "v.parquet")
    found = dict(batch._contents({"kind": "parquet", "where": str(tmp_path / "t.parquet")}))
    assert found[f"{tmp_path / 't.parquet'}#a.png"] == picture()
    assert isinstance(found[f"{tmp_path / 't.parquet'}#b.png"], InputError)
    unnamed = batch._contents({"kind": "parquet", "where": str(tmp_path / "u.parquet")})
    assert [name.rpartition("#")[2] for name, _ in unnamed] == ["0", "1", "2"]
    ((_, wrong),) = batch._contents({"kind": "parquet", "where": str(tmp_path / "v.parquet")})
    assert "expected a column image or bytes" in str(wrong)
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name in ("000.png", "../../evil.png", "000.json"):
            info = tarfile.TarInfo(name)
            info.size = len(picture())
            archive.addfile(info, io.BytesIO(picture()))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    names = [name.rpartition("#")[2] for name, _ in batch._contents({"kind": "tar", "where": str(tmp_path / "s.tar")})]
    assert names == ["000.png", "../../evil.png"] and not (tmp_path.parent.parent / "evil.png").exists()
    (tmp_path / "cut.tar").write_bytes((tmp_path / "s.tar").read_bytes()[:700])
    info.name, info.size = "lie.bin", 10**12  # would be passed over for minutes
    (tmp_path / "lie.tar").write_bytes(info.tobuf() + bytes(1024))
    for name in ("cut.tar", "lie.tar"):
        *_, (_, wrong) = batch._contents({"kind": "tar", "where": str(tmp_path / name)})
        assert "cannot be read to its end" in str(wrong), name


def test_files_of_a_store_are_fetched_through_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("a.png", "b.txt", "deep/c.png"):
        store.pipe(f"/bucket/{name}", picture())
    unit = {"kind": "files", "where": list(batch._expanded("memory://bucket"))}
    assert [name.rpartition("/")[2] for name in unit["where"]] == ["a.png", "c.png"]
    assert all(content == picture() for _, content in batch._contents(unit))
    ((_, wrong),) = batch._contents({"kind": "files", "where": ["memory://bucket/none.png"]})
    assert "cannot be fetched" in str(wrong)


# --------------------------------------------------------------------------------------------------- parts, resuming


def read_back(out: Path) -> list[dict[str, object]]:
    return [row for path in batch.parts(out) for row in pq.read_table(path, partitioning=None).to_pylist()]


def work(unit: dict[str, object], out: Path, known: object = None) -> dict[str, list[int]]:
    worker = batch.Worker(
        {"options": OPTIONS, "out": str(out), "seconds": 60.0, "slim": False, "thumbs": True, "known": None}
    )
    worker.known = known or {}
    try:
        return worker({"unit": np.array([json.dumps(unit)])})
    finally:
        worker.pool.close()


def test_a_worker_writes_the_reports_of_analyze_and_resumes_by_content(photos, tmp_path):
    out = tmp_path / "out"
    files = sorted(map(str, photos.iterdir()))
    unit = {"kind": "files", "where": files}
    assert work(unit, out) == {"files": [4], "skipped": [0]}
    rows = {row["source"]: row for row in read_back(out)}
    assert set(rows) == set(files)
    analyzer = Analyzer(**OPTIONS)
    for name in files:
        assert wire.parse(rows[name]["report"]).to_json() == analyzer.analyze(name).to_json()  # the same results
    failed = next(row for row in rows.values() if row["label"] == "failed")
    assert failed["source"].endswith("broken.jpg") and "expected a picture" in failed["problem"]
    assert next(row for row in rows.values() if row["label"] != "failed")["thumb"].startswith(b"\xff\xd8")
    before = {path: path.read_bytes() for path in batch.parts(out)}
    assert work(unit, out) == {"files": [4], "skipped": [0]}  # as after a crash: written over itself
    assert {path: path.read_bytes() for path in batch.parts(out)} == before
    known = batch._known(out, analyzer.made_by, resume=True, retry_failed=False)
    assert work(unit, out, known) == {"files": [0], "skipped": [4]}
    (photos / "1.png").write_bytes(picture(7))
    assert work(unit, out, known) == {"files": [1], "skipped": [3]}
    assert len(read_back(out)) == 5  # the file's old bytes, and its new ones
    tally = batch.summarise(out)
    assert sum(tally.values()) == 5 and tally["failed"] == 1
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "5 files" in page and "“No sign of forgery found” means: No sufficient" in page, "a legend, no claim"
    with pytest.raises(InputError, match="holds a run already"):
        batch._known(out, analyzer.made_by, resume=False, retry_failed=False)
    with pytest.raises(InputError, match="another version, options or weights"):
        batch._known(out, {**analyzer.made_by, "version": "0"}, resume=True, retry_failed=False)
    assert len(batch._known(out, analyzer.made_by, resume=True, retry_failed=True)) == 3


def test_a_unit_whose_answers_changed_leaves_no_row_twice(tmp_path):
    base = {"source": "a", "sha256": "0" * 64, "status": "ok", "fake": 0.5, "low": None, "high": None, "faces": 1,
            "fake_faces": 0, "places": "", "problem": "", "reports": (), "thumb": None, "report": "{}"}  # fmt: skip
    batch.write_part(tmp_path, [{**base, "status": "failed", "verdict": None}])
    batch.write_part(tmp_path, [{**base, "verdict": "fake"}])
    assert [row["label"] for row in read_back(tmp_path)] == ["fake"]
    odd = {**base, "source": "a\udcff.png", "verdict": "real"}
    batch.write_part(tmp_path, [odd])
    assert any(row["source"] == "a\\udcff.png" for row in read_back(tmp_path))


def test_without_ray_it_says_what_to_install(monkeypatch, tmp_path):
    import builtins

    real = builtins.__import__

    def without(name, *rest):
        if name == "ray" or name.startswith("ray."):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[ray\]', from a clone of the repository"):
        batch.run([str(tmp_path)], tmp_path / "out")


@pytest.mark.slow
def test_ray_does_every_file_once(photos, tmp_path, capsys):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    words = ["batch", str(photos), str(tmp_path / "out"), "--finder", "whole", "--witness", "compact", "--workers", "2"]
    assert cli.main(words) == 3
    assert "4 files" in capsys.readouterr().out
    assert len(read_back(tmp_path / "out")) == 4
    assert cli.main([*words, "--resume"]) == 3 and len(read_back(tmp_path / "out")) == 4


def test_thumbnails_are_small_jpegs():
    small = Image.open(io.BytesIO(summary.thumbnail(clip_of(REPORTS["two_faces"]))))
    assert small.format == "JPEG" and max(small.size) <= 144
