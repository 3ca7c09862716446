"""What a view is: columns with their SQL, meaning and unit, and where its rows come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a view: its name, the SQL that makes it, what it means and its unit."""

    name: str
    sql: str
    comment: str


@dataclass(frozen=True)
class View:
    """One view. `source` is everything from FROM on."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    source: str

    def statements(self) -> list[str]:
        body = ", ".join(f'{c.sql} as "{c.name}"' for c in self.columns)
        out = [f"create view {self.name} as select {body} {self.source}"]
        out.append(f"comment on view {self.name} is {quoted(self.comment)}")
        out += [f'comment on column {self.name}."{c.name}" is {quoted(c.comment)}' for c in self.columns]
        return out


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def time_of(seconds: str) -> str:
    """SQL of a TIMESTAMP in UTC from seconds since 1970."""
    return f"make_timestamp(({seconds} * 1000000)::bigint)"


def field(name: str, sql_type: str = "VARCHAR") -> str:
    """SQL of one field of a journal event, whose row is `r`."""
    if sql_type.endswith("[]") or sql_type.startswith("MAP"):
        return f"(r.fields -> '{name}')::{sql_type}"
    return f"(r.fields ->> '{name}')::{sql_type}"
