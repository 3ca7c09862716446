"""Questions: what is answered, what is refused, and how a mistake is explained."""

import datetime
import json
import math
import threading
import time

import pytest
from shrunk_core.errors import StoreError
from shrunk_core.store.result import Result
from shrunk_core.store.store import open_store
from shrunk_core.store.views import views
from store_lab import born, evaluated, started, step, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    lab = tmp_path_factory.mktemp("lab")
    write(born(lab).events_file, started(), step(1), step(2, math.nan), evaluated(2, 4.0))
    opened = open_store(lab)
    opened.refresh(force=True)
    yield opened
    opened.close()


REFUSED = [
    "create table x (a int)",
    "create temp table x (a int)",
    "create view x as select 1",
    "insert into raw.steps (run_id) values ('a')",
    "update raw.steps set loss = 0",
    "delete from raw.steps",
    "drop view runs",
    "alter table raw.steps add column x int",
    "truncate raw.steps",
    "copy runs to 'out.csv'",
    "copy raw.steps from 'in.csv'",
    "export database 'out'",
    "import database 'out'",
    "attach 'other.duckdb'",
    "detach lab",
    "use memory",
    "set threads = 1",
    "reset threads",
    "set memory_limit = '100GB'",
    "pragma threads = 1",
    "pragma database_list",
    "install httpfs",
    "load httpfs",
    "call pragma_version()",
    "checkpoint",
    "vacuum",
    "begin",
    "commit",
    "prepare p as select 1",
    "execute p",
    "explain analyze insert into raw.steps (run_id) values ('a')",
    "explain delete from raw.steps",
    "with x as (insert into raw.steps (run_id) values ('a') returning 1) select * from x",
    "select * from read_text('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd.csv'",
    "select * from glob('/*')",
    "select * from duckdb_secrets()",
    "select 1; select 2",
    "select 1; drop view runs",
    "",
    "-- nothing",
    ";",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_writes_or_reaches_outside_is_refused(store, sql):
    before = store.query("select (select count(*) from raw.steps), (select count(*) from duckdb_tables())").rows
    with pytest.raises(StoreError):
        store.query(sql)
    after = store.query("select (select count(*) from raw.steps), (select count(*) from duckdb_tables())").rows
    assert after == before


@pytest.mark.parametrize(
    "sql",
    [
        "select * from runs",
        "from runs",
        "with a as (select 1 as x) from a",
        "values (1), (2)",
        "table steps",
        "show tables",
        "describe runs",
        "summarize steps",
        "explain select * from runs",
        "explain analyze select * from runs",
        "/* a remark */ explain select 1",
        "pivot steps on update using max(loss) group by run_id",
        "select * from duckdb_columns() where comment is not null",
        " select 1 ; ",
        "select 1 -- with a remark",
    ],
)
def test_what_only_reads_is_answered(store, sql):
    assert store.query(sql).columns


def test_every_view_and_column_says_what_it_is(store):
    for view in views():
        listed = store.query(
            "select column_name, comment from duckdb_columns() where table_name = ? and schema_name = 'main'",
            params=[view.name],
        )
        described = dict(listed.rows)
        assert list(described) == [c.name for c in view.columns]
        assert all(text and text.strip() for text in described.values()), view.name
        ((comment,),) = store.query("select comment from duckdb_views() where view_name = ?", params=[view.name]).rows
        assert comment


def test_no_view_names_a_column_twice_and_the_promised_names_are_there():
    promised = {
        "runs": "run_id grid name status num_params embedding_params flops_counting flops_per_sequence flops_total "
        "evaluation_id unigram_loss best_loss best_perplexity final_loss started_at finished_at seconds hidden_size "
        "learning_rate seed",
        "steps": "run_id update tokens flops loss learning_rate grad_norm tokens_per_second logged_at",
        "evaluations": "run_id evaluation_id update tokens flops split loss perplexity num_masked_tokens loss_stderr "
        "logged_at",
        "grids": "grid run_id submitted_at",
    }
    for view in views():
        names = [c.name for c in view.columns]
        assert len(set(names)) == len(names)
        assert set(promised.get(view.name, "").split()) <= set(names)


def test_an_unknown_name_is_met_with_the_nearest_one(store):
    with pytest.raises(StoreError, match="(?s)does not exist.*Did you mean the view evaluations"):
        store.query("from evaluation")
    with pytest.raises(StoreError, match=r"(?s)not found.*learning_rate \(.*steps.*\)"):
        store.query("select lerning_rate from steps")
    with pytest.raises(StoreError, match="Parser Error"):
        store.query("selekt 1")
    with pytest.raises(StoreError, match="Conversion Error"):
        store.query("select 'a'::int")


def test_a_long_query_is_stopped_and_the_store_goes_on(store):
    began = time.perf_counter()
    with pytest.raises(StoreError, match="stopped after 0.2 s"):
        store.query(
            "select count(*) from range(100000000) a, range(100000) b where a.range % 7 = b.range % 5", timeout=0.2
        )
    assert time.perf_counter() - began < 2
    assert store.query("select 1").rows == [(1,)]


def test_memory_is_bounded_and_nothing_is_spilled_to_disk(store):
    with pytest.raises(StoreError, match="(?i)memory"):
        store.query("select list(hash(range)) from range(400000000)", limit=1)


def test_a_limit_says_that_it_cut(store):
    all_of_it = store.query("select * from range(5)", limit=5)
    cut = store.query("select * from range(5)", limit=4)
    assert (len(all_of_it.rows), all_of_it.truncated) == (5, False)
    assert (len(cut.rows), cut.truncated) == (4, True)
    assert store.query("from range(3)").truncated is False


def test_parameters_by_place_and_by_name(store):
    assert store.query("select ? + 1", params=[1]).rows == [(2,)]
    assert store.query("select $a || $b", params={"a": "x", "b": "y"}).rows == [("xy",)]
    with pytest.raises(StoreError):
        store.query("select $a", params={"b": 1})


def test_times_with_a_zone_come_back_in_utc(store):
    ((at, n),) = store.query("select now() as t, 1 as n").rows
    assert abs((at - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)).total_seconds()) < 60 and n == 1


