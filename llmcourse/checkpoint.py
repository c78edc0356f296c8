"""Read and write models as Hugging Face folders. Chapter 08.

A folder holds `config.json` and `model.safetensors`, or shards with an index. Pickled
`.bin` files are refused: loading one can run any code that its author put in.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict, snapshot_download
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .config import ModelConfig
from .families import (
    config_from_hf,
    config_to_hf,
    is_constant,
    stop_ids_from_hf,
    tensors_from_hf,
    tensors_to_hf,
)
from .model import CausalLM

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
INDEX = "model.safetensors.index.json"
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


def from_pretrained(
    name: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> CausalLM:
    """Load a model, ready for inference.

    name: a folder, or a hub id such as `Qwen/Qwen2.5-0.5B`, which is downloaded once.
    dtype: float32, bfloat16 or float16; as stored if None.
    Raises ValueError, naming the file or tensor, for whatever is missing or broken.
    """
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype is one of {DTYPES}, or None, got {dtype}")
    folder = find_folder(name, weights=True)
    config = read_config(folder)
    with torch.device("meta"):
        model = CausalLM(config)
    wanted = {n: t.shape for n, t in model.state_dict().items()}
    state = _collect(tensors_from_hf(config, _read_tensors(folder, dtype, device)))
    if config.tied:
        state = _tie(state)
    _check_tensors(folder, wanted, state)
    model.load_state_dict(state, assign=True)
    del state  # or `pack` would hold the weights twice
    if config.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.eval().pack()


def read_config(folder: str | Path) -> ModelConfig:
    """The configuration of a Hugging Face folder."""
    folder = Path(folder)
    config = config_from_hf(_read_json(folder / "config.json"))
    if (folder / "generation_config.json").is_file():
        # Chat models name their additional stop tokens only here.
        stop = stop_ids_from_hf(_read_json(folder / "generation_config.json"))
        config = replace(config, stop_ids=stop or config.stop_ids)
    return config


def save_pretrained(
    model: CausalLM,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
    max_shard_size: str | int = "5GB",
) -> None:
    """Write what `transformers`, vLLM and `from_pretrained` load.

    Everything is written beside the old files before the first of them is replaced, and
    a failure (a full disk, say) leaves the folder as it was. Each file is replaced in
    one step, one after the other. Other files of the folder, a tokenizer, stay.
    """
    folder = Path(folder).resolve()
    hf = config_to_hf(model.config)
    state = tensors_to_hf(model.config, model.state_dict().items())
    whole = dict(copy=True, memory_format=torch.contiguous_format)  # no views
    state = {n: t.to("cpu", dtype or t.dtype, **whole) for n, t in state.items()}
    hf["torch_dtype"] = str(next(iter(state.values())).dtype).removeprefix("torch.")
    settings = folder / "generation_config.json"
    others = _read_json(settings) if settings.is_file() else {}
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        save_torch_state_dict(state, staging, max_shard_size=max_shard_size)
        stop = {"eos_token_id": hf["eos_token_id"]}
        _write_json(staging / settings.name, others | stop)
        _write_json(staging / "config.json", hf)
        _move_into(folder, staging)
    except BaseException:
        if is_new:
            shutil.rmtree(folder)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_into(folder: Path, staging: Path) -> None:
    """Put each finished file in its place, weights first, and drop other weights."""
    umask = os.umask(0)
    os.umask(umask)
    mode = 0o666 & ~umask  # safetensors files come out for their owner only
    new = sorted(staging.iterdir(), key=lambda file: not WEIGHTS.fullmatch(file.name))
    names = {file.name for file in new}
    old = [f for f in folder.iterdir() if f.name in names or WEIGHTS.fullmatch(f.name)]
    kept = staging / "old"
    kept.mkdir()
    for file in old:
        _link(file, kept / file.name)
    try:
        for file in new:
            file.chmod(mode)
            os.replace(file, folder / file.name)
        for file in old:
            if file.name not in names:
                file.unlink()
    except BaseException:
        for name in names - {file.name for file in old}:
            (folder / name).unlink(missing_ok=True)
        for file in kept.iterdir():
            os.replace(file, folder / file.name)
        raise


def _link(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:  # a file system without links
        shutil.copy2(file, copy)


def find_folder(name: str | Path, *, weights: bool = False) -> Path:
    """The folder that a path or a hub id stands for.

    From the hub only the small files are fetched, unless the weights are asked for.
    """
    if not str(name):
        raise ValueError("a folder or a hub id is needed, got an empty name")
    if len(str(name)) < 4096 and Path(name).is_dir():
        return Path(name)
    owner_and_name = str(name).split("/")
    if len(owner_and_name) != 2 or owner_and_name[0] in ("", ".", "..", "~"):
        raise ValueError(
            f"there is no folder {str(name)!r}, and a hub id has the form owner/name"
        )
    wanted = ["*.json", "*.jinja"]
    if weights:
        wanted += ["model.safetensors", "model-*-of-*.safetensors"]
    try:
        found = snapshot_download(
            str(name), allow_patterns=wanted, ignore_patterns=["*/*"]
        )
        return Path(found)
    except Exception as error:  # the hub client raises a dozen kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ValueError(
            f"there is no folder {str(name)!r}, and the hub did not give it: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _read_tensors(folder: Path, dtype, device) -> Iterator[tuple[str, Tensor]]:
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():
                    tensor = tensors.get_tensor(name)
                    known = (*DTYPES, torch.float64)
                    if tensor.dtype not in known and not is_constant(name):
                        raise ValueError(f"{name} is {tensor.dtype}, none of {known}")
                    yield name, tensor.to(device, dtype)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} is no whole safetensors file: {error}") from error


def _collect(named: Iterator[tuple[str, Tensor]]) -> dict[str, Tensor]:
    state = {}
    for name, tensor in named:
        if name in state:
            raise ValueError(f"{name} is stored twice")
        state[name] = tensor
    kinds = sorted({str(t.dtype) for t in state.values()})
    if len(kinds) > 1:
        raise ValueError(f"the weights are of several types, {kinds}: give a dtype")
    return state


def _weight_files(folder: Path) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if (folder / INDEX).is_file():
        index = _read_json(folder / INDEX).get("weight_map")
        names = list(index.values()) if isinstance(index, dict) else [index]
        for name in names:
            if not isinstance(name, str) or Path(name).name != name:
                raise ValueError(f"{folder / INDEX} names no file of its own: {name!r}")
        files = [folder / name for name in sorted(set(names))]
        missing = [file.name for file in files if not file.is_file()]
        if missing or not files:
            raise ValueError(f"{folder / INDEX} names missing files: {missing}")
        return files
    if any(folder.glob("*.bin")):
        raise ValueError(
            f"{folder} has only pickled .bin weights, which can run code when loaded: "
            f"convert them to model.safetensors"
        )
    raise ValueError(f"{folder} has no model.safetensors and no {INDEX}")


def _tie(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let the head be the embedding, as the config says; a stored copy must agree."""
    embedding = state.get("model.embed_tokens.weight")
    head = state.get("lm_head.weight", embedding)
    if embedding is None and head is not None:
        embedding = head
    if embedding is None:
        return state
    if head.shape != embedding.shape or not torch.equal(head, embedding):
        raise ValueError(
            "config.json ties lm_head.weight to model.embed_tokens.weight, "
            "but the file holds two different tensors"
        )
    both = dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), embedding)
    return state | both


def _check_tensors(folder: Path, wanted: dict, state: dict) -> None:
    missing, surplus = wanted.keys() - state.keys(), state.keys() - wanted.keys()
    problems = [f"missing {name}" for name in sorted(missing)]
    problems += [f"surplus {name}" for name in sorted(surplus)]
    problems += [
        f"{name} is {tuple(state[name].shape)} and must be {tuple(shape)}"
        for name, shape in wanted.items()
        if name in state and state[name].shape != shape
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ValueError(f"{folder} does not fit: " + "; ".join(problems[:5]) + more)


def _read_json(file: Path) -> dict:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds {type(content).__name__}, not named values")
    return content


def _write_json(file: Path, content: dict) -> None:
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    file.write_text(text, encoding="utf-8")
