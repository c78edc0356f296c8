"""Assignments that grade themselves: each mistake is named, and none costs more."""

import csv
import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from itertools import zip_longest
from pathlib import Path

import nbformat
import pytest
import torch
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader.formgrader import FormgradeExtension

from classroom import assemble, course, execute, feedback, report, sandbox
from classroom import grade as grading
from classroom.execute import (
    ALONE,
    SandboxedExecute,
    grade_id,
    is_test,
    passes,
    run_notebook,
    task_of,
    try_alone,
)
from classroom.grade import STUDENT, Submission, grade_all, slips, submissions
from classroom.mistakes import faults, graded, rounds, source, tasks
from classroom.sandbox import Limits, Lost

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
def test_what_students_get_has_no_answers_and_gets_no_points(name, tmp_path, sandboxed):
    course.release(tmp_path, [name])
    text = (tmp_path / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in text and "HIDDEN" not in text
    released = nbformat.reads(text, 4).cells
    hidden = set()
    for ours, theirs in zip(source(name).cells, released, strict=True):
        assert not theirs.get("outputs")
        if utils.is_solution(ours) and ours.cell_type == "code":
            assert "YOUR CODE HERE" in theirs.source
            assert "NotImplementedError" in theirs.source
        if is_test(ours):
            # The marker is searched for as a careless author may write it, too.
            shown = re.split(r"(?im)^.*hidden\W*tests?.*$", ours.source)[0]
            assert theirs.source.strip() == shown.strip()
            hidden |= {task_of(ours)} if shown != ours.source else set()
    assert hidden == {*tasks(name)}, "each task has hidden checks"
    said = graded(
        name, {task_of(c): c.source for c in released if utils.is_solution(c)}
    )
    assert all(said.values()), [check for check, text in said.items() if not text]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_near_to_nothing(name):
    """It could say one shape, and then give a tensor that broadcasts to nothing."""

    class Liar:
        shape = (1, 1, 6)

        def double(self):
            return torch.zeros(0, 1, 6).double()

    names = {}
    exec(named(source(name), "setup").source, names)
    if near := names.get("near"):
        assert near(torch.ones(1, 1, 6), torch.ones(1, 1, 6).double())
        assert not near(Liar(), torch.ones(1, 1, 6))


@pytest.mark.parametrize("name", NAMES)
def test_the_teachers_answers_get_all_points(name, sandboxed):
    assert not any(graded(name, {}).values())


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
        "missing: t1-scale",
        "changed, and the original was used: t1-shape",
    ]


def test_an_answer_in_a_cell_of_its_own_is_used(released):
    """Its author has deleted the cell for it: the stub would come afterwards."""

    def change(nb):
        at = nb.cells.index(named(nb, "t1"))
        nb.cells[at] = new_code_cell("mine = 1")

    texts, found = assembled(released, change)
    assert texts["t1"] == ""
    assert found == ["cell t1 is missing: what stands there was used"]


def test_an_answer_in_words_has_a_length_that_can_be_read_and_cleaned():
    long, tags = (
        assemble._plain(new_markdown_cell(text)).source
        for text in ("word " * 9_000, "<div>" * 1_000)
    )
    assert len(long) < 21_000 and "45,000 characters" in long
    assert "<" not in tags and tags.count("&lt;div>") == 1_000
    few = "a <b>bold</b> word"
    assert assemble._plain(new_markdown_cell(few)).source == few


def test_an_answer_that_was_split_is_used_whole(released):
    """JupyterLab gives both halves of a cell the same name."""
    nb = copy(released)
    for name, second in (("t1", "second = 2"), ("t1-shape", "pass")):
        at = nb.cells.index(named(nb, name))
        nb.cells.insert(at + 1, nbformat.from_dict(dict(nb.cells[at], source=second)))
    named(nb, "t1").source = "first = 1"
    nb.cells = [assemble._plain(cell) for cell in nb.cells]
    whole, found = assemble.assemble(source("ps2"), released, nb)
    texts = [cell.source for cell in whole.cells]
    at = texts.index("first = 1")
    assert texts[at + 1] == "second = 2" and "pass" not in texts
    assert found == [
        "cell t1 stands there twice: both are used",
        "cell t1-shape stands there twice: the original was used",
    ]