def test_values_become_json_that_everybody_reads(store):
    result = store.query(
        "select 'nan'::double as a, 1/0 as b, 0.5::decimal(3,1) as c, 3::decimal(3,1) as d, now() as e, [1/0, 2] as f, "
        "{'x': 'inf'::double} as g, uuid() as h, '\\xAA'::blob as i, interval 90 second as j, date '2026-01-02' as k, "
        "sum(1) as l, null as m, true as n, 1 as a"
    )
    (row,) = json.loads(json.dumps(result.records(), allow_nan=False))
    assert row["a"] is None and row["b"] is None and row["f"] == [None, 2.0] and row["g"] == {"x": None}
    assert (
        (row["c"], row["d"], row["l"], row["a_1"]) == (0.5, 3, 1, 1) and row["j"] == 90.0 and row["k"] == "2026-01-02"
    )
    assert row["e"].endswith("Z") and row["i"] == "aa" and row["m"] is None and row["n"] is True
    (loss,) = [r["loss"] for r in store.query("select loss from steps where update = 2").records()]
    assert loss is None


def test_a_result_gives_columns_by_name():
    result = Result(columns=("a", "b"), types=("BIGINT", "VARCHAR"), rows=[(1, "x"), (2, "y")])
    assert result.column("b") == ["x", "y"]


def test_several_threads_may_ask_at_once(store):
    answers, problems = [], []

    def ask(n):
        try:
            answers.append(store.query("select sum(range) from range(?)", params=[n]).rows[0][0])
        except Exception as problem:  # noqa: BLE001  a thread's error must reach the test
            problems.append(problem)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(1000, 1012)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and sorted(answers) == [n * (n - 1) // 2 for n in range(1000, 1012)]


def test_a_folder_that_is_not_there_is_no_lab(tmp_path):
    with pytest.raises(StoreError, match="no lab at"):
        open_store(tmp_path / "nowhere")
