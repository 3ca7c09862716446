"""Data sets of the Hugging Face hub, streamed. The only file that imports `datasets`, and only when it reads."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    from .source import Source

_NAME = re.compile(r"hub:([\w.-]+/)?[\w.-]+(:[^:]+){0,2}")
_SPLIT = re.compile(r"(train|validation|valid|dev|test|all)(\[.*\])?")
_LOCAL = (
    "A copy on disk works without a network: save it as Parquet or JSON lines elsewhere and name the file in `sources`."
)


def parse_hub(name: str) -> tuple[str, str | None, str]:
    """Data set, configuration and split of `hub:OWNER/NAME[:CONFIG][:SPLIT]`.

    One part after the name is the split if it is called like one (`train`, `validation`, `test`), else the
    configuration; the split is `train` unless named.
    """
    if not _NAME.fullmatch(name):
        raise DataError(f'source "{name}" is not understood: write hub:OWNER/NAME[:CONFIG][:SPLIT]')
    data_set, *rest = name.removeprefix("hub:").split(":")
    if len(rest) == 2:
        return data_set, rest[0], rest[1]
    if rest and _SPLIT.fullmatch(rest[0]):
        return data_set, None, rest[0]
    return data_set, rest[0] if rest else None, "train"


def hub_revision(data_set: str) -> str:
    """The commit of a data set now, or "" if the hub cannot be asked."""
    if unreachable():
        return ""
    try:
        from huggingface_hub import HfApi

        return HfApi().dataset_info(data_set, timeout=10).sha or ""
    except Exception:  # noqa: BLE001 - whatever the reason: without a revision the name stands for the data
        return ""


def unreachable() -> str:
    """Why the hub cannot be reached, found out in a few seconds at most; "" if it may be."""
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(variable, "").upper() in ("1", "TRUE", "YES", "ON"):
            return f"{variable} is set"
    if any(os.environ.get(v) for v in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")):
        return ""  # a proxy or mirror has its own way there
    try:
        socket.create_connection(("huggingface.co", 443), timeout=3).close()
    except OSError as problem:
        return f"huggingface.co does not answer ({problem})"
    return ""


def read_hub(source: Source, instead: str = _LOCAL) -> Iterator[dict[str, Any]]:
    """The rows of a data set, streamed. Without a network: DataError at once, not after the library's retries, with what
    to do `instead`.
    """
    data_set, config, split = parse_hub(source.name)
    problem = unreachable()
    if problem:
        raise DataError(f"{source.name}: {problem}. {instead}")
    try:
        from datasets import load_dataset

        yield from load_dataset(data_set, config, split=split, streaming=True, revision=source.revision or None)
    except DataError:
        raise
    except Exception as failure:
        raise DataError(f"{source.name}: {failure} {instead}") from failure