def test_text_that_no_file_can_hold_is_mended():
    cell = new_code_cell("x = '\ud800'")
    assert assemble._plain(cell).source == "x = '?'"


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
    (tmp_path / "anna" / "ps2" / "ps2.ipynb").touch()
    found, left_out = submissions(tmp_path)
    assert [s.student for s in found] == ["anna"] and len(left_out) == 5
    assert "it begins with a letter a-z or a digit" in left_out[0]
    assert STUDENT.fullmatch("li.ming@example.org")


def test_a_notebook_in_the_wrong_place_is_named(tmp_path):
    for path in ("anna/ps2.ipynb", "ben/PS2/ps2.ipynb", "cy/ps2/ps2 (1).ipynb"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (tmp_path / "dora").mkdir()
    found, left_out = submissions(tmp_path)
    assert [s.student for s in found] == ["cy"]  # ps2 was handed in, and is empty
    for line, words in zip(
        left_out,
        ["anna holds 'ps2.ipynb'", "ben holds 'PS2'", "ps2 holds 'ps2 (1).ipynb'",
         "nothing at dora/ps1/ps1.ipynb, or ps2/ps2.ipynb, ..; dora holds nothing"],
        strict=True,
    ):  # fmt: skip
        assert words in line


def test_a_submission_came_when_its_file_was_written(tmp_path):
    path = tmp_path / "ps2.ipynb"
    path.touch()
    os.utime(path, (86_400, 86_400))
    found = slips(Submission("anna", "ps2", path))
    assert found["timestamp.txt"] == "1970-01-02 00:00:00.000000 UTC"
    path.unlink()
    assert "timestamp.txt" not in slips(Submission("anna", "ps2", path))
    path.with_name("timestamp.txt").write_text("2026-01-02 03:04:05 UTC")
    found = slips(Submission("anna", "ps2", path))
    assert found["timestamp.txt"] == "2026-01-02 03:04:05 UTC"


def test_one_that_cannot_be_graded_stops_nobody(tmp_path, monkeypatch):
    found = [Submission(name, "ps2", tmp_path / name) for name in ("aa", "zz")]

    def grade(folder, submission, *_):
        if submission.student == "aa":
            raise ValueError("a surrogate,\n\ud800")
        return []

    monkeypatch.setattr(grading, "grade", grade)
    told = [*grade_all(tmp_path, found, 30.0, False)]
    assert told == [
        (found[0], ["not graded: ValueError: a surrogate, ?"], False),
        (found[1], [], True),
    ]
    again = [*grade_all(tmp_path, found, 30.0, False)]
    assert [submission.student for submission, *_ in again] == ["aa"]


def test_a_failure_of_nbgrader_is_told_in_a_line():
    log = (
        "[ERROR] Traceback (most recent call last):\n"
        '  File "x.py", line 3, in f\n    g()\n'
        "sqlite3.OperationalError: database is locked\n\n"
        "[ERROR] Please see the above traceback for details.\n"
    )
    with pytest.raises(RuntimeError) as failed:
        course.done({"success": False, "log": log}, "ps2")
    assert str(failed.value) == (
        "nbgrader failed on ps2: sqlite3.OperationalError: database is locked"
    )


def test_who_interrupts_nbgrader_interrupts_the_class():
    with pytest.raises(KeyboardInterrupt):
        course.done({"success": False, "error": "..\nKeyboardInterrupt\n"}, "ps2")


def test_nbgrader_itself_grades_in_the_sandbox_or_not_at_all(tmp_path, monkeypatch):
    """The formgrader's button "Autograde" uses this configuration, and nothing else."""
    config = course.configuration(tmp_path)
    first = config.Autograde.autograde_preprocessors[0]
    assert first == "classroom.execute.SandboxedExecute"
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(sandbox.Refused):
        SandboxedExecute().preprocess(new_notebook(), {})


SCRIPTS = (
    "**bold** s<sup>t</sup> [x](javascript:alert(1)) <img src=x onerror=alert(2)>\n\n"
    "<script>alert(3)</script> <p id='t6'>here</p> <iframe src='//x'></iframe>"
)


def test_the_formgrader_shows_an_answer_and_runs_none_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(course.HERE))
    monkeypatch.setenv("CLASS_FOLDER", str(tmp_path))
    extension = FormgradeExtension()
    extension.root_dir = str(tmp_path)
    extension.initialize([])
    answer = new_markdown_cell(SCRIPTS, metadata=source("ps2").cells[-1].metadata)
    picture = {"image/png": '"><script>alert(4)</script>'}
    outputs = [
        new_output("display_data", picture),
        new_output("error", ename="E", evalue=SCRIPTS, traceback=[SCRIPTS]),
    ]
    cells = [answer, new_markdown_cell(SCRIPTS), assemble.note([SCRIPTS]),
             new_code_cell("1", outputs=outputs)]  # fmt: skip
    known = dict.fromkeys(("assignment_id", "notebook_id", "student", "base_url"), "x")
    known |= dict.fromkeys(("last_name", "first_name", "notebook_path"), "x")
    html, _ = HTMLExporter(config=extension.config).from_notebook_node(
        new_notebook(cells=cells),
        resources=known | {"submission_id": "1", "index": 0, "total": 1},
    )
    assert html.count("<strong>bold</strong> s<sup>t</sup>") == 2
    assert not re.search(
        "<script>alert|<img[^>]*onerror|<p id=|<iframe|href=.javascript:", html
    )


