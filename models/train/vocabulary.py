"""The tokenizers of the demo models, made from the words that drawn scenes need.

Florence-2: byte-level BPE with the special tokens where the published tokenizer has them (<s> 0, <pad> 1, </s> 2), 1000
location tokens and the image token last. No merge covers plate characters, so that each stays one token.
SigLIP: lower-cased words, </s> at the end, padded to the maximum length, because the last position is pooled.
"""

from __future__ import annotations

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from models.train.tasks import PROMPTS, answer_text
from stream.capture.scenery import CLASSES, COLORS, PLACES, make_scene

LOCATIONS = 1000
SIGLIP_LENGTH = 16

_CORPUS_SCENES = 4000
_BPE_SIZE = 512
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def florence_tokenizer() -> Tokenizer:
    """Train the Florence-2 tokenizer; always the same."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_BPE_SIZE,
        special_tokens=_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    locations = [AddedToken(f"<loc_{i}>", special=True) for i in range(LOCATIONS)]
    tokenizer.add_special_tokens([*locations, AddedToken("<image>", special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def _corpus() -> list[str]:
    rng = np.random.default_rng(3)
    lines = [prompt.replace("{input}", "") for prompt in PROMPTS.values()] * 50
    for _ in range(_CORPUS_SCENES):
        scene = make_scene(rng)
        lines += [answer_text(scene, task) for task in ("CAPTION", "MORE_DETAILED_CAPTION")]
        for thing in scene.objects:
            lines += [thing.label, f"{thing.color} {thing.label}"]
    return lines


SIGLIP_WORDS = (
    "<pad>", "<unk>", "</s>", ",", "a", "an", "the", "in", "and", "with", "on", "at", "of", "night", "during", "day",
    "nothing", *PLACES, *CLASSES, *COLORS, "photo", "picture", "wearing", "bike", "box", "parcel", "kitten", "puppy",
    "man", "woman", "someone", "garden", "grass", "road", "grey", "dark", "daytime", "dressed", "no",
    "empty",
)  # fmt: skip


def siglip_tokenizer() -> Tokenizer:
    """The word tokenizer of the SigLIP demo model."""
    vocabulary = {word: index for index, word in enumerate(SIGLIP_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    tokenizer.enable_truncation(SIGLIP_LENGTH)
    tokenizer.enable_padding(length=SIGLIP_LENGTH, pad_id=0, pad_token="<pad>")
    return tokenizer
