"""Mining answers, keeping people apart, and teaching the small judge of answers: on painted faces, in seconds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness import checks  # noqa: E402
from facewitness.builders import ffa_vqa  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.grammars import ffa_cot  # noqa: E402
from facewitness.models import mids as mids_model  # noqa: E402
from facewitness.train import mids  # noqa: E402

REAL = ffa_cot.write("A face.", "All fits.", "real", 0.9)
FAKE = ffa_cot.write("A face.", "The nose is smeared.", "fake", 0.9, "identity_exchange")


def pictures(n=12):
    """Genuine faces are grey, forged ones red: what a small judge can learn in a few steps."""
    made = []
    for k in range(n):
        fake = k % 2 == 1
        pixels = np.random.default_rng(k).integers(60, 120, (224, 224, 3), dtype=np.uint8)
        if fake:
            pixels[..., 0] = 230
        points = checks.landmarks(224, 224)
        made.append(
            ffa_vqa.Picture(
                f"{k}.png", "fake" if fake else "real", "identity_exchange" if fake else "pristine", None, f"g{k}",
                "calibrate", "painted", pixels, points, pixels, points,
            )
        )  # fmt: skip
    return made


def follows(pixels, prompts):
    """A model that believes every hypothesis, and says real without one."""
    return [FAKE if "a fake human" in prompt else REAL for prompt in prompts]


def stubborn(pixels, prompts):
    return [FAKE if one[..., 0].mean() > 200 else REAL for one in pixels]


def test_three_answers_in_the_papers_order_and_who_is_easy():
    asked = []

    def ask(pixels, prompts):
        asked.extend(prompts)
        return follows(pixels, prompts)

    (row,) = mids.mine(pictures(1), ask, "Real or fake?")
    assert asked == [
        "Real or fake?",
        "This is a fake human face. What evidence do you have?",
        "This is a real human face. What evidence do you have?",
    ]
    assert row.said == ("real", "fake", "real") and row.hypotheses == (None, "fake", "real") and not row.easy
    assert all(row.easy for row in mids.mine(pictures(3), stubborn, "Real or fake?", batch=2))


def test_answers_that_say_nothing_are_kept_as_such():
    (row,) = mids.mine(pictures(1), lambda pixels, prompts: ["Hm."] * len(prompts), "Real or fake?")
    assert row.said == (None, None, None) and not row.easy
    with pytest.raises(InputError, match="hard pictures"):
        mids.kept(mids.Recipe(), [row])


def test_a_table_of_what_was_mined_comes_back(tmp_path):
    rows = list(mids.mine(pictures(5), follows, "Real or fake?"))
    mids.write_mined(rows, tmp_path / "mined.parquet")
    assert mids.read_mined(tmp_path / "mined.parquet") == rows


def test_nobody_is_in_two_of_the_three_sets():
    mids.disjoint(tuned=[("a", "1")], mined=[("a", "2"), ("b", "1")], tested=[("a", "3")])
    with pytest.raises(InputError, match=r"a/2 is in mined and tested"):
        mids.disjoint(tuned=[("a", "1")], mined=[("a", "2")], tested=[("a", "2")])


def test_the_packs_splits_share_nobody_so_tuning_mining_and_test_do_not():
    """As runs/ffaa does it: tuned on train, mined on calibrate, measured on val."""
    from facewitness.builders.pack import held_out

    groups = [f"group {k}" for k in range(200)]
    tuned = [("d", group) for group in groups if not held_out(group)]
    mined = [("d", group) for group in groups if held_out(group)]
    assert tuned and mined
    mids.disjoint(tuned=tuned, mined=mined)


def test_only_hard_faces_are_learned_from_unless_the_recipe_says_otherwise():
    rows = list(mids.mine(pictures(20), stubborn, "?")) + list(mids.mine(pictures(2), follows, "?"))
    assert len(mids.kept(mids.Recipe(), rows)) == 2
    assert len(mids.kept(mids.Recipe(easy=1.0), rows)) == 22


def test_augmentation_keeps_size_and_repeats_with_its_seed():
    pixels = pictures(2)[1].pixels
    seen = {mids.augmented(pixels, np.random.default_rng(k)).tobytes() for k in range(12)}
    again = mids.augmented(pixels, np.random.default_rng(3))
    assert len(seen) > 8 and again.shape == pixels.shape and again.dtype == np.uint8
    assert np.array_equal(again, mids.augmented(pixels, np.random.default_rng(3)))


def test_hues_move_as_far_as_the_authors_augmentation_moves_them():
    """HueSaturationValue's 20 are of OpenCV's 180 hues: the half of them were taken."""
    red = np.full((2, 2, 3), (200, 40, 40), np.uint8)
    hues = []
    for seed in range(200):
        moved = cv2.cvtColor(mids._coloured(red, np.random.default_rng(seed)), cv2.COLOR_RGB2HSV)[0, 0, 0]
        hues.append(min(int(moved), 180 - int(moved)))
    assert 17 <= max(hues) <= 21 and sum(hue > 11 for hue in hues) > 50


def test_the_published_recipe_is_the_default():
    recipe = mids.Recipe()
    assert (recipe.lr, recipe.batch_size, recipe.weight_decay, recipe.epochs) == (1e-4, 48, 1e-5, 2)
    assert (recipe.unfreeze, recipe.masked, recipe.easy, recipe.encoders) == (2, True, 0.0, "published")


def test_a_recipe_that_makes_no_sense_is_refused(tmp_path):
    (tmp_path / "r.toml").write_text('encoders = "smal"')
    with pytest.raises(UnknownName, match="Did you mean 'small'"):
        mids.Recipe.read(tmp_path / "r.toml")
    with pytest.raises(InputError, match="epochs above 0"):
        mids.Recipe(epochs=0)
    with pytest.raises(InputError, match="lr above 0"):
        mids.Recipe(lr=0.0)
    with pytest.raises(InputError, match="a share of the steps"):
        mids.Recipe(warmup=100)


def read(texts):
    """Every text its own numbers, for MiniLM is 90 MB."""
    states = np.stack([np.random.default_rng(len(text)).normal(size=(6, 384)) for text in texts])
    return states.astype(np.float32), np.ones((len(texts), 6), bool)


def test_it_learns_which_answer_fits_and_goes_on_where_it_was(tmp_path):
    recipe = mids.Recipe(
        encoders="small", size=64, width=32, copies=1, epochs=24.0, batch_size=6, lr=2e-3, unfreeze=1, seed=1
    )
    rows = list(mids.mine(pictures(), follows, "?"))
    mids.write_mined(rows, tmp_path / "mined.parquet")
    model = mids.train(recipe, tmp_path / "mined.parquet", tmp_path / "out", read=read, save_every=20)
    given = mids.features(recipe, model, rows, read, 0)
    decided = mids.decisions(rows, mids.logits(model, given))
    right = [(decision.fake > 0.5) == (row.label == "fake") for row, decision in zip(rows, decided, strict=True)]
    assert np.mean(right) >= 0.8
    anchor = [row.said[0] == row.label for row in rows]
    assert np.mean(anchor) == 0.5
    again, card = mids.MIDS.load(tmp_path / "out" / "mids.safetensors")
    assert card["trained"]["pictures"] == {"real": 6, "fake": 6}
    assert np.allclose(mids.logits(again, given), mids.logits(model, given), atol=0.1)  # half precision on the disk
    before = (tmp_path / "out" / "mids.safetensors").read_bytes()
    mids.train(recipe, tmp_path / "mined.parquet", tmp_path / "out", read=read)
    assert (tmp_path / "out" / "mids.safetensors").read_bytes() == before


def test_of_several_wordings_one_is_drawn_for_each_picture():
    """The paper: "a non-hypothetical prompt is randomly selected to query the MLLM"."""
    asked = []

    def ask(pixels, prompts):
        asked.append(list(prompts))
        return follows(pixels, prompts)

    rows = list(mids.mine(pictures(12), ask, ("Real or fake?", "Is it genuine?"), batch=12))
    assert set(asked[0]) == {"Real or fake?", "Is it genuine?"}
    again = list(mids.mine(pictures(12)[6:], ask, ("Real or fake?", "Is it genuine?"), batch=4))
    assert asked[3] + asked[6] == asked[0][6:] and again == rows[6:]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A CLIP and a T5 of a few numbers, each with what lies beside it on the hub."""
    transformers = pytest.importorskip("transformers", reason="needs the extra 'vlm'")
    from tokenizers import Tokenizer, models, pre_tokenizers

    clip, t5 = tmp_path_factory.mktemp("clip"), tmp_path_factory.mktemp("t5")
    torch.manual_seed(0)
    transformers.CLIPVisionModel(transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=16,
    )).save_pretrained(clip)  # fmt: skip
    transformers.T5EncoderModel(transformers.T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
    )).save_pretrained(t5)  # fmt: skip
    words = ["<pad>", "<unk>", *dict.fromkeys(f"{REAL} {FAKE}".replace(":", " ").replace(".", " ").split())]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>").save_pretrained(t5)
    return mids.Recipe(image_model=str(clip), text_model=str(t5), epochs=2.0, batch_size=4)


