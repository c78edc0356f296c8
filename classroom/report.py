"""What a class knows: ``python -m classroom.report``.

Writes into the class's folder ``grades.csv``, a row for each student and task, and
``report.html``: how many points each task brought, the most frequent mistakes in the
words of the checks that found them, and what happened while grading.
"""

import csv
import html
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import nbformat
from nbgrader.api import Gradebook
from nbgrader.utils import is_grade

from .course import parser, quiet
from .execute import EMPTY, grade_id, task_of

SHARES = ("no points", "less than half", "half or more", "all points", "to be read")
COLORS = ("#b3423a", "#d99a3d", "#8fb8d8", "#1f5f8b", "#b5bcc4")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; color: #1c2530; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .6rem;
  border-bottom: 1px solid #c9d1d9; text-align: left; vertical-align: top }
td.n { text-align: right } svg { max-width: 100%; height: auto; background: #fff }
@media (prefers-color-scheme: dark) {
  body { color: #d7dde3; background: #14181d } th, td { border-color: #39424c } }
"""


class Row(NamedTuple):
    """One task of one student."""

    student: str
    assignment: str
    task: str
    points: float
    of: float
    open: bool  # a grader has still to read it
    says: str  # what the first failing check says
    happened: str  # what was noted while grading, about the whole submission


def rows(folder: Path) -> list[Row]:
    """All that was graded in a class's folder."""
    found = []
    with Gradebook(f"sqlite:///{folder}/gradebook.db", "tokens-to-text") as gradebook:
        for assignment in gradebook.assignments:
            for submission in gradebook.assignment_submissions(assignment.name):
                student = submission.student.id
                path = folder / "autograded" / student / assignment.name
                path /= f"{assignment.name}.ipynb"
                if not path.exists():  # nbgrader removes what it could not grade
                    missing = (student, assignment.name, "", 0.0, 0.0, True, "")
                    found.append(Row(*missing, "not graded"))
                    continue
                cells = nbformat.read(path, 4).cells
                (notebook,) = submission.notebooks
                grades = {grade.name: grade for grade in notebook.grades}
                for task in dict.fromkeys(task_of(c) for c in cells if is_grade(c)):
                    mine = [c for c in cells if is_grade(c) and task_of(c) == task]
                    known = [grades[grade_id(c)] for c in mine]
                    found.append(
                        Row(
                            student,
                            assignment.name,
                            task,
                            sum(grade.score for grade in known),
                            sum(grade.max_score for grade in known),
                            any(grade.needs_manual_grade for grade in known),
                            next(filter(None, map(says, mine)), ""),
                            "; ".join(told(folder, student, assignment.name)),
                        )
                    )
    return sorted(found)


def says(cell) -> str:
    """The message of a failed check."""
    outputs = cell.get("outputs", [])
    return next((o.evalue for o in outputs if o.output_type == "error"), "")


def told(folder: Path, student: str, assignment: str) -> list[str]:
    """What the grader noted of a submission."""
    path = folder / "state" / student / f"{assignment}.json"
    return json.loads(path.read_text(encoding="utf-8"))["told"] if path.exists() else []


def no_formula(value):
    """A value for a table that no spreadsheet takes for a formula."""
    risky = isinstance(value, str) and value.startswith(
        ("=", "+", "-", "@", "\t", "\r")
    )
    return f"'{value}" if risky else value


def share(row: Row) -> str:
    """The class of SHARES that a task's points belong to."""
    if row.open:
        return SHARES[4]
    if row.points == 0:
        return SHARES[0]
    if row.points < row.of:
        return SHARES[1 + (row.points >= row.of / 2)]
    return SHARES[3]


def distribution(of: list[Row]) -> list[list]:
    """For each task, how many students are in each class of SHARES."""
    counts = Counter((row.task, share(row)) for row in of)
    tasks = sorted({row.task for row in of})
    return [[task, *(counts[task, name] for name in SHARES)] for task in tasks]


def picture(of: list[Row]) -> str:
    """How many students got how many of a task's points, as SVG."""
    found = distribution(of)
    tasks, *shares = zip(*found, strict=True)
    with plt.rc_context({"svg.hashsalt": "class", "font.size": 10}):
        figure, axes = plt.subplots(
            figsize=(7, 0.6 + 0.4 * len(tasks)), layout="constrained"
        )
        left = [0] * len(tasks)
        for name, color, wide in zip(SHARES, COLORS, shares, strict=True):
            axes.barh(tasks, wide, left=left, color=color, label=name)
            left = [a + b for a, b in zip(left, wide, strict=True)]
        axes.invert_yaxis()
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("students")
        figure.legend(loc="outside upper center", ncols=5, frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    svg = file.getvalue()
    alt = "; ".join(
        f"{task}: "
        + ", ".join(f"{n} {name}" for n, name in zip(ns, SHARES, strict=True))
        for task, *ns in found
    )
    start = svg.index("<svg")
    return f'<svg role="img" aria-label="{html.escape(alt)}"{svg[start + 4 :]}'


def table(head: Iterable[str], body: Iterable[Iterable]) -> str:
    """An HTML table; numbers are right-aligned."""
    lines = [
        "<table><tr>",
        *(f"<th>{html.escape(cell)}</th>" for cell in head),
        "</tr>",
    ]
    for row in body:
        cells = (
            f'<td class="n">{cell:g}</td>'
            if isinstance(cell, int | float)
            else f"<td>{html.escape(cell)}</td>"
            for cell in row
        )
        lines += ["<tr>", *cells, "</tr>"]
    return "".join(lines) + "</table>"


def results(of: list[Row]) -> list[str]:
    """What was reached in one assignment, and the most frequent mistakes, as HTML."""
    students = sorted({row.student for row in of})
    sums = [sum(r.points for r in of if r.student == s) for s in students]
    full = sum(row.of for row in of if row.student == students[0])
    empty = sum(EMPTY in row.says for row in of)
    wrong = ((r.task, r.says) for r in of if r.says and EMPTY not in r.says)
    frequent = Counter(wrong)
    mistakes = ((n, task, text[:300]) for (task, text), n in frequent.most_common(12))
    return [
        f"<p>{len(students)} students; on average "
        f"{sum(sums) / len(sums):.1f} of {full:g} points; "
        f"{sum(row.open for row in of)} answers to be read, "
        f"{empty} tasks left empty.</p>",
        picture(of),
        table(("task", *SHARES), distribution(of)),
        "<h3>The most frequent mistakes</h3>",
        table(("students", "task", "what the check says"), mistakes),
    ]


def page(found: list[Row]) -> str:
    """The report of a class, as a page that needs no network."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Report of a class</title><style>{STYLE}</style>",
        "<h1>Report of a class</h1>",
    ]
    for name in sorted({row.assignment for row in found}):
        of = [row for row in found if row.assignment == name]
        parts.append(f"<h2>{name}</h2>")
        if graded := [row for row in of if row.task]:
            parts += results(graded)
        if noted := {row.student: row.happened for row in of if row.happened}:
            parts.append("<h3>Noted while grading</h3>")
            parts.append(table(("student", "what"), noted.items()))
    return "\n".join(parts) + "</html>\n"


def main() -> None:
    folder = parser("Report of a class.").parse_args().folder
    if not (folder / "gradebook.db").exists():
        sys.exit(f"classroom.report: {folder} has no gradebook; grade a class first")
    quiet()
    found = rows(folder)
    with open(folder / "grades.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(map(no_formula, row) for row in found)
    (folder / "report.html").write_text(page(found), encoding="utf-8")
    print(f"{folder / 'grades.csv'}: {len(found)} rows")
    print(folder / "report.html")


if __name__ == "__main__":
    main()
