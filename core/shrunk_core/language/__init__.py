"""Shrinking a language: sources -> vocabulary -> filter -> split -> tokenizer -> token streams -> rows."""
