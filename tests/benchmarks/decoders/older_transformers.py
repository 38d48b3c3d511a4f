"""transformers 4 in an interpreter of its own, beside the transformers 5 that the project needs: the same pipeline.

Run by `compare.py --transformers-4 PYTHON`; PYTHON needs transformers 4, torch and soundfile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from lhotse import CutSet

from speech_analogy.corpora.audio import WHISPER_RATE_HZ, load_audio
from speech_analogy.evaluation.transcribe import Transcript, Transcription

OLDER_PIPELINE = "transformers 4 pipeline"
SCRIPT = """
import json, sys, time, warnings
import soundfile, torch, transformers
warnings.filterwarnings("ignore")
transformers.utils.logging.set_verbosity_error()
assert transformers.__version__.startswith("4."), transformers.__version__
folder, threads, call, files = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), json.load(sys.stdin)
torch.set_num_threads(threads)
torch.manual_seed(0)
speech = transformers.pipeline("automatic-speech-recognition", model=folder)
start, texts = time.perf_counter(), []
for file in files:
    samples, rate = soundfile.read(file, dtype="float32")
    texts.append(speech({"raw": samples, "sampling_rate": rate}, **call)["text"].strip())
print(json.dumps({"version": transformers.__version__, "texts": texts, "seconds": time.perf_counter() - start}))
"""


def in_older_pipeline(python: str, model: Path, cuts: CutSet, language: str, multilingual: bool) -> Transcription:
    """What the pipeline of that interpreter writes, called as the one of transformers 5 is."""
    import torch

    spoken = {"generate_kwargs": {"language": language, "task": "transcribe"}} if multilingual else {}
    with tempfile.TemporaryDirectory(prefix="speech-analogy-") as work:
        files = []
        for number, cut in enumerate(cuts):
            files.append(str(Path(work) / f"{number}.wav"))
            soundfile.write(files[-1], load_audio(cut, WHISPER_RATE_HZ), WHISPER_RATE_HZ, subtype="FLOAT")
        command = [python, "-c", SCRIPT, str(model), str(torch.get_num_threads()), json.dumps(spoken)]
        done = subprocess.run(command, input=json.dumps(files), text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip().splitlines()[-1]}")
    found = json.loads(done.stdout.splitlines()[-1])
    rows = [Transcript(cut.id, text, cut.duration) for cut, text in zip(cuts, found["texts"], strict=True)]
    return Transcription(rows, "full", found["seconds"], f"transformers {found['version']} pipeline")
