"""The command line in forks of one process, which has imported everything: a fault is injected at any moment of a verb.

What two runs write is compared but for what the clock says.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from speech_analogy.adaptation.runs.key import KEY_FILE
from speech_analogy.cli import main as cli
from tests.adaptation.building import stages_in_this_process

HOUR_S = 3600.0
DATE = re.compile(rb"20\d\d-\d\d-\d\d(T[\d:.+]+)?")
GRACE_S = 30.0  # for the processes that a fork has started to end with it
BY_THE_CLOCK = {
    "created",
    "seconds",
    "utterances_per_second",
    "real_time_factor",
    "command",
    "machine",
    "made",
    "digest",
    "digests",
    "files",
    "sha256",
}
"""Keys of JSON whose values differ from run to run, or are digests of what does."""
LEFT_OUT = ("tensorboard", ".lock", "report.html", "results.md", "README.md")
"""Parts of paths that are not compared: logs by the second, locks, pages that show the time."""


@dataclass(frozen=True)
class Ended:
    """How a fork ended: its status (128 + the signal that ended it), what it said, and how long it took."""

    status: int
    said: str
    seconds: float

    @property
    def in_one_line(self) -> bool:
        """Status 2, one line, no traceback."""
        lines = [line for line in self.said.splitlines() if line.startswith("speech-analogy: ")]
        return self.status == 2 and len(lines) == 1 and "Traceback" not in self.said


def run(
    arguments: Sequence[object],
    *,
    signal_number: int | None = None,
    after_s: float = HOUR_S,
    file_bytes: int | None = None,
) -> Ended:
    """Run `speech-analogy ARGUMENTS` in a fork.

    Args:
        signal_number: sent `after_s` seconds after it has begun; SIGINT to its whole group, as a terminal does.
        file_bytes: no file may grow beyond this size: as on a full disk, a write fails midway.
    """
    ready, go = os.pipe()
    hears, says = os.pipe()  # no file: its size would be limited, too
    child = os.fork()
    if child == 0:
        os.close(ready)
        os.close(hears)
        _child([str(one) for one in arguments], says, go, file_bytes)
    os.close(go)
    os.close(says)
    heard: list[bytes] = []
    listener = threading.Thread(target=_listen, args=(hears, heard), daemon=True)
    listener.start()
    os.read(ready, 1)
    os.close(ready)
    begun = time.monotonic()
    if signal_number is not None:
        while time.monotonic() - begun < after_s and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        with suppress(ProcessLookupError):
            os.killpg(child, signal_number) if signal_number == signal.SIGINT else os.kill(child, signal_number)
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:  # it had ended before the signal
        status = 0
    code = os.waitstatus_to_exitcode(status)
    listener.join(GRACE_S)
    said = b"".join(heard).decode("utf-8", "replace")
    return Ended(code if code >= 0 else 128 - code, said, time.monotonic() - begun)


def _listen(hears: int, heard: list[bytes]) -> None:
    with os.fdopen(hears, "rb") as stream:
        while part := stream.read1(1 << 16):  # type: ignore[attr-defined]
            heard.append(part)


def _child(arguments: list[str], says: int, go: int, file_bytes: int | None) -> None:
    status: Any = 1
    try:
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(says, stream)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w", buffering=1) for stream in (1, 2))
        sys.argv = ["speech-analogy", *arguments]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        with stages_in_this_process():
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.write(go, b"1")
            cli.main()
    except SystemExit as ended:
        status = ended.code
    except BaseException as error:
        import traceback

        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        os._exit(status if isinstance(status, int) else 0)


def contents(place: Path) -> dict[str, Any]:
    """Everything in a folder, or one file, in a form that the clock does not change."""
    files = [place] if place.is_file() else [path for path in sorted(place.rglob("*")) if path.is_file()]
    found: dict[str, Any] = {}
    for path in files:
        name = path.name if path == place else str(path.relative_to(place))
        if not any(part in name for part in LEFT_OUT):
            found[name] = _content(path)
    return found


def _content(path: Path) -> Any:
    name = path.name
    if _is_safetensors(path):
        with safe_open(path, "np") as file:
            metadata = {key: _timeless(value) for key, value in (file.metadata() or {}).items()}
            return metadata, {key: file.get_tensor(key).tobytes() for key in sorted(file.keys())}
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    if name.endswith((".json", ".jsonl", ".jsonl.gz")):
        return [_timeless(line) for line in ([data.decode()] if name.endswith(".json") else data.decode().splitlines())]
    if name == KEY_FILE:  # digests of files that say how long they took
        return [line.split()[-1] for line in data.decode().splitlines()]
    return DATE.sub(b"DATE", data)


def _is_safetensors(path: Path) -> bool:
    """Vectors may have any name."""
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _timeless(text: str) -> Any:
    try:
        return _without_clock(json.loads(text))
    except ValueError:
        return text


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clock(one) for key, one in value.items() if key not in BY_THE_CLOCK}
    return [_without_clock(one) for one in value] if isinstance(value, list) else value


def leftovers(folder: Path) -> list[str]:
    """Names of what was being written, and of locks beside outputs."""
    names = (path for path in folder.rglob("*") if ".partial" in path.name or path.name.endswith(".replaced"))
    beside = (path for path in folder.rglob(".*.lock"))
    return sorted(str(path.relative_to(folder)) for path in (*names, *beside))
