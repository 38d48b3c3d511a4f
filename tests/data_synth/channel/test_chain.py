"""The channel does what its options say: the noise's level and colour, the room's decay, the codec, the seed."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, MonoCut
from scipy.signal import welch

from data_synth.audio.recordings import file_digest
from data_synth.channel.chain import ChannelOptions, apply_channel, limit_band
from data_synth.channel.codecs import through_codec
from data_synth.channel.noise import NoiseOptions, coloured_noise, noise_for
from data_synth.channel.room import RoomOptions, impulse_response
from data_synth.run.channel_cuts import channel_cuts
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.digests import derive
from tests.data_synth.cuts import labelled_cut

RATE = 16_000
pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is not installed (pip install pyroomacoustics)")

HARD = ChannelOptions(room=RoomOptions(rooms=2), noise=NoiseOptions(snr_db=8.0), codec="gsm")


def speech(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Something like speech: harmonics of a gliding pitch in bursts, all below 3 kHz."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = 2 * np.pi * (120 + 10 * seed) * time + 3 * np.sin(2 * np.pi * 2 * time)
    waves = sum(np.sin(k * pitch) / k for k in range(1, 18))
    return np.asarray(0.2 * waves * (np.sin(2 * np.pi * 3 * time) > -0.5), dtype=np.float32)


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 8.0, 30.0])
@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
def test_the_snr_is_what_was_asked_for(snr_db: float, colour: str) -> None:
    options = ChannelOptions.parse({"noise": {"colour": colour, "snr_db": snr_db}})
    clean = speech() * np.float32(0.2)  # so that no peak is limited
    noisy = apply_channel(clean, RATE, options, seed=3)
    assert 10 * np.log10(power(clean) / power(noisy - clean)) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0.0), ("pink", -10.0), ("brown", -20.0)])
def test_noise_has_its_colour(colour: str, slope: float) -> None:
    """Power falls by 0, 10, 20 dB a decade."""
    noise = coloured_noise(20 * RATE, RATE, colour, seed=1)  # type: ignore[arg-type]
    frequencies, density = welch(noise, RATE, nperseg=4096)
    band = (frequencies > 50) & (frequencies < 7000)
    fitted, _ = np.polyfit(np.log10(frequencies[band]), 10 * np.log10(density[band]), 1)
    assert fitted == pytest.approx(slope, abs=0.7)


def test_noise_for_silence_is_silence() -> None:
    assert not noise_for(np.zeros(100, np.float32), RATE, NoiseOptions(), 0).any()


@pytest.mark.parametrize("rt60_s", [0.2, 0.3, 0.5])
def test_the_room_decays_as_asked(rt60_s: float) -> None:
    """Schroeder's backward integration, the decay from -5 to -25 dB times three; mean over the pool's rooms."""
    measured = []
    for room in range(4):
        response = impulse_response(RATE, RoomOptions(rt60_s=rt60_s), room).astype(np.float64)
        decay = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2))
        begin, end = (int(np.argmax(decay < level)) for level in (-5.0, -25.0))
        measured.append(3 * (end - begin) / RATE)
    assert np.mean(measured) == pytest.approx(rt60_s, rel=0.2)


def test_rooms_differ_and_come_from_their_seed() -> None:
    options = [RoomOptions(seed=seed) for seed in (0, 1)]
    responses = [impulse_response(RATE, option, room).tobytes() for option in options for room in range(4)]
    assert len(set(responses)) == 8


@pytest.mark.parametrize("ratio_db", [-6.0, 0.0, 10.0])
def test_the_direct_to_reverberant_ratio_can_be_set(ratio_db: float) -> None:
    response = impulse_response(RATE, RoomOptions(direct_to_reverberant_db=ratio_db), 0).astype(np.float64)
    direct = round(0.0025 * RATE)
    measured = 10 * np.log10(np.sum(response[:direct] ** 2) / np.sum(response[direct:] ** 2))
    assert measured == pytest.approx(ratio_db, abs=0.01)


def test_the_direct_path_stays_in_place_and_the_level_too() -> None:
    click = np.zeros(RATE, np.float32)
    click[4000] = 0.5
    heard = apply_channel(click, RATE, ChannelOptions(room=RoomOptions(distance_m=0.5)), 0)
    assert abs(int(np.argmax(np.abs(heard))) - 4000) <= 1
    assert not heard[: 4000 - 50].any() or np.abs(heard[:3950]).max() < 1e-4
    assert power(heard) == pytest.approx(power(click), rel=1e-3)


def test_farther_is_more_reverberant() -> None:
    ratios = []
    for distance in (0.5, 1.0, 3.0):
        response = impulse_response(RATE, RoomOptions(distance_m=distance), 0)
        ratios.append(power(response[:40]) / power(response[40:]))
    assert ratios == sorted(ratios, reverse=True)


def test_the_band_is_limited() -> None:
    noise = coloured_noise(4 * RATE, RATE, "white", 0)
    frequencies, before = welch(noise, RATE, nperseg=2048)
    _, after = welch(limit_band(noise, RATE, (300.0, 3400.0)), RATE, nperseg=2048)
    gain = 10 * np.log10(after / before)
    assert gain[(frequencies > 500) & (frequencies < 3000)] == pytest.approx(0, abs=1.5)
    assert gain[(frequencies > 20) & (frequencies < 120)].max() < -25
    assert gain[frequencies > 6000].max() < -25
    high_pass = limit_band(noise, RATE, (300.0, 8000.0))
    _, after = welch(high_pass, RATE, nperseg=2048)
    assert 10 * np.log10(after / before)[frequencies > 1000] == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize(("codec", "least"), [("gsm", 0.85), ("mulaw", 0.99)])
def test_a_codec_changes_the_samples_but_not_what_is_heard(codec: str, least: float) -> None:
    clean = speech()
    coded = through_codec(clean, RATE, codec)  # type: ignore[arg-type]
    assert coded.shape == clean.shape
    assert not np.allclose(coded, clean, atol=1e-3)
    assert np.corrcoef(coded, clean)[0, 1] > least
    lags = np.correlate(np.pad(coded, 200), clean, "valid")
    assert abs(int(np.argmax(lags)) - 200) <= 1  # no delay


def test_a_telephone_codec_passes_nothing_above_4_khz() -> None:
    noise = 0.1 * coloured_noise(2 * RATE, RATE, "white", 0)
    frequencies, density = welch(through_codec(noise, RATE, "mulaw"), RATE, nperseg=1024)
    above, below = density[frequencies > 4200].max(), np.median(density[frequencies < 3500])
    assert 10 * np.log10(above / below) < -40


@pytest.mark.parametrize("count", [0, 1, 7, 161, 12_345])
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050])
def test_length_rate_and_type_are_kept(count: int, rate: int) -> None:
    options = HARD.model_copy(update={"band_hz": (300.0, 3400.0), "gain_db": -3.0})
    heard = apply_channel(speech()[:count], rate, options, 1)
    assert heard.shape == (count,)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


def test_the_seed_decides() -> None:
    first, again, other = (apply_channel(speech(), RATE, HARD, seed).tobytes() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_no_options_change_nothing() -> None:
    np.testing.assert_array_equal(apply_channel(speech(), RATE, ChannelOptions(), 0), speech())


def test_gain_is_exact_until_full_scale() -> None:
    quiet = apply_channel(speech(), RATE, ChannelOptions(gain_db=-20.0), 0)
    np.testing.assert_allclose(quiet, speech() / 10, rtol=1e-5)
    loud = apply_channel(speech(), RATE, ChannelOptions(gain_db=40.0), 0)
    assert np.abs(loud).max() == pytest.approx(0.99)
    assert np.corrcoef(loud, speech())[0, 1] > 0.9999


def test_a_channel_in_words() -> None:
    assert HARD.describe() == "room 0.3 s at 2 m, pink noise 8 dB, gsm"
    options = ChannelOptions(band_hz=(300.0, 3400.0), gain_db=-6.0, codec="mulaw")
    assert options.describe() == "300-3400 Hz, gain -6 dB, mulaw"
    assert ChannelOptions().describe() == "none"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nois": {}}, "nois: there is no such key; did you mean 'noise'"),
        ({"noise": {"snr": 3}}, r"noise\.snr: there is no such key"),
        ({"codec": "g711"}, "codec"),
        ({"band_hz": (3400, 300)}, "low < high"),
        ({"room": {"rt60_s": 0.01}}, r"room\.rt60_s"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChannelOptions.parse(options)


@pytest.fixture
def cuts(tmp_path: Path) -> CutSet:
    return CutSet.from_cuts(source_cut(tmp_path / "real", number) for number in range(3))


def source_cut(folder: Path, number: int) -> MonoCut:
    folder.mkdir(exist_ok=True)
    path = folder / f"{number}.flac"
    samples = speech(1.0 + 0.1 * number, number)
    soundfile.write(path, samples, RATE)
    custom = {"domain": "digits", "kind": "real"}
    return labelled_cut(f"r{number}", path, len(samples), RATE, f"say {number}", custom)


def clips(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.rglob("*.flac")}


def test_cuts_keep_their_labels_and_gain_a_channel(tmp_path: Path, cuts: CutSet) -> None:
    made = channel_cuts(cuts, tmp_path / "out", HARD, seed=1, copies=2, progress=False)
    assert [cut.id for cut in made] == ["r0-c0", "r0-c1", "r1-c0", "r1-c1", "r2-c0", "r2-c1"]
    sources = itertools.chain.from_iterable((cut, cut) for cut in cuts)
    for number, (cut, source) in enumerate(zip(made, sources, strict=True)):
        [supervision], [was] = cut.supervisions, source.supervisions
        assert (supervision.text, supervision.speaker, supervision.language) == (was.text, was.speaker, "en")
        assert supervision.id == supervision.recording_id == cut.recording.id == cut.id
        assert cut.custom == {**source.custom, "channel": HARD.describe(), "copy": number % 2}
        assert cut.num_samples == source.num_samples
        heard = cut.load_audio()[0]
        seed = derive(1, "channel", source.id, number % 2)
        expected = apply_channel(source.load_audio()[0], RATE, HARD, seed)
        np.testing.assert_allclose(heard, expected, atol=1 / 2**15)  # FLAC's 16 bits
    assert len(clips(tmp_path / "out")) == 6
    assert len(set(clips(tmp_path / "out").values())) == 6
    written = CutSet.from_file(tmp_path / "out" / "cuts.jsonl.gz")
    assert [cut.to_dict() for cut in written] == [cut.to_dict() for cut in made]


def test_one_copy_keeps_the_ids_and_is_the_first_of_many(tmp_path: Path, cuts: CutSet) -> None:
    one = channel_cuts(cuts, tmp_path / "one", HARD, seed=1, progress=False)
    assert [cut.id for cut in one] == ["r0", "r1", "r2"]
    channel_cuts(cuts, tmp_path / "two", HARD, seed=1, copies=2, progress=False)
    assert clips(tmp_path / "one").items() <= clips(tmp_path / "two").items()


def test_a_stopped_run_goes_on_to_the_same_files(tmp_path: Path, cuts: CutSet, monkeypatch: pytest.MonkeyPatch) -> None:
    channel_cuts(cuts, tmp_path / "whole", HARD, seed=1, copies=2, progress=False)
    calls = itertools.count()

    def stops_at_the_fourth(*given: object) -> np.ndarray:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return apply_channel(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("data_synth.run.channel_cuts.apply_channel", stops_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            channel_cuts(cuts, tmp_path / "out", HARD, seed=1, copies=2, progress=False)
    assert len(clips(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "cuts.jsonl.gz").exists()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.flac")}
    channel_cuts(cuts, tmp_path / "out", HARD, seed=1, copies=2, progress=False)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert clips(tmp_path / "out") == clips(tmp_path / "whole")


def test_another_seed_makes_other_clips(tmp_path: Path, cuts: CutSet) -> None:
    for seed in (1, 2):
        channel_cuts(cuts, tmp_path / str(seed), HARD, seed=seed, progress=False)
    assert not set(clips(tmp_path / "1").values()) & set(clips(tmp_path / "2").values())


def test_changed_audio_makes_another_clip(tmp_path: Path, cuts: CutSet) -> None:
    channel_cuts(cuts, tmp_path / "out", HARD, seed=1, progress=False)
    shutil.copy(tmp_path / "real" / "0.flac", tmp_path / "real" / "kept.flac")
    soundfile.write(tmp_path / "real" / "0.flac", speech(1.0, 9), RATE)
    file_digest.cache_clear()
    made = channel_cuts(cuts, tmp_path / "out", HARD, seed=1, progress=False)
    assert len(clips(tmp_path / "out")) == 4
    assert np.abs(made[0].load_audio()).max() > 0.01


def test_other_options_in_the_same_folder_are_refused(tmp_path: Path, cuts: CutSet) -> None:
    channel_cuts(cuts, tmp_path / "out", ChannelOptions(codec="gsm"), seed=1, progress=False)
    with pytest.raises(ConfigError, match="channel: the folder was begun with another value"):
        channel_cuts(cuts, tmp_path / "out", ChannelOptions(codec="mulaw"), seed=1, progress=False)


def test_missing_audio_and_no_cuts_are_told(tmp_path: Path, cuts: CutSet) -> None:
    with pytest.raises(DataError, match="there must be cuts"):
        channel_cuts(CutSet.from_cuts([]), tmp_path / "none", HARD, seed=1, progress=False)
    (tmp_path / "real" / "1.flac").unlink()
    with pytest.raises(DataError, match=r"1\.flac: the audio cannot be read"):
        channel_cuts(cuts, tmp_path / "out", HARD, seed=1, progress=False)
    assert not (tmp_path / "out" / "cuts.jsonl.gz").exists()
    assert os.listdir(tmp_path / "out")  # noqa: PTH208
