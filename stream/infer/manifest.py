"""Model folders: which files there are, and that they are the ones that were published, by sha256."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import BadModel, Misconfigured

log = logging.getLogger(__name__)

NAME = "manifest.json"
SUFFIXES = {"fp32": ("",), "fp16": ("_fp16",), "int8": ("_int8", "_quantized")}
"""File suffix for each precision, as onnx-community names them."""


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Manifest:
    """What a model folder says of itself; `file` and `json` hand out only files whose hash is right."""

    folder: Path
    name: str
    architecture: str  # of config.json's model_type, or what the manifest says
    demo: bool = False
    tasks: tuple[str, ...] | None = None  # Florence-2: the tasks it was trained for; None for all
    files: dict[str, str] = field(default_factory=dict)  # path below the folder -> sha256; empty without a manifest
    used: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises BadModel when the folder is no model folder or its manifest cannot be read."""
        if not (folder / "config.json").is_file():
            raise BadModel(f"{folder} is not a model folder: it has no config.json")
        kind = str(_json(folder / "config.json").get("model_type", ""))
        if not (folder / NAME).is_file():
            log.warning("%s has no %s: its files are used unverified", folder, NAME)
            return cls(folder, folder.name, kind)
        said = _json(folder / NAME)
        try:
            files = {str(name): str(entry["sha256"]) for name, entry in said["files"].items()}
            tasks = None if said.get("tasks") is None else tuple(said["tasks"])
            return cls(
                folder,
                str(said.get("name", folder.name)),
                str(said["architecture"]),
                bool(said.get("demo")),
                tasks,
                files,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadModel(f"{folder / NAME} lacks {error}: pull or export the model again") from error

    def file(self, *names: str) -> Path:
        """The first of these files that exists, verified.

        Raises:
            BadModel: none exists, or it was altered; the message has the file and the expected hash.
        """
        for name in names:
            path = self.folder / name
            if path.is_file():
                self._verify(name, path)
                return path
        expected = next((f" (sha256 {self.files[name]})" for name in names if name in self.files), "")
        raise BadModel(f"{self.folder / names[0]} is missing{expected}: pull or export the model again")

    def has(self, stem: str, precision: str) -> bool:
        return any((self.folder / name).is_file() for name in _graph_names(stem, precision))

    def graph(self, stem: str, precision: str) -> Path:
        """The ONNX file of a graph in a precision, in the folder or its `onnx/`, verified.

        Raises:
            BadModel: as `file`, or the folder has this graph in other precisions only; the message says in which.
        """
        names = _graph_names(stem, precision)
        others = [other for other in SUFFIXES if self.has(stem, other)]
        if others and precision not in others and self.files.keys().isdisjoint(names):
            raise BadModel(
                f"{self.folder} has {stem} in {' and '.join(others)}, not in {precision}: set models.precision, or pull"
                f" or export it in {precision}"
            )
        return self.file(*names)

    def json(self, name: str, optional: bool = False) -> dict[str, Any]:
        """A JSON file of the folder; empty when optional and absent."""
        if optional and not (self.folder / name).is_file():
            return {}
        return _json(self.file(name))

    def verify(self) -> None:
        """Reads every file of the manifest. Raises BadModel at the first that is missing or altered."""
        for name in self.files:
            self.file(name)

    def _verify(self, name: str, path: Path) -> None:
        if name in self.used:
            return
        actual = sha256(path)
        if name in self.files and actual != self.files[name]:
            raise BadModel(
                f"{path} was altered: sha256 is {actual}, {NAME} expects {self.files[name]}; pull or export it again"
            )
        self.used[name] = actual

    @property
    def version(self) -> str:
        """`name@` and twelve digits of a hash over the files in use: goes into every observation's provenance."""
        parts = "".join(f"{name}:{digest}\n" for name, digest in sorted(self.used.items()))
        return f"{self.name}@{hashlib.sha256(parts.encode()).hexdigest()[:12]}"


def _graph_names(stem: str, precision: str) -> list[str]:
    if precision not in SUFFIXES:
        raise Misconfigured(f"precision {precision!r} is not one of {', '.join(SUFFIXES)}")
    names = [f"{stem}{suffix}.onnx" for suffix in SUFFIXES[precision]]
    return [place + name for name in names for place in ("onnx/", "")]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadModel(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadModel(f"{path} is not a JSON object")
    return found


def write(
    folder: Path, *, name: str, architecture: str, demo: bool = False, tasks: Sequence[str] | None = None
) -> Path:
    """Writes `manifest.json` over every file in the folder and its `onnx/`; the path written."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "size": path.stat().st_size} for path in paths
    }
    said = {"name": name, "architecture": architecture, "demo": demo, "tasks": list(tasks) if tasks else None}
    target = folder / NAME
    target.write_text(json.dumps({**said, "files": files}, indent=1) + "\n")
    return target


def bundled() -> Path:
    """The folder of the demo models: package data in a wheel, `models/onnx` in a checkout.

    Raises:
        Misconfigured: neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    places = (package / "_models", package.parent / "models" / "onnx")
    for place in places:
        if place.is_dir():
            return place
    raise Misconfigured(f"the bundled demo models are in none of {', '.join(map(str, places))}: install again")
