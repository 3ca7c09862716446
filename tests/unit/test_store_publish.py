"""The published copy: swapped under readers, mended after strangers, rare enough, and people's own views on it."""

import errno
import os
import shutil
import time

import duckdb
import pytest
from shrunk_core.errors import StoreError
from shrunk_core.store import publish
from shrunk_core.store.ingest import Ingest
from shrunk_core.store.store import open_store
from store_lab import born, started, step, write


@pytest.fixture
def lab(tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    write(born(folder).events_file, started(), step(1))
    return folder


def outside(lab):
    """What somebody sees who opens lab.duckdb with DuckDB alone."""
    con = duckdb.connect(str(lab / "lab.duckdb"), read_only=True)
    try:
        return con.execute("select count(*) from steps").fetchall()[0][0]
    finally:
        con.close()


def log(lab):
    (path,) = (lab / "runs").glob("*/events.jsonl")
    return path


def test_the_copy_is_read_only_and_the_link_relative(lab):
    assert open_store(lab).refresh().published
    assert not os.path.isabs(os.readlink(lab / "lab.duckdb"))
    assert (lab / "lab.duckdb").stat().st_mode & 0o777 == 0o444
    assert outside(lab) == 1


def test_a_lab_can_be_moved(lab, tmp_path):
    open_store(lab).refresh()
    lab.rename(tmp_path / "moved")
    store = open_store(tmp_path / "moved")
    assert store.query("select count(*) from steps").rows == [(1,)] and not store.refresh().published


def test_an_old_reader_keeps_what_it_saw_and_a_new_one_sees_more(lab):
    store = open_store(lab)
    store.refresh()
    old = duckdb.connect(":memory:")
    old.execute(f"attach '{lab / 'lab.duckdb'}' as lab (read_only)")
    write(log(lab), step(2))
    assert store.refresh(force=True).published
    assert old.execute("select count(*) from lab.steps").fetchall() == [(1,)]
    assert outside(lab) == 2 and store.query("select count(*) from steps").rows == [(2,)]
    old.close()


def test_publications_keep_their_distance_unless_forced(lab):
    store = open_store(lab)
    store.refresh()
    write(log(lab), step(2))
    report = store.refresh()
    assert report.lines == 1 and not report.published and 0 < report.pending <= 2.0
    assert outside(lab) == 1
    assert store.refresh(force=True).published and outside(lab) == 2
    assert not store.refresh(force=True).published, "nothing new"


def test_the_distance_grows_with_the_file_and_its_cost(lab):
    open_store(lab).refresh()
    copy = publish.current(lab)
    known = publish.manifest(copy)
    small = publish.Manifest(**{**vars(known), "size": 1 << 20, "seconds": 0.001})
    large = publish.Manifest(**{**vars(known), "size": 400 << 20, "seconds": 0.1})
    slow = publish.Manifest(**{**vars(known), "size": 1 << 20, "seconds": 1.0})
    assert publish.wait(copy, small) == pytest.approx(2.0, abs=0.5)
    assert publish.wait(copy, large) == pytest.approx(100.0, abs=1.0)
    assert publish.wait(copy, slow) == pytest.approx(50.0, abs=1.0)


def test_old_copies_are_removed(lab, monkeypatch):
    store = open_store(lab)
    store.refresh()
    for update in range(2, 6):
        write(log(lab), step(update))
        store.refresh(force=True)
    kept = sorted(p.name for p in publish.folder(lab).iterdir())
    assert kept == ["4", "5"], "the newest, and the one before it for who is just opening it"
    monkeypatch.setattr(publish, "KEEP_OLD", 0.0)
    time.sleep(0.01)
    store.refresh()
    assert [p.name for p in publish.folder(lab).iterdir()] == ["5"]


@pytest.mark.parametrize("what", ["link", "folder", "index", "all", "file"])
def test_whatever_is_deleted_comes_back(lab, what):
    store = open_store(lab)
    store.refresh()
    if what in ("link", "all", "file"):
        (lab / "lab.duckdb").unlink()
    if what == "file":
        (lab / "lab.duckdb").write_text("not ours")
    if what in ("folder", "all"):
        shutil.rmtree(lab / ".shrunk" / "published")
    if what in ("index", "all"):
        (lab / ".shrunk" / "index.duckdb").unlink()
    write(log(lab), step(2))
    store.refresh(force=True)
    assert outside(lab) == 2 and open_store(lab).query("select count(*) from steps").rows == [(2,)]


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_broken_index_is_built_again(lab, content):
    store = open_store(lab)
    store.refresh()
    (lab / ".shrunk" / "index.duckdb").write_bytes(content)
    write(log(lab), step(2))
    store.refresh(force=True)
    assert outside(lab) == 2


def test_an_index_that_proves_broken_on_the_way_is_built_again(lab, monkeypatch):
    """What a refresher may leave that is killed in the middle of a write: a file that opens, with a block that is none."""
    store = open_store(lab)
    store.refresh()
    write(log(lab), step(2))
    work, calls = Ingest.run, []

    def torn(self):
        lines = work(self)
        calls.append(lines)
        if len(calls) == 1:
            raise duckdb.FatalException(
                "Failed to create checkpoint because of error: Corrupt database file: computed ..."
            )
        return lines

    monkeypatch.setattr(Ingest, "run", torn)
    store.refresh(force=True)
    assert len(calls) == 2 and calls[1] > calls[0], "everything was read anew"
    assert outside(lab) == 2


def test_a_problem_of_the_disk_throws_no_index_away(lab, monkeypatch):
    store = open_store(lab)
    store.refresh()
    before = (lab / ".shrunk" / "index.duckdb").read_bytes()

    def full(self):
        raise duckdb.FatalException("Failed to create checkpoint because of error: No space left on device")

    monkeypatch.setattr(Ingest, "run", full)
    with pytest.raises(StoreError, match="No space left"):
        store.refresh(force=True)
    assert (lab / ".shrunk" / "index.duckdb").read_bytes() == before


def test_an_index_of_another_version_is_built_again(lab):
    open_store(lab).refresh()
    con = duckdb.connect(str(lab / ".shrunk" / "index.duckdb"))
    con.execute("update raw.meta set digest = 'another'")
    con.execute("delete from raw.steps")
    con.close()
    open_store(lab).refresh(force=True)
    assert outside(lab) == 1


def test_what_a_stranger_wrote_goes_at_the_next_refresh(lab):
    store = open_store(lab)
    store.refresh()
    os.chmod(lab / "lab.duckdb", 0o644)
    con = duckdb.connect(str(lab / "lab.duckdb"))
    con.execute("delete from raw.steps")
    con.close()
    assert outside(lab) == 0
    assert store.query("select count(*) from steps").rows == [(1,)], "a question notices too"
    assert outside(lab) == 1


def test_a_full_disk_while_publishing_keeps_the_old_copy(lab, monkeypatch):
    store = open_store(lab)
    store.refresh()
    write(log(lab), step(2))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(publish.shutil, "copyfile", full)
        with pytest.raises(StoreError, match="No space left on device.*stays readable"):
            store.refresh(force=True)
        assert outside(lab) == 1
        assert [p.name for p in publish.folder(lab).iterdir()] == ["1"], "no half copy is left behind"
    assert store.refresh(force=True).published and outside(lab) == 2


def test_a_lock_held_elsewhere_is_reported_and_does_not_stop_questions(lab):
    first, second = open_store(lab), open_store(lab)
    first.refresh()
    write(log(lab), step(2))
    with first._lock() as held:
        assert held
        report = second.refresh()
        assert report.busy and not report.published and report.lines == 0
        assert second.query("select count(*) from steps").rows == [(1,)]
    assert second.refresh(force=True).lines == 1


def test_nothing_published_and_somebody_refreshing_says_try_again(lab):
    store = open_store(lab)
    with store._lock(), pytest.raises(StoreError, match="try again"):
        store.query("from runs")


def test_peoples_own_views_are_laid_over_every_copy(lab):
    (lab / "views.sql").write_text(
        "-- mine\ncreate view late as select * from steps where update > 1;\n"
        "create or replace macro double(x) as 2 * x;\ncomment on view late is 'late ones';\n"
    )
    store = open_store(lab)
    assert store.refresh().problems == ()
    assert store.query("select count(*), double(4) from late").rows == [(0, 8)]
    write(log(lab), step(2))
    store.refresh(force=True)
    assert store.query("select count(*) from late").rows == [(1,)]
    (lab / "views.sql").unlink()
    assert store.refresh(force=True).published
    with pytest.raises(StoreError):
        store.query("from late")


def test_a_broken_statement_of_views_sql_is_reported_and_the_others_work(lab):
    (lab / "views.sql").write_text(
        "create view wrong as select nothing from runs; create view good as select 1 as x;\n"
        "create table mine (a int); create or replace view runs as select 1; comment on view steps is 'mine';\n"
        "copy runs to 'out.csv'; create view outside as select * from read_text('/etc/passwd')"
    )
    store = open_store(lab)
    found = [p.message for p in store.refresh().problems]
    assert [m.split(":")[0] for m in found] == [f"views.sql, statement {n}" for n in (1, 3, 4, 5, 6, 7)]
    assert '"nothing" not found' in found[0] and "only CREATE VIEW" in found[1] and "shrunk-tui's own" in found[2]
    assert store.query("from good").rows == [(1,)] and len(store.query("from runs").rows) == 1
    assert [p.message for p in store.refresh().problems] == found, "said until it is mended"
    (lab / "views.sql").write_text("create view (")
    (problem,) = store.refresh(force=True).problems
    assert problem.source == "views.sql" and "Parser Error" in problem.message
    assert len(store.query("from runs").rows) == 1
