"""Names of real architectures, and the forms a merge file may give a parameter in."""

from __future__ import annotations

from typing import Any

import pytest

from speech_analogy.errors import ConfigError
from speech_analogy.merging.scope import Depth, Scope, ScopedScale, Setting, place_of

PLACES = [
    ("model.encoder.layers.3.self_attn.q_proj.weight", "encoder", 3, "q"),
    ("model.decoder.layers.0.encoder_attn.out_proj.bias", "decoder", 0, "attention-out"),
    ("model.decoder.layers.11.encoder_attn_layer_norm.weight", "decoder", 11, "norm"),
    ("model.decoder.layers.1.fc2.weight", "decoder", 1, "mlp"),
    ("model.encoder.conv1.weight", "encoder", None, "conv"),
    ("model.encoder.embed_positions.weight", "encoder", None, "embedding"),
    ("model.decoder.layer_norm.bias", "decoder", None, "norm"),
    ("encoder.blocks.2.attn.query.weight", "encoder", 2, "q"),
    ("encoder.blocks.2.attn_ln.weight", "encoder", 2, "norm"),
    ("encoder.blocks.2.mlp.0.weight", "encoder", 2, "mlp"),
    ("decoder.token_embedding.weight", "decoder", None, "embedding"),
    ("wav2vec2_conformer.encoder.layers.7.self_attn.linear_k.weight", "encoder", 7, "k"),
    ("wav2vec2_conformer.encoder.layers.7.conv_module.batch_norm.weight", "encoder", 7, "norm"),
    ("wav2vec2_conformer.encoder.layers.7.ffn1.intermediate_dense.weight", "encoder", 7, "mlp"),
    ("lm_head.weight", None, None, "other"),
    ("model.layers.5.self_attn.v_proj.weight", None, 5, "v"),
]


@pytest.mark.parametrize(("name", "part", "layer", "kind"), PLACES)
def test_places(name: str, part: str | None, layer: int | None, kind: str) -> None:
    place = place_of(name)
    assert (place.part, place.layer, place.kind) == (part, layer, kind)


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("encoder", "model.encoder.conv1.bias", "model.decoder.layers.0.encoder_attn.q_proj.weight"),
        ("layers.2-4", "model.encoder.layers.4.fc1.weight", "model.encoder.layers.5.fc1.weight"),
        ("decoder.layers.0", "model.decoder.layers.0.fc1.weight", "model.encoder.layers.0.fc1.weight"),
        ("qkv", "model.encoder.layers.0.self_attn.v_proj.weight", "model.encoder.layers.0.self_attn.out_proj.weight"),
        (
            "cross-attention",
            "model.decoder.layers.0.encoder_attn.q_proj.bias",
            "model.decoder.layers.0.self_attn.q_proj.bias",
        ),
        (
            "decoder qkv !bias",
            "model.decoder.layers.0.self_attn.q_proj.weight",
            "model.decoder.layers.0.self_attn.q_proj.bias",
        ),
        ("*.fc?.*", "model.decoder.layers.0.fc1.weight", "model.decoder.layers.0.self_attn.q_proj.bias"),
        ("all", "anything", ""),
    ],
)
def test_scopes(scope: str, inside: str, outside: str) -> None:
    assert inside in Scope.parse(scope)
    if outside:
        assert outside not in Scope.parse(scope)


def test_wrong_scopes_are_refused_with_the_nearest_word() -> None:
    with pytest.raises(ConfigError, match="did you mean 'encoder'"):
        Scope.parse("encodr")
    with pytest.raises(ConfigError, match="at least one word"):
        Scope.parse("  ")
    with pytest.raises(ConfigError, match="SCOPE=NUMBER"):
        ScopedScale.parse(["encoder"])


def test_the_first_rule_that_fits_holds() -> None:
    scale = ScopedScale.parse(["encoder norm=0", "encoder=0.5"], default=2.0)
    assert scale("model.encoder.layer_norm.weight") == 0.0
    assert scale("model.encoder.conv1.weight") == 0.5
    assert scale("model.decoder.layer_norm.weight") == 2.0


@pytest.mark.parametrize(
    ("raw", "name", "t", "expected"),
    [
        (0.5, "x", 0.3, 0.5),
        ([0, 1], "x", 0.25, 0.25),
        ([0, 10, 0], "x", 0.75, 5.0),
        ([1, 2, 3], "x", 1.0, 3.0),
        (["a", "b"], "x", 0.6, "a"),
        ([True, False], "x", 1.0, False),
        ({"filter": "attn", "value": 0.1}, "self_attn.q", 0.0, 0.1),
        ({"filter": "attn", "value": 0.1}, "fc1", 0.0, None),
        ([{"filter": "attn", "value": [0, 1]}, {"value": 9}], "self_attn.q", 0.5, 0.5),
        ([{"filter": "attn", "value": [0, 1]}, {"value": 9}], "fc1", 0.5, 9),
        ([{"filter": "*", "value": 3}], "fc1", 0.5, 3),
        ("1e-3", "x", 0.0, 1e-3),
        (["1e-3", "3e-3"], "x", 0.5, 2e-3),
    ],
)
def test_settings_as_mergekit_reads_them(raw: Any, name: str, t: float, expected: Any) -> None:
    found = Setting.parse(raw, "weight").at(name, t)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("raw", [[], None, {"filter": "x"}, {"value": 1, "filters": "x"}, {"value": None}, [[1]]])
def test_settings_without_meaning_are_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match="weight"):
        Setting.parse(raw, "weight")


def test_depth_within_a_part() -> None:
    names = [
        f"model.{part}.layers.{layer}.fc1.weight" for part, n in (("encoder", 3), ("decoder", 1)) for layer in range(n)
    ]
    depth = Depth([*names, "model.encoder.conv1.weight"])
    assert [depth.in_part(name) for name in names] == [0.0, 0.5, 1.0, 1.0]
    assert depth.in_part("model.encoder.conv1.weight") == 0.0
    assert [round(depth.in_model(name), 3) for name in names] == [0.0, 0.333, 0.667, 1.0]
