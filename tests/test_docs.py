"""What people read is true: sample grids, commands and tables of the README, settings with their sentences, the changelog."""

from __future__ import annotations

import dataclasses
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shrunk_core import __version__
from shrunk_core.config.grid import SECTIONS, GridSettings, GridSpec, load_grid, read_grid
from shrunk_core.config.lab import TEMPLATE, LabSettings, init_lab, read_settings
from shrunk_core.cost import costs, flops_per_sequence, num_params
from shrunk_core.engine import plan as planning
from shrunk_core.engine.plan import make_plan
from shrunk_core.record.rundir import write_spec
from shrunk_core.store.store import open_store
from typer.testing import CliRunner

from shrunk_tui.cli.app import COMMANDS, app, load
from tests.unit.store_lab import evaluated, finished, spec, started, step, write

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGS = sorted((ROOT / "sample_configs").glob("*.toml"))


def fenced(text: str) -> list[tuple[str, str]]:
    """Language and content of the fenced blocks of a Markdown text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands_in(text: str) -> list[list[str]]:
    """The words of every `shrunk ...` in shell lines: continued lines joined, prompts, comments and pipes cut away."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if re.fullmatch(r"[&|;<>]+", token):
                if words[:1] == ["shrunk"]:
                    found.append(words[1:])
                words = []
            else:
                words.append(token)
    return found


def readme_commands() -> list[list[str]]:
    """Those of the README's shell blocks, and of its `code in a line` where it has arguments and is not a bare name."""
    blocks = [body for language, body in fenced(README) if language in ("sh", "bash", "console", "shell")]
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    inline = [code for code in re.findall(r"`(shrunk [^`]+)`", prose) if not re.search(r"\bCOMMAND\b|<", code)]
    named = [words for words in commands_in("\n".join(inline)) if len(words) > 1 or words[0] not in COMMANDS]
    return commands_in("\n".join(blocks)) + named


def parse(words: list[str]) -> None:
    """Fails unless `shrunk WORDS` is a command with options and arguments that exist."""
    if words and not words[0].startswith("-"):
        assert words[0] in COMMANDS, f"`shrunk {' '.join(words)}`: no such command"
        if "--help" not in words and len(words) > 1:
            load(words[0]).make_context(words[0], words[1:])
    else:
        assert set(words) <= {"--help", "--version", "--read-only", "--ascii"}, words


