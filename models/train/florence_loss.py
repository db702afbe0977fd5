"""The losses of the Florence-2 demo model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Florence2ForConditionalGeneration

from models.train.dense import PLATE_CLASS
from models.train.florence_batch import Batch, Words
from models.train.florence_model import CHARACTERS, TokenHead
from models.train.vocabulary import LOCATIONS
from stream.capture.scenery import PLACES, Scene

_CHARACTER_WEIGHT = 3.0
"""Weight of the tokens of OCR answers: there are few of them, and each counts."""
_BOX_SAMPLE = 300
"""Tokens whose boxes are scored in a step: the soft labels over 1000 bins are the dear part."""


def soft_bins(bins: Tensor, sigma: float) -> Tensor:
    """Gaussian soft labels (N, LOCATIONS) around the bins (N,): a near miss is nearly right."""
    bell = torch.exp(-0.5 * (torch.arange(1 - LOCATIONS, LOCATIONS) / sigma) ** 2)
    weights = bell.unfold(0, LOCATIONS, 1)[LOCATIONS - 1 - bins]
    return weights / weights.sum(1, keepdim=True)


def encode(
    model: Florence2ForConditionalGeneration, features: Tensor, ids: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """The encoder's (hidden states, attention mask) for image features followed by prompts."""
    language = model.model.language_model
    inputs = torch.cat([features, language.shared(ids)], 1)
    mask = torch.cat([mask.new_ones(features.shape[:2]), mask], 1)
    hidden = language.encoder(inputs_embeds=inputs, attention_mask=mask if bool((mask == 0).any()) else None)[0]
    return hidden, mask


def language_loss(
    model: Florence2ForConditionalGeneration,
    words: Words,
    hidden: Tensor,
    mask: Tensor,
    pairs: list[tuple[Scene, str]],
    sigma: float,
) -> tuple[Tensor, float, float]:
    """(loss, mean loss of a word token, mean loss of a location token) of the answers, teacher forced."""
    labels = words.answers(pairs)
    inputs = torch.ones_like(labels)
    inputs[:, 0] = 2
    inputs[:, 1:] = torch.where(labels[:, :-1] >= 0, labels[:, :-1], 1)
    states = model.model.language_model.decoder(
        input_ids=inputs, encoder_hidden_states=hidden, encoder_attention_mask=mask
    )[0]
    weights = torch.ones(labels.shape)
    for row, (_, task) in enumerate(pairs):
        if task.startswith("OCR"):
            weights[row] = _CHARACTER_WEIGHT
    scored = labels >= 0
    scored[:, 0] = False
    target = labels[scored]
    scores = model.lm_head(states[scored]).log_softmax(-1)
    first = words.first_location
    is_location = (target >= first) & (target < first + LOCATIONS)
    word = -scores[~is_location].gather(1, target[~is_location][:, None])[:, 0]
    place = -(soft_bins(target[is_location] - first, sigma) * scores[is_location][:, first : first + LOCATIONS]).sum(1)
    loss = ((word * weights[scored][~is_location]).sum() + 0.5 * place.sum()) / len(pairs) / 6
    return loss, float(word.detach().mean()), float(place.detach().mean()) if len(place) else 0.0


def stem_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Characters on the first stage, (B, FINE, FINE, CHARACTERS)."""
    return F.cross_entropy(logits.reshape(-1, CHARACTERS), batch.labels[3].view(-1), _rare(CHARACTERS, 0.05))


def _rare(classes: int, nothing: float) -> Tensor:
    weights = torch.ones(classes)
    weights[0] = nothing
    return weights


def dense_loss(head: TokenHead, tokens: Tensor, locations: Tensor, batch: Batch, sigma: float) -> tuple[Tensor, float]:
    """(loss, accuracy of the class where there is one) of all per-token labels and the place and time.

    tokens: (B, 1 + GRID*GRID, WIDTH); locations: the embeddings of the location tokens, which score the boxes.
    """
    classes, colors, boxes = (field.flatten(0, 2) for field in batch.labels[:3])
    cells = tokens[:, 1:].reshape(-1, tokens.shape[-1])
    logits = head.classes(cells)
    loss = F.cross_entropy(logits, classes, _rare(PLATE_CLASS + 1, 0.25))
    colored = colors >= 0
    if bool(colored.any()):
        loss = loss + 0.5 * F.cross_entropy(head.colors(cells[colored]), colors[colored])
    boxed = (boxes[:, 0] >= 0).nonzero()[:, 0]
    if len(boxed):
        boxed = boxed[torch.randperm(len(boxed))[:_BOX_SAMPLE]]
        guess = head.box_norm(head.boxes(cells[boxed]).view(-1, locations.shape[1]))
        scores = (guess @ locations.T).log_softmax(-1)
        loss = loss - 0.5 * (soft_bins(boxes[boxed].view(-1), sigma) * scores).sum(1).mean()
    found = classes > 0
    accuracy = float((logits[found].argmax(1) == classes[found]).float().mean()) if bool(found.any()) else 1.0
    return loss + _character_loss(head, tokens[:, 1:], batch) + 0.4 * _scene_loss(head, tokens[:, 0], batch), accuracy


def _character_loss(head: TokenHead, tokens: Tensor, batch: Batch) -> Tensor:
    characters, positions = batch.labels[3], batch.labels[4]
    logits = head.character_logits(tokens)
    loss = F.cross_entropy(
        logits[..., :CHARACTERS].reshape(-1, CHARACTERS), characters.view(-1), _rare(CHARACTERS, 0.05)
    )
    numbered = positions >= 0
    if bool(numbered.any()):
        loss = loss + 0.4 * F.cross_entropy(logits[numbered][:, CHARACTERS:], positions[numbered])
    return loss


def _scene_loss(head: TokenHead, first: Tensor, batch: Batch) -> Tensor:
    logits = head.scene(first)
    places = torch.tensor([PLACES.index(scene.place) for scene in batch.scenes])
    nights = torch.tensor([float(scene.night) for scene in batch.scenes])
    time = F.binary_cross_entropy_with_logits(logits[:, len(PLACES)], nights)
    return F.cross_entropy(logits[:, : len(PLACES)], places) + time
