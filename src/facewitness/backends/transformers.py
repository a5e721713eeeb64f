"""A language model, or one that sees pictures too, run on this machine with Hugging Face transformers.

    facewitness ask photo.jpg "Is the nose fake?" --backend transformers \\
        --option transformers.model=Qwen/Qwen2.5-VL-3B-Instruct

Nothing leaves the machine. `load` does everything that can fail for the model's sake: it finds the folder or fetches
the repository, checks that it is complete, and reads the weights. Only safetensors are read, code that a repository
brings is never run, and what a message says is never taken for a control token of the chat template.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image

from facewitness.backends import Message, Say, checked, pieces
from facewitness.errors import BackendError, FacewitnessError, InputError, WeightsError, renamed
from facewitness.models import (
    _hub,
    _torchvision,  # noqa: F401  (transformers' image processors import torchvision)
)

_DTYPES = ("auto", "float32", "bfloat16", "float16")


def load(
    model: str = "",
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_tokens: int = 512,
    temperature: float = 0.0,
    seed: int = 0,
    timeout: float | None = None,
    side: int = 1024,
    blind: bool = False,
    most_tokens: int | None = None,
) -> Local:
    """A model that is ready to be asked.

    Args:
        model: A folder that `save_pretrained` wrote, or a name on the hub; fetched into the hub's cache, and taken from
            there without a network or where the environment variable HF_HUB_OFFLINE is set.
        revision: Branch, tag or commit on the hub ("main").
        device: "cpu", "cuda", "cuda:1", "mps"; "auto" is all GPUs there are, else the CPU.
        dtype: Of the weights: "float32", "bfloat16" or "float16"; "auto" is what they are stored in.
        max_tokens: At most so many tokens of answer; it breaks off there.
        temperature: 0 always takes the likeliest token; else tokens are drawn, from `seed` anew for each answer.
        seed: Of the tokens that are drawn.
        timeout: Seconds for an answer. The model itself stops after the step it is at, and only then answers again.
        side: Pixels: larger pictures are made smaller before they are shown.
        blind: Show no pictures, so that a model that reads only text can word what the messages say.
        most_tokens: The name that max_tokens had before; still read.

    Raises:
        InputError: For an option that cannot be.
        WeightsError: Where the model cannot be had or is not complete.
    """
    if not model or not isinstance(model, str):
        raise InputError(f"transformers: expected a model, such as --option transformers.model={_hub.EXAMPLE}")
    if dtype not in _DTYPES:
        raise InputError(f"transformers: expected dtype to be one of {', '.join(_DTYPES)}, got {dtype!r}")
    max_tokens = renamed("transformers", "most_tokens", most_tokens, "max_tokens", max_tokens)
    for name, value, least in (
        ("max_tokens", max_tokens, 1), ("temperature", temperature, 0), ("seed", seed, 0), ("side", side, 1),
        ("timeout", 1 if timeout is None else timeout, 0.001),
    ):  # fmt: skip
        if not isinstance(value, int | float) or not least <= value < float("inf"):
            raise InputError(f"transformers: expected {name} as a number of at least {least}, got {value!r}")
    options = {
        "dtype": dtype, "max_tokens": int(max_tokens), "temperature": float(temperature), "seed": int(seed),
        "timeout": timeout, "side": int(side), "blind": bool(blind),
    }  # fmt: skip
    return Local(model, revision, _device(device), options)


class Local:
    """A model of this machine; one question at a time, others wait."""

    name = "transformers"

    def __init__(self, model: str, revision: str | None, device: str, options: dict[str, Any]):
        self.model, self.options = model, options
        if not sys.stderr.isatty():
            transformers.utils.logging.disable_progress_bar()  # standard error is for what is wrong
        folder, commit = _hub.located(model, revision)
        config = _settings(folder, model)
        kind = _kind(config, model)
        self.sees = kind is transformers.AutoModelForImageTextToText
        self._processor = _processor(folder, model, self.sees)
        self._tokenizer = getattr(self._processor, "tokenizer", self._processor)
        if self.sees:
            _hub.reads_pictures(self._processor, getattr(config, "image_token_id", None), model)
        names = _weight_files(folder)
        if commit is not None:  # what is small was right, so now the gigabytes
            _hub.fetched(model, commit, names)
        _check_weights(folder, names, model)
        self._source: dict[str, Any] = {"model": model, "revision": revision, "commit": commit}
        if commit is None:  # no commit vouches for a folder, so every file that decides an answer is hashed
            files = {path.name for pattern in _hub.SMALL for path in folder.glob(pattern)} | set(names)
            self._source["sha256"] = {name: _sha256(folder / name) for name in sorted(files)}
        self._network = _network(kind, folder, model, device, options["dtype"])
        self._decide(self._network.generation_config)
        self.window: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._lock = threading.Lock()

    def _decide(self, settings: Any) -> None:
        """Put our options into the model's own settings for answering; its penalties stay as its makers chose them."""
        settings.max_new_tokens, settings.max_length = self.options["max_tokens"], None
        settings.num_beams = settings.num_return_sequences = 1  # beams cannot be streamed
        settings.return_dict_in_generate = False
        settings.do_sample = self.options["temperature"] > 0
        settings.temperature = self.options["temperature"] or None
        if not settings.do_sample:
            settings.top_k = settings.top_p = settings.min_p = settings.typical_p = None
        if settings.pad_token_id is None:
            ends = settings.eos_token_id
            settings.pad_token_id = ends[0] if isinstance(ends, list) else ends

    def made_by(self) -> dict[str, Any]:
        """Model, commit on the hub or SHA-256 of the folder's files, options, and the settings of its generation.

        Returns:
            JSON-ready.
        """
        return {
            "name": self.name, **self._source, **self.options, "device": str(self._network.device),
            "generation": self._network.generation_config.to_diff_dict(), "transformers": transformers.__version__,
        }  # fmt: skip

    def ask(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> str:
        """The model's answer, stripped.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).

        Raises:
            InputError: For a conversation or a picture that is none.
            BackendError: For pictures the model cannot see, a prompt beyond its context window, an empty answer, and
                after `timeout`.
        """
        return "".join(self.stream(messages, images)).strip()

    def stream(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> Generator[str]:
        """The answer piece by piece as it grows; closing the generator stops the model. Raises what `ask` raises.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        """
        conversation, words = self._conversation(checked(messages), images), False
        try:
            # daemon: a template's loops hear of nothing, and the program is not to wait for them
            for piece in pieces(lambda say: self._answer(conversation, say), self.options["timeout"], daemon=True):
                words = words or bool(piece.strip())
                yield piece
        except TimeoutError:
            raise BackendError(
                f"transformers: '{self.model}' did not answer within {self.options['timeout']:g} s. Try --option "
                "transformers.timeout=300, fewer max_tokens, a smaller side, or a smaller model."
            ) from None
        except FacewitnessError:
            raise
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"transformers: the memory of {self._network.device} does not suffice for this conversation with "
                f"'{self.model}'. Try a smaller --option transformers.side=512, or a smaller model."
            ) from error
        except Exception as error:  # whatever the model's thread came to, at the door it is one sentence
            raise BackendError(f"transformers: '{self.model}' failed while answering ({_hub.first(error)}).") from error
        if not words:
            raise BackendError(f"transformers: '{self.model}' answered without a text. Ask in other words.")

    def _conversation(
        self, messages: list[dict[str, str]], images: Sequence[NDArray[np.uint8]]
    ) -> list[dict[str, Any]]:
        """The messages as the chat template wants them, with the pictures before the first user's text."""
        pictures = [] if self.options["blind"] else [_picture(image, self.options["side"]) for image in images]
        if pictures and not self.sees:
            raise BackendError(
                f"transformers: '{self.model}' reads text and cannot see pictures. Choose a model that can, such as "
                f"{_hub.EXAMPLE}, or leave the pictures out by --option transformers.blind=true."
            )
        if not self.sees:
            return [dict(m) for m in messages]
        conversation: list[dict[str, Any]] = [
            {"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in messages
        ]
        first = next(m for m in conversation if m["role"] == "user")
        first["content"] = [*({"type": "image", "image": p} for p in pictures), *first["content"]]
        return conversation

    def _answer(self, conversation: list[dict[str, Any]], say: Say) -> None:
        """In the model's thread."""
        with self._lock:
            inputs = self._inputs(conversation)
            # Forked: the caller's random numbers stay what they were.
            with torch.random.fork_rng(range(torch.cuda.device_count())):
                torch.manual_seed(self.options["seed"])
                self._network.generate(**inputs, streamer=_Words(self._tokenizer, say))

    def _inputs(self, conversation: list[dict[str, Any]]) -> dict[str, Any]:
        """What the network takes. Raises BackendError for a prompt that it does not."""
        try:
            try:  # "<|im_end|>" in a question is text and not the end of the turn
                inputs = self._templated(conversation, sanitize_control_tokens=True)
            except NotImplementedError:  # where not the template but the tokenizer writes the first token (LLaVA's)
                self._refuse_control_tokens(conversation)
                inputs = self._templated(conversation)
        except BackendError:
            raise
        except Exception as error:  # a template may raise anything, and so do image processors
            raise BackendError(
                f"transformers: the chat template or the image processor of '{self.model}' refuses this conversation "
                f"({_hub.first(error)}). Ask without what it names, or choose another model."
            ) from error
        length, longest = inputs["input_ids"].shape[-1], self.options["max_tokens"]
        if self.window is not None and length + longest > self.window:
            raise BackendError(
                f"transformers: the prompt has {length:,} tokens, pictures included, and the answer may have "
                f"{longest:,}; '{self.model}' takes {self.window:,} together. Shorten the conversation, or lower "
                "transformers.max_tokens or transformers.side."
            )
        dtype, device = self._network.dtype, self._network.device
        tensors = {k: v.to(device) for k, v in inputs.items() if isinstance(v, torch.Tensor)}
        return {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}

    def _templated(self, conversation: list[dict[str, Any]], **options: Any) -> Any:
        return self._processor.apply_chat_template(
            conversation, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True, **options
        )

    def _refuse_control_tokens(self, conversation: list[dict[str, Any]]) -> None:
        control = [token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special]
        texts = [json.dumps(m["content"], default=str, ensure_ascii=False) for m in conversation]
        if odd := [token for token in control if any(token in text for text in texts)]:
            raise BackendError(
                f"transformers: a message holds '{odd[0]}', by which '{self.model}' is steered. Leave it out."
            )


class _Words(transformers.generation.streamers.BaseStreamer):  # type: ignore[misc]  # the package counts as untyped
    """Says the growing text of the tokens that `generate` puts here.

    Decodes from the first token each time: TextIteratorStreamer of transformers starts anew at every line, where
    SentencePiece's decoders lose a space.
    """

    def __init__(self, tokenizer: Any, say: Say):
        self._tokenizer, self._say = tokenizer, say
        self._tokens, self._sent, self._prompted = list[int](), "", False

    def put(self, value: torch.Tensor) -> None:
        """Called with the prompt, then with each token."""
        if self._prompted:
            self._tokens += value.flatten().tolist()
        self._prompted = True
        self._spell(ended=False)

    def end(self) -> None:
        """Called after the last token."""
        self._spell(ended=True)

    def _spell(self, ended: bool) -> None:
        text = self._tokenizer.decode(self._tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        whole = ended or not text.endswith("\ufffd")  # half a character: its other bytes are in the next token
        self._say(text[len(self._sent) :] if whole else "")
        self._sent = text if whole else self._sent


# ------------------------------------------------------------------------------------------------- finding and checking


def _device(name: str) -> str:
    if name == "auto":
        return "auto" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"transformers: expected a device of this machine, such as cpu or auto, got {name!r} ({_hub.first(error)})"
        ) from error
    return name


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turns what transformers and tokenizers raise over a broken file, OSError to bare Exception, into WeightsError."""
    loud = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # its tables of missing tensors come before our sentence
    try:
        yield
    except FacewitnessError:
        raise
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise WeightsError(
                f"{what} need code of their own, which is never run. Choose a model that transformers itself knows."
            ) from error
        raise WeightsError(f"{what} cannot be read ({_hub.first(error)}). Fetch or copy the model again.") from error
    finally:
        transformers.logging.set_verbosity(loud)


def _settings(folder: Path, model: str) -> Any:
    """The config, of a folder that is a whole model and nothing else."""
    if not (folder / "config.json").is_file():
        inner = sorted(path.parent.name for path in folder.glob("*/config.json"))
        hint = f" Did you mean '{folder / inner[-1]}'?" if inner else ""
        raise WeightsError(f"'{model}' has no config.json.{hint} Expected a folder that save_pretrained wrote.")
    with _readable(f"The settings of '{model}'"):
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _kind(config: Any, model: str) -> Any:
    """The class that loads it: one that sees, or one that reads."""
    if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return transformers.AutoModelForImageTextToText
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    raise WeightsError(
        f"'{model}' is a model of the kind {config.model_type}, which answers no questions. Choose a language model, "
        f"such as {_hub.EXAMPLE}."
    )


def _processor(folder: Path, model: str, sees: bool) -> Any:
    """The processor of a model that sees, the tokenizer of one that reads, with a chat template."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")) and not any(
        folder.glob("*.model")
    ):
        raise WeightsError(f"'{model}' has no tokenizer. Save it too: tokenizer.save_pretrained(folder).")
    auto = transformers.AutoProcessor if sees else transformers.AutoTokenizer
    with _readable(f"The tokenizer and processor of '{model}'"):
        processor = auto.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if sees and not hasattr(processor, "image_processor"):  # else AutoProcessor gives only the tokenizer, and no word
        raise WeightsError(
            f"'{model}' sees pictures but has no image processor that can be read. Save it too: "
            "processor.save_pretrained(folder)."
        )
    if not processor.chat_template:
        raise WeightsError(
            f"'{model}' has no chat template, so it is not made for conversation. Choose its Instruct or Chat version."
        )
    return processor


