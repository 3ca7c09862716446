"""How Design, SQL and System look at three sizes, over a lab and a machine made by hand: nothing in them moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shrunk_core.engine.machine_now import GpuNow, Looker, MachineNow, ProcessNow
from store_lab import born, evaluated, finished, started, step, write
from textual.pilot import Pilot
from textual.widgets import Static

from shrunk_tui import lab_words
from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.design import DesignPane
from shrunk_tui.screens.sql import SqlPane
from shrunk_tui.screens.system import SystemPane
from shrunk_tui.session import LabSession

from .stage import at_rest, until

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda s: f"{s[0]}x{s[1]}")
Snap = Callable[..., bool]
GB = 2**30
NOW = MachineNow(
    at=0.0, cores=16, cpu=0.25, load=4.2, memory_used=40 * GB, memory_total=128 * GB, disk_free=30 * GB, disk_total=64 * GB,
    gpus=(
        GpuNow(
            index=0, name="NVIDIA H200", utilisation=0.87, memory_used=35 * GB, memory_total=140 * GB, power_watts=512.0,
            power_limit_watts=700.0, temperature_c=61.0, clock_mhz=1980.0,
        ),
    ),
    processes=(
        ProcessNow(
            pid=4242, user="ada", command="python train_something_else.py --large", cpu_percent=180.0, rss_bytes=3 * GB, gpu=0,
            gpu_bytes=20 * GB,
        ),
        ProcessNow(pid=99, user="root", command="backup", cpu_percent=12.0, rss_bytes=GB // 8),
    ),
)  # fmt: skip


DESIGN = """
[grid]
seeds = [0, 1]
[corpus]
sources = ["embedded:kjv"]
[train]
device = "cpu"
precision = "fp32"
updates = 500
[axes]
hidden_size = [32, 64, 128]
"""


@SIZES
def test_design(lab: Path, size: tuple[int, int], snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "shrunk_core.engine.plan.estimated_seconds", lambda model, train, machine: 0.9 * model.hidden_size
    )
    monkeypatch.setattr(DesignPane, "_read_slots", lambda self: 2)
    session = LabSession(lab)
    session.state.set("design.text", DESIGN)
    session.state.set("design.path", str(lab / "grids" / "shapes.toml"))
    app = ShrunkApp(session, "design")

    async def before(pilot: Pilot[None]) -> None:
        def there() -> bool:
            pane = app.pane
            if not isinstance(pane, DesignPane) or pane.preview is None:
                return False
            words = str(pane.query_one("#design-totals", Static).content)
            return len(pane.rows) == 6 and all(row["run_id"] for row in pane.rows) and "6 runs" in words

        await until(pilot, there)
        await at_rest(pilot)
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=before)


@SIZES
def test_sql(lab: Path, size: tuple[int, int], snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("small", "large")):
        run = born(lab, seed=number, name=name)
        write(run.events_file, started(), *(step(u) for u in range(1, 11)), evaluated(100, 4.0 - number), finished())
    monkeypatch.setattr(SqlPane, "_summary", lambda self, answer: f"{answer.table.num_rows} rows in 0.01 s")
    app = ShrunkApp(LabSession(lab), "sql")

    async def before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.pane, SqlPane) and app.pane.catalog is not None)
        pane = app.pane
        assert isinstance(pane, SqlPane)
        pane.editor.text = "select name, seed, status, best_loss, best_perplexity\nfrom runs\norder by best_loss"
        await pilot.press("f5")
        await until(pilot, lambda: pane.answer is not None)
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=before)


@SIZES
def test_system(lab: Path, size: tuple[int, int], snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looker, "look", lambda self: NOW)
    monkeypatch.setattr(lab_words, "supervisor_line", lambda lab: "Supervisor: serving on box, pid 7, for 2h 10m")
    app = ShrunkApp(LabSession(lab), "system")

    async def before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.pane, SystemPane) and app.pane.now is not None)
        pane = app.pane
        assert isinstance(pane, SystemPane)
        pane.hidden()  # no look comes while the picture is taken
        while len(pane.history) < 40:
            pane.history.append({"CPU": len(pane.history) / 40, "GPU0": 0.8})
        pane._show_meters()
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=before)
