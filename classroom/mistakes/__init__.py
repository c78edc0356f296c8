"""Mistakes that students are likely to make, and what the grader must say to each.

``ps2.py`` holds those of assignment 2, and other right answers. A test puts each into
a submission and grades it. ``python -m classroom.mistakes ps2`` does the same and says
what was lost, and with which words.
"""

import importlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import nbformat
from nbformat.notebooknode import NotebookNode
from nbgrader import utils

from ..course import SOURCE
from ..execute import grade_id, is_test, run_notebook, task_of
from ..sandbox import Limits


class Mistake(NamedTuple):
    code: str  # what stands in the answer's cell
    lost: str  # the checks that must fail, and no others: "t1-shape t1-order"
    says: str  # words of the first failing check: they name the mistake


def source(name: str) -> NotebookNode:
    """An assignment with its solutions and hidden tests."""
    return nbformat.read(SOURCE / name / f"{name}.ipynb", 4)


def tasks(name: str) -> list[str]:
    """The tasks of an assignment that are graded by tests."""
    return list(dict.fromkeys(task_of(c) for c in source(name).cells if is_test(c)))


def graded(name: str, answers: dict[str, str]) -> dict[str, str]:
    """{check: what it says, "" if it passes} of a submission with these answers.

    answers: the code of a task's cell; tasks left out have the teacher's solution.
    """
    nb = source(name)
    for cell in nb.cells:
        if utils.is_solution(cell) and task_of(cell) in answers:
            cell.source = answers[task_of(cell)]
    run_notebook(nb, Limits(seconds=20), ["llmcourse"], unsafe=False)
    said = {}
    for cell in filter(is_test, nb.cells):
        errors = [o.evalue for o in cell.outputs if o.output_type == "error"]
        said[grade_id(cell)] = (errors or [""])[0]
    return said


def rounds(name: str) -> Iterator[dict[str, tuple[str, Mistake]]]:
    """Submissions with one mistake in every task, until each mistake had its turn."""
    module = importlib.import_module(f"{__name__}.{name}")
    columns = [[(t, *row) for row in ms.items()] for t, ms in module.MISTAKES.items()]
    for row in zip_longest(*columns):
        yield {part[0]: part[1:] for part in row if part}


def faults(name: str, made: dict[str, tuple[str, Mistake]]) -> list[str]:
    """What is wrong with the grader's answer to these mistakes; [] if it is right."""
    said = graded(name, {task: m.code for task, (_, m) in made.items()})
    found = []
    for task, (title, mistake) in made.items():
        checks = {check: text for check, text in said.items() if task_of(check) == task}
        lost = [check for check, text in checks.items() if text]
        if lost != mistake.lost.split():
            found.append(f"{task}, {title}: lost {lost}, not {mistake.lost.split()}")
        first = checks[lost[0]] if lost else ""
        if mistake.says not in first:
            found.append(f"{task}, {title}: it says {first!r}, not {mistake.says!r}")
    for check, text in said.items():
        if text and task_of(check) not in made:
            found.append(f"{check} fails without a mistake: {text!r}")
    return found
