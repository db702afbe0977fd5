"""`seestream models`: which models there are, and pulling published ones from a hub."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from stream import errors

FILES = ("*.json", "tokenizer*", "vocab*", "merges*")
GRAPHS = (
    "vision_encoder", "embed_tokens", "encoder_model", "decoder_model_merged", "vision_model", "text_model",
)  # fmt: skip
SUFFIXES = {"fp32": "", "fp16": "_fp16", "int8": "_int8"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the bundled demo models and those that were pulled")
    pull = actions.add_parser("pull", help="get a published ONNX export from the model hub")
    pull.add_argument("id", metavar="OWNER/NAME", help="such as onnx-community/Florence-2-base-ft")
    pull.add_argument("--precision", choices=sorted(SUFFIXES), default="fp32")
    pull.add_argument("--revision", help="branch, tag or commit")


def run(args: argparse.Namespace) -> int:
    return _list() if args.action == "list" else _pull(args.id, args.precision, args.revision)


def model_folder() -> Path:
    """Where pulled models lie, below the user's data folder."""
    from stream.config import default_data_dir

    return Path(os.environ.get("SEESTREAM_MODELS") or default_data_dir() / "models")


def _list() -> int:
    from stream.infer import bundled

    pulled = model_folder()
    for folder in [*sorted(bundled().glob("*/")), *(sorted(pulled.glob("*/")) if pulled.is_dir() else ())]:
        if (folder / "config.json").is_file():
            size_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
            kind = json.loads((folder / "config.json").read_text()).get("model_type", "unknown")
            note = "  DEMO: the drawn scenes only" if folder.parent == bundled() else ""
            print(f"{folder}  {kind}  {size_mb:.1f} MB{note}")
    return 0


def _pull(identity: str, precision: str, revision: str | None) -> int:
    """Raises: Misconfigured, with what to copy where, when the hub cannot be reached or has no such model."""
    from huggingface_hub import snapshot_download

    from stream.infer.manifest import sha256

    target = model_folder() / identity.replace("/", "--")
    graphs = [f"onnx/{stem}{SUFFIXES[precision]}.onnx*" for stem in GRAPHS]
    try:
        snapshot_download(identity, revision=revision, local_dir=target, allow_patterns=[*FILES, *graphs])
    except Exception as error:
        raise errors.Misconfigured(
            f"cannot pull {identity}: {' '.join(str(error).split())[:200]}; without a network copy its config.json, "
            f"preprocessor_config.json, tokenizer.json and {', '.join(graphs[:4])} to {target}"
        ) from error
    found = [path for path in sorted(target.rglob("*")) if path.is_file() and ".cache" not in path.parts]
    files = {str(path.relative_to(target)): {"sha256": sha256(path), "bytes": path.stat().st_size} for path in found}
    kind = json.loads((target / "config.json").read_text()).get("model_type", "unknown")
    body = {"name": identity, "architecture": kind, "demo": False, "precision": precision, "files": files}
    (target / "manifest.json").write_text(json.dumps(body, indent=2) + "\n")
    print(f"{identity} is in {target}; set models.describe or models.embed to that folder")
    return 0
