"""What is loaded when the first frame is on the screen."""

from __future__ import annotations

import json
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
