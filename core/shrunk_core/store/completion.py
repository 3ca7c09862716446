"""What could stand at the cursor of a query: views after FROM, columns of the views in use, functions, keywords.

The text is not parsed: a query being typed is rarely whole. Words before the cursor say enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import Store

KEYWORDS = tuple(
    "select from where group by order having limit offset as and or not in is null like ilike between case when then else "
    "end distinct join left right inner full cross on using with union all except intersect exists over partition qualify "
    "window desc asc filter cast true false pivot unpivot describe summarize explain values lateral asof".split()
)
"""The words of a reading statement; DuckDB reserves many more that no such statement needs."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_QUALIFIED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z0-9_]*)$")
_SOURCE = re.compile(r"\b(?:from|join)\s+([A-Za-z_]\w*)(?:\s+(?:as\s+)?([A-Za-z_]\w*))?", re.I)
_AFTER_SOURCE = re.compile(
    r"(?:\b(?:from|join|describe|summarize)\s+|\bfrom\s+[\w\s]+,\s*)[A-Za-z_]*[A-Za-z0-9_]*$", re.I
)
_OPEN_QUOTE = re.compile(r"'[^']*'|--[^\n]*\n")


@dataclass(frozen=True, kw_only=True)
class Name:
    """Something that can be typed. kind: `view`, `column`, `function` or `keyword`; note: what it means, in a line."""

    text: str
    kind: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All names of a lab: views with their comments, columns by view, functions."""

    views: tuple[Name, ...]
    columns: dict[str, tuple[Name, ...]]
    functions: tuple[Name, ...]


def read_catalog(store: Store) -> Catalog:
    """The names that the published copy knows, people's own views of views.sql included."""
    views = store.query("select view_name, comment from duckdb_views() where not internal order by view_name")
    columns = store.query(
        "select table_name, column_name, comment, data_type from duckdb_columns() where not internal "
        "and database_name = 'lab' and schema_name = 'main' order by table_name, column_index"
    )
    functions = store.query(
        "select function_name, any_value(description), any_value(array_to_string(parameters, ', ')) "
        "from duckdb_functions() where function_type in ('scalar', 'aggregate', 'macro', 'table', 'table_macro') "
        "and regexp_matches(function_name, '^[a-z][a-z0-9_]*$') and not starts_with(function_name, 'pg_') "
        "group by function_name order by function_name"
    )
    by_view: dict[str, list[Name]] = {}
    for view, column, comment, kind in columns.rows:
        by_view.setdefault(view, []).append(Name(text=column, kind="column", note=comment or kind.lower()))
    return Catalog(
        views=tuple(Name(text=v, kind="view", note=c or "of views.sql") for v, c in views.rows if v in by_view),
        columns={view: tuple(names) for view, names in by_view.items()},
        functions=tuple(
            Name(text=f, kind="function", note=f"({arguments or ''}) {text or ''}".strip())
            for f, text, arguments in functions.rows
        ),
    )


def word_before(text: str, at: int) -> str:
    """The unfinished word that ends at `at`; empty where none does."""
    match = _WORD.search(text[:at])
    return match[0] if match else ""


def complete(text: str, at: int, catalog: Catalog, most: int = 50) -> list[Name]:
    """Names that could continue the word at `at`, best first; nothing within a string or a comment.

    Those that start with the word come before columns that only contain it; columns of the views in use before functions
    and keywords. After FROM or JOIN only views and the names of WITH queries; after `name.` only its columns.
    """
    before = text[:at]
    rest = _OPEN_QUOTE.sub(" ", before)
    if "'" in rest or "--" in rest:
        return []
    if qualified := _QUALIFIED.search(before):
        view = _aliases(text).get(qualified[1].lower(), qualified[1].lower())
        return _matching(catalog.columns.get(view, ()), qualified[2], most)
    word = word_before(before, at)
    if _AFTER_SOURCE.search(before):
        named = [Name(text=n, kind="view", note="of this query") for n in re.findall(r"\b(\w+)\s+as\s*\(", text, re.I)]
        return _matching([*named, *catalog.views], word, most)
    if not word:
        return []
    used = [v for v in dict.fromkeys(_aliases(text).values()) if v in catalog.columns]
    columns = [c for view in used or list(catalog.columns) for c in catalog.columns[view]]
    keywords = [Name(text=k, kind="keyword") for k in KEYWORDS]
    return _matching([*columns, *keywords, *catalog.views, *catalog.functions], word, most)


def _aliases(text: str) -> dict[str, str]:
    """Names that stand for a view in this query, themselves included."""
    found: dict[str, str] = {}
    for view, alias in _SOURCE.findall(text):
        found[view.lower()] = view.lower()
        if alias and alias.lower() not in KEYWORDS:
            found[alias.lower()] = view.lower()
    return found


def _matching(names: Iterable[Name], word: str, most: int) -> list[Name]:
    """Each name once, those that start with `word` first; a word that is whole already is no suggestion."""
    wanted = word.lower()
    starts: dict[str, Name] = {}
    within: dict[str, Name] = {}
    for name in names:
        text = name.text.lower()
        if text == wanted:
            continue
        if text.startswith(wanted):
            starts.setdefault(name.text, name)
        elif name.kind == "column" and len(wanted) > 1 and wanted in text:
            within.setdefault(name.text, name)
    within = {k: v for k, v in within.items() if k not in starts}
    return [*starts.values(), *within.values()][:most]
