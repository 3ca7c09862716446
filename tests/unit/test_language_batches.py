"""Sources in pieces: what can be opened by itself is read where it is worked on, and nothing changes by that."""

import dataclasses
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shrunk_core.config.language_spec import CorpusSpec
from shrunk_core.errors import DataError
from shrunk_core.language import batches as batches_module
from shrunk_core.language import corpus as corpus_module
from shrunk_core.language import machine_code, reduce, row_groups
from shrunk_core.language.batches import batches
from shrunk_core.language.corpus import build_language, corpus_fingerprint, corpus_folder, read_manifest
from shrunk_core.language.source import Tally
from shrunk_core.language.sources import Reading, resolve

TEXTS = [f"The dog {'ran ' * (n % 7)}home. There it saw {n} old cats and a mouse, and they ran." for n in range(300)]


@pytest.fixture
def table(tmp_path):
    """A Parquet file of row groups of twenty, with blank rows, nulls, and a row that is not UTF-8."""
    raw = [text.encode() for text in TEXTS]
    raw[5], raw[25], raw[26], raw[285] = b"  \n", b"", None, b"A \xff dog saw the house and the cat there."
    path = tmp_path / "rows.parquet"
    column = pa.array(raw, type=pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": list(range(300)), "text": column}), path, row_group_size=20)
    return path


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(row_groups, "PART", 2_000)


def spec_of(*paths, **options):
    return CorpusSpec(
        sources=tuple(map(str, paths)), filter="none", min_words=2, validation_share=0.1, test_share=0.1, **options
    )


def every_part(spec):
    reading = Reading(spec, resolve(spec))
    return list(batches(reading)), reading


def read_all(found):
    documents, total = [], Tally()
    for batch in found:
        some, tally = batch.read()
        documents += some
        total += tally
    return documents, total


def test_row_groups_are_parts_and_hold_what_the_file_holds(table, small_parts, monkeypatch):
    spec = spec_of(table)
    parts, reading = every_part(spec)
    assert len(parts) > 3 and all(batch.part is not None and batch.documents == [] for batch in parts)
    assert [b.position for b in parts] == sorted({b.position for b in parts}) and parts[
        -1
    ].position == table.stat().st_size
    documents, tally = read_all(parts)
    monkeypatch.setattr(
        row_groups, "MOST", 10
    )  # now a group is too large to be held, and rows are read one after the other
    streamed, _ = every_part(spec)
    assert [batch.part for batch in streamed] == [None]
    assert read_all(streamed)[0] == documents == list(reading)
    assert (tally.documents, tally.empty, tally.replaced_characters) == (297, 3, 1)
    again = read_all(streamed)[1]
    assert dataclasses.replace(again, position=0) == dataclasses.replace(tally, position=0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 3_000))
def test_parts_are_all_row_groups_in_order_and_large_enough(tmp_path_factory, rows, least):
    path = tmp_path_factory.mktemp("groups") / "some.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for n in rows:
            writer.write_table(pa.table({"text": pa.array(TEXTS[:n], type=pa.string())}))
    groups = pq.read_metadata(path).num_row_groups
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_groups, "PART", least)
        parts = row_groups.row_groups(path, "text")
    sizes = [pq.read_metadata(path).row_group(i).column(0).total_uncompressed_size for i in range(groups)]
    assert [g for first, stop in parts for g in range(first, stop)] == list(range(groups))
    assert all(sum(sizes[first:stop]) >= least for first, stop in parts[:-1])
    assert all(sum(sizes[first : stop - 1]) < least for first, stop in parts)


