"""What the SQL screen stands on: questions that can be called off, completion, kept queries, files."""

from __future__ import annotations

import csv
import datetime
import json
import threading
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from shrunk_core.errors import StoreError
from shrunk_core.store.completion import Catalog, Name, complete, read_catalog, word_before
from shrunk_core.store.query_files import history, remember, save_query, saved_queries
from shrunk_core.store.question import Cancelled, Question
from shrunk_core.store.store import Store, open_store
from shrunk_core.store.table_files import write_table
from store_lab import born, finished, started, step, write


@pytest.fixture
def store(lab: Path) -> Store:
    run = born(lab, name="H16")
    write(run.events_file, started(), *(step(u) for u in range(1, 101)), finished())
    store = open_store(lab)
    store.refresh(force=True)
    return store


def test_an_answer_is_an_arrow_table_with_unique_names_and_times_in_utc(store: Store) -> None:
    answer = store.ask(
        "select s.update, s.loss, s.loss, started_at::timestamptz as at_ from steps s, runs order by 1"
    ).answer()
    assert answer.table.column_names == ["update", "loss", "loss_1", "at_"]
    assert answer.table.num_rows == 100 and not answer.truncated
    assert answer.table["update"][99].as_py() == 100
    assert answer.table["at_"][0].as_py() == datetime.datetime(2025, 10, 9, 8, 53, 20)


@pytest.mark.parametrize(
    "sql", ["describe runs", "pivot steps on attempt using count(*)", "explain select 1", "show tables"]
)
def test_every_reading_statement_answers(store: Store, sql: str) -> None:
    assert store.ask(sql).answer().table.num_rows > 0


def test_an_answer_is_bounded_and_says_so(store: Store) -> None:
    question = Question(store.cursor, "select * from range(1000000)", max_rows=100_000)
    answer = question.answer()
    assert answer.truncated and answer.table.num_rows == question.rows == 100_000
    small = Question(store.cursor, "select * from range(1000000)", max_bytes=1_000_000).answer()
    assert small.truncated and small.table.nbytes < 3_000_000


def test_a_million_rows(store: Store) -> None:
    answer = store.ask("select range as i, range * 0.5 as half from range(1000000)").answer()
    assert answer.table.num_rows == 1_000_000 and not answer.truncated


def test_a_question_can_be_called_off(store: Store) -> None:
    question = store.ask("select count(*) from range(100000000000) a, range(100) b")
    threading.Timer(0.1, question.cancel).start()
    with pytest.raises(Cancelled):
        question.answer()
    assert store.ask("select 1").answer().table.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("drop view runs", "read-only"),
        ("copy runs to '/tmp/x.csv'", "read-only"),
        ("select * from read_text('/etc/passwd')", "disabled"),
        ("select 1; select 2", "one at a time"),
        ("select bset_loss from runs", "best_loss"),
        ("", "empty"),
    ],
)
def test_what_must_not_be_asked_is_refused_with_words(store: Store, sql: str, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        store.ask(sql).answer()


def test_the_catalog_knows_views_columns_and_functions_with_their_meaning(store: Store, lab: Path) -> None:
    (lab / "views.sql").write_text("create view mine as select 1 as one;")
    store.refresh(force=True)
    catalog = read_catalog(store)
    assert {"runs", "steps", "mine"} <= {v.text for v in catalog.views}
    loss = next(c for c in catalog.columns["steps"] if c.text == "loss")
    assert "nats" in loss.note
    assert any(f.text == "median" and "middle value" in f.note for f in catalog.functions)


CATALOG = Catalog(
    views=(Name(text="runs", kind="view"), Name(text="steps", kind="view")),
    columns={
        "runs": (Name(text="name", kind="column"), Name(text="best_loss", kind="column")),
        "steps": (Name(text="loss", kind="column"), Name(text="update", kind="column")),
    },
    functions=(Name(text="least", kind="function"), Name(text="lower", kind="function")),
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("select lo| from steps", ["loss", "lower"]),
        ("select lo| from runs", ["lower", "best_loss"]),
        ("select r.| from runs as r", ["name", "best_loss"]),
        ("select * from |", ["runs", "steps"]),
        ("select * from runs, st|", ["steps"]),
        ("with best as (select 1) select * from be|", ["best"]),
        ("select 'lo|", []),
        ("select 1 -- lo|", []),
        ("select '--' || lo| from steps", ["loss", "lower"]),
        ("sel|", ["select"]),
        ("describe ru|", ["runs"]),
        ("select |", []),
    ],
)
def test_completion_fits_its_place(typed: str, expected: list[str]) -> None:
    at = typed.index("|", typed.index("lo") if "|| lo" in typed else 0)
    text = typed[:at] + typed[at + 1 :]
    assert [n.text for n in complete(text, at, CATALOG)] == expected