def test_a_cell_that_breaks_things_costs_its_own_task(sandboxed):
    nb = source("ps2")
    named(nb, "t1").source += "\ntorch.softmax = torch.Tensor.exp = None\n"
    rules = Limits(seconds=20), [], False
    happened = run_notebook(nb, *rules)
    assert not all(map(passes, filter(is_test, nb.cells)))
    alone = try_alone(nb, *rules)
    assert {"task": "t2", "what": ALONE} in alone
    said = {grade_id(c): [o for o in c.outputs if o.output_type == "error"]
            for c in nb.cells if is_test(c)}  # fmt: skip
    assert not any(said.values()), said
    assert {"task": "t1", "what": "replaced torch.softmax"} in happened


def test_what_happens_is_noted_and_what_is_too_much_left_out(sandboxed, monkeypatch):
    monkeypatch.setattr(execute, "ROOM", 2_000)
    codes = ("raise NotImplementedError('still empty')",
             "raise NotImplementedError('for this dtype')",
             "print('\\ud800' * 9_000)", "from torch.nn import LayerNorm")  # fmt: skip
    nb = new_notebook(cells=[new_code_cell(code) for code in codes])
    happened = run_notebook(nb, Limits(seconds=20), [], False)
    assert [note["what"] for note in happened] == [
        "its cell stopped with NotImplementedError: for this dtype",
        "outputs beyond 2,000 characters are left out",
        "names LayerNorm: does the text allow it?",
    ]
    assert nb.cells[1].outputs and not nb.cells[2].outputs


def test_who_ends_its_process_again_and_again_is_left(sandboxed, monkeypatch):
    monkeypatch.setattr(execute, "STARTS", 2)
    exits = [new_code_cell("import os; os._exit(0)") for _ in range(5)]
    with execute.Run(Limits(seconds=20), [], False) as run:
        for cell in exits:
            cell.outputs = []
            run.cell(cell)
    assert run.starts == 2
    assert run.incidents[-1]["what"] == "ended 2 times, and was not started again"
    assert all(cell.outputs for cell in exits)


def test_feedback_of_one_that_fails_stops_nobody(tmp_path, monkeypatch, capsys):
    for student in ("anna", "ben", "carl"):
        (tmp_path / "autograded" / student / "ps2").mkdir(parents=True)
    asked = []

    def page(self, name, student, force):
        asked.append(student)
        if student == "ben":
            raise RecursionError("too deep")
        return {"success": True}

    monkeypatch.setattr("classroom.feedback.NbGraderAPI.generate_feedback", page)
    monkeypatch.setattr("classroom.feedback.rows", lambda folder: [])
    monkeypatch.setattr(sys, "argv", ["feedback", "--class", str(tmp_path)])
    with pytest.raises(SystemExit, match="not written: ben, ps2: too deep"):
        feedback.main()
    assert asked == ["anna", "ben", "carl"]


