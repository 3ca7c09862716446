"""Any number of crashes: every update once, with the last attempt's values, in any rhythm of refreshes."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from shrunk_core.store.store import open_store
from store_lab import born, evaluated, resumed, saved, started, step, write

# One attempt: how many updates it lives, and how many of them the checkpoint it is resumed from lies back.
ATTEMPTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None)
@given(ATTEMPTS)
def test_each_update_stands_once_with_the_last_attempts_values(attempts):
    lab = Path(tempfile.mkdtemp())
    try:
        run = born(lab)
        store = open_store(lab)
        expected, checks, at = {}, {}, 0
        for number, (lives, back, refresh) in enumerate(attempts, 1):
            write(run.events_file, started() if number == 1 else resumed(number, at))
            for update in range(at + 1, at + lives + 1):
                loss = number + update / 1000
                write(run.events_file, step(update, loss, number))
                expected[update] = loss
                if update % 3 == 0:
                    write(run.events_file, evaluated(update, loss, number), saved(update, number))
                    checks[update] = loss
            if refresh:
                store.refresh()
            if number < len(attempts):
                at = max(0, at + lives - back)
                expected = {u: v for u, v in expected.items() if u <= at}
                checks = {u: v for u, v in checks.items() if u <= at}
        store.refresh(force=True)
        assert store.query("select update, loss from steps order by update").rows == sorted(expected.items())
        assert store.query("select update, loss from evaluations order by update").rows == sorted(checks.items())
        kept = store.query("select update from events where kind = 'checkpoint-saved' order by update").rows
        assert kept == [(u,) for u in sorted(checks)]
        assert store.query("select count(*) from events where kind in ('started', 'resumed')").rows == [
            (len(attempts),)
        ]
        assert store.query("select attempts, status from runs").rows == [(len(attempts), "running")]
        assert store.query("select count(distinct seq) = count(*) from raw.steps").rows == [(True,)], "nothing doubled"
        store.close()
    finally:
        shutil.rmtree(lab)


def test_an_evaluation_repeated_at_the_resumed_update_is_one_row(tmp_path):
    """Killed between its checkpoint and its evaluation, or just after both: the later evaluation stands."""
    run = born(tmp_path)
    write(run.events_file, started(), step(10), saved(10), evaluated(10, 4.0), resumed(2, 10), evaluated(10, 4.5, 2))
    store = open_store(tmp_path)
    assert store.query("select update, loss, attempt from evaluations").rows == [(10, 4.5, 2)]


def test_rows_taken_back_stay_in_the_base_tables(tmp_path):
    run = born(tmp_path)
    write(run.events_file, started(), step(1), step(2), resumed(2, 1), step(2, 4.0, 2))
    store = open_store(tmp_path)
    assert store.query("select count(*) from raw.steps").rows == [(3,)]
    assert store.query("select update, attempt from steps order by 1").rows == [(1, 1), (2, 2)]


def test_best_loss_ignores_what_was_taken_back_and_what_is_not_finite(tmp_path):
    run = born(tmp_path)
    write(run.events_file, started(), step(20), evaluated(10, 4.0), evaluated(20, 1.0), resumed(2, 10))
    write(run.events_file, evaluated(20, float("nan"), 2), evaluated(30, 3.5, 2), evaluated(40, 2000.0, 2))
    (row,) = open_store(tmp_path).query("select best_loss, best_update, latest_loss, final_loss from runs").rows
    assert row == (3.5, 30, 2000.0, None)
