"""Checkpoints of a training: written whole or not at all, refused where unfit."""

import io
import os
import warnings
from pathlib import Path
from pickle import UnpicklingError

import torch


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the old file, then put the new one in its place in one move.

    Raises:
        OSError: if the disk is full, say; the old file is as it was.
    """
    new = path.with_name(path.name + ".tmp")
    try:
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        kept = "the one before it is kept" if path.exists() else "there was none before"
        raise OSError(
            error.errno, f"{path} could not be written ({error.strerror}); {kept}"
        ) from error
    finally:
        new.unlink(missing_ok=True)


def save_checkpoint(path: Path, model, optimizer, header: dict, losses: list) -> None:
    """Model, optimizer and losses so far; header says what they were made with."""
    buffer = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(header | state | {"losses": losses}, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path) -> dict:
    """What save_checkpoint wrote.

    Raises:
        ValueError: if the file is cut short, or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        parts = ("recipe", "corpus", "threads", "model", "optimizer", "losses")
        return {name: state[name] for name in parts}
    except (RuntimeError, EOFError, KeyError, TypeError, UnpicklingError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint, remove it to begin anew: {error}"
        ) from error


def load_checkpoint(path: Path, model, optimizer, header: dict) -> list[float]:
    """Put model and optimizer back where path left them; returns the losses so far.

    Warns if the threads, processes or the device are others: sums are then rounded in
    another order.

    Raises:
        ValueError: if the file is cut short, or made with another recipe or corpus.
    """
    state = read_checkpoint(path)
    then = state["recipe"] | {"corpus": state["corpus"]}
    now = header["recipe"] | {"corpus": header["corpus"]}
    other = [k for k in then | now if then.get(k) != now.get(k)]
    if other:
        said = "; ".join(f"{k} {then.get(k)} then, {now.get(k)} now" for k in other)
        raise ValueError(f"{path} was made with another recipe: {said}")
    # Checkpoints of before do not say the device: then there is nothing to compare.
    if any(a != b for a, b in zip(state["threads"], header["threads"], strict=False)):
        warnings.warn(
            f"{path} was made with (threads, processes, device) {state['threads']}, "
            f"now they are {header['threads']}: the weights will differ in their last "
            "digits",
            stacklevel=2,
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["losses"]
