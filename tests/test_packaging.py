"""What a wheel holds, how it behaves where it is installed, and what the pins promise."""

from __future__ import annotations

import ast
import configparser
import email.message
import email.parser
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from shrunk_core import __version__

ROOT = Path(__file__).parent.parent
SOURCES = {"shrunk_tui": ROOT / "shrunk_tui", "shrunk_core": ROOT / "core/shrunk_core"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments; PYTHONPATH is only what the call says."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SHRUNK_LAB")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the hatchling that is installed here: no index is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    done = run(
        "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation",
        "--wheel-dir", folder, ROOT, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, alone."""
    folder = tmp_path_factory.mktemp("site")
    done = run(
        "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", folder,
        wheel, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(archive.read(name).decode())


# ---------------------------------------------------------------- the wheel


def test_wheel_holds_two_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"shrunk_tui", "shrunk_core"}
    assert len(tops) == 3


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Data files too: the demo's grid lies beside its command."""
    here = {
        f"{package}/{file.relative_to(folder)}"
        for package, folder in SOURCES.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert "shrunk_tui/cli/demo.toml" in there
    assert there == here


def test_metadata(wheel: Path) -> None:
    head = metadata(wheel)
    assert head["Name"] == "shrunk-tui"
    assert head["Version"] == __version__ == wheel.name.split("-")[1]
    assert head["License-Expression"] == "Apache-2.0"
    assert head.get_all("License-File") == ["LICENSE"]
    assert head["Requires-Python"] == ">=3.11"
    wanted = {canonicalize_name(Requirement(text).name) for text in head.get_all("Requires-Dist", [])}
    assert wanted == {canonicalize_name(r.name) for r in runtime()}
    with zipfile.ZipFile(wheel) as archive:
        (text,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith("/licenses/LICENSE")]
    assert text == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text


def test_console_script(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert dict(points["console_scripts"]) == {"shrunk": "shrunk_tui.cli.start:main"}


# ---------------------------------------------------------------- the installed wheel


def test_installed_wheel_ignores_a_namesake_where_it_is_started(installed: Path, tmp_path: Path) -> None:
    """Somebody's own folder `shrunk_core` in the working directory must not be taken for ours."""
    for name in ("shrunk_core", "shrunk_tui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    done = run("-P", "-m", "shrunk_tui.cli.app", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stdout) == (0, f"shrunk-tui {__version__}\n"), done.stderr
    where = "import shrunk_core, shrunk_tui; print(shrunk_core.__file__); print(shrunk_tui.__file__)"
    done = run("-P", "-c", where, cwd=tmp_path, PYTHONPATH=str(installed))
    assert all(line.startswith(f"{installed}/") for line in done.stdout.splitlines()), done.stdout


def test_installed_wheel_finds_its_demo(installed: Path, tmp_path: Path) -> None:
    script = (
        "from shrunk_core.config.grid import load_grid; from shrunk_tui.cli.demo import GRID; "
        "print(GRID, len(load_grid(GRID).points()))"
    )
    done = run("-P", "-c", script, cwd=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    path, runs = done.stdout.rsplit(maxsplit=1)
    assert path.startswith(f"{installed}/") and int(runs) >= 6


def test_installed_script_runs(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "bin/shrunk", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stdout) == (0, f"shrunk-tui {__version__}\n"), done.stderr


# ---------------------------------------------------------------- pins


def runtime() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["dependencies"]]


def development() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["dependency-groups"]["dev"]]


def pins() -> dict[str, str]:
    """Version by canonical name; the test below holds the file to this one form of line."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_constraints_are_pins_and_name_no_index() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wrong = [li for li in lines if li and not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", li)]
    assert not wrong, "only name==version: no host, no option, no local build such as +cpu"
    assert not re.search(r"https?:|index-url|find-links", "\n".join(lines))
    names = [canonicalize_name(li.split("==")[0]) for li in lines if "==" in li]
    assert len(names) == len(set(names)), "a package is pinned twice"
    assert re.fullmatch(r"[0-9.]+", pins()["torch"])


@pytest.mark.parametrize("requirement", [*runtime(), *development()], ids=lambda r: r.name)
def test_declared_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in pins()
    assert pins()[name] in requirement.specifier


def test_makefile_names_no_index() -> None:
    for name in ("Makefile", ".ci/run", "pyproject.toml"):
        assert not re.search(r"index-url|find-links|--index\b", (ROOT / name).read_text(encoding="utf-8")), name


def test_every_import_is_declared() -> None:
    """A package that is here only because another one brings it may be gone tomorrow."""
    distributions = importlib.metadata.packages_distributions()
    declared = {canonicalize_name(r.name) for r in runtime()}
    undeclared: dict[str, set[str]] = {}
    for folder in SOURCES.values():
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names = [node.module]
                for top in {n.partition(".")[0] for n in names} - sys.stdlib_module_names - set(SOURCES):
                    if not declared & {canonicalize_name(d) for d in distributions.get(top, [])}:
                        undeclared.setdefault(top, set()).add(str(file.relative_to(ROOT)))
    assert not undeclared


def test_build_backend_is_at_hand() -> None:
    """The wheel is built without a network, so the backend is one of the development packages."""
    backend = {Requirement(r).name for r in PROJECT["build-system"]["requires"]}
    assert backend <= {r.name for r in development()}
