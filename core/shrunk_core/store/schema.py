"""The only DDL of the lab: base tables in the schema `raw`, and the views that people type.

Base tables hold what the logs say, superseded rows included. The views (`views.py`) are the contract: their names,
columns and units are documented in the database itself and stay. There are no migrations: an index that was made by
another version of this file is thrown away and built again from the logs.

Supersession. A run's log is cut into segments by its `resumed` lines: segment 0 before the first, 1 after it, and so
on. A resumption from update u takes back every earlier row of a larger update, so a row of segment s at update x stands
if x <= `last_update` of its segment, the smallest u of all resumptions after it. Evaluations of one run, split and
update on both sides of a resumption are one row: the later.
"""

from __future__ import annotations

import dataclasses
import hashlib
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from ..config.language_spec import CorpusSpec, TokenizerSpec
from ..config.spec import ModelSpec, TrainSpec
from ..record.events import VERSION
from ..record.rundir import SPEC_VERSION
from .runstate import RunState

SCHEMA_VERSION = 2
"""Raised by hand when the meaning of a stored column changes; a changed DDL is noticed by its digest anyway."""

STORAGE_VERSION = "v1.2.0"
"""Of the DuckDB file, so that clients of 1.2 and later can open it."""

NEVER_CUT = 2**63 - 1
"""`last_update` of a segment that no resumption follows."""

_TYPES = {
    int: "BIGINT",
    float: "DOUBLE",
    str: "VARCHAR",
    bool: "BOOLEAN",
    tuple[str, ...]: "VARCHAR[]",
    tuple[float, ...]: "DOUBLE[]",
}
FLOPS_TYPE = "HUGEINT"
"""FLOPs are exact integers; a day of one large GPU passes 2**63."""


@dataclass(frozen=True)
class SpecColumn:
    """A setting of a run as a column of `runs`: its name there, the spec it is of, the field, and what it means."""

    name: str
    section: str
    field: str
    sql_type: str
    comment: str


def _sql_type(annotation: Any) -> str:
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    return _TYPES[annotation]


@cache
def spec_columns() -> tuple[SpecColumn, ...]:
    """Every setting of the four specs, in their order. A field's name is its column's; on a collision the later spec's
    column is prefixed with its section: `vocab_size` is the model's V, `tokenizer_vocab_size` the tokenizer's."""
    columns: dict[str, SpecColumn] = {}
    sections = (("model", ModelSpec), ("corpus", CorpusSpec), ("tokenizer", TokenizerSpec), ("train", TrainSpec))
    for section, spec in sections:
        hints = typing.get_type_hints(spec)
        for field in dataclasses.fields(spec):
            name = field.name if field.name not in columns else f"{section}_{field.name}"
            unit = field.metadata.get("unit", "")
            comment = f"[{section}] {field.metadata.get('doc', '')}" + (f" Unit: {unit}." if unit else "")
            columns[name] = SpecColumn(name, section, field.name, _sql_type(hints[field.name]), comment)
    return tuple(columns.values())


COSTS = ("num_params", "embedding_params", "flops_paper", "flops_hoffmann", "flops_kaplan", "flops_executed")
"""The keys of `costs` in a spec.json; the FLOPs are of one sequence."""


def _columns(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f'"{name}" {sql_type}' for name, sql_type in pairs)


@cache
def run_spec_columns() -> tuple[tuple[str, str], ...]:
    """Columns of `raw.run_specs`: what a spec.json says, flat."""
    out = [("run_id", "VARCHAR"), ("name", "VARCHAR"), ("grid", "VARCHAR"), ("seed", "BIGINT")]
    out += [(n, "VARCHAR") for n in ("corpus_fingerprint", "tokenizer_fingerprint", "evaluation_id")]
    out += [(name, FLOPS_TYPE if name.startswith("flops") else "BIGINT") for name in COSTS]
    return (*out, *((c.name, c.sql_type) for c in spec_columns()))


def _state_columns() -> list[tuple[str, str]]:
    hints = typing.get_type_hints(RunState)
    names = [f.name for f in dataclasses.fields(RunState)]
    return [(name, FLOPS_TYPE if name == "flops" else _sql_type(hints[name])) for name in names]


