"""The prompted language model, with every family built tiny and at random, offline."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import socket
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("peft", "transformers"):
    if find_spec(package) is None:  # not importorskip: importing them now, with torchvision not yet mended, would fail
        pytest.skip(f"needs {package}", allow_module_level=True)

from facewitness.apps.cli import main  # noqa: E402
from facewitness.errors import InputError, UnknownName, WeightsError  # noqa: E402
from facewitness.models import panda  # noqa: E402
from facewitness.models import prompted_vlm as pv  # noqa: E402  (before transformers: it mends torchvision)

from peft import PeftModel, get_peft_model  # noqa: E402  isort: skip
from PIL import Image  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from torch import nn  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    GotOcr2ImageProcessor,
    GPT2Config,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(  # PEFT 0.21 and TRL 1.16 use names that transformers 5.23 has replaced
        r"ignore:`(is_)?gradient_checkpointing\w*` is deprecated:FutureWarning",
    ),
]

WIDTH, N, ROWS = 32, 3, 400
SPECIAL = {
    "qwen2_5_vl": ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
    "qwen3_vl": ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
    "llava": ["<image>"],
    "llava_next": ["<image>"],
    "internvl": ["<img>", "</img>", "<IMG_CONTEXT>", "<video>"],
    "smolvlm": ["<fake_token_around_image>", "<global-img>", "<image>", "<end_of_utterance>"],
    "panda_gpt": ["<image>"],
}
IMAGE = {
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "llava": "<image>",
    "llava_next": "<image>",
    "internvl": "<IMG_CONTEXT>",
    "smolvlm": "<image>",
    "panda_gpt": "<Img><image></Img>",
}
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # enough for what stands early in the prompt to be heard at its end
}


class Colour(nn.Module):
    """An expert: n tokens from the mean colours of a picture's quarters."""

    def __init__(self, n_tokens: int = N, width: int = WIDTH):
        super().__init__()
        self.n_tokens, self.width = n_tokens, width
        self.options = {"n_tokens": n_tokens, "width": width}
        self.project = nn.Linear(12, n_tokens * width)

    def forward(self, pixel_values: Any, **grid: Any) -> Any:
        quarters = pv.pictures(pixel_values, 2, **grid).flatten(1)
        return (4 * self.project(quarters)).view(-1, self.n_tokens, self.width)


def tokenizer_of(family: str) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<|im_start|>", "<|im_end|>", *SPECIAL[family]]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["Is this face real? The nose is fake.", "Where was it changed? user assistant"], trainer)
    named = {}
    if family == "internvl":
        named = {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        }
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="<eos>",
        padding_side="left",
        extra_special_tokens=named,
        chat_template=template_of(family),
    )


