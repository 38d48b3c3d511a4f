"""Keys and passwords: whatever repeats them, a server, a program, an address, no error and no record shows them."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pytest

from data_synth.engines.base import Failure, Utterance
from data_synth.engines.command import CommandEngine, CommandOptions
from data_synth.text.expansion import ExpansionOptions, enlarge
from data_synth.text.texts import Text
from speech_analogy.cli.options import typed_command
from speech_analogy.errors import CheckpointError, DataError, SpeechAnalogyError, one_line
from speech_analogy.foundation.progress import Lines
from speech_analogy.plain_text import masked
from speech_analogy.recognisers.weights import resolve_weights

KEY = 'Zu7/kK+9"x-geheim'
TEXTS = [Text("1", "turn the lamp on", "home"), Text("2", "turn it off", "home")]


class _Echo(BaseHTTPRequestHandler):
    """Repeats what it was sent: in the status line, in an error's body, in an answer, cut where it hurts most."""

    how: ClassVar[str] = ""
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        sent = self.headers.get("Authorization", "")
        self.seen.append(sent)
        key = base64.b64decode(sent[6:]).decode() if sent.startswith("Basic") else sent.removeprefix("Bearer ")
        body = {
            "body": "x" * 70 + key,
            "coded": json.dumps(
                {"got": key, "url": quote(key, safe=""), "b64": base64.b64encode(key.encode()).decode()}
            ),
            "answer": json.dumps({"choices": [{"message": {"content": f"play {key}\nturn the blue lamp on"}}]}),
        }.get(self.how, "")
        self.send_response(*((401, f"bad key {key}") if self.how == "status" else (200, None)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        _Echo.seen.clear()
        yield f"127.0.0.1:{running.server_port}/v1"
        running.shutdown()


def ask(address: str, cache: Path) -> str:
    """The texts, or the error."""
    asked = {"endpoint": address, "texts": 2, "most_requests": 1, "attempts": 1, "key_variable": "LLM_OPENER"}
    try:
        options = ExpansionOptions.parse({"model": "m", **asked})
        return " ".join(text.text for text in enlarge(TEXTS, options, cache).texts)
    except SpeechAnalogyError as error:
        return str(error)


@pytest.mark.parametrize("how", ["status", "body", "coded", "answer"])
@pytest.mark.parametrize("where", ["environment", "address"])
def test_a_server_that_repeats_the_key(
    server: str, how: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Echo, "how", how)
    if where == "environment":
        monkeypatch.setenv("LLM_OPENER", KEY)
        said = ask(f"http://{server}", tmp_path)
        assert _Echo.seen == [f"Bearer {KEY}"]
    else:
        said = ask(f"http://me:{quote(KEY, safe='')}@{server}", tmp_path)
        assert _Echo.seen == ["Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()]
    kept = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    forms = (KEY, KEY[:5], quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), json.dumps(KEY)[1:-1])
    assert not [form for form in forms if form in said + kept], said
    assert bool(kept) == (how == "answer")


def test_an_address_that_is_none_does_not_show_its_password(tmp_path: Path) -> None:
    for address in ("http://me:geheim@127.0.0.1:9", "http://me:ge/heim@127.0.0.1:9", "http://me:ge#heim@127.0.0.1"):
        assert "heim" not in ask(address, tmp_path)
    for address in ("htps://me:geheim@host", "me:geheim@host/v1"):
        with pytest.raises(SpeechAnalogyError) as error:
            ExpansionOptions.parse({"model": "m", "endpoint": address})
        assert "geheim" not in str(error.value)


def test_a_key_that_no_header_can_hold(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("geheim\nx", "geheim\u2014x"):
        monkeypatch.setenv("LLM_OPENER", key)
        said = ask(f"http://{server}", tmp_path)
        assert "LLM_OPENER" in said
        assert "geheim" not in said


def test_a_hub_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://me:geheim12@127.0.0.1:9")
    with pytest.raises(CheckpointError, match="no model hub can be reached") as error:
        resolve_weights("nobody/nothing")
    assert "geheim" not in str(error.value)


def test_a_program_that_complains_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tts.py"
    program.write_text("import os, sys\nsys.exit(f'denied: {sys.argv[2]} {os.environ[\"TTS_API_KEY\"]}' + ' x' * 60)\n")
    monkeypatch.setenv("TTS_API_KEY", "sesame-open-1")
    options = CommandOptions.parse(
        {"command": [sys.executable, str(program), "--api-key", "sesame-shut-2", "{text_file}", "{out}"]}
    )
    [outcome] = CommandEngine(options).synthesize([Utterance("hello", "default", 0, {})])
    assert isinstance(outcome, Failure)
    assert "sesame" not in outcome.reason
    assert "denied" in outcome.reason


SECRET = "hf_AbCdEfGhIjKlMnOpQrStUv"
WRITTEN = {  # text -> what may not be in it when it is shown
    "https://me:pass@word@host/x": "word@",
    "http://host/v1?api_key=abc123&x=1": "abc123",
    "http://host/s3?X-Amz-Signature=0badf00d": "0badf00d",
    f"401 for {SECRET}": "AbCdEf",
    "Authorization: Bearer abcdefgh1": "abcdefgh1",
    "{'authorization': 'Basic bWU6cGFzcw=='}": "bWU6",
    "Bearer sk-1234567890abcdef": "67890",
    "speech-analogy adapt --token 'open sesame' --quiet": "sesame",
    "speech-analogy synthesize --llm-api-key=sesame": "sesame",
    "socks5://me:geheim@proxy:1080": "geheim",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_secrets_are_masked_where_texts_are_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Lines().say(text)
    errors = [DataError(text), DataError("r", file=text), DataError("r", field=text), DataError("r", value=text)]
    shown = [capsys.readouterr().err, *map(str, errors), DataError("r", do=text).args[0], one_line(ValueError(text))]
    assert len({WRITTEN[text] in one for one in shown}) == 1
    assert WRITTEN[text] not in shown[0]


@pytest.mark.parametrize(
    "text",
    [
        "bearer of bad news",
        "play track 3 at 10:30",
        "a key=4 of many",
        "mail@example.org",
        "http://host:80/a@b?q=1",
        "x: y",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_secrets_of_the_environment_are_masked_and_paths_and_flags_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "sesame-open")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-false")
    monkeypatch.setenv("CLOUD_CREDENTIALS", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://me:geheim12@proxy:1")
    error = DataError("sesame-open false-false geheim12", file=tmp_path)
    assert str(error) == f"{tmp_path}: *** false-false ***"
    assert error.rule == "*** false-false ***"
    assert error.file == tmp_path


def test_the_recorded_command_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/speech-analogy", "synthesize", "--llm-endpoint", "http://me:geheim@host/v1"])
    assert typed_command() == "speech-analogy synthesize --llm-endpoint http://***@host/v1"
