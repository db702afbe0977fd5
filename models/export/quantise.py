"""`python -m models.export.quantise SRC DEST`: model folders of fp32 ONNX files, and beside each file its int8 one.

For files whose checkpoint is not at hand. SRC holds a folder for each model, as `models/onnx` does.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import onnx

from models.export.graph import save
from models.export.precision import SUFFIXES, int8
from stream.infer import manifest


def quantise(source: Path, target: Path) -> None:
    """Writes `target` anew: everything of the model folder `source`, and the int8 files."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    said = json.loads((target / "manifest.json").read_text())
    other = (*filter(None, SUFFIXES.values()), "_quantized")
    for path in sorted(path for path in target.rglob("*.onnx") if not path.stem.endswith(other)):
        small = path.with_name(f"{path.stem}{SUFFIXES['int8']}.onnx")
        save(int8(onnx.load(path)), small)
        sizes = (path.stat().st_size / 1e6, small.stat().st_size / 1e6)
        print(f"{small}  {sizes[1]:.2f} MB, fp32 {sizes[0]:.2f} MB", flush=True)
    written = json.loads(manifest.write(target, name=said["name"], architecture=said["architecture"]).read_text())
    said |= {"precisions": ["fp32", "int8"], "files": written["files"]}
    (target / manifest.NAME).write_text(json.dumps(said, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m models.export.quantise", description=__doc__)
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of model folders")
    parser.add_argument("destination", metavar="DEST", type=Path, help="folder to write them to")
    args = parser.parse_args()
    if args.destination.resolve() == args.source.resolve():
        parser.error("DEST must be another folder than SRC: it is written anew")
    for folder in sorted(path.parent for path in args.source.glob("*/manifest.json")):
        quantise(folder, args.destination / folder.name)


if __name__ == "__main__":
    main()
