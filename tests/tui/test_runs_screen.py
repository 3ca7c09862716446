"""The Runs screen: a person finds, orders, marks and compares runs, and reads their curves."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.record.rundir import run_dir
from store_lab import T0, evaluated, step, write
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from shrunk_tui.app import ShrunkApp, farewell
from shrunk_tui.screens.asking import ChooseSeveral, Confirm, Page
from shrunk_tui.widgets.banner import Banner
from shrunk_tui.widgets.live_chart import LiveChart

from .stage import fill, legend, listed, play, screen_text, settle, table, until


def test_runs_are_listed_by_grid_with_what_goes_on_first(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        assert listed(app) == ["H32", "H64", "H128", "H256", "alone"]
        text = screen_text(app)
        assert "width - 4 runs: 2 finished, 1 running, 1 failed" in text
        for sign in "✓▶✗■":
            assert sign in text
        assert "validation loss, nats, by updates" in text
        chart = app.query_one("#runs-chart", LiveChart)
        await until(pilot, lambda: chart.picture is not None and "H32" in legend(chart))
        assert "unigram" in screen_text(app)

    play(lab, story)


def test_a_filter_narrows_the_table_and_says_so(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"hidden_size>=128 status:running")
        await settle(pilot)
        assert listed(app) == ["H128"]
        assert "1 of 5 runs" in screen_text(app)
        bar = app.query_one("#runs-filter", Input)
        bar.value = "hidden_sise>3"
        await settle(pilot)
        assert "did you mean `hidden_size`" in screen_text(app)
        bar.value = "nothing like it"
        await settle(pilot)
        assert "no run fits the filter" in screen_text(app)
        await pilot.press("escape")
        await settle(pilot)
        assert len(listed(app)) == 5 and table(app).has_focus

    play(lab, story)


def test_sorting_by_any_column_and_back(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        pane = app.pane
        pane._sort("loss")  # type: ignore[union-attr]
        await settle(pilot)
        assert listed(app) == ["H256", "H128", "H64", "H32", "alone"], "no loss stands last"
        await pilot.press("O")
        await settle(pilot)
        assert listed(app)[:4] == ["H32", "H64", "H128", "H256"]
        await pilot.press("c")
        await settle(pilot)
        assert isinstance(app.screen, ChooseSeveral)
        await pilot.press("space", "enter")  # takes the first column away
        await settle(pilot)
        assert "run" not in [c for c in app.session.state.get("runs.columns", []) if c == "name"]

    play(lab, story)


def test_marked_runs_are_drawn_and_compared(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("home", "space", "space")
        await settle(pilot)
        chart = app.query_one("#runs-chart", LiveChart)
        await until(pilot, lambda: "H256" not in legend(chart) and "H64" in legend(chart))
        await pilot.press("v")
        await settle(pilot)
        assert isinstance(app.screen, Page)
        text = screen_text(app)
        assert "model.hidden_size" in text or "hidden_size" in text
        assert "perplexity" in text

    play(lab, story)


def test_chart_changes_axes_and_zooms_by_keys(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        chart = app.query_one("#runs-chart", LiveChart)
        await pilot.press("x", "w", "l")
        await settle(pilot)
        assert "training loss, nats, by tokens" in screen_text(app)
        assert chart.scene is not None and chart.scene.log_x
        await pilot.press("tab")
        assert chart.has_focus
        before = chart.picture
        await pilot.press("left", "plus")
        await settle(pilot)
        assert chart.scene.zoom_x is not None and chart.scene.cursor is not None
        assert chart.picture is not before and "tokens " in legend(chart)
        await pilot.press("0")
        await settle(pilot)
        assert chart.scene.zoom_x is None and chart.scene.cursor is None

    play(lab, story)


def test_new_lines_of_a_log_show_by_themselves_and_silence_draws_nothing(lab: Path) -> None:
    ids = fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        log = run_dir(lab, ids[2]).events_file
        write(log, step(60, loss=3.5, at=T0 + 60), evaluated(60, loss=3.456, at=T0 + 60))
        await until(pilot, lambda: "3.456" in screen_text(app))
        chart = app.query_one("#runs-chart", LiveChart)
        await until(pilot, lambda: "H128 3.456" in legend(chart))
        for _ in range(5):
            drawn = chart.drawn
            await pilot.pause(1.2)
            if chart.drawn == drawn:
                return
        raise AssertionError("the chart is drawn again and again though nothing changes")

    play(lab, story)


def test_read_only_refuses_and_writes_nothing(lab: Path, tmp_path: Path, monkeypatch) -> None:
    fill(lab)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = {p: p.stat().st_mtime_ns for p in lab.rglob("*")}

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        assert "READ-ONLY" in screen_text(app)
        for key in ("p", "s", "r", "t", "D", "e", "exclamation_mark"):
            await pilot.press(key)
            await settle(pilot)
            assert len(app.screen_stack) == 1
        assert any("Read-only" in n.message for n in app._notifications)
        await pilot.press("end")

    play(lab, story, read_only=True)
    assert {p: p.stat().st_mtime_ns for p in lab.rglob("*")} == before
    assert list((tmp_path / "state" / "shrunk").glob("ui-*.json"))


def test_the_view_comes_back_as_it_was_left(lab: Path) -> None:
    ids = fill(lab)

    async def leave(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"width", "enter")
        await pilot.press("end", "w", "x")
        app.go("sql")
        await settle(pilot)
        app.go("runs")
        await settle(pilot)

    async def come_back(app: ShrunkApp, pilot: Pilot[None]) -> None:
        assert app.pane is not None and app.pane.title == "Runs"
        assert listed(app) == ["H32", "H64", "H128", "H256"]
        assert table(app).cursor == ids[3]
        await until(pilot, lambda: "training loss, nats, by tokens" in screen_text(app))

    play(lab, leave)
    play(lab, come_back, start="")


def test_a_lost_lab_is_a_banner_until_it_is_back(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        away = lab.with_name("away")
        lab.rename(away)
        banner = app.query_one(Banner)
        await until(pilot, lambda: "lab" in banner.words)
        assert "goes on when the folder is back" in banner.words["lab"]
        await until(pilot, lambda: "folder is back" in " ".join(screen_text(app).split()))
        away.rename(lab)
        await until(pilot, lambda: "lab" not in banner.words)
        assert len(listed(app)) == 5

    play(lab, story)


def test_quitting_says_what_goes_on(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        said = farewell(app.session)
        assert said is not None and "1 running" in said and "shrunk stop" in said
        banner = app.query_one(Banner)
        await until(pilot, lambda: "supervisor" in banner.words)
        assert "! starts one" in banner.words["supervisor"]

    play(lab, story)


def test_stop_asks_first(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "s")
        await settle(pilot)
        assert isinstance(app.screen, Confirm)
        assert "Stop H128?" in screen_text(app)
        await pilot.press("n")
        await settle(pilot)
        assert not isinstance(app.screen, Confirm)
        await pilot.press("home", "s")
        await settle(pilot)
        assert any("H32 is finished" in n.message for n in app._notifications)

    play(lab, story)


def test_an_empty_lab_leads_to_design(lab: Path) -> None:
    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        text = screen_text(app)
        assert "no runs yet" in text and "Design" in text and "shrunk demo" in text

    play(lab, story, size=(80, 24))


def test_no_key_of_the_footer_is_cut_off_at_80_columns(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        for focus in ("#runs-table", "#runs-chart"):
            app.query_one(focus).focus()
            await settle(pilot)
            text = screen_text(app)
            for word in ("Filter", "Compare", "Bands", "Help", "Palette", "Quit"):
                assert word in text, (focus, word)

    play(lab, story, size=(80, 24))


def test_the_table_takes_what_its_columns_want_and_the_chart_the_rest(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        left, chart = app.query_one("#runs-left"), app.query_one("#runs-chart")
        assert left.outer_size.width == min(table(app).wanted_width + 3, 120)
        assert "params" in screen_text(app) and "left" in screen_text(app)
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert left.outer_size.width == 72 and chart.outer_size.width == 48, "three fifths at most"
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert left.outer_size.width == chart.outer_size.width == 80, "one above the other"

    play(lab, story, size=(200, 60))


def test_the_mouse_sorts_chooses_opens_zooms_and_pans(lab: Path) -> None:
    fill(lab)

    async def story(app: ShrunkApp, pilot: Pilot[None]) -> None:
        lines, chart = table(app), app.query_one("#runs-chart", LiveChart)
        at = 4 + next(i for i in range(90) if lines.render_line(0).text[4 + i :].startswith("loss"))
        await pilot.click(lines, offset=(at + 2, 1))
        await settle(pilot)
        assert lines.order.column == "loss" and listed(app)[0] == "H256"
        await pilot.click(lines, offset=(8, 4))
        assert lines.cursor == lines.run_ids()[1]
        picture = chart.picture
        assert picture is not None and picture.window is not None
        middle = (1 + picture.left + picture.width // 2, 1 + picture.top + picture.height // 2)
        await pilot.hover(chart, offset=middle)
        await settle(pilot)
        assert chart.scene is not None and chart.scene.cursor is not None and "update " in legend(chart)
        whole = picture.window
        chart.post_message(events.MouseScrollUp(chart, *middle, 0, 0, 0, False, False, False,
                                                *(chart.region.offset + middle)))  # fmt: skip
        await settle(pilot)
        assert chart.scene.zoom_x is not None and chart.scene.zoom_x[0] > whole.left
        left = chart.scene.zoom_x[0]
        await pilot.mouse_down(chart, offset=middle)
        await pilot.hover(chart, offset=(middle[0] + 5, middle[1]))
        await pilot.mouse_up(chart, offset=(middle[0] + 5, middle[1]))
        await settle(pilot)
        assert chart.scene.zoom_x[0] < left, "dragged to the right, earlier updates come in"
        await pilot.click(lines, offset=(8, 4), times=2)
        await settle(pilot)
        assert app.pane is not None and app.pane.id == "pane-run"

    play(lab, story)