def test_the_word_before_the_cursor() -> None:
    assert word_before("select best_lo from", 14) == "best_lo"
    assert word_before("select ", 7) == ""


def test_queries_are_saved_as_files_and_found_again(lab: Path) -> None:
    path = save_query(lab, "best of each size", "-- lowest loss a size\nselect 1\n\n")
    assert path == lab / "queries" / "best of each size.sql"
    [saved] = saved_queries(lab)
    assert (saved.name, saved.note, saved.text) == (
        "best of each size",
        "lowest loss a size",
        "-- lowest loss a size\nselect 1\n",
    )
    for name in ("../evil", "", ".hidden", "a/b"):
        with pytest.raises(StoreError, match="cannot name a query"):
            save_query(lab, name, "select 1")


def test_the_history_keeps_the_last_of_each_text_and_survives_a_torn_line(lab: Path) -> None:
    remember(lab, "select 1", rows=1, seconds=0.1)
    remember(lab, "select 2", rows=None, seconds=0.1)
    remember(lab, "select 1", rows=3, seconds=0.2)
    with open(lab / ".shrunk" / "history.sql.jsonl", "a") as file:
        file.write('{"at": 1, "te')
    assert [(a.text, a.rows) for a in history(lab)] == [("select 2", None), ("select 1", 3)]


TABLE = pyarrow.table(
    {
        "name": ["a|b", None],
        "loss": [1.5, float("nan")],
        "at": [datetime.datetime(2026, 1, 2, 3), None],
        "list": [[1, 2], None],
    }
)


def test_an_answer_as_files(tmp_path: Path) -> None:
    rows = list(csv.reader(write_table(TABLE, tmp_path / "a.csv").read_text().splitlines()))
    assert rows == [["name", "loss", "at", "list"], ["a|b", "1.5", "2026-01-02T03:00:00Z", "[1, 2]"], ["", "", "", ""]]
    objects = json.loads(write_table(TABLE, tmp_path / "a.json").read_text())
    assert objects[0] == {"name": "a|b", "loss": 1.5, "at": "2026-01-02T03:00:00Z", "list": [1, 2]}
    assert objects[1]["loss"] is None
    assert write_table(TABLE, tmp_path / "a.md").read_text().splitlines()[1:3] == [
        "|---|---:|---|---|",
        "| a\\|b | 1.5 | 2026-01-02T03:00:00Z | [1, 2] |",
    ]
    assert pyarrow.parquet.read_table(write_table(TABLE, tmp_path / "sub" / "a.parquet")).schema == TABLE.schema
    with pytest.raises(StoreError, match="ending says the format"):
        write_table(TABLE, tmp_path / "a.xls")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.json", "a.md", "sub"]


def test_the_command_writes_files_and_runs_saved_queries(store: Store, lab: Path) -> None:
    from typer.testing import CliRunner

    from shrunk_tui.cli.app import app

    save_query(lab, "steps of all", "select run_id, update, loss from steps order by update")
    out = lab / "exports" / "steps.parquet"
    asked = ["sql", "--lab", str(lab), "--saved"]
    result = CliRunner().invoke(app, [*asked, "steps of all", "--out", str(out)])
    assert result.exit_code == 0 and "100 rows" in result.stderr
    assert pyarrow.parquet.read_table(out).num_rows == 100
    with pytest.raises(Exception, match="did you mean `steps of all`"):
        CliRunner().invoke(app, [*asked, "steps of"], catch_exceptions=False)