def template_of(family: str) -> str:
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for c in m.content %}{% if c.type == 'image' %}" + IMAGE[family] + "{% else %}{{ c.text }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def plain_of(family: str, rows: int = ROWS) -> tuple[Any, Any]:
    """A tiny random model in evaluation mode, and a processor that fits."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of(family)
    token = dict(zip(SPECIAL[family], tokenizer.convert_tokens_to_ids(SPECIAL[family]), strict=True))
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    text = TEXT | ends | {"vocab_size": rows}
    template = template_of(family)
    if family.startswith("qwen"):
        ids = {
            "image_token_id": token["<|image_pad|>"],
            "video_token_id": token["<|video_pad|>"],
            "vision_start_token_id": token["<|vision_start|>"],
            "vision_end_token_id": token["<|vision_end|>"],
        }
        rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
        size = {"shortest_edge": 28 * 28, "longest_edge": 84 * 84}
    if family == "qwen2_5_vl":
        vision = {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [1],
        }
        config = Qwen2_5_VLConfig(text_config=text | {"rope_parameters": rope}, vision_config=vision, **ids)
        model = Qwen2_5_VLForConditionalGeneration(config)
        pictures = Qwen2VLImageProcessor(size=size)
        processor = Qwen2_5_VLProcessor(pictures, tokenizer, Qwen2VLVideoProcessor(), chat_template=template)
    elif family == "qwen3_vl":
        vision = {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "patch_size": 16,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        }
        config = Qwen3VLConfig(
            text_config=text | {"rope_parameters": rope | {"mrope_interleaved": True}, "head_dim": 8},
            vision_config=vision,
            **ids,
        )
        model = Qwen3VLForConditionalGeneration(config)
        pictures = Qwen2VLImageProcessor(
            size=size, patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
        )
        processor = Qwen3VLProcessor(pictures, tokenizer, Qwen3VLVideoProcessor(), chat_template=template)
    elif family == "llava":
        vision = {
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "projection_dim": 32,
        }
        config = LlavaConfig(
            text_config=text | {"model_type": "llama"},
            vision_config=vision,
            image_token_id=token["<image>"],
            image_seq_length=4,
            tie_word_embeddings=False,
        )
        model = LlavaForConditionalGeneration(config)
        pictures = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
        processor = LlavaProcessor(pictures, tokenizer, chat_template=template)  # as early conversions: no patch size
        processor = pv.completed(processor, config)
    elif family == "llava_next":
        points = [[28, 56], [56, 28], [56, 56]]
        vision = {
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "projection_dim": 32,
        }
        config = LlavaNextConfig(
            text_config=text | {"model_type": "llama"},
            vision_config=vision,
            image_token_id=token["<image>"],
            image_grid_pinpoints=points,
            tie_word_embeddings=False,
        )
        model = LlavaNextForConditionalGeneration(config)
        pictures = LlavaNextImageProcessor(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=points
        )
        processor = LlavaNextProcessor(
            pictures,
            tokenizer,
            patch_size=14,
            vision_feature_select_strategy="default",
            chat_template=template,
            num_additional_image_tokens=1,
        )
    elif family == "smolvlm":
        vision = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        }
        config = SmolVLMConfig(
            text_config=text | {"model_type": "llama"},
            vision_config=vision,
            image_token_id=token["<image>"],
            scale_factor=2,
            tie_word_embeddings=False,
            pad_token_id=tokenizer.pad_token_id,
        )
        model = SmolVLMForConditionalGeneration(config)
        pictures = SmolVLMImageProcessor(
            size={"longest_edge": 56}, max_image_size={"longest_edge": 56}, do_image_splitting=True
        )
        films = {"fps": 1, "max_frames": 1, "video_size": {"longest_edge": 56}}
        processor = SmolVLMProcessor(
            pictures, tokenizer, SmolVLMVideoProcessor(video_sampling=films, max_image_size={"longest_edge": 56}),
            image_seq_len=4, chat_template=template,
        )  # fmt: skip
        processor.image_processor.do_image_splitting = False
    elif family == "panda_gpt":
        vision = {
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        }
        config = panda.PandaConfig(
            text_config=text | {"model_type": "llama"},
            vision_config=vision,
            image_token_id=token["<image>"],
            image_seq_length=1,
            tie_word_embeddings=False,
        )
        model = panda.PandaForConditionalGeneration(config)
        processor = panda.processor(tokenizer, 28)
    else:
        vision = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        }
        config = InternVLConfig(
            text_config=text | {"model_type": "qwen2"},
            vision_config=vision,
            image_token_id=token["<IMG_CONTEXT>"],
            image_seq_length=4,
            tie_word_embeddings=False,
        )
        model = InternVLForConditionalGeneration(config)
        pictures = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, min_patches=1, max_patches=2)
        processor = InternVLProcessor(
            pictures, tokenizer, InternVLVideoProcessor(), image_seq_length=4, chat_template=template
        )
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = (
        ends["eos_token_id"],
        ends["pad_token_id"],
    )
    return model.eval(), processor


@pytest.fixture(scope="module", params=pv.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def made(family: str) -> tuple[Any, Any, Any]:
    """(plain model, prompted model with the same weights, processor); tests leave them as they are."""
    plain, processor = plain_of(family)
    prompted = copy.deepcopy(plain)
    pv.attach(prompted, Colour(), processor)
    return plain, prompted, processor


def photo(seed: int, width: int = 60, height: int = 50) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(
        np.kron(rng.integers(0, 256, (2, 2, 3)), np.ones((height // 2, width // 2, 1))).astype("uint8")
    )


def batch(family: str, processor: Any, *rows: tuple[str, list[Image.Image]]) -> Any:
    """Rows of (text with {image} and {forgery}, pictures) → what the model takes."""
    texts = [text.format(image=IMAGE[family], forgery="<forgery>" * N) for text, _ in rows]
    shown = [image for _, images in rows for image in images]
    nested = [images for _, images in rows] if family != "llava_next" else shown
    return processor(images=nested if shown else None, text=texts, padding=True, return_tensors="pt")


WITH = "{image}{forgery} Is this face real?"
WITHOUT = "{image} Where?"


def replies(model: Any, inputs: Any, **options: Any) -> Any:
    with torch.no_grad():
        return model.generate(**inputs, max_new_tokens=6, min_new_tokens=6, **({"do_sample": False} | options))


def logits(model: Any, inputs: Any) -> Any:
    with torch.no_grad():
        return model(**inputs).logits


# -- asked ------------------------------------------------------------------------------------------------------------


def test_the_likelihood_of_a_reply_is_the_sum_over_its_tokens_and_its_end(family: str, made: Any) -> None:
    _, prompted, processor = made
    picture = np.array(photo(1, 56, 56))
    texts = ["Yes.", "No, the nose is real.", "Yes. Where?"]
    before = [("Is this face real?", "No.")]
    for turns in ((), before):
        found = pv.likelihoods(prompted, processor, picture, "Where?", texts, turns)
        messages = pv.conversation(prompted, "Where?", turns)
        asked = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        for text, value in zip(texts, found, strict=True):
            said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
            whole = processor.apply_chat_template([*messages, said], tokenize=False)
            assert whole.startswith(asked)
            ids = processor.tokenizer(whole[len(asked) :], add_special_tokens=False)["input_ids"]
            inputs = processor(images=[picture], text=[asked], return_tensors="pt", add_special_tokens=False)
            alone = 0.0
            for token in ids:  # each token after all before it, without a cache
                with torch.no_grad():
                    alone += prompted(**inputs).logits[0, -1].log_softmax(-1)[token].item()
                inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], 1)
                for name in ("attention_mask", "mm_token_type_ids"):
                    if name in inputs:
                        more = torch.full((1, 1), int(name == "attention_mask"))
                        inputs[name] = torch.cat([inputs[name], more.to(inputs[name].dtype)], 1)
            assert value == pytest.approx(alone, abs=1e-3)


# -- plain ------------------------------------------------------------------------------------------------------------


def test_without_placeholders_it_is_the_wrapped_model(family: str, made: Any) -> None:
    plain, prompted, processor = made
    inputs = batch(family, processor, (WITHOUT, [photo(1)]), ("{image} Is this face real, or fake?", [photo(2)]))
    with torch.no_grad():
        ours, theirs = (m(**inputs, output_hidden_states=True) for m in (prompted, plain))
    assert torch.equal(ours.logits, theirs.logits)
    assert all(torch.equal(a, b) for a, b in zip(ours.hidden_states, theirs.hidden_states, strict=True))
    suppress = pv.unspoken(prompted)
    assert torch.equal(replies(prompted, inputs), replies(plain, inputs, suppress_tokens=suppress))
    text = batch(family, processor, ("Is this face real?", []))
    assert torch.equal(logits(prompted, text), logits(plain, text))


def test_forward_keeps_the_names_of_its_arguments(made: Any) -> None:
    plain, prompted, _ = made
    for method in ("forward", "get_image_features"):
        ours, theirs = (inspect.signature(getattr(type(m.model), method)) for m in (prompted, plain))
        assert list(ours.parameters) == list(theirs.parameters)
    assert {"input_ids", "pixel_values", "attention_mask"} <= set(inspect.signature(prompted.model.forward).parameters)


# -- the expert's embeddings ------------------------------------------------------------------------------------------


def test_the_embeddings_stand_exactly_where_the_placeholders_are(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(
        family,
        processor,
        (WITH, [photo(1)]),
        (WITHOUT, [photo(2)]),
        ("{forgery} {image} and {image}{forgery}", [photo(3), photo(4)]),
    )
    seen: dict[str, Any] = {}

    def read(_m: Any, args: Any, kwargs: Any) -> None:
        seen.update(embeds=args[0] if args else kwargs["hidden_states"])

    hooks = [
        prompted.model.expert.register_forward_hook(lambda _m, _a, out: seen.update(expert=out)),
        prompted.model.language_model.layers[0].register_forward_pre_hook(read, with_kwargs=True),
    ]
    logits(prompted, inputs)
    for hook in hooks:
        hook.remove()
    mask = inputs["input_ids"] == prompted.model.prompt.token_id
    assert seen["expert"].shape == (4, N, WIDTH)
    assert mask.sum(1).tolist() == [N, 0, 2 * N]
    # row 0: its picture; row 2: the first block has no picture before it and takes the row's first, the second the last
    expected = torch.cat([seen["expert"][0], seen["expert"][2], seen["expert"][3]])
    assert torch.equal(seen["embeds"][mask], expected)
    token = prompted.get_input_embeddings().weight[prompted.model.prompt.token_id]
    assert not torch.isclose(seen["embeds"][mask], token).all(1).any()


def test_the_embeddings_change_what_follows_and_nothing_before(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]))
    first = int((inputs["input_ids"][0] == prompted.model.prompt.token_id).nonzero()[0])
    before = logits(prompted, inputs)
    other = copy.deepcopy(prompted)
    with torch.no_grad():
        other.model.expert.project.bias += 1.0
    after = logits(other, inputs)
    assert torch.equal(before[:, :first], after[:, :first])
    assert (before[:, first:] - after[:, first:]).abs().amax(-1).min() > 1e-4


def test_the_gradient_reaches_the_expert(family: str, made: Any) -> None:
    _, prompted, processor = made
    model = copy.deepcopy(prompted)
    inputs = batch(family, processor, (WITH, [photo(1)]), (WITH + " Where?", [photo(2)]))
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    gradient = model.model.expert.project.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0
    assert model.model.language_model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0


def test_the_expert_sees_the_picture(family: str, made: Any) -> None:
    _, prompted, processor = made
    seen: list[Any] = []

    def note(_m: Any, args: Any, kwargs: Any) -> None:
        seen.append(pv.pictures(args[0], 8, **kwargs))

    hook = prompted.model.expert.register_forward_pre_hook(note, with_kwargs=True)
    photos = [photo(1, 56, 56), photo(2, 112, 56)]
    logits(prompted, batch(family, processor, *((WITH, [p]) for p in photos)))
    hook.remove()
    assert seen[0].shape == (2, 3, 8, 8)
    for shown, original in zip(seen[0], photos, strict=True):
        expected = torch.tensor(np.asarray(original.resize((8, 8), Image.Resampling.BOX)) / 255.0).permute(2, 0, 1)
        corner = (slice(None), [0, 0, -1, -1], [0, -1, 0, -1])  # away from the edges that resizing blurs
        if family in ("llava", "llava_next") and original.width != original.height:
            continue  # its processor may pad or crop what is not square
        assert torch.allclose(shown[corner], expected.float()[corner], atol=0.03)


# -- generation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beams", [1, 3])
def test_with_and_without_the_cache_the_reply_is_the_same(family: str, made: Any, beams: int) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]), (WITHOUT, [photo(2)]), (WITH + " And where?", [photo(3)]))
    cached = replies(prompted, inputs, num_beams=beams)
    assert torch.equal(cached, replies(prompted, inputs, num_beams=beams, use_cache=False))
    other = copy.deepcopy(prompted)
    with torch.no_grad():
        other.model.expert.project.weight.mul_(-3.0)
    assert not torch.equal(cached[[0, 2]], replies(other, inputs, num_beams=beams)[[0, 2]])
    assert torch.equal(cached[1], replies(other, inputs, num_beams=beams)[1])  # the row without placeholders


def test_a_step_with_the_cache_gives_the_logits_of_the_whole(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]))
    whole = logits(prompted, inputs)
    out = replies(prompted, inputs, output_logits=True, return_dict_in_generate=True)
    assert torch.allclose(out.logits[0][0], whole[0, -1], atol=1e-5)
    longer = {**inputs, "input_ids": out.sequences, "attention_mask": torch.ones_like(out.sequences)}
    if "mm_token_type_ids" in inputs:
        kinds = inputs["mm_token_type_ids"]
        longer["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(1, 6)], dim=1)
    again = logits(prompted, longer)
    start = inputs["input_ids"].shape[1] - 1
    assert torch.allclose(torch.stack(out.logits, 1)[0], again[0, start:-1], atol=1e-4)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_left_padded_batch_equals_its_rows_alone(family: str, made: Any, beams: int) -> None:
    _, prompted, processor = made
    rows = [
        (WITH, [photo(1)]),
        ("{image}{forgery} versus {image}{forgery}, which one is the fake?", [photo(2), photo(3)]),
        (WITHOUT, [photo(4)]),
    ]
    inputs = batch(family, processor, *rows)
    assert (inputs["attention_mask"][:, 0] == 0).any()
    together = replies(prompted, inputs, num_beams=beams)[:, -6:]
    for row, reply in zip(rows, together, strict=True):
        assert torch.equal(replies(prompted, batch(family, processor, row), num_beams=beams)[0, -6:], reply)


def test_several_samples_of_a_prompt_share_its_pictures(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]), (WITH, [photo(2)]))
    out = replies(
        prompted, inputs, num_return_sequences=2, num_beams=2, output_logits=True, return_dict_in_generate=True
    )
    alone = logits(prompted, batch(family, processor, (WITH, [photo(2)])))
    assert torch.allclose(out.logits[0][2:], alone[0, -1].expand(2, -1), atol=1e-5)


def test_replies_never_hold_the_tokens_of_pictures(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]))
    forbidden = pv.unspoken(prompted)
    assert {prompted.model.prompt.token_id, prompted.config.image_token_id} <= set(forbidden)
    model = copy.deepcopy(prompted)
    bias = torch.zeros(model.lm_head.weight.shape[0])
    bias[forbidden] = 1000.0
    model.lm_head.bias = nn.Parameter(bias)  # a model that wants to say nothing else
    begin = inputs["input_ids"].shape[1]
    assert not torch.isin(replies(model, inputs)[:, begin:], torch.tensor(forbidden)).any()
    assert torch.isin(replies(model, inputs, suppress_tokens=[0])[:, begin:], torch.tensor(forbidden)).all()


# -- bad input --------------------------------------------------------------------------------------------------------


def test_the_wrong_number_of_placeholders_is_refused(family: str, made: Any) -> None:
    _, prompted, processor = made
    for wrong in (
        "{image}<forgery> Is this face real?",
        "{image}{forgery}<forgery>",
        "{image}<forgery><forgery> and <forgery>",
    ):
        with pytest.raises(InputError, match=f"blocks of {N} placeholders <forgery> in a row, got"):
            logits(prompted, batch(family, processor, (wrong, [photo(1)])))


def test_a_placeholder_without_a_picture_is_refused(family: str, made: Any) -> None:
    _, prompted, processor = made
    with pytest.raises(InputError, match="no picture came with it"):
        logits(prompted, batch(family, processor, ("{forgery} Is it?", [])))
    with pytest.raises(InputError, match=r"prompt of the batch .* no picture"):
        logits(prompted, batch(family, processor, (WITH, [photo(1)]), ("{forgery} Is it?", [])))


def test_an_expert_of_another_width_is_refused(family: str) -> None:
    model, processor = plain_of(family)
    pv.attach(model, Colour(width=WIDTH * 2), processor)
    with pytest.raises(InputError, match=r"expected \(1, 3, 32\).*got \(1, 3, 64\)"):
        logits(model, batch(family, processor, (WITH, [photo(1)])))


def test_what_cannot_have_an_expert_says_so() -> None:
    model, processor = plain_of("internvl")
    with pytest.raises(UnknownName, match=r"family of vision-language models 'qwen2'"):
        pv.attach(model.model.language_model, Colour(), processor)
    with pytest.raises(InputError, match="n_tokens"):
        pv.attach(model, nn.Linear(2, 2), processor)
    with pytest.raises(InputError, match="torchvision is missing"):
        pv.attach(model, Colour(), processor.tokenizer)
    pv.attach(model, Colour(), processor)
    with pytest.raises(InputError, match="has an expert"):
        pv.attach(model, Colour(), processor)
    with pytest.raises(InputError, match="image_grid_thw"):
        pv.pictures(torch.zeros(1, 3, 4, 4), 2, image_mean=(0, 0, 0), image_std=(1, 1, 1))


def test_a_backbone_with_a_hook_of_accelerate_is_refused() -> None:
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    model, processor = plain_of("internvl")
    add_hook_to_module(model.model, AlignDevicesHook("cpu"))
    with pytest.raises(InputError, match="device_map"):
        pv.attach(model, Colour(), processor)


def test_half_precision_works_and_is_close(family: str, made: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]))
    half = copy.deepcopy(prompted).to(torch.bfloat16)
    ours, exact = logits(half, inputs), logits(prompted, inputs)
    assert ours.dtype == torch.bfloat16
    assert (ours.float() - exact).abs().mean() < 0.05 * exact.std()
    half.model.expert.float()  # an expert may stay in single precision
    assert (logits(half, inputs).float() - exact).abs().mean() < 0.05 * exact.std()


def test_two_pictures_that_look_like_one_are_refused() -> None:
    model, processor = plain_of("llava_next")
    pv.attach(model, Colour(), processor)
    with pytest.raises(InputError, match=r"got 1 and 2.*put a word between"):
        logits(model, batch("llava_next", processor, ("{image}{image}{forgery}", [photo(1), photo(2)])))


# -- saving -----------------------------------------------------------------------------------------------------------


def test_what_is_saved_comes_back_the_same(family: str, made: Any, tmp_path: Any) -> None:
    _, prompted, processor = made
    inputs = batch(family, processor, (WITH, [photo(1)]), (WITHOUT, [photo(2)]))
    pv.save(prompted, processor, tmp_path / "full")
    again, its_processor = pv.load(tmp_path / "full", expert_class=Colour)
    theirs = batch(family, its_processor, (WITH, [photo(1)]), (WITHOUT, [photo(2)]))
    assert all(torch.equal(theirs[name], inputs[name]) for name in inputs)
    assert torch.equal(logits(again, theirs), logits(prompted, inputs))
    assert torch.equal(replies(again, theirs), replies(prompted, inputs))
    assert pv.placeholders(again) == "<forgery>" * N

    # the base's full weights are a plain checkpoint that anybody can load
    base = type(prompted).from_pretrained(tmp_path / "full" / "base")
    assert not any("expert" in name for name in base.state_dict())
    # and another expert can be attached to it
    bare, its_processor = pv.plain(str(tmp_path / "full"))
    pv.attach(bare, Colour(), its_processor)
    assert pv.placeholders(bare) == "<forgery>" * N
    pv.expert_of(bare).load_state_dict(pv.expert_of(prompted).state_dict())
    assert torch.equal(logits(bare, inputs), logits(prompted, inputs))
    pv.save(prompted, processor, tmp_path / "named", base=str(tmp_path / "full" / "base"))
    assert not (tmp_path / "named" / "base").exists()
    named, _ = pv.load(tmp_path / "named", expert_class=Colour)
    assert torch.equal(logits(named, inputs), logits(prompted, inputs))
    with pytest.raises(WeightsError, match="not the language model they belong to"):
        pv.plain(str(tmp_path / "named"))


def test_where_the_vocabulary_is_full_it_grows(family: str, tmp_path: Any) -> None:
    rows = len(tokenizer_of(family))
    plain, processor = plain_of(family, rows)
    plain.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    model, processor = pv.plain(str(tmp_path / "base"))
    pv.attach(model, Colour(), processor)
    assert model.get_input_embeddings().weight.shape[0] == rows + 1 == model.config.get_text_config().vocab_size
    inputs = batch(family, processor, (WITH, [photo(1)]))
    pv.save(model, processor, tmp_path / "named", base=str(tmp_path / "base"))
    again, _ = pv.load(tmp_path / "named", expert_class=Colour)
    assert torch.allclose(logits(again, inputs), logits(model, inputs), atol=1e-4)


def test_half_a_checkpoint_is_refused(tmp_path: Any) -> None:
    model, processor = plain_of("internvl")
    pv.attach(model, Colour(), processor)
    folder = tmp_path / "saved"
    pv.save(model, processor, folder)
    with pytest.raises(WeightsError, match=r"expert_class="):
        pv.load(folder)
    with pytest.raises(WeightsError, match="of another shape"):
        pv.load(folder, expert_class=lambda **options: Colour(n_tokens=5))  # type: ignore[arg-type]
    (folder / "expert.safetensors").write_bytes((folder / "expert.safetensors").read_bytes()[:100])
    with pytest.raises(WeightsError, match="missing, broken or of another"):
        pv.load(folder, expert_class=Colour)
    (folder / "base" / "model.safetensors").rename(folder / "base" / "model.bin")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        pv.load(folder, expert_class=Colour)
    (folder / "prompted.json").write_text("[" * 60_000)
    with pytest.raises(WeightsError, match="nested too deep"):
        pv.taught(folder)
    (folder / "prompted.json").unlink()
    with pytest.raises(WeightsError, match=r"prompted\.json as its last file"):
        pv.load(folder, expert_class=Colour)
    with pytest.raises(WeightsError, match=r"prompted\.json as its last file"):
        pv.load(tmp_path / "nowhere")


def test_an_incomplete_base_is_refused(tmp_path: Any) -> None:
    model, processor = plain_of("internvl")
    state = {k: v for k, v in model.state_dict().items() if "layers.1.mlp" not in k}
    model.save_pretrained(tmp_path, state_dict=state)
    processor.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="is incomplete: 3 tensors"):
        pv.plain(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("os:system", "not imported because a file"), ("facewitness.models.nothing:Expert", "does not have")],
)
def test_a_class_of_a_file_is_not_imported_unless_it_is_ours(path: str, sentence: str) -> None:
    with pytest.raises(WeightsError, match=sentence):
        pv._expert_class(path)


def test_a_name_that_is_no_model_says_so(tmp_path: Any) -> None:
    with pytest.raises(WeightsError, match="There is no folder"):
        pv.plain(str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UnknownName, match=r"'bert'.*qwen2_5_vl"):
        pv.plain(str(tmp_path))


def test_a_prompted_model_can_be_pickled() -> None:
    model, processor = plain_of("internvl")
    pv.attach(model, Colour(), processor)
    inputs = batch("internvl", processor, (WITH, [photo(1)]))
    assert torch.equal(logits(pickle.loads(pickle.dumps(model)), inputs), logits(model, inputs))


# -- training ---------------------------------------------------------------------------------------------------------


def test_lora_trains_the_language_model_and_the_expert_alone(family: str, made: Any, tmp_path: Any) -> None:
    plain, processor = plain_of(family)
    plain.save_pretrained(tmp_path / "base")
    pv.attach(plain, Colour(), processor)
    inputs = batch(family, processor, (WITH, [photo(1)]), (WITHOUT, [photo(2)]))
    before = logits(plain, inputs)
    model = get_peft_model(plain, pv.language_lora(plain, rank=2, dropout=0.0))
    assert torch.equal(logits(model, inputs), before)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    learned = ("language_model.layers", "text_model.layers", "expert")
    learned += ("multi_modal_projector",) if family == "panda_gpt" else ()  # it begins at random
    assert all(any(part in n for part in learned) for n in trained)
    assert any("projector" in n for n in trained) == (family == "panda_gpt")
    assert len([n for n in trained if "lora_A" in n]) == 2 * 7
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):
        optimiser.zero_grad()
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        optimiser.step()
    model.eval()
    after = logits(model, inputs)
    assert not torch.allclose(after, before, atol=1e-3)
    with model.disable_adapter():  # the reference policy is the model before training, its expert too
        assert torch.equal(logits(model, inputs), before)

    with pytest.raises(InputError, match="merge_and_unload"):
        pv.save(model, processor, tmp_path / "adapted")
    pv.save(model, processor, tmp_path / "adapted", base=str(tmp_path / "base"))
    again, _ = pv.load(tmp_path / "adapted", expert_class=Colour, trainable=True)
    assert isinstance(again, PeftModel) and any(p.requires_grad for p in pv.expert_of(again).parameters())
    assert torch.allclose(logits(again.eval(), inputs), after, atol=1e-6)
    assert torch.equal(replies(again, inputs), replies(model, inputs))
    (tmp_path / "adapted" / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(WeightsError, match="adapter_model"):
        pv.load(tmp_path / "adapted", expert_class=Colour)

    merged = model.merge_and_unload()
    assert torch.allclose(logits(merged, inputs), after, atol=1e-4)
    pv.save(merged, processor, tmp_path / "merged")
    assert torch.allclose(logits(pv.load(tmp_path / "merged", expert_class=Colour)[0], inputs), after, atol=1e-4)


def test_what_the_expert_keeps_frozen_stays_frozen() -> None:
    model, processor = plain_of("internvl")
    expert = Colour()
    expert.detector = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    expert.detector.requires_grad_(False)
    pv.attach(model, expert, processor)
    assert pv.language_lora(model).modules_to_save == ["expert.project"]
    model = get_peft_model(model, pv.language_lora(model))
    assert not any(p.requires_grad for p in pv.expert_of(model).detector.parameters())
    assert pv.expert_of(model).project.modules_to_save["default"].weight.requires_grad
    expert = Colour()
    expert.project.requires_grad_(False)
    expert.base_prompts = nn.Parameter(torch.zeros(2))
    with pytest.raises(InputError, match="Put them into a submodule"):
        list(pv._trainable("expert", expert))


def dataset(rows: int, **columns: Any) -> Any:
    from datasets import Dataset

    prompts = [[{"role": "user", "content": "<forgery>" * N + f" Is this face real? {i}"}] for i in range(rows)]
    return Dataset.from_dict({"prompt": prompts, "images": [[photo(i)] for i in range(rows)], **columns})


def arguments(tmp_path: Any) -> dict[str, Any]:
    return {
        "output_dir": str(tmp_path),
        "max_steps": 2,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
    }


# one family with LoRA and one without in the quick run; all of them with `-m slow`
TRAINED = [
    pytest.param(
        family,
        lora,
        id=f"{family}-{'lora' if lora else 'full'}",
        marks=[] if (family, lora) in (("qwen2_5_vl", True), ("internvl", False)) else pytest.mark.slow,
    )
    for family in pv.FAMILIES
    for lora in (False, True)
]


@pytest.mark.parametrize(("kind", "lora"), TRAINED)
def test_a_step_of_sft_moves_the_expert(kind: str, lora: bool, tmp_path: Any) -> None:
    from trl import SFTConfig, SFTTrainer

    model, processor = plain_of(kind)
    pv.attach(model, Colour(), processor)
    before = pv.expert_of(model).project.weight.detach().clone()
    replies_ = [[{"role": "assistant", "content": text}] for text in ("Real.", "The nose is fake.", "Real.", "Fake.")]
    trainer = SFTTrainer(
        model,
        args=SFTConfig(**arguments(tmp_path), max_length=None),
        train_dataset=dataset(4, completion=replies_),
        processing_class=processor,
        peft_config=pv.language_lora(model, rank=2) if lora else None,
    )
    trainer.train()
    expert = pv.expert_of(trainer.model)
    after = (expert.modules_to_save["default"] if lora else expert).project.weight
    assert (after - before).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "lora"), TRAINED)
def test_training_resumed_from_a_checkpoint_ends_the_same(kind: str, lora: bool, tmp_path: Any) -> None:
    from trl import SFTConfig, SFTTrainer

    def trainer() -> Any:
        model, processor = plain_of(kind)
        pv.attach(model, Colour(), processor)
        said = [[{"role": "assistant", "content": text}] for text in ("Real.", "The nose is fake.", "Real.", "Fake.")]
        return SFTTrainer(
            model,
            args=SFTConfig(**arguments(tmp_path) | {"save_strategy": "steps", "save_steps": 1}, max_length=None),
            train_dataset=dataset(4, completion=said),
            processing_class=processor,
            peft_config=pv.language_lora(model, rank=2, dropout=0.0) if lora else None,
        )

    torch.manual_seed(1)
    straight = trainer()
    straight.train()
    torch.manual_seed(2)
    resumed = trainer()
    with torch.no_grad():
        pv.expert_of(resumed.model).project.weight.zero_()  # so that only the checkpoint can bring it back
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    for (name, a), (_, b) in zip(straight.model.named_parameters(), resumed.model.named_parameters(), strict=True):
        if "original_module" not in name:
            assert torch.allclose(a, b, atol=1e-6), name


@pytest.mark.parametrize(("kind", "lora"), TRAINED)
def test_a_step_of_grpo_moves_the_expert(kind: str, lora: bool, tmp_path: Any) -> None:
    from trl import GRPOConfig, GRPOTrainer

    model, processor = plain_of(kind)
    pv.attach(model, Colour(), processor)
    before = pv.expert_of(model).project.weight.detach().clone()
    said: list[int] = []

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        said.extend(i for ids in completion_ids for i in ids)
        return [sum(i % 2 for i in ids) / len(ids) for ids in completion_ids]

    trainer = GRPOTrainer(
        model,
        reward_funcs=reward,
        args=GRPOConfig(
            **arguments(tmp_path),
            num_generations=2,
            max_completion_length=6,
            beta=0.1 if lora else 0.0,
            generation_kwargs={"suppress_tokens": pv.unspoken(model)},
        ),
        train_dataset=dataset(4),
        processing_class=processor,
        peft_config=pv.language_lora(model, rank=2) if lora else None,
    )
    trainer.train()
    expert = pv.expert_of(trainer.model)
    after = (expert.modules_to_save["default"] if lora else expert).project.weight
    assert (after - before).abs().max() > 1e-3
    assert said and not set(said) & set(pv.unspoken(trainer.model))


def test_a_name_on_the_hub_without_a_network_says_so_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with socket.socket() as closed:  # a port where nobody listens
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(WeightsError, match=r"no folder here and not complete in the hub's cache, and the hub cannot"):
        pv.plain("someone/some-model")
    assert sum(slept) < 5, "transformers by itself tries for half a minute"


# -- a language model of text alone, given eyes -----------------------------------------------------------------------


def halves(folder: Any, kind: str = "llama") -> tuple[str, str]:
    """A tiny language model and a tiny CLIP, saved as any other."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of("panda_gpt")
    tokenizer.chat_template = None
    text = TEXT | {"vocab_size": ROWS, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = {"llama": LlamaConfig, "qwen2": Qwen2Config, "gpt2": GPT2Config}[kind](**text, tie_word_embeddings=False)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / kind)
    tokenizer.save_pretrained(folder / kind)
    tower = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    CLIPVisionModel(CLIPVisionConfig(**tower, image_size=28, patch_size=14)).save_pretrained(folder / "clip")
    return str(folder / kind), str(folder / "clip")


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_language_model_of_text_gets_eyes_and_is_one_of_the_families(kind: str, tmp_path: Any) -> None:
    language, eyes = halves(tmp_path, kind)
    model, processor = panda.make(language, eyes)
    alone = AutoModelForCausalLM.from_pretrained(language)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.allclose(logits(model, {"input_ids": ids}), logits(alone, {"input_ids": ids}), atol=1e-5)
    model.save_pretrained(tmp_path / "panda")
    processor.save_pretrained(tmp_path / "panda")
    back, its = pv.plain(str(tmp_path / "panda"))
    assert back.config.model_type == "panda_gpt" and its.tokenizer.convert_tokens_to_ids("<image>") > 0
    prompt = its.apply_chat_template(pv.conversation(back, "Is it real?"), add_generation_prompt=True, tokenize=False)
    assert prompt == "###Human: <Img><image></Img>Is it real? ###Assistant: "
    inputs = its(images=[photo(1)], text=[prompt], return_tensors="pt")
    assert (inputs["input_ids"] == back.config.image_token_id).sum() == 1, "a picture is one token"
    assert pv.answers(back, its, [np.array(photo(1))], ["Is it real?"], 4) is not None
    half, _ = pv.plain(str(tmp_path / "panda"), dtype=torch.bfloat16)  # what learns as a whole keeps its small steps
    kinds = {name: weights.dtype for name, weights in half.named_parameters()}
    assert {kind for name, kind in kinds.items() if "projector" in name} == {torch.float32}
    assert {kind for name, kind in kinds.items() if "projector" not in name} == {torch.bfloat16}
    assert pv.answers(half, its, [np.array(photo(1))], ["Is it real?"], 4) is not None
    pv.attach(back, Colour(), its)
    assert not torch.equal(
        logits(back, its(images=[photo(1)], text=[prompt.replace("Is", "<forgery>" * N)], return_tensors="pt")),
        logits(back, its(images=[photo(2)], text=[prompt.replace("Is", "<forgery>" * N)], return_tensors="pt")),
    )


def test_the_command_gives_eyes_and_says_what_is_wrong(tmp_path: Any, capsys: Any) -> None:
    language, eyes = halves(tmp_path)
    out = tmp_path / "panda"
    assert main(["build", "panda", language, "--eyes", eyes, "--out", str(out)]) == 0
    assert "a token for each picture" in capsys.readouterr().out
    assert pv.plain(str(out))[0].config.model_type == "panda_gpt"
    assert main(["build", "panda", eyes, "--eyes", eyes, "--out", str(out)]) == 2
    assert "family of language models that read text alone" in capsys.readouterr().err
    for written, sentence in (
        ("null", "expected config.json with names and values, {…}, got null. Fetch or copy them again."),
        ('["llama"]', 'got ["llama"]. Fetch'),
    ):
        (tmp_path / "llama" / "config.json").write_text(written)
        assert main(["build", "panda", language, "--eyes", eyes, "--out", str(out)]) == 2
        assert sentence in capsys.readouterr().err


def test_another_language_model_is_refused_and_so_is_half_a_one(tmp_path: Any) -> None:
    language, eyes = halves(tmp_path, "gpt2")
    with pytest.raises(UnknownName, match="llama"):
        panda.make(language, eyes)
    language, eyes = halves(tmp_path, "llama")
    with pytest.raises(WeightsError):
        panda.make(language, str(tmp_path / "nothing"))
    (tmp_path / "llama" / "model.safetensors").unlink()
    with pytest.raises(WeightsError):
        panda.make(language, eyes)


def test_a_llava_of_an_early_conversion_is_told_its_picture_tokens_and_phis_turns():
    model, _ = plain_of("llava")
    tokenizer = tokenizer_of("llava")
    tokenizer.chat_template = None
    bare = pv.completed(LlavaProcessor(CLIPImageProcessor(), tokenizer), model.config)
    assert bare.chat_template is None, "whose turns nobody knows are not guessed"
    assert (bare.patch_size, bare.num_additional_image_tokens, bare.vision_feature_select_strategy) == (
        14,
        1,
        "default",
    )
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|user|>", "<|assistant|>", "<|end|>"]})
    phi = pv.completed(LlavaProcessor(CLIPImageProcessor(), tokenizer), model.config)
    text = phi.apply_chat_template([pv.turn(model, "Is it fake?")], add_generation_prompt=True, tokenize=False)
    assert text == "<|user|>\n<image>\nIs it fake?<|end|>\n<|assistant|>\n"
    given = plain_of("llava")[1]
    assert pv.completed(given, model.config).chat_template == template_of("llava"), "what a processor has is kept"


class Letters:
    """A tokenizer whose tokens are letters."""

    @staticmethod
    def batch_decode(rows):
        return ["".join(chr(97 + int(token)) for token in row) for row in rows]


def test_between_two_markers_tokens_are_drawn_and_elsewhere_they_are_the_likeliest():
    def tokens(*rows):
        return torch.tensor([[ord(letter) - 97 for letter in row] for row in rows])

    def chosen(rule, *rows):
        left = rule(tokens(*rows), likely.repeat(len(rows), 1))
        assert (left.isfinite().sum(1) == 1).all(), "one token a row is left"
        return left.argmax(1)

    likely = torch.tensor([[0.0, 0.5, 1.0, 0.0]])
    rule = pv._Between(Letters, 1, ("ab", "ba"), 1.0, 7)
    assert chosen(rule, "xa", "ba").tolist() == [2, 2], "a marker in the prompt is none"
    before = torch.random.get_rng_state()
    draws = torch.stack([chosen(rule, "xab", "bac") for _ in range(3000)])
    assert (draws[:, 1] == 2).all()
    shares = draws[:, 0].bincount(minlength=4) / len(draws)
    assert torch.allclose(shares, likely[0].softmax(0), atol=0.03), "by the softmax"
    assert torch.equal(before, torch.random.get_rng_state()), "by a chance of its own"
    assert (torch.stack([chosen(rule, "xabba", "bacaa") for _ in range(50)]) == 2).all(), "both markers stand there"
    colder = pv._Between(Letters, 1, ("ab", "ba"), 0.05, 7)
    assert (torch.stack([chosen(colder, "xab") for _ in range(200)]) == 2).float().mean() > 0.95
    again = [pv._Between(Letters, 1, ("ab", "ba"), 1.0, seed) for seed in (7, 7, 8)]
    one, same, other = ([int(chosen(each, "xab")) for _ in range(30)] for each in again)
    assert one == same != other
