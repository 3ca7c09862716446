"""The boundaries: what imports what, what a command loads, and what every command promises in its help."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from shrunk_core.config.lab import init_lab
from typer.testing import CliRunner

from shrunk_tui.cli.app import COMMANDS, app, load

ROOT = Path(__file__).parent.parent
PACKAGES = {"shrunk_core": ROOT / "core/shrunk_core", "shrunk_tui": ROOT / "shrunk_tui"}

HEAVY = {"torch", "transformers", "datasets", "numba", "pandas"}
"""Half a second to four seconds each, and up to 220 MB: for work alone, never for a look at it."""

NOT_FOR_HELP = HEAVY | {"duckdb", "numpy", "pyarrow", "rich", "plotext", "scipy"}

MOST_LINES = 400
LONGER_FILES: dict[str, int] = {}
"""Files of the package that are longer, with the length that each may not pass. None is."""

RUNNER = """
import json, sys
sys.argv[0] = "shrunk"
from shrunk_tui.cli.app import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
print("LOADED", json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""
"""Runs `shrunk` with its arguments; its last line on stderr has the exit code and the top-level packages it loaded."""

ALWAYS = "plan", "status", "sql", "cost"
COST = (
    "--embedding-size 256 --hidden-size 256 --intermediate-size 1024 --num-heads 8 --num-layers 8 "
    "--vocab-size 19010 --max-positions 130 --sequence-length 128"
).split()
LIGHT = {
    "status": ["status", "--format", "json"],
    "sql": ["sql", "select count(*) as n from runs", "--format", "json"],
    "plan": ["plan", "GRID", "--format", "json"],
    "cost": ["cost", *COST],
    "init": ["init", "NEW"],
    **{f"{name} --help": [name, "--help"] for name in COMMANDS if name not in ALWAYS},
}


def loaded_by(arguments: list[str], cwd: Path) -> tuple[set[str], str]:
    """Top-level packages that a command loads, and what it printed; it must exit 0."""
    environment = {k: v for k, v in os.environ.items() if k not in ("SHRUNK_LAB", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )
    *talk, last = done.stderr.splitlines()
    assert last.startswith("LOADED "), done.stderr
    code, names = json.loads(last.removeprefix("LOADED "))
    assert code == 0, "\n".join(talk)
    return set(names), done.stdout


@pytest.fixture(scope="module")
def small_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with a grid file and nothing trained."""
    lab = init_lab(tmp_path_factory.mktemp("architecture") / "lab")
    (lab / "grid.toml").write_text('[corpus]\nsources = ["embedded:kjv"]\n[axes]\nhidden_size = [32, 64]\n')
    return lab


# ---------------------------------------------------------------- what a command loads


def test_root_help_loads_nothing_of_weight(tmp_path: Path) -> None:
    loaded, printed = loaded_by(["--help"], tmp_path)
    assert not loaded & NOT_FOR_HELP
    listed = " ".join(printed.split())
    assert all(f"{name} {line}" in listed for name, (_, line) in COMMANDS.items()), "a line is cut short"


@pytest.mark.parametrize("command", LIGHT)
def test_command_never_loads_torch(command: str, small_lab: Path, tmp_path: Path) -> None:
    places = {"GRID": str(small_lab / "grid.toml"), "NEW": str(tmp_path / "new")}
    loaded, printed = loaded_by([places.get(a, a) for a in LIGHT[command]], small_lab)
    assert printed.strip()
    assert not loaded & HEAVY


# ---------------------------------------------------------------- what every command promises


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output
    assert re.search(rf"shrunk\s+{name}\b", result.output.split("Example", 1)[1])


@pytest.mark.parametrize("name", COMMANDS)
def test_line_in_the_list_tells_what_the_docstring_tells(name: str) -> None:
    """The list has a shorter line than the docstring, so that listing imports nothing; both speak of the same things."""
    line = COMMANDS[name][1]
    assert line[0].isupper() and line[-1] in ".?" and len(line) <= 100
    help_text = load(name).help
    assert help_text, f"{name} has no docstring"
    words, said = _stems(line), _stems(help_text)
    assert words & said, f"{line!r} and {help_text!r} have no word in common"


def _stems(text: str) -> set[str]:
    """Beginnings of the words of three letters and more, small words apart."""
    small = {"the", "and", "for", "are", "its", "what", "with", "that", "this", "does", "over"}
    return {word[:4] for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in small}


def test_every_public_function_of_the_table_exists() -> None:
    for name in COMMANDS:
        assert callable(load(name).callback)


@pytest.mark.parametrize("arguments", [["statis"], ["--labb", "x", "status"], ["status", "--fromat", "json"]])
def test_usage_error_exits_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "did you mean" in result.output.lower() or "no such" in result.output.lower()


def test_typo_gets_the_nearest_command() -> None:
    assert "status" in CliRunner().invoke(app, ["statis"]).output


# ---------------------------------------------------------------- who imports what


def test_import_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout), done.stdout


@cache
def modules() -> dict[str, ast.Module]:
    """Every file of the package, parsed, by its path below the repository."""
    files = [f for folder in PACKAGES.values() for f in sorted(folder.rglob("*.py"))]
    assert len(files) > 50
    return {str(f.relative_to(ROOT)): ast.parse(f.read_text(encoding="utf-8"), str(f)) for f in files}


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all absolute imports of a file, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def importers(package: str) -> set[str]:
    """Files that import a package."""
    return {path for path, tree in modules().items() if any(n.partition(".")[0] == package for n in imported(tree))}


def test_core_knows_no_terminal() -> None:
    for package in ("shrunk_tui", "textual", "typer", "rich", "plotext"):
        assert not {path for path in importers(package) if path.startswith("core/")}, package


def test_one_package_opens_the_database() -> None:
    assert importers("duckdb")
    assert {str(Path(path).parent) for path in importers("duckdb")} == {"core/shrunk_core/store"}


def test_one_file_draws() -> None:
    assert importers("plotext") == {"shrunk_tui/charts.py"}


def test_torch_stays_in_its_half() -> None:
    half = ("core/shrunk_core/model/", "core/shrunk_core/train/", "core/shrunk_core/downstream/")
    doors = {"core/shrunk_core/engine/worker.py", "core/shrunk_core/hf.py"}
    outside = {path for path in importers("torch") if not path.startswith(half)} - doors
    assert not outside


def test_nothing_spells_a_vendored_or_borrowed_package() -> None:
    """click is there only by other people's choice, and typer brings a copy of its own."""
    assert not importers("click")


def test_no_code_is_made_of_text() -> None:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno}"


def test_worker_and_supervisor_are_spawned_never_imported() -> None:
    for entry in ("worker", "supervisor", "prepare"):
        wanted = f"shrunk_core.engine.{entry}"
        for path, tree in modules().items():
            assert wanted not in set(imported(tree)), f"{path} imports {wanted}"
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and path.startswith("core/shrunk_core/engine/"):
                    names = {node.module} if node.module else {alias.name for alias in node.names}
                    allowed = entry == "prepare" and "__main__" not in names
                    assert allowed or entry not in names, f"{path} imports {entry}"


# ---------------------------------------------------------------- form


def test_files_stay_small() -> None:
    long = {}
    for path in modules():
        lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
        if lines > LONGER_FILES.get(path, MOST_LINES):
            long[path] = lines
    assert not long, f"split them, or say why in LONGER_FILES: {long}"
    assert not set(LONGER_FILES) - set(modules()), "LONGER_FILES names files that are gone"


def test_no_file_is_called_utils() -> None:
    assert not [path for path in modules() if re.search(r"/(utils?|helpers?|misc|common)\.py$", path)]


def test_every_module_says_what_it_is() -> None:
    silent = [p for p, tree in modules().items() if ast.get_docstring(tree) is None and tree.body]
    assert silent in ([], ["core/shrunk_core/__init__.py"])  # that one is its version only
