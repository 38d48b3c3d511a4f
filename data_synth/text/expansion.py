"""More texts of a domain from a language model that is shown some of its own; off unless it is asked for.

Few-shot prompts as in Su et al., "Corpus Synthesis for Zero-shot ASR Domain Adaptation using Large Language Models"
(arXiv 2309.10707, section 2). The model is any callable, or any server that speaks OpenAI's chat protocol. Answers are
kept on disk under a hash of what was asked, so a run that is started again has the same texts and asks nothing twice.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import time
import unicodedata
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import Field, field_validator

from data_synth.text.texts import ID_DIGITS, Text, folded
from speech_analogy.errors import DataError, SynthesisError
from speech_analogy.foundation.digests import derive, digest
from speech_analogy.foundation.files import whole_file
from speech_analogy.foundation.options import Options
from speech_analogy.foundation.user_files.json_text import parse_json
from speech_analogy.foundation.user_files.plain import read_text
from speech_analogy.plain_text import masked, without

Complete: TypeAlias = Callable[[str, int], str]  # (prompt, seed) -> answer

PROMPT = """These are utterances of the domain "{domain}", one a line:
{examples}

Write {lines} more utterances of this domain. They must be different from these and from one another, in the same \
language and style. Write one utterance a line, without numbering, quotation marks or comments."""
ID_PREFIX = "lm-"  # of the id of a text that a model wrote
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0  # before a request is tried again
LONGEST_ANSWER_BYTES = 16_000_000
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})  # HTTP statuses
THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
BULLET = re.compile(r"^\s*(?:[-*•–]\s+|\(?\d{1,4}[.):]\s+)")
QUOTES = "\"'“”‘’«»`*"
MARKUP = frozenset("<>{}[]|\\`")


class ExpansionOptions(Options):
    """What a language model is asked for. All but the endpoint, its key and patience decide about the texts."""

    model: str = Field(min_length=1, description="its name at the endpoint")
    endpoint: str = Field(
        default="http://localhost:8000/v1", description="base URL, with user and password if need be; see `endpoint`"
    )
    texts: int = Field(default=100, ge=1, description="new texts of every domain")
    examples: int = Field(default=10, ge=1, description="of the domain's own texts in a prompt")
    lines: int = Field(default=20, ge=1, le=200, description="texts asked for by a request")
    most_requests: int | None = Field(default=None, ge=1, description="of a domain; None: thrice what should do")
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    words: tuple[int, int] = Field(default=(1, 40), description="fewest and most of a text")
    most_characters: int = Field(default=300, ge=1)
    seed: int = Field(default=0, ge=0)
    key_variable: str = Field(default="OPENAI_API_KEY", description="environment variable of the key, if it is set")
    timeout_s: float = Field(default=120.0, gt=0.0)
    attempts: int = Field(default=4, ge=1, description="at a request, waiting longer each time")

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, endpoint: str) -> str:
        if not endpoint.startswith(("http://", "https://")):
            raise ValueError("endpoint must begin with http:// or https://")
        try:
            urlsplit(endpoint).port  # noqa: B018 - a port that is no number is an error of its own
        except ValueError:
            raise ValueError("endpoint must be http(s)://[user:password@]host[:port]/..., %-coded") from None
        return endpoint.rstrip("/")


@dataclass
class Enlargement:
    """What a model gave: new texts, domains in order; requests of this run; lines left out, by reason."""

    texts: list[Text] = field(default_factory=list)
    requests: int = 0
    cached: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """`100 texts of 6 requests (2 from the cache; left out: duplicate 3)`."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.left_out.most_common())
        details = f"{self.cached} from the cache" + (f"; left out: {reasons}" if reasons else "")
        return f"{len(self.texts)} texts of {self.requests + self.cached} requests ({details})"


def enlarge(
    texts: Sequence[Text], options: ExpansionOptions, cache: Path, complete: Complete | None = None
) -> Enlargement:
    """New texts for every domain of `texts`, none of them (but for case) among those given or twice.

    Args:
        texts: the domains' own texts, from which examples are drawn.
        options: see `ExpansionOptions`.
        cache: a folder for answers; the same texts and options with the same folder give the same texts.
        complete: the model; None asks `options.endpoint`.

    Raises:
        SynthesisError: the endpoint cannot be reached, refuses, or answers in another form.
        DataError: an answer in the cache is broken.
    """
    ask = complete or endpoint(options)
    enlarged = Enlargement()
    for domain in dict.fromkeys(text.domain for text in texts):
        own = [text.text for text in texts if text.domain == domain]
        _enlarge_domain(domain, own, options, cache, ask, enlarged)
    return enlarged


