"""What the documents say is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stream.__main__ import COMMANDS
from stream.app import schema

ROOT = Path(__file__).resolve().parent.parent
GENERATED = schema.files()


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_the_committed_document_is_what_the_code_generates(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == GENERATED[name], "run `make schema`"


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["cpu"],
        *project["optional-dependencies"]["gpu"],
    ]
    names = {re.split(r"[\[<>=!~ ]", line)[0] for line in wanted}
    documented = set(re.findall(r"^\| ([\w-]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))
    assert names - documented == set()


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"seestream {name}" not in readme] == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "models/onnx/README.md"]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_every_documented_setting_is_read_by_the_program() -> None:
    named = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert len(named) > 50
    rooms = [path for path in (ROOT / "stream").rglob("*.py") if path.parent.name != "config"]
    read = set(re.findall(r"\.(\w+)", "\n".join(path.read_text() for path in rooms)))
    assert [name for name in named if name.split(".")[-1].removesuffix("[]") not in read] == []
