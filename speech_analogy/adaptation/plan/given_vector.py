"""The stage that makes the analogy's B and A of a ready-made gap vector."""

from __future__ import annotations

from pathlib import Path

from speech_analogy.adaptation.gaps.library import vector_file
from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.draft import Draft
from speech_analogy.adaptation.plan.estimate import START_S
from speech_analogy.adaptation.stages.params.model_params import GapParams
from speech_analogy.adaptation.vector_options import GivenVector
from speech_analogy.errors import ConfigError
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.vectors.file import read_vector_file


def add_given_vector(draft: Draft, given: GivenVector) -> None:
    """θ_0 plus the vector, or the mean of several, as B, and θ_0 as A.

    Raises:
        CheckpointError: a file that is not a vector.
        ConfigError: there is no such vector, or it is of another base.
    """
    files = [vector_file(named, draft.folder) for named in given.path]
    digests = tuple(_checked(file, draft) for file in files)
    params = GapParams(files=tuple(map(str, files)), digests=digests, **draft.base)
    draft.add(names.GAP_MODELS, params, START_S)


def _checked(file: Path, draft: Draft) -> str:
    """The digest of a vector's contents.

    Raises:
        CheckpointError, ConfigError: as `add_given_vector`.
    """
    _, base, _ = read_vector_file(file, verify=False)
    if draft.base_key and base.fingerprint != draft.base_key:
        raise ConfigError(
            f"a gap vector works on its own base alone, {base.name} ({base.fingerprint}); "
            f"{draft.recipe.base} has {draft.base_key}",
            file=file,
            field="vector",
            do=f"adapt {base.name}, or make a gap of {draft.recipe.base} with `speech-analogy vector gap`",
        )
    return open_checkpoint(file).metadata["content_sha256"]