def test_small_files_are_read_where_they_are_worked_on_and_large_ones_here(tmp_path, monkeypatch):
    lines = "\n".join(json.dumps({"text": text}) for text in TEXTS).encode()
    (tmp_path / "a.csv").write_text("\n".join(["text", *(f'"{text}"' for text in TEXTS)]))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    whole, _ = every_part(spec_of(tmp_path / "a.csv", tmp_path / "b.jsonl.gz"))
    assert [(b.source, b.part is not None) for b in whole] == [(0, True), (1, True)]
    monkeypatch.setattr(batches_module, "SMALL_FILE", 16 * (tmp_path / "b.jsonl.gz").stat().st_size)
    monkeypatch.setattr(batches_module, "READ_AT_ONCE", 2_000)
    mixed, reading = every_part(spec_of(tmp_path / "a.csv", tmp_path / "b.jsonl.gz"))
    assert {b.source for b in mixed if b.part is None} == {0} and [b.source for b in mixed if b.part] == [1]
    assert len(mixed) > 5 and mixed[-1].position == reading.total_bytes
    assert read_all(mixed) == read_all(whole)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.sampled_from(TEXTS), st.just(""), st.text(max_size=40)), min_size=1, max_size=40),
    st.integers(20, 400),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.booleans(),
)
def test_stretches_of_json_lines_hold_each_line_once(tmp_path_factory, texts, stretch, end, marked):
    path = tmp_path_factory.mktemp("lines") / "some.jsonl"
    lines = end.join(json.dumps({"text": text}, ensure_ascii=len(text) % 2 == 0) for text in texts)
    path.write_bytes(b"\xef\xbb\xbf" * marked + lines.encode("utf-8", "surrogatepass"))
    spec = spec_of(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches_module, "SMALL_FILE", 0)
        patch.setattr(batches_module, "STRETCH", stretch)
        parts, reading = every_part(spec)
    assert len(parts) == -(-path.stat().st_size // stretch) and all(b.part for b in parts)
    assert read_all(parts)[0] == list(reading)
    again = read_all(parts)[1]
    assert again == reading.tallies[0]


def test_an_error_in_a_stretch_names_the_line_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "some.jsonl"
    lines = [json.dumps({"text": text}) for text in TEXTS]
    path.write_text("\n".join([*lines[:200], "{broken", *lines[200:]]))
    monkeypatch.setattr(batches_module, "SMALL_FILE", 0)
    monkeypatch.setattr(batches_module, "STRETCH", 1_000)
    for processes in (1, 2):
        with pytest.raises(DataError, match=r"some\.jsonl, line 201: broken JSON"):
            list(build_language(tmp_path / "lab", spec_of(path), processes))
    path.write_text("\n".join(lines), encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16, not UTF-8"):
        list(build_language(tmp_path / "lab", spec_of(path), 1))
    path.write_text("[\n" + ",\n".join(lines) + "]")
    with pytest.raises(DataError, match="one JSON array"):
        list(build_language(tmp_path / "lab", spec_of(path), 1))
    path.write_text("\n".join([*lines[:200], '{"body": "The dog."}']))
    with pytest.raises(DataError, match=r"line 201: no field `text`; it has `body`"):
        list(build_language(tmp_path / "lab", spec_of(path), 1))


def built(lab, spec, processes):
    list(build_language(lab, spec, processes))
    manifest = read_manifest(lab, corpus_fingerprint(spec))
    folder = corpus_folder(lab, manifest["fingerprint"])
    for changing in ("created_at", "seconds", "resumed"):
        del manifest[changing]
    return manifest, {s: (folder / f"{s}.txt").read_bytes() for s in ("train", "validation", "test")}


def test_a_corpus_is_the_same_however_its_table_is_read(tmp_path, table, small_parts, monkeypatch):
    spec = spec_of(table)
    one, two = (built(tmp_path / str(n), spec, n) for n in (1, 2))
    assert one == two
    assert one[0]["sources"][0]["documents"] == 297 and one[0]["sources"][0]["bytes"] == table.stat().st_size
    assert one[0]["sources"][0]["replaced_characters"] == one[0]["replaced_characters"] == 1
    monkeypatch.setattr(row_groups, "MOST", 10)
    streamed = built(tmp_path / "streamed", spec, 2)
    del streamed[0]["examples"], one[0]["examples"]  # drawn from other batches
    assert streamed == one


@pytest.mark.parametrize("steps", [3, 8])
def test_an_interrupted_table_is_continued_with_nothing_lost_or_counted_twice(
    tmp_path, table, small_parts, monkeypatch, steps
):
    monkeypatch.setattr(reduce, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(corpus_module, "_EVENT_SECONDS", 0.0)
    second = tmp_path / "second.txt"
    second.write_text("\n\n".join(TEXTS[:40]))
    spec = spec_of(table, second)
    whole = built(tmp_path / "whole", spec, 1)
    building = build_language(tmp_path / "lab", spec, 1)
    for _ in range(steps):
        next(building)
    building.close()
    assert read_state(tmp_path / "lab", spec)["batches"] > 0
    assert built(tmp_path / "lab", spec, 2) == whole


def test_a_draft_of_an_older_version_is_begun_again(tmp_path, table, small_parts, monkeypatch):
    monkeypatch.setattr(reduce, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(corpus_module, "_EVENT_SECONDS", 0.0)
    spec = spec_of(table)
    building = build_language(tmp_path / "lab", spec, 1)
    for _ in range(4):
        next(building)
    building.close()
    state = read_state(tmp_path / "lab", spec)
    old = {name: state[name] for name in state if name not in ("format", "source")}
    path = tmp_path / "lab" / "corpora" / f".{corpus_fingerprint(spec)}.partial" / "state.json"
    path.write_text(json.dumps({**old, "read": [{**tally, "size": 1} for tally in state["read"]]}))
    assert built(tmp_path / "lab", spec, 1) == built(tmp_path / "other", spec, 1)
    assert not list((tmp_path / "lab" / "corpora").glob(".*.partial"))


def read_state(lab, spec):
    return json.loads((lab / "corpora" / f".{corpus_fingerprint(spec)}.partial" / "state.json").read_text())


def test_a_table_that_vanishes_on_the_way_is_named_and_the_rest_is_kept(tmp_path, table, small_parts, monkeypatch):
    monkeypatch.setattr(corpus_module, "_EVENT_SECONDS", 0.0)
    spec = spec_of(table)
    data, fingerprint = table.read_bytes(), corpus_fingerprint(spec)
    building = build_language(tmp_path / "lab", spec, 1)
    next(building)
    table.unlink()
    with pytest.raises(
        DataError, match="rows.parquet has vanished while it was to be read; bring it back and run again"
    ):
        list(building)
    assert (tmp_path / "lab" / "corpora" / f".{fingerprint}.partial").is_dir()
    table.write_bytes(data)
    assert built(tmp_path / "lab", spec, 1) == built(tmp_path / "other", spec, 1)


def test_the_first_use_on_a_machine_says_that_it_compiles(tmp_path, monkeypatch):
    list(build_language(tmp_path / "lab", spec_of(write_texts(tmp_path / "a.txt"))))
    assert machine_code.is_compiled()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "nothing"))
    assert not machine_code.is_compiled()
    events = build_language(tmp_path / "other", spec_of(write_texts(tmp_path / "b.txt", least=1)))
    assert "compiling the loops for this machine" in next(e.message for e in events if e.stage == "filter")


def write_texts(path, least=0):
    path.write_text("\n\n".join(TEXTS[least:]))
    return path
