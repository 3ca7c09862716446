"""What is loaded when the first frame is on the screen, and what never is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .stage import fill

HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "pandas",
    "duckdb",
    "pyarrow",
    "plotext",
    "scipy",
    "matplotlib",
    "numba",
    "numpy",
}

PROGRAM = """
import json, sys
from pathlib import Path
from shrunk_tui.app import ShrunkApp
from shrunk_tui.session import LabSession

class Probe(ShrunkApp):
    def _after_first_frame(self):
        loaded = sorted({name.partition(".")[0] for name in sys.modules})
        self.exit(message=None)
        Path(sys.argv[2]).write_text(json.dumps(loaded))

Probe(LabSession(Path(sys.argv[1]))).run(headless=True, size=(120, 40))
"""


def test_first_frame_imports_nothing_of_weight(lab: Path, tmp_path: Path) -> None:
    fill(lab)
    out = tmp_path / "loaded.json"
    subprocess.run([sys.executable, "-P", "-c", PROGRAM, str(lab), str(out)], check=True, timeout=60)
    loaded = set(json.loads(out.read_text()))
    assert "textual" in loaded
    assert not loaded & HEAVY


VISITS = """
import json, sys
from pathlib import Path
from shrunk_tui.screens.tabs import TABS
from tests.tui.stage import play, settle, until

async def story(app, pilot):
    for tab in TABS:
        app.go(tab.name)
        await until(pilot, lambda: app.pane.id == f"pane-{tab.name}")
        await settle(pilot)
        if tab.name == "scaling":
            await until(pilot, lambda: app.pane.study is not None)
        if tab.name == "sql":
            app.pane.action_run()
            await until(pilot, lambda: app.pane.answer is not None)
            await pilot.press("p")
            await settle(pilot)

play(Path(sys.argv[1]), story)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_fits_and_figures_are_worked_out_elsewhere_and_nobody_imports_pandas(lab: Path) -> None:
    fill(lab)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'tests/unit'}"}
    done = subprocess.run(
        [sys.executable, "-c", VISITS, str(lab)], capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"duckdb", "pyarrow"} <= loaded
    assert not loaded & {"torch", "transformers", "datasets", "pandas", "scipy", "matplotlib"}
