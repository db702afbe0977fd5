"""Checkpoints of transformers, from a folder or the hub, as the exporters want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    CLIPModel,
    Florence2ForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipModel,
)


class NotExportable(Exception):
    """The checkpoint is none of those that the runtime reads; the message says what to take instead."""


@dataclass(frozen=True)
class Checkpoint:
    """fp32, "sdpa", in evaluation mode. Florence-2 has a `processor`, the others a tokenizer and an image processor."""

    kind: str  # florence2, siglip or clip
    model: Any
    processor: Any = None
    tokenizer: Any = None
    images: Any = None

    @property
    def lower_case(self) -> bool:
        """SigLIP 2 was trained on lower-cased text, and its tokenizer, Gemma's, keeps the case."""
        return "Gemma" in type(self.tokenizer).__name__


def load(source: str, revision: str | None = None) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        NotExportable: another architecture, or Florence-2 in its first, remote-code form.
        OSError: no such folder or repository.
    """
    config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    common = {"revision": revision, "attn_implementation": "sdpa", "dtype": torch.float32}
    if config.model_type == "florence2":
        if not getattr(config.vision_config, "embed_dim", None) or "davit" in str(config.vision_config.model_type):
            raise NotExportable(
                f"{source} needs remote code: take florence-community/Florence-2-base-ft or its siblings"
            )
        model = Florence2ForConditionalGeneration.from_pretrained(source, **common).eval()
        return Checkpoint("florence2", model, processor=AutoProcessor.from_pretrained(source, revision=revision))
    kinds = {"siglip": SiglipModel, "clip": CLIPModel}
    if config.model_type == "siglip2":
        raise NotExportable(
            f"{source} has no fixed resolution (NaFlex): take one such as google/siglip2-base-patch16-224"
        )
    if config.model_type not in kinds:
        raise NotExportable(f"{source} is a {config.model_type} model, not Florence-2, SigLIP, SigLIP 2 or CLIP")
    model = kinds[config.model_type].from_pretrained(source, **common).eval()
    # The slow image processors: the fast ones resample with torch, which differs by a grey level here and there.
    images = AutoImageProcessor.from_pretrained(source, revision=revision, use_fast=False)
    return Checkpoint(config.model_type, model, tokenizer=_tokenizer(source, revision), images=images)


def _tokenizer(source: str, revision: str | None) -> Any:
    """One that writes tokenizer.json; SigLIP's own class cannot, but its repositories have the file."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        if tokenizer.is_fast:
            return tokenizer
    except (ImportError, ValueError):
        pass  # a slow tokenizer whose library is not here
    return PreTrainedTokenizerFast.from_pretrained(source, revision=revision)
