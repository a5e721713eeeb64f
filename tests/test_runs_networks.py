"""`runs/compact/networks.py`: what a fold learns from and is judged on, and the table of what is there."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from doubles import AverageFace
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("sklearn", reason="needs the extra 'train'")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from facewitness.builders.pack import Pack, pack  # noqa: E402
from facewitness.errors import InputError  # noqa: E402

COMPACT = Path(__file__).parents[1] / "runs" / "compact"
PAST = "2026-01-01T00:00"  # as one types it: without a zone
RECIPE = """
seed = 3
noise = true
own_share = 0.5
[[stage]]
size = 64
steps = 2
batch_size = 4
lr = 1e-3
[[stage]]
size = 64
steps = 1
batch_size = 4
lr = 1e-3
[loss_weights]
mask = 1.0
regions = 1.0
[sources]
ffpp_c23 = 0.3
pollinations = 0.2
dfdc = 0.2
celeb_web = 0.1
lfw_grey = 0.2
[genuine]
pollinations = "celeb_web"
[forgers]
self_blend = 1.0
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def networks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runs_compact_networks", COMPACT / "networks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """Painted faces of five sources: two of fold A beside a third's genuine ones, one of fold B, one of neither."""
    folder = tmp_path_factory.mktemp("data")
    rows, rng = [], np.random.default_rng(0)
    sources = {"ffpp_c23": "rf", "pollinations": "f", "celeb_web": "r", "dfdc": "rf", "lfw_grey": "r"}
    for source, labels in sources.items():
        for person in range(6):
            for label in labels:
                out = io.BytesIO()
                small = Image.fromarray(rng.integers(60, 200, (12, 12, 3), dtype=np.uint8))
                small.resize((120, 120), Image.Resampling.BICUBIC).save(out, "PNG")
                rows.append({"file": f"{label}{person}.png", "image": out.getvalue(), "group": f"{source} {person}",
                             "label": "fake" if label == "f" else "real", "source": source, "split": "train",
                             "original": f"r{person}.png" if label == "f" and len(labels) > 1 else None,
                             "method": "Deepfakes" if label == "f" else "pristine", "parsing": None})  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "painted.parquet")
    pack(folder, folder / "pack", AverageFace())
    return folder / "pack"


@pytest.fixture
def given(packed, tmp_path) -> SimpleNamespace:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    paths = {name: tmp_path / name for name in ("work", "out", "imagenet", "lite")}
    return SimpleNamespace(**paths, recipe=recipe, pack=packed, limit=2, resamples=5)


def called(networks: ModuleType, monkeypatch, given: SimpleNamespace, *more: str) -> None:
    """The script with these paths and further words."""
    words = [f"--{name}={value}" for name, value in vars(given).items()]
    monkeypatch.setattr(sys, "argv", ["networks.py", *words, *more])
    networks.main()


# ----------------------------------------------------------------------------------------------- what is left out


@pytest.mark.parametrize("name", ["A", "B"])
def test_no_fold_of_the_committed_recipe_learns_what_it_is_judged_on(networks, tmp_path, name):
    recipe = COMPACT / "networks.toml"
    fold = networks.Fold(name, SimpleNamespace(work=tmp_path, recipe=recipe))
    whole = networks.compact.Recipe.read(recipe)
    out = set(networks.FOLDS[name])
    learned = set(fold.recipe.sources)
    assert not out & learned and out | learned == set(whole.sources), "the rest is learned, and nothing is lost"
    assert not out & {whole.genuine.get(source, source) for source in learned}, "nor beside what is learned"
    assert {whole.genuine.get(source, source) for source in out} <= out, "the genuine ones beside them are left out too"


def test_each_source_is_left_out_once_and_none_that_the_recipe_lacks(networks):
    first, second = (set(sources) for sources in networks.FOLDS.values())
    assert not first & second
    assert first | second <= set(networks.compact.Recipe.read(COMPACT / "networks.toml").sources)


