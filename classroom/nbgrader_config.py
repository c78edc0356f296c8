"""The course for nbgrader: what `make release`, `grade` and `feedback` use, and what a
JupyterHub reads when this folder is its course. CLASS_FOLDER says where a class lives.
"""

import os
import sys
from functools import partial
from pathlib import Path

import bleach
from nbconvert.filters.strings import strip_files_prefix

here = Path(__file__).parent.resolve()
folder = Path(os.environ.get("CLASS_FOLDER", here.parent / "build" / "class")).resolve()

c = get_config()  # noqa: F821, nbgrader defines it

c.CourseDirectory.course_id = "tokens-to-text"
c.CourseDirectory.root = str(folder)
c.CourseDirectory.source_directory = str(here / "source")
# The exchange of a JupyterHub: `nbgrader release_assignment`, `collect` and so on.
c.Exchange.root = os.environ.get("CLASS_EXCHANGE", "/srv/nbgrader/exchange")
c.CourseDirectory.db_url = f"sqlite:///{folder}/gradebook.db"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "*.json"]

c.ClearSolutions.code_stub = {
    "python": "# YOUR CODE HERE\nraise NotImplementedError('still empty')"
}
c.ClearSolutions.text_stub = "Write your answer here."

# Whatever grades here, the formgrader's button "Autograde" too, does it in the sandbox.
sys.path.append(str(here.parent))  # the package "classroom"
ours = "nbgrader.preprocessors."
c.Autograde.autograde_preprocessors = [
    "classroom.execute.SandboxedExecute",
    ours + "LimitOutput",
    ours + "SaveAutoGrades",
    ours + "AssignLatePenalties",
    ours + "CheckCellMetadata",
]

# A student's answer may hold a script. nbconvert's own filter escapes paragraphs, too,
# and the formgrader uses none: all of its Markdown goes through strip_files_prefix.
c.HTMLExporter.sanitize_html = True
tags = "p br hr h1 h2 h3 h4 div span pre sub sup table thead tbody tr th td"
clean = partial(bleach.clean, tags={*bleach.ALLOWED_TAGS, *tags.split()})
c.HTMLExporter.filters = {
    "clean_html": clean,
    "strip_files_prefix": lambda html: clean(strip_files_prefix(html)),
}
# Feedback in one file that needs no network.
c.HTMLExporter.template_name = "feedback"
c.HTMLExporter.extra_template_basedirs = [str(here / "templates")]