def test_the_published_judge_reads_whole_answers_and_sees_each_picture_anew(encoders, tmp_path, monkeypatch):
    """It kept five crops of each picture in memory, and cut answers at 160 tokens; its authors read 512."""
    long = ffa_cot.write("A face.", " ".join(["nose"] * 300), "fake", 0.9, "identity_exchange")
    rows = list(mids.mine(pictures(4), lambda pixels, prompts: [long if "fake" in p else REAL for p in prompts], "?"))
    mids.write_mined(rows, tmp_path / "mined.parquet")
    lengths, read_by = [], mids.PublishedEncoders.read

    def spy(self, texts):
        states, seen = read_by(self, texts)
        lengths.append((len(texts), states.shape[1]))
        return states, seen

    monkeypatch.setattr(mids.PublishedEncoders, "read", spy)
    model = mids.train(encoders, tmp_path / "mined.parquet", tmp_path / "out")
    assert len(lengths) == 2 and all(n == 12 and tokens > 300 for n, tokens in lengths)
    drawn = mids._Anew(rows, encoders, 32)
    assert drawn[0]["pixels"].shape == (4, 3, 32, 32) and torch.equal(drawn[0]["pixels"], drawn[0]["pixels"])
    order = [drawn[step]["rows"].argsort() for step in (0, 1)]
    assert not torch.equal(drawn[0]["pixels"][order[0]], drawn[1]["pixels"][order[1]])
    judge = mids_model.Judge(tmp_path / "out" / "mids.safetensors")
    assert judge.facts["masked"]
    crop = np.full((224, 224, 3), 90, np.uint8)
    ours = judge.logits(crop, ["A face.", "The nose is smeared."])
    states, seen = model.encoders.read(["A face.", "The nose is smeared."])
    with torch.no_grad():
        theirs = model(torch.full((1, 3, 32, 32), 90.0), states[None], seen[None])[0].double().numpy()
    assert ours.shape == (2, 4) and np.allclose(ours, theirs, atol=0.05)  # half precision on the disk


