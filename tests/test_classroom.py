"""Assignments that grade themselves: each mistake is named, and none costs more."""

import csv
import importlib
import json
import os
import re
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import nbformat
import pytest
from nbgrader import utils

from classroom import assemble, course
from classroom.execute import (
    grade_id,
    is_test,
    passes,
    run_notebook,
    task_of,
    try_alone,
)
from classroom.grade import STUDENT, submissions
from classroom.mistakes import faults, graded, rounds, source, tasks
from classroom.sandbox import Limits

NAMES = course.assignments()
ROUNDS = [(name, number) for name in NAMES for number, _ in enumerate(rounds(name))]


def mistakes(name: str):
    return importlib.import_module(f"classroom.mistakes.{name}")


# --- the assignments ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_assignment_is_whole(name):
    cells = source(name).cells
    graded_cells = [c for c in cells if utils.is_grade(c)]
    manual = [c for c in graded_cells if utils.is_solution(c)]
    assert sum(c.metadata.nbgrader.points for c in graded_cells) == 20
    assert 4 <= len({task_of(c) for c in graded_cells}) <= 6
    assert len(manual) >= 1 and all(c.cell_type == "markdown" for c in manual)
    assert all(c.metadata.nbgrader.grade_id for c in cells), "every cell has a name"
    for task in tasks(name):
        assert sum(utils.is_solution(c) and task_of(c) == task for c in cells) == 1
        assert len(mistakes(name).MISTAKES[task]) >= 4, task
        if any("def " in c.source for c in cells if grade_id(c) == task):
            assert len(mistakes(name).RIGHT[task]) >= 2, task
    # The points that a text names are those of its checks.
    for cell in cells:
        if stated := re.match(r"## Task (\d).*\((\d+) points?\)", cell.source):
            mine = [c for c in graded_cells if task_of(c) == f"t{stated[1]}"]
            assert int(stated[2]) == sum(c.metadata.nbgrader.points for c in mine)


