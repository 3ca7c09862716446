"""The spec.json of a downstream cell: `runs/<run_id>/downstream/<cell_id>/spec.json`, kind `cell`."""

from __future__ import annotations

import json
from pathlib import Path

from ..config.cell import CellSpec, cell_from_dict, cell_to_dict
from ..errors import RunError
from .rundir import SPEC_VERSION, RunDir, run_dir, write_atomically

KIND = "cell"
PREDICTIONS = "predictions.npz"
"""What the model answered to every scored example, beside the log."""


def write_cell(lab: Path, spec: CellSpec) -> RunDir:
    """Give birth to a cell: make its folder and write its frozen spec, or leave the one that is there."""
    cell = run_dir(lab, spec.job_id)
    if not cell.spec_file.exists():
        body = {
            "v": SPEC_VERSION,
            "kind": KIND,
            "run_id": spec.run_id,
            "cell_id": spec.cell_id,
            "name": spec.name,
            "comparison": spec.comparison,
            "spec": cell_to_dict(spec),
        }
        cell.path.parent.mkdir(exist_ok=True)
        write_atomically(cell.spec_file, json.dumps(body, indent=1) + "\n")
    return cell


def read_cell(cell: RunDir) -> CellSpec:
    """Read a cell's spec.json. RunError when it is absent, broken, of a newer version or of another kind."""
    try:
        body = json.loads(cell.spec_file.read_text())
        if body["v"] > SPEC_VERSION:
            raise RunError(
                f"{cell.spec_file} was written by a newer shrunk-tui (version {body['v']}); install that one."
            )
        if body.get("kind") != KIND:
            raise RunError(f"{cell.spec_file} is of no downstream cell")
        return cell_from_dict(body["spec"])
    except FileNotFoundError:
        raise RunError(f"no cell {cell.run_id}: {cell.spec_file} does not exist") from None
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise RunError(f"{cell.spec_file} cannot be read ({problem}); was it written by a newer shrunk-tui?") from None
