"""What a part of the settings is made of: the mapping, and the kinds of values that are checked beyond their type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from stream.errors import Misconfigured


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, data: Any) -> Any:
        return without_empty(data, cls)


def without_empty(data: Any, model: type[BaseModel]) -> Any:
    """`cameras:` with nothing behind it, as it stays when all below is commented out, is the default."""
    if not isinstance(data, dict):
        return data
    return {key: value for key, value in data.items() if value is not None or key not in model.model_fields}


Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
Name = Annotated[str, Field(min_length=1)]


def _polygon(corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if len(corners) < 3 or any(not 0 <= value <= 1 for corner in corners for value in corner):
        raise ValueError("a polygon has three corners or more, each (x, y) as shares of the picture from 0 to 1")
    return corners


Polygon = Annotated[tuple[tuple[float, float], ...], AfterValidator(_polygon)]


def with_secret(section: dict[str, Any], key: str) -> dict[str, Any]:
    """`KEY_file` names a file whose content is the secret, as Docker and Kubernetes mount them."""
    path = section.pop(f"{key}_file", None)
    if path and not section.get(key):
        try:
            section[key] = Path(path).expanduser().read_text().strip()
        except OSError as error:
            raise Misconfigured(f"{key}_file: cannot read {path}: {error.strerror}") from error
    return section