@pytest.mark.parametrize("name", NAMES)
def test_what_students_get_has_no_answers(name, tmp_path):
    course.release(tmp_path, [name])
    text = (tmp_path / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in text and "HIDDEN TESTS" not in text
    released = nbformat.reads(text, 4).cells
    for ours, theirs in zip(source(name).cells, released, strict=True):
        assert not theirs.get("outputs")
        if utils.is_solution(ours) and ours.cell_type == "code":
            assert "YOUR CODE HERE" in theirs.source
            assert "NotImplementedError" in theirs.source


@pytest.mark.parametrize("name", NAMES)
def test_the_teachers_answers_get_all_points_and_an_untouched_copy_none(
    name, tmp_path, sandboxed
):
    assert not any(graded(name, {}).values())
    course.release(tmp_path, [name])
    released = nbformat.read(tmp_path / "release" / name / f"{name}.ipynb", 4)
    stubs = {task_of(c): c.source for c in released.cells if utils.is_solution(c)}
    said = graded(name, stubs)
    assert all(said.values()), [check for check, text in said.items() if not text]


@pytest.mark.parametrize(("name", "number"), ROUNDS)
def test_each_mistake_is_named_and_costs_its_own_points(name, number, sandboxed):
    made = list(rounds(name))[number]
    assert not faults(name, made)


@pytest.mark.parametrize("name", NAMES)
def test_other_right_answers_get_all_points(name, sandboxed):
    right = mistakes(name).RIGHT
    assert {*right} <= {*tasks(name)}
    columns = [[(task, code) for code in codes] for task, codes in right.items()]
    for row in zip_longest(*columns):
        said = graded(name, dict(part for part in row if part))
        assert not any(said.values()), said


def test_a_mistake_that_is_not_made_is_a_fault(sandboxed):
    """The test of the tests: a right answer under the name of a mistake is noticed."""
    title, mistake = next(iter(mistakes("ps2").MISTAKES["t1"].items()))
    right = mistake._replace(code=mistakes("ps2").RIGHT["t1"][0])
    assert len(faults("ps2", {"t1": (title, right)})) == 2  # nothing lost, nothing said


# --- what is handed in ----------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    course.release(folder, ["ps2"])
    return nbformat.read(folder / "release" / "ps2" / "ps2.ipynb", 4)


def copy(nb):
    return nbformat.reads(nbformat.writes(nb), 4)


def assembled(released, change):
    """What is graded of a changed copy: {id: text}, and what was found."""
    nb = copy(released)
    change(nb)
    read = copy(nb)
    read.cells = [assemble._plain(cell) for cell in nb.cells]
    whole, found = assemble.assemble(source("ps2"), released, read)
    return {grade_id(c): c.source for c in whole.cells if grade_id(c)}, found


def named(nb, name):
    return next(c for c in nb.cells if grade_id(c) == name)


def test_edited_and_deleted_tests_are_restored(released):
    def change(nb):
        named(nb, "t1-shape").source = "pass"
        nb.cells.remove(named(nb, "t1-scale"))
        named(nb, "t1").source = "mine = 1"

    texts, found = assembled(released, change)
    wanted = {grade_id(c): c.source for c in source("ps2").cells}
    assert texts == wanted | {"t1": "mine = 1"} | {
        grade_id(c): c.source
        for c in released.cells
        if utils.is_solution(c) and grade_id(c) != "t1"
    }
    assert found == [
        "cell t1-shape was changed: the original was used",
        "cell t1-scale is missing",
    ]


def test_the_first_of_two_answers_counts(released):
    def change(nb):
        answer = named(nb, "t1")
        answer.source = "first = 1"
        nb.cells.append(nbformat.from_dict(dict(answer, source="second = 2")))

    texts, found = assembled(released, change)
    assert texts["t1"] == "first = 1"
    assert found == ["cell t1 stands there twice: the first one counts"]


def test_cells_that_a_student_adds_stay_in_their_place(released):
    nb = copy(released)
    at = nb.cells.index(named(nb, "t2"))
    nb.cells.insert(at, nbformat.v4.new_code_cell("def helper(): return 3"))
    nb.cells = [assemble._plain(cell) for cell in nb.cells]
    whole, found = assemble.assemble(source("ps2"), released, nb)
    texts = [c.source for c in whole.cells]
    assert (
        texts.index("def helper(): return 3")
        == texts.index(named(whole, "t2").source) - 1
    )
    assert not found


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no notebook"),
        (b'{"cells": [', "no notebook"),
        (b"[1, 2]", "no notebook"),
        (b'{"cells": 5, "nbformat": 4, "nbformat_minor": 5}', "no notebook"),
        (b"\xff\xfe\x00", "no notebook"),
        (b"[" * 100_000, "no notebook"),
        (b" " * 200 * 2**20, "200 MB, of at most 5"),
        (None, "no such file"),
    ],
    ids=["empty", "cut", "list", "cells", "bytes", "deep", "large", "missing"],
)  # fmt: skip
def test_what_is_no_notebook_is_said(data, says, tmp_path):
    path = tmp_path / "ps2.ipynb"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(assemble.Unreadable, match=says):
        assemble.read_submission(path)


def test_a_link_to_the_solution_is_not_followed(tmp_path):
    path = tmp_path / "ps2.ipynb"
    path.symlink_to(course.SOURCE / "ps2" / "ps2.ipynb")
    with pytest.raises(assemble.Unreadable, match="no regular file"):
        assemble.read_submission(path)


def test_only_names_are_names(tmp_path):
    for name in ("anna", "李明", "a b", "-x", ".hidden"):
        (tmp_path / name / "ps2").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "anna")
    found, left_out = submissions(tmp_path)
    assert [s.student for s in found] == ["anna"] and len(left_out) == 5
    assert STUDENT.fullmatch("li.ming@example.org")


