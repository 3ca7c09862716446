"""Loops that are compiled at their first use: kept where they can be, made in memory where they cannot."""

import subprocess
import sys

import pytest
from numba import njit, types
from shrunk_core.language import compiled

ONE_MORE = "from numba import types; from shrunk_core.language.compiled import compiled\n\n\n" + (
    "@compiled(types.int64)\ndef one_more(n):\n    return n + 1\n\n\nprint(one_more(1), *one_more.stats.cache_hits)\n"
)


@pytest.mark.parametrize("problem", [RuntimeError("no locator available"), OSError(28, "No space left on device")])
def test_a_loop_is_compiled_in_memory_where_nothing_can_be_kept(monkeypatch, problem):
    def without_cache(cache=False, **options):
        if cache:
            raise problem
        return njit(**options)

    monkeypatch.setattr(compiled, "njit", without_cache)
    double = compiled.compiled(types.int64)(lambda n: 2 * n)
    assert double(21) == 42


def test_another_process_finds_the_loop_made_and_a_changed_file_makes_it_anew(tmp_path):
    """The cache is beside the file; `cache_hits` names the signatures that were not compiled."""

    def run(text):
        (tmp_path / "loop_kernel.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", "import loop_kernel"], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split(maxsplit=1)

    assert run(ONE_MORE) == ["2"]
    assert run(ONE_MORE)[1:]
    assert run(ONE_MORE.replace("n + 1", "n + 101")) == ["102"]