def _enlarge_domain(
    domain: str, own: list[str], options: ExpansionOptions, cache: Path, ask: Complete, enlarged: Enlargement
) -> None:
    said = {folded(words) for words in own}
    scripts = _scripts(" ".join(own))
    most = options.most_requests or 3 * -(-options.texts // options.lines)
    found = 0
    for number in range(most):
        seed = derive(options.seed, "language model", domain, number)
        shown = random.Random(seed).sample(own, min(options.examples, len(own)))
        prompt = PROMPT.format(domain=domain, examples="\n".join(shown), lines=options.lines)
        for words in parse_answer(_answer(prompt, seed, options, cache, ask, enlarged)):
            reason = _fault(words, options, scripts) or ("duplicate" if folded(words) in said else None)
            if reason or found == options.texts:
                enlarged.left_out[reason or "more than asked for"] += 1
                continue
            said.add(folded(words))
            found += 1
            enlarged.texts.append(Text(ID_PREFIX + digest([words, domain])[:ID_DIGITS], words, domain))
        if found == options.texts:
            return


def parse_answer(answer: str) -> list[str]:
    """The utterances of an answer: its lines without numbers, bullets, quotation marks, headings and thoughts."""
    utterances = []
    for line in THOUGHT.sub("", answer).splitlines():
        words = " ".join(BULLET.sub("", line).split()).strip(QUOTES).strip()
        if words and not words.endswith(":"):
            utterances.append(words)
    return utterances


def _fault(words: str, options: ExpansionOptions, scripts: set[str]) -> str | None:
    low, high = options.words
    if not low <= len(words.split()) <= high or len(words) > options.most_characters:
        return "length"
    odd = any(character in MARKUP or unicodedata.category(character) in ("Cc", "Cs", "Co", "So") for character in words)
    return "characters" if odd or not _scripts(words) or not _scripts(words) <= scripts else None


def _scripts(words: str) -> set[str]:
    """The scripts of its letters: the first words of their names, such as LATIN."""
    return {unicodedata.name(letter, "NONE").split()[0] for letter in set(words) if letter.isalpha()}


def _answer(
    prompt: str, seed: int, options: ExpansionOptions, cache: Path, ask: Complete, enlarged: Enlargement
) -> str:
    asked = {"model": options.model, "prompt": prompt, "temperature": options.temperature, "seed": seed}
    path = cache / f"{digest(asked)}.json"
    if path.exists() and (kept := _kept(path)) is not None:
        enlarged.cached += 1
        return kept
    answer = ask(prompt, seed)
    enlarged.requests += 1
    with whole_file(path, one_of_many=True) as temporary:  # several runs may share a cache
        temporary.write_text(json.dumps({**asked, "answer": answer}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return answer


def _kept(path: Path) -> str | None:
    """The answer in a file of the cache; None where the file is empty, as a loss of power leaves it.

    Raises:
        DataError: it is another file.
    """
    text = read_text(path, most_bytes=2 * LONGEST_ANSWER_BYTES)
    if not text:
        return None
    with suppress(ValueError, KeyError, TypeError):
        answer = parse_json(text)["answer"]
        if isinstance(answer, str):
            return answer
    raise DataError("is not an answer of a language model", file=path, do="delete it")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the key goes to the endpoint that was named, and to no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def endpoint(options: ExpansionOptions) -> Complete:
    """A model behind OpenAI's chat protocol, asked with the standard library.

    `/chat/completions` is added to the address. User and password in it are sent by HTTP's basic scheme, in place of
    the key. Neither these nor the key are in any error or answer.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    base, credentials = _without_user(options.endpoint)
    url = f"{base}/chat/completions"
    sent, secrets = _authorization(credentials, os.environ.get(options.key_variable, "").strip())

    def refused(rule: str, do: str | None = None, value: str | None = None) -> SynthesisError:
        return SynthesisError(masked(rule, *secrets), field=url, value=value and masked(value, *secrets)[:80], do=do)

    def complete(prompt: str, seed: int) -> str:
        asked: dict[str, Any] = {
            "model": options.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": options.temperature,
            "seed": seed % 2**31,  # servers take signed 32-bit integers
        }
        headers = {"Content-Type": "application/json", **sent}
        request = urllib.request.Request(url, json.dumps(asked).encode("utf-8"), headers, method="POST")
        for attempt in range(options.attempts):
            last = attempt + 1 == options.attempts
            try:
                with opener.open(request, timeout=options.timeout_s) as response:
                    body = response.read(LONGEST_ANSWER_BYTES).decode("utf-8", errors="replace")
                try:
                    return without(_content(body), *secrets)
                except _WrongFormError:
                    raise refused("the answer is not one of the chat protocol", value=body) from None
            except ValueError:  # it quotes the key
                variable = f"check the environment variable {options.key_variable}"
                raise refused("the key cannot be sent in a header of HTTP", variable) from None
            except urllib.error.HTTPError as error:
                if last or error.code not in RETRIED:
                    do = "set its key" if error.code in (401, 403) else None
                    raise refused(
                        f"the language model refused: {error.code} {error.reason}",
                        do and f"{do} in the environment variable {options.key_variable}",
                    ) from None
            except (OSError, HTTPException) as error:
                if last:
                    reason = getattr(error, "reason", error)
                    raise refused(f"the language model cannot be reached: {reason}") from None
            time.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt))
        raise AssertionError("the last attempt returns or raises")

    return complete


def _without_user(address: str) -> tuple[str, str]:
    """An address without user and password, and these as `user:password`; empty where there are none."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), unquote(user)


def _authorization(credentials: str, key: str) -> tuple[dict[str, str], list[str]]:
    """The header that opens the endpoint, and what must be shown nowhere."""
    secrets = [key, credentials, credentials.partition(":")[2]]
    if credentials:
        return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}, secrets
    return {"Authorization": f"Bearer {key}"} if key else {}, secrets


class _WrongFormError(Exception):
    """An answer that is not one of the chat protocol."""


def _content(body: str) -> str:
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _WrongFormError from None