def test_a_cell_that_breaks_things_costs_its_own_task(sandboxed):
    nb = source("ps2")
    named(nb, "t1").source += "\ntorch.softmax = torch.Tensor.exp = None\n"
    rules = Limits(seconds=20), [], False
    happened = run_notebook(nb, *rules)
    assert not all(map(passes, filter(is_test, nb.cells)))
    try_alone(nb, *rules)
    said = {grade_id(c): [o for o in c.outputs if o.output_type == "error"]
            for c in nb.cells if is_test(c)}  # fmt: skip
    assert not any(said.values()), said
    assert {"task": "t1", "what": "replaced torch.softmax"} in happened


# --- a class of twelve ----------------------------------------------------------------

HOSTILE = {
    "endless": ("t3", "def causal_weights(x, t):\n    while True: pass"),
    "exit": ("t1", "import os\nos._exit(0)"),
    "bomb": ("t2", "import os\nwhile True: os.fork()"),
    "memory": ("t2", "bytearray(20 * 2**30)"),
    "loud": ("t4", "for _ in range(100_000): print('x' * 10_000)"),
    "thief": ("t4", "exec(open('../source/ps2/ps2.ipynb').read())"),
    "liar": ("t5", "class E:\n    def __eq__(s, o): return True\n"
                   "    def __ne__(s, o): return False\n"
                   "multiply_adds = table_bytes = E()"),
    "package": ("t4", "from llmcourse.attention import attention"),
}  # fmt: skip
POINTS = {"t1": 3, "t2": 4, "t3": 5, "t4": 4, "t5": 2}


def command(*words) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        capture_output=True, text=True, cwd=course.HERE.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def graded_class(tmp_path_factory, released, sandboxed):
    """Twelve students, graded from end to end; (the class's folder, submissions)."""
    folder = tmp_path_factory.mktemp("class")
    handed_in = folder / "handed-in"
    answers = {
        task_of(c): c.source
        for c in source("ps2").cells
        if utils.is_solution(c) and c.cell_type == "code"
    }
    made = mistakes("ps2").MISTAKES
    everything = {task: next(iter(ms.values())).code for task, ms in made.items()}
    students = {
        "right": answers,
        "wrong": everything,
        "partial": answers | {"t3": everything["t3"]},
        "untouched": {},
        **{name: answers | {task: code} for name, (task, code) in HOSTILE.items()},
    }
    assert len(students) == 12
    for student, given in students.items():
        nb = copy(released)
        for cell in nb.cells:
            cell.source = given.get(grade_id(cell), cell.source)
        path = handed_in / student / "ps2" / "ps2.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nb, path)
    rules = ("--class", folder / "results", "--seconds", 6)
    printed = command("classroom.grade", handed_in, *rules)
    assert "12 graded, 0 unchanged" in printed
    command("classroom.report", *rules[:2])
    command("classroom.feedback", *rules[:2])
    return folder / "results", handed_in


@pytest.fixture(scope="module")
def table(graded_class):
    """{student: {task: row}} of grades.csv."""
    with open(graded_class[0] / "grades.csv", encoding="utf-8") as file:
        found = {}
        for row in csv.DictReader(file):
            found.setdefault(row["student"], {})[row["task"]] = row
    return found


def points(of: dict) -> dict[str, float]:
    return {task: float(row["points"]) for task, row in of.items() if task in POINTS}


def test_everybody_gets_what_they_earned(table):
    assert len(table) == 12
    assert points(table["right"]) == POINTS
    assert points(table["untouched"]) == dict.fromkeys(POINTS, 0.0)
    lost = points(table["partial"])
    assert lost.pop("t3") < 5 and lost.items() < POINTS.items()
    assert 0 < sum(points(table["wrong"]).values()) < 12


@pytest.mark.parametrize("student", HOSTILE)
def test_hostile_code_costs_its_own_points_and_is_named(student, table):
    got, (task, _) = points(table[student]), HOSTILE[student]
    assert got.pop(task) == 0 and got.items() < POINTS.items()
    row = table[student][task]
    assert row["says"]
    if student != "liar":  # what it says is that a number was expected
        assert task in row["happened"], row


