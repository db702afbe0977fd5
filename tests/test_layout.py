"""The import rules hold: rooms do not know each other, libraries have one home, the command line stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "stream"
ROOMS = {"capture", "consume", "decode", "gate", "infer", "rules", "sinks", "web"}
SHARED = {"types", "errors", "metrics", "wire"}
HOMES = {
    "onnxruntime": {"infer/session.py"},
    "av": {"decode/", "capture/", "app/gate.py", "app/samples.py"},
    "aiokafka": {"consume/", "sinks/topics.py", "app/"},
    "confluent_kafka": {"app/embedded.py"},
    "weaviate": {"sinks/weaviate"},
    "apsw": {"sinks/", "app/journal.py", "app/embedded.py"},
    "cv2": {"gate/", "decode/", "capture/", "sinks/snapshots.py", "infer/", "app/"},
    "torch": set(),
    "transformers": set(),
}


def imports(path: Path) -> list[str]:
    """Dotted names a file imports; ours are resolved to `stream.…`."""
    package = ["stream", *path.relative_to(SRC).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join([*package[: len(package) - node.level + 1]]) if node.level else ""
            module = ".".join(part for part in (stem, node.module or "") if part)
            found += [f"{module}.{alias.name}" for alias in node.names] if module == "stream" else [module]
    return found


def module_of(path: Path) -> str:
    """The room or top-level module a file belongs to."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return parts[0]


def allowed(here: str, there: str) -> bool:
    """Whether module `here` may import module `there` (names directly below `stream`)."""
    if here == there or here in ("app", "__init__"):
        return True
    if here in ("types", "errors"):
        return False
    if here == "pipeline":
        return there in {"types", "errors", "metrics"}
    if here in ROOMS:
        return there in SHARED
    if here == "__main__":
        return there in {"app", "errors"} or there == "__version__"
    return there in SHARED | {"__version__"}


def test_rooms_import_only_what_they_may() -> None:
    broken = []
    files = sorted(SRC.rglob("*.py"))
    assert len(files) > 40
    for path in files:
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "stream" and len(parts) > 1 and not allowed(module_of(path), parts[1]):
                broken.append(f"{path.relative_to(ROOT)} imports {name}")
    assert broken == []


@pytest.mark.parametrize("library", sorted(HOMES))
def test_each_library_has_one_home(library: str) -> None:
    strangers = [
        str(path.relative_to(SRC))
        for path in sorted(SRC.rglob("*.py"))
        if any(name.split(".")[0] == library for name in imports(path))
        and not any(str(path.relative_to(SRC)).startswith(home) for home in HOMES[library])
    ]
    assert strangers == []


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from stream.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
        "    main(['--help'])\n"
        "assert 'demo' in out.getvalue()\n"
        "heavy = {'numpy', 'cv2', 'av', 'onnxruntime', 'aiokafka', 'faststream', 'weaviate', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"