# ---------------------------------------------------------------- sample grids


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_sample_grid_is_planned_without_a_problem(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any machine: what a source holds is not asked, and neither the device nor the speed matters."""
    monkeypatch.setattr(planning, "corpus_fingerprint", lambda corpus, cache: f"{abs(hash(corpus)):012x}"[:12])
    grid = load_grid(path)
    own = path.stem == "children"  # stands for a corpus of the reader's
    named = ("embedded:", "hub:")
    assert own or all(s.startswith(named) for p in grid.points() for s in p.corpus.sources), "not in a clone"
    planned = make_plan(init_lab(tmp_path / "lab"), grid)
    planned.refuse_problems()
    assert planned.repeated == 0
    assert own or len(planned.runs) >= 6
    assert len({r.name for r in planned.runs}) == len(planned.runs), "two runs of one name"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_commands_in_a_sample_grid_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    comments = "\n".join(re.sub(r"\s{4,}\S.*", "", li[1:].strip()) for li in text.splitlines() if li.startswith("#"))
    for words in commands_in("\n".join(li for li in comments.splitlines() if li.startswith("shrunk "))):
        parse(words)
        for word in words:
            if word.startswith("sample_configs/"):
                assert ROOT / word == path


def points_of(name: str) -> dict[str, Any]:
    return {p.name: p for p in load_grid(ROOT / f"sample_configs/{name}.toml").points()}


def test_shape_ladders_change_one_dimension_a_rung() -> None:
    base, *rungs = points_of("shape_ladders").values()
    grown = []
    for rung in rungs:
        changed = {f.name for f in dataclasses.fields(base.model)
                   if getattr(base.model, f.name) != getattr(rung.model, f.name)}  # fmt: skip
        assert len(changed) == 1 and rung.train == base.train
        grown += changed
    assert set(grown) == {"hidden_size", "num_layers", "embedding_size", "intermediate_size", "num_heads"}


def test_iso_flops_meet_their_budgets() -> None:
    spent: dict[str, set[int]] = {}
    for name, point in points_of("iso_flops").items():
        total = flops_per_sequence(point.model, 16, "paper", 0.15) * point.train.batch_size * point.train.updates
        budget = float(name.split()[0].removeprefix("F"))
        assert total == pytest.approx(budget, rel=1e-3)
        assert point.train.updates > 1000, "a run this short has not left the unigram plateau"
        spent.setdefault(name.split()[0], set()).add(num_params(point.model))
    assert len(spent) >= 3 and min(map(len, spent.values())) >= 4


def test_paper_grid_has_the_papers_numbers() -> None:
    """The table in its comments: parameters and FLOPs of one sequence, rung by rung."""
    points = points_of("paper")
    text = (ROOT / "sample_configs/paper.toml").read_text(encoding="utf-8")
    rows = re.findall(r"^#   (\S[^\n]*?) {2,}([\d,]{9,}) +([\d,]{9,}) +[\d.]+$", text, flags=re.MULTILINE)
    names = {"base, untied": "E256 H256 I1024 A8 L8", "base, tied": "A8 tie=full"}
    assert len(rows) == 14
    for rung, parameters, flops in rows:
        point = points[names.get(rung, rung.replace(", tied", " tie=full").replace(" ", "", 1))]
        assert num_params(point.model) == int(parameters.replace(",", "")), rung
        assert flops_per_sequence(point.model, 128, "paper", 0.15) == int(flops.replace(",", "")), rung
        assert point.train.updates * point.train.batch_size * 128 == 1_162_444_800


# ---------------------------------------------------------------- the README


def readme_grids() -> list[GridSpec]:
    """The grid files that the README shows."""
    found = []
    for language, body in fenced(README):
        tables = tomllib.loads(body) if language == "toml" else {}
        if "corpus" in tables:
            found.append(read_grid(tables, body, ROOT / "grid.toml"))
    return found


def test_readme_shows_a_grid_that_can_be_planned() -> None:
    assert readme_grids()
    for grid in readme_grids():
        assert not [p.problem for p in grid.points() if p.problem]


def test_readme_commands_exist() -> None:
    found = readme_commands()
    assert len(found) > 8
    for words in found:
        parse(words)


def test_readme_names_make_targets_and_files_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", README, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets
    paths = re.findall(r"`((?:sample_configs|benchmarks|tests|core|shrunk_tui)/[\w./-]*|constraints\.txt)`", README)
    assert not [p for p in paths if not (ROOT / p).exists()]


def test_readme_names_every_exit_code() -> None:
    assert re.search(r"0 done; 1 .*2 usage.*3 busy.*130 interrupted", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def finished_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with the README's grid file and seven finished runs of it, written by hand; one is called RUN."""
    lab = init_lab(tmp_path_factory.mktemp("docs") / "lab")
    grid = readme_grids()[0]
    (lab / "grid.toml").write_text(grid.text, encoding="utf-8")
    for i, hidden in enumerate((16, 24, 32, 48, 64, 96, 128)):
        one = spec(hidden_size=hidden)
        name = "RUN" if i == 0 else f"H{hidden}"
        run = write_spec(lab, one, name=name, grid=grid.name, costs=costs(one.model, one.train))
        loss = 6.0 * hidden**-0.1
        write(
            run.events_file, started(), step(50), evaluated(50, loss + 0.5), step(100), evaluated(100, loss), finished()
        )
    return lab


CHEAP = {"plan", "status", "plot", "fit", "sql", "show", "logs", "frontier", "icer", "cost", "attach"}
"""Commands that neither train nor start another process; on a lab where nothing runs, `attach` and `logs -f` return."""


def test_readme_commands_work(finished_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished_lab)
    done = set()
    for words in readme_commands():
        if words and words[0] in CHEAP and not (words[0] == "fit" and "fit" in done):
            result = CliRunner().invoke(app, words, catch_exceptions=False)
            assert result.exit_code == 0, f"shrunk {shlex.join(words)}: {result.output}"
            assert result.output.strip()
            done.add(words[0])
    assert {"plan", "status", "sql", "show", "plot"} <= done


def table_of_views() -> Iterator[tuple[str, list[str]]]:
    """Each view of the README's table, with the columns that its last cell names."""
    section = re.search(r"^## Views$(.*?)(?=^## )", README, flags=re.MULTILINE | re.DOTALL)
    assert section, "the README has no section `## Views`"
    for line in section[1].splitlines():
        if line.startswith("| `"):
            cells = line.strip().strip("|").split("|")
            yield cells[0].strip(" `"), re.findall(r"`(\w+)`", cells[-1])


def test_readme_names_the_views_and_their_columns(tmp_path: Path) -> None:
    lab = init_lab(tmp_path / "lab")
    store = open_store(lab)
    store.refresh(force=True)
    result = store.query(
        "select table_name, column_name from duckdb_columns() join (select view_name from duckdb_views() "
        "where not internal and schema_name = 'main') on view_name = table_name where schema_name = 'main'"
    )
    there: dict[str, set[str]] = {}
    for view, column in result.rows:
        there.setdefault(str(view), set()).add(str(column))
    store.close()
    named = list(table_of_views())
    assert sorted(view for view, _ in named) == sorted(there)
    for view, columns in named:
        assert columns, f"the README names no column of {view}"
        assert not set(columns) - there[view], f"{view} has no such columns"


# ---------------------------------------------------------------- settings


def test_template_of_a_lab_is_its_defaults(tmp_path: Path) -> None:
    tables = tomllib.loads(TEMPLATE)
    defaults = {f.name: f.default for f in dataclasses.fields(LabSettings)}
    assert tables == defaults
    assert list(tables) == list(defaults), "in the order of the settings"
    assert {k: type(v) for k, v in tables.items()} == {k: type(v) for k, v in defaults.items()}
    for line in TEMPLATE.splitlines():
        assert "#" in line or not line, f"`{line}` has no comment"
    assert read_settings(init_lab(tmp_path)) == LabSettings()


SETTINGS = [*SECTIONS.values(), GridSettings, LabSettings]


@pytest.mark.parametrize("cls", SETTINGS, ids=lambda c: c.__name__)
def test_every_setting_has_a_sentence_and_a_valid_default(cls: type) -> None:
    for field in dataclasses.fields(cls):
        doc = field.metadata.get("doc", "")
        assert doc.endswith(".") and len(doc) > 10, f"{cls.__name__}.{field.name}: {doc!r}"
        choices, low, high = (field.metadata[k] for k in ("choices", "low", "high"))
        if field.default is not dataclasses.MISSING:
            assert not choices or field.default in choices, field.name
            assert low is None or field.default >= low, field.name
            assert high is None or field.default <= high, field.name


# ---------------------------------------------------------------- the rest


def test_changelog_has_this_version_first() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings and headings[0] == __version__
    assert len(headings) == len(set(headings))
    entry = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split(f"## {__version__}", 1)[1]
    assert re.search(r"^- \S", entry.split("\n## ")[0], flags=re.MULTILINE)


def test_changelog_names_commands_that_exist() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for line in re.findall(r"^- Commands: (.*)$", text, flags=re.MULTILINE):
        assert set(re.findall(r"`(\w[\w-]*)`", line)) <= set(COMMANDS)


def test_examples_in_help_parse() -> None:
    """Every `shrunk ...` after the word Example in a command's docstring is a line that works as typed."""
    for name in COMMANDS:
        text = load(name).callback.__doc__ or ""
        _, found, examples = text.partition("Example")
        assert found, name
        body = " ".join(examples.split())
        lines = re.findall(r"shrunk .*?(?=\s+shrunk |$)", body.replace(" && cd mylab", ""))
        for line in lines:
            for words in commands_in(line.rstrip(".")):
                parse(words)


def test_shipped_pages_have_no_placeholder() -> None:
    for name in ("README.md", "CHANGELOG.md"):
        assert not re.search(r"@@\w+@@|TODO|FIXME|XXX", (ROOT / name).read_text(encoding="utf-8")), name