def test_feedback_names_the_mistake_and_needs_no_network(graded_class):
    pages = sorted((graded_class[0] / "feedback").glob("*/ps2/ps2.html"))
    assert len(pages) == 12
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', text)
        assert "<script" not in text and "&lt;p&gt;" not in text
    wrong = (graded_class[0] / "feedback/wrong/ps2/ps2.html").read_text("utf-8")
    for ms in mistakes("ps2").MISTAKES.values():
        assert next(iter(ms.values())).says in wrong


def test_the_report_counts_and_draws(graded_class):
    text = (graded_class[0] / "report.html").read_text(encoding="utf-8")
    assert "12 students" in text and '<svg role="img" aria-label="t1: ' in text
    assert "replaced" not in text and "its cell stopped with ImportError" in text


def test_a_rerun_grades_only_what_changed_or_was_not_finished(graded_class):
    folder, handed_in = graded_class
    rules = ("--class", folder, "--seconds", 6)
    assert "0 graded, 12 unchanged" in command("classroom.grade", handed_in, *rules)
    (folder / "state/right/ps2.json").unlink()  # as if it had been interrupted there
    path = handed_in / "partial" / "ps2" / "ps2.ipynb"
    nb = nbformat.read(path, 4)
    named(nb, "t3").source = "causal_weights = None"
    nbformat.write(nb, path)
    assert "2 graded, 10 unchanged" in command("classroom.grade", handed_in, *rules)
    told = json.loads((folder / "state/right/ps2.json").read_text())["told"]
    assert told == []


def test_no_folder_of_submissions_is_an_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "classroom.grade", str(tmp_path / "nothing")],
        capture_output=True, text=True, cwd=course.HERE.parent,
    )  # fmt: skip
    assert done.returncode == 1 and "is no folder" in done.stderr


# --- nbgrader's exchange, as on a JupyterHub -----------------------------------------


def test_an_assignment_goes_out_and_comes_back(tmp_path, sandboxed):
    """Released, fetched and submitted by a student, collected, and graded."""
    results, home = tmp_path / "class", tmp_path / "student"
    exchange = tmp_path / "exchange"
    exchange.mkdir(mode=0o777)
    exchange.chmod(0o777)
    home.mkdir()
    here = course.HERE
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    known = {"CLASS_FOLDER": str(results), "CLASS_EXCHANGE": str(exchange)}

    def nbgrader(*words, config=here, where=None, **more):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            env=os.environ | known | {"PATH": programs, "HOME": str(home)} | more
            | {"JUPYTER_CONFIG_PATH": str(config)},
            cwd=where or config, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    course.release(results, ["ps2"])
    nbgrader("release_assignment", "ps2")
    student = dict(config=here / "jupyterhub", where=home, JUPYTERHUB_USER="anna")
    nbgrader("fetch_assignment", "ps2", **student)
    path = home / "ps2" / "ps2.ipynb"
    nb = nbformat.read(path, 4)
    named(nb, "t5").source = mistakes("ps2").RIGHT["t5"][0]
    nbformat.write(nb, path)
    nbgrader("submit", "ps2", **student)
    nbgrader("collect", "ps2")
    (collected,) = (results / "submitted").iterdir()
    command("classroom.grade", results / "submitted", "--class", results)
    command("classroom.report", "--class", results)
    with open(results / "grades.csv", encoding="utf-8") as file:
        rows = {row["task"]: row for row in csv.DictReader(file)}
    assert rows["t5"]["student"] == collected.name and rows["t5"]["points"] == "2.0"
    assert rows["t1"]["points"] == "0.0"
    command("classroom.feedback", "--class", results)
    nbgrader("release_feedback", "ps2")
    nbgrader("fetch_feedback", "ps2", **student)
    (page,) = (home / "ps2" / "feedback").glob("*/ps2.html")
    assert "still empty" in page.read_text(encoding="utf-8")
