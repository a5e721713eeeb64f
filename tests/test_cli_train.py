"""`facewitness build` and `facewitness train` on a plain install and on a user's mistakes: sentences, status 2."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness.apps import train
from facewitness.apps.cli import main
from facewitness.apps.train import guarded
from facewitness.errors import Collapse, InputError, UnknownName

pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'bench'")
RUNS = Path(__file__).parents[1] / "runs"
SETTINGS = {  # a committed recipe of each network
    "compact": "smoke/recipe.toml", "kfd": "kfd/small.toml", "fdm": "fdm/small.toml", "sft": "kfd/sft-small.toml",
    "encoder": "grounding/encoder.toml", "forgerytalker": "forgerytalker/small.toml", "fifa": "fifa/small.toml",
    "mids": "ffaa/mids-small.toml", "grpo": "mare/grpo-small.toml",
}  # fmt: skip


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
        (["build", "onnx", "empty.toml", ".", "m.onnx"], "last.safetensors' does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(words, sentence, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="needs the extra 'train'") if words[1] == "onnx" else None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.toml").touch()
    assert main(words) == 2
    err = capsys.readouterr().err
    assert sentence.lower() in err.lower() and "Traceback" not in err


READ = {  # what each network and file reads besides its recipe, by the command that names it
    "train compact": ("--pack DIR", "--init-from", "--hard"),
    "train kfd": ("--pack DIR", "--init-from", "--go-on"),
    "train fdm": ("--pack DIR", "--init-from"),
    "train sft": ("--forensic", "--detector", "--general", "--val"),
    "train encoder": ("--pack DIR", "--init-from"),
    "train forgerytalker": ("--pack", "--init-from", "--data"),
    "train fifa": ("--pack", "--init-from"),
    "train mids": ("--mined", "--init-from"),
    "train grpo": ("--data", "--detector", "--rewards", "--val", "--unseen", "--before"),
    "build hard": (),
    "build onnx": (),
}


@pytest.fixture
def torchless(monkeypatch):
    """Whoever imports torch now, or a module of ours that did, fails."""
    import facewitness.train

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [path.stem for path in Path(facewitness.train.__file__).parent.glob("[a-z]*.py")]:
        if name != "recipe":
            monkeypatch.setitem(sys.modules, f"facewitness.train.{name}", None)
            monkeypatch.delattr(facewitness.train, name, raising=False)


@pytest.mark.parametrize("command", READ)
def test_what_a_network_reads_is_looked_for_before_torch_is_imported(command, torchless, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").touch()
    Path("doubled.toml").write_text("seed = 1\nseed = 2\n")
    Path("DIR").mkdir()
    places = {"hard": ["DIR", "DIR", "hard.json"], "onnx": ["DIR", "m.onnx"]}.get(command.split()[1], ["--out", "out"])
    needed = [word for option in READ[command] if " " in option for word in option.split()]

    def told(recipe: str, *more: str) -> str:
        assert main([*command.split(), recipe, *places, *needed, *more]) == 2
        return capsys.readouterr().err

    assert "nothere.toml: expected a recipe in TOML (No such file or directory)" in told("nothere.toml")
    assert "expected a recipe in TOML (Cannot overwrite a value (at line 2" in told("doubled.toml")
    for option in READ[command]:
        name = option.partition(" ")[0]
        assert re.search(r"'gone': expected .*, which does not exist\. Check the path\.", told("r.toml", name, "gone"))
        if hasattr(os, "mkfifo"):  # opened, it would be waited for
            os.mkfifo(f"pipe{name}")
            assert "which is a device, a pipe or a socket" in told("r.toml", name, f"pipe{name}")
    if command.startswith("train"):
        Path("out").touch()
        assert "--out: expected a folder, got the file 'out'" in told("r.toml")
    else:
        places[0] = "gone"
        assert "'gone': expected" in told("r.toml")


def test_every_network_is_among_them(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    names = re.findall(r"^    (\w+)(?: |$)", capsys.readouterr().out, re.M)
    assert {f"train {name}" for name in names} == {name for name in READ if name.startswith("train")}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_network_takes_other_settings_for_one_run(name, capsys):
    pytest.importorskip("trl", reason="needs the extra 'train'")
    with pytest.raises(SystemExit):
        main(["train", name, "--help"])
    assert {"--set KEY=VALUE", "--seed N"} <= set(re.findall(r"--\w+ [A-Z=]+", capsys.readouterr().out))
    module, path = importlib.import_module(f"facewitness.train.{name}"), RUNS / SETTINGS[name]
    assert module.Recipe.read(path, ["seed=7"]).seed == 7 != module.Recipe.read(path).seed
    with pytest.raises(UnknownName, match="Did you mean 'seed'"):
        module.Recipe.read(path, ["sead=7"])


@pytest.mark.parametrize("name", SETTINGS)
def test_every_option_of_a_network_does_something(name):
    parser = argparse.ArgumentParser()
    add = getattr(train, f"_add_{name}")
    add(parser)
    code = inspect.getsource(add)
    helpers = ("_add_plan", "_changes", "_length", "_saving")
    code += "".join(inspect.getsource(getattr(train, helper)) for helper in helpers if f"{helper}(" in code)
    options = {action.dest for action in parser._actions} - {"help"}
    assert {option for option in options if not re.search(rf'given\.{option}\b|"{option}"', code)} == set()


def test_help_of_every_recipe_imports_no_torch():
    code = (
        "import contextlib, io, sys\nfrom facewitness.apps.cli import main\n"
        "for words in (['train', '--help'], ['build', '--help'], "
        f"*(['train', name, '--help'] for name in {tuple(SETTINGS)})):\n"
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


@pytest.mark.parametrize("network", ["kfd", "fdm", "sft", "grpo"])
def test_a_clock_that_has_run_out_begins_no_run_and_ends_one_that_has_begun(network, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").touch()
    needs = {"sft": "--forensic", "grpo": "--data"}.get(network)
    Path("t").mkdir()
    words = ["train", network, "r.toml", needs or "--pack", "t", "--out", "out", "--until", "2020-01-01T00:00Z"]
    assert main(words) == 2
    assert "--until: expected a moment to come for a run that has not begun, got 2020-01-01" in capsys.readouterr().err
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out/resume.safetensors").touch()
    assert main(words) != 0 and "--until" not in capsys.readouterr().err  # on to what else is wrong


def test_a_training_whose_output_nobody_reads_ends_quietly(monkeypatch, capfd):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr("facewitness.apps.train.look", gone)
    with capfd.disabled():  # from here on standard output leads nowhere
        kept = os.dup(1)
        status = main(["train", "kfd", "runs/kfd/published.toml", "--plan"])
        os.dup2(kept, 1)
    assert status == 141 and capfd.readouterr().err == ""


def test_a_training_that_was_given_up_failed_and_no_command_was_wrong(capsys):
    def given_up(_):
        raise Collapse("GRPO stopped at step 7: a reward is lost.")

    assert guarded(given_up, "Training")(argparse.Namespace()) == 1
    assert "GRPO stopped at step 7" in capsys.readouterr().err

    def mistaken(_):
        raise InputError("expected a recipe, got none")

    assert guarded(mistaken, "Training")(argparse.Namespace()) == 2
