"""Goldens become files: model folders in every layout, arrays as .npz, texts as .json, pictures as .png."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.export.folder import write_florence2, write_towers
from models.goldens import florence2, towers
from models.goldens.pictures import inputs

LICENCE = "MIT"
SOURCE = "random weights from a seed (models/goldens)"


def write(folder: Path) -> None:
    """All goldens into `folder`; about a minute on one core.

    Raises RuntimeError when an answer hangs on the last bit of the weights.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    _florence2(folder)
    for make in towers.ALL:
        model = make()
        # Before the tokenizer is used: it remembers the padding of its last call and would write it down.
        write_towers(
            model.model,
            model.tokenizer,
            model.images,
            folder / model.name,
            source=SOURCE,
            licence=LICENCE,
            lower_case=model.lower_case,
        )
        save_arrays(folder / f"{model.name}.npz", towers.arrays(model))
    images = inputs()
    (folder / "images").mkdir(exist_ok=True)
    for name, image in images.items():
        image.save(folder / "images" / name, optimize=True)
    save_arrays(folder / "preprocess.npz", dict(towers.preprocessed(images)))
    save_json(folder / "preprocess.json", {name: made.to_dict() for name, made in towers.processors().items()})


def _florence2(folder: Path) -> None:
    ref = florence2.reference()
    write_florence2(ref.model, ref.processor, folder / "florence2", source=SOURCE, licence=LICENCE)
    save_arrays(folder / "florence2.npz", florence2.arrays(ref))
    answers = florence2.answers(ref)
    shaky = florence2.unstable(ref, answers["generated"])
    if shaky:
        raise RuntimeError(f"these answers hang on the last bit of the weights; choose other pictures: {shaky}")
    save_json(folder / "florence2.json", answers)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """As numpy.savez_compressed, but the same bytes in every run: its archive holds the time of day."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, value in arrays.items():
            packed = io.BytesIO()
            np.lib.format.write_array(packed, np.ascontiguousarray(value), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), packed.getvalue(), zipfile.ZIP_DEFLATED
            )


def save_json(path: Path, said: Mapping[str, Any]) -> None:
    """One entry a line: readable, and a change shows as a line."""
    lines = []
    for key, value in said.items():
        if isinstance(value, list):
            items = ",\n  ".join(json.dumps(item, ensure_ascii=True) for item in value)
            lines.append(f"{json.dumps(key)}: [\n  {items}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
