"""Tiny models of the real architectures, with random weights that answer in many ways and without ties."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    SiglipConfig,
    SiglipModel,
)

FLORENCE2_SIZE, TOWER_SIZE, CLIP_SIZE = 128, 64, 48
"""Side of the picture each tiny model takes, px."""

GENERATION = {
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_bos_token_id": 0,
    "forced_eos_token_id": 2,
    "no_repeat_ngram_size": 3,
    "num_beams": 3,
    "early_stopping": True,
}
"""As the published checkpoints' generation_config.json."""


def florence2(vocabulary: int, image_token: int, seed: int) -> Florence2ForConditionalGeneration:
    """Four stages as DaViT, two layers of encoder and decoder; `vocabulary` tokens."""
    vision = {
        "embed_dim": [16, 16, 32, 32],
        "num_heads": [2, 2, 4, 4],
        "num_groups": [2, 2, 4, 4],
        "depths": [1, 1, 2, 1],
        "projection_dim": 32,
    }
    text = {
        "model_type": "bart",
        "vocab_size": vocabulary,
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 128,
        **{name: GENERATION[name] for name in ("bos_token_id", "pad_token_id", "eos_token_id")},
    }
    config = Florence2Config(
        vision_config=vision,
        text_config=text,
        image_token_id=image_token,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(seed)
    model = Florence2ForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()
    enliven(model, seed)
    with torch.no_grad():
        language = model.model.language_model
        # The embeddings are the head too: weak words against strong places keep it from repeating what it reads.
        language.decoder.embed_positions.weight.mul_(2.0)
        language.decoder.layernorm_embedding.weight.mul_(0.6)
        # Longer than the others, so that sequences end at different lengths.
        language.shared.weight[2].mul_(2.1)
    model.generation_config = GenerationConfig(**GENERATION)
    return model


def enliven(model: nn.Module, seed: int) -> None:
    """Draw all weights again, large: with the usual small start a model answers the same to everything.

    Not larger than this: beyond, float32 itself differs by more than the tests allow.
    """
    draw = torch.Generator().manual_seed(seed)
    done: set[int] = set()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.data_ptr() in done:
                continue
            done.add(weight.data_ptr())
            noise = torch.randn(weight.shape, generator=draw)
            if weight.dim() >= 2 and "embed" in name:
                weight.copy_(noise)
            elif weight.dim() >= 2:
                gain = 0.7 if "vision" in name or "projector" in name else 1.5
                weight.copy_(noise * (gain / weight[0].numel() ** 0.5))
            elif weight.dim() == 1 and name.endswith("weight"):
                weight.copy_(1 + 0.2 * noise)
            elif weight.dim() == 1 and name.endswith("bias"):
                weight.copy_(0.2 * noise)


def _tower(layers: int = 2) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
    }


def siglip(vocabulary: int, pad: int, seed: int) -> SiglipModel:
    """Both towers of a fixed-resolution SigLIP, 64 px in patches of 16, 64 tokens; SigLIP 2 has the same
    architecture."""
    text = {
        **_tower(),
        "vocab_size": vocabulary,
        "max_position_embeddings": 64,
        "projection_size": 32,
        "pad_token_id": pad,
    }
    vision = {**_tower(), "image_size": TOWER_SIZE, "patch_size": 16}
    config = SiglipConfig(text_config=text, vision_config=vision)
    torch.manual_seed(seed)
    model = SiglipModel._from_config(config, attn_implementation="sdpa").eval()
    enliven(model, seed)
    with torch.no_grad():
        # About the trained values of the published checkpoints: exp(4.7) and -13 keep probabilities off 0 and 1.
        model.logit_scale.fill_(2.0)
        model.logit_bias.fill_(-1.5)
    return model


def clip(vocabulary: int, end: int, seed: int) -> CLIPModel:
    """CLIP with a projection narrower than its towers, 48 px in patches of 16, 77 tokens."""
    text = {
        **_tower(),
        "vocab_size": vocabulary,
        "max_position_embeddings": 77,
        "eos_token_id": end,
        "bos_token_id": end - 1,
    }
    vision = {**_tower(), "image_size": CLIP_SIZE, "patch_size": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    torch.manual_seed(seed)
    model = CLIPModel._from_config(config, attn_implementation="sdpa").eval()
    enliven(model, seed)
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
    return model


def shaken(model: nn.Module, share: float) -> Any:
    """A copy whose every weight is off by about `share` of itself."""
    copy = deepcopy(model)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in copy.parameters():
            weight.mul_(1 + share * torch.randn(weight.shape, generator=draw))
    return copy
