"""Another voice, recorded noise and rooms, more codecs, ranges; and that older channels stay what they were."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from lhotse import CutSet, SupervisionSegment
from lhotse.supervision import AlignmentItem
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from data_synth.audio.recordings import file_digest, find_recordings, recordings_digest
from data_synth.channel.chain import ChannelOptions, apply_channel
from data_synth.channel.codecs import through_codec
from data_synth.channel.prosody import change_voice, move_formants
from data_synth.channel.room import reverberate_as
from data_synth.plan.options import SynthesisOptions
from data_synth.run.channel_cuts import channel_cuts
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.digests import digest
from tests.conftest import REPOSITORY
from tests.data_synth.cuts import labelled_cut

RATE = 16_000
PITCH_HZ = 125.0
FORMANTS_HZ = (600.0, 1500.0)
stretches = pytest.mark.skipif(
    find_spec("python_stretch") is None, reason="python-stretch is not installed (pip install python-stretch)"
)

# Digests of what existing recipes say, made before speed, files, ranges and more codecs came: they name stages and
# enter the keys of clips.
DIGESTS = {
    ("phone_line", "channel"): "834d39280d5595ccaf29c71db34633b5169773a44312ccdb807371c2514b461a",
    ("phone_line", "source"): "a2ca1748d7bfcaee9a29976dde2b80cd12d73a756d9249433747ed637ad98345",
    ("phone_line", "target"): "38ef7e1c6dd2314f40c16d4156abc8252d361c1652b9f8342875bbe3d49fd638",
    ("speechocean762", "source"): "4baa668656ae13949a9d35243656e060ff3a1a7cf9a699559f902ee0cd3655d0",
    ("speechocean762", "target"): "c7bec1b16966a6caf7e45a74a32bea079459f10b3e67c19df5653fd56c484501",
}


def vowel(seconds: float = 1.5) -> np.ndarray:
    """Pulses of 125 Hz through two resonances."""
    samples = np.zeros(round(seconds * RATE))
    samples[:: round(RATE / PITCH_HZ)] = 1.0
    for formant in FORMANTS_HZ:
        radius = np.exp(-np.pi * 80 / RATE)
        samples = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], samples)
    return np.asarray(0.3 * samples / np.abs(samples).max(), dtype=np.float32)


def pitch_of(samples: np.ndarray) -> float:
    """By the autocorrelation's peak between 60 and 400 Hz."""
    piece = samples[len(samples) // 4 : len(samples) // 4 + 8000].astype(np.float64)
    correlation = np.correlate(piece, piece, "full")[len(piece) - 1 :]
    lags = slice(RATE // 400, RATE // 60)
    return RATE / (lags.start + int(np.argmax(correlation[lags])))


def formants_of(samples: np.ndarray) -> list[float]:
    """The two resonances by linear prediction (autocorrelation method, order 6), Hz."""
    piece = samples[4000:16_000].astype(np.float64)
    correlation = np.correlate(piece, piece, "full")[len(piece) - 1 :]
    roots = np.roots(np.r_[1.0, -solve_toeplitz(correlation[:6], correlation[1:7])])
    resonances = roots[(roots.imag > 0) & (np.abs(roots) > 0.8)]
    return sorted(float(angle) * RATE / (2 * np.pi) for angle in np.angle(resonances))


@pytest.mark.parametrize(("name", "part"), sorted(DIGESTS))
def test_options_of_existing_recipes_keep_their_digests(name: str, part: str) -> None:
    recipe = yaml.safe_load((REPOSITORY / "recipes" / name / "recipe.yaml").read_text(encoding="utf-8"))
    if part == "channel":
        dumped = ChannelOptions.parse(recipe["channel"]["options"]).model_dump(mode="json")
    else:
        options = SynthesisOptions.parse(recipe["synthesis"][part])
        dumped = options.model_dump(mode="json", exclude={"workers", "isolated", "timeout_s"})
    assert digest(dumped) == DIGESTS[name, part]


def test_what_is_given_is_dumped_and_read_again() -> None:
    options = ChannelOptions.parse(
        {"speed": [0.9, 1.1], "noise": {"files": "noises", "snr_db": [5, 15]}, "codec": "mp3", "codec_kbps": 32}
    )
    dumped = options.model_dump(mode="json")
    assert (dumped["speed"], dumped["noise"]["files"], dumped["codec_kbps"]) == ([0.9, 1.1], ["noises"], 32.0)
    assert not {"tempo", "formants", "responses"} & dumped.keys()
    assert ChannelOptions.model_validate(dumped) == options


@pytest.mark.parametrize(("speed", "tempo"), [(1.1, 1.0), (0.9, 1.0), pytest.param(1.0, 1.25, marks=stretches),
                                              pytest.param(1.1, 0.8, marks=stretches)])  # fmt: skip
def test_speed_takes_the_pitch_along_and_tempo_does_not(speed: float, tempo: float) -> None:
    heard = change_voice(vowel(), RATE, speed=speed, tempo=tempo)
    assert len(heard) == round(len(vowel()) / speed / tempo)
    assert pitch_of(heard) == pytest.approx(PITCH_HZ * speed, rel=0.02)
    assert np.abs(heard[-800:]).max() > 0.05  # nothing is cut off the end


@stretches
@pytest.mark.parametrize("semitones", [-4.0, 3.0])
def test_pitch_moves_alone(semitones: float) -> None:
    heard = change_voice(vowel(), RATE, pitch_semitones=semitones)
    assert len(heard) == len(vowel())
    assert pitch_of(heard) == pytest.approx(PITCH_HZ * 2 ** (semitones / 12), rel=0.02)
    assert formants_of(heard) == pytest.approx(FORMANTS_HZ, rel=0.09)


@pytest.mark.parametrize("ratio", [0.85, 1.2])
def test_formants_move_alone(ratio: float) -> None:
    heard = move_formants(vowel(), RATE, ratio)
    assert len(heard) == len(vowel())
    assert pitch_of(heard) == pytest.approx(PITCH_HZ, rel=0.01)
    assert formants_of(heard) == pytest.approx([ratio * formant for formant in FORMANTS_HZ], rel=0.09)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(vowel() ** 2)), rel=1e-3)