def _weight_files(folder: Path) -> list[str]:
    """Names of the safetensors that will be read, there or not; shards where an index lists them."""
    index = folder / _hub.INDEX
    if (folder / _hub.WHOLE).is_file() or not index.is_file():
        return [_hub.WHOLE]
    with _readable(f"The list of weights '{index}'"):
        return sorted(set(map(str, json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())))


def _check_weights(folder: Path, names: list[str], model: str) -> None:
    odd = [name for name in names if not name.endswith(".safetensors") or Path(name).name != name]
    if odd:
        raise WeightsError(f"'{model}': expected {_hub.INDEX} to name safetensors beside it, got '{odd[0]}'.")
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return
    if names != [_hub.WHOLE]:
        raise WeightsError(
            f"'{model}' is incomplete: {len(missing)} of {len(names)} files of weights are missing, the first is "
            f"'{missing[0]}'. Fetch or copy the folder again."
        )
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _hub.PICKLES)
    if pickles:
        raise WeightsError(
            f"'{model}' holds its weights only as '{pickles[0]}', a file{_hub.AFRAID} If you trust it, load it "
            "elsewhere and write safetensors with save_pretrained."
        )
    raise WeightsError(f"'{model}' has no weights: expected {_hub.WHOLE} beside config.json. Fetch or copy them too.")


