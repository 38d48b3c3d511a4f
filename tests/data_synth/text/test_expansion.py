"""Texts of a language model: parsed, filtered, cached; the endpoint is a small server of this test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_synth.text import expansion
from data_synth.text.expansion import ExpansionOptions, enlarge, parse_answer
from data_synth.text.texts import Text
from speech_analogy.errors import ConfigError, DataError, SynthesisError
from tests.data_synth.program import status_of

TEXTS = [Text.of(words, domain) for domain in ("music", "home") for words in ("Turn it up", "play jazz", "stop now")]


class Server(HTTPServer):
    """Answers in order of `statuses` (then 200), numbering its utterances; keeps what it was asked."""

    statuses: list[int]
    asked: list[tuple[str, str | None, dict[str, Any]]]
    body: bytes | None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        lines = "".join(f"{n}. new words {'abcdefghijklmnop'[n]} {body['seed']}\n" for n in range(5))
        answer = self.server.body or json.dumps({"choices": [{"message": {"content": lines}}]}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(expansion, "FIRST_WAIT_S", 0.0)
    served = Server(("127.0.0.1", 0), Handler)
    served.statuses, served.asked, served.body = [], [], None
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


def options(server: Server | None = None, **values: object) -> ExpansionOptions:
    url = {"endpoint": f"http://127.0.0.1:{server.server_port}/v1/"} if server else {}
    return ExpansionOptions.parse({"model": "m", "texts": 7, "lines": 5, "examples": 2, **url, **values})


def test_an_endpoint_is_asked_once_and_a_second_run_has_the_same_texts(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    first = enlarge(TEXTS, options(server), tmp_path / "cache")
    assert [text.domain for text in first.texts] == ["music"] * 7 + ["home"] * 7
    assert len({text.id for text in first.texts}) == 14
    assert all(text.id.startswith("lm-") and text.text.startswith("new words") for text in first.texts)
    assert (first.requests, first.cached, len(server.asked)) == (4, 0, 4)
    path, key, body = server.asked[0]
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer secret", "m")
    prompt = body["messages"][0]["content"]
    assert 'domain "music"' in prompt
    assert sum(text.text in prompt for text in TEXTS[:3]) == 2
    again = enlarge(TEXTS, options(server), tmp_path / "cache")
    assert (again.texts, again.requests, again.cached, len(server.asked)) == (first.texts, 0, 4, 4)
    assert "secret" not in "".join(file.read_text() for file in (tmp_path / "cache").iterdir())


def test_a_run_that_broke_off_asks_only_for_the_rest(server: Server, tmp_path: Path) -> None:
    server.statuses = [200, 200, 400]
    with pytest.raises(SynthesisError, match="refused: 400"):
        enlarge(TEXTS, options(server), tmp_path)
    resumed = enlarge(TEXTS, options(server), tmp_path)
    assert (resumed.cached, resumed.requests) == (2, 2)
    assert resumed.texts == enlarge(TEXTS, options(server), tmp_path / "other").texts


@pytest.mark.parametrize(
    ("statuses", "said", "asked"),
    [
        ([503, 429, 200], None, 3),
        ([503] * 9, "refused: 503", 3),
        ([401], "OPENAI_API_KEY", 1),
        ([302], "refused: 302", 1),
    ],
)
def test_faults_of_an_endpoint(
    server: Server, tmp_path: Path, statuses: list[int], said: str | None, asked: int
) -> None:
    server.statuses = statuses
    if said is None:
        assert len(enlarge(TEXTS[:3], options(server, texts=5, attempts=3), tmp_path).texts) == 5
    else:
        with pytest.raises(SynthesisError, match=said):
            enlarge(TEXTS, options(server, attempts=3), tmp_path)
    assert len(server.asked) == asked


def test_another_protocol_no_server_and_another_scheme(server: Server, tmp_path: Path) -> None:
    server.body = b"<html>"
    with pytest.raises(SynthesisError, match="not one of the chat protocol"):
        enlarge(TEXTS, options(server), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SynthesisError, match="cannot be reached"):
        enlarge(TEXTS, options(endpoint="http://127.0.0.1:9/v1", attempts=1), tmp_path)
    with pytest.raises(ConfigError, match="http"):
        options(endpoint="file:///etc")


def test_lines_are_taken_out_of_an_answer() -> None:
    answer = '<think>\nlet me see\n</think>Here are 3 utterances:\n\n1. play  blues\n2) "skip this"\n- stop it\n'
    answer += "10: louder\n3 songs\n"
    assert parse_answer(answer) == ["play blues", "skip this", "stop it", "louder", "3 songs"]


def test_what_is_not_of_the_domain_is_left_out_and_counted(tmp_path: Path) -> None:
    answer = "PLAY  jazz\nplay blues\nPlay Blues\nиграй\nplay 🎵\n<b>x</b>\none two three four\n12\n"
    found = enlarge(TEXTS[:3], options(words=(1, 3), most_requests=2), tmp_path, lambda prompt, seed: answer)
    assert [text.text for text in found.texts] == ["play blues"]
    assert found.left_out == {"duplicate": 5, "characters": 8, "length": 2}


def test_a_broken_answer_in_the_cache_is_told(tmp_path: Path) -> None:
    enlarge(TEXTS[:3], options(most_requests=1), tmp_path, lambda prompt, seed: "play blues")
    [file] = tmp_path.iterdir()
    file.write_text("{")
    with pytest.raises(DataError, match="delete it"):
        enlarge(TEXTS[:3], options(most_requests=1), tmp_path, lambda prompt, seed: "play blues")


@pytest.mark.usefixtures("plugin")
def test_the_command_fills_templates_enlarges_and_speaks_and_does_so_again_from_the_cache(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "templates.txt").write_text("set it to {number} %\nSET it to {number} %\n")
    (tmp_path / "slots.json").write_text('{"number": [1, 2, 3]}')
    out = tmp_path / "out"
    arguments = [str(tmp_path / "templates.txt"), "--out", str(out), "--engines", "fake", "--quiet"]
    arguments += ["--slots", str(tmp_path / "slots.json"), "--count", "2"]
    arguments += ["--llm", "m", "--llm-endpoint", options(server).endpoint, "--llm-texts", "3"]
    assert status_of(arguments) == 0
    printed = capsys.readouterr().out
    assert "read: 1 texts of 2 lines (0 blank, 1 duplicates left out)" in printed
    assert "templates: 2 texts of 3 combinations" in printed
    assert "language model: 3 texts of 1 requests (0 from the cache; left out: more than asked for 2)" in printed
    assert "5 of 5 clips kept" in printed
    assert (
        "texts spoken differently from how they are written: 5" in printed
    )  # the model's end in a number, as the templates do
    assert status_of(arguments) == 0
    assert "0 made now" in capsys.readouterr().out
    assert len(server.asked) == 1


def test_a_count_without_slots_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.txt").write_text("stop\n")
    assert status_of([str(tmp_path / "texts.txt"), "--out", str(tmp_path / "out"), "--count", "2"]) == 2
    assert "--slots" in capsys.readouterr().err
