"""Rules from YAML, with every fault named in one go."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from stream.errors import Misconfigured
from stream.rules.polygon import Polygon, area
from stream.rules.rule import Rule

_FIELDS = ("rule", "source", "label", "score", "caption", "time")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class _Fault(ValueError):
    """What is wrong with one value; the caller says which rule and key."""


def parse_rules(source: str | Path | Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules from YAML text, from a YAML file (a `Path`), or from mappings that were read already.

    Raises: Misconfigured with one line for each fault.
    """
    faults: list[str] = []
    rules: dict[str, Rule] = {}
    for number, item in enumerate(_items(source), 1):
        where = f"rule {number}"
        if not isinstance(item, Mapping):
            faults.append(f"{where}: must be a mapping with a name, not {_kind(item)}")
            continue
        where += f" ({item['name']!r})" if isinstance(item.get("name"), str) else ""
        rule = _rule(item, where, faults)
        if rule is not None and rule.name in rules:
            faults.append(f"{where}: the name is used by an earlier rule; names tell alerts apart, so choose another")
        elif rule is not None:
            rules[rule.name] = rule
    if faults:
        raise Misconfigured("\n".join(faults))
    return tuple(rules.values())


def _items(source: str | Path | Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    where = "rules"
    if not isinstance(source, str | Path):
        return source
    try:
        if isinstance(source, Path):
            where = f"rules file {source}"
            source = source.read_text(encoding="utf-8")
        data = yaml.safe_load(source)
    except OSError as error:
        raise Misconfigured(f"cannot read the {where}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    if isinstance(data, Mapping) and set(data) == {"rules"}:
        data = data["rules"]
    if data is None:
        return []
    if not isinstance(data, list):
        raise Misconfigured(f"{where}: must be a list of rules, not {_kind(data)}")
    return data


def _rule(item: Mapping[Any, Any], where: str, faults: list[str]) -> Rule | None:
    """The rule, or None after its faults were added."""
    before = len(faults)
    values: dict[str, Any] = {}
    for key, value in item.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys are {', '.join(_KEYS)}"
            faults.append(f"{where}: unknown key {key!r}{hint}")
            continue
        try:
            values[key] = _KEYS[key](value)
        except _Fault as fault:
            faults.append(f"{where}: {key}: {fault}")
    if "name" not in item:
        faults.append(f"{where}: a name is missing; alerts carry it")
    if len(faults) > before:
        return None
    rule = Rule(**values)
    if not rule.wants_object and not rule.words:
        faults.append(f"{where}: matches every picture; give it a label, words, a zone or a min_score")
    if rule.overlap is not None and rule.zone is None:
        faults.append(f"{where}: overlap: needs a zone")
    if rule.timezone is not None and rule.between is None and "{time}" not in rule.message:
        faults.append(f"{where}: timezone: needs 'between'")
    return rule if len(faults) == before else None


def _kind(value: Any) -> str:
    names = {str: "text", bool: "yes or no", int: "a number", float: "a number", list: "a list", type(None): "nothing"}
    return names.get(type(value), "a mapping" if isinstance(value, Mapping) else type(value).__name__)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= 100 or not value.isprintable():
        raise _Fault(f"must be 1 to 100 printable characters, not {value!r:.40}")
    return value.strip()


def _texts(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items:
        raise _Fault(f"must be text or a list of texts, not {_kind(value)}")
    for item in items:
        if not isinstance(item, str) or not item.strip():
            # `off`, `no` and 1984 are not texts to YAML, but they are labels and names to people.
            raise _Fault(f"must be text, not {item!r}; put it in quotes")
    return tuple(" ".join(item.split()) for item in items)


def _number(low: float, high: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _Fault(f"must be a number from {low:g} to {high:g}, not {value!r}")
        return float(value)

    return read


def _zone(value: Any) -> Polygon:
    shape = "must be a list of at least 3 corners [x, y], each from 0 to 1 of the picture's width and height"
    if not isinstance(value, list | tuple) or len(value) < 3:
        raise _Fault(f"{shape}; got {value!r:.60}")
    corners = []
    for corner in value:
        if not isinstance(corner, list | tuple) or len(corner) != 2:
            raise _Fault(f"{shape}; got the corner {corner!r:.60}")
        if any(isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1 for part in corner):
            raise _Fault(f"{shape}; got the corner {corner!r:.60}")
        corners.append((float(corner[0]), float(corner[1])))
    if area(corners) <= 0:
        raise _Fault("the corners lie on one line, so that nothing is inside")
    return tuple(corners)


def _between(value: Any) -> tuple[time, time]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _Fault(f'must be two times of day, such as ["22:00", "06:00"], not {value!r:.40}')
    first, last = (_clock(part) for part in value)
    if first == last:
        raise _Fault(f"both times are {value[0]!r}: leave it out for the whole day")
    return first, last


def _clock(value: Any) -> time:
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        # YAML 1.1 reads 22:00 without quotes as the number 1320.
        raise _Fault(f'must be a time of day in quotes, such as "22:00", not {value!r:.40}')
    return time(int(found[1]), int(found[2]))


def _timezone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise _Fault(f"must be a name such as 'Europe/Berlin', not {value!r:.40}") from error


def _message(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Fault(f"must be text, not {_kind(value)}")
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        raise _Fault(f"{error}; write {{{{ for a brace") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in _FIELDS or spec or conversion):
            raise _Fault(f"{{{name}}} is unknown; the fields are {', '.join(f'{{{known}}}' for known in _FIELDS)}")
    return value


_KEYS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "source": _texts,
    "label": _texts,
    "min_score": _number(0, 1),
    "zone": _zone,
    "overlap": _number(0.01, 1),
    "words": _texts,
    "between": _between,
    "timezone": _timezone,
    "cool_down_s": _number(0, 30 * 86400),
    "message": _message,
}
