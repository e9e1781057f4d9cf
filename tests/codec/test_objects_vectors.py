"""The test vectors of the codec objects hold both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anyplug.codec import make_codec
from anyplug.codec.objects_tags import Tag
from anyplug.errors import DecodeError
from tests.codec.exact import exactly
from tests.codec.notation import value_of

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "docs" / "vectors" / "objects.json").read_text(encoding="utf-8")
)
CODEC = make_codec("objects")


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["name"])
def test_values_are_these_bytes_and_these_bytes_are_the_values(vector: dict[str, Any]) -> None:
    value, body = value_of(vector["value"]), bytes.fromhex(vector["body"])
    assert CODEC.encode(value) == body
    assert exactly(CODEC.decode(body), value)
    for end in range(len(body)):
        with pytest.raises(DecodeError):
            CODEC.decode(body[:end])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_these_bytes_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        CODEC.decode(bytes.fromhex(vector["body"]))


def test_every_mark_has_a_vector_but_those_of_numpy() -> None:
    bodies = [vector["body"] for vector in VECTORS["values"]]
    missing = {tag for tag in Tag if not any(f"d4{tag:02x}c1" in body for body in bodies)}
    assert missing == {Tag.ARRAY, Tag.NUMBER}