@pytest.mark.parametrize(
    ("name", "genuine", "sentence"),
    [
        ("A", 'dfdc = "celeb_web"', "fold A: expected .* got dfdc, learned beside celeb_web"),
        ("A", 'ffpp_c23 = "lfw_grey"', "fold A: expected .* got ffpp_c23, judged beside lfw_grey"),
    ],
)
def test_a_recipe_whose_genuine_pictures_stand_on_both_sides_is_refused(networks, given, name, genuine, sentence):
    given.recipe.write_text(RECIPE.replace("[genuine]", f"[genuine]\n{genuine}"))
    with pytest.raises(InputError, match=sentence):
        networks.Fold(name, given)


def test_pictures_that_are_drawn_and_those_that_are_judged_are_of_different_sources(networks, given, monkeypatch):
    taken: list[str] = []
    item_of_row = networks.compact.item_of_row

    def told(data, i, index):
        taken.append(data.rows[i]["source"])
        return item_of_row(data, i, index)

    monkeypatch.setattr(networks.compact, "item_of_row", told)
    fold, rows = networks.Fold("A", given), Pack(given.pack).rows
    start = fold.draws("start")
    learned = set(taken)
    assert learned == {"dfdc", "lfw_grey"} and start["x"].shape == (8, 3, 64, 64) and start["mask"].max() > 1
    assert start["fake"].tolist() == [0, 1] * 4 and start["patches"].shape == (8, 4, 3, 64, 64)
    judge = fold.draws("judge")
    judged = [(rows[i]["source"], rows[i]["label"]) for i in judge["row"]]
    wanted = [("ffpp_c23", "real"), ("ffpp_c23", "fake"), ("pollinations", "fake"), ("celeb_web", "real")]
    assert sorted(judged) == sorted(wanted * given.limit * len(networks.CONDITIONS))
    assert [bool(fake) for fake in judge["fake"]] == [label == "fake" for _, label in judged]
    assert judge["condition"].tolist() == list(networks.CONDITIONS) * (2 * len(wanted))
    taken.clear()
    assert np.array_equal(fold.draws("judge")["x"], judge["x"]) and not taken, "what is drawn is kept"


def test_what_a_variant_is_shown_is_as_much_self_made_as_it_says(networks, given, monkeypatch):
    given.recipe.write_text(RECIPE.replace("steps = 1", "steps = 12").replace("lfw_grey = 0.2", "lfw_grey = 0.0001"))
    fold, made = networks.Fold("A", given), []
    item_forged = networks.compact.item_forged

    def counted(*args, **options):
        made.append(args)
        return item_forged(*args, **options)

    monkeypatch.setattr(networks.compact, "item_forged", counted)
    counts = {}
    for stage in ("theirs", "more", "own"):
        made.clear()
        assert fold.draws(stage)["fake"].tolist() == [0, 1] * 24
        counts[stage] = len(made)
    assert counts["theirs"] == 0, "DFDC has forgeries of its own"
    assert counts["theirs"] < counts["more"] < counts["own"] <= 24, "none, half and nine tenths of 24"


# ------------------------------------------------------------------------------------------------------ the table


