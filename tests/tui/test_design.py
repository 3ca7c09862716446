"""The Design screen as stories: a grid made by keys alone, started, and watched to its end."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from shrunk_core.config.document import new_document
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from shrunk_tui.app import ShrunkApp
from shrunk_tui.screens.asking import Confirm
from shrunk_tui.screens.design import DesignPane
from shrunk_tui.screens.iso import IsoScreen
from shrunk_tui.session import LabSession
from tests.tiny import write_grid

from .stage import until


def story(lab: Path, tell: Callable[[Pilot[None], DesignPane], object], size: tuple[int, int] = (120, 40)) -> None:
    """Open the Design screen on a lab and go through a story."""

    async def run() -> None:
        app = ShrunkApp(LabSession(lab), "design")
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.pane, DesignPane) and app.pane.preview is not None)
            assert isinstance(app.pane, DesignPane)
            await tell(pilot, app.pane)  # type: ignore[misc]

    asyncio.run(run())


def totals(pane: DesignPane) -> str:
    return str(pane.query_one("#design-totals", Static).content)


async def to(pilot: Pilot[None], pane: DesignPane, key: str) -> None:
    """Go down to a setting with the arrow key."""
    for _ in range(80):
        if pane.form.key == key:
            return
        await pilot.press("down")
    raise AssertionError(f"no line {key}")


async def put(pilot: Pilot[None], pane: DesignPane, key: str, text: str) -> None:
    """Edit one setting by keys: to its line, enter, everything out, the text in, enter."""
    await to(pilot, pane, key)
    await pilot.press("enter", "ctrl+u", *text, "enter")
    await pilot.pause()


@pytest.mark.slow
def test_six_runs_designed_by_keys_alone_started_and_watched_to_their_end(lab: Path, tmp_path: Path) -> None:
    write_grid(tmp_path)  # for its text; the grid itself is made by keys

    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        wanted = {
            "name": "by keys", "grid.seeds": "0, 1, 2", "corpus.sources": str(tmp_path / "text.txt"),
            "corpus.vocabulary": "top:100", "corpus.min_words": "4", "tokenizer.vocab_size": "300",
            "model.embedding_size": "16", "model.hidden_size": "16, 32", "model.num_heads": "2", "train.updates": "30",
            "train.batch_size": "8",
        }  # fmt: skip
        for key, text in wanted.items():
            await put(pilot, pane, key, text)
        assert pane.document.path == lab / "grids" / "by keys.toml"
        await until(pilot, lambda: len(pane.rows) == 6 and all(row["run_id"] for row in pane.rows))
        assert "6 runs" in totals(pane)
        await pilot.press("r")
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("y")
        session = pane.session
        await until(pilot, lambda: pilot.app.pane is not pane, 60)  # type: ignore[attr-defined]
        done = lambda: [r.status.status for r in session.rows.values()].count("finished") == 6  # noqa: E731
        await until(pilot, done, 150)
        await pilot.press("2")
        await until(pilot, lambda: "6 finished" in totals(pane))
        assert "not saved" not in str(pane.form.lines.border_title)

    story(lab, tell)
    saved = tomllib.loads((lab / "grids" / "by keys.toml").read_text())
    assert saved["axes"] == {"hidden_size": [16, 32]} and saved["grid"]["seeds"] == [0, 1, 2]


def test_what_cannot_be_is_said_where_it_is_typed_and_in_the_preview(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        await put(pilot, pane, "corpus.min_words", "many")
        assert "whole number" in str(pane.form.query_one("#setting-words", Static).content)
        assert pane.form.editing == "corpus.min_words"
        await pilot.press("escape")
        await put(pilot, pane, "model.num_heads", "3, 4")
        await until(pilot, lambda: "1 impossible" in totals(pane))
        assert "not divisible by 3 heads" in pane.table.rows[0].cells[-1]
        await pilot.press("r")
        assert not isinstance(pilot.app.screen, Confirm)
        await pilot.press("x")
        await until(pilot, lambda: "impossible" not in totals(pane) and "1 run," in totals(pane))
        await pilot.press("u")
        await until(pilot, lambda: "1 impossible" in totals(pane))

    story(lab, tell)


def test_choices_change_with_the_arrows_and_budgets_exclude_each_other(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        await to(pilot, pane, "grid.mode")
        await pilot.press("right", "right")
        assert pane.document.value("grid.mode") == "one-factor"
        await put(pilot, pane, "train.flops", "1e12")
        assert pane.document.value("train.updates") is None
        await pilot.press("c")
        await until(pilot, lambda: "(executed)" in totals(pane))
        titles = [h.title for h in pane.table.headings]
        assert "FLOPs executed" in titles and "FLOPs paper" in titles

    story(lab, tell)


def test_shapes_of_one_size_become_values_that_vary_together(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        await pilot.press("i")
        assert isinstance(pilot.app.screen, IsoScreen)
        await pilot.press("enter", "ctrl+u", *"500000", "enter")
        await until(pilot, lambda: len(pane.rows) == 6)
        params = [row["num_params"] for row in pane.rows]
        assert all(abs(p / 500_000 - 1) < 0.12 for p in params) and len(set(params)) > 1
        assert len(pane.document.axes()["shape"]) == 6

    story(lab, tell)


def test_a_grid_is_left_and_taken_up_again(lab: Path) -> None:
    async def first(pilot: Pilot[None], pane: DesignPane) -> None:
        pane.change(new_document(lab / "grids" / "kept.toml").typed("model.num_layers", "1, 2, 3"))

    async def again(pilot: Pilot[None], pane: DesignPane) -> None:
        assert pane.document.axis("model.num_layers") == [1, 2, 3]
        assert "(not saved)" in str(pane.form.lines.border_title)
        await pilot.press("s", "enter")
        await until(pilot, lambda: (lab / "grids" / "kept.toml").exists())
        await pilot.press("n", *"other", "enter")
        await pilot.press("o")
        await until(pilot, lambda: bool(pilot.app.screen.query(OptionList)) and pilot.app.screen is not pane.screen)
        await pilot.press("enter")
        await until(pilot, lambda: pane.document.name == "kept")

    story(lab, first)
    story(lab, again)


def test_on_a_narrow_terminal_one_view_at_a_time(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        assert pane.form.display and not pane.query_one("#design-right").region.width
        await pilot.press("v")
        await pilot.pause()
        assert pane.table.has_focus and not pane.form.region.width
        await pilot.press("v")
        await pilot.pause()
        assert pane.query_one("#design-chart").region.height > 10

    story(lab, tell, size=(80, 24))


def test_enter_edits_the_first_setting_at_once(lab: Path) -> None:
    async def tell(pilot: Pilot[None], pane: DesignPane) -> None:
        assert pane.form.key == "name"
        await pilot.press("enter")
        assert pane.form.editing == "name"

    story(lab, tell)
