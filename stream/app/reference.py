"""The reference pages that are generated from the code: settings and metrics."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined


def settings_page() -> str:
    """Markdown: every key with its default, type and meaning."""
    from stream import config

    lines = [
        "# Settings",
        "",
        "Generated from `stream/config/sections.py` by `make schema`. One YAML file (`-c FILE`); every key can be",
        f"overridden by the environment: `kafka.bootstrap` is `{config.PREFIX}KAFKA__BOOTSTRAP`. A secret `KEY` may be",
        "given as `KEY_file`, the path of a file that holds it.",
        "Without a file every command uses the defaults and the folder `$XDG_DATA_HOME/seestream`.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
        *_rows(config.Settings, ""),
    ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    from stream.config import section_of

    rows = []
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        many = str(field.annotation).startswith("tuple")
        key = f"{prefix}{name}" + ("[]" if inner and many else "")
        default = field.default if field.default is not PydanticUndefined else None
        shown = "" if inner or field.default is PydanticUndefined else _literal(default)
        rows.append(f"| `{key}` | {shown} | {field.description or ''} |")
        if inner:
            rows += _rows(inner, f"{key}.")
    return rows


def _literal(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def metrics_page() -> str:
    """Markdown: every metric with its kind, labels and meaning."""
    from stream import metrics

    lines = [
        "# Metrics",
        "",
        "Generated from `stream/metrics.py` by `make schema`. Served at `/metrics` in the Prometheus text format.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for value in vars(metrics).values():
        if hasattr(value, "_documentation") and hasattr(value, "_name"):
            name = value._name + ("_total" if value._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in value._labelnames)
            lines.append(f"| `{name}` | {value._type} | {labels} | {value._documentation} |")
    return "\n".join(lines) + "\n"
