"""The room stands alone."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import speech_analogy.merging

CHECK = """
import sys
{statement}
found = sorted({{name.split('.')[0] for name in sys.modules}} & {unwanted!r})
ours = sorted(name for name in sys.modules if name.startswith('speech_analogy.') and not name.startswith(
    ('speech_analogy.merging', 'speech_analogy.errors', 'speech_analogy.foundation', 'speech_analogy.plain_text')))
assert not found and not ours, (found, ours)
"""


def check(statement: str, unwanted: set[str]) -> None:
    code = CHECK.format(statement=statement, unwanted=unwanted)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_of_the_room_imports_speech() -> None:
    names = [
        module.name for module in pkgutil.walk_packages(speech_analogy.merging.__path__, "speech_analogy.merging.")
    ]
    check(f"import {', '.join(names)}", {"transformers", "lhotse", "torchaudio", "peft"})


def test_the_room_itself_and_its_commands_import_no_torch() -> None:
    check("import speech_analogy.merging", {"transformers", "lhotse", "torchaudio", "torch"})
    check(
        "import speech_analogy.foundation, speech_analogy.foundation.files",
        {"transformers", "lhotse", "torchaudio", "torch", "numpy"},
    )
