"""The configuration of Florence-2-base, with random weights: the sizes of the real thing where no checkpoint can be had."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    CLIPImageProcessor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GenerationConfig,
)

from models.goldens import florence2, tiny, tokenizers_tiny

SIZE, VOCABULARY = 768, 51328


def reference(seed: int) -> tuple[Any, Any]:
    """Model (271 million parameters) and processor; the tokenizer is the small one, whose ids lie in the vocabulary."""
    tokenizer = tokenizers_tiny.florence2()
    vision = {
        "embed_dim": [128, 256, 512, 1024],
        "num_heads": [4, 8, 16, 32],
        "num_groups": [4, 8, 16, 32],
        "depths": [1, 1, 9, 1],
        "projection_dim": 768,
    }
    text = {
        "model_type": "bart",
        "vocab_size": VOCABULARY,
        "d_model": 768,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": 12,
        "decoder_attention_heads": 12,
        "encoder_ffn_dim": 3072,
        "decoder_ffn_dim": 3072,
        "max_position_embeddings": 1024,
        **{name: tiny.GENERATION[name] for name in ("bos_token_id", "pad_token_id", "eos_token_id")},
    }
    config = Florence2Config(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.image_token_id,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(seed)
    model = Florence2ForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()
    tiny.enliven(model, seed)
    model.generation_config = GenerationConfig(**tiny.GENERATION)
    size = {"height": SIZE, "width": SIZE}
    images = CLIPImageProcessor(
        size=size, crop_size=size, do_center_crop=False, image_mean=florence2.MEAN, image_std=florence2.STD, resample=3
    )
    images.image_seq_length = (SIZE // 32) ** 2 + 1
    processor = Florence2Processor(image_processor=images, tokenizer=tokenizer, post_processor_config=florence2.PARSING)
    return model, processor
