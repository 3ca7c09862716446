"""Logs to rows: each line once, whatever happens between refreshes, and nothing of one run in the way of another."""

import json
import math
import shutil

import pytest
from shrunk_core.record.events import CorpusBuilt, GridSubmitted, RunQueued, TokenizerBuilt, encode
from shrunk_core.store import ingest as ingest_module
from shrunk_core.store.store import open_store
from store_lab import T0, born, evaluated, finished, resumed, saved, started, step, write

VIEWS = ("runs", "steps", "evaluations", "events", "grids", "corpora", "tokenizers")


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    return folder


def rows(lab, sql, **options):
    store = open_store(lab)
    try:
        store.refresh(force=True)
        return store.query(sql, **options).rows
    finally:
        store.close()


def everything(lab):
    """All views as sorted text; wall-clock status apart, this is what a rebuild must give again."""
    return {view: sorted(map(repr, rows(lab, f"from {view}"))) for view in VIEWS}


def test_a_lab_without_runs_has_all_views_and_no_rows(lab):
    assert all(rows(lab, f"from {view}") == [] for view in VIEWS)


def test_a_finished_run_is_one_row_with_its_settings_costs_and_losses(lab):
    run = born(lab, name="small", hidden_size=96)
    curve = [step(u, loss=6 - u / 50, at=T0 + u) for u in range(1, 101)]
    marks = [evaluated(50, 4.5, at=T0 + 50), evaluated(80, 4.0, at=T0 + 80), evaluated(100, 4.1, at=T0 + 101)]
    write(
        run.events_file, started(), *curve, *marks, evaluated(80, 4.2, split="test", at=T0 + 102), finished(at=T0 + 110)
    )
    (row,) = open_records(lab, "from runs")
    assert row["run_id"] == run.run_id and row["name"] == "small" and row["grid"] == "grid"
    assert row["status"] == "finished" and row["hidden_size"] == 96 and row["seed"] == 0
    assert row["sources"] == ["embedded:kjv"] and row["vocab_size"] == row["tokenizer_vocab_size"] == 2000
    assert row["flops_total"] == 3_820_781_568 * 4 * 100 and row["flops_counting"] == "paper"
    assert row["flops_per_sequence"] == row["flops_paper"] and row["flops_executed"] == 500_000_000
    assert (row["best_loss"], row["best_update"], row["final_loss"], row["test_loss"]) == (4.0, 80, 4.1, 4.2)
    assert row["best_perplexity"] == pytest.approx(math.exp(4.0)) and row["unigram_loss"] == 5.5
    assert row["seconds"] == pytest.approx(110) and row["update"] == 100 and row["train_loss"] == 4.0
    assert row["started_at"] == "2025-10-09T08:53:20Z" and row["finished_at"] == "2025-10-09T08:55:10Z"


def open_records(lab, sql):
    store = open_store(lab)
    store.refresh(force=True)
    return store.query(sql).records()


def test_an_unfinished_run_has_no_final_loss_yet(lab):
    write(born(lab).events_file, started(), step(1), evaluated(50, 4.5))
    (row,) = open_records(lab, "from runs")
    assert row["final_loss"] is None and row["finished_at"] is None and row["latest_loss"] == 4.5


def test_lines_written_between_refreshes_arrive_once(lab):
    run = born(lab)
    write(run.events_file, started(), step(1))
    assert rows(lab, "select update from steps") == [(1,)]
    write(run.events_file, step(2), step(3))
    assert rows(lab, "select update from steps order by 1") == [(1,), (2,), (3,)]
    assert open_store(lab).refresh().lines == 0


def test_a_torn_last_line_waits_for_its_newline(lab):
    run = born(lab)
    write(run.events_file, started(), step(1))
    whole = encode(step(2)) + "\n"
    with open(run.events_file, "a") as file:
        file.write(whole[:40])
    assert rows(lab, "select count(*) from steps") == [(1,)]
    with open(run.events_file, "a") as file:
        file.write(whole[40:])
    assert rows(lab, "select count(*) from steps") == [(2,)]


