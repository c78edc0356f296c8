"""The rules for chapters. nbval compares outputs; these tests see to what nbval cannot.

Each rule is a function from a notebook to a list of problems. Every rule is applied to
every chapter, and every rule is itself tested: a small notebook that breaks it, and no
other rule, must be reported.
"""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbval.plugin import get_sanitize_patterns
from run_chapters import normalise, read, to_text

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
PAGES = [*CHAPTERS, *sorted(ROOT.glob("chapters/*.md")), *sorted(ROOT.glob("*.md"))]
PACKAGE = ROOT / "llmcourse"

# The chapter that builds a module, or a name of it. Later chapters may import it.
BUILT_IN = {
    "tokenizer": 1,
    "attention": 3,
    "heads": 4,
    "heads.repeat_kv": 5,
    "rope": 6,
    "layers": 7,
    "model": 8,
    "accounting": 8,
    "checkpoint": 8,
    "families": 8,
    "cache": 9,
    "sampling": 10,
    "generate": 11,
    "cli": 11,
}
# Tools of every chapter: pictures, the shape of a model, the device, the shipped model.
FREE = {"", "show", "live", "config"}

FRAME = (
    "Goal",
    "You need",
    "In the package",
    "What it costs",
    "Common mistakes",
    "Recap",
    "Exercises",
    "Next",
)
LONGEST_CELL = 12  # lines that are not blank and no comment
LONGEST_STATEMENT = 16  # of a cell that is one function, one loop or one text
LONGEST_SOLUTION = 20  # of a cell that is folded
LONGEST_PICTURE = 3  # of a call that draws
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:~-])/(?:home|Users|root|tmp|var|opt|mnt|private|content|work)/[\w.-]+"
    r"|\b[A-Z]:\\(?:Users|Windows|Program)\S*"
    r"|\S*site-packages\S*"
)
TIME_OF_DAY = re.compile(
    r"\b20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d\S*|\b[0-2]\d:[0-5]\d:[0-5]\d\b"
)
LINK = re.compile(r"\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")


# --- reading a notebook ---------------------------------------------------------------


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def markdown(notebook: dict) -> str:
    cells = [c["source"] for c in notebook["cells"] if c["cell_type"] == "markdown"]
    return "\n\n".join(cells)


def parse(cell: dict) -> ast.Module:
    """The cell as Python; an empty module where it is meant not to be Python."""
    try:
        return ast.parse(TransformerManager().transform_cell(cell["source"]))
    except SyntaxError:
        if "raises-exception" in tags(cell):
            return ast.Module(body=[], type_ignores=[])
        raise


def texts(output: dict) -> Iterator[str]:
    """The parts of an output that a reader or nbval sees as text."""
    yield output.get("text", "")
    yield output.get("evalue", "")
    yield from output.get("traceback", [])
    for mime, value in output.get("data", {}).items():
        if mime.startswith("text/"):
            yield value


# --- the package ----------------------------------------------------------------------


def public_names() -> dict[str, str]:
    """Each public name that a module of the package defines, and its module."""
    names = {}
    for path in sorted(PACKAGE.glob("*.py")):
        if path.stem in ("cli", "__main__"):
            continue
        module = "" if path.stem == "__init__" else path.stem
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in defined_by(statement):
                if not name.startswith("_"):
                    names.setdefault(name, module)
    return names


