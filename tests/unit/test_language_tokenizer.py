"""The tokenizer's files, ids and refusals; and that remembering surfaces changes no id."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shrunk_core.config.language_spec import TokenizerSpec
from shrunk_core.errors import DataError
from shrunk_core.language.packing import BOS, EOS, MASK, PAD, UNK
from shrunk_core.language.tokenizer import (
    SPECIAL_TOKENS,
    Encoder,
    load_tokenizer,
    tokenizer_fingerprint,
    tokenizer_folder,
    train_tokenizer,
    write_tokenizer,
)

UNITS = [
    "the dog ran to the old house.",
    "the old dog's houses, and the man's dog",
    "running and ran \u2014 na\u00efve 12!",
] * 20
SPEC = TokenizerSpec(vocab_size=290)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, train_tokenizer(UNITS, SPEC), SPEC, corpus="abc", seconds=1.0)
    return folder


def test_special_tokens_have_their_ids(folder):
    tokenizer = load_tokenizer(folder)
    assert [tokenizer.token_to_id(t) for t in SPECIAL_TOKENS] == [BOS, PAD, EOS, UNK, MASK] == [0, 1, 2, 3, 4]
    assert tokenizer.get_vocab_size() == 290
    assert tokenizer.decode(tokenizer.encode("the dog\u2019s").ids).strip() == "the dog\u2019s"


def test_transformers_gives_the_same_ids_offline(folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(folder), load_tokenizer(folder)
    for text in (*UNITS[:3], "the <mask> ran", "<mask>", "zyx"):
        assert theirs(text)["input_ids"] == ours.encode(text).ids
    assert theirs("of <mask>")["input_ids"][-2:] == [MASK, EOS]
    assert (theirs.mask_token_id, theirs.pad_token_id, theirs.unk_token_id) == (MASK, PAD, UNK)
    assert (theirs.cls_token_id, theirs.sep_token_id, theirs.bos_token_id, theirs.eos_token_id) == (BOS, EOS, BOS, EOS)


def test_a_text_too_small_for_the_size_is_refused_with_the_size_it_supports():
    with pytest.raises(DataError, match=r"vocab_size = 5000: .* supports at most (\d+)") as refusal:
        train_tokenizer(UNITS, TokenizerSpec(vocab_size=5000))
    size = int(str(refusal.value).split("at most ")[1].split()[0])
    assert train_tokenizer(UNITS, TokenizerSpec(vocab_size=size)).get_vocab_size() == size


def test_training_is_deterministic():
    assert train_tokenizer(UNITS, SPEC).to_str() == train_tokenizer(iter(UNITS), SPEC).to_str()


def test_no_tokenizer_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="build the corpus"):
        load_tokenizer(tokenizer_folder(tmp_path, "abc"))


def test_fingerprints_are_of_corpus_and_recipe():
    base = tokenizer_fingerprint("abc", SPEC)
    assert base == tokenizer_fingerprint("abc", TokenizerSpec(vocab_size=290)) and len(base) == 12
    assert (
        len({base, tokenizer_fingerprint("abd", SPEC), tokenizer_fingerprint("abc", TokenizerSpec(vocab_size=300))})
        == 3
    )


def ids_of(tokenizer, unit):
    tokenizer.encode_special_tokens = True
    return [*tokenizer.encode(unit, add_special_tokens=False).ids, EOS]


def test_special_tokens_written_in_a_text_are_text(folder):
    ids, lengths = Encoder(load_tokenizer(folder)).encode(["<s> the <mask> </s>", "dog"])
    assert sorted(i for i in ids if i < 5) == [EOS, EOS] and lengths.sum() == len(ids)


UNIT = st.lists(
    st.sampled_from(["the", "dog's", "'s", "12!", "na\u00efve", "<mask>", "</s>", "\u2014"])
    | st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=6).filter(
        lambda s: s.split() == [s]
    ),
    min_size=1,
    max_size=8,
).map(" ".join)


@settings(deadline=None)
@given(st.lists(UNIT, max_size=5))
def test_encoding_by_surface_is_the_tokenizers_own_encoding(folder, units):
    ids, lengths = Encoder(load_tokenizer(folder)).encode(units)
    expected = [ids_of(load_tokenizer(folder), unit) for unit in units]
    assert ids.tolist() == [i for e in expected for i in e]
    assert lengths.tolist() == [len(e) for e in expected]


def test_forgetting_surfaces_changes_no_id(folder, monkeypatch):
    monkeypatch.setattr(Encoder, "_LIMIT", 3)
    encoder = Encoder(load_tokenizer(folder))
    for unit in UNITS[:3] * 2:
        assert encoder.encode([unit])[0].tolist() == ids_of(load_tokenizer(folder), unit)
