"""The notebook that is graded: the teacher's, with the student's answers put in.

Nothing of a submission is used but its answers and the cells that its author added.
Tests that were edited, deleted or doubled do not matter; what was found is said.
"""

import os
import re
import stat
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader import utils

from . import wire

LARGEST = 5 * 2**20  # bytes of a submission
LONGEST = 20_000  # characters of an answer in words
TAGS = 300  # of HTML in it: to clean many that are nested takes time squared


class Unreadable(ValueError):
    """A submission that is no notebook."""


def read_submission(path: Path) -> NotebookNode:
    """A student's notebook.

    Raises:
        Unreadable: if it is no regular file, too large, or no notebook.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise Unreadable("there is no such file") from None
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("it is no regular file")  # a link could name the solution
    if found.st_size > LARGEST:
        size = f"{found.st_size / 2**20:,.0f} MB, of at most {LARGEST // 2**20}"
        raise Unreadable(f"the file has {size}")
    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        cells = [_plain(cell) for cell in nb.cells]
    except Exception as error:  # nbformat raises many kinds
        text = str(error).splitlines() or ["no text"]
        reason = f"{type(error).__name__}: {text[0][:200]}"
        raise Unreadable(f"it is no notebook ({reason})") from None
    nb.cells = cells
    return nb


def _plain(cell: NotebookNode) -> NotebookNode:
    """What counts of a cell: its kind, its text, and which of the teacher's it is."""
    if not isinstance(cell.source, str):
        raise ValueError("the text of a cell is no text")
    new = new_code_cell if cell.cell_type == "code" else new_markdown_cell
    source = wire.text(cell.source, None)
    if new is new_markdown_cell:
        source = _readable(source)
    grader = cell.metadata.get("nbgrader", {})
    name = grader.get("grade_id", "") if isinstance(grader, dict) else ""
    return new(source, metadata={"of": str(name)})


def _readable(words: str) -> str:
    """An answer in words, of a length that a teacher reads."""
    if len(words) > LONGEST:
        words = f"{words[:LONGEST]}\n\n(Cut here, of {len(words):,} characters.)"
    return words.replace("<", "&lt;") if words.count("<") > TAGS else words


def assemble(
    source: NotebookNode, released: NotebookNode, submitted: NotebookNode
) -> tuple[NotebookNode, list[str]]:
    """The notebook to be graded, and what was found in the submission.

    source: the teacher's, with its hidden tests; released: what students got of it.
    """
    kinds = {_name(c): c.cell_type for c in released.cells if _name(c)}
    answered = {_name(c) for c in released.cells if utils.is_solution(c)}
    answers, added, found, last = {}, {}, [], ""
    for cell in submitted.cells:
        name = cell.metadata.of
        if name not in kinds or cell.cell_type != kinds[name]:
            if cell.source.strip():
                added.setdefault(last, []).append(cell)
        elif name not in answers:
            answers[name], last = cell, name
        elif name in answered:  # "Split cell" gives both halves the same name
            found.append(f"cell {name} stands there twice: both are used")
            added.setdefault(name, []).append(cell)
        else:
            found.append(f"cell {name} stands there twice: the original was used")
    graded, place = NotebookNode(source | {"cells": []}), ""
    missing, changed = [], []
    for cell, handed in zip(source.cells, released.cells, strict=True):
        name, cell = _name(cell), NotebookNode(cell)
        if name not in answers:
            answer = handed.source
            beside = any(c.cell_type == "code" for c in added.get(place, []))
            if beside and name in answered and cell.cell_type == "code":
                # The stub would come after the answer, and take its place.
                found.append(f"cell {name} is missing: what stands there was used")
                answer = ""
            elif name:
                missing.append(name)
        else:
            answer, place = answers[name].source, name
            ours = cell.cell_type == "code" and not utils.is_solution(cell)
            if ours and answer.strip() != handed.source.strip():
                changed.append(name)
        if utils.is_solution(cell):
            cell.source = answer
        graded.cells.append(cell)
        graded.cells += [_own(c) for c in added.get(name, []) if name]
    graded.cells[1:1] = [_own(c) for c in added.get("", [])]
    if missing:
        found.append(f"missing: {', '.join(missing)}")
    if changed:
        found.append(f"changed, and the original was used: {', '.join(changed)}")
    return graded, found


def _name(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def _own(cell: NotebookNode) -> NotebookNode:
    """A cell that the student added."""
    new = new_code_cell if cell.cell_type == "code" else new_markdown_cell
    return new(cell.source)


def note(lines: list[str]) -> NotebookNode:
    """A cell for the top of the feedback: what the grader found."""
    points = "\n".join(f"- {_literal(line)}" for line in lines)
    return new_markdown_cell(f"**From the grader**\n\n{points}")


def _literal(line: str) -> str:
    """A line as Markdown that shows it as it is: a student may have written it."""
    return re.sub(r"[^A-Za-z0-9 .,()-]", lambda m: f"&#{ord(m[0])};", line)
