"""Values as plain data, for the pipe between the grader and a student's process.

What arrives is numbers, text, tensors and containers of them, made anew by this file.
No code and no type of a student's crosses: a lying ``__eq__`` stays where it is.
"""

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch

LIMIT = 16 * 2**20  # bytes of one message
HASHED = 10_000  # members of a set or a dict: chosen badly, they take time squared
DEPTH = 20  # lists in lists
CONTAINERS = {"list": list, "tuple": tuple, "set": set, "dict": dict}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    )
}


class Garbled(ValueError):
    """A message that this file did not write, or that is too long."""


def text(value: Any, most: int | None = 20_000) -> str:
    """A stranger's text, of at most so many characters, as a file can hold it."""
    return str(value)[:most].encode("utf-8", "replace").decode()


def line(value: Any, most: int = 300) -> str:
    """A stranger's text as one line that a terminal can show."""
    words = " ".join(text(value, 20 * most).split())
    return "".join(filter(str.isprintable, words))[:most]


def encode(value: Any, other: Callable[[Any], dict], depth: int = DEPTH) -> Any:
    """A value as JSON. What is no plain data is left to other(value)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        # Words: JSON has no nan, and a float is to be the same on both sides.
        word = float(value).hex() if isinstance(value, float) else str(int(value))
        return {"number": word}
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, torch.Tensor) and str(value.dtype)[6:] in DTYPES:
        # In the order in which it lies in memory: a transposed one arrives transposed.
        order = sorted(range(value.dim()), key=lambda axis: -value.stride(axis))
        plain = value.detach().cpu().permute(order).contiguous()
        data = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        return {
            "tensor": base64.b64encode(data).decode(),
            "dtype": str(value.dtype)[6:],
            "shape": list(plain.shape),
            "order": order,
        }
    if isinstance(value, torch.dtype) and str(value)[6:] in DTYPES:
        return {"dtype": str(value)[6:]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple | set | dict) and depth:
        kind = next(k for k in CONTAINERS if isinstance(value, CONTAINERS[k]))
        if kind == "dict":
            value = [part for item in value.items() for part in item]
        return {kind: [encode(part, other, depth - 1) for part in value]}
    return other(value)


def decode(data: Any, other: Callable[[dict], Any]) -> Any:
    """The value that encode wrote. What encode left to its `other` goes to this one.

    Raises:
        Garbled: if it is nothing that encode writes.
    """
    if data is None or isinstance(data, bool | str):
        return data
    if not isinstance(data, dict) or not data:
        raise Garbled(f"no value: {str(data)[:80]}")
    try:
        return _decode(data, other)
    except Garbled:
        raise
    except Exception as error:
        raise Garbled(f"{type(error).__name__}: {str(error)[:80]}") from None


def _decode(data: dict, other: Callable[[dict], Any]) -> Any:
    kind, body = next(iter(data.items()))
    if kind == "number":
        return float.fromhex(body) if "x" in body or "n" in body else int(body)
    if kind == "tensor":
        raw = bytearray(base64.b64decode(body, validate=True))
        dtype, shape = DTYPES[data["dtype"]], [int(n) for n in data["shape"]]
        back = [data["order"].index(axis) for axis in range(len(shape))]
        if len(raw) != math.prod(shape) * dtype.itemsize:  # before memory is taken
            raise Garbled(f"{len(raw):,} bytes for the shape {shape}")
        if not raw:
            return torch.empty(shape, dtype=dtype).permute(back)
        flat = torch.frombuffer(raw, dtype=torch.uint8).view(dtype)
        return flat.reshape(shape).permute(back)
    if kind == "dtype":
        return DTYPES[body]
    if kind == "bytes":
        return base64.b64decode(body, validate=True)
    if kind in CONTAINERS:
        if kind in ("set", "dict") and len(body) > HASHED:
            raise Garbled(f"a {kind} of {len(body):,} parts, more than {HASHED:,}")
        parts = [decode(part, other) for part in body]
        if kind == "dict":
            return dict(zip(parts[::2], parts[1::2], strict=True))
        return CONTAINERS[kind](parts)
    return other(data)


def send(pipe: BinaryIO, message: dict) -> None:
    """Write one message."""
    data = json.dumps(message).encode()
    if len(data) > LIMIT:
        raise Garbled(f"a message of {len(data):,} bytes, more than {LIMIT:,}")
    pipe.write(struct.pack(">I", len(data)) + data)
    pipe.flush()


def receive(read: Callable[[int], bytes]) -> dict:
    """Read one message; read(n) gives n bytes, or fewer at the end.

    Raises:
        EOFError: if there is none.
        Garbled: if it is none of ours.
    """
    head = read(4)
    if len(head) < 4:
        raise EOFError("the other side has gone")
    (size,) = struct.unpack(">I", head)
    if size > LIMIT:
        raise Garbled(f"a message of {size:,} bytes, more than {LIMIT:,}")
    data = read(size)
    if len(data) < size:
        raise EOFError("the other side has gone")
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"no JSON: {error}") from None
    if not isinstance(message, dict):
        raise Garbled(f"no message: {str(message)[:80]}")
    return message
