"""`views.sql` of a lab: people's own views and macros, laid over each published copy."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from .views import views

_ALLOWED = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:create\s+(?:or\s+replace\s+)?(?:view|macro|function)\b|comment\s+on\b)",
    re.I | re.S,
)


def path(lab: Path) -> Path:
    return lab / "views.sql"


def stamp(lab: Path) -> str:
    """Changes whenever the file does; "" without one."""
    try:
        stat = path(lab).stat()
    except OSError:
        return ""
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def apply(lab: Path, copy: Path) -> tuple[str, ...]:
    """Run the statements of `views.sql` in a copy; return one message for each that did not work.

    Only views, macros and comments: a table would be lost at the next publication, and be no index of the logs. Our
    own views cannot be replaced. One broken statement does not keep the others out.
    """
    try:
        text = path(lab).read_text()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as problem:
        return (f"views.sql cannot be read: {problem}",)
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as problem:
        return (f"views.sql was not applied: {_first_lines(problem)}",)
    if not statements:
        return ()
    problems = []
    con = duckdb.connect(str(copy), config={"enable_external_access": "false", "lock_configuration": "true"})
    try:
        ours = _definitions(con)
        for number, statement in enumerate(statements, 1):
            problem = _apply_one(con, statement.query, ours)
            if problem:
                problems.append(f"views.sql, statement {number}: {problem}")
        con.execute("checkpoint")
    finally:
        con.close()
    return tuple(problems)


def _apply_one(con: duckdb.DuckDBPyConnection, sql: str, ours: dict[str, tuple[str, str]]) -> str:
    if not _ALLOWED.match(sql):
        return f"only CREATE VIEW, CREATE MACRO and COMMENT ON belong there, not: {sql.strip()[:60]}"
    con.execute("begin")
    try:
        con.execute(sql)
        if _definitions(con) != ours:
            con.execute("rollback")
            return "it changes a view of shrunk-tui's own; choose another name"
        con.execute("commit")
    except duckdb.Error as problem:
        con.execute("rollback")
        return _first_lines(problem)
    return ""


def _definitions(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, str]]:
    """Our views as they are in the copy: name -> definition and comment."""
    names = {view.name for view in views()}
    query = "select view_name, sql, comment from duckdb_views() where schema_name = 'main'"
    return {name: (sql, comment) for name, sql, comment in con.execute(query).fetchall() if name in names}


def _first_lines(problem: duckdb.Error) -> str:
    return " ".join(line.strip() for line in str(problem).strip().splitlines()[:2])
