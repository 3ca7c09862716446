"""The README's pictures: a finished grid is replayed into a stage lab, the real screens are shown on it, and saved as SVG.

    python docs/pictures.py demo --lab demo

No terminal is needed. Runs is drawn in the middle of the replay, the other screens at its end.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from shrunk_core.config.lab import find_lab

from shrunk_tui.app import ShrunkApp
from shrunk_tui.replay import Replay, runs_of
from shrunk_tui.session import LabSession

HERE = Path(__file__).parent
SIZE = (120, 36)
MIDDLE = 0.62
"""Share of the logs' lines that are there when Runs is drawn: some runs are done, some learn, some wait."""


async def shoot(lab: Path, tab: str, to: Path, keys: tuple[str, ...] = (), seconds: float = 2.0) -> None:
    """Open a tab on a lab, press keys, wait until nothing moves, save the picture."""
    app = ShrunkApp(LabSession(lab, stage=True), tab)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(seconds)
        for key in keys:
            await pilot.press(key)
        await pilot.pause(seconds)
        to.write_text(app.export_screenshot(title="shrunk"), encoding="utf-8")


def write_up_to(played: Replay, done: Callable[[int], bool]) -> None:
    """Write the lines of a replay for as long as `done(number of the line)` is false."""
    for number, (_, _, target, line) in enumerate(played.lines()):
        if done(number):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "ab") as file:
            file.write(line + b"\n")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("grid", help="a finished grid of the lab")
    ask.add_argument("--lab", type=Path, help="the lab; else as for the commands")
    ask.add_argument("--out", type=Path, default=HERE, help="folder of the pictures")
    chosen = ask.parse_args()
    lab = find_lab(chosen.lab)
    ids = runs_of(lab, chosen.grid)
    with tempfile.TemporaryDirectory() as folder:
        half, whole = Path(folder) / "half" / lab.name, Path(folder) / "whole" / lab.name
        first = Replay(lab, ids, half)
        total = sum(1 for _ in first.lines())
        write_up_to(first, lambda number: number > total * MIDDLE)
        write_up_to(Replay(lab, ids, whole), lambda number: False)
        asyncio.run(shoot(half, "runs", chosen.out / "runs.svg", ("w", "end")))
        asyncio.run(shoot(whole, "run", chosen.out / "run.svg", ("m", "m")))
        asyncio.run(shoot(whole, "scaling", chosen.out / "scaling.svg", seconds=8.0))
    for name in ("runs", "run", "scaling"):
        print(chosen.out / f"{name}.svg")


if __name__ == "__main__":
    main()
