"""Tags, notes and archive marks as columns of `runs`: the latest word stands, whichever journal it is in."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.config.lab import init_lab
from shrunk_core.record.lab_events import RunArchived, RunNoted, RunTagged
from shrunk_core.store.store import open_store
from store_lab import T0, born, started, write


def test_marks_of_runs_are_columns_of_the_view(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    marked, plain = born(lab, name="marked"), born(lab, seed=1, name="plain")
    for run in (marked, plain):
        write(run.events_file, started())
    run_id = marked.run_id
    write(
        lab / "journal" / "b-1-1.jsonl",
        RunTagged(run_id=run_id, added=("paper", "wide"), logged_at=T0),
        RunNoted(run_id=run_id, text="first", logged_at=T0),
        RunArchived(run_id=run_id, archived=True, logged_at=T0),
        RunNoted(run_id=run_id, text="second", logged_at=T0 + 3),
    )
    write(
        lab / "journal" / "a-2-2.jsonl",  # an earlier file name, a later word
        RunTagged(run_id=run_id, added=("kept",), removed=("wide", "kept"), logged_at=T0 + 1),
    )
    store = open_store(lab)
    assert not store.refresh(force=True).problems
    rows = store.query("select name, tags, note, archived from runs order by name").rows
    store.close()
    assert rows == [("marked", ["kept", "paper"], "second", True), ("plain", [], "", False)]
