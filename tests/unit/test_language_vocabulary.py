"""Every form of a vocabulary, and what is refused."""

from collections import Counter

import pytest
from shrunk_core.errors import DataError
from shrunk_core.language.vocabulary import load_vocabulary, needs_sources, top_words, vocabulary_digest
from shrunk_core.language.words import NUMBER


def test_a_word_list_with_blank_lines_and_duplicates(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffDog\n\ncat\r\ndon't\nDONT\nice-cream\n".encode())
    vocabulary = load_vocabulary(str(path))
    assert vocabulary.words == {"dog", "cat", "dont", "ice", "cream"}
    assert any("1 entries without" in n for n in vocabulary.notes) and any(
        "1 entries repeat" in n for n in vocabulary.notes
    )


def test_a_csv_with_its_traps(tmp_path):
    path = tmp_path / "words.csv"
    path.write_bytes(b",word,frequency\r\n0,whats,3\r\n1,TRUE,2\r\n2,FALSE,2\r\n3,t\xffged,1\r\n4,\xffs,1\r\n")
    vocabulary = load_vocabulary(str(path))
    assert vocabulary.words == {"whats", "true", "false", "t\ufffdged", "\ufffds"}
    assert any("2 entries hold characters that are not UTF-8" in n for n in vocabulary.notes)


def test_a_csv_without_the_column_names_what_it_has(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("token,n\na,1\n")
    with pytest.raises(DataError, match="no column `word`; it has 'token', 'n'"):
        load_vocabulary(str(path))


def test_top_words_break_ties_by_spelling_and_leave_numbers_out():
    counts = Counter({"b": 2, "a": 2, "c": 5, NUMBER: 9, "d": 1})
    assert top_words(counts, 3).words == {"a", "b", "c"}
    assert "only 4 distinct" in top_words(counts, 9).notes[0]


def test_wordfreq():
    vocabulary = load_vocabulary("wordfreq:en:500")
    assert {"the", "its", "dont"} <= vocabulary.words and 480 < len(vocabulary) <= 500
    with pytest.raises(DataError, match="wordfreq knows"):
        load_vocabulary("wordfreq:xx:10")


def test_top_n_is_counted_in_the_sources():
    assert needs_sources("top:3000") == 3000 and needs_sources("words.txt") == 0
    with pytest.raises(DataError, match="at least 1"):
        needs_sources("top:0")


def test_what_is_no_vocabulary_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no words"):
        load_vocabulary(str(tmp_path / "words.txt"))
    with pytest.raises(DataError, match=r"no such file; nearest: words\.txt"):
        load_vocabulary(str(tmp_path / "word.txt"))
    with pytest.raises(DataError, match="is not understood"):
        load_vocabulary("top:many")


def test_the_digest_is_of_the_content_not_the_path(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("dog\n")
    assert vocabulary_digest(str(tmp_path / "a.txt")) == vocabulary_digest(str(tmp_path / "b.txt"))
    (tmp_path / "b.txt").write_text("cat\n")
    assert vocabulary_digest(str(tmp_path / "a.txt")) != vocabulary_digest(str(tmp_path / "b.txt"))
    assert vocabulary_digest("top:30") == "top:30" and vocabulary_digest("wordfreq:en:9").startswith("wordfreq:en:9@")