def judged(networks: ModuleType, given: SimpleNamespace) -> dict[str, np.ndarray]:
    """A work folder where both folds have drawn what they judge and `plain` was trained; its scores, by fold."""
    rows, rng, scores = Pack(given.pack).rows, np.random.default_rng(1), {}
    for name, sources in networks.FOLDS.items():
        folder = given.work / name
        folder.mkdir(parents=True)
        own = np.repeat([i for i, row in enumerate(rows) if row["source"] in sources], 2)
        fake = np.float32([rows[i]["label"] == "fake" for i in own])
        columns = {"row": own, "fake": fake, "condition": np.tile(networks.CONDITIONS, len(own) // 2)}
        for key in ("x", "patches"):
            columns[key] = np.zeros((len(own), 1), np.uint8)
        for key, column in columns.items():
            np.save(folder / f"judge.{key}.npy", column)
        scores[name] = (fake + rng.normal(size=len(own))).astype(np.float32)
        of(given, "plain", {name: scores[name]})
        np.save(folder / "views.scores.npy", np.stack([scores[name]] * 3))
    return scores


def of(given: SimpleNamespace, variant: str, scores: dict[str, np.ndarray]) -> None:
    """A variant that was trained and scored in some folds."""
    for name, values in scores.items():
        (given.work / name / f"{variant}.safetensors").touch()
        np.save(given.work / name / f"{variant}.scores.npy", values)


def written(given: SimpleNamespace) -> tuple[dict, str]:
    return json.loads((given.out / "networks.json").read_text()), (given.out / "networks.md").read_text()


def test_the_table_is_of_the_scores_that_are_there(networks, given, monkeypatch):
    scores = judged(networks, given)
    of(given, "unit", {"A": -scores["A"]})
    called(networks, monkeypatch, given, "--table")
    found, page = written(given)
    rows, plain, unit = Pack(given.pack).rows, found["variants"]["plain"], found["variants"]["unit"]
    sources = {"ffpp_c23": ("A", "ffpp_c23"), "pollinations": ("A", "celeb_web"), "dfdc": ("B", "dfdc")}
    assert set(plain["sources"]) == set(sources), "sources with forgeries; celeb_web stands beside pollinations"
    for condition in networks.CONDITIONS:
        for source, (name, genuine) in sources.items():
            folder = given.work / name
            own, held = np.load(folder / "judge.row.npy"), np.load(folder / "judge.condition.npy")
            fake = np.array([(rows[i]["source"], rows[i]["label"]) == (source, "fake") for i in own])
            real = np.array([(rows[i]["source"], rows[i]["label"]) == (genuine, "real") for i in own])
            at = (fake | real) & (held == condition)
            assert plain["sources"][source][condition] == pytest.approx(roc_auc_score(fake[at], scores[name][at]))
        each = [values[condition] for values in plain["sources"].values()]
        assert plain[condition]["auc"] == pytest.approx(np.mean(each)) and plain[condition]["worst"] == min(each)
        assert plain[condition]["difference"] == 0 and plain[condition]["difference_interval"] == [0, 0]
        of_a = np.mean([plain["sources"][source][condition] for source in ("ffpp_c23", "pollinations")])
        assert unit["folds"] == ["A"] and unit[condition]["auc"] == pytest.approx(1 - of_a)
        assert unit[condition]["difference"] == pytest.approx(1 - 2 * of_a), "to plain of the same fold"
    assert found["pictures"] == {"start": 8, "more": 4} and found["size"] == 64 and found["rows_a_label"] == 2
    assert "Each saw 12 pictures" in page and f"| unit | A | {unit['plain']['auc']:.3f} (" in page
    source = page.partition("| dfdc |")[2].partition("\n")[0].split("|")
    assert source[0].strip() == f"{plain['sources']['dfdc']['plain']:.3f}" and source[1].strip() == "", "unit has no B"


def test_what_was_not_trained_is_named(networks, given, monkeypatch):
    scores = judged(networks, given)
    of(given, "unit", scores)
    called(networks, monkeypatch, given, "--table")
    found, page = written(given)
    assert found["missing"] == [v for v in networks.TRAINED if v not in ("plain", "unit")]
    assert f"Not trained when the time was up: {', '.join(found['missing'])}." in page
    assert "| start |" not in page and "| unit | A, B |" in page
    for variant in found["missing"]:
        of(given, variant, scores)
    for name, values in scores.items():
        np.save(given.work / name / "soup.scores.npy", values)
    called(networks, monkeypatch, given, "--table")
    found, page = written(given)
    assert found["missing"] == [] and "Not trained" not in page and "| two seeds, mean weights | A, B |" in page


def test_differences_are_between_the_same_resamples(networks, given, monkeypatch):
    """A score that puts the faces in the same order differs by nothing in any resample, and has the same interval."""
    scores = judged(networks, given)
    of(given, "unit", {name: np.exp(values) for name, values in scores.items()})
    of(given, "patches", {name: values[::-1].copy() for name, values in scores.items()})
    given.resamples = 40
    called(networks, monkeypatch, given, "--table")
    variants = written(given)[0]["variants"]
    for condition in networks.CONDITIONS:
        plain, unit, patches = (variants[v][condition] for v in ("plain", "unit", "patches"))
        assert unit["difference_interval"] == [0, 0] and unit["interval"] == plain["interval"]
        assert plain["interval"][0] < plain["interval"][1], "the resamples do differ"
        low, high = patches["difference_interval"]
        assert low < patches["difference"] < high


def test_resamples_take_whole_groups_and_count_as_often_as_drawn(networks):
    groups, truth = ["a", "a", "b", "b", "c", "d"], np.array([1, 0, 1, 0, 1, 0])
    times = networks.resamples(groups, truth, np.random.default_rng(0), 50)
    assert times.shape == (50, 6) and (times[:, 0] == times[:, 1]).all() and (times[:, 2] == times[:, 3]).all()
    assert (times[:, [0, 2, 4, 5]].sum(1) == 4).all(), "as many groups as there are"
    assert times[:, truth > 0].any(1).all() and times[:, truth == 0].any(1).all(), "both labels in each"
    scores = np.array([0.3, 0.1, 0.2, 0.2, 0.9, 0.5])
    (found,) = networks._aucs([("a", "plain")], {("a", "plain"): ("A", np.arange(6), truth, groups)}, {"A": scores},
                              {("a", "plain"): times})  # fmt: skip
    assert found == pytest.approx([roc_auc_score(truth, scores, sample_weight=w) for w in [np.ones(6), *times]])


# ------------------------------------------------------------------------------------------------------- the time


def test_when_the_time_is_up_nothing_is_drawn_or_trained_and_what_is_there_is_written(networks, given, monkeypatch):
    judged(networks, given)
    called(networks, monkeypatch, given, f"--until={PAST}")
    assert written(given)[0]["missing"] == [v for v in networks.TRAINED if v != "plain"]
    kept = {path.name for name in networks.FOLDS for path in (given.work / name).iterdir()}
    assert not any(name.startswith(("start", "more")) for name in kept), "an hour of drawing, for nothing"


@pytest.mark.parametrize("words", [("--table",), (f"--until={PAST}",)])
def test_a_table_of_nothing_is_told(networks, given, monkeypatch, words):
    with pytest.raises(InputError, match=r"expected a fold with plain\.safetensors in '.*work', got none\. Train"):
        called(networks, monkeypatch, given, *words)
    assert not given.out.exists()


@pytest.mark.parametrize("until", ["tomorrow", "2026-13-01"])
def test_a_moment_that_is_none_is_told(networks, given, monkeypatch, capsys, until):
    with pytest.raises(SystemExit, match="2"):
        called(networks, monkeypatch, given, f"--until={until}")
    assert "expected a moment such as 2026-11-26T02:00Z" in capsys.readouterr().err


def test_a_fold_is_trained_once_and_goes_on(networks, given, monkeypatch):
    """Two steps from a start that both variants share; what is there is not made again."""
    save_file(networks.made("start").backbone.state_dict(), given.imagenet)
    called(networks, monkeypatch, given, "--folds=B", "--variants=start,unit")
    folder = given.work / "B"
    first = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {"start.safetensors", "start.scores.npy", "unit.safetensors", "unit.scores.npy", "more.x.npy"} <= set(first)
    scores = np.load(folder / "unit.scores.npy")
    assert scores.shape == np.load(folder / "judge.fake.npy").shape and np.isfinite(scores).all()
    called(networks, monkeypatch, given, "--folds=B", "--variants=start,unit", f"--until={PAST}")
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == first
    assert not given.out.exists(), "a table is of both folds"
