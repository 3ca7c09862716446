"""Views as Parquet files: the rows that the views have, whole files only."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest
from shrunk_core.config.lab import init_lab
from shrunk_core.errors import StoreError
from shrunk_core.store.parquet import export_views
from shrunk_core.store.store import open_store
from store_lab import born, evaluated, finished, started, step, write


def test_every_view_is_a_file_with_its_rows(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    run = born(lab, name="small")
    write(run.events_file, started(), *(step(u, loss=5 - u / 10) for u in range(1, 6)), evaluated(5), finished(5))
    (lab / "views.sql").write_text("create view best as select name, best_loss from runs;")
    store = open_store(lab)
    assert not store.refresh(force=True).problems
    written = {e.view: e for e in export_views(store, tmp_path / "out")}
    assert {"runs", "steps", "evaluations", "events", "task_scores", "hardware", "best"} <= set(written)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"{v}.parquet" for v in written)
    steps = pyarrow.parquet.read_table(written["steps"].path).to_pylist()
    assert [s["loss"] for s in steps] == [4.9, 4.8, 4.7, 4.6, 4.5] and written["steps"].rows == 5
    assert pyarrow.parquet.read_table(written["best"].path).to_pylist() == [{"name": "small", "best_loss": 5.0}]
    assert pyarrow.parquet.read_table(written["task_scores"].path).num_rows == 0
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        export_views(store, tmp_path / "file" / "out")
    store.close()