def defined_by(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement of a module defines (imports do not count)."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = getattr(statement, "targets", None) or [statement.target]
        for node in (node for target in targets for node in ast.walk(target)):
            if isinstance(node, ast.Name):
                yield node.id


NAMES = public_names()


# --- the rules ------------------------------------------------------------------------


def redefines_package_names(notebook: dict) -> list[str]:
    """The page's own, naive version bears another name than the package's."""
    problems = []
    for cell in code_cells(notebook):
        for name, line in bound(parse(cell).body):
            if name in NAMES:
                home = f"llmcourse.{NAMES[name]}".rstrip(".")
                problems.append(f"line {line} redefines {name} of {home}")
    return problems


def bound(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Names that these statements bind in the notebook's own scope, with their line."""
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
            continue  # what is bound inside is not the notebook's
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp):
            continue
        if isinstance(node, ast.GeneratorExp):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            ours = (node.module or "").split(".")[0] == "llmcourse"
            for alias in node.names:
                if not ours or alias.asname not in (None, alias.name):
                    yield alias.asname or alias.name, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno
        todo.extend(ast.iter_child_nodes(node))


def imports_from_later_chapters(notebook: dict, number: int) -> list[str]:
    """A chapter uses what earlier chapters have built, and its own."""
    problems = []
    for cell in code_cells(notebook):
        for used in uses(parse(cell)):
            module = used.split(".")[0]
            chapter = BUILT_IN.get(used, BUILT_IN.get(module))
            if module in FREE:
                continue
            if chapter is None:
                problems.append(f"llmcourse.{module} is not in BUILT_IN: add it")
            elif chapter > number:
                problems.append(f"llmcourse.{used} is built in chapter {chapter}")
    return problems


def uses(tree: ast.Module) -> Iterator[str]:
    """What a cell takes from the package, as `module` or `module.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("llmcourse."):
                    yield alias.name.split(".", 1)[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "llmcourse":
            for alias in node.names:
                yield located(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").startswith("llmcourse."):
                module = node.module.split(".", 1)[1]
                for alias in node.names:
                    yield f"{module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "llmcourse":
                yield located(node.attr)


def located(name: str) -> str:
    """`name`, taken from llmcourse itself, as module.name: it may be either."""
    if (PACKAGE / f"{name}.py").exists():
        return name
    return f"{NAMES[name]}.{name}" if name in NAMES else name


def not_executed_in_order(notebook: dict) -> list[str]:
    """nbval passes a notebook whose outputs and counts were stripped."""
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"execution counts are {counts}, expected 1 to {len(counts)}"]
    return []


def lacks_outputs(notebook: dict) -> list[str]:
    """A cell that prints has what it printed."""
    problems = []
    for cell in code_cells(notebook):
        streams = [output.get("name") for output in cell["outputs"]]
        if any(map(is_print, parse(cell).body)) and "stdout" not in streams:
            problems.append(f"cell {cell['id']} prints and has no stored output")
    if not any(cell["outputs"] for cell in code_cells(notebook)):
        problems.append("no cell has an output")
    return problems


def is_print(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "print"


def errors_without_tag(notebook: dict) -> list[str]:
    """An error is stored where, and only where, the cell says that it raises one."""
    problems = []
    for cell in code_cells(notebook):
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        if failed and "raises-exception" not in tags(cell):
            problems.append(f"cell {cell['id']} stores an error without its tag")
        if not failed and "raises-exception" in tags(cell):
            problems.append(f"cell {cell['id']} has an error's tag and no error")
    return problems


def long_cells(notebook: dict) -> list[str]:
    problems = []
    for cell in code_cells(notebook):
        lines = [line.strip() for line in cell["source"].splitlines()]
        length = sum(bool(line) and line[0] != "#" for line in lines)
        imports = ast.Import | ast.ImportFrom
        body = [n for n in parse(cell).body if not isinstance(n, imports)]
        longest = LONGEST_STATEMENT if len(body) == 1 else LONGEST_CELL
        if any(tag.startswith("hide") for tag in tags(cell)):
            longest = LONGEST_SOLUTION
        if length > longest:
            problems.append(
                f"cell {cell['id']} has {length} lines, more than {longest}"
            )
    return problems


def long_pictures(notebook: dict) -> list[str]:
    """What a picture shows may take many lines; to draw it takes three."""
    calls = [
        (cell["id"], node)
        for cell in code_cells(notebook)
        for node in ast.walk(parse(cell))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("show.")
    ]
    return [
        f"cell {name} draws in more than {LONGEST_PICTURE} lines"
        for name, call in calls
        if call.end_lineno - call.lineno >= LONGEST_PICTURE
    ]


def traces_of_a_machine(notebook: dict) -> list[str]:
    """No absolute paths, no clock, no warnings: they differ for everybody else."""
    problems = []
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        shown = [text for output in outputs for text in texts(output)]
        for text in [cell["source"], *shown]:
            if found := ABSOLUTE_PATH.search(text):
                problems.append(f"cell {cell['id']}: absolute path {found.group()}")
        for text in shown:
            if found := TIME_OF_DAY.search(text):
                problems.append(f"cell {cell['id']}: time of day {found.group()}")
        if any(output.get("name") == "stderr" for output in outputs):
            problems.append(f"cell {cell['id']} has written to stderr")
    return problems


def unchecked_cells(notebook: dict) -> list[str]:
    """At most a quarter of the cells may keep their outputs out of the comparison."""
    cells = code_cells(notebook)
    ignored = [cell for cell in cells if "nbval-ignore-output" in tags(cell)]
    skipped = [cell for cell in cells if "nbval-skip" in tags(cell)]
    problems = [f"cell {cell['id']} has nbval-skip" for cell in skipped]
    if 4 * len(ignored) > len(cells):
        problems.append(f"{len(ignored)} of {len(cells)} cells ignore their output")
    return problems


def unnamed_folds(notebook: dict) -> list[str]:
    """The button over a folded cell says what is under it."""
    return [
        f"cell {cell['id']} is folded under a button without a name"
        for cell in code_cells(notebook)
        if any(tag.startswith("hide") for tag in tags(cell))
        and not cell["metadata"].get("mystnb", {}).get("code_prompt_show")
    ]


def semicolons(notebook: dict) -> list[str]:
    """nbval cannot run a cell that ends in a semicolon (its issue 194)."""
    cells = [c for c in code_cells(notebook) if c["source"].rstrip().endswith(";")]
    return [f"cell {cell['id']} ends with a semicolon" for cell in cells]


def lacks_frame(notebook: dict) -> list[str]:
    """Every chapter has the same parts, each under a heading or a bold lead-in."""
    text = markdown(notebook)
    return [
        f"no part '{part}'"
        for part in FRAME
        if not re.search(rf"(?mi)^(#{{2,4}} |\*\*|:::+\{{\w+\}} ){part}\b", text)
    ]


def broken_links(text: str, folder: Path) -> list[str]:
    """Links name a file that exists. (Links to labels are checked by `make book`.)"""
    text = re.sub(r"(?ms)^(```+|~~~+)(?!\{).*?^\1", "", text)
    text = re.sub(r"`[^`\n]*`", "", text)
    links = [link for link in LINK.findall(text) if not re.match(r"[a-z]+:|#", link)]
    files = [link.split("#")[0] for link in links if "." in link or "/" in link]
    lost = [file for file in files if not (folder / file).exists()]
    return [f"link to {file}: no such file" for file in lost]


RULES = [
    redefines_package_names,
    not_executed_in_order,
    lacks_outputs,
    errors_without_tag,
    long_cells,
    long_pictures,
    traces_of_a_machine,
    unchecked_cells,
    unnamed_folds,
    semicolons,
    lacks_frame,
]


# --- applied to the chapters ----------------------------------------------------------


def number_of(path: Path) -> int:
    return int(path.name.split("_")[0])


def load(path: Path) -> dict:
    return read(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path, rule):
    assert rule(load(path)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_imports_only_what_is_built(path):
    assert imports_from_later_chapters(load(path), number_of(path)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_stored_as_run_chapters_stores_it(path):
    stored = path.read_text(encoding="utf-8")
    cure = f"make run CHAPTERS=chapters/{path.name}"
    assert to_text(normalise(read(stored))) == stored, cure


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    text = markdown(read(text)) if path.suffix == ".ipynb" else text
    assert broken_links(text, path.parent) == []


def files_in(toc) -> Iterator[str]:
    """Every page that a table of contents names."""
    if isinstance(toc, dict):
        yield from (toc[key] for key in ("root", "file") if key in toc)
        toc = list(toc.values())
    if isinstance(toc, list):
        for part in toc:
            yield from files_in(part)


def toc_problems(toc: dict, root: Path) -> list[str]:
    """A page missing from the contents is not in the book; a lost one breaks it."""
    named = list(files_in(toc))
    files = [*root.glob("chapters/*.md"), *root.glob("chapters/*.ipynb")]
    pages = {path.with_suffix("") for path in files}
    lost = [name for name in named if root / name not in pages]
    chapters = [f"chapters/{path.stem}" for path in root.glob("chapters/*.ipynb")]
    return [
        *(f"{name} is in _toc.yml and does not exist" for name in lost),
        *(f"{name} is not in _toc.yml" for name in chapters if name not in named),
        *(f"{name} is in _toc.yml twice" for name in {*named} if named.count(name) > 1),
    ]


def test_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert toc_problems(toc, ROOT) == []


def test_every_module_has_its_chapter():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert modules <= {*BUILT_IN, *FREE}, "add the new module to BUILT_IN or FREE"


# --- the rules themselves -------------------------------------------------------------


def code(source, *outputs, tags=(), count=None):
    folded = any(tag.startswith("hide") for tag in tags)
    named = {"mystnb": {"code_prompt_show": "Set up"}} if folded else {}
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**6}",
        "metadata": {"tags": list(tags)} | named if tags else {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
    }


def printed(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def html(text):
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": text}}


ERROR = {"output_type": "error", "ename": "E", "evalue": "no", "traceback": ["E: no"]}
PROSE = {
    "cell_type": "markdown",
    "id": "prose",
    "metadata": {},
    "source": "# Title\n\n**Goal.** One.\n\n**You need** nothing.\n\n"
    + "\n\n".join(f"## {part}" for part in FRAME[2:]),
}


def page(*cells, prose=PROSE):
    """A notebook that keeps all rules, with these cells added at the end."""
    good = [
        code("import torch\nfrom llmcourse.attention import attention"),
        code("print(3)", printed("3\n")),
        code("1 / 0", ERROR, tags=["raises-exception"]),
    ]
    cells = copy.deepcopy([*good, *cells])
    for count, cell in enumerate(cells, 1):
        cell["execution_count"] = count
    return {"cells": [prose, *cells], "metadata": {}}


def stripped():
    notebook = page(code("x = 1"))
    notebook["cells"][-1]["execution_count"] = None
    return notebook


def unnamed():
    notebook = page(code("x = 1", tags=["hide-cell"]))
    del notebook["cells"][-1]["metadata"]["mystnb"]
    return notebook


BAD = {
    "def": (redefines_package_names, page(code("def attention(q): ..."))),
    "class": (redefines_package_names, page(code("class KVCache: ..."))),
    "assignment": (redefines_package_names, page(code("a, causal_mask = 1, 2"))),
    "annotated": (redefines_package_names, page(code("attention: int = 1"))),
    "in a block": (redefines_package_names, page(code("if 1:\n    attention = 2"))),
    "loop": (redefines_package_names, page(code("for attention in []: ..."))),
    "import as": (redefines_package_names, page(code("import torch as attention"))),
    "from import": (redefines_package_names, page(code("from x import attention"))),
    "ours renamed": (
        redefines_package_names,
        page(code("from llmcourse.heads import split_heads as attention")),
    ),
    "not run": (not_executed_in_order, stripped()),
    "no printout": (lacks_outputs, page(code("x = 1\nprint(x)"))),
    "untagged error": (errors_without_tag, page(code("f()", ERROR))),
    "tag without error": (
        errors_without_tag,
        page(code("f()", tags=["raises-exception"])),
    ),
    "13 lines": (long_cells, page(code("x = 1\n" * 13))),
    "a loop of 17": (long_cells, page(code("for x in []:\n" + "    x\n" * 16))),
    "folded, 21 lines": (long_cells, page(code("x = 1\n" * 21, tags=["hide-cell"]))),
    "a picture of 4": (long_pictures, page(code("show.text(\n    1,\n    2,\n)"))),
    "path in code": (traces_of_a_machine, page(code("open('/home/ann/x')"))),
    "path printed": (traces_of_a_machine, page(code("f()", printed("in /tmp/x.py\n")))),
    "path in html": (traces_of_a_machine, page(code("f()", html("<i>/Users/a</i>")))),
    "path of a package": (
        traces_of_a_machine,
        page(code("f()", printed("lib/python3.11/site-packages/torch\n"))),
    ),
    "date": (traces_of_a_machine, page(code("f()", printed("2025-03-04 05:06\n")))),
    "clock": (traces_of_a_machine, page(code("f()", printed("at 05:06:07\n")))),
    "stderr": (traces_of_a_machine, page(code("f()", printed("careful\n", "stderr")))),
    "half ignored": (
        unchecked_cells,
        page(*[code(f"f({i})", tags=["nbval-ignore-output"]) for i in range(3)]),
    ),
    "skipped": (unchecked_cells, page(code("f()", tags=["nbval-skip"]))),
    "a fold without a name": (unnamed_folds, unnamed()),
    "semicolon": (semicolons, page(code("f();"))),
    "no recap": (
        lacks_frame,
        page(prose={**PROSE, "source": PROSE["source"].replace("## Recap", "Recap")}),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_rule_reports_what_breaks_it(case):
    rule, notebook = BAD[case]
    broken = [other.__name__ for other in RULES if other(notebook)]
    assert broken == [rule.__name__]


def test_rules_accept_a_good_page():
    local = "def naive(q):\n    attention = q\n    return [both for both in attention]"
    one = code("f()", html("<b>ok</b> https://a.org/home/x 12:34"))
    whole = code("import os\n\n\ndef f():\n" + "    # why\n    1\n\n" * 14)
    notebook = page(code(local), code("%pwd"), one, code("naive_attention = 1"), whole)
    assert [problem for rule in RULES for problem in rule(notebook)] == []


def test_rules_see_a_page_without_any_output():
    notebook = page()
    for cell in code_cells(notebook):
        cell["outputs"] = []
    assert "no cell has an output" in lacks_outputs(notebook)


@pytest.mark.parametrize("part", FRAME)
def test_frame_needs_every_part(part):
    text = re.sub(rf"(## |\*\*){part}", "Then", PROSE["source"])
    assert lacks_frame(page(prose={**PROSE, "source": text})) == [f"no part '{part}'"]


@pytest.mark.parametrize(
    "source",
    [
        "import llmcourse.rope",
        "import llmcourse.rope as r",
        "from llmcourse.rope import apply_rope",
        "from llmcourse import rope",
        "from llmcourse import apply_rope",
        "import llmcourse\nllmcourse.rope.apply_rope(1)",
        "def f():\n    from llmcourse.rope import apply_rope",
    ],
)
def test_later_imports_are_reported(source):
    notebook = page(code(source))
    assert imports_from_later_chapters(notebook, 5)
    assert imports_from_later_chapters(notebook, 6) == []


def test_imports_that_every_chapter_may_use():
    tools = [
        code("import llmcourse\nllmcourse.pocket()"),
        code("from llmcourse import device, show"),
        code("from llmcourse.show import source"),
        code("from llmcourse.config import PRESETS"),
    ]
    assert imports_from_later_chapters(page(*tools), 3) == []
    assert imports_from_later_chapters(page(code("import llmcourse.novel")), 17)
    early = page(code("from llmcourse.heads import repeat_kv"))
    assert imports_from_later_chapters(early, 4)
    assert imports_from_later_chapters(early, 5) == []


def test_links(tmp_path):
    (tmp_path / "there.md").touch()
    good = "[a](there.md) [b](there.md#x) [c](https://a.org/x) [d](#h) [e](label)"
    code = "`[e](gone.md)`\n```\n[f](gone.md)\n```\n"
    assert broken_links(good + code, tmp_path) == []
    assert broken_links("[a](gone.md#x)", tmp_path) == ["link to gone.md: no such file"]
    assert broken_links('![a](gone.svg "title")', tmp_path)


def test_contents_and_files_agree(tmp_path):
    folder = tmp_path / "chapters"
    folder.mkdir()
    for name in ("index.md", "01_a.ipynb", "02_b.ipynb"):
        (folder / name).touch()
    chapters = [{"file": "chapters/01_a"}, {"file": "chapters/02_b"}]
    toc = {"root": "chapters/index", "parts": [{"caption": "I", "chapters": chapters}]}
    assert toc_problems(toc, tmp_path) == []
    gone = chapters.pop()
    assert toc_problems(toc, tmp_path) == ["chapters/02_b is not in _toc.yml"]
    chapters += [gone, {"file": "chapters/03_c"}]
    assert "chapters/03_c is in _toc.yml and does" in toc_problems(toc, tmp_path)[0]


# --- what nbval blanks before it compares ---------------------------------------------


def sanitised(text: str) -> str:
    config = (ROOT / "tests/nbval_sanitize.cfg").read_text(encoding="ascii")
    patterns = get_sanitize_patterns(config)
    assert len(patterns) == config.count("\nregex:")
    for pattern, replacement in patterns:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    "stored, fresh",
    [
        ("<svg a='1'>\n<g>1</g>\n</svg> 7", "<svg>\n2</svg> 7"),
        (
            '<svg width="1" aria-label="max 0.5" x="1"><g>1</g></svg> 7',
            '<svg aria-label="max 0.5"><g>2</g></svg> 7',
        ),
        ("<Figure at 0x7f0011223344>", "<Figure at 0x0>"),
        ("tensor([1., 2.])", "tensor([1., 2.], device='cuda:0')"),
        ("tensor([1.], dtype=x)", "tensor([1.],\n  device='cuda', dtype=x)"),
        ("/tmp/ipykernel_12/34.py", "C:\\ipykernel_5\\6.py"),
        ("10/10 [00:01<00:00, 9.1it/s]", "10/10 [00:12<00:00,  1.2s/it]"),
    ],
)
def test_sanitiser_blanks_what_differs_between_machines(stored, fresh):
    assert "".join(sanitised(stored).split()) == "".join(sanitised(fresh).split())


@pytest.mark.parametrize(
    "stored, fresh",
    [
        ("<svg>1</svg> 7 <svg>1</svg>", "<svg>1</svg> 8 <svg>1</svg>"),
        (
            '<svg width="1" aria-label="max 0.5"><g>1</g></svg>',
            '<svg width="1" aria-label="max 0.6"><g>1</g></svg>',
        ),
        ("4.81 seconds", "4.82 seconds"),
        ("0x3f800000", "0x3f800001"),
        ("tensor([1.], device='cuda:0')", "tensor([2.])"),
        ("[00:01<00:00, 9.1it/s] 3", "[00:01<00:00, 9.1it/s] 4"),
    ],
)
def test_sanitiser_keeps_what_matters(stored, fresh):
    assert sanitised(stored) != sanitised(fresh)
