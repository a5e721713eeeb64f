"""Score files of DeepfakeBench and DeepSafe stand in our tables; a pickle that names a function is never obeyed."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

from facewitness.bench import foreign, peers  # noqa: E402 -- after the check that pyarrow is there
from facewitness.errors import InputError  # noqa: E402

ITEMS = pa.table(
    {
        "file": ["FF/real/000/001.png", "FF/fake/000_003/001.png", "FF/fake/000_003/002.png"],
        "frame": pa.array([None, None, None], pa.int64()),
        "label": ["real", "fake", "fake"],
    }
)
PATHS = ["/data/rgb/FF/real/000/001.png", "C:\\data\\FF\\fake\\000_003\\001.png", "./FF/fake/000_003/002.png"]


def deepfakebench(folder, pred=(0.1, 0.8, 0.7), label=(0, 1, 1), images=PATHS, **more):
    path = folder / foreign.PREDICTIONS
    metrics = {"auc": 0.9, "pred": np.array(pred, np.float32), "label": np.array(label), **more}
    path.write_bytes(pickle.dumps(metrics, protocol=3))
    (folder / foreign.IMAGES).write_bytes(pickle.dumps({"image": list(images), "label": list(label)}, protocol=3))
    return path


def scores(path, name=""):
    (column,), notes = peers.join(peers.read(path, name), [ITEMS])
    return column.to_pylist(), notes


def test_deepfakebenchs_predictions_fit_by_the_ends_of_their_paths(tmp_path):
    column, notes = scores(deepfakebench(tmp_path))
    assert column == pytest.approx([0.1, 0.8, 0.7]) and notes == []


def test_deepsafes_two_layouts(tmp_path):
    wide = tmp_path / "meta_features_dataset.csv"
    wide.write_text(
        "image_path,image_name,npr_prob,ucf_prob,ground_truth\n"
        + "".join(
            f"{path},x,0.{i},0.{i + 1},{label}\n" for i, (path, label) in enumerate(zip(PATHS, (0, 1, 1), strict=True))
        )
    )
    assert scores(wide, "npr")[0] == [0.0, 0.1, 0.2] and scores(wide, "ucf")[0] == [0.1, 0.2, 0.3]
    long = tmp_path / "raw_results.csv"
    long.write_text(
        "image_path,image_name,ground_truth,method,probability,prediction,inference_time,error\n"
        f"{PATHS[0]},x,Real,npr,0.25,0,1.0,\n{PATHS[0]},x,Real,ucf,0.5,0,1.0,\n{PATHS[1]},x,Fake,npr,,0,1.0,broken\n"
    )
    column, notes = scores(long, "npr")
    assert column == [0.25, None, None] and any("empty score" in note for note in notes)
    with pytest.raises(InputError, match=r"no method is called 'mine'; it has npr, ucf\. Give --scores METHOD="):
        peers.read(long, "mine")


def test_a_path_that_fits_several_items_is_not_guessed():
    items = ["a/1.png", "b/1.png", "b/2.png"]
    assert foreign.matched(["1.png", "x/b/1.png", "2.png", "c/2.png"], items) == [
        "1.png",
        "b/1.png",
        "b/2.png",
        "c/2.png",
    ]


class Runs:
    """What a pickle would call when it is read."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_names_a_function_is_refused_before_it_is_called(tmp_path, protocol):
    path = deepfakebench(tmp_path)
    path.write_bytes(pickle.dumps({"pred": Runs(f"touch {tmp_path}/called")}, protocol=protocol))
    with pytest.raises(InputError, match=r"names .*system, and nothing but numbers and texts is read"):
        peers.read(path)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pred": (0.1, 2.0, 0.3)}, r"line 2: expected a score in \[0, 1\]"),
        ({"images": PATHS[:2]}, "3 scores, 3 labels and 2 pictures"),
        ({"images": [PATHS, PATHS, PATHS]}, "scores of whole clips are not read"),
        ({"label": (1, 1, 1)}, "says fake where the run says real"),
        ({"images": ["a.png", "b.png", "c.png"]}, "none of its 3 rows fits an item"),
        ({"extra": np.array([object()])}, "names builtins.object|holds objects"),
    ],
)
def test_predictions_that_do_not_fit(tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence):
        scores(deepfakebench(tmp_path, **change))


def test_a_lone_file_and_one_that_is_no_pickle(tmp_path):
    path = deepfakebench(tmp_path)
    (tmp_path / foreign.IMAGES).unlink()
    with pytest.raises(InputError, match="expected a file that DeepfakeBench's test wrote"):
        peers.read(path)
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="cannot be read as DeepfakeBench's scores"):
        peers.read(path)
