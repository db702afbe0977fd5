"""Florence-2's goldens: features, logits, tokens and parsed answers of every task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import CLIPImageProcessor, Florence2ForConditionalGeneration, Florence2Processor

from models.goldens import strings, tiny, tokenizers_tiny
from models.goldens.pictures import picture

SEED, NEW_TOKENS, LOGIT_STEPS = 11, 20, 8
SIZE = (640, 480)
"""Width and height of the picture that the produced texts are parsed for, px."""

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

_BANNED_WORDS = (
    "it I me mine you your yours he him his she her hers they them their theirs one oneself we us our ours its "
    "myself yourself himself herself itself ourselves yourselves themselves this that these those who whom whose "
    "which what all another any anybody anyone anything each everybody everyone everything few many nobody none "
    "several some somebody someone something image images the a an lots"
)

BANNED_PHRASES = [*_BANNED_WORDS.split(), "each other", "one another", "the image", "a group", "other objects", "a set"]

PARSING: dict[str, Any] = {
    "ocr": {"pattern": "(.+?)" + r"<loc_(\d+)>" * 8, "area_threshold": 0.0},
    "phrase_grounding": {"banned_grounding_tokens": BANNED_PHRASES},
    **{
        kind: {}
        for kind in [
            "pure_text",
            "description_with_bboxes",
            "description_with_polygons",
            "polygons",
            "bboxes",
            "description_with_bboxes_or_polygons",
        ]
    },
}
"""As the published checkpoints' processor configuration."""

INPUTS = {
    "<CAPTION_TO_PHRASE_GROUNDING>": "a red car and a brown dog",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "a red car",
    "<REGION_TO_SEGMENTATION>": "<loc_100><loc_200><loc_300><loc_400>",
    "<OPEN_VOCABULARY_DETECTION>": "wheel",
    "<REGION_TO_CATEGORY>": "<loc_100><loc_200><loc_300><loc_400>",
    "<REGION_TO_DESCRIPTION>": "<loc_100><loc_200><loc_300><loc_400>",
    "<REGION_TO_OCR>": "<loc_1><loc_2><loc_998><loc_999>",
}
"""Text input of each task that takes one."""

RAGGED = ["<OD>", "<CAPTION>", "<CAPTION_TO_PHRASE_GROUNDING>", "<OCR>"]
"""Tasks of very different length in one batch."""


@dataclass(frozen=True)
class Reference:
    """transformers' model and processor with the tiny weights."""

    model: Florence2ForConditionalGeneration
    processor: Florence2Processor

    def inputs(self, task: str, text: str, pixels: NDArray[np.uint8]) -> Any:
        return self.processor(text=[task + text], images=[pixels], return_tensors="pt")


