"""The command line of the merging room: `vector ...` and `merge`. Imports torch only inside the verbs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speech_analogy.cli.options import Overwrite, Quiet
from speech_analogy.errors import ConfigError

if TYPE_CHECKING:
    from speech_analogy.merging.io.stream import StreamOptions

vector_app = typer.Typer(
    help="Task vectors: extract, apply, combine, inspect, compress.", no_args_is_help=True, add_completion=False
)

Out = Annotated[Path, typer.Option("--out", help="The output; it must not exist.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Worker threads; default: one per core, at most 8.")]
OtherBase = Annotated[
    bool, typer.Option("--allow-other-base", help="Accept another base of the same names and shapes (chat vector).")
]

VECTOR_SUFFIX = ".safetensors"


def _weights(name: str) -> Path:
    """A path as it is; the folder of any other name (a weights package, a hub id)."""
    if Path(name).exists():
        return Path(name)
    from speech_analogy.recognisers.weights import resolve_weights

    return resolve_weights(name)


@contextmanager
def running(title: str, threads: int | None, quiet: bool) -> Iterator[StreamOptions]:
    from speech_analogy.merging.io.stream import StreamOptions, byte_bar

    with byte_bar(title, disable=quiet) as progress:
        yield StreamOptions(threads=threads, progress=progress)


@contextmanager
def _writing_vector(
    out: Path, title: str, threads: int | None, quiet: bool, overwrite: bool
) -> Iterator[StreamOptions]:
    """As `running`; then the vector's card is written beside it, whose place must be as free as the vector's.

    A vector under a name that says no format cannot be opened by it, and gets none.
    """
    from speech_analogy.cards.records import vector_card_file, write_vector_card
    from speech_analogy.foundation.files import require_free

    has_card = out.suffix == VECTOR_SUFFIX
    if has_card and not out.exists():
        require_free(vector_card_file(out), overwrite)
    with running(title, threads, quiet) as options:
        yield options
    if has_card:
        write_vector_card(out)


def _assignments(items: list[str]) -> dict[str, Any]:
    """`key=value` options; the value is read as YAML."""
    from speech_analogy.foundation.user_files.yaml_text import parse_yaml

    found: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise ConfigError("must be KEY=VALUE", field="option", value=item)
        try:
            found[key] = parse_yaml(value)
        except ValueError:
            raise ConfigError("the value must be YAML", field=key, value=value) from None
    return found


@vector_app.command()
def extract(
    base: Annotated[
        str, typer.Option(help="The model that was fine-tuned: a folder, a weights file, pip:... or an id.")
    ],
    tuned: Annotated[Path, typer.Option(help="The fine-tuned model, or a LoRA adapter's folder.")],
    out: Out,
    tuned_on: Annotated[str | None, typer.Option(help="The data it was tuned on.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the vector.")] = None,
    creator: Annotated[str | None, typer.Option(help="Its author.")] = None,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write the difference tuned − base."""
    from speech_analogy.merging import verbs

    record = {"tuned_on": tuned_on, "licence": licence, "creator": creator}
    given = {key: value for key, value in record.items() if value is not None}
    with _writing_vector(out, "extract", threads, quiet, overwrite) as options:
        verbs.extract(_weights(base), tuned, out, overwrite=overwrite, options=options, **given)
    typer.echo(out)


