"""Runs a student's cells. Started by ``sandbox.py``, inside the sandbox.

It takes requests from one pipe and answers on another: run a cell, give the value of a
name, call a function. Values travel as plain data (``wire.py``); what is none stays
here, and the grader gets a number by which it can ask for its attributes or call it.
"""

import builtins
import io
import math
import os
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import wire
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

SHOWN = 20_000  # characters of output kept of each cell
ABSENT = (
    "{} is not there when this notebook is graded: the task is to write it yourself"
)


class Cut(io.TextIOBase):
    """Keeps the beginning of what is written, and counts the rest."""

    def __init__(self):
        self.parts, self.size = [], 0

    def write(self, text: str) -> int:
        if self.size < SHOWN:
            self.parts.append(text[: SHOWN - self.size])
        self.size += len(text)
        return len(text)

    def text(self) -> str:
        return "".join(self.parts)


def attributes() -> dict[str, Any]:
    """What Python and torch offer by name, to see what a cell replaces."""
    parts = (builtins, math, torch, torch.Tensor, torch.nn.functional)
    return {
        f"{part.__name__}.{name}": value
        for part in parts
        for name, value in list(vars(part).items())
        if callable(value)
    }


class Absent:
    """An import hook: these packages are not there."""

    def __init__(self, names: list[str]):
        self.names = names

    def find_spec(self, name: str, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError(ABSENT.format(name.split(".")[0]))


class Shell(InteractiveShell):
    """IPython, with windows for pictures left out: `%matplotlib inline` is common."""

    def enable_gui(self, gui=None) -> None:
        pass


class Worker:
    """One student's notebook, as it stands after the cells that were run."""

    def __init__(self):
        self.shell = Shell.instance()
        self.shell.colors = "nocolor"
        # A page is made of what a cell gives; nothing of it is printed twice.
        self.shell.display_trap.hook = self.show
        self.shell.showtraceback = self.shell.showsyntaxerror = lambda *_, **__: None
        self.shown: list[dict] = []
        self.kept: list[Any] = []  # what the grader knows by its number
        self.known = attributes()

    def show(self, value: Any) -> None:
        """What IPython calls with the value of a cell's last line."""
        if value is not None:
            self.shown.append(_small(self.shell.display_formatter.format(value)[0]))

    def keep(self, value: Any) -> dict:
        self.kept.append(value)
        return {"object": len(self.kept) - 1, "type": type(value).__name__}

    def value(self, data: Any) -> Any:
        """The value of a request."""
        return wire.decode(data, lambda reference: self.kept[reference["object"]])

    def run(self, code: str) -> dict:
        """Run a cell; what it printed, what it showed, and its error if it has one."""
        out, err, self.shown = Cut(), Cut(), []
        with capture_output(stdout=False, stderr=False) as displayed:
            sys.stdout, sys.stderr = out, err
            try:
                result = self.shell.run_cell(code, store_history=False)
            finally:
                sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        error = result.error_before_exec or result.error_in_exec
        now = attributes()
        changed = [name for name in self.known if self.known[name] is not now.get(name)]
        self.known = now
        reply = {
            "stdout": out.text(),
            "stderr": err.text(),
            "printed": out.size + err.size,
            "changed": changed[:10],
            "shown": [_small(o.data) for o in displayed.outputs[:20]],
            "result": self.shown[:1],
        }
        return reply | ({"error": self.described(error)} if error else {})

    def described(self, error: BaseException) -> dict:
        kind, text = type(error).__name__, str(error)[:2_000]
        lines = self.shell.InteractiveTB.structured_traceback(
            type(error), error, error.__traceback__, tb_offset=1
        )
        return {"ename": kind, "evalue": text, "traceback": "\n".join(lines)[:SHOWN]}

    def get(self, name: str) -> Any:
        if name not in self.shell.user_ns:
            raise NameError(f"name {name!r} is not defined")
        return self.shell.user_ns[name]

    def call(self, function: Any, args: list, kwargs: dict) -> Any:
        return function(*args, **kwargs)

    def attribute(self, of: Any, name: str) -> Any:
        return getattr(of, name)

    def item(self, of: Any, key: Any) -> Any:
        return of[key]

    def length(self, of: Any) -> int:
        return len(of)

    def iterator(self, of: Any) -> Iterator:
        return iter(of)

    def step(self, of: Iterator) -> list:
        """[the next value], or [] at the end."""
        for value in of:
            return [value]
        return []

    def answer(self, request: dict) -> dict:
        if request["do"] == "run":
            return self.run(request["code"])
        do: Callable = getattr(self, request["do"])
        arguments = [self.value(part) for part in request["with"]]
        stdout, sys.stdout = sys.stdout, Cut()
        try:
            return {"value": wire.encode(do(*arguments), self.keep)}
        except BaseException as error:
            return {"error": self.described(error)}
        finally:
            sys.stdout = stdout


def _small(data: dict) -> dict:
    """The forms of a shown value that a page can hold."""
    return {k: v for k, v in data.items() if isinstance(v, str) and len(v) < 500_000}


def give_up_rights() -> None:
    """Set the limits for good, and become a user who owns nothing."""
    for limit in ("AS", "NPROC", "FSIZE", "NOFILE"):
        size = int(os.environ.pop(f"LIMIT_{limit}"))
        resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if user := os.environ.pop("USER_ID"):
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))


def main() -> None:
    requests, answers, absent = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    source, target = os.fdopen(requests, "rb"), os.fdopen(answers, "wb")
    sys.meta_path.insert(0, Absent(absent))
    sys.path = [p for p in sys.path if p and p != os.path.dirname(__file__)]
    give_up_rights()
    worker = Worker()
    wire.send(target, {"ready": True})
    while True:
        try:
            request = wire.receive(source.read)
        except EOFError:
            return
        try:
            wire.send(target, worker.answer(request))
        except wire.Garbled as error:  # too long, or too deep
            wire.send(target, {"error": worker.described(error)})


if __name__ == "__main__":
    main()
