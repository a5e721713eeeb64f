"""Published detectors: tiny networks of the same classes and tensor names, made in the test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import doubles
import numpy as np
import pytest
from PIL import Image

from facewitness import geometry
from facewitness.bench import calibrate
from facewitness.calibration import Calibration
from facewitness.errors import InputError, WeightsError
from facewitness.judge import judge
from facewitness.models.onnx_classifier import OnnxClassifier
from facewitness.types import Testimony
from facewitness.witnesses import _labels, hub

PIXELS = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
PERSON, CLIP = doubles.Seen.of(PIXELS, (100.0, 60.0, 200.0, 180.0))


def score(witness) -> float:
    testimony = witness.examine(PERSON, CLIP)
    assert testimony.witness == witness.name and 0.0 <= testimony.fake <= 1.0
    return testimony.fake


# --------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("label", "means"),
    [
        ("Fake", True), ("REAL", False), ("Deepfake", True), ("Realism", False), ("AI-generated", True),
        ("ai_gen", True), ("hum", False), ("not_fake", False), ("non-real", True), ("ArtificialImage", True),
        ("LABEL_0", None), ("real_or_fake", None), ("cat", None), ("0", None), ("", None), ("paint", None),
    ],
)  # fmt: skip
def test_what_a_labels_name_means(label, means):
    assert _labels.meaning(label) is means


def test_which_output_is_fake_is_read_or_refused():
    assert _labels.fake_index(("Fake", "Real"), None, "m") == 0 and _labels.fake_index(("human", "AI"), None, "m") == 1
    assert _labels.fake_index(("LABEL_0", "LABEL_1"), 1, "m") == 1
    for labels in (("LABEL_0", "LABEL_1"), ("fake", "deepfake"), ("output 0",)):
        with pytest.raises(InputError, match="do not tell which means fake"):
            _labels.fake_index(labels, None, "m")
    for labels in (("a", "real", "fake"), ()):
        with pytest.raises(InputError, match=r"has \d labels .*expected real and fake"):
            _labels.fake_index(labels, None, "m")
    with pytest.raises(InputError, match="expected 0 or 1"):
        _labels.fake_index(("real", "fake"), 2, "m")


def test_logits_become_shares():
    assert _labels.probability(np.array([0.0]), 1) == 0.5
    assert _labels.probability(np.array([0.0, 2.0]), 1) == pytest.approx(1 / (1 + np.exp(-2)))
    assert _labels.probability(np.array([0.0, 2.0]), 0) == pytest.approx(1 / (1 + np.exp(2)))
    with pytest.raises(InputError, match="NaN or infinity"):
        _labels.probability(np.array([np.nan, 0.0]), 1)


# ----------------------------------------------------------------------------------------------------------------- ONNX


def onnx_file(path: Path, shape, outputs=1, sigmoid=False, colours=3, ends=(), line=None) -> str:
    onnx = pytest.importorskip("onnx", reason="needs the extra 'train'")
    from onnx import TensorProto, helper, numpy_helper

    first = shape[1] == colours
    if line is None:
        line = np.random.default_rng(1).normal(size=(colours, outputs))
    steps = ends or ("Sigmoid" if sigmoid else "Identity",)
    names = ["z", *(f"z{i}" for i in range(1, len(steps))), "y"]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3] if first else [1, 2], keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["z"]),
        *(
            helper.make_node(step, [names[i], *(["half"] if step in ("Add", "Mul") else [])], [names[i + 1]])
            for i, step in enumerate(steps)
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, outputs])],
        [
            numpy_helper.from_array(np.asarray(line, np.float32), "w"),
            numpy_helper.from_array(np.float32([0.5]), "half"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "outputs", "sigmoid"),
    [
        ([1, 3, 64, 64], 1, False), ([1, 64, 48, 3], 1, False), ([None, 3, None, None], 2, False),
        (["n", 3, "h", "w"], 1, True), ([1, 3, 64, 64], 2, False),
    ],
)  # fmt: skip
def test_an_onnx_file_of_any_layout(tmp_path, shape, outputs, sigmoid):
    path = onnx_file(tmp_path / "m.onnx", shape, outputs, sigmoid)
    one, other = hub.load(path, fake=1), hub.load(path, fake=0)
    assert score(one) == pytest.approx(1 - score(other)) and 0.02 < score(one) < 0.98
    assert one.made_by()["weights"]["settings"] != other.made_by()["weights"]["settings"], "profiles do not mix them up"


def test_an_onnx_files_outputs_are_named_by_the_config_beside_it(tmp_path):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64], 2)
    with pytest.raises(InputError, match="do not tell"):
        hub.load(path)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "fake", "1": "real"}}))
    assert score(hub.load(path)) == score(hub.load(path, fake=0))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    with pytest.raises(WeightsError, match=r"2 outputs and the config\.json beside it 3 labels"):
        hub.load(path)


def test_an_onnx_file_is_shown_pictures_resized_as_its_settings_say(tmp_path):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64], 1)
    shown, hashes = {}, set()
    for number in (None, 2, 3, 99):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({} if number is None else {"resample": number}))
        loaded = OnnxClassifier(Path(path), "unit", outputs="logits")
        shown[number] = loaded._sized(PIXELS)
        hashes.add(loaded.sha256["preprocessor_config.json"])
    assert len(hashes) == 4, "a profile does not hold for other settings"
    for number in (2, 3):
        assert np.array_equal(shown[number], Image.fromarray(PIXELS).resize((64, 64), Image.Resampling(number)))
    assert np.array_equal(shown[None], shown[3]) and np.array_equal(shown[99], shown[3])


@pytest.mark.parametrize(
    "named",
    [
        {"0": "real", "00": "fake"}, {"0": "real", "2": "fake"}, {"1": "real", "2": "fake"},
        {"²": "fake", "0": "real"}, {"9" * 5_000: "fake", "0": "real"}, {"0": "a" * 90_000, "1": "b" * 90_000},
        {"0": 5, "1": None}, ["real", "fake"],
    ],
)  # fmt: skip
def test_labels_that_do_not_tell_which_output_is_which_are_none(tmp_path, named):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64], 2)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": named}))
    with pytest.raises(InputError, match="do not tell which means fake") as caught:
        hub.load(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "values",
    [
        "[1e400, 0, 0]", f"[{'9' * 400}, 0, 0]", "[NaN, 0.5, 0.5]", "[0.5, 0.5]", '"0.5"', "[true, true, true]",
        "[1e308, 0, 0]", "0.5", "{}", "[[0.5], [0.5], [0.5]]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["image_mean", "image_std"])
def test_absurd_numbers_beside_an_onnx_file_are_a_sentence(tmp_path, name, values):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64], 2)
    (tmp_path / "preprocessor_config.json").write_text(f'{{"{name}": {values}}}')
    with pytest.raises(WeightsError, match=f"expected {name} as 3 numbers of"):
        hub.load(path, fake=1)


SMALL = np.full((3, 1), 1e-3)  # a line that answers in [0, 1], once 0.5 is added, whatever noise it is shown


@pytest.mark.parametrize(
    ("ends", "shares"),
    [
        (("Add",), False),  # a linear layer with its constant
        (("Identity", "Add"), None),
        (("Sigmoid",), True),
        (("Sigmoid", "Identity", "Flatten"), True),
        (("Tanh", "Mul", "Add"), None),  # a sigmoid in other words, or anything else
    ],
)
def test_one_output_that_lies_in_0_to_1_is_read_by_how_the_network_ends(tmp_path, ends, shares):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64], ends=ends, line=SMALL)
    if shares is None:
        with pytest.raises(InputError, match=r"ends in Add, which does not tell .* --option hub\.outputs=shares"):
            hub.load(path, fake=1)
    else:
        assert score(hub.load(path, fake=1)) == score(hub.load(path, fake=1, outputs="shares" if shares else "logits"))
    share, logit = (hub.load(path, fake=1, outputs=outputs) for outputs in ("shares", "logits"))
    assert score(share) == pytest.approx(0.5, abs=0.01) and score(logit) == pytest.approx(0.622, abs=0.01)
    settings = [one.made_by()["weights"]["settings"] for one in (share, logit)]
    assert settings[0] != settings[1], "profiles do not mix them up"


def test_outputs_that_are_said_to_be_shares_have_to_be(tmp_path):
    path = onnx_file(tmp_path / "m.onnx", [1, 3, 64, 64])
    with pytest.raises(InputError, match=r"hub\.outputs=shares: expected 'm\.onnx' to answer in \[0, 1\], got"):
        hub.load(path, fake=1, outputs="shares")
    with pytest.raises(InputError, match=r"hub\.outputs: expected one of shares, logits"):
        hub.load(path, fake=1, outputs="odds")


@pytest.mark.parametrize(
    ("shape", "outputs", "sentence"),
    [
        ([1, 3, 64, 64], 3, "expected 1 or 2 outputs for a picture, got 3"),
        ([1, 5, 64, 64], 1, r"expected one input with the shape|cannot be loaded"),
        ([4, 3, 64, 64], 1, "expected one input with the shape"),
        ([1, 3, 9000, 9000], 1, "expected pictures of 8 to 2048 px"),
    ],
)
def test_an_onnx_file_of_another_kind_is_refused(tmp_path, shape, outputs, sentence):
    with pytest.raises(WeightsError, match=sentence):
        hub.load(onnx_file(tmp_path / "m.onnx", shape, outputs), fake=1)


def test_what_is_no_model_gets_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "broken.onnx").write_bytes(b"no onnx at all")
    for model in ("broken.onnx", "absent.onnx"):
        with pytest.raises(WeightsError, match=model):
            hub.load(str(tmp_path / model), fake=1)
    for options, sentence in (
        ({"model": None}, "hub.model: expected a model"),
        ({"model": ""}, "hub.model: expected a model"),
        ({"crop": "nose"}, "hub.crop: expected one of face, aligned, whole"),
        ({"margin": 0.5}, "hub.margin"),
        ({"norm": "mine"}, "hub.norm"),
    ):
        with pytest.raises(InputError, match=sentence):
            hub.load(**{"model": "x.onnx", **options})


# ---------------------------------------------------------------------------------------------------------------- crops


def test_the_aligned_crop_puts_eyes_nose_and_mouth_where_the_authors_have_them():
    mesh = np.zeros((468, 3), np.float32)
    turn = np.deg2rad(20.0)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (hub._TEMPLATE - 0.5) @ rotation.T * 100 + (160, 120)
    for where, point in zip(hub._POINTS, points, strict=True):
        mesh[list(where), :2] = point
    person, _ = doubles.Seen.of(np.zeros((240, 320, 3), np.uint8), (110.0, 70.0, 210.0, 170.0), mesh)
    pixels = np.zeros((240, 320, 3), np.uint8)
    for x, y in points:
        pixels[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    cut = hub._aligned(person.face, pixels, 1.3)
    assert cut.shape[0] == cut.shape[1] == pytest.approx(130, abs=1)
    for x, y in ((hub._TEMPLATE - 0.5) / 1.3 + 0.5) * cut.shape[0]:
        assert cut[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].max() > 200


def test_beyond_the_picture_the_aligned_crop_is_black_as_the_authors_is():
    mesh = np.zeros((468, 3), np.float32)
    for where, point in zip(hub._POINTS, hub._TEMPLATE * 100 - (30, 0), strict=True):
        mesh[list(where), :2] = point
    person, _ = doubles.Seen.of(np.zeros((140, 140, 3), np.uint8), (0.0, 0.0, 70.0, 100.0), mesh)
    cut = hub._aligned(person.face, np.full((140, 140, 3), 200, np.uint8), 1.3)
    assert cut[:, :40].max() == 0 and cut[20:, 50:].min() == 200


def test_of_a_large_photograph_all_is_shown():
    pixels = np.zeros((300, 3_000, 3), np.uint8)
    seen: list[tuple[int, ...]] = []
    detector = hub.Detector(lambda shown: float(len(seen.append(shown.shape) or [])), "whole", {})
    options = {"margin": 1.3, "fake": None, "norm": "imagenet"}
    hub.Hub("hub", detector, "whole", 1.3, options).inspect(doubles.Seen.of(pixels, (0.0, 0.0, 9.0, 9.0))[1])
    assert seen == [pixels.shape]


def test_the_square_is_as_large_as_asked():
    cut = hub._square(PERSON.face, PIXELS, 1.3)
    assert cut.shape == (156, 156, 3)  # 1.3 times the longer side of the box, 120
    expected = geometry.crop(PIXELS, geometry.align(PERSON.face.box, 156, 1.3), 156)
    assert np.array_equal(cut, expected)


def test_a_whole_photograph_is_asked_once_and_without_a_face_too(tmp_path):
    witness = hub.load(str(doubles.tiny_onnx(tmp_path)), fake=1, crop="whole")
    assert witness.scope == "photograph" and witness.inspect(CLIP).fake == score(witness)
    assert "no probability" in witness.inspect(CLIP).findings[0].claim
    faces = hub.load(str(doubles.tiny_onnx(tmp_path)), fake=1)
    assert faces.scope == "face" and faces.inspect(CLIP).fake is None


# -------------------------------------------------------------------------------------------- GenD, Community Forensics


@pytest.fixture(scope="module")
def torch():
    pytest.importorskip("transformers", reason="needs the extra 'vlm'")
    torch = pytest.importorskip("torch")
    from facewitness.models import _torchvision  # noqa: F401 -- before transformers

    torch.manual_seed(0)
    return torch


def put(folder: Path, settings, tensors) -> str:
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    return str(folder)


def gend(torch, make: str):
    """(settings, published tensors, what the encoder's feature is)."""
    head = {"model.linear.weight": torch.randn(2, 64), "model.linear.bias": torch.zeros(2)}
    small = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "intermediate_size": 96,
        "image_size": 224,
    }
    if make == "clip":
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(**small, patch_size=14, projection_dim=16, hidden_act="quick_gelu")
        network = CLIPVisionModelWithProjection(config).eval()
        named = {f"feature_extractor.{k}": v for k, v in network.state_dict().items()}
        backbone = "openai/clip-vit-large-patch14"
        return backbone, {**named, **head}, lambda x: network.vision_model(x).pooler_output
    if make == "dino":
        from transformers import DINOv3ViTConfig, DINOv3ViTModel

        network = DINOv3ViTModel(DINOv3ViTConfig(**small, patch_size=16, num_register_tokens=4)).eval()
        # as transformers 4.56, which the published ones were saved with, names them
        named = {f"feature_extractor.backbone.{k.removeprefix('model.')}": v for k, v in network.state_dict().items()}
        backbone = "facebook/dinov3-vitl16-pretrain-lvd1689m"
        return backbone, {**named, **head}, lambda x: network(x).last_hidden_state[:, 0]
    import timm

    network = timm.create_model("vit_pe_core_tiny_patch16_384", dynamic_img_size=True).eval()
    network.head = torch.nn.Identity()
    named = {f"feature_extractor.backbone.{k}": v for k, v in network.state_dict().items()}
    head["model.linear.weight"] = torch.randn(2, network.num_features)
    return "vit_pe_core_tiny_patch16_384", {**named, **head}, network