def test_a_damaged_line_is_skipped_and_the_next_ones_are_not(lab):
    run = born(lab)
    write(run.events_file, started(), step(1))
    bad = [b'{"v":1,"kind":"step","upd', b'{"v":1,"kind":"step","update":7}', b"\xff\xfe", b"[]", b"", b'{"v":1}']
    bad += [b'{"v":1,"kind":"evaluated","loss":"high"}', b'{"v":1,"kind":"noted","message":"\\ud800"}']
    with open(run.events_file, "ab") as file:
        file.write(b"\n".join(bad) + b"\n")
    write(run.events_file, step(2))
    assert rows(lab, "select update from steps order by 1") == [(1,), (2,)]


def test_a_step_in_another_spelling_gives_the_same_row(lab):
    for seed, separators in ((0, (",", ":")), (1, (", ", ": "))):
        run = born(lab, seed=seed)
        write(run.events_file, started())
        for event in (step(1), step(2, math.nan), step(3, math.inf)):
            with open(run.events_file, "a") as file:
                file.write(json.dumps(json.loads(encode(event)), separators=separators) + "\n")
    first, second = (
        rows(
            lab, f"select * exclude (run_id) from steps where run_id = '{born(lab, seed=seed).run_id}' order by update"
        )
        for seed in (0, 1)
    )
    assert repr(first) == repr(second) and len(first) == 3 and math.isnan(first[1][3])


def test_a_log_of_a_newer_version_is_left_out_and_said_so(lab):
    newer, other = born(lab, seed=0), born(lab, seed=1)
    write(newer.events_file, started(), step(1))
    write(other.events_file, started(), step(1))
    assert len(rows(lab, "from runs")) == 2
    with open(newer.events_file, "a") as file:
        file.write('{"v": 99, "kind": "step"}\n')
    report = open_store(lab).refresh(force=True)
    assert [p.source for p in report.problems] == [newer.run_id] and "version 99" in report.problems[0].message
    assert rows(lab, "select run_id from runs union select run_id from steps") == [(other.run_id,)]
    assert [p.source for p in open_store(lab).refresh().problems] == [newer.run_id], "said until it is mended"
    newer.events_file.write_text(encode(started()) + "\n")
    assert open_store(lab).refresh(force=True).problems == () and len(rows(lab, "from runs")) == 2


@pytest.mark.parametrize("text", ["{", "[]", "\x00", '{"v": 99}', '{"v": 1, "run_id": "x"}', b"\xff\xfe"])
def test_an_unreadable_spec_leaves_only_its_run_out(lab, text):
    broken, other = born(lab, seed=0), born(lab, seed=1)
    for run in (broken, other):
        write(run.events_file, started())
    broken.spec_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = open_store(lab).refresh(force=True)
    assert [p.source for p in report.problems] == [broken.run_id] and "spec.json" in report.problems[0].message
    assert rows(lab, "select run_id from runs") == [(other.run_id,)]


def test_a_spec_with_a_value_of_the_wrong_type_is_named(lab):
    run = born(lab)
    run.spec_file.write_text(run.spec_file.read_text().replace('"hidden_size": 128', '"hidden_size": "wide"'))
    (problem,) = open_store(lab).refresh(force=True).problems
    assert "hidden_size is 'wide'" in problem.message


def test_an_empty_or_absent_log_is_a_run_that_has_not_started(lab):
    born(lab, seed=0)
    born(lab, seed=1).events_file.touch()
    assert rows(lab, "select status, status_reason from runs") == [("stopped", "not started")] * 2


def test_a_removed_run_leaves_the_index(lab):
    gone, kept = born(lab, seed=0), born(lab, seed=1)
    for run in (gone, kept):
        write(run.events_file, started(), step(1))
    assert len(rows(lab, "from steps")) == 2
    shutil.rmtree(gone.path)
    assert rows(lab, "select run_id from steps union select run_id from runs union select run_id from events") == [
        (kept.run_id,)
    ]


def test_a_log_that_was_replaced_is_read_again_from_its_start(lab):
    run = born(lab)
    write(run.events_file, started(), *(step(u, 5.0) for u in range(1, 6)))
    assert len(rows(lab, "from steps")) == 5
    run.events_file.unlink()
    write(run.events_file, started(T0 + 9), *(step(u, 3.0, at=T0 + 9) for u in range(1, 9)))
    assert rows(lab, "select count(*), min(loss), max(loss) from steps") == [(8, 3.0, 3.0)]


