"""tools/run_chapters.py: the stored form of a notebook, and what a failure leaves."""

import json
import os

import nbformat
import pytest
from run_chapters import main, normalise, read, to_text


def notebook(*sources, **metadata) -> str:
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": metadata,
            "outputs": [],
            "source": source,
        }
        for source in sources
    ]
    content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(content)


def outputs(path) -> list:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell["outputs"]]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path / "01_page.ipynb"


def test_second_run_changes_nothing(path):
    where = "from pathlib import Path\nPath.cwd().name"
    path.write_text(notebook("object()", where, "print(1)\nprint(2)"))
    assert main([str(path)]) == 0
    first, time = path.read_bytes(), path.stat().st_mtime_ns
    assert main([str(path)]) == 0
    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == time  # not even written
    texts = [out.get("text") or out["data"]["text/plain"] for out in outputs(path)]
    assert texts == [["<object at 0x0>"], [f"'{path.parent.name}'"], ["1\n", "2\n"]]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_failing_cell_leaves_the_file_and_is_named(path, capsys):
    path.write_text(notebook("x = 1", "1 / 0"))
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    said = capsys.readouterr().out
    assert "01_page.ipynb: cell 2" in said
    assert "ZeroDivisionError" in said


def test_error_that_is_meant_is_stored_in_one_line(path):
    path.write_text(notebook("1 / 0", tags=["raises-exception"]))
    assert main([str(path)]) == 0
    (error,) = outputs(path)
    assert error["traceback"] == ["ZeroDivisionError: division by zero"]


def test_check_writes_nothing(path, capsys):
    path.write_text(notebook("1 + 1"))
    before = path.read_bytes()
    assert main(["--check", str(path)]) == 1
    assert path.read_bytes() == before
    assert "would change" in capsys.readouterr().out
    assert main([str(path)]) == 0
    assert main(["--check", str(path)]) == 0


def test_no_such_notebook(path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(path)])
    assert stop.value.code == 2
    assert "01_page.ipynb" in capsys.readouterr().err


def test_file_that_is_no_notebook_is_left(path, capsys):
    for text in ("{}", "{", notebook("1")[:-1]):
        path.write_text(text)
        assert main([str(path)]) == 1
        assert path.read_text() == text
        said = capsys.readouterr().out
        assert "01_page.ipynb: not a notebook of format 4" in said


def test_widgets_are_not_stored():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    data = {"text/plain": "<picture>", "text/html": "<p>1</p>", **view}
    page = read(notebook("c"))
    output = {"output_type": "execute_result", "data": data, "metadata": {}}
    page.cells[0].outputs = [nbformat.from_dict({**output, "execution_count": 1})]
    (stored,) = normalise(page).cells[0].outputs
    assert stored.data == {"text/plain": "<picture>", "text/html": "<p>1</p>"}


def test_stored_form_has_no_trace_of_an_editor():
    text = notebook("\n1 + 1\n", "1 + 1", scrolled=True, tags=["a"])
    stored = to_text(normalise(read(text)))
    assert to_text(normalise(read(stored))) == stored
    assert "scrolled" not in stored
    cells = json.loads(stored)["cells"]
    assert [cell["source"] for cell in cells] == [["1 + 1"]] * 2
    assert cells[0]["metadata"] == {"tags": ["a"]}
    assert cells[0]["id"] != cells[1]["id"]