def test_formants_at_their_place_change_nothing() -> None:
    np.testing.assert_allclose(move_formants(vowel(), RATE, 1.0), vowel(), atol=1e-5)


@stretches
@pytest.mark.parametrize("count", [1, 7, 200, 5000])
def test_short_clips_pass(count: int) -> None:
    options = ChannelOptions(speed=1.1, tempo=0.9, pitch_semitones=2.0, formants=0.9, codec="opus")
    heard = apply_channel(vowel()[:count], RATE, options, 0)
    assert len(heard) == max(1, round(count / 1.1 / 0.9))
    assert np.isfinite(heard).all()


@pytest.mark.parametrize(("codec", "least"), [("alaw", 0.99), ("opus", 0.9), ("mp3", 0.98)])
def test_more_codecs_keep_length_place_and_sound(codec: str, least: float) -> None:
    clean = vowel()
    coded = through_codec(clean, RATE, codec)  # type: ignore[arg-type]
    assert coded.shape == clean.shape
    assert not np.allclose(coded, clean, atol=1e-4)
    assert np.corrcoef(coded, clean)[0, 1] > least


@pytest.mark.parametrize(("codec", "rates"), [("opus", (6.0, 24.0, 128.0)), ("mp3", (16.0, 32.0, 40.0, 160.0))])
def test_bit_rates_are_taken_without_delay_and_more_is_nearer(codec: str, rates: tuple[float, ...]) -> None:
    dice = np.random.default_rng(0)
    clean = np.asarray(lfilter([0.1], [1, -0.9], dice.standard_normal(2 * RATE)), dtype=np.float32) * 0.3
    errors = []
    for kbps in rates:
        coded = through_codec(clean, RATE, codec, kbps)  # type: ignore[arg-type]
        lags = np.correlate(np.pad(coded, 1600), clean[:RATE], "valid")[:3200]
        assert abs(int(np.argmax(lags)) - 1600) <= 1
        errors.append(float(np.mean((coded - clean) ** 2)))
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("codec", ["opus", "mp3", "alaw"])
def test_codecs_take_any_rate(codec: str, rate: int) -> None:
    assert apply_channel(vowel(), rate, ChannelOptions.parse({"codec": codec}), 0).shape == vowel().shape


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Two recordings of 2 s at 16 kHz and one of 0.2 s at 8 kHz, stereo: each a tone of its own."""
    folder = tmp_path / "noises"
    (folder / "deep").mkdir(parents=True)
    for name, hertz, rate, seconds in (
        ("a.wav", 500, RATE, 2),
        ("deep/b.flac", 1500, RATE, 2),
        ("c.wav", 2500, 8000, 0.2),
    ):
        tone = 0.1 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)
        soundfile.write(folder / name, np.stack([tone, 0 * tone], axis=1), rate)
    (folder / "README.txt").write_text("not audio")
    return folder


def test_recordings_are_found_in_the_order_of_their_names(noises: Path) -> None:
    names = [path.relative_to(noises).as_posix() for path in find_recordings((noises,))]
    assert names == ["a.wav", "c.wav", "deep/b.flac"]
    moved = noises.rename(noises.with_name("moved"))
    assert recordings_digest([moved]) == digest_by_hand(moved, names)


def digest_by_hand(folder: Path, names: list[str]) -> str:
    import hashlib

    contents = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    return hashlib.sha256("".join(contents).encode()).hexdigest()


def test_recorded_noise_has_its_level_and_its_file_hangs_on_the_seed(noises: Path) -> None:
    options = ChannelOptions.parse({"noise": {"files": str(noises), "snr_db": [0, 20]}})
    clean = vowel() * np.float32(0.2)
    heard = set()
    for seed in range(24):
        noise = apply_channel(clean, RATE, options, seed) - clean
        told = options.drawn(seed)
        hertz = np.argmax(np.abs(np.fft.rfft(noise))) * RATE / len(noise)
        assert {"a.wav": 500, "b.flac": 1500, "c.wav": 2500}[str(told["noise"])] == pytest.approx(hertz, rel=0.01)
        ratio = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
        assert ratio == pytest.approx(told["snr_db"], abs=0.05)
        heard.add(told["noise"])
    assert len(heard) == 3
    assert len({options.drawn(seed)["snr_db"] for seed in range(24)}) > 20


def test_a_long_recording_is_heard_from_seeded_places(tmp_path: Path) -> None:
    ramp = np.linspace(0.1, 0.9, 4 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE, subtype="FLOAT")
    from data_synth.channel.noise import recorded_noise

    firsts = {float(recorded_noise(RATE, RATE, tmp_path / "ramp.wav", seed)[0]) for seed in range(8)}
    assert len(firsts) == 8
    piece = recorded_noise(RATE, RATE, tmp_path / "ramp.wav", 3)
    np.testing.assert_allclose(np.diff(piece), np.diff(ramp).mean(), atol=1e-6)  # one piece, not torn


def test_a_recorded_room_keeps_the_direct_path_in_place(tmp_path: Path) -> None:
    response = np.zeros(RATE // 2, np.float32)
    response[[1000, 1400, 3000]] = 0.5, 0.3, 0.1  # 62 ms of distance before the direct path
    soundfile.write(tmp_path / "hall.wav", response, RATE, subtype="FLOAT")
    click = np.zeros(RATE, np.float32)
    click[4000] = 0.5
    heard = reverberate_as(click, RATE, tmp_path / "hall.wav")
    assert [int(at) for at in np.flatnonzero(np.abs(heard) > 0.01)] == [4000, 4400, 6000]
    assert np.sum(heard**2) == pytest.approx(np.sum(click**2), rel=1e-3)
    options = ChannelOptions.parse({"responses": [str(tmp_path / "hall.wav")]})
    assert options.describe() == "room of hall.wav"
    np.testing.assert_array_equal(apply_channel(click, RATE, options, 5), heard)


@stretches
def test_ranges_are_drawn_per_clip_and_the_same_seed_gives_the_same_bytes() -> None:
    options = ChannelOptions.parse(
        {"speed": [0.9, 1.1], "tempo": [0.9, 1.1], "pitch_semitones": [-2, 2], "formants": [0.9, 1.1],
         "gain_db": [-12, 0], "codec": "opus", "codec_kbps": [8, 32]}
    )  # fmt: skip
    assert apply_channel(vowel(), RATE, options, 1).tobytes() == apply_channel(vowel(), RATE, options, 1).tobytes()
    told = [options.drawn(seed) for seed in range(20)]
    for name, low, high in (("speed", 0.9, 1.1), ("pitch_semitones", -2, 2), ("codec_kbps", 8, 32)):
        values = [float(clip[name]) for clip in told]
        assert len(set(values)) > 15
        assert low <= min(values) < max(values) <= high
    for seed in range(5):
        pace = float(told[seed]["speed"]) * float(told[seed]["tempo"])
        assert options.pace_of(seed) == pace
        assert len(apply_channel(vowel(), RATE, options, seed)) == round(len(vowel()) / pace)
    assert options.describe() == (
        "speed 0.9 to 1.1, tempo 0.9 to 1.1, pitch -2 to 2 semitones, formants 0.9 to 1.1, "
        "gain -12 to +0 dB, opus 8 to 32 kbit/s"
    )


def test_labels_follow_the_speed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.flac", vowel(2.0), RATE)
    cut = labelled_cut("one", tmp_path / "one.flac", 2 * RATE, RATE, "say one", {})
    words = [AlignmentItem("say", 0.5, 0.5), AlignmentItem("one", 1.0, 0.75)]
    cut.supervisions = [
        SupervisionSegment("one", "one", 0.5, 1.5, text="say one", alignment={"word": words}),
    ]
    options = ChannelOptions(speed=(0.8, 1.25))
    made = list(channel_cuts(CutSet.from_cuts([cut]), tmp_path / "out", options, seed=1, copies=4, progress=False))
    assert len({heard.duration for heard in made}) == 4
    for heard in made:
        pace = heard.custom["drawn"]["speed"]
        [supervision] = heard.supervisions
        assert heard.num_samples == heard.load_audio().shape[1] == round(2 * RATE / pace)
        assert supervision.start == pytest.approx(0.5 / pace, abs=1e-4)
        assert supervision.end == pytest.approx(2.0 / pace, abs=1e-4)
        assert supervision.end <= heard.duration
        first, second = supervision.alignment["word"]
        assert (first.start, second.duration) == pytest.approx((0.5 / pace, 0.75 / pace), abs=1e-4)
    again = channel_cuts(CutSet.from_cuts([cut]), tmp_path / "out", options, seed=1, copies=4, progress=False)
    assert [heard.to_dict() for heard in again] == [heard.to_dict() for heard in made]


def test_relative_files_are_found_from_a_folder(tmp_path: Path) -> None:
    given = ChannelOptions.parse({"noise": {"files": ["n.wav", "/abs/m.wav"]}, "responses": "rooms"})
    assert given.noise
    moved = given.beside(tmp_path)
    assert moved.noise
    assert moved.noise.files == (tmp_path / "n.wav", Path("/abs/m.wav"))
    assert moved.responses == (tmp_path / "rooms",)
    assert ChannelOptions(codec="gsm").beside(tmp_path) == ChannelOptions(codec="gsm")


def test_another_recording_of_noise_makes_another_clip(tmp_path: Path, noises: Path) -> None:
    soundfile.write(tmp_path / "one.flac", vowel(), RATE)
    cut = labelled_cut("one", tmp_path / "one.flac", len(vowel()), RATE, "a", {})
    options = ChannelOptions.parse({"noise": {"files": [str(noises / "a.wav")]}})
    for _ in range(2):
        channel_cuts(CutSet.from_cuts([cut]), tmp_path / "out", options, seed=1, progress=False)
        soundfile.write(noises / "a.wav", vowel(), RATE)
        file_digest.cache_clear()
    assert len(list((tmp_path / "out").rglob("*.flac"))) == 2
    assert options.files_digest() != ChannelOptions().files_digest() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": [1.1, 0.9]}, "low <= high"),
        ({"tempo": 3}, "from 0.5 to 2"),
        ({"codec_kbps": 24}, "codec_kbps is only valid with the codecs opus and mp3"),
        ({"codec": "gsm", "codec_kbps": 24}, "codec_kbps is only valid with the codecs opus and mp3"),
        ({"codec": "mp3", "codec_kbps": 8}, "from 16 to 160"),
        ({"room": {}, "responses": ["a.wav"]}, "give one of them"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChannelOptions.parse(options)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (None, None, "no such file or folder"),
        ("empty", None, "holds no audio"),
        ("a.wav", b"RIFFnothing", "cannot be decoded"),
        ("silent.wav", np.zeros(RATE), "is silent"),
        ("nan.wav", np.full(RATE, np.nan), "no numbers"),
    ],
)
def test_recordings_that_are_none_are_told(tmp_path: Path, name: str | None, content: object, said: str) -> None:
    path = tmp_path / (name or "nowhere")
    if isinstance(content, np.ndarray):
        soundfile.write(path, content, RATE, subtype="FLOAT")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif name:
        path.mkdir()
    for options in ({"noise": {"files": str(path)}}, {"responses": str(path)}):
        with pytest.raises(DataError, match=said):
            apply_channel(vowel(), RATE, ChannelOptions.parse(options), 0)


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    with pytest.raises(ConfigError, match="pip install python-stretch"):
        apply_channel(vowel(), RATE, ChannelOptions(tempo=1.1), 0)
