"""Reading every form of source, what a document is, and a clear refusal for everything that cannot be read."""

import gzip
import json
import lzma
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from shrunk_core.config.language_spec import CorpusSpec
from shrunk_core.errors import DataError
from shrunk_core.language import hub, sources
from shrunk_core.language.sources import Reading, resolve, sources_digest

ROWS = [{"text": "One dog.\n\nTwo dogs.", "n": 1}, {"text": "Three dogs.", "n": 2}]
LINES = "".join(json.dumps(r) + "\n" for r in ROWS)


def read(*names, **options):
    spec = CorpusSpec(sources=tuple(map(str, names)), **options)
    reading = Reading(spec, resolve(spec))
    return [d.data.decode() for d in reading], reading


def texts(*names, **options):
    return read(*names, **options)[0]


def refusal(*names, **options):
    with pytest.raises(DataError) as problem:
        texts(*names, **options)
    return str(problem.value)


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_rows_of_a_table_are_documents(tmp_path, kind):
    path = tmp_path / f"data.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind == "csv":
        path.write_text('n,text\n1,"One dog.\n\nTwo dogs."\n2,Three dogs.\n')
    else:
        path.write_text(LINES)
    assert texts(path) == ["One dog.\n\nTwo dogs.", "Three dogs."]
    assert texts(path, document="file") == ["One dog.\n\nTwo dogs.\n\nThree dogs."]
    assert [t.strip() for t in texts(path, document="paragraph")] == ["One dog.", "Two dogs.", "Three dogs."]


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_compressed_files_are_unpacked(tmp_path, suffix):
    path = tmp_path / f"data.jsonl.{suffix}"
    half = LINES.index("\n") + 1
    first, second = LINES[:half].encode(), LINES[half:].encode()  # two members in one file, as `cat a.gz b.gz` makes
    pack = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor().compress}[suffix]
    path.write_bytes(pack(first) + pack(second))
    found, reading = read(path)
    assert found == [r["text"] for r in ROWS]
    assert reading.tallies[0].position == reading.total_bytes == path.stat().st_size


def test_paragraphs_of_one_text_file_files_of_several(tmp_path):
    one, two = tmp_path / "a.txt", tmp_path / "b.txt"
    one.write_bytes(b"\xef\xbb\xbfOne\ndog.\n \n\nTwo dogs.\n")
    two.write_text("Three dogs.")
    assert texts(one) == ["One\ndog.\n", "Two dogs.\n"]
    assert texts(two, one) == ["Three dogs.", "One\ndog.\n \n\nTwo dogs.\n"]
    assert texts(tmp_path) == texts(tmp_path / "*.txt") == texts(one, two)
    assert 'choose document = "paragraph"' in refusal(one, document="row")


