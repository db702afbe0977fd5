"""`seestream models`: which models there are, pulling published ones, exporting and checking one's own."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stream.errors import Misconfigured

PRECISIONS = ("fp32", "fp16", "int8")

KNOWN = {
    "onnx-community/Florence-2-base-ft": "describes; 0.23 billion parameters",
    "onnx-community/Florence-2-large-ft": "describes, better and slower; 0.77 billion parameters",
    "onnx-community/siglip2-base-patch16-224-ONNX": "embeds, many languages",
    "Xenova/siglip-base-patch16-224": "embeds, English",
    "Xenova/clip-vit-base-patch32": "embeds, small and fast",
}
"""Repositories whose files the runtime reads as they are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the bundled demo models, those that were pulled, and what can be pulled")
    pull = actions.add_parser("pull", help="get published ONNX files from a model hub; goes on where it was broken off")
    pull.add_argument("id", metavar="OWNER/NAME", help="such as onnx-community/Florence-2-base-ft")
    pull.add_argument("--precision", choices=PRECISIONS, default="fp32")
    pull.add_argument("--revision", help="branch, tag or commit")
    export = actions.add_parser("export", help="turn a checkpoint of transformers into ONNX files")
    export.add_argument("source", metavar="SRC", help="folder or hub id, such as florence-community/Florence-2-base-ft")
    export.add_argument("destination", metavar="DEST", type=Path, help="folder to write")
    export.add_argument("--precision", action="append", choices=PRECISIONS, help="repeatable (default: fp32)")
    export.add_argument("--layout", action="append", choices=("published", "static"), help="repeatable (default: both)")
    check = actions.add_parser("check", help="compare ONNX files with transformers on pictures, print the differences")
    check.add_argument("folder", metavar="FOLDER", type=Path, help="a model folder")
    check.add_argument("images", metavar="IMAGE", type=Path, nargs="+")
    check.add_argument("--reference", metavar="SRC", help="the checkpoint (default: what the folder was exported from)")


def run(args: argparse.Namespace) -> int:
    match args.action:
        case "list":
            return _list()
        case "pull":
            return _pull(args.id, args.precision, args.revision)
        case "export":
            options = [f"--precision={one}" for one in args.precision or ()] + [
                f"--layout={one}" for one in args.layout or ()
            ]
            return _in_export_environment(
                "models.export", [_place(args.source), str(args.destination.resolve()), *options]
            )
    reference = [f"--reference={_place(args.reference)}"] if args.reference else []
    words = [str(args.folder.resolve()), *(str(image.resolve()) for image in args.images), *reference]
    return _in_export_environment("models.export.check", words)


def model_folder() -> Path:
    """Where pulled models lie: `$SEESTREAM_MODELS`, or `models` below the user's data folder."""
    from stream.config import default_data_dir

    return Path(os.environ.get("SEESTREAM_MODELS") or default_data_dir() / "models")


def _list() -> int:
    from stream.infer import bundled

    pulled = [folder for folder in sorted(model_folder().glob("*/")) if (folder / "config.json").is_file()]
    for folder in [*sorted(bundled().glob("*/")), *pulled]:
        if (folder / "config.json").is_file():
            print("  ".join(_described(folder)))
    here = {folder.name for folder in pulled}
    waiting = {name: text for name, text in KNOWN.items() if _folder_name(name) not in here}
    if waiting:
        print("\ncan be pulled (`seestream models pull OWNER/NAME`):", file=sys.stderr)
    for name, text in waiting.items():
        print(f"  {name}  {text}", file=sys.stderr)
    return 0


def _described(folder: Path) -> Iterator[str]:
    """Path, kind, precisions, size and whether it is a demo model."""
    manifest = _json(folder / "manifest.json")
    size_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    names = [path.stem for path in folder.rglob("*.onnx")]
    less = {"fp16": ("_fp16",), "int8": ("_int8", "_quantized")}
    found = [precision for precision, ends in less.items() if any(name.endswith(ends) for name in names)]
    if any(not name.endswith(("_fp16", "_int8", "_quantized")) for name in names):
        found.insert(0, "fp32")
    yield str(folder)
    yield str(manifest.get("architecture") or _json(folder / "config.json").get("model_type", "unknown"))
    yield ",".join(found) or "no graphs"
    yield f"{size_mb:.1f} MB"
    if manifest.get("demo"):
        yield "DEMO: the drawn scenes only"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folder_name(identity: str) -> str:
    return identity.replace("/", "--")


def _pull(identity: str, precision: str, revision: str | None) -> int:
    from stream.app.hub import pull

    if identity.count("/") != 1:
        raise Misconfigured(f"{identity!r} is no OWNER/NAME, such as {next(iter(KNOWN))}")
    target = pull(identity, model_folder() / _folder_name(identity), precision, revision)
    setting = "describe" if list(target.glob("onnx/vision_encoder*")) else "embed"
    print(f"{identity} is in {target}; to use it, set models.{setting} to that folder")
    return 0


def _place(source: str) -> str:
    """A local folder by its whole path; a hub id as it is."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def _in_export_environment(module: str, words: Sequence[str]) -> int:
    """Runs a module of `models` where torch is. Raises Misconfigured where that is nowhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "models" / "export").is_dir():
        raise Misconfigured("export and check need seestream's source tree: clone it, and run `make export-env` there")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run([_export_python(root), "-P", "-m", module, *words], env=environment, check=False).returncode


def _export_python(root: Path) -> str:
    """The interpreter of the export environment, or this one where it has torch and transformers."""
    said = os.environ.get("SEESTREAM_EXPORT_PYTHON")
    for path in (said, root / ".env-export" / "bin" / "python"):
        if path and Path(path).is_file():
            return str(path)
    if all(importlib.util.find_spec(name) for name in ("torch", "transformers", "onnxscript")):
        return sys.executable
    raise Misconfigured(f"torch is missing: run `make export-env` in {root} (5 GB, once)")
