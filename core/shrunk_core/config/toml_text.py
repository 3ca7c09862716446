"""TOML out: tables as text in the style of our grid files, with the comments of the text they came from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LINE = 100
"""Columns that a list may take before its items go to lines of their own."""

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.\"-]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"\s*(\"[^\"]*\"|[A-Za-z0-9_.-]+)\s*=")


@dataclass(frozen=True)
class Comments:
    """The comments of a TOML text. Keys are (section, key) with the section "" at the top and the key "" for a header.

    above: comment and blank lines right before; beside: the comment at the end of the line; top: the block before
    everything, up to its first blank line; last: what follows the last key. Comments between the items of a list that
    takes several lines are not kept.
    """

    above: Mapping[tuple[str, str], tuple[str, ...]]
    beside: Mapping[tuple[str, str], str]
    top: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


def read_comments(text: str) -> Comments:
    """The comments of a text that is valid TOML."""
    above: dict[tuple[str, str], tuple[str, ...]] = {}
    beside: dict[tuple[str, str], str] = {}
    top: tuple[str, ...] = ()
    section, waiting, depth, first = "", [], 0, True
    at = ("", "")
    for line in text.splitlines():
        if depth > 0:  # within a list of several lines
            depth += _opened(line)
            if depth == 0 and (comment := _comment(line)):
                beside[at] = comment
            continue
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            waiting.append(stripped)
            if first and not stripped:
                top, waiting, first = tuple(waiting[:-1]), [], False
            continue
        first = False
        if header := _HEADER.match(line):
            section = header[1].replace('"', "")
            at = (section, "")
        elif key := _KEY.match(line):
            at = (section, key[1].strip('"'))
            depth = _opened(line)
        above[at] = tuple(waiting)
        waiting = []
        if depth == 0 and (comment := _comment(line)):
            beside[at] = comment
    return Comments(above=above, beside=beside, top=top, last=tuple(waiting))


def write_toml(tables: Mapping[str, Any], comments: Comments | None = None) -> str:
    """Plain keys first, then one level of tables in their order. ConfigError for a value that TOML cannot say."""
    kept = comments or Comments({}, {})
    lines = [*kept.top, *([""] if kept.top else [])]
    for key, value in tables.items():
        if not isinstance(value, Mapping):
            lines += _entry("", key, value, kept)
    for section, table in tables.items():
        if isinstance(table, Mapping):
            above = [c for c in kept.above.get((section, ""), ()) if c]
            lines += ["", *above, _beside(f"[{_key(section)}]", (section, ""), kept)]
            for key, value in table.items():
                lines += _entry(section, key, value, kept)
    lines += ["", *kept.last] if any(kept.last) else []
    text = "\n".join(lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def _entry(section: str, key: str, value: Any, kept: Comments) -> Iterator[str]:
    yield from kept.above.get((section, key), ())
    name = _key(key)
    first, *rest = _listed(value) if isinstance(value, (list, tuple)) and value else [shown(value)]
    if rest:
        yield f"{name} = {first}"
        yield from rest[:-1]
        yield _beside(rest[-1], (section, key), kept)
    else:
        yield _beside(f"{name} = {first}", (section, key), kept)


def _beside(line: str, at: tuple[str, str], kept: Comments) -> str:
    comment = kept.beside.get(at)
    return f"{line:<31} {comment}" if comment else line


def _listed(value: list[Any] | tuple[Any, ...]) -> list[str]:
    """A list on one line, or an item a line when it is long or holds tables."""
    items = [shown(v) for v in value]
    line = f"[{', '.join(items)}]"
    if len(line) <= _LINE and not any(isinstance(v, Mapping) for v in value):
        return [line]
    return ["[", *(f"  {item}," for item in items), "]"]


def shown(value: Any) -> str:
    """One value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return _float(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(shown, value))}]"
        case Mapping():
            inner = ", ".join(f"{_key(k)} = {shown(v)}" for k, v in value.items())
            return f"{{ {inner} }}" if inner else "{}"
    raise ConfigError(f"TOML has no word for {value!r}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else shown(key)


def _float(value: float) -> str:
    """The shortest text that gives this number back: 0.002, 3e12."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    text = repr(value)
    if value and not 1e-4 <= abs(value) < 1e6:
        short = next(s for d in range(18) if float(s := f"{value:.{d}e}") == value)
        mantissa, exponent = short.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text


def _opened(line: str) -> int:
    """Brackets that a line opens more than it closes, outside strings and comments."""
    bare = _bare(line)
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")


def _bare(line: str) -> str:
    """The line without strings and comment."""
    return re.sub(r"\"(?:\\.|[^\"\\])*\"|'[^']*'", "", line).split("#", 1)[0]


def _comment(line: str) -> str:
    """The comment at the end of a line, or nothing."""
    blanked = re.sub(r"\"(?:\\.|[^\"\\])*\"|'[^']*'", lambda m: " " * len(m[0]), line)
    at = blanked.find("#")
    return line[at:].rstrip() if at >= 0 else ""
