"""The loop: order, retries, faults of engines, and the same files whatever happens on the way."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

from data_synth.channel.chain import ChannelOptions, apply_channel
from data_synth.gates.judge import GateOptions
from data_synth.plan.attempt import LedgerRow
from data_synth.plan.clip_plan import channel_seed
from data_synth.plan.options import SynthesisOptions
from data_synth.store.ledger import Ledger
from data_synth.synthesize import SynthesisReport, synthesize
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, DataError, SynthesisError
from speech_analogy.foundation.digests import sha256
from speech_analogy.foundation.locks import held
from tests.data_synth.contents import files

pytestmark = pytest.mark.usefixtures("plugin")

TEXTS = [Text.of(words, domain) for words in ("turn it on", "play some jazz", "stop") for domain in ("a", "b")]


def run(out: Path, engines: str, texts: list[Text] = TEXTS, **options: object) -> SynthesisReport:
    return synthesize(texts, out, SynthesisOptions.parse({"engines": engines, **options}), progress=False)


def rows_of(report: SynthesisReport) -> list[LedgerRow]:
    return list(Ledger(report.ledger.parent).rows.values())


def test_cuts_are_what_was_asked_for_in_the_order_of_texts(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake", voices_per_text=2)
    cuts = list(CutSet.from_file(report.cuts))
    assert [cut.custom["text_id"] for cut in cuts] == [text.id for text in TEXTS for _ in range(2)]
    assert report.kept == report.clips == report.made == len(cuts) == 12
    assert len({cut.id for cut in cuts}) == 12
    for cut, text in zip(cuts, [text for text in TEXTS for _ in range(2)], strict=True):
        [supervision] = cut.supervisions
        assert (supervision.text, cut.custom["domain"]) == (text.text, text.domain)
        assert supervision.speaker == f"fake:{cut.custom['voice']}"
        assert (supervision.language, cut.custom["kind"], cut.custom["engine"]) == ("en", "synthetic", "fake")
        samples = cut.load_audio()
        assert samples.shape == (1, cut.recording.num_samples)
        assert supervision.duration == cut.duration == cut.recording.num_samples / 16_000
    assert report.seconds == pytest.approx(sum(cut.duration for cut in cuts), abs=1e-4)
    assert set(report.yields.values()) == {(3, 3)}


def test_the_ledger_tells_what_each_clip_was_made_from(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake", speed=(0.9, 1.1))
    for row in rows_of(report):
        clip = tmp_path / "out" / str(row.path)
        assert row.kept
        assert sha256(clip.read_bytes()) == row.sha256
        assert soundfile.info(clip).duration == pytest.approx(row.duration_s)
        assert row.path == f"clips/{row.key[:2]}/{row.key}.flac"
        assert set(row.gates) >= {"level_db", "clipped_share", "seconds_per_character", "inner_silence_s"}
        assert 0.9 <= float(row.parameters["speed"]) <= 1.1


def test_a_second_run_and_another_number_of_workers_change_nothing(tmp_path: Path) -> None:
    run(tmp_path / "one", "fake:low+high+flaky", voices_per_text=2)
    before = files(tmp_path / "one")
    again = run(tmp_path / "one", "fake:low+high+flaky", voices_per_text=2)
    assert again.made == 0
    assert files(tmp_path / "one") == before
    run(tmp_path / "two", "fake:low+high+flaky", voices_per_text=2, workers=2)
    assert files(tmp_path / "two") == before


def test_fewer_texts_say_what_the_cuts_are_without(tmp_path: Path) -> None:
    """Nothing is lost: with the earlier texts the cuts are what they were."""
    first = run(tmp_path / "out", "fake", voices_per_text=2)
    assert first.others == 0
    assert "earlier runs" not in first.summary()
    before = files(tmp_path / "out")
    second = run(tmp_path / "out", "fake", TEXTS[:2], voices_per_text=2)
    assert (second.kept, second.others) == (4, 8)
    assert "clips of earlier runs that were not asked for now: 8; they stay in the folder" in second.summary()
    assert run(tmp_path / "out", "fake", voices_per_text=2).others == 0
    assert files(tmp_path / "out") == before


def test_more_texts_reuse_what_is_there(tmp_path: Path) -> None:
    run(tmp_path / "out", "fake", TEXTS[:4])
    assert run(tmp_path / "out", "fake", TEXTS).made == 2
    run(tmp_path / "fresh", "fake", TEXTS)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


def test_a_clip_that_is_gone_or_empty_is_made_again(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake")
    before = files(tmp_path / "out")
    first, second, *_ = (tmp_path / "out" / str(row.path) for row in rows_of(report))
    first.unlink()
    second.write_bytes(b"")
    assert run(tmp_path / "out", "fake").made == 2
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("voice", "reason"),
    [
        ("raises", "engine: ValueError: no such word"),
        ("nan", "not_finite 1 is above 0"),
        ("silent", "level_db -200 is below -50"),
        ("empty", "samples 0 is below 1"),
        ("clipped", "clipped_share 0."),
    ],
)
def test_faults_are_recorded_and_retried_within_bounds(tmp_path: Path, voice: str, reason: str) -> None:
    report = run(tmp_path / "out", f"fake:low+{voice}", voices_per_text=2, attempts=3)
    bad = [row for row in rows_of(report) if row.voice == voice]
    assert Counter(row.attempt for row in bad) == {0: 6, 1: 6, 2: 6}
    assert all(row.reason is not None and row.reason.startswith(reason) for row in bad)
    assert len({row.seed for row in bad}) == 18
    assert (report.kept, report.clips, report.made) == (6, 12, 24)
    assert sum(report.rejections.values()) == 18
    assert report.texts_without_clip == ()
    assert run(tmp_path / "out", f"fake:low+{voice}", voices_per_text=2, attempts=3).made == 0


def test_a_new_seed_can_save_a_clip(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake:flaky", attempts=10)
    assert report.kept == 6
    kept = [row for row in rows_of(report) if row.kept]
    assert {row.seed % 2 for row in kept} == {0}
    assert report.made > 6  # else the seeds of this test never failed, and it shows nothing


def test_an_engine_that_seeds_do_not_change_is_retried_only_when_it_failed(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake:low,unseeded:silent+raises", voices_per_text=3, attempts=3)
    made = Counter(row.voice for row in rows_of(report))
    assert made == {"low": 6, "silent": 6, "raises": 18}


@pytest.mark.parametrize("voice", ["batch", "short"])
def test_a_lost_batch_is_asked_again_one_by_one(tmp_path: Path, voice: str) -> None:
    report = run(tmp_path / "out", f"fake:{voice}")
    assert (report.kept, report.made) == (6, 6)


def test_texts_that_cannot_be_spoken_are_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    dots = Text.of("...", "a")
    report = run(tmp_path / "out", "fake", [dots, *TEXTS])
    assert report.texts_without_clip == (dots.id,)
    assert (report.texts, report.clips, report.kept) == (7, 6, 6)
    [row] = [row for row in rows_of(report) if not row.kept]
    assert (row.text_id, row.reason) == (dots.id, "unspeakable: the text has no letter and no digit")
    assert run(tmp_path / "out", "fake", [dots, *TEXTS]).made == 0


def test_nothing_kept_is_an_error_that_says_why_and_the_ledger_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no clip was kept.*no such word"):
        run(tmp_path / "out", "fake:raises", attempts=2)
    assert len(Ledger(tmp_path / "out").rows) == 12
    assert not (tmp_path / "out" / "cuts.jsonl.gz").exists()
    with pytest.raises(DataError, match="no clip was kept"):
        run(tmp_path / "dots", "fake", [Text.of("?!")])


def test_gates_can_be_switched_off(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake:silent", gates=None)
    assert report.kept == 6
    assert all(row.gates == {} for row in rows_of(report))


def test_speed_changes_the_duration(tmp_path: Path) -> None:
    slow, fast = (run(tmp_path / name, "fake", speed=(s, s)) for name, s in (("slow", 0.8), ("fast", 1.25)))
    assert slow.seconds / fast.seconds == pytest.approx(1.25 / 0.8, rel=0.05)


def test_opus_clips(tmp_path: Path) -> None:
    report = run(tmp_path / "out", "fake", TEXTS[:1], storage="opus")
    [cut] = CutSet.from_file(report.cuts)
    assert cut.recording.sources[0].source.endswith(".opus")
    assert cut.load_audio().shape == (1, cut.recording.num_samples)
    assert np.abs(cut.load_audio()).max() > 0.1


def test_cuts_can_name_the_folder_it_will_be(tmp_path: Path) -> None:
    options = SynthesisOptions(engines=("fake",))
    report = synthesize(TEXTS, tmp_path / "new", options, progress=False, clips_root=tmp_path / "final")
    os.rename(tmp_path / "new", tmp_path / "final")  # noqa: PTH104
    for cut in CutSet.from_file(tmp_path / "final" / report.cuts.name):
        assert cut.load_audio().size > 0


def test_a_folder_that_is_anothers_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("x")
    with pytest.raises(DataError, match="holds something else"):
        run(tmp_path, "fake")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_folder_begun_with_other_settings_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "out", "fake")
    before = files(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"settings\.json: storage: the folder was begun with another value"):
        run(tmp_path / "out", "fake", storage="opus")
    with pytest.raises(ConfigError, match="gates"):
        run(tmp_path / "out", "fake", gates=GateOptions(margin_s=0.2))
    assert files(tmp_path / "out") == before


def test_clips_go_through_the_channel_that_is_asked_for(tmp_path: Path) -> None:
    """Gates judge what the engine made; the stored samples are those of the plain clip, through the channel."""
    channel = ChannelOptions.parse({"noise": {"colour": "pink", "snr_db": [5, 15]}, "speed": [0.8, 1.2]})
    plain = {row.text_id: row for row in rows_of(run(tmp_path / "plain", "fake:low"))}
    report = run(tmp_path / "heard", "fake:low", channel=channel.model_dump())
    heard = {row.text_id: row for row in rows_of(report)}
    assert plain.keys() == heard.keys()
    for text_id, row in heard.items():
        before, after = plain[text_id], row
        assert (before.seed, before.gates) == (after.seed, after.gates)
        assert before.key != after.key
        assert before.path is not None
        assert after.path is not None
        seed = channel_seed(after.seed)
        samples, rate = soundfile.read(tmp_path / "plain" / before.path, dtype="float32")
        stored, _ = soundfile.read(tmp_path / "heard" / after.path, dtype="float32")
        expected = apply_channel(samples, rate, channel, seed)
        assert stored.shape == expected.shape
        assert np.allclose(stored, expected, atol=2e-4)  # FLAC's 16 bits, before the channel and after it
        assert after.duration_s == pytest.approx(len(stored) / rate, abs=1e-6)
        assert after.channel == {"is": channel.describe(), **channel.drawn(seed)}
    assert len({tuple((row.channel or {}).items()) for row in heard.values()}) > 1
    assert {cut.custom["channel"] for cut in CutSet.from_file(report.cuts)} == {channel.describe()}
    assert run(tmp_path / "heard", "fake:low", channel=channel.model_dump()).made == 0


def test_another_channel_makes_other_clips_and_none_keeps_the_keys_of_old(tmp_path: Path) -> None:
    keys = [
        {row.key for row in rows_of(run(tmp_path / str(number), "fake:low", channel=channel))}
        for number, channel in enumerate((None, {"gain_db": -3}, {"gain_db": -6}))
    ]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]
    assert SynthesisOptions().model_dump().keys() == SynthesisOptions(channel=None).model_dump().keys()
    assert "channel" not in SynthesisOptions().model_dump()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "out", "fake")
    with held(tmp_path / "out"), pytest.raises(DataError, match="another process is working in this folder"):
        run(tmp_path / "out", "fake")
    run(tmp_path / "out", "fake")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"engines": "fake", "voice": 3}, ConfigError, "voice: there is no such key; did you mean"),
        ({"engines": "fake", "gates": {"margin": 1}}, ConfigError, "gates.margin"),
        ({"engines": "fake", "speed": (1.2, 0.8)}, ConfigError, "low <= high"),
        ({"engines": "fake", "voices_per_text": 0}, ConfigError, "voices_per_text"),
        ({"engines": "fake", "storage": "opus", "sampling_rate": 22_050}, ConfigError, "opus takes"),
        ({"engines": "fake", "speed": (9.0, 9.0)}, SynthesisError, "fake.speed: must be a number from 0.25 to 4"),
        ({"engines": "fake", "parameters": {"fake": {"pitch": 1}}}, SynthesisError, "no such parameter; use speed"),
        ({"engines": "fake", "parameters": {"bark": {"t": 1}}}, SynthesisError, "no voice of this engine"),
    ],
)
def test_options_that_are_not_right_are_told_before_anything_is_made(
    tmp_path: Path, options: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_texts_must_have_distinct_ids(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="distinct"):
        run(tmp_path / "out", "fake", [Text("1", "a"), Text("1", "b")])
    with pytest.raises(DataError, match="no text"):
        run(tmp_path / "out", "fake", [])
