"""Words to numbers and back: the tokenizers of a network that reads reports and writes them.

A network of the hub has two, the Q-Former's (BERT's word pieces) and the language model's; a small one has a single
byte-level BPE, learned from the very reports it is taught, which can write any text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facewitness.errors import WeightsError
from facewitness.files import write_whole
from facewitness.models import _saved, _torchvision  # noqa: F401  (transformers imports torchvision)

# isort: split
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, END, MASK = "<pad>", "<end>", "<mask>"  # ids 0, 1 and 2
_PIECE = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+"  # what no token reaches out of; a digit is one
Spans = Callable[[str], Sequence[tuple[int, int]]]  # where a text names a region, as (begin, end)


def network_of(kind: type[Any], path: Path, name: str, tables: Sequence[str], settings: Sequence[str]) -> Any:
    """A saved network that reads and writes, in evaluation mode: card, words, settings, tensors.

    Args:
        kind: The network's class; it takes its settings and its `Reader`.
        path: Of the .safetensors; its card lies beside it.
        name: What the card calls the network.
        tables: Settings of its card that are tables.
        settings: Its other settings.

    Returns:
        The network.

    Raises:
        WeightsError: A file is missing, damaged, or not what its card says.
    """
    card, tensors = _saved.read(path, name, ["network", "words"])
    tensors = {**_saved.borrowed(path, card, "encoder."), **tensors}
    reader = Reader.load(path, card["words"])
    with _saved.settings_of(path):
        if not isinstance(card["network"], Mapping):
            raise TypeError(f"expected a table, got {card['network']!r}")
        _saved.plain(card["network"], tables, settings)
        _saved.sized(card["network"], tensors, path)
        with torch.device("meta"):  # shapes alone: what does not fit its file asks for no memory
            blank = kind(card["network"], reader)
        _saved.fits(blank.state_dict(), _saved.shared(blank, tensors), path)
        network = kind(card["network"], reader)
    _saved.fill(network, _saved.shared(network, tensors), path)
    network.sha256 = card["sha256"]
    return network.eval()


def learned(sentences: Iterable[str], rows: int, further: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `rows` tokens; `further` are tokens of their own, such as [SEG]."""
    raw = byte_pairs(sentences, rows, [PAD, END, MASK, *further], _PIECE)
    raw.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return fast(raw, further)


def byte_pairs(sentences: Iterable[str], rows: int, special: Sequence[str], piece: str) -> Tokenizer:
    """Byte-level BPE of at most `rows` tokens learned from sentences; it can write any text.

    Args:
        sentences: What it is learned from.
        rows: Tokens at most, the special ones with them.
        special: Tokens of their own, the first ids in their order.
        piece: A regular expression of what no token reaches out of.
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(piece), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=rows, special_tokens=list(special), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    raw.train_from_iterator(sentences, trainer)
    return raw


def fast(raw: Tokenizer, further: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """transformers' tokenizer around it."""
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=PAD, eos_token=END, mask_token=MASK,
        additional_special_tokens=list(further), padding_side="right",
    )  # fmt: skip


class Reader:
    """The tokenizers of a network.

    Args:
        queries: What the Q-Former reads with.
        language: What the language model reads and writes with; the same by default.
        spans: Where a text names a region, for masking; by default it names none.
    """

    def __init__(self, queries: Any, language: Any = None, spans: Spans | None = None):
        self.queries, self.language = queries, queries if language is None else language
        self.spans: Spans = spans or (lambda text: ())

    @classmethod
    def none(cls) -> Reader:
        """One that reads nothing, for a network that is only to be counted."""
        return cls(None)

    def read(self, texts: Sequence[str], max_tokens: int = 256) -> tuple[Tensor, Tensor]:
        """The Q-Former's ids (N, t) and 1 where a token is; longer texts are cut off."""
        return _ids(self.queries, texts, max_tokens)

    def tokens_of_language(self, texts: Sequence[str], max_tokens: int = 256) -> tuple[Tensor, Tensor]:
        """The language model's ids and 1 where a token is."""
        return _ids(self.language, texts, max_tokens)

    def written(self, texts: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
        """The same of what it is to write; a text that is cut off ends without the end's token."""
        return _ids(self.language, texts, max_tokens)

    def masked(self, texts: Sequence[str], max_tokens: int = 256) -> tuple[Tensor, Tensor, Tensor]:
        """The Q-Former's ids with every token of a region word masked, 1 where a token is, and the tokens masked.

        Returns:
            ids (N, t), seen (N, t), targets (N, t): the masked tokens, −100 elsewhere.
        """
        tokens = self.queries(
            list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt",
            return_offsets_mapping=True,
        )  # fmt: skip
        ids, targets = tokens["input_ids"].clone(), torch.full_like(tokens["input_ids"], -100)
        for row, text in enumerate(texts):
            places = self.spans(text)
            for at, (begin, end) in enumerate(tokens["offset_mapping"][row].tolist()):
                if end > begin and any(begin < stop and start < end for start, stop in places):
                    targets[row, at] = ids[row, at]
                    ids[row, at] = self.queries.mask_token_id
        return ids, tokens["attention_mask"], targets

    def words(self, ids: Tensor) -> list[str]:
        """What was written, without the tokens that are no words."""
        texts = self.language.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [re.sub(r"\s+", " ", text).strip() for text in texts]

    def save(self, path: Path) -> dict[str, str]:
        """Writes the tokenizers beside `path`; returns their files' names and SHA-256."""
        hashes = {}
        for name, tokenizer in (("queries", self.queries), ("language", self.language)):
            if name == "language" and self.language is self.queries:
                continue
            content = tokenizer.backend_tokenizer.to_str().encode()
            special = {k: str(v) for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)}
            whole = json.dumps({"tokenizer": json.loads(content), "special": special}, ensure_ascii=False).encode()
            write_whole(path.with_suffix(f".{name}.json"), whole)
            hashes[name] = hashlib.sha256(whole).hexdigest()
        return hashes

    @classmethod
    def load(cls, path: Path, digests: Any) -> Reader:
        """The tokenizers beside `path`, which have these digests.

        Raises:
            WeightsError: A file is missing, or another one.
        """
        if not isinstance(digests, dict) or "queries" not in digests:
            raise WeightsError(f"'{path.with_suffix('.json')}': expected the digests of its words, got {digests!r}")
        tokenizers = []
        for name, digest in digests.items():
            if name not in ("queries", "language"):
                raise WeightsError(
                    f"'{path.with_suffix('.json')}': expected words of queries or language, got {name!r}"
                )
            file = path.with_suffix(f".{name}.json")
            try:
                content = file.read_bytes()
            except OSError as error:
                raise WeightsError(
                    f"'{file}' cannot be read ({error.strerror}); it holds the words of '{path}'."
                ) from error
            if (came := hashlib.sha256(content).hexdigest()) != digest:
                raise WeightsError(f"'{file}' is not the file it should be: expected SHA-256 {digest}, got {came}.")
            try:
                held = json.loads(content)
                raw = Tokenizer.from_str(json.dumps(held["tokenizer"]))
                special = {k: str(v) for k, v in held["special"].items() if k.endswith("_token")}
                tokenizers.append(PreTrainedTokenizerFast(tokenizer_object=raw, **special))
            except Exception as error:  # tokenizers raises plain exceptions
                raise WeightsError(f"'{file}' holds no tokenizer ({error}).") from error
        return cls(*tokenizers)


def _ids(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return tokens["input_ids"], tokens["attention_mask"]