def test_a_process_that_does_not_start_is_tried_again(monkeypatch):
    tries = []

    def start(*arguments):
        tries.append(arguments)
        raise Lost("it took longer than 120 s")

    monkeypatch.setattr(execute, "Process", start)
    with pytest.raises(Lost), execute.Run(Limits(), [], False):
        pass
    assert len(tries) == 2


# --- a class of twenty ----------------------------------------------------------------

HOSTILE = {
    "endless": ("t3", "def causal_weights(x, t):\n    while True: pass"),
    "exit": ("t1", "import os\nos._exit(0)"),
    "bomb": ("t2", "import os\nwhile True: os.fork()"),
    "memory": ("t2", "bytearray(20 * 2**30)"),
    "loud": ("t4", "for _ in range(100_000): print('x' * 10_000)"),
    "thief": ("t4", f"print(open({str(course.SOURCE / 'ps2/ps2.ipynb')!r}).read())"),
    "liar": ("t5", "class E:\n    def __eq__(s, o): return True\n"
                   "    def __ne__(s, o): return False\n"
                   "multiply_adds = table_bytes = E()"),
    "caller": ("t1", "import socket\nsocket.create_connection(('1.1.1.1', 80), 3)"),
    "printer": ("t2", "import builtins, sys, torch\nsys.modules['llmcourse'] = torch\n"
                      "builtins.print = lambda *a, **k: None\n"
                      "torch.allclose = lambda *a, **k: True"),
    "package": ("t4", "from llmcourse.attention import attention"),
    "writer": ("t1", "def scores(keys, queries):\n"
                     "    raise ValueError('=HYPERLINK(\"x\")\\n- t5: full points '\n"
                     "                     '\\x1b[2J <script>alert(1)</script>')\n"
                     "scores(1, 2)"),
}  # fmt: skip
# One value beside the other answers, another one alone.
GUESSES = "if 'scores' in globals():\n    multiply_adds = table_bytes = 1\nelse:\n"
GUESSES += textwrap.indent(mistakes("ps2").RIGHT["t5"][0], "    ")
BROKEN = {"empty": "", "cut": '{"cells": [', "huge": " " * 200 * 2**20}
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
    """A class, graded from end to end; (the class's folder, submissions)."""
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
        "tamperer": answers,
        **dict.fromkeys(BROKEN, {}),
        "guesser": answers | {"t5": GUESSES},
        "untouched": {},
        **{name: answers | {task: code} for name, (task, code) in HOSTILE.items()},
    }
    assert len(students) == 20
    for student, given in students.items():
        nb = copy(released)
        for cell in nb.cells:
            cell.source = given.get(grade_id(cell), cell.source)
        path = handed_in / student / "ps2" / "ps2.ipynb"
        path.parent.mkdir(parents=True)
        if student == "tamperer":
            named(nb, "t1-shape").source = "pass"
            nb.cells.remove(named(nb, "t1-scale"))
            for cell in nb.cells:
                cell.id = "same"
        path.write_text(BROKEN.get(student, json.dumps(nb)), encoding="utf-8")
    rules = ("--class", folder / "results", "--seconds", 6)
    printed = command("classroom.grade", handed_in, *rules)
    assert "20 graded, 0 unchanged" in printed
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
    assert len(table) == 20
    assert points(table["right"]) == POINTS
    assert points(table["untouched"]) == dict.fromkeys(POINTS, 0.0)
    lost = points(table["partial"])
    assert lost.pop("t3") < 5 and lost.items() < POINTS.items()
    assert 0 < sum(points(table["wrong"]).values()) < 12


def test_who_tampers_with_tests_gets_what_the_answers_earn(table):
    assert points(table["tamperer"]) == POINTS
    happened = table["tamperer"]["t1"]["happened"]
    assert "missing: t1-scale" in happened and "used: t1-shape" in happened


@pytest.mark.parametrize(
    ("student", "says"),
    [("empty", "no notebook"), ("cut", "no notebook"), ("huge", "the file has 200 MB")],
)
def test_what_is_no_notebook_gets_no_points_and_is_named(student, says, table):
    assert points(table[student]) == dict.fromkeys(POINTS, 0.0)
    assert says in table[student]["t1"]["happened"]


