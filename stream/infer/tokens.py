"""The text side of a model folder: `tokenizer.json` through the tokenizers library, without transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from stream.errors import BadModel
from stream.infer.manifest import Manifest

BINS = 1000
"""Coordinates are one of a thousand location tokens; `<loc_0>` to `<loc_999>` have consecutive ids."""


def load_tokenizer(manifest: Manifest) -> Tokenizer:
    """Raises BadModel when tokenizer.json is missing, altered or not one."""
    path = manifest.file("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BadModel(f"{path} is not a tokenizer: {error}") from error
    # The file may carry the padding and truncation of whoever saved it.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Vocabulary:
    """Florence-2's tokens: text, location bins and markers."""

    def __init__(self, tokenizer: Tokenizer, bos: int, eos: int, pad: int, clean_up: bool = False) -> None:
        self._tokenizer, self.bos, self.eos, self.pad, self._clean_up = tokenizer, bos, eos, pad, clean_up
        first = tokenizer.token_to_id("<loc_0>")
        if first is None or tokenizer.token_to_id(f"<loc_{BINS - 1}>") != first + BINS - 1:
            raise BadModel("tokenizer.json has no location tokens: it is not Florence-2's")
        self.first_bin: int = first
        self.poly = tokenizer.token_to_id("<poly>")
        self.poly_end = tokenizer.token_to_id("</poly>")
        self.sep = tokenizer.token_to_id("<sep>")
        added = tokenizer.get_added_tokens_decoder()
        self.special = frozenset(index for index, token in added.items() if token.special)
        self.silent = frozenset((bos, eos, pad))

    @classmethod
    def load(cls, manifest: Manifest, bos: int, eos: int, pad: int) -> Vocabulary:
        said: dict[str, Any] = manifest.json("tokenizer_config.json", optional=True)
        return cls(load_tokenizer(manifest), bos, eos, pad, bool(said.get("clean_up_tokenization_spaces")))

    def encode(self, prompt: str) -> list[int]:
        """`<s>prompt</s>`."""
        return [self.bos, *self._tokenizer.encode(prompt, add_special_tokens=False).ids, self.eos]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens, special ones spelled out."""
        text = str(self._tokenizer.decode(list(ids), skip_special_tokens=False))
        return _without_tokenizer_spaces(text) if self._clean_up else text

    def bin(self, token: int) -> int | None:
        """0 to 999 for a location token, else None."""
        number = token - self.first_bin
        return number if 0 <= number < BINS else None


def _without_tokenizer_spaces(text: str) -> str:
    """transformers' `clean_up_tokenization`, for checkpoints whose tokenizer_config.json asks for it."""
    for mark in (" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(mark, mark[1:])
        if mark == " ,":
            text = text.replace(" ' ", "'")
    return text
