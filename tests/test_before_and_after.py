"""What a command sees to before it works for hours, and what it tells of afterwards: places, lists, folders, pages.

Pictures are grey or painted; where a command would look for faces, it is stopped before, or the finder is a double.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from facewitness import files, lists, media, plugins
from facewitness.apps import cli
from facewitness.apps.cli import main
from facewitness.bench import peers
from facewitness.errors import InputError


def grey(path: Path, level: int = 120, side: int = 16) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (level, level, level)).save(path)
    return path


def pages(path: Path, count: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.new("RGB", (16, 16), (60 * i, 90, 90)) for i in range(count))
    first.save(path, save_all=True, append_images=others)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    out, err = capsys.readouterr()
    return status, out, err


# ------------------------------------------------------------------------------------- what is written can be written

WRITING = [
    (["analyze", "a.png", "--out", "file"], "'file': expected a folder to write to, got the file 'file'"),
    (["analyze", "a.png", "--out", "file/below"], "got the file 'file'"),
    (["analyze", "a.png", "--lines", "folder"], "'folder': expected a file's name to write to, got a folder"),
    (["analyze", "a.png", "--out", "dangling"], "got a link to what does not exist"),
    (["calibrate", "--data", "data", "--out", "folder"], "got a folder"),
    (["calibrate", "--data", "data", "--out", "file/p.json"], "got the file 'file'"),
    (["bench", "run", "folder", "--root", "data", "--out", "file"], "got the file 'file'"),
    (["bench", "table", "run", "--out", "file"], "got the file 'file'"),
    (["bench", "deletion", "folder", "--root", "data", "--out", "folder"], "got a folder"),
    (["bench", "regressions", "folder", "--out", "folder"], "got a folder"),
    (["misjudged", "a.png", "--truth", "real", "--into", "file"], "got the file 'file'"),
    (["bundle", "report.json", "--out", "folder"], "got a folder"),
    (["build", "table", "data", "file/t.parquet"], "got the file 'file'"),
    (["build", "mmtt", "folder", "data", "--out", "file"], "got the file 'file'"),
    (["build", "scenes", "--out", "file"], "got the file 'file'"),
    (["datasets", "stats", "painted", "--figure", "folder"], "got a folder"),
]


@pytest.mark.parametrize(
    ("words", "sentence"), WRITING, ids=lambda value: " ".join(value[:3]) if len(value) > 1 else ""
)
def test_what_cannot_be_written_is_told_before_any_work(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("folder").mkdir()
    Path("dangling").symlink_to("nowhere")
    before = sorted(Path().rglob("*"))
    status, out, err = told(capsys, *words)
    assert (status, out) == (2, "")
    assert sentence in err and "Errno" not in err
    assert sorted(Path().rglob("*")) == before  # nothing was left, and nothing was read: there is no data


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a file system where nobody may write")
def test_a_place_where_nothing_can_be_made_is_told():
    with pytest.raises(InputError, match="got one that cannot"):
        files.writable(Path("/proc/somewhere"), "folder")


def test_a_device_may_be_written_to():
    files.writable(Path("/dev/null"))


def test_numbers_of_bench_run_are_ones_that_can_be(capsys, tmp_path):
    for words in (["--reencode", "101"], ["--limit", "0"], ["--limit", "-1"], ["--jobs", "0"], ["--thumbnails", "-1"]):
        with pytest.raises(SystemExit) as end:
            main(["bench", "run", "painted", "--out", str(tmp_path / "run"), *words])
        assert end.value.code == 2
        assert "expected a" in capsys.readouterr().err


def test_what_keep_leaves_over_says_what_there_is(tmp_path, capsys):
    grey(tmp_path / "d/real/a.png")
    grey(tmp_path / "d/fake/swap/b.png", 30)
    status, _, err = told(
        capsys, "bench", "run", "folder", "--root", str(tmp_path / "d"), "--out", str(tmp_path / "run"), "--keep",
        "method=sawp",
    )  # fmt: skip
    assert status == 2
    assert "expected samples with method sawp, found none. There are: method" in err and "swap (1)" in err


# ----------------------------------------------------------------------------------------------------- pages of files


def paged(folder: Path) -> Path:
    pages(folder / "scan.tif")
    grey(folder / "a#1.png", 200)  # a name of its own
    (folder / "list.csv").write_text("file,label\nscan.tif#1,real\nSCAN.TIF#2,fake\na#1.png,real\nscan.tif#x,fake\n")
    return folder / "list.csv"


def test_a_list_may_name_pages_of_a_file(tmp_path, capsys):
    status, out, _ = told(capsys, "datasets", "check", "manifest", str(paged(tmp_path)))
    assert "scan.tif#x of line 5 does not exist" in out and "opened: 3, of which 3 were decoded" in out
    assert "missing or noted: 1" in out and "two labels" not in out and status == 3


def test_pages_are_different_data(tmp_path, capsys):
    from facewitness.bench import listing

    samples = list(plugins.get("datasets", "manifest").samples(paged(tmp_path)))
    data = listing.listed(samples, tmp_path).to_pylist()
    assert len({row["content"] for row in data}) == 3
    assert not listing.amiss(listing.listed(samples, tmp_path))


def test_a_table_holds_the_page_and_not_the_file(tmp_path, capsys):
    table = tmp_path / "t.parquet"
    status, _, err = told(capsys, "build", "table", str(paged(tmp_path)), str(table), "--dataset", "manifest")
    assert status == 0 and "scan.tif#x of line 5" in err  # what a list lacks is told
    rows = {row["file"]: row["image"] for row in pq.read_table(table).to_pylist()}
    assert media.read(rows["scan.tif#2"]).frame.pixels[0, 0].tolist() == [60, 90, 90]
    assert media.read(rows["a#1.png"]).frame.pixels[0, 0].tolist() == [200, 200, 200]


def test_a_page_that_is_none_is_told_by_its_number(tmp_path, capsys):
    pages(tmp_path / "scan.tif")
    (tmp_path / "list.csv").write_text("file,label\nscan.tif#9,fake\nscan.tif#1,real\n")
    _, out, _ = told(capsys, "datasets", "check", "manifest", str(tmp_path))
    assert "scan.tif#9" in out and "expected a number from 1 to" in out.replace("page from", "number from")


def test_located_finds_the_file_of_a_page(tmp_path):
    pages(tmp_path / "a/scan.tif")
    assert lists.located(tmp_path, r"C:\x\a\SCAN.tif#2") == "a/scan.tif#2"
    assert lists.located(tmp_path, "a/scan.tif#1,2,3,4") == "a/scan.tif#1,2,3,4"
    assert lists.located(tmp_path, "#2") is None


def test_a_list_may_name_files_from_ones_home_and_from_the_root(tmp_path, monkeypatch):
    home, data = tmp_path / "home", tmp_path / "home" / "data"
    monkeypatch.setenv("HOME", str(home))
    for name in ("b.png", "data/a.png", "data/home/b.png", "other/a.png"):
        grey(home / name)
    assert lists.located(data, "~/b.png") == str(home / "b.png")
    assert lists.located(data, str(home / "other" / "a.png")) == str(home / "other" / "a.png"), "and no namesake below"
    assert lists.located(data, "~/data/a.png") == lists.located(data, str(data / "a.png")) == "a.png"
    assert lists.located(data, "~/b.png#2") == str(home / "b.png") + "#2"
    assert lists.located(data, "~/none.png") is None
    assert lists.located(data, "~/../b.png") is None
    assert lists.located(data, "/elsewhere/home/b.png") == "home/b.png", "a path of another machine goes by its end"
    assert lists.located(data, "x" * 5000) is None


def test_a_name_that_is_too_long_costs_its_own_line_alone(tmp_path, capsys):
    grey(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text(f"file,label\n{'x' * 5000}.png,real\na.png,real\n")
    status, out, err = told(capsys, "analyze", str(tmp_path / "list.csv"))
    assert status == 3 and "1 not analysed" in out and "File name too long" in err
    status, out, _ = told(capsys, "datasets", "check", "manifest", str(tmp_path / "list.csv"))
    assert "of line 2 cannot be looked at (File name too long)" in out


def test_an_options_value_may_begin_at_ones_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(grey(tmp_path / "here" / "a.png").parent)
    assert told(capsys, "analyze", "a.png", "--lines=~/reports.jsonl")[0] == 0
    assert (tmp_path / "reports.jsonl").read_text() and [p.name for p in Path().iterdir()] == ["a.png"]


def test_a_run_that_is_named_twice_is_in_a_table_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    taken: list[list[Path]] = []
    monkeypatch.setattr("facewitness.bench.table.write", lambda runs, out, **_: taken.append(runs) or [])
    status, _, err = told(capsys, "bench", "table", "run", "./run/", "other", "--out", "t")
    assert status == 0 and taken == [[Path("run"), Path("other")]]
    assert err == "facewitness: 'run' is named twice; it is taken once.\n"


def test_a_table_says_how_many_files_are_not_in_it(tmp_path, capsys):
    grey(tmp_path / "data" / "real" / "a.png")
    (tmp_path / "data" / "real" / "\x1bb.png").symlink_to("/nowhere")
    status, out, err = told(capsys, "build", "table", str(tmp_path / "data"), str(tmp_path / "t.parquet"))
    assert status == 0 and "1 real" in out
    assert "1 of 2 files could not be put into t.parquet, as said above; the others are in it." in err
    assert "\x1b" not in err


def test_a_record_is_not_made_of_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pages(Path("scan.tif"))
    status, _, err = told(capsys, "misjudged", "scan.tif#2", "--truth", "real")
    assert status == 2 and "expected a file, got a part of 'scan.tif'" in err


# ------------------------------------------------------------------------------------------ lists in the place of files


@pytest.mark.parametrize("rows", ["", "\n", "\n,\n"])
def test_a_list_without_pictures_is_not_a_success(rows, tmp_path, capsys):
    (tmp_path / "list.csv").write_text("file,label" + rows)
    status, _, err = told(capsys, "analyze", str(tmp_path / "list.csv"))
    assert status == 2 and "expected a line for each picture, found none" in err


def test_a_list_in_a_list_and_a_folder_in_a_list_are_told_to_be_that(tmp_path, capsys):
    grey(tmp_path / "folder/a.png")
    (tmp_path / "list.csv").write_text("file\nfolder\nlist.csv\n")
    status, _, err = told(capsys, "analyze", str(tmp_path / "list.csv"), "--quiet")
    assert status == 1
    assert "folder' is a folder: expected a file. A list names each file" in err
    assert "got text" in err and "no list names another list" in err


def test_scores_of_a_spreadsheet_are_read(tmp_path):
    path = tmp_path / "scores.csv"
    for content in ("file;score\na.png;0,25\n", "\ufefffile\tscore\r\na.png\t0.25\r\n", "file,score\na.png,0.25\n"):
        path.write_text(content, encoding="utf-8")
        assert peers.read(path).scores.to_pylist() == [0.25]
    path.write_text('file,score\na.png,"0,25"\n')
    with pytest.raises(InputError, match="expected a score in"):
        peers.read(path)


# ---------------------------------------------------------------------------------------------------- what is left out


def test_links_to_folders_are_told(tmp_path, capsys):
    grey(tmp_path / "photos/a.png")
    grey(tmp_path / "other/b.png")
    (tmp_path / "photos/more").symlink_to(tmp_path / "other")
    (tmp_path / "photos/back").symlink_to(tmp_path / "photos")
    _, _, err = told(capsys, "analyze", str(tmp_path / "photos"), "--quiet")
    assert "skipped 2 other files: 2 linked folder" in err


def test_a_dataset_leaves_hidden_folders_out_and_tells_links(tmp_path, capsys):
    for name in ("real/a.png", "real/.ipynb_checkpoints/a-checkpoint.png", "real/@eaDir/a.png/thumb.jpg"):
        grey(tmp_path / "d" / name)
    grey(tmp_path / "d/fake/b.png", 30)
    grey(tmp_path / "other/c.png", 40)
    (tmp_path / "d/fake/more").symlink_to(tmp_path / "other")
    sentences: list[str] = []
    leaf = plugins.get("datasets", "folder")
    assert [s.file for s in leaf.samples(tmp_path / "d", tell=sentences.append)] == ["real/a.png", "fake/b.png"]
    assert len(sentences) == 1 and "links to folders" in sentences[0] and "more" in sentences[0]


def test_one_broken_picture_does_not_end_a_builder(tmp_path, monkeypatch, capsys):
    from facewitness.builders import sbi_qa

    class Nobody:
        def find(self, frame):
            return []

    monkeypatch.setattr(plugins.get("finders", "facemesh"), "load", lambda **options: Nobody())
    grey(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "list.csv").write_text("file,label\nb.png,real\na.png,real\nc.png,real\n")
    sentences: list[str] = []
    faces = sbi_qa.pristine("manifest", tmp_path / "list.csv", tell=sentences.append)
    assert list(faces) == []
    empty, absent = sentences
    assert "'b.png' is empty" in empty and "c.png of line 4 does not exist" in absent


def test_a_pack_of_nothing_leaves_nothing(tmp_path, capsys):
    for label in ("real", "fake"):
        grey(tmp_path / f"d/{label}/a.png", 50 + len(label))
    (tmp_path / "d/real/a.png").write_bytes(b"")
    (tmp_path / "d/fake/a.png").write_bytes(b"none")
    assert main(["build", "table", str(tmp_path / "d"), str(tmp_path / "t.parquet")]) == 0
    status, _, err = told(capsys, "build", "pack", str(tmp_path / "t.parquet"), str(tmp_path / "pack"), "--jobs", "1")
    assert status == 2 and "real/a.png" in err and "'bytes'" not in err
    assert not (tmp_path / "pack").exists()


def test_a_bundle_that_is_none_does_not_hold(tmp_path, capsys):
    for content in (b"", b"PK\3\4 cut", b"\x89PNG"):
        (tmp_path / "e.zip").write_bytes(content)
        status, _, err = told(capsys, "verify", str(tmp_path / "e.zip"))
        assert status == 1 and "e.zip': Expected a bundle" in err
    assert told(capsys, "verify", str(tmp_path / "nowhere.zip"))[0] == 2


def test_a_folder_that_is_no_queue_is_told(tmp_path, capsys):
    status, _, err = told(capsys, "review", str(tmp_path), "--list")
    assert status == 2 and "holds no items" in err


# --------------------------------------------------------------------------------------------------- tables of folders


def test_two_runs_do_not_share_a_table(tmp_path, capsys):
    grey(tmp_path / "a.png"), grey(tmp_path / "b.png", 30)
    out = tmp_path / "out"
    with files.held(out / ".lock"):
        status, _, err = told(capsys, "analyze", str(tmp_path), "--out", str(out), "--quiet")
    assert status == 2 and "expected a folder that nobody else writes to" in err


def test_a_list_gets_a_table_as_a_folder_does(tmp_path, capsys):
    grey(tmp_path / "a.png"), grey(tmp_path / "b.png", 30)
    (tmp_path / "list.csv").write_text("file\na.png\nb.png\n")
    for number, word in enumerate((tmp_path, tmp_path / "list.csv", tmp_path / "*.png")):
        out = tmp_path.parent / f"{tmp_path.name}-{number}"
        assert main(["analyze", str(word), "--out", str(out), "--quiet"]) == 0
        assert len((out / "summary.csv").read_text(encoding="utf-8-sig").splitlines()) == 3
        assert not (out / ".lock").exists()


# ------------------------------------------------------------------------------------------- words in any order


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["analyze", "a.png", "--out", "o", "b.png"], {"paths": ["a.png", "b.png"]}),
        (["ask", "a.png", "--face", "2", "Is it fake?"], {"photo": "a.png", "question": ["Is it fake?"], "face": 2}),
        (["ask", "a.png", "is", "it", "fake"], {"question": ["is", "it", "fake"]}),
        (["bench", "table", "r1", "--out", "t", "r2"], {"runs": [Path("r1"), Path("r2")]}),
        (["datasets", "check", "manifest", "--split", "val", "list.csv"], {"root": Path("list.csv"), "split": "val"}),
        (["analyze", "-", "--json", "-"], {"paths": ["-", "-"]}),
    ],
)
def test_an_option_may_stand_between_what_a_command_is_about(words, given):
    read = vars(cli.parser().parse_args(words))
    assert {name: read[name] for name in given} == given


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        (["analyze", "a.png", "--out", "o", "b.png", "--outt"], "--outt"),
        (["datasets", "check", "manifest", "a", "--split", "val", "b"], "b"),
        (["bench", "compare", "a", "b", "--out", "c"], "--out"),
    ],
)
def test_a_word_too_many_is_told(words, unknown, capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(words)
    assert f"unknown argument {unknown}" in capsys.readouterr().err


def test_options_before_a_command_are_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(grey(tmp_path / "a.png").parent)
    status, out, _ = told(capsys, "--json", "--finder", "whole", "analyze", "a.png")
    assert status == 0 and out.startswith('{"schema"')


def test_a_question_may_stand_before_its_photo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(grey(tmp_path / "a.png").parent)
    for words in (("Is it fake?", "a.png"), ("a.png", "Is", "it", "fake?"), ("a.png", "--finder", "facemesh", "fake?")):
        status, out, _ = told(capsys, "ask", *words)
        assert status == 0 and out.startswith("No face was found")