@vector_app.command()
def apply(
    vector: Annotated[Path, typer.Argument(help="A vector file, or a LoRA adapter's folder.")],
    base: Annotated[str, typer.Option(help="The model it is added to: a folder, a weights file, pip:... or an id.")],
    out: Out,
    scale: Annotated[float, typer.Option(help="λ.")] = 1.0,
    scope: Annotated[list[str] | None, typer.Option(help="SCOPE=λ, e.g. 'decoder.layers.0-3 qkv=0.5'.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Of the output's weights; default: the base's.")] = None,
    allow_other_base: OtherBase = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write the model base + λ·vector."""
    from speech_analogy.merging import verbs

    with running("apply", threads, quiet) as options:
        verbs.apply(
            vector,
            _weights(base),
            out,
            scale=scale,
            scopes=scope or (),
            allow_other_base=allow_other_base,
            dtype=dtype,
            overwrite=overwrite,
            options=options,
        )
    typer.echo(out)


@vector_app.command()
def add(
    vectors: Annotated[list[Path], typer.Argument(help="Vector files.")],
    out: Out,
    weight: Annotated[list[float] | None, typer.Option(help="One for each vector, in their order.")] = None,
    method: Annotated[str, typer.Option(help="E.g. task_arithmetic, ties, dare_ties, tsv_merge, dare+elect.")] = (
        "task_arithmetic"
    ),
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter: density=0.2; see `merge --methods`.")
    ] = None,
    mergekit: Annotated[bool, typer.Option("--mergekit", help="mergekit's defaults in place of the papers'.")] = False,
    allow_other_base: OtherBase = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write the sum of vectors, or their merge by another method."""
    from speech_analogy.merging import verbs

    with _writing_vector(out, "add", threads, quiet, overwrite) as options:
        verbs.add(
            vectors,
            out,
            weights=weight or None,
            method=method,
            parameters=_assignments(set_ or []),
            definitions="mergekit" if mergekit else "paper",
            allow_other_base=allow_other_base,
            overwrite=overwrite,
            options=options,
        )
    typer.echo(out)


@vector_app.command()
def negate(
    vector: Annotated[Path, typer.Argument(help="A vector file.")],
    out: Out,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write −vector."""
    from speech_analogy.merging import verbs

    with _writing_vector(out, "negate", threads, quiet, overwrite) as options:
        verbs.negate(vector, out, overwrite=overwrite, options=options)
    typer.echo(out)


@vector_app.command()
def average(
    vectors: Annotated[list[Path], typer.Argument(help="Vector files.")],
    out: Out,
    allow_other_base: OtherBase = False,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write the mean of vectors."""
    from speech_analogy.merging import verbs

    with _writing_vector(out, "average", threads, quiet, overwrite) as options:
        verbs.average(vectors, out, allow_other_base=allow_other_base, overwrite=overwrite, options=options)
    typer.echo(out)


@vector_app.command()
def show(
    vector: Annotated[Path, typer.Argument(help="A vector file, or a LoRA adapter's folder.")],
    largest: Annotated[int, typer.Option(help="How many tensors to list.")] = 10,
) -> None:
    """Print a vector's origin and the tensors of the largest norms."""
    import json

    from speech_analogy.merging import verbs

    found = verbs.show(vector, largest)
    typer.echo(f"{found.file}: {found.tensors} tensors, {found.elements} numbers, {found.file_bytes} bytes")
    typer.echo(f"base: {found.base_name} ({found.base_fingerprint})")
    typer.echo(json.dumps(found.provenance, indent=2, ensure_ascii=False))
    typer.echo(f"norm: {found.norm:.6g}; largest:")
    for name, norm in found.largest.items():
        typer.echo(f"  {norm:12.6g}  {name}")


@vector_app.command()
def compare(
    vectors: Annotated[list[Path], typer.Argument(help="Vector files.")],
    out: Annotated[Path | None, typer.Option(help="JSON; a heat map is written beside it as SVG.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Print cosines and sign conflicts of vectors."""
    from speech_analogy.merging import verbs

    picture = None if out is None else out.with_suffix(".svg")
    found = verbs.compare_vectors(vectors, out, picture, overwrite=overwrite)
    for title, table in (("cosine", found.cosine), ("sign conflict", found.sign_conflict)):
        typer.echo(title)
        for name, row in zip(found.names, table, strict=True):
            typer.echo("  " + " ".join(f"{value:8.4f}" for value in row) + f"  {name}")
    if out is not None:
        typer.echo(f"{out}\n{picture}")


@vector_app.command()
def compress(
    vector: Annotated[Path, typer.Argument(help="A vector file.")],
    out: Out,
    method: Annotated[str, typer.Option(help="topk, dare, low-rank, fp16, int8, int4, sign.")] = "topk",
    keep: Annotated[float, typer.Option(help="Share of the numbers kept (topk, dare, low-rank).")] = 1.0,
    values: Annotated[str, typer.Option(help="How kept numbers are stored: fp32, fp16, int8, int4, sign.")] = "fp16",
    seed: Annotated[int, typer.Option(help="Of dare.")] = 0,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write a smaller vector and print what was lost."""
    from speech_analogy.merging import verbs

    how = verbs.Compression(method=method, keep=keep, values=values, seed=seed)  # type: ignore[arg-type]
    with _writing_vector(out, "compress", threads, quiet, overwrite) as options:
        found = verbs.compress_vector(vector, out, how, overwrite=overwrite, options=options)
    typer.echo(
        f"{out}: {found.file_bytes} bytes, {found.ratio:.1f}x smaller than float32, "
        f"relative L2 error {found.relative_error:.4f}, cosine {found.cosine:.6f}"
    )


def _print_methods(wanted: bool) -> None:
    """Print every merge method with its source and parameters, and exit."""
    if wanted:
        from speech_analogy.merging.methods.registry import describe_methods

        typer.echo(describe_methods())
        raise typer.Exit


Methods = Annotated[
    bool,
    typer.Option("--methods", callback=_print_methods, is_eager=True, help="List the merge methods and exit."),
]


def merge_command(
    config: Annotated[Path, typer.Argument(help="A merge file in mergekit's shape.")],
    out: Out,
    overwrite: Overwrite = False,
    threads: Threads = None,
    quiet: Quiet = False,
    methods: Methods = False,
) -> None:
    """Merge models by a YAML file; `--methods` lists the methods and their parameters."""
    from speech_analogy.merging import verbs

    with running("merge", threads, quiet) as options:
        verbs.merge(config, out, overwrite=overwrite, options=options, find=_weights)
    typer.echo(out)