def _sha256(path: Path) -> str:
    with _readable(f"'{path}'"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _network(kind: Any, folder: Path, model: str, device: str, dtype: str) -> Any:
    """The network in evaluation mode, on its device."""
    with _readable(f"The weights of '{model}'"):
        _hub.layered(folder, f"The weights of '{model}'")
        try:
            network, loading = kind.from_pretrained(
                folder, dtype=dtype, device_map=device, use_safetensors=True, trust_remote_code=False,
                local_files_only=True, output_loading_info=True,
            )  # fmt: skip
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise WeightsError(
                f"The memory of '{device}' does not suffice for '{model}'. Try a smaller model, another "
                "transformers.device, or --option transformers.dtype=bfloat16."
            ) from error
    if missing := sorted(loading["missing_keys"]):
        raise WeightsError(
            f"'{model}' is incomplete: {len(missing)} tensors are missing, the first is {missing[0]}. Fetch or copy it "
            "again."
        )
    _hub.finite(network, f"'{model}'")
    network = network.eval()
    network.generation_config = copy.deepcopy(network.generation_config)
    return network


# ---------------------------------------------------------------------------------------------------------------- parts


def _picture(image: NDArray[np.uint8], side: int) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"backend: expected images as uint8 (H, W, 3), got {image.dtype} {image.shape}")
    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    return picture
