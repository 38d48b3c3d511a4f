"""What every consumer of a Whisper folder looks for beside the weights: written where it is missing.

transformers 5 saves `tokenizer.json` and a `tokenizer_config.json` that 4.57 cannot load; 4.57, whisper.cpp's
converter and others want the vocabulary and the special tokens in files of their own. All of it is in
`tokenizer.json`, so every file here is made from that one. Word times need `alignment_heads` in
`generation_config.json`. A model that was tuned or made here has a card. What is there already is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speech_analogy.cards.records import write_record_card
from speech_analogy.foundation.files import write_json, write_whole
from speech_analogy.merging.io.checkpoints import read_json
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.whisper.alignment import ENGLISH_VOCABULARY, alignment_heads

NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
TOKEN_FLAGS = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
SIZES_READ = (
    "d_model", "decoder_attention_heads", "decoder_layers", "encoder_layers", "max_target_positions", "vocab_size",
)  # fmt: skip
MERGES_HEAD = "#version: 0.2"
ONLY_5 = ("extra_special_tokens", "backend", "is_local")  # in tokenizer_config.json, of transformers 5 alone
LATEST_START = 50  # timestamps of 0.02 s: speech begins within a second, as openai-whisper has it


def complete_folder(folder: Path) -> None:
    """Add what is missing to a folder with `config.json`, `tokenizer.json` and `generation_config.json`.

    Raises:
        CheckpointError: one of the files is broken.
    """
    config = read_json(folder / "config.json")
    tokenizer = read_json(folder / "tokenizer.json")
    if tokenizer:
        _write_tokenizer(folder, tokenizer)
    generation = folder / "generation_config.json"
    if generation.is_file() and all(size in config for size in SIZES_READ):
        kept = {name: value for name, value in read_json(generation).items() if value is not None}
        made = generation_settings(config, tokenizer, str(provenance(folder).get("base", "")))
        if made.keys() - kept.keys():
            write_json(generation, dict(sorted({**made, **kept}.items())))
    write_record_card(folder)


def generation_settings(config: Mapping[str, Any], tokenizer: Mapping[str, Any], base: str = "") -> dict[str, Any]:
    """What `generation_config.json` must say beside which tokens are suppressed.

    Args:
        config, tokenizer: what `config.json` and `tokenizer.json` hold.
        base: what the weights come from.
    """
    multilingual = int(config["vocab_size"]) > ENGLISH_VOCABULARY
    found: dict[str, Any] = {
        "alignment_heads": alignment_heads(config, base),
        "is_multilingual": multilingual,
        "max_initial_timestamp_index": LATEST_START,
        "max_length": config["max_target_positions"],
        "return_timestamps": False,
    }
    ids = {str(token["content"]): int(token["id"]) for token in tokenizer.get("added_tokens", [])}
    for name, token in (("no_timestamps_token_id", "<|notimestamps|>"), ("prev_sot_token_id", "<|startofprev|>")):
        if token in ids:
            found[name] = ids[token]
    if multilingual and "<|transcribe|>" in ids:
        from whisper.tokenizer import LANGUAGES  # a merge of what needs no completing loads nothing for it

        found["lang_to_id"] = {name: ids[name] for code in LANGUAGES if (name := f"<|{code}|>") in ids}
        found["task_to_id"] = {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")}
    return found


def _write_tokenizer(folder: Path, tokenizer: Mapping[str, Any]) -> None:
    """Vocabulary, merges, spellings, special tokens and their settings, each as transformers 4 writes it."""
    vocabulary, added = tokenizer["model"]["vocab"], tokenizer["added_tokens"]
    settings = read_json(folder / "tokenizer_config.json")
    extra = settings.get("extra_special_tokens")
    special = settings.get("additional_special_tokens") or (extra if isinstance(extra, list) else [])
    special = [str(token["content"]) if isinstance(token, dict) else str(token) for token in special]
    special = special or [token["content"] for token in added if token["special"]]
    named = {name: settings.get(name, "<|endoftext|>") for name in NAMED_TOKENS}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    made: dict[str, Any] = {
        "vocab.json": vocabulary,
        "added_tokens.json": {token["content"]: token["id"] for token in added if token["content"] not in vocabulary},
        "special_tokens_map.json": {**named, "additional_special_tokens": special},
    }
    for name, content in made.items():
        if not (folder / name).exists():
            write_json(folder / name, content)
    if not (folder / "merges.txt").exists():
        write_whole(folder / "merges.txt", "\n".join([MERGES_HEAD, *merges]) + "\n")
    if not (folder / "normalizer.json").exists():
        import whisper

        spellings = Path(whisper.__file__).parent / "normalizers" / "english.json"
        write_whole(folder / "normalizer.json", spellings.read_bytes())
    if "added_tokens_decoder" not in settings or isinstance(extra, list):
        kept = {name: value for name, value in settings.items() if name not in ONLY_5 or isinstance(value, dict)}
        decoder = {str(token["id"]): {flag: token[flag] for flag in TOKEN_FLAGS} for token in added}
        used = {"added_tokens_decoder": decoder, "additional_special_tokens": special, **named}
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer", **kept, **used})
