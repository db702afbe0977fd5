"""Published ONNX files from a model hub: only what is needed, resumed after a break, verified by the hub's own hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import Misconfigured, SeestreamError

SETTINGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "calibration.json",
)
NEEDED = ("config.json", "preprocessor_config.json", "tokenizer.json")
GRAPHS = {
    "florence2": ("vision_encoder", "embed_tokens", "encoder_model", "decoder_model_merged"),
    "towers": ("vision_model", "text_model"),
}
SUFFIXES = {"fp32": ("",), "fp16": ("_fp16",), "int8": ("_quantized", "_int8")}
"""As onnx-community names them; `_quantized` is what its own library takes for eight bits."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the hub describes it."""

    name: str
    size_bytes: int | None
    sha256: str | None  # of large files
    blob: str | None  # git's hash, of small ones


def pull(identity: str, target: Path, precision: str, revision: str | None = None, endpoint: str | None = None) -> Path:
    """Downloads what the runtime needs of a repository into `target` and writes its manifest.

    A broken download goes on where it stopped; files that are there already are not fetched again.

    Raises:
        Misconfigured: no network, no such repository, no such precision, or a file that is not what the hub says.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    _quiet_unless_watched()
    try:
        info = HfApi(endpoint=endpoint).model_info(identity, revision=revision, files_metadata=True)
        entries = {one.name: one for one in map(_entry, info.siblings or ())}
        kind, wanted = choose(identity, entries, precision)
        fetch(identity, info.sha, (entries[name] for name in wanted), target, endpoint)
        origin = _origin(info)
        if "tokenizer.json" not in wanted:
            _borrow_tokenizer(identity, origin, target, endpoint)
        if kind == "towers":
            _calibrate(origin, target, endpoint)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise Misconfigured(
            f"the hub shows no {identity}{f' at {revision}' if revision else ''}: is it spelt as OWNER/NAME? "
            "A private one needs its token in HF_TOKEN"
        ) from error
    except SeestreamError:
        raise
    except Exception as error:  # which HTTP library raises depends on the version of huggingface_hub
        raise Misconfigured(
            f"cannot pull {identity}: {_reason(error)}. The same command goes on where it stopped. "
            f"{by_hand(target, identity, precision)}"
        ) from error
    _write_manifest(target, identity, info, precision)
    return target


def by_hand(target: Path, identity: str, precision: str) -> str:
    """What to copy where when the hub is out of reach."""
    kind = "florence2" if "florence" in identity.lower() else "towers"
    graphs = ", ".join(f"onnx/{stem}{SUFFIXES[precision][0]}.onnx" for stem in GRAPHS[kind])
    return f"Without a network, copy its {', '.join(NEEDED)}, {graphs} to {target}"


def choose(identity: str, names: Iterable[str], precision: str) -> tuple[str, list[str]]:
    """(florence2 or towers, the files to fetch). Raises Misconfigured where the repository has no such files."""
    there = set(names)
    kind = next(
        (kind for kind, stems in GRAPHS.items() if any(f"onnx/{stems[0]}{s}.onnx" in there for s in _ALL)), None
    )
    if kind is None:
        one = (
            "one graph for pictures and texts together"
            if any(n.startswith("onnx/model") for n in there)
            else "no ONNX files"
        )
        raise Misconfigured(
            f"{identity} has {one}; seestream needs {' and '.join(GRAPHS['towers'])} (or Florence-2's four graphs): "
            "pull another repository, such as onnx-community/siglip2-base-patch16-224-ONNX, or `seestream models export`"
        )
    for suffix in SUFFIXES[precision]:
        graphs = [f"onnx/{stem}{suffix}.onnx" for stem in GRAPHS[kind]]
        if there.issuperset(graphs):
            beside = [name for name in sorted(there) if any(name.startswith(f"{graph}_data") for graph in graphs)]
            return kind, [*(name for name in SETTINGS if name in there), *graphs, *beside]
    offered = [p for p, all_of in SUFFIXES.items() if any(f"onnx/{GRAPHS[kind][0]}{s}.onnx" in there for s in all_of)]
    raise Misconfigured(f"{identity} has no {precision} files; it offers {', '.join(offered)}")


_ALL = [suffix for suffixes in SUFFIXES.values() for suffix in suffixes]


def fetch(identity: str, revision: str | None, entries: Iterable[Entry], target: Path, endpoint: str | None) -> None:
    """Downloads and verifies. Raises Misconfigured when a file is not what the hub says; it is deleted."""
    from huggingface_hub import hf_hub_download

    for entry in entries:
        hf_hub_download(identity, entry.name, revision=revision, local_dir=target, endpoint=endpoint)
        if fault := verify(target / entry.name, entry):
            (target / entry.name).unlink()
            raise Misconfigured(f"{entry.name} of {identity} {fault}; it was deleted: run the command again")


def verify(path: Path, entry: Entry) -> str | None:
    """What is wrong with a downloaded file, None for nothing."""
    size = path.stat().st_size
    if entry.size_bytes is not None and size != entry.size_bytes:
        return f"has {size} bytes instead of {entry.size_bytes}"
    with path.open("rb") as file:
        if entry.sha256:
            actual, expected = hashlib.file_digest(file, "sha256").hexdigest(), entry.sha256
        elif entry.blob:
            # How git names a blob: its kind and size go before the bytes.
            actual, expected = hashlib.sha1(b"blob %d\0" % size + file.read()).hexdigest(), entry.blob
        else:
            return None
    return None if actual == expected else f"has the hash {actual} instead of {expected}"


def _entry(sibling: Any) -> Entry:
    large = sibling.lfs
    return Entry(sibling.rfilename, sibling.size, large.sha256 if large else None, sibling.blob_id)


def _origin(info: Any) -> str | None:
    """The checkpoint that was converted, where the model card says it."""
    said = info.card_data.get("base_model") if info.card_data else None
    first = said[0] if isinstance(said, list) and said else said
    return first if isinstance(first, str) else None


def _borrow_tokenizer(identity: str, origin: str | None, target: Path, endpoint: str | None) -> None:
    """Some conversions come without a tokenizer: it is the original's."""
    from huggingface_hub import HfApi

    entries = HfApi(endpoint=endpoint).model_info(origin, files_metadata=True).siblings or () if origin else ()
    found = {one.name: one for one in map(_entry, entries)}
    if "tokenizer.json" not in found:
        raise Misconfigured(f"{identity} has no tokenizer.json, nor has the checkpoint it was made of")
    names = [name for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json") if name in found]
    fetch(str(origin), None, (found[name] for name in names), target, endpoint)


def _calibrate(origin: str | None, target: Path, endpoint: str | None) -> None:
    """Two numbers that the separate towers lack, read from the original checkpoint without downloading it."""
    if (target / "calibration.json").is_file():
        return
    try:
        found = scalars(origin, ("logit_scale", "logit_bias"), endpoint) if origin else {}
    except Exception:  # noqa: BLE001 - as above; the pull is complete without these numbers
        found = {}
    if "logit_scale" in found:
        (target / "calibration.json").write_text(json.dumps(found) + "\n")
    else:
        print("the original checkpoint is out of reach: search works, probabilities do not", file=sys.stderr)


def scalars(identity: str, names: Iterable[str], endpoint: str | None = None) -> Mapping[str, float]:
    """Single numbers of a repository's model.safetensors, by ranges of bytes: its header says where each tensor lies."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(identity, "model.safetensors", endpoint=endpoint)

    def part(start: int, end: int) -> bytes:
        headers = {**build_hf_headers(), "Range": f"bytes={start}-{end - 1}"}
        answer = get_session().get(url, headers=headers, follow_redirects=True)
        answer.raise_for_status()
        if answer.status_code != 206:
            raise OSError("the hub gives no parts of files")
        return bytes(answer.content)

    (length,) = struct.unpack("<Q", part(0, 8))
    header = json.loads(part(8, 8 + length))
    found = {}
    for name in names:
        if name in header and header[name]["dtype"] == "F32":
            start, end = header[name]["data_offsets"]
            (found[name],) = struct.unpack("<f", part(8 + length + start, 8 + length + end))
    return found


def _write_manifest(target: Path, identity: str, info: Any, precision: str) -> None:
    from stream.infer import manifest

    shutil.rmtree(target / ".cache", ignore_errors=True)
    kind = json.loads((target / "config.json").read_text()).get("model_type", "unknown")
    path = manifest.write(target, name=identity, architecture=kind, demo=False)
    said = json.loads(path.read_text())
    licence = (info.card_data.get("license") if info.card_data else None) or "unknown"
    said |= {
        "source": identity,
        "revision": info.sha,
        "licence": licence,
        "layout": "published",
        "precision": precision,
    }
    path.write_text(json.dumps(said, indent=1) + "\n")


def _quiet_unless_watched() -> None:
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


def _reason(error: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
