"""Settings: one YAML file, every key overridable by environment (`SEESTREAM__KAFKA__BOOTSTRAP`), secrets never printed.

Only `app` reads this package; rooms take plain arguments. A key that does not exist is an error that names the nearest
known one. The keys are in `sections`, reading them is here.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from stream.config.sections import (
    PREFIX,
    CameraSettings,
    FolderSettings,
    Kafka,
    ModelSettings,
    Settings,
    StoreSettings,
    default_data_dir,
)
from stream.errors import Misconfigured

__all__ = [
    "PREFIX",
    "CameraSettings",
    "FolderSettings",
    "Kafka",
    "ModelSettings",
    "Settings",
    "StoreSettings",
    "default_data_dir",
    "load",
    "section_of",
]


def load(path: Path | None = None, **overrides: Any) -> Settings:
    """Settings from a YAML file (or only defaults and environment), with `overrides` for top-level keys.

    Raises: Misconfigured with one line for each fault, naming the key and, for an unknown key, the nearest known one.
    """
    data: Any = {}
    if path is not None:
        try:
            data = yaml.safe_load(path.read_text()) or {}
        except OSError as error:
            raise Misconfigured(f"cannot read the settings file {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(data, dict):
            raise Misconfigured(f"{path} must be a mapping of settings, not a {type(data).__name__}")
    _check_environment()
    try:
        return Settings(**{**data, **{key: value for key, value in overrides.items() if value is not None}})
    except ValidationError as error:
        where = str(path) if path else "settings"
        raise Misconfigured("\n".join(f"{where}: {line}" for line in _explain(error))) from error
    except SettingsError as error:  # its text may hold the value, which may be a secret
        name = (re.search(r'field "(\w+)"', str(error)) or ["", "…"])[1]
        raise Misconfigured(
            f"{PREFIX}{name.upper()} in the environment must be JSON, as for a list or a section"
        ) from None


def _check_environment() -> None:
    """A variable with our prefix that sets nothing is a slip of the pen. Raises: Misconfigured."""
    for name in os.environ:
        key = name[len(PREFIX) :].split("__")[0].lower()
        if name.upper().startswith(PREFIX) and key not in Settings.model_fields:
            raise Misconfigured(
                f"{name} in the environment: unknown key {key!r}; {_hint(key, list(Settings.model_fields))}"
            )


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        keys = [str(part) for part in fault["loc"]]
        name = ".".join(keys)
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {name!r}; {_hint(keys[-1], _fields(keys[:-1]))}")
        else:
            said = _PLAIN.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {said}" if name else said)
    return lines


_PLAIN = {
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "may have letters, digits, dots, dashes and underscores only",
}
"""Faults whose own words speak of Python."""


def _hint(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"


def _fields(keys: list[str]) -> list[str]:
    """Names of the keys that exist at a place in the settings; list positions are skipped."""
    model: Any = Settings
    for key in keys:
        if key.isdigit() or model is None:
            continue
        field = model.model_fields.get(key)
        model = section_of(field.annotation) if field else None
    if model is None:
        return []
    return list(model.model_fields)


def section_of(annotation: Any) -> Any:
    """The `Section` inside an annotation such as `tuple[CameraSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := section_of(part))), None)
