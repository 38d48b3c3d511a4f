"""What rooms ask of a cut (its text, speaker, domain, prompt, file), and cuts from a path or an audio file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut, MultiCut

from data_synth.audio.ffmpeg import FFMPEG_SUFFIXES
from speech_analogy.corpora.audio import recording_of
from speech_analogy.corpora.cut_checks import require_sound_cuts
from speech_analogy.corpora.cut_files import CUTS_SUFFIXES
from speech_analogy.corpora.read import read_cuts
from speech_analogy.corpora.reading import UNKNOWN_SPEAKER, prompt_of, speaker_name
from speech_analogy.corpora.shar.shards import is_shar
from speech_analogy.errors import DataError

CUT_AUDIO_SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", *FFMPEG_SUFFIXES)
LONGEST_CUT_S = 30.0  # what a Whisper window holds


def text_of(cut: Any) -> str:
    """The raw text of the cut's one supervision; DataError where there is none."""
    if not cut.supervisions or not cut.supervisions[0].text:
        raise DataError("a cut must have a text", field=cut.id)
    return str(cut.supervisions[0].text)


def speaker_of(cut: Any) -> str:
    """The speaker, or an empty string where none is known: neither one speaker nor as many as recordings."""
    name = speaker_name(cut.supervisions[0].speaker if cut.supervisions else None)
    return "" if name == UNKNOWN_SPEAKER else name


def domain_of(cut: Any) -> str:
    """The domain, or an empty string."""
    return str((cut.custom or {}).get("domain", ""))


def prompt_of_cut(cut: Any) -> str:
    """What groups repetitions of one prompt."""
    return str((cut.custom or {}).get("prompt") or prompt_of(text_of(cut)))


def audio_path(cut: Any) -> str:
    """The file behind a cut, or an empty string for audio that is not one plain file."""
    plain = isinstance(cut, MonoCut | MultiCut) and cut.recording is not None
    source = cut.recording.sources[0] if plain else None
    return str(source.source) if source is not None and source.type == "file" else ""


def cuts_of(source: str | Path | CutSet) -> CutSet:
    """Cuts from cuts, from the path of cuts or of Lhotse Shar, from one audio file, or from a folder of audio files.

    Raises:
        DataError: nothing there, or nothing that can be used; audio longer than a Whisper window.
    """
    if isinstance(source, CutSet):
        listed = list(source)  # `to_eager` would drop all but the last cut of an id without a word
        require_sound_cuts(listed)
        eager = CutSet.from_cuts(listed)
    else:
        eager = _from_path(Path(source)).to_eager()
    for cut in eager:
        require_short(cut)
    return eager


def cuts_of_all(sources: Sequence[str | Path]) -> CutSet:
    """The cuts of one or several sources together; see `cuts_of`.

    Raises:
        DataError: as there; or two cuts of different sources are one.
    """
    if len(sources) == 1:
        return cuts_of(sources[0])
    return cuts_of(CutSet.from_cuts(cut for source in sources for cut in cuts_of(source)))


def require_short(cut: Any) -> None:
    """Raise DataError where a cut is longer than a Whisper window."""
    if cut.duration > LONGEST_CUT_S:
        raise DataError(
            f"audio must be at most {LONGEST_CUT_S:g} s",
            file=audio_path(cut) or None,
            field=cut.id,
            value=f"{cut.duration:.1f} s",
            do="split it first, or use `transcribe`, which takes recordings of any length",
        )


def _from_path(path: Path) -> CutSet:
    if path.name.endswith(CUTS_SUFFIXES) or is_shar(path):
        return read_cuts(path)
    return plain_cuts(path)


def plain_cuts(path: Path) -> CutSet:
    """A cut without supervision of one audio file, or of each in a folder.

    Raises:
        DataError: there is no audio, or a file cannot be read.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in CUT_AUDIO_SUFFIXES)
        if not files:
            raise DataError("no audio in this folder", file=path, do=f"give files of {', '.join(CUT_AUDIO_SUFFIXES)}")
        return CutSet.from_cuts(_plain_cut(file, str(file.relative_to(path))) for file in files)
    if not path.is_file():
        raise DataError("no such file", file=path)
    if path.suffix.lower() not in CUT_AUDIO_SUFFIXES:
        raise DataError(
            "neither cuts nor audio",
            file=path,
            value=path.suffix,
            do=f"give {', '.join(CUTS_SUFFIXES + CUT_AUDIO_SUFFIXES)}",
        )
    return CutSet.from_cuts([_plain_cut(path, path.name)])


def read_unlabelled(path: Path) -> tuple[CutSet, int]:
    """The recordings of a folder, or one file, as cuts without supervisions; texts beside them are not read.

    Returns:
        the cuts, and how many files were left out because they are longer than a window.

    Raises:
        DataError: no audio there, a file cannot be read, or every file is longer than a window.
    """
    cuts = list(plain_cuts(path))
    kept = [cut for cut in cuts if cut.duration <= LONGEST_CUT_S]
    if not kept:
        rule = f"every recording is longer than {LONGEST_CUT_S:g} s"
        raise DataError(rule, file=path, value=f"{len(cuts)} files", do="cut them into utterances")
    return CutSet.from_cuts(kept), len(cuts) - len(kept)


def _plain_cut(path: Path, name: str) -> MonoCut | MultiCut:
    """Of all of a file; several channels are heard as their mean."""
    recording = recording_of(path, name)
    several = recording.num_channels > 1
    kind: type[MonoCut | MultiCut] = MultiCut if several else MonoCut
    channel: Any = recording.channel_ids if several else 0
    return kind(id=name, start=0, duration=recording.duration, channel=channel, recording=recording)