def test_journals_fill_grids_corpora_and_tokenizers(lab):
    a, b = born(lab, seed=0).run_id, born(lab, seed=1).run_id
    corpus = CorpusBuilt(
        fingerprint="c" * 12,
        sources=("embedded:kjv",),
        vocabulary="top:3000",
        vocabulary_words=3000,
        unit="sentence",
        max_oov=0.0,
        documents=1189,
        units_seen=31103,
        units_kept=14000,
        words_seen=790_000,
        words_kept=300_000,
        seconds=1.5,
    )
    tokenizer = TokenizerBuilt(
        fingerprint="t" * 12,
        corpus_fingerprint="c" * 12,
        tokenizer_kind="byte-bpe",
        vocab_size=2000,
        train_tokens=400_000,
        validation_tokens=20_000,
        test_tokens=20_000,
        seconds=0.5,
    )
    first = GridSubmitted(grid="one", run_ids=(a, b), names=("a", "b"), toml="", logged_at=T0)
    again = GridSubmitted(grid="one", run_ids=(a, b), names=("a", "b"), toml="", logged_at=T0 + 60)
    write(
        lab / "journal" / "h-1-1.jsonl", corpus, first, GridSubmitted(grid="two", run_ids=(b,), names=("bb",), toml="")
    )
    write(lab / "journal" / "h-2-2.jsonl", tokenizer, again)
    assert rows(lab, "select grid, run_id, name, place from grids order by grid, place") == [
        ("one", a, "a", 0),
        ("one", b, "b", 1),
        ("two", b, "bb", 0),
    ]
    assert rows(lab, "select epoch(submitted_at) from grids where grid = 'one'") == [(T0 + 60,)] * 2
    assert rows(lab, "select fingerprint, sources, units_kept, max_oov from corpora") == [
        ("c" * 12, ["embedded:kjv"], 14000, 0.0)
    ]
    assert rows(lab, "select kind, vocab_size, seconds from tokenizers") == [("byte-bpe", 2000, 0.5)]


def test_status_follows_journals_and_logs_together(lab):
    waiting, lost = born(lab, seed=0), born(lab, seed=1)
    write(lost.events_file, started(pid=2**22 + 1), step(1))
    write(lab / "journal" / "h-1-1.jsonl", RunQueued(run_id=waiting.run_id, grid="grid", reason="submitted"))
    found = dict(rows(lab, "select run_id, status || ': ' || status_reason from runs"))
    assert found == {waiting.run_id: "queued: submitted", lost.run_id: "stopped: worker died"}
    write(waiting.events_file, started(at=RunQueued(run_id="", grid="", reason="").logged_at))
    assert rows(lab, f"select status from runs where run_id = '{waiting.run_id}'") == [("running",)]
    shutil.rmtree(lab / "journal")
    write(waiting.events_file, finished())
    assert rows(lab, f"select status from runs where run_id = '{waiting.run_id}'") == [("finished",)]


def test_a_rebuild_gives_the_same_views(lab):
    for seed in range(3):
        run = born(lab, seed=seed)
        write(run.events_file, started(), *(step(u) for u in range(1, 8)), saved(5), evaluated(5, 4.0 + seed))
        rows(lab, "from runs")
        write(run.events_file, resumed(2, 5, T0 + 50), *(step(u, 4.0, 2) for u in range(6, 12)), finished())
    write(lab / "journal" / "h-1-1.jsonl", GridSubmitted(grid="g", run_ids=("a",), names=("a",), toml="x"))
    before = everything(lab)
    shutil.rmtree(lab / ".shrunk")
    (lab / "lab.duckdb").unlink()
    assert everything(lab) == before


def test_small_transactions_and_chunks_give_the_same_rows(lab, monkeypatch):
    """Every boundary inside a log: between reads, between transactions, between pieces."""
    run = born(lab)
    write(run.events_file, started(), *(step(u) for u in range(1, 40)), saved(30), resumed(2, 30, T0 + 50))
    write(run.events_file, *(step(u, 4.0, 2) for u in range(31, 60)), evaluated(50), resumed(3, 45, T0 + 90))
    write(run.events_file, *(step(u, 3.0, 3) for u in range(46, 101)), evaluated(100), finished(at=T0 + 120))
    before = everything(lab)
    shutil.rmtree(lab / ".shrunk")
    monkeypatch.setattr("shrunk_core.store.logs.CHUNK_BYTES", 700)
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 1500)
    monkeypatch.setattr(ingest_module, "PIECE_LINES", 2)
    assert everything(lab) == before