def test_encoders_that_lack_tensors_are_refused(encoders, tmp_path):
    """transformers fills what a file lacks with random numbers, and only warns."""
    clip = Path(shutil.copytree(encoders.image_model, tmp_path / "clip"))
    tensors = load_file(clip / "model.safetensors")
    lost = next(name for name in tensors if "layers.1." in name)
    save_file({k: v for k, v in tensors.items() if k != lost}, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"The CLIP .* is incomplete: 1 tensors are missing"):
        mids.make(replace(encoders, image_model=str(clip)), None)


def test_a_killed_training_of_the_published_judge_goes_on_to_the_same_weights(encoders, tmp_path, monkeypatch):
    rows = list(mids.mine(pictures(8), follows, "?"))
    mids.write_mined(rows, tmp_path / "mined.parquet")
    mids.train(encoders, tmp_path / "mined.parquet", tmp_path / "whole")
    seen, drawn = [], mids._Anew.__getitem__

    def killed(self, step):
        if step == 2 and not seen:
            seen.append(step)
            raise KeyboardInterrupt
        return drawn(self, step)

    monkeypatch.setattr(mids._Anew, "__getitem__", killed)
    with pytest.raises(KeyboardInterrupt):
        mids.train(encoders, tmp_path / "mined.parquet", tmp_path / "parts", save_every=1)
    mids.train(encoders, tmp_path / "mined.parquet", tmp_path / "parts", save_every=1)
    both = [(tmp_path / name / "mids.safetensors").read_bytes() for name in ("whole", "parts")]
    assert both[0] == both[1]


def test_masking_is_what_mids_reads(tmp_path):
    rows = list(mids.mine(pictures(2), follows, "?"))
    seen = []

    def spy(texts):
        seen.append(list(texts))
        return read(texts)

    mids.texts(mids.Recipe(encoders="small", masked=True), rows, spy)
    mids.texts(mids.Recipe(encoders="small", masked=False), rows, spy)
    assert not any("Analysis result" in text for text in seen[0])
    assert all("Analysis result" in text for text in seen[1])