def reference() -> Reference:
    """The tiny model; the same in every run."""
    tokenizer = tokenizers_tiny.florence2()
    model = tiny.florence2(len(tokenizer), tokenizer.image_token_id, SEED)
    size = {"height": tiny.FLORENCE2_SIZE, "width": tiny.FLORENCE2_SIZE}
    images = CLIPImageProcessor(
        size=size, crop_size=size, do_center_crop=False, image_mean=MEAN, image_std=STD, resample=3
    )
    images.image_seq_length = (tiny.FLORENCE2_SIZE // 32) ** 2 + 1
    processor = Florence2Processor(image_processor=images, tokenizer=tokenizer, post_processor_config=PARSING)
    return Reference(model, processor)


def pictures() -> NDArray[np.uint8]:
    """(3, 128, 128, 3) uint8 RGB, of the size the model takes."""
    side = tiny.FLORENCE2_SIZE
    return np.stack([picture(seed, side, side) for seed in (1, 2, 3)])


def arrays(ref: Reference) -> dict[str, NDArray[Any]]:
    """Pixels, image features, and a ragged batch's prompts, encoder states, logits and log-probabilities."""
    pixels = pictures()
    prepared = ref.processor.image_processor(list(pixels), return_tensors="pt").pixel_values
    owners = [0, 1, 2, 0]
    texts = [task + INPUTS.get(task, "") for task in RAGGED]
    batch = ref.processor(text=texts, images=[pixels[i] for i in owners], padding=True, return_tensors="pt")
    images = ref.processor.num_image_tokens
    with torch.no_grad():
        features = ref.model.get_image_features(prepared)
        answer = ref.model.generate(
            **batch,
            max_new_tokens=NEW_TOKENS,
            num_beams=1,
            early_stopping=False,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        encoded = ref.model(**batch).encoder_last_hidden_state
    logits = torch.stack(answer.logits, 1)[:, :LOGIT_STEPS]
    chances = torch.log_softmax(torch.stack(answer.logits, 1), -1)
    picked = chances.gather(2, answer.sequences[:, 1:, None]).squeeze(2)
    found = {
        "pixels": pixels,
        "pixel_values": prepared[:1, :, ::4, ::4],
        "image_features": features,
        "ragged_image": np.array(owners),
        "ragged_input_ids": batch.input_ids[:, images:],
        "ragged_attention_mask": batch.attention_mask[:, images:],
        "ragged_encoder": encoded,
        "ragged_logits": logits,
        "ragged_tokens": answer.sequences,
        "ragged_logprobs": picked,
    }
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def answers(ref: Reference) -> dict[str, Any]:
    """Every task on two pictures: prompts, tokens greedy and with 3 beams, texts and parsed answers; and the
    hand-made texts."""
    return {
        "pictures": "pixels of florence2.npz, by index",
        "max_new_tokens": NEW_TOKENS,
        "generated": list(_generated(ref)),
        "parsed": [_parsed(ref, case) for case in (*strings.REAL, *strings.MADE)],
        "parsed_differently": [_parsed(ref, case) for case in strings.DIFFERENT],
    }


def _generated(ref: Reference) -> Iterator[dict[str, Any]]:
    pixels = pictures()
    for task in ref.processor.tasks_answer_post_processing_type:
        text = INPUTS.get(task, "")
        for index in (0, 1):
            batch = ref.inputs(task, text, pixels[index])
            entry: dict[str, Any] = {
                "task": task,
                "input": text,
                "image": index,
                "prompt": ref.processor._construct_prompts(task + text)[0],
                "input_ids": batch.input_ids[0, ref.processor.num_image_tokens :].tolist(),
            }
            for name, options in MODES.items():
                entry[name] = _generate(ref, batch, task, options)
            yield entry


MODES = {
    "greedy": {"num_beams": 1, "early_stopping": False},
    "beams": {"num_beams": 3, "early_stopping": True},
    "beams_late": {"num_beams": 3, "early_stopping": False},
}


def generate(model: Any, batch: Any, options: dict[str, Any]) -> Any:
    """transformers' answer with the checkpoint's own generation configuration and these `options`."""
    return model.generate(
        **batch,
        **options,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )


def _generate(ref: Reference, batch: Any, task: str, options: dict[str, Any]) -> dict[str, Any]:
    with torch.no_grad():
        answer = generate(ref.model, batch, options)
    tokens = answer.sequences[0].tolist()
    text = ref.processor.decode(tokens, skip_special_tokens=False)
    entry: dict[str, Any] = {
        "tokens": tokens,
        "text": text,
        "answer": ref.processor.post_process_generation(text, task=task, image_size=SIZE)[task],
    }
    if options["num_beams"] == 1:
        chances = torch.log_softmax(torch.stack(answer.logits, 1), -1)[0]
        picked = chances.gather(1, answer.sequences[0, 1:, None]).squeeze(1)
        entry["logprobs"] = [round(value, 5) for value in picked.tolist()]
    else:
        entry["score"] = round(float(answer.sequences_scores[0]), 5)
    return entry


def _parsed(ref: Reference, case: strings.Case) -> dict[str, Any]:
    task, text, size = case
    found = ref.processor.post_process_generation(text, task=task, image_size=size)[task]
    return {"task": task, "text": text, "image_size": size, "answer": found}


def unstable(ref: Reference, entries: list[dict[str, Any]]) -> list[str]:
    """The tasks whose tokens change when every weight moves by about one part in 1e5: such goldens would be chance."""
    changed = tiny.shaken(ref.model, 1e-5)
    pixels = pictures()
    found = []
    for entry in entries:
        batch = ref.inputs(entry["task"], entry["input"], pixels[entry["image"]])
        for name, options in MODES.items():
            with torch.no_grad():
                tokens = generate(changed, batch, options).sequences[0].tolist()
            if tokens != entry[name]["tokens"]:
                found.append(f"{entry['task']} picture {entry['image']} {name}")
    return found
