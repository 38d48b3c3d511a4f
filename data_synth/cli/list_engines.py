"""The verb `engines`: which engines are installed, the voices they speak in by default, what the others lack."""

from __future__ import annotations


def engines_command() -> None:
    """List the text-to-speech engines, each with its default voices or what it lacks."""
    from data_synth.engines import ENGINES, load_engine
    from speech_analogy.errors import SpeechAnalogyError

    for name in ENGINES.names():
        try:
            voices = load_engine(name).voices()
        except SpeechAnalogyError as error:
            print(f"{name}: not ready: {error}")
        else:
            print(f"{name}: {', '.join(voices)}")
