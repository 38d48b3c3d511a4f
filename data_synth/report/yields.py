"""What became of what was asked for: yield by domain, engine, voice and gate, retries, and the words that were lost.

A ledger is read line by line; what is remembered grows with voices, gates and different words, and by 24 bytes a row.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_synth.plan.attempt import LedgerRow
from data_synth.store.ledger import LEDGER_NAME, read_rows, reason_gate

WORDS_LISTED = 40
KEY_DIGITS = 16  # of a clip's key: 64 bits distinguish a million rows
HASH_MASK = 2**64 - 1
BANDS = (1, 2, 4, 8, 16, 64, 256)  # clips a word was asked for in: where the bands of `by_frequency` begin
CHANCE = 0.05  # a word is listed where the loss is less likely than this to be chance
ENGINE_GATE, UNSPEAKABLE_GATE = "engine", "unspeakable"  # reasons that no gate gave
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Yield:
    """One domain, engine or voice. `asked` and `kept` count clips, `attempts` what was spoken for them."""

    name: str
    asked: int
    kept: int
    attempts: int
    seconds: float

    @property
    def share(self) -> float:
        """Clips kept of clips asked for, 0 to 1."""
        return self.kept / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class GateYield:
    """One gate, over attempts: how many it judged, how many failed it, and how many it was the reason of."""

    name: str
    judged: int
    failed: int
    reason: int
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class AttemptYield:
    """The first, second, ... attempt at a clip: how often it was made, and kept."""

    number: int
    made: int
    kept: int


@dataclass(frozen=True)
class WordYield:
    """One word: in how many clips asked for it was, in how many kept ones, and which gate rejected it most.

    `chance` is the probability of losing that many clips or more if words were lost at the rate of all clips.
    """

    word: str
    asked: int
    kept: int
    chance: float
    gate: str


@dataclass(frozen=True)
class Band:
    """Words asked for in `low` to `high` clips: how many words, how many in no kept clip, and their clips' yield."""

    low: int
    high: int | None
    words: int
    unheard: int
    asked: int
    kept: int


@dataclass(frozen=True)
class Yields:
    """What a ledger came to. `asked` counts clips (texts that can be spoken × clips a text), `rows` attempts.

    `torn`: the last line was torn by a kill, and not counted.
    """

    rows: int
    texts: int
    texts_without_clip: int
    asked: int
    kept: int
    seconds: float
    unspeakable: int
    torn: bool
    by_domain: tuple[Yield, ...]
    by_engine: tuple[Yield, ...]
    by_voice: tuple[Yield, ...]
    by_gate: tuple[GateYield, ...]
    attempts: tuple[AttemptYield, ...]
    by_frequency: tuple[Band, ...]
    words: int
    words_unheard: int
    lost_words: tuple[WordYield, ...]

    @property
    def share(self) -> float:
        """Clips kept of clips asked for, 0 to 1."""
        return self.kept / self.asked if self.asked else 0.0

    def to_json(self) -> str:
        """All of it as JSON, with a final newline."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def measure(ledger: Path, words_listed: int = WORDS_LISTED) -> Yields:
    """The yields of a folder's ledger. A clip that was made again (its file had gone) counts once."""
    path = ledger / LEDGER_NAME if ledger.is_dir() else ledger
    tally = YieldCounts()
    for row in read_rows(path):
        tally.add(row)
    again = tally.repeated()
    if again:  # only in the ledger of a run that was killed after making lost clips again
        tally = YieldCounts(skip=again)
        for row in read_rows(path):
            tally.add(row)
    return tally.result(words_listed, torn=_torn(path))


def words_of(text: str) -> set[str]:
    """The different words of a text, in lower case."""
    return {word.replace("’", "'") for word in _WORD.findall(text.casefold())}


@dataclass(slots=True)
class _Count:
    asked: int = 0
    kept: int = 0
    attempts: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _GateCount:
    judged: int = 0
    failed: int = 0
    reason: int = 0
    minimum: float | None = None
    maximum: float | None = None


@dataclass(slots=True)
class _WordCount:
    asked: int = 0
    kept: int = 0
    gates: Counter[str] | None = None  # of rejected attempts; most words have none