@pytest.mark.parametrize("make", ["clip", "dino", "perception"])
def test_gend_is_the_encoders_feature_one_unit_long_and_a_line(torch, tmp_path, make):
    from facewitness.models import gend as published

    backbone, tensors, feature = gend(torch, make)
    settings = {"model_type": "GenD", "backbone": backbone, "head": "LinearNorm"}
    picture = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        unit = torch.nn.functional.normalize(feature(picture), dim=1)
        expected = unit @ tensors["model.linear.weight"].T + tensors["model.linear.bias"]
        assert torch.allclose(published.build(settings, tensors, "m")(picture), expected, atol=1e-4)
    witness = hub.load(put(tmp_path / make, settings, tensors))
    assert witness._crop == "aligned" and 0 < score(witness) < 1
    # as each encoder's own processor resizes: DINOv3's alone is bilinear
    way = Image.Resampling.BILINEAR if make == "dino" else Image.Resampling.BICUBIC
    shown = Image.fromarray(hub._aligned(PERSON.face, PIXELS, 1.3)).resize((224, 224), way)
    network = published.build(settings, tensors, "m")
    values = (np.asarray(shown, np.float32) / 255 - np.float32(network.mean)) / np.float32(network.std)
    with torch.no_grad():
        shares = network(torch.from_numpy(values.transpose(2, 0, 1)[None])).softmax(1)
    assert score(witness) == pytest.approx(float(shares[0, 1]), abs=1e-6)
    assert set(witness.made_by()["weights"]) == {"model.safetensors", "settings"}


