"""Runs the test cells of an assignment, far away from the student's code.

A test cell is written as if the student's functions stood beside it. Here they do not:
a name that the teacher's cells have not defined is looked up in the student's process,
and what is found there is called there. Only values come back.
"""

import ast
import builtins
import contextlib
import io
from collections.abc import Iterator
from typing import Any

import torch
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output

from . import wire
from .sandbox import Failed, Lost, Process

LONGEST = 100_000  # values that a test takes from a student's iterator


class Remote:
    """An object of the student's: used here, evaluated there."""

    def __init__(self, process: Process, number: int):
        self._process, self._classroom_number = process, number

    def _do(self, what: str, *arguments: Any) -> Any:
        return self._process.do(what, self, *arguments, keep=keeper(self._process))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._do("call", list(args), kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._do("attribute", name)

    def __getitem__(self, key: Any) -> Any:
        return self._do("item", key)

    def __len__(self) -> int:
        return self._do("length")

    def __iter__(self) -> Iterator:
        steps = self._do("iterator")
        for _ in range(LONGEST):
            if not (found := steps._do("step")):
                return
            yield found[0]
        raise Lost(f"a loop over it came to no end in {LONGEST:,} steps")


def keeper(process: Process):
    """What makes a Remote, named as the student's type is, of an object's number."""

    def keep(data: dict) -> Remote:
        kind = type(str(data.get("type", "object")), (Remote,), {})
        return kind(process, int(data["object"]))

    return keep


class Judge:
    """The teacher's side of one notebook: runs cells, and keeps what they define."""

    def __init__(self, process: Process):
        self.process = process
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.seeds: dict[str, torch.Tensor] = {}

    def give(self, code: str) -> None:
        """Run a cell that the assignment gives; tests know what it defines."""
        with contextlib.redirect_stdout(io.StringIO()):  # students see it elsewhere
            exec(compile(code, "<given>", "exec"), self.names)
        self.seeds = {
            name: value.get_state()
            for name, value in self.names.items()
            if isinstance(value, torch.Generator)
        }

    def run(self, code: str) -> list[NotebookNode]:
        """Run a test. Its outputs; a failure is the last of them.

        Each test begins with the given names, and generators of numbers as they were.
        """
        for name, state in self.seeds.items():
            self.names[name].set_state(state)
        names, printed, error = dict(self.names), io.StringIO(), []
        try:
            tree = ast.parse(code)
            self._borrow(tree, names)
            with contextlib.redirect_stdout(printed):
                exec(compile(tree, "<test>", "exec"), names)
        except Failed as failed:
            error = [_error(*failed.reply.values())]
        except Lost as lost:
            error = [_error("Stopped", str(lost))]
        except Exception as raised:
            error = [_error(type(raised).__name__, str(raised))]
        if text := wire.text(printed.getvalue()):
            error.insert(0, new_output("stream", name="stdout", text=text))
        return error

    def _borrow(self, tree: ast.Module, known: dict[str, Any]) -> None:
        """Look up the names that only the student's process knows."""
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        made = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
        made |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
        own = ast.FunctionDef | ast.ExceptHandler
        made |= {n.name for n in ast.walk(tree) if isinstance(n, own)}
        made |= {
            (alias.asname or alias.name).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        for name in {n.id for n in names} - made - {*known} - {*dir(builtins)}:
            try:
                known[name] = self.process.do("get", name, keep=keeper(self.process))
            except Failed as failed:
                if failed.reply["ename"] != "NameError":
                    raise
                raise NameError(
                    f"there is no {name!r}: is its cell still empty, did the cell stop "
                    "with an error, or does it have another name?"
                ) from None


def _error(name: str, text: str, traceback: str = "") -> NotebookNode:
    text = wire.text(text, 2_000)  # it may quote a value of the student's
    lines = [traceback] if traceback else [f"{name}: {text}"]
    return new_output("error", ename=name, evalue=text, traceback=lines)