@dataclass
class YieldCounts:
    """The counts of rows added so far; `skip` says how many earlier copies of a repeated key are to be left out."""

    skip: Counter[int] = field(default_factory=Counter)
    rows: int = 0
    unspeakable: int = 0
    keys: array[int] = field(default_factory=lambda: array("Q"))
    texts: array[int] = field(default_factory=lambda: array("Q"))  # hashes of ids, of rows and of kept rows
    texts_kept: array[int] = field(default_factory=lambda: array("Q"))
    places: dict[tuple[str, str, str], _Count] = field(default_factory=dict)  # (domain, engine, voice)
    gates: dict[str, _GateCount] = field(default_factory=dict)
    made: Counter[int] = field(default_factory=Counter)  # by attempt
    kept: Counter[int] = field(default_factory=Counter)
    words: dict[str, _WordCount] = field(default_factory=dict)

    def add(self, row: LedgerRow) -> None:
        """Count one row."""
        key = int(row.key[:KEY_DIGITS], 16)
        if self.skip.get(key, 0) > 0:
            self.skip[key] -= 1
            return
        self.keys.append(key)
        self.rows += 1
        text = hash(row.text_id) & HASH_MASK
        self.texts.append(text)
        if row.kept:
            self.texts_kept.append(text)
        if not row.engine:
            self.unspeakable += 1
            self._reason(row)
            return
        count = self.places.setdefault((row.domain, row.engine, row.voice), _Count())
        count.attempts += 1
        count.asked += row.attempt == 0
        count.kept += row.kept
        count.seconds += row.duration_s or 0.0
        self.made[row.attempt] += 1
        self.kept[row.attempt] += row.kept
        self._gates(row)
        self._words(row)

    def repeated(self) -> Counter[int]:
        """Keys that came more than once, and how often more."""
        keys, counts = np.unique(np.frombuffer(self.keys, dtype=np.uint64), return_counts=True)
        return Counter({int(key): int(count) - 1 for key, count in zip(keys, counts, strict=True) if count > 1})

    def result(self, words_listed: int = WORDS_LISTED, torn: bool = False) -> Yields:
        """The tables of what was counted."""
        whole = self._grouped(lambda place: "all")
        total = whole[0] if whole else Yield("all", 0, 0, 0, 0.0)
        texts, with_clip = (_different(ids) for ids in (self.texts, self.texts_kept))
        return Yields(
            rows=self.rows,
            texts=texts,
            texts_without_clip=texts - with_clip,
            asked=total.asked,
            kept=total.kept,
            seconds=total.seconds,
            unspeakable=self.unspeakable,
            torn=torn,
            by_domain=self._grouped(lambda place: place[0]),
            by_engine=self._grouped(lambda place: place[1]),
            by_voice=self._grouped(lambda place: f"{place[1]}:{place[2]}"),
            by_gate=tuple(
                GateYield(name, **dataclasses.asdict(count))
                for name, count in sorted(self.gates.items(), key=lambda item: -item[1].reason)
            ),
            attempts=tuple(AttemptYield(n + 1, self.made[n], self.kept[n]) for n in sorted(self.made)),
            by_frequency=_bands(self.words),
            words=len(self.words),
            words_unheard=sum(count.kept == 0 for count in self.words.values()),
            lost_words=_lost_words(self.words, 1 - total.share, words_listed),
        )

    def _reason(self, row: LedgerRow) -> None:
        if not row.kept:
            self.gates.setdefault(reason_gate(row), _GateCount()).reason += 1

    def _gates(self, row: LedgerRow) -> None:
        for name, gate in row.gates.items():
            count = self.gates.setdefault(name, _GateCount())
            count.judged += 1
            count.minimum, count.maximum = gate.minimum, gate.maximum
            count.failed += (
                gate.value is None
                or (gate.minimum is not None and gate.value < gate.minimum)
                or (gate.maximum is not None and gate.value > gate.maximum)
            )
        self._reason(row)

    def _words(self, row: LedgerRow) -> None:
        for word in words_of(row.text):
            count = self.words.setdefault(word, _WordCount())
            count.asked += row.attempt == 0
            count.kept += row.kept
            if not row.kept:
                if count.gates is None:
                    count.gates = Counter()
                count.gates[reason_gate(row)] += 1

    def _grouped(self, name: Callable[[tuple[str, str, str]], str]) -> tuple[Yield, ...]:
        groups: dict[str, _Count] = {}
        for place, count in self.places.items():
            group = groups.setdefault(name(place), _Count())
            group.asked += count.asked
            group.kept += count.kept
            group.attempts += count.attempts
            group.seconds += count.seconds
        return tuple(
            Yield(key, group.asked, group.kept, group.attempts, round(group.seconds, 3))
            for key, group in sorted(groups.items())
        )


def chance_of(lost: int, asked: int, rate: float) -> float:
    """P(X ≥ lost) of a binomial X of `asked` draws at `rate`."""
    if lost <= 0:
        return 1.0
    if rate <= 0.0:
        return 0.0
    from scipy.stats import binom

    return float(binom.sf(lost - 1, asked, rate))


def _lost_words(words: Mapping[str, _WordCount], rate: float, listed: int) -> tuple[WordYield, ...]:
    """Words lost more often than chance explains, the least likely first."""
    pairs: Counter[tuple[int, int]] = Counter()  # (lost, asked): few different ones, however many words
    for count in words.values():
        pairs[max(count.asked - count.kept, 0), count.asked] += 1
    chances = {pair: chance_of(*pair, rate) for pair in pairs}
    found = []
    for word, count in words.items():
        lost = max(count.asked - count.kept, 0)
        chance = chances[lost, count.asked]
        if lost and chance < CHANCE:
            found.append((chance, -lost, word, count))
    return tuple(
        WordYield(word, count.asked, count.kept, chance, count.gates.most_common(1)[0][0] if count.gates else "")
        for chance, _, word, count in sorted(found, key=lambda item: item[:3])[:listed]
    )


def _bands(words: Mapping[str, _WordCount]) -> tuple[Band, ...]:
    """Yield by how often a word was asked for; bands without words are left out."""
    edges: Sequence[float] = (*BANDS, math.inf)
    bands = []
    for low, after in zip(BANDS, edges[1:], strict=True):
        inside = [count for count in words.values() if low <= count.asked < after]
        if inside:
            high = None if math.isinf(after) else int(after) - 1
            unheard = sum(count.kept == 0 for count in inside)
            asked, kept = (sum(getattr(count, name) for count in inside) for name in ("asked", "kept"))
            bands.append(Band(low, high, len(inside), unheard, asked, kept))
    return tuple(bands)


def _different(hashes: array[int]) -> int:
    return int(np.unique(np.frombuffer(hashes, dtype=np.uint64)).size)


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return False
        file.seek(-1, 2)
        return file.read(1) != b"\n"
