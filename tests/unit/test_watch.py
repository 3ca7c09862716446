"""Standings read from the end of logs, and kept between commands: always what reading everything would say."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from pathlib import Path

import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.engine import log_end, summaries, watch
from shrunk_core.engine.notebook import archive, delete, note, tag
from shrunk_core.engine.standing import Standing, fold
from shrunk_core.engine.watch import Watch
from shrunk_core.record.eventlog import read_events
from shrunk_core.record.events import GridSubmitted, Left, MemoryReported, RunLaunched, RunQueued, RunReaped
from shrunk_core.record.journal import journal_files, open_journal
from shrunk_core.record.lab_events import Alert, AlertEnded
from shrunk_core.record.rundir import RunDir
from store_lab import T0, born, evaluated, finished, resumed, started, step, write


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return init_lab(tmp_path / "lab")


def busy_log(run: RunDir, rng: random.Random) -> None:
    """Some attempts, some of them set back, perhaps an end."""
    write(run.events_file, started())
    update = 0
    for attempt in range(1, rng.randint(2, 4)):
        if attempt > 1:
            update = rng.randint(0, update)
            write(run.events_file, resumed(attempt, update))
        for _ in range(rng.randint(0, 30)):
            update += 1
            write(run.events_file, step(update, loss=rng.random(), attempt=attempt))
            if update % 7 == 0:
                write(
                    run.events_file,
                    evaluated(update, loss=rng.random(), attempt=attempt),
                    MemoryReported(attempt=attempt, update=update, device_bytes=0, rss_bytes=update),
                )
    last = rng.choice([None, finished(update), Left(attempt=1, update=update, reason="pause")])
    if last is not None:
        write(run.events_file, last)


def looked(lab: Path) -> Watch:
    watch = Watch(lab)
    watch.look()
    return watch


def known(watch: Watch) -> tuple[object, ...]:
    """Everything that a look gives."""
    return (
        watch.standings,
        watch.briefs(),
        watch.grids,
        watch.open_alerts(),
        [watch.status(run_id) for run_id in watch.born],
    )


def fresh(lab: Path) -> tuple[object, ...]:
    """The same from the logs alone."""
    (lab / ".shrunk" / summaries.FILE).unlink(missing_ok=True)
    return known(looked(lab))


def populate(lab: Path, runs: int = 6) -> list[RunDir]:
    """Runs with logs, and journals of a supervisor and of people."""
    rng = random.Random(0)
    made = [born(lab, seed=seed, name=f"run {seed}") for seed in range(runs)]
    journal = open_journal(lab)
    ids = tuple(run.run_id for run in made)
    journal.append(GridSubmitted(grid="grid", run_ids=ids, names=ids, toml="x"))
    for run in made:
        journal.append(RunQueued(run_id=run.run_id, grid="grid", reason="submitted", logged_at=T0 - 5))
    for run in made[:-1]:
        busy_log(run, rng)
        journal.append(
            RunLaunched(run_id=run.run_id, pid=7, slot="slot:0", logged_at=T0 - 4),
            RunReaped(run_id=run.run_id, pid=7, returncode=0, logged_at=T0 + 4),
            Alert(alert="stall", severity="warning", run_id=run.run_id, message="m", logged_at=T0),
        )
    journal.append(AlertEnded(alert="stall", run_id=made[0].run_id, logged_at=T0 + 1))
    journal.close()
    tag(lab, [ids[0]], add=["good", "wide"])
    tag(lab, [ids[0]], remove=["wide"])
    note(lab, ids[1], "look at this")
    archive(lab, [ids[2]])
    return made


def test_the_end_of_a_log_says_what_all_of_it_says(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_end, "TAIL_BYTES", 300)
    rng = random.Random(0)
    for seed in range(20):
        run = born(small, seed=seed)
        busy_log(run, rng)
        whole = Standing()
        for event in read_events(run.events_file):
            whole = fold(whole, event)
        found, offset = log_end.standing_from_end(run.events_file, Standing())
        assert offset == run.events_file.stat().st_size
        names = ["update", "evaluated", "heard_at"] + (["memory", "log"] if whole.log.state == "running" else [])
        assert [getattr(found, n) for n in names] == [getattr(whole, n) for n in names], run.run_id
        assert found.log.state == whole.log.state and found.log.reason == whole.log.reason


def test_what_is_kept_says_what_the_logs_say_and_only_new_bytes_are_read(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = populate(small)
    first = looked(small)
    expected = known(first)
    first.keep(least=0)
    opened: list[tuple[str, int]] = []

    def read_new(path: Path, offset: int = 0) -> tuple[list[bytes], int]:
        opened.append((path.parent.name, offset))
        return read(path, offset)

    read = watch.read_new
    monkeypatch.setattr(watch, "read_new", read_new)
    assert known(looked(small)) == expected
    assert opened == []
    size = made[1].events_file.stat().st_size
    write(made[1].events_file, step(99, loss=1.25, at=T0 + 99))
    again = looked(small)
    assert opened == [(made[1].run_id, size)]
    assert again.standing(made[1].run_id).update == 99
    tag(small, [made[3].run_id], add=["late"])
    assert looked(small).standing(made[3].run_id).tags == {"late"}
    assert known(looked(small)) == fresh(small)


def test_one_run_is_looked_at_with_what_is_kept_of_it(small: Path) -> None:
    made = populate(small)
    whole = looked(small)
    whole.keep(least=0)
    one = Watch(small, {made[0].run_id})
    one.look()
    assert one.standings == {made[0].run_id: whole.standing(made[0].run_id)}
    one.keep(least=0)  # it knows too little to keep anything
    assert known(looked(small)) == known(whole)


def test_child_jobs_words_are_read_although_none_is_kept(small: Path) -> None:
    made = populate(small)
    cell = f"{made[0].run_id}/abc"
    journal = open_journal(small)
    journal.append(RunQueued(run_id=cell, grid="", reason="submitted", logged_at=T0))
    journal.close()
    looked(small).keep(least=0)
    with_cells = Watch(small, cells=True)
    with_cells.look()
    assert with_cells.standing(cell).queue.state == "queued"
    assert cell not in looked(small).standings


@pytest.mark.parametrize("harm", ["broken", "schema", "replaced", "longer", "reborn", "journal", "journals"])
def test_what_is_kept_is_not_believed_when_the_lab_says_otherwise(small: Path, harm: str) -> None:
    made = populate(small)
    looked(small).keep(least=0)
    file, log = small / ".shrunk" / summaries.FILE, made[1].events_file
    match harm:
        case "broken":
            file.write_text(file.read_text()[:-10])
        case "schema":
            file.write_text(file.read_text().replace(summaries.SCHEMA, "0 other"))
        case "replaced":
            log.write_text("")
            write(log, started(), step(3))
        case "longer":
            size = log.stat().st_size
            log.write_text("")
            while log.stat().st_size <= size:
                write(log, started(attempt=5), step(77, loss=7.0))
        case "reborn":
            shutil.rmtree(made[1].path)
            born(small, seed=1, name="another name")
        case "journal":
            for path in journal_files(small)[1:]:
                path.unlink()
        case "journals":
            shutil.rmtree(small / "journal")
    assert known(looked(small)) == fresh(small)


def test_a_watch_follows_a_log_that_is_replaced_under_it(small: Path) -> None:
    made = populate(small)
    follows = looked(small)
    shutil.rmtree(made[0].path)
    follows.look()
    assert made[0].run_id not in follows.born
    assert follows.standing(made[0].run_id).log.state == "new"
    run = born(small, seed=0, name="run 0")
    write(run.events_file, started(), step(4))
    follows.look()
    assert follows.standing(run.run_id).update == 4
    assert follows.standing(run.run_id).tags == {"good"}


def test_a_deleted_run_is_no_run_whose_worker_died(small: Path) -> None:
    run = populate(small)[1]
    write(run.events_file, finished())
    delete(small, [run.run_id])
    standing = looked(small).standing(run.run_id)
    assert not standing.known
    assert standing.queue.state == "none"


def test_a_lab_that_cannot_be_written_is_looked_at_all_the_same(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    populate(small)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(watch, "write_summaries", refuse)
    first = looked(small)
    first.keep(least=0)
    assert not (small / ".shrunk" / summaries.FILE).exists()
    assert known(looked(small)) == known(first)


def test_a_lab_that_has_gone_is_not_made_anew(small: Path) -> None:
    looking = Watch(small)
    looking.look()
    small.rename(small.with_name("away"))
    looking.keep(least=0)
    assert not small.exists()


def test_little_news_is_not_worth_keeping(small: Path) -> None:
    populate(small)
    looked(small).keep()
    assert not os.path.exists(small / ".shrunk" / summaries.FILE)


def test_packed_standings_come_back_as_they_were(small: Path) -> None:
    populate(small)
    first = looked(small)
    first.keep(least=0)
    kept = summaries.read_summaries(small)
    assert kept.standings == first.standings
    names = {f.name for f in dataclasses.fields(Standing)}
    assert all(
        type(getattr(kept.standings[r], n)) is type(getattr(s, n)) for r, s in first.standings.items() for n in names
    )
