"""Strict TOML: an unknown key, a wrong type, a value out of range is refused with file, line, key and nearest spelling."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..errors import ConfigError

Spec = TypeVar("Spec")


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file and its text. ConfigError names file and line of what cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in _siblings(path)], n=1)
        raise ConfigError(
            f"{path} does not exist" + (f"; did you mean {path.parent / near[0]}?" if near else "")
        ) from None
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path} is not UTF-8 (byte {problem.start})") from None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: {problem}") from None


def _siblings(path: Path) -> Iterable[Path]:
    return path.parent.glob("*.toml") if path.parent.is_dir() else []


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a value came from, for messages: a file, its text and a section."""

    path: Path
    text: str
    section: str = ""

    def key(self, key: str) -> str:
        """`grid.toml line 12: [model] hidden_size`, without the line where the key cannot be found."""
        line = self._line(key)
        at = f"{self.path} line {line}" if line else str(self.path)
        return f"{at}: " + (f"[{self.section}] {key}" if self.section else key)

    def _line(self, key: str) -> int | None:
        current = ""
        wanted = re.compile(rf'\s*"?{re.escape(key)}"?\s*=')
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
                current = header[1].strip('"')
            elif current == self.section and wanted.match(line):
                return number
        return None


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], place: Place, what: str = "key") -> None:
    """ConfigError for the first key of `table` that is not one of `known`, with the nearest spelling."""
    valid = list(known)
    for key in table:
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"valid are: {', '.join(valid)}"
            raise ConfigError(f"{place.key(key)}: unknown {what} `{key}`; {hint}")


def read_section(cls: type[Spec], table: Mapping[str, Any], place: Place) -> Spec:
    """A spec from a table: every key known, every value of the declared type and range, required keys present."""
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    refuse_unknown(table, fields, place)
    missing = [
        name
        for name, f in fields.items()
        if name not in table and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{place.path}: [{place.section}] needs `{missing[0]}`: {fields[missing[0]].metadata['doc']}")
    hints = get_type_hints(cls)
    return cls(**{key: check(value, hints[key], fields[key].metadata, place.key(key)) for key, value in table.items()})


def check(value: Any, hint: Any, metadata: Mapping[str, Any], where: str) -> Any:
    """The value in its declared type, or ConfigError. A whole number serves as a float; nothing else is converted."""
    if isinstance(hint, types.UnionType):
        hint = next(a for a in get_args(hint) if a is not type(None))
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list, not {_shown(value)}")
        return tuple(check(v, item, {}, where) for v in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        wanted = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}[hint]
        raise ConfigError(f"{where} must be {wanted}, not {_shown(value)}")
    if choices := metadata.get("choices"):
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, n=1)
            hint_text = f"; did you mean `{near[0]}`?" if near else ""
            raise ConfigError(f"{where} must be one of {', '.join(choices)}, not {_shown(value)}{hint_text}")
    low, high = metadata.get("low"), metadata.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise ConfigError(f"{where} must be {bounds}, not {value}")
    if isinstance(value, float) and value != value:
        raise ConfigError(f"{where} must be a number, not nan")
    return value


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