STEP_FIELDS: tuple[tuple[str, str], ...] = (
    ("attempt", "BIGINT"),
    ("update", "BIGINT"),
    ("tokens", "BIGINT"),
    ("flops", FLOPS_TYPE),
    ("loss", "DOUBLE"),
    ("learning_rate", "DOUBLE"),
    ("grad_norm", "DOUBLE"),
    ("tokens_per_second", "DOUBLE"),
    ("logged_at", "DOUBLE"),
)
EVALUATION_FIELDS: tuple[tuple[str, str], ...] = (
    ("attempt", "BIGINT"),
    ("update", "BIGINT"),
    ("tokens", "BIGINT"),
    ("flops", FLOPS_TYPE),
    ("split", "VARCHAR"),
    ("evaluation_id", "VARCHAR"),
    ("loss", "DOUBLE"),
    ("loss_stderr", "DOUBLE"),
    ("num_masked_tokens", "BIGINT"),
    ("num_sequences", "BIGINT"),
    ("unigram_loss", "DOUBLE"),
    ("unigram_stderr", "DOUBLE"),
    ("seconds", "DOUBLE"),
    ("logged_at", "DOUBLE"),
)
CELL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("job_id", "VARCHAR"),
    ("run_id", "VARCHAR"),
    ("cell_id", "VARCHAR"),
    ("comparison", "VARCHAR"),
    ("checkpoint", "VARCHAR"),
    ("task", "VARCHAR"),
    ("filtered", "BOOLEAN"),
    ("seed", "BIGINT"),
    ("settings", "VARCHAR"),
    ("averaged", "BOOLEAN"),
)
HARDWARE_FIELDS: tuple[tuple[str, str], ...] = (
    ("device", "VARCHAR"),
    ("name", "VARCHAR"),
    ("run_id", "VARCHAR"),
    ("seconds", "DOUBLE"),
    ("utilisation", "DOUBLE"),
    ("memory_used", "BIGINT"),
    ("memory_total", "BIGINT"),
    ("power_watts", "DOUBLE"),
    ("temperature_c", "DOUBLE"),
    ("clock_mhz", "DOUBLE"),
    ("cpu_percent", "DOUBLE"),
    ("rss_bytes", "BIGINT"),
    ("disk_free", "BIGINT"),
    ("logged_at", "DOUBLE"),
)
_ROW = [("run_id", "VARCHAR"), ("seq", "BIGINT"), ("segment", "INTEGER")]


def tables() -> dict[str, str]:
    """Base tables and their columns. `seq` is a line's number in its log from 0; `logged_at` seconds since 1970 UTC."""
    return {
        "meta": "version INTEGER, digest VARCHAR, index_id VARCHAR, generation BIGINT",
        # One row a log. stamp: sizes and times of the files as last seen; position: bytes ingested, up to a newline;
        # tail: length and digest of the last ingested line, by which a log that was replaced is noticed.
        "logs": "source VARCHAR, stamp VARCHAR, position BIGINT, tail_length BIGINT, tail_digest VARCHAR, "
        "lines BIGINT, problem VARCHAR",
        "segments": "run_id VARCHAR, segment INTEGER, last_update BIGINT",
        "run_specs": _columns(run_spec_columns()),
        "run_states": _columns(_state_columns()),
        "queue_words": "run_id VARCHAR, state VARCHAR, status VARCHAR, reason VARCHAR, logged_at DOUBLE, "
        "host VARCHAR, pid BIGINT, process_started_at DOUBLE",
        "steps": _columns(_ROW + list(STEP_FIELDS)),
        "evaluations": _columns(_ROW + list(EVALUATION_FIELDS)),
        # One row a downstream cell, from its spec.json; job_id is RUN/CELL, the source of its events.
        "cells": _columns(CELL_COLUMNS),
        "hardware": _columns([("source", "VARCHAR"), ("seq", "BIGINT"), *HARDWARE_FIELDS]),
        # Every other event, of runs, cells and journals; source: the run's id or the journal's file name.
        "events": "source VARCHAR, run_id VARCHAR, seq BIGINT, segment INTEGER, kind VARCHAR, attempt BIGINT, "
        "update BIGINT, message VARCHAR, fields JSON, logged_at DOUBLE",
    }


def statements() -> list[str]:
    """All DDL of an empty index, in order."""
    from .views import views  # the views name the tables' columns, so they are built on top of this module

    out = ["create schema raw"]
    out += [f"create table raw.{name} ({columns})" for name, columns in tables().items()]
    for view in views():
        out += view.statements()
    return out


@cache
def digest() -> str:
    """Of the whole DDL and of the versions that we can read: an index with another one is rebuilt."""
    text = "\n".join([*statements(), f"events {VERSION}", f"specs {SPEC_VERSION}"])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def create(con: duckdb.DuckDBPyConnection, index_id: str) -> None:
    """Make the tables and views of an empty index."""
    con.execute("begin")
    for statement in statements():
        con.execute(statement)
    con.execute("insert into raw.meta values (?, ?, ?, 0)", [SCHEMA_VERSION, digest(), index_id])
    con.execute("commit")


def is_current(con: duckdb.DuckDBPyConnection) -> bool:
    """True if the open file is an index made by this version of the schema."""
    try:
        return con.execute("select version, digest from raw.meta").fetchall() == [(SCHEMA_VERSION, digest())]
    except duckdb.CatalogException:
        return False
