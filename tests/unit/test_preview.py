"""What the Design screen shows of a grid while it is typed."""

from __future__ import annotations

from pathlib import Path

from shrunk_core.config.document import GridDocument, new_document
from shrunk_core.engine.plan import make_plan
from shrunk_core.engine.preview import MOST_RUNS, fingerprint, preview


def grid(lab: Path) -> GridDocument:
    return (
        new_document(lab / "grids" / "g.toml").typed("model.hidden_size", "16, 32").typed("model.num_layers", "1, 2, 4")
    )


def test_it_needs_no_corpus_and_says_what_it_does_not_know(lab: Path) -> None:
    seen = preview(grid(lab), {}, {})
    assert len(seen.runs) == 6 and not seen.problem and len(seen.unknown) == 1
    row = seen.rows("kaplan")[0]
    assert row["run_id"] == "" and row["num_params"] > 0
    assert row["flops_paper"] != row["flops_executed"] != row["flops_total"]


def test_with_the_language_known_it_agrees_with_the_plan(lab: Path) -> None:
    document = grid(lab)
    [unknown] = preview(document, {}, {}).unknown
    known = {unknown: fingerprint(lab, unknown)}
    planned = make_plan(lab, document.grid())
    statuses = {planned.runs[1].run_id: "finished"}
    seen = preview(document, statuses, known)
    assert [r.run_id for r in seen.runs] == [r.run_id for r in planned.runs]
    assert [r.status for r in seen.runs] == ["", "finished", "", "", "", ""]
    assert not seen.unknown


def test_impossible_shapes_are_listed_with_their_reason(lab: Path) -> None:
    seen = preview(grid(lab).typed("model.num_heads", "3, 4"), {}, {})
    assert seen.impossible == 6
    assert "not divisible by 3 heads" in seen.runs[0].problem


def test_what_is_no_grid_is_a_problem_and_no_error(lab: Path) -> None:
    assert "needs axes of equal length" in preview(grid(lab).typed("grid.mode", "zip"), {}, {}).problem
    assert "exclusions leave no run" in preview(grid(lab).typed("grid.exclude", "num_layers > 0"), {}, {}).problem
    many = grid(lab).typed("grid.seeds", ", ".join(map(str, range(1000))))
    assert f"more than {MOST_RUNS:,}" in preview(many, {}, {}).problem
