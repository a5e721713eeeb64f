"""A language model that reads text alone, given eyes: PandaGPT's shape, which KFD's authors built on.

Su et al., "PandaGPT: One Model To Instruction-Follow Them All" (2023): the pooled embedding of an image encoder, one
linear layer to the language model's width, and there it stands in the prompt as one token,

    ###Human: <Img>E_visual</Img> … ###Assistant:

PandaGPT's encoder is ImageBind's, whose image tower is OpenCLIP's ViT-H/14; here it is any CLIP's vision tower by name.

    model, processor = make("HuggingFaceTB/SmolLM2-135M-Instruct", "openai/clip-vit-base-patch32")
    model.save_pretrained("panda"); processor.save_pretrained("panda")        a folder for train/sft, as any other

Names that fit: `lmsys` publishes Vicuna-7B as pickles, which are never read, so it is taken out of
llava-hf/llava-v1.6-vicuna-7b-hf; meta-llama/Llama-3.2-1B-Instruct and -3B-Instruct (table 6; their terms have to be
accepted); Qwen/Qwen2.5-0.5B-Instruct and HuggingFaceTB/SmolLM2-135M-Instruct for a CPU. The linear layer begins at
random, and `train/sft` trains it with the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facewitness.models import _hub, _torchvision  # noqa: F401  (transformers' image processors import torchvision)

from tokenizers import AddedToken  # isort: skip
from transformers import (  # isort: skip
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    CLIPImageProcessor,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)
from transformers.models.llava.modeling_llava import LlavaModel, LlavaPreTrainedModel  # isort: skip

from facewitness.errors import InputError, UnknownName, WeightsError

LANGUAGES = ("llama", "qwen2", "qwen3", "llava_next")  # transformers' model types; the last for Vicuna
IMAGE = "<image>"
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}###Human: {% elif m.role == 'assistant' %}###Assistant: "
    "{% endif %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
    "{% if c.type == 'image' %}<Img>" + IMAGE + "</Img>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}###Assistant: {% endif %}"
)


class PandaConfig(LlavaConfig):
    """As LLaVA's, of a model whose picture is one token."""

    model_type = "panda_gpt"


class PandaModel(LlavaModel):
    """A vision tower, one linear layer, and a language model.

    Args:
        config: Of both, as LLaVA's.
    """

    config_class = PandaConfig
    # It begins at random and is trained as a whole: in 16 bits a step of 1e-4 is lost on all but its smallest weights.
    _keep_in_fp32_modules_strict = ("multi_modal_projector",)

    def __init__(self, config: PandaConfig):
        LlavaPreTrainedModel.__init__(self, config)
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.multi_modal_projector = nn.Linear(config.vision_config.hidden_size, config.text_config.hidden_size)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> Any:
        """(B, 3, S, S) as the processor normalised them → `pooler_output`, for each picture (1, width).

        Args:
            pixel_values: (B, 3, S, S), as the processor normalised them.
            **kwargs: Ignored; transformers passes them.

        Returns:
            With `pooler_output`.
        """
        outputs = self.vision_tower(pixel_values.to(self.vision_tower.dtype), return_dict=True)
        pooled = outputs.pooler_output.to(self.multi_modal_projector.weight.dtype)
        outputs.pooler_output = list(self.multi_modal_projector(pooled)[:, None])
        return outputs


class PandaForConditionalGeneration(LlavaForConditionalGeneration):
    """The same with a head over the vocabulary.

    Args:
        config: Of both, as LLaVA's.
    """

    config_class = PandaConfig

    def __init__(self, config: PandaConfig):
        LlavaPreTrainedModel.__init__(self, config)
        self.model = PandaModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()


AutoConfig.register("panda_gpt", PandaConfig, exist_ok=True)
AutoModelForImageTextToText.register(PandaConfig, PandaForConditionalGeneration, exist_ok=True)


def make(language: str, eyes: str, revision: str | None = None, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """A model of two trained halves and a random linear layer between them, in evaluation mode, and its processor.

    Args:
        language: Hub name or folder of a language model of `LANGUAGES`.
        eyes: Hub name or folder of a CLIP, whose vision tower is taken.
        revision: Of the language model.
        seed: Of the linear layer.
        options: For `from_pretrained`, such as dtype.

    Returns:
        The model, and its processor.

    Raises:
        UnknownName: The language model is of another kind.
        WeightsError: One of the two cannot be had, is incomplete, or its tokenizer has no end of a text.
    """
    speaker, tokenizer = _speaker(language, revision, options)
    seeing, size = _eyes(eyes, options)
    tokenizer.add_tokens([AddedToken(IMAGE, special=True, normalized=False)], special_tokens=True)
    inner, head = speaker
    rows = inner.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(f"'{language}': expected a spare row for {IMAGE}, and its {rows} embeddings are all taken")
    torch.manual_seed(seed)
    config = PandaConfig(
        vision_config=seeing.config,
        text_config=inner.config,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=1,
        tie_word_embeddings=bool(getattr(inner.config, "tie_word_embeddings", False)),
    )
    model = PandaForConditionalGeneration(config).to(inner.get_input_embeddings().weight.dtype).eval()
    model.model.vision_tower.load_state_dict(seeing.state_dict())
    model.model.language_model.load_state_dict(inner.state_dict())
    model.lm_head.load_state_dict(head.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor(tokenizer, size)


def processor(tokenizer: Any, size: int) -> Any:
    """A picture is one token: a patch as large as the picture.

    Args:
        tokenizer: Of the language model.
        size: Side of the pictures, pixels.
    """
    tokenizer.padding_side = "left"
    pictures = CLIPImageProcessor(
        size={"height": size, "width": size}, do_center_crop=False, crop_size={"height": size, "width": size}
    )
    return LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=size,
        vision_feature_select_strategy="full",
        image_token=IMAGE,
        num_additional_image_tokens=0,
        chat_template=TEMPLATE,
    )


def _speaker(name: str, revision: str | None, options: dict[str, Any]) -> tuple[tuple[Any, Any], Any]:
    """((the language model without its head, its head), its tokenizer)."""
    folder = _located(name, revision)
    kind = _hub.part(AutoConfig, folder, f"The model '{name}'", "Fetch or copy it again.").model_type
    if kind not in LANGUAGES:
        raise UnknownName("family of language models that read text alone", kind, LANGUAGES)
    whole = _loaded(
        AutoModelForImageTextToText if kind == "llava_next" else AutoModelForCausalLM, folder, name, options
    )
    inner = whole.model.language_model if kind == "llava_next" else whole.model
    tokenizer = _hub.part(AutoTokenizer, folder, f"The model '{name}'", "Fetch or copy it again.")
    if tokenizer.eos_token is None:
        raise WeightsError(f"'{name}': expected a tokenizer with an end of a text, and it has none.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return (inner, whole.lm_head), tokenizer


def _eyes(name: str, options: dict[str, Any]) -> tuple[Any, int]:
    tower = _loaded(CLIPVisionModel, _located(name, None), name, options)
    return tower, int(tower.config.image_size)


def _located(name: str, revision: str | None) -> Path:
    return _hub.whole(name, revision)


def _loaded(kind: Any, folder: Path, name: str, options: dict[str, Any]) -> Any:
    return _hub.loaded(kind, folder, f"The model '{name}'", "Fetch or copy it again.", **options).eval()
