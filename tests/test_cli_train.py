"""`facewitness build` and `facewitness train` on a plain install and on a user's mistakes: sentences, status 2."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from facewitness.apps.cli import main

pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'bench'")
TRAINED = ("compact", "kfd", "fdm", "sft", "grpo")


@pytest.fixture
def photos(tmp_path):
    """Twelve genuine and six forged pictures in folders that say which are which."""
    folder = tmp_path / "photos"
    for label, count in (("real", 12), ("fake/Deepfakes", 6)):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def test_a_folder_becomes_a_table_that_training_reads(photos, tmp_path, capsys):
    assert main(["build", "table", str(photos), str(tmp_path / "t.parquet"), "--source", "mine"]) == 0
    assert "fake (mine, train)" in capsys.readouterr().out
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == 18 and {row["source"] for row in rows} == {"mine"}
    assert {(row["label"], row["method"]) for row in rows} == {("real", "pristine"), ("fake", "Deepfakes")}
    assert {row["split"] for row in rows} <= {"train", "val"} and rows[0]["image"] == (
        photos / "real/0.png"
    ).read_bytes()

    from facewitness import plugins

    read = list(plugins.get("datasets", "parquet").samples(tmp_path / "t.parquet"))
    assert [sample.file for sample in read] == [row["file"] for row in rows]


def test_a_list_becomes_a_table_and_what_cannot_be_read_is_told(photos, tmp_path, capsys):
    (photos / "list.csv").write_text(
        "file,label,split,group\nreal/0.png,real,train,a\nfake/Deepfakes/0.png,fake,test,b\n"
    )
    arguments = ["build", "table", str(photos / "list.csv"), str(tmp_path / "t.parquet"), "--dataset", "manifest"]
    assert main(arguments) == 0
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert [(row["group"], row["split"], row["method"]) for row in rows] == [
        ("a", "train", "pristine"),
        ("b", "val", "unknown"),
    ]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["build", "table", "nowhere", "t.parquet"], "'nowhere' does not exist"),
        (["build", "table", ".", "t.csv"], "ends in .parquet"),
        (["build", "pack", "nowhere", "pack"], "expected a .parquet table"),
        (["build", "onnx", "r.toml", "out", "m.onnx"], "out/last.safetensors' does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(words, sentence, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="needs the extra 'train'") if words[1] == "onnx" else None
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert sentence.lower() in err.lower() and "Traceback" not in err


@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_that_is_not_there_is_a_sentence(name, tmp_path, capsys):
    pytest.importorskip("trl" if name in ("sft", "grpo") else "timm", reason="needs the extra 'vlm' or 'train'")
    more = {"sft": ["--forensic", "x.parquet"], "grpo": ["--data", "x.parquet"]}.get(name, ["--pack", str(tmp_path)])
    assert main(["train", name, str(tmp_path / "r.toml"), "--out", str(tmp_path / "out"), *more]) == 2
    assert "expected a recipe in TOML" in capsys.readouterr().err


def test_help_of_every_recipe_imports_no_torch():
    code = (
        "import contextlib, io, sys\nfrom facewitness.apps.cli import main\n"
        "for words in (['train', '--help'], ['build', '--help'], "
        f"*(['train', name, '--help'] for name in {TRAINED})):\n"
        "    out = io.StringIO()\n"
        "    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):\n        main(words)\n"
        "    assert 'example' in out.getvalue(), words\n"
        "print([m for m in ('torch', 'cv2', 'pyarrow', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_a_source_that_the_pack_lacks_is_named_with_the_nearest(tmp_path, capsys):
    pytest.importorskip("timm", reason="needs the extra 'train'")
    assert main(["build", "table", "-", str(tmp_path / "t" / "painted.parquet"), "--dataset", "painted"]) == 0
    assert main(["build", "pack", str(tmp_path / "t"), str(tmp_path / "pack"), "--finder", "whole"]) == 0
    text = "[[stage]]\nsize = 32\nsteps = 1\nbatch_size = 2\nlr = 1e-3\n[sources]\npainting = 1.0\n"
    (tmp_path / "r.toml").write_text(f"{text}[forgers]\nself_blend = 1.0\n")
    arguments = ["train", "compact", str(tmp_path / "r.toml"), "--pack", str(tmp_path / "pack"), "--workers", "0"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "Did you mean 'painted'" in capsys.readouterr().err
