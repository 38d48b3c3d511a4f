"""One clip to be made, and a batch of them as a worker's job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_synth.channel.chain import ChannelOptions
from data_synth.plan.attempt import LedgerRow, clip_key
from data_synth.plan.variants import part_variant
from speech_analogy.foundation.digests import derive


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip to be made: `text` is its label, `spoken` what the engine is given to say.

    `seeds` holds the seed of every attempt that may be made at it; what passes the gates goes through `channel`.
    """

    text_id: str
    text: str
    spoken: str
    domain: str
    engine: str
    voice: str
    revision: str
    parameters: dict[str, int | float | str]
    seeds: tuple[int, ...]
    seeded: bool
    channel: ChannelOptions | None = None
    variant: str = ""

    @property
    def speaks(self) -> str:
        """The voice that its engine is asked for: a variant is made of what that one says."""
        return part_variant(self.voice)[0] if self.variant else self.voice

    def key(self, attempt: int) -> str:
        """The key of one attempt."""
        seed, channel = self.seeds[attempt], None
        if self.channel is not None:
            channel = {"options": self.channel.model_dump(mode="json"), **self.channel.content(channel_seed(seed))}
        return clip_key(self.text, self.engine, self.voice, self.revision, self.parameters, seed, self.spoken, channel)

    def after(self, row: LedgerRow) -> int | None:
        """The attempt to be made after `row`; None where the clip is kept, or a further one is of no use."""
        hopeless = not self.seeded and bool(row.gates)  # the same samples would meet the same gates
        if row.kept or hopeless or row.attempt + 1 >= len(self.seeds):
            return None
        return row.attempt + 1


ClipWork = Sequence[tuple[ClipPlan, int]]
"""Clips, each with the attempt to be made at it."""


def channel_seed(seed: int) -> int:
    """The seed of the channel that a clip of this seed goes through."""
    return derive(seed, "channel")