def test_gend_that_does_not_fit_is_refused(torch, tmp_path):
    backbone, tensors, _ = gend(torch, "clip")
    for settings, sentence in (
        ({"backbone": "resnet", "head": "linear"}, "expected a backbone of GenD"),
        ({"backbone": backbone, "head": "mlp"}, "expected a head of GenD"),
        ({"backbone": "vit_pe_core_of_mine", "head": "linear"}, "vit_pe_core networks"),
        ({"backbone": "facebook/dinov3", "head": "linear"}, "lacks the tensor"),
    ):
        with pytest.raises(WeightsError, match=sentence):
            hub.load(put(tmp_path / "m", {"model_type": "GenD", **settings}, tensors))
    lost = {k: v for k, v in tensors.items() if not k.endswith("post_layernorm.bias")}
    with pytest.raises(WeightsError, match="does not fit its settings: 1 tensors"):
        hub.load(put(tmp_path / "m", {"model_type": "GenD", "backbone": backbone, "head": "linear"}, lost))
    (tmp_path / "m" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(WeightsError, match=r"expected weights in model\.safetensors"):
        hub.load(str(tmp_path / "m"))


def test_community_forensics_looks_at_the_whole_photograph(torch, tmp_path):
    import timm

    network = timm.create_model(
        "vit_small_patch16_384", img_size=384, embed_dim=64, depth=1, num_heads=1, num_classes=1
    )
    tensors = {f"vit.{k}": v for k, v in network.eval().state_dict().items()}
    witness = hub.load(put(tmp_path / "commfor", {"model_size": "small", "input_size": 384}, tensors))
    assert witness.scope == "photograph" and witness.inspect(CLIP).fake == score(witness)
    del tensors["vit.norm.bias"]
    with pytest.raises(WeightsError, match="no network of Community Forensics"):
        hub.load(put(tmp_path / "commfor", {}, tensors))


def test_a_classifier_of_the_hub_by_its_labels(torch, tmp_path):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    small = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 64,
    }

    def saved(*labels: str) -> str:
        torch.manual_seed(1)
        folder = tmp_path / "-".join(labels)
        ViTForImageClassification(ViTConfig(**small, id2label=dict(enumerate(labels)))).save_pretrained(folder)
        ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
        return str(folder)

    one, other = hub.load(saved("Fake", "Real")), hub.load(saved("Realism", "Deepfake"))
    assert score(one) == pytest.approx(1 - score(other), abs=1e-6)
    ViTImageProcessor(size={"height": 64, "width": 64}, resample=3).save_pretrained(tmp_path / "Fake-Real")
    otherwise = hub.load(str(tmp_path / "Fake-Real")).made_by()["weights"]
    assert otherwise["model.safetensors"] == one.made_by()["weights"]["model.safetensors"]
    assert otherwise != one.made_by()["weights"], "a profile does not hold for other settings"
    assert score(hub.load(saved("LABEL_0", "LABEL_1"), fake=0)) == pytest.approx(score(one))
    with pytest.raises(InputError, match="do not tell which means fake"):
        hub.load(saved("LABEL_0", "LABEL_1"))
    with pytest.raises(InputError, match="has 3 labels"):
        hub.load(saved("a", "real", "fake"))
    for file, changed, sentence in (
        ("config.json", {"id2label": {"0": "real", "2": "fake"}, "label2id": {}}, "do not tell which means fake"),
        ("preprocessor_config.json", {"size": {"height": 10**6, "width": 10**6}}, "expected pictures of 1 to 4,096 px"),
        ("preprocessor_config.json", {"size": {"height": -5, "width": 64}}, "expected pictures of 1 to 4,096 px"),
        ("preprocessor_config.json", {"image_mean": "x"}, "cannot make a picture ready"),
    ):
        odd = Path(saved("real", "fake"))
        (odd / file).write_text(json.dumps({**json.loads((odd / file).read_text()), **changed}))
        with pytest.raises((InputError, WeightsError), match=sentence):
            score(hub.load(str(odd)))
    headless = Path(saved("fake", "real"))
    from safetensors.torch import load_file, save_file

    weights = {k: v for k, v in load_file(headless / "model.safetensors").items() if not k.startswith("classifier")}
    save_file(weights, headless / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="is no trained classifier"):
        hub.load(str(headless))
    shutil.copy(headless / "model.safetensors", headless / "pytorch_model.bin")
    (headless / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be loaded as an image classifier"):
        hub.load(str(headless))


def test_a_name_without_a_network_says_how_to_get_it(torch, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE forbids the network"):
        hub.load("nobody/such-a-detector")


# -------------------------------------------------------------------------------------------- calibration and the judge


def test_reversed_scores_are_refused_by_calibrate():
    pa = pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    labels = ["fake", "real"] * 40
    scores = [float(np.clip(rng.normal(0.3 if label == "fake" else 0.7, 0.1), 0, 1)) for label in labels]
    table = {"score": scores, "label": labels, "group": [str(i) for i in range(80)], "dataset": ["d"] * 80}
    with pytest.raises(InputError, match=r"scores of hub run the wrong way.*hub\.fake"):
        calibrate.fit(pa.table(table), max_fpr=0.05, witness="hub")
    table["score"] = [1 - value for value in scores]
    assert calibrate.fit(pa.table(table), max_fpr=0.05, witness="hub").calibration.slope > 0
    table["score"] = [float(value) for value in rng.random(80)]
    calibrate.fit(pa.table(table), max_fpr=0.05, witness="hub")  # tells nothing, which is not the wrong way


def test_where_photograph_and_face_part_the_report_says_so():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    scores = np.clip(rng.normal(0.2 + 0.6 * labels, 0.1), 0.01, 0.99)
    fit = Calibration.fit(scores, labels, np.arange(400))
    fits = {"compact": fit, "hub": fit}
    for face, whole, sentence in (
        (0.05, 0.95, "as a whole it is for fake by hub"),
        (0.95, 0.05, "the face is for fake by compact"),
    ):
        testimonies = [Testimony("compact", face), Testimony("hub", whole)]
        parted = judge(PERSON, testimonies, fits, whole={"hub"})
        assert parted.cause == "contradiction" and sentence in parted.reasons[0]
        assert "contradict each other" in judge(PERSON, testimonies, fits).reasons[0]