def test_a_folder_is_read_in_order_of_paths_without_what_is_no_text(tmp_path):
    for name in ("b/2.txt", "a/1.txt", ".hidden/3.txt", "picture.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert texts(tmp_path) == ["a/1.txt", "b/2.txt"]


def test_blank_documents_are_counted_and_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": " "}\n\n{"text": null}\n{"text": "dog"}\n')
    found, reading = read(path)
    assert found == ["dog"] and (reading.tallies[0].documents, reading.tallies[0].empty) == (1, 2)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_what_is_not_utf8_is_replaced_and_counted(tmp_path, name):
    line = b"caf\xe9 and \xef\xbf\xbd and na\xefve"
    data = {"a.txt": line, "a.jsonl": b'{"text": "' + line + b'"}\n', "a.csv": b"text\n" + line + b"\n"}[name]
    (tmp_path / name).write_bytes(data)
    found, reading = read(tmp_path / name)
    assert found == ["caf\ufffd and \ufffd and na\ufffdve"] and reading.tallies[0].replaced_characters == 2


def test_half_a_character_in_json_is_replaced_and_counted(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "\\ud83d dog \\ud83d\\ude00 caf\\u00e9"}\n')
    found, reading = read(path)
    assert found == ["\ufffd dog \U0001f600 caf\u00e9"] and reading.tallies[0].replaced_characters == 1


def test_parquet_that_is_not_utf8_is_replaced_and_counted(tmp_path):
    column = pa.array([b"caf\xe9", b"dog"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    found, reading = read(tmp_path / "a.parquet")
    assert found == ["caf\ufffd", "dog"] and reading.tallies[0].replaced_characters == 1


def test_the_embedded_corpus_has_chapters_of_verses():
    spec = CorpusSpec(sources=("embedded:kjv",))
    documents = list(Reading(spec, resolve(spec)))
    assert len(documents) == 1189 and all(d.ready for d in documents)
    assert sum(d.data.decode().count("\n\n") + 1 for d in documents) == 31_103
    assert "chapters" in refusal("embedded:kjv", document="paragraph")


# ---------------------------------------------------------------- what is refused


def test_missing_files_name_their_neighbours(tmp_path):
    (tmp_path / "stories.jsonl").write_text(LINES)
    assert "no such file or folder; nearest: stories.jsonl" in refusal(tmp_path / "storys.jsonl")
    assert "no file matches" in refusal(tmp_path / "story*.jsonl") and "stories.jsonl" in refusal(
        tmp_path / "story*.jsonl"
    )
    assert "does not exist" in refusal(tmp_path / "nowhere" / "a.txt")
    assert "does not say what it is" in refusal(_touch(tmp_path / "text.doc"))
    assert "holds no text" in refusal(_touch(tmp_path / "empty" / "x.png").parent)
    assert "the embedded corpus is" in refusal("embedded:bible")
    assert "is empty" in refusal()


def _touch(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_missing_column_names_those_there_are(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"body": ["x"], "title": ["y"]}), path)
    else:
        path.write_text('{"body": "x", "title": "y"}\n' if kind == "jsonl" else "body,title\nx,y\n")
    message = refusal(path)
    assert str(path) in message and "`text`; it has `body`, `title`" in message and "text_column" in message
    assert texts(path, text_column="body") == ["x"]


def test_broken_json_names_file_and_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n')
    assert f"{path}, line 2: broken JSON" in refusal(path)
    path.write_text('{"text": "a"}\n["b"]\n')
    assert "line 2: expected an object" in refusal(path)
    path.write_text('[\n{"text": "a"}]')
    assert "one JSON array" in refusal(path)
    path.write_text('{"text": 3}\n')
    assert "`text` holds int, not text" in refusal(path)


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_a_truncated_file_is_named(tmp_path, suffix):
    path = tmp_path / f"a.txt.{suffix}"
    data = "".join(f"line {i} {i * i}\n\n" for i in range(20_000)).encode()
    pack = {"gz": gzip.compress, "xz": lzma.compress, "zst": zstandard.ZstdCompressor().compress}[suffix]
    path.write_bytes(pack(data)[:-2000])
    assert f"{path} is truncated or damaged" in refusal(path)
    path.write_bytes(b"this is not compressed at all")
    assert f"{path} is truncated or damaged" in refusal(path)


def test_other_damage_is_named(tmp_path):
    parquet = tmp_path / "a.parquet"
    parquet.write_bytes(b"PAR1 no")
    assert "no readable Parquet" in refusal(parquet)
    pq.write_table(pa.table({"text": [1, 2]}), parquet)
    assert "holds int64, not text" in refusal(parquet)
    short = tmp_path / "a.csv"
    short.write_text("n,text\n1\n")
    assert "line 2: 1 cells, the header has 2" in refusal(short)
    wide = tmp_path / "a.txt"
    wide.write_bytes("dog".encode("utf-16"))
    assert "UTF-16" in refusal(wide)


def test_a_file_that_vanishes_between_planning_and_reading(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("dog")
    spec = CorpusSpec(sources=(str(path),))
    reading = Reading(spec, resolve(spec))
    path.unlink()
    with pytest.raises(DataError, match="has vanished"):
        list(reading)


# ---------------------------------------------------------------- the hub


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("hub:allenai/c4:en:train", ("allenai/c4", "en", "train")),
        ("hub:allenai/c4:en", ("allenai/c4", "en", "train")),
        ("hub:roneneldan/TinyStories", ("roneneldan/TinyStories", None, "train")),
        ("hub:roneneldan/TinyStories:validation", ("roneneldan/TinyStories", None, "validation")),
        ("hub:glue:cola:train[:10%]", ("glue", "cola", "train[:10%]")),
    ],
)
def test_hub_names(name, parsed):
    if "[:" in name:
        with pytest.raises(DataError, match="hub:OWNER/NAME"):
            hub.parse_hub(name)
    else:
        assert hub.parse_hub(name) == parsed


def test_the_hub_without_a_network_says_so_at_once(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refusal("hub:roneneldan/TinyStories")
    assert "HF_HUB_OFFLINE is set" in message and "copy on disk" in message
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for variable in ("HF_DATASETS_OFFLINE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)

    def no_network(*args, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", no_network)
    assert "does not answer (Network is unreachable)" in refusal("hub:roneneldan/TinyStories")


def test_the_hub_is_streamed_at_its_revision(monkeypatch, tmp_path):
    import datasets

    asked = []

    def load_dataset(*args, **options):
        asked.append((args, options))
        return iter(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "unreachable", lambda: "")
    monkeypatch.setattr(sources, "hub_revision", lambda data_set: "abc")
    spec = CorpusSpec(sources=("hub:a/b:en:test",))
    cache = tmp_path / "sources.json"
    assert [d.data.decode() for d in Reading(spec, resolve(spec, cache))] == [r["text"] for r in ROWS]
    assert asked == [(("a/b", "en"), {"split": "test", "streaming": True, "revision": "abc"})]
    monkeypatch.setattr(sources, "hub_revision", lambda data_set: "def")
    assert resolve(spec, cache)[0].revision == "abc", "a lab stays with the revision that it first met"
    assert resolve(spec)[0].revision == "def"


def test_what_the_hub_library_says_is_passed_on(monkeypatch):
    import datasets

    def load_dataset(*args, **options):
        raise ValueError("Config name is missing.")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(hub, "unreachable", lambda: "")
    monkeypatch.setattr(sources, "hub_revision", lambda data_set: "")
    assert "hub:a/b: Config name is missing." in refusal("hub:a/b")


# ---------------------------------------------------------------- digests


def test_digests_follow_content_not_paths_and_are_remembered(tmp_path, monkeypatch):
    one, two, cache = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "lab" / "sources.json"
    one.write_text("dog")
    two.write_text("dog")
    first = sources_digest(CorpusSpec(sources=(str(one),)), cache)
    assert first == sources_digest(CorpusSpec(sources=(str(two),))) and len(first) == 64
    read_again = []
    monkeypatch.setattr(sources.hashlib, "file_digest", lambda *a: read_again.append(a))
    assert sources_digest(CorpusSpec(sources=(str(one),)), cache) == first and not read_again
    monkeypatch.undo()
    one.write_text("cat!")
    assert sources_digest(CorpusSpec(sources=(str(one),)), cache) != first
    cache.write_text("{broken")
    assert sources_digest(CorpusSpec(sources=(str(two),)), cache) == first
    table = tmp_path / "c.csv"
    table.write_text("dog")
    assert sources_digest(CorpusSpec(sources=(str(table),))) != first, "the same bytes as a table are another text"
