"""The Florence-2 demo model: transformers' architecture in small, and the heads that help it learn."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import Florence2Config, Florence2ForConditionalGeneration

from models.train.dense import FINE, GRID, MAX_INDEX
from models.train.vocabulary import LOCATIONS
from stream.capture.scenery import CLASSES, COLORS, PLACES
from stream.capture.scenery.plates import ALPHABET

WIDTH = 128
STAGES = (56, 72, 96, 128)
IMAGE_TOKENS = 1 + GRID * GRID
"""The mean of all cells first, then the cells."""
CHARACTERS = 1 + len(ALPHABET)
POSITIONS = 1 + MAX_INDEX


def config(vocabulary: int) -> Florence2Config:
    """The configuration; the last token of the vocabulary is the image token."""
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    vision = {
        "depths": (1, 1, 1, 1),
        "patch_size": (10, 3, 3, 3),
        "patch_stride": (8, 2, 1, 1),
        "patch_padding": (1, 1, 1, 1),
        "patch_prenorm": (False, True, True, True),
        "embed_dim": STAGES,
        "num_heads": (2, 4, 4, 4),
        "num_groups": (2, 4, 4, 4),
        "window_size": 12,
        "drop_path_rate": 0.0,
        "mlp_ratio": 2.5,
        "projection_dim": WIDTH,
        "max_position_embeddings": 50,
        "max_temporal_embeddings": 100,
    }
    text = dict(
        model_type="bart",
        vocab_size=vocabulary,
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=320,
        decoder_ffn_dim=320,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=256,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        forced_bos_token_id=0,
        forced_eos_token_id=2,
        is_encoder_decoder=True,
        **special,
    )
    return Florence2Config(vision_config=vision, text_config=text, image_token_id=vocabulary - 1, **special)


def build(vocabulary: int, first_location: int) -> Florence2ForConditionalGeneration:
    """A model with random weights; the ids `first_location`.. are the location tokens."""
    model = Florence2ForConditionalGeneration(config(vocabulary))
    model.set_attn_implementation("eager")  # see fast_matrices
    _start_smooth(model, first_location)
    return model


def _sinusoids(at: Tensor, width: int, octaves: float, lowest: float) -> Tensor:
    frequencies = lowest * 2 ** (torch.arange(width // 2) * octaves / (width // 2 - 1))
    angles = 2 * math.pi * frequencies * at[:, None]
    return torch.cat([torch.sin(angles), torch.cos(angles)], 1)


def _start_smooth(model: Florence2ForConditionalGeneration, first_location: int) -> None:
    """Let location tokens and 2D positions start as sinusoids, so that neighbours are near each other from the first
    step; with random ones boxes are not learned in an hour."""
    with torch.no_grad():
        table = model.model.language_model.shared.weight
        at = torch.arange(LOCATIONS) / LOCATIONS
        table[first_location : first_location + LOCATIONS] = 0.1 * _sinusoids(at, WIDTH, 7.0, 0.5)
        positions = model.model.multi_modal_projector.image_position_embed
        for embedding in (positions.row_embeddings, positions.column_embeddings):
            count, width = embedding.weight.shape
            embedding.weight.copy_(0.5 * _sinusoids(torch.arange(count) / GRID, width, 4.0, 0.25))


class TokenHead(nn.Module):
    """Says for each image token what is there: class, colour, box, characters; and for token 0 the place and time."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Linear(WIDTH, 2 + len(CLASSES))
        self.colors = nn.Linear(WIDTH, len(COLORS))
        self.boxes = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, 4 * WIDTH))
        self.box_norm = nn.LayerNorm(WIDTH)
        self.scene = nn.Linear(WIDTH, len(PLACES) + 1)
        cells = (FINE // GRID) ** 2
        self.characters = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, cells * (CHARACTERS + POSITIONS)))

    def character_logits(self, tokens: Tensor) -> Tensor:
        """(B, GRID*GRID, WIDTH) to (B, FINE, FINE, CHARACTERS + POSITIONS)."""
        per = FINE // GRID
        out = self.characters(tokens).view(-1, GRID, GRID, per, per, CHARACTERS + POSITIONS)
        return out.permute(0, 1, 3, 2, 4, 5).reshape(-1, FINE, FINE, CHARACTERS + POSITIONS)


class Heads(nn.Module):
    """All that is thrown away after training.

    `stem` sits straight on the vision tower's first stage: characters are learned there in minutes, and not at all when
    the only loss comes after the encoder.
    """

    def __init__(self) -> None:
        super().__init__()
        width = STAGES[0]
        self.stem = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 128), nn.GELU(), nn.Linear(128, CHARACTERS))
        self.vision = TokenHead()
        self.encoder = TokenHead()


def stem_features(model: Florence2ForConditionalGeneration, pixels: Tensor) -> Tensor:
    """The first stage of the vision tower, (B, FINE, FINE, STAGES[0])."""
    tower = model.model.vision_tower
    x = tower.convs[0](pixels)
    for layer in tower.blocks[0]:
        x = layer(x)
    return x.permute(0, 2, 3, 1)


def vision_features(model: Florence2ForConditionalGeneration, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(first stage (B, FINE, FINE, C), image features (B, 1 + GRID*GRID, WIDTH) as the language model gets them)."""
    tower = model.model.vision_tower
    x, stem = pixels, pixels
    for index, (conv, block) in enumerate(zip(tower.convs, tower.blocks, strict=True)):
        x = conv(x)
        for layer in block:
            x = layer(x)
        if index == 0:
            stem = x.permute(0, 2, 3, 1)
    return stem, model.model.multi_modal_projector(x)
