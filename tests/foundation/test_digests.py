"""Seeds and keys depend on content alone."""

from __future__ import annotations

from speech_analogy.foundation import digests


def test_seeds_and_keys_depend_on_content_alone() -> None:
    assert digests.digest({"b": 1, "a": "λ"}) == digests.digest({"a": "λ", "b": 1})
    assert digests.canonical_json({"b": 1, "a": "λ"}) == '{"a":"λ","b":1}'
    assert digests.derive("a", 1) == digests.derive("a", 1) < 2**32
    assert digests.derive("a", 1) != digests.derive("a", "1")
    assert digests.sha256(b"abc").startswith("ba7816bf")  # FIPS 180-2, appendix B.1