def test_only_who_passes_alone_is_said_to(table):
    assert points(table["guesser"]) == POINTS
    for student in ("guesser", "partial", "wrong"):
        told = ALONE in table[student]["t5"]["happened"]
        assert told == (student == "guesser"), student


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
    assert len(pages) == 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', text)
        assert "<script" not in text and "&lt;p&gt;" not in text
    written = (graded_class[0] / "feedback/writer/ps2/ps2.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in written
    assert not re.search(r"<li>\s*t5: full", written)  # its own line stays one line
    wrong = (graded_class[0] / "feedback/wrong/ps2/ps2.html").read_text("utf-8")
    for ms in mistakes("ps2").MISTAKES.values():
        assert next(iter(ms.values())).says in wrong


def test_no_cell_of_the_table_is_a_formula(table):
    assert table["writer"]["t1"]["says"].startswith("'=HYPERLINK")
    happened = table["writer"]["t1"]["happened"]
    assert "full points" in happened and happened.isprintable()


def test_the_report_counts_and_draws(graded_class):
    text = (graded_class[0] / "report.html").read_text(encoding="utf-8")
    assert "20 students" in text and '<svg role="img" aria-label="t1: ' in text
    assert "its cell stopped with ImportError" in text
    replaced = set(re.findall(r"replaced ([\w.]+)", text))
    assert replaced == {"builtins.print", "torch.allclose"}
    shares = "<th>task</th><th>no points</th>"
    assert shares in text and "<td>t6</td>" in text


def give_points(folder, students):
    """What a teacher does in the formgrader."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "tokens-to-text") as gradebook:
        for student in students:
            given = gradebook.find_grade("t6", "ps2", "ps2", student)
            given.manual_score, given.needs_manual_grade = 2.0, False
        gradebook.db.commit()


def test_a_rerun_grades_only_what_changed_or_was_not_finished(graded_class):
    folder, handed_in = graded_class
    rules = ("--class", folder, "--seconds", 6)
    assert "0 graded, 20 unchanged" in command("classroom.grade", handed_in, *rules)
    give_points(folder, ["right", "partial"])
    (folder / "state/right/ps2.json").unlink()  # as if it had been interrupted there
    path = handed_in / "partial" / "ps2" / "ps2.ipynb"
    nb = nbformat.read(path, 4)
    named(nb, "t3").source = "causal_weights = None"
    named(nb, "t6").source = "Another answer."
    nbformat.write(nb, path)
    assert "2 graded, 18 unchanged" in command("classroom.grade", handed_in, *rules)
    read = {row.student: row for row in report.rows(folder) if row.task == "t6"}
    assert read["right"].points == read["partial"].points == 2
    assert read["partial"].open and not read["right"].open  # the same text was read
    told = json.loads((folder / "state/right/ps2.json").read_text())["told"]
    assert told == []


def test_one_that_could_not_be_graded_is_in_the_report(graded_class):
    folder, _ = graded_class
    place = folder / "autograded" / "untouched"
    place.rename(folder / "hidden")  # nbgrader removes it
    try:
        (row,) = [r for r in report.rows(folder) if r.student == "untouched"]
        assert row.happened == "not graded" and row.open
        assert "19 students" in report.page(report.rows(folder))
        assert "<td>not graded</td>" in report.page([row])
    finally:
        (folder / "hidden").rename(place)


def test_an_assignment_that_was_graded_keeps_its_cells(
    graded_class, tmp_path, monkeypatch
):
    folder, _ = graded_class
    course.release(folder, ["ps2"])  # nothing has changed
    nb = source("ps2")
    new = nbformat.from_dict(copy(nb).cells[-1])
    new.id = new.metadata.nbgrader.grade_id = "t6-new"
    nb.cells.append(new)
    (tmp_path / "ps2").mkdir()
    nbformat.write(nb, tmp_path / "ps2" / "ps2.ipynb")
    monkeypatch.setattr(course, "SOURCE", tmp_path)
    with pytest.raises(course.Changed, match=r"gained or lost cells \(t6-new\)"):
        course.release(folder, ["ps2"])
    assert (folder / "release" / "ps2" / "ps2.ipynb").exists()


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
