"""The sandbox of the classroom: what a student's code can do, and what it cannot."""

import io
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from classroom import sandbox, wire
from classroom.judge import Judge, Remote, keeper
from classroom.sandbox import Failed, Limits, Lost, Process

# --- values as plain data -------------------------------------------------------------


def across(value):
    """A value as it arrives on the other side."""
    pipe = io.BytesIO()
    wire.send(pipe, {"value": wire.encode(value, pytest.fail)})
    pipe.seek(0)
    return wire.decode(wire.receive(pipe.read)["value"], pytest.fail)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -3, 2**80, 0.1, math.inf, "", "咖啡 \U0001f600", [], (1, [2.5]),
     {"a": 1, 2: (None,)}, {1, "b"}, b"\x00\xff", torch.float32],
)  # fmt: skip
def test_plain_values_arrive_as_they_are(value):
    arrived = across(value)
    assert arrived == value and type(arrived) is type(value)


def test_not_a_number_arrives():
    assert math.isnan(across(math.nan))


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)], ids=str)
def test_tensors_arrive(dtype, shape):
    tensor = torch.arange(math.prod(shape)).reshape(shape).to(dtype)
    arrived = across(tensor)
    assert arrived.dtype == dtype and torch.equal(arrived, tensor)


def test_views_gradients_and_arrays_arrive_as_tensors():
    view = torch.arange(12.0, requires_grad=True).view(3, 4).T
    assert torch.equal(across(view), view.detach()) and not across(view).requires_grad
    assert not across(view).is_contiguous()  # .view() fails on it, here and there
    assert torch.equal(
        across(np.arange(6).reshape(2, 3).T), torch.arange(6).view(2, 3).T
    )
    assert across(np.float64(0.5)) == 0.5 and across(np.bool_(True)) is True


def test_what_is_no_data_is_left_to_the_caller():
    class Liar:
        def __eq__(self, other):
            return True

    liar, seen = Liar(), []
    wire.encode([1, liar], lambda value: seen.append(value) or {"object": 0})
    assert len(seen) == 1 and seen[0] is liar


@pytest.mark.parametrize(
    "data",
    [3, [1], {}, {"tensor": "AAAA", "dtype": "float32", "shape": [9], "order": [0]},
     {"tensor": "!", "dtype": "int8", "shape": [1], "order": [0]}, {"number": "x"},
     {"tensor": "", "dtype": "int8", "shape": [-1], "order": [0]}, {"dict": [1]},
     {"tensor": "AA==", "dtype": "int8", "shape": [1], "order": [3]}, {"list": 5},
      {"dtype": "pickle"},
     {"tensor": "", "dtype": "float32", "shape": [10**9], "order": [0]}],
    ids=str,
)  # fmt: skip
def test_garbage_is_refused(data):
    with pytest.raises(wire.Garbled):
        wire.decode(data, pytest.fail)


def test_a_message_that_is_too_long_is_refused():
    head = (wire.LIMIT + 1).to_bytes(4, "big")
    with pytest.raises(wire.Garbled, match=f"more than {wire.LIMIT:,}"):
        wire.receive(io.BytesIO(head + b"{}").read)
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(b"\0\0\0\5{}").read)


# --- one process ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def process(sandboxed):
    made = Process(Limits(seconds=20), ["llmcourse"])
    yield made
    made.close()


def test_cells_share_names_and_show_what_they_give(process):
    assert process.run("x = 2\nprint('hello')")["stdout"] == "hello\n"
    assert process.run("x + 1")["result"] == [{"text/plain": "3"}]
    failed = process.run("1 / 0")
    assert failed["error"]["ename"] == "ZeroDivisionError"
    assert process.run("def f(:")["error"]["ename"] == "SyntaxError"


def test_functions_are_called_where_they_are(process):
    process.run("import torch\ndef double(x, *, by=2): return x * by")
    double = process.do("get", "double", keep=keeper(process))
    assert isinstance(double, Remote)
    assert_close(double(torch.ones(2, 3)), 2 * torch.ones(2, 3))
    assert_close(double(torch.ones(2), by=3), 3 * torch.ones(2))
    with pytest.raises(Failed, match="TypeError"):
        double()
    with pytest.raises(TypeError, match="a function cannot be given"):
        double(lambda: 1)


def test_objects_stay_there_and_can_be_used(process):
    process.run(
        "class Pile:\n"
        "    def __init__(self): self.kept = []\n"
        "    def add(self, x): self.kept.append(x); return self\n"
        "    def __len__(self): return len(self.kept)\n"
        "    def __getitem__(self, i): return self.kept[i]\n"
        "    def __eq__(self, other): return True\n"
    )
    pile = process.do("get", "Pile", keep=keeper(process))()
    assert type(pile).__name__ == "Pile" and len(pile.add(5).add(6)) == 2
    assert pile[1] == 6 and list(pile) == [5, 6] and pile.kept == [5, 6]
    assert pile != 5  # its own __eq__ is never asked


def test_prints_are_cut(process):
    reply = process.run("for _ in range(2000): print('x' * 10_000)")
    assert len(reply["stdout"]) <= 20_000 and reply["printed"] == 2000 * 10_001


def test_magics_for_pictures_do_not_stop_a_cell(process):
    reply = process.run("%matplotlib inline\ndrawn = 1")
    assert "error" not in reply and process.run("drawn")["result"]


def test_what_is_replaced_is_noticed(process):
    assert process.run("torch.allclose = lambda *a, **k: True")["changed"] == [
        "torch.allclose"
    ]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import socket; socket.create_connection(('1.1.1.1', 80), 3)", "unreachable"),
        (f"open({str(sandbox.HERE / 'grade.py')!r})", "No such file"),
        (f"import os; os.listdir({str(sandbox.HERE / 'source')!r})", "No such file"),
        ("import os; os.listdir(os.path.expanduser('~root/.ssh'))", "No such file"),
        ("open('/usr/bin/x', 'w')", "Read-only file system"),
        ("open('/tmp/x', 'wb').write(b'0' * 10**9)", ""),
        ("bytearray(20 * 2**30)", ""),
        ("import torch; torch.zeros(20 * 2**28)", "alloc"),
        ("import llmcourse", "llmcourse is not there"),
        ("import classroom.grade", "No module named"),
        ("import os; os.kill(1, 9); os.setuid(0)", "not permitted"),
        ("open('/dev/shm/x', 'w')", "Read-only file system"),
        ("import os\nfor _ in range(99): os.memfd_create('x')", "Too many open files"),
    ],
)
def test_what_cannot_be_done_is_an_error(process, code, says):
    error = process.run(code)["error"]
    assert says in error["evalue"], error


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("while True: pass", "longer than 3 s"),
        ("import os; os._exit(0)", "the process ended"),
        ("import sys; sys.exit = None\nimport ctypes; ctypes.string_at(0)", "ended"),
        ("import os\nwhile True: os.fork()", "GiB|longer|ended"),
        ("import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'{}' * 999)\n"
         "    except OSError: pass", "the answer was"),
    ],
)  # fmt: skip
def test_what_never_ends_is_ended(sandboxed, code, says):
    process = Process(Limits(seconds=3, memory=2 * sandbox.GIB), [])
    with pytest.raises(Lost, match=says):
        process.run(code)
    with pytest.raises(Lost, match=says):  # and it says so again
        process.run("1")
    assert process.process.poll() is not None


def test_who_only_waits_is_ended(sandboxed):
    process = Process(Limits(seconds=1), [])
    with pytest.raises(Lost, match="longer than 4 s of waiting"):
        process.run("import signal, time\nsignal.signal(15, print)\ntime.sleep(60)")


def test_memory_is_watched(sandboxed):
    """The limit of the address space leaves room for torch, and lets this through."""
    process = Process(Limits(seconds=20, memory=sandbox.GIB), [])
    with pytest.raises(Lost, match="GiB, of 1 GiB"):
        process.run("x = bytearray(3 * 2**29)\nimport time\ntime.sleep(60)")


FORGE = (
    "import json, os, struct, sys, time\n"
    "data = json.dumps({}).encode()\n"
    "os.write(int(sys.argv[2]), struct.pack('>I', len(data)) + data)\n"
    "time.sleep(1000)"
)


@pytest.mark.parametrize(
    "reply",
    [{"printed": "many"}, {"printed": float("inf")}, {"changed": 5}, {"changed": [5]},
     {"error": "x"}, {"shown": 5}, {"shown": [5]}, {"result": {}}],
    ids=str,
)  # fmt: skip
def test_a_reply_of_another_form_is_garbled(reply):
    assert not sandbox.well_formed(reply)
    assert sandbox.well_formed({"stdout": "x", "shown": [{"text/plain": "x"}]})


def test_a_forged_reply_ends_the_process(sandboxed):
    process = Process(Limits(seconds=3), [])
    with pytest.raises(Lost, match="garbled"):
        process.run(FORGE.format("{'printed': 'many'}"))
    assert process.process.poll() is not None and process.target.closed


def test_who_does_not_read_does_not_hold_the_grader(sandboxed):
    process = Process(Limits(seconds=1), [])
    process.run(FORGE.format("{}"))
    with pytest.raises(Lost, match="longer than 4 s of waiting"):
        process.run("#" + "x" * 200_000)  # more than a pipe holds


def test_one_student_leaves_nothing_to_the_next(sandboxed):
    leave = "open('/tmp/left', 'w').write('3')\nimport torch\ntorch.left = 3"
    look = (
        "import os, torch\nprint(os.path.exists('/tmp/left'), hasattr(torch, 'left'))"
    )
    for first, second in ((leave, "True True"), (look, "False False")):
        process = Process(Limits(seconds=20), [])
        process.run(first)
        assert process.run(look)["stdout"].strip() == second
        process.close()


def test_large_sets_are_not_made_anew():
    """Numbers with one hash take the time squared, where nobody watches."""
    for kind, parts in (("set", 20_000), ("dict", 40_000)):
        body = {kind: [{"number": str(i * (2**61 - 1))} for i in range(parts)]}
        with pytest.raises(wire.Garbled, match=f"{parts:,} parts"):
            wire.decode(body, pytest.fail)


def test_all_cells_together_have_a_limit(sandboxed):
    process = Process(Limits(seconds=5), [], spent=101)
    with pytest.raises(Lost, match="all cells together took longer than 100 s"):
        process.run("1")
    assert process.exhausted


def test_an_error_is_cut_outside():
    failed = Failed({"ename": "E" * 10**6, "evalue": "\ud800" * 10**6})
    assert failed.reply == {"ename": "E" * 200, "evalue": "?" * 2_000, "traceback": ""}


def test_a_line_of_a_stranger_is_one_line():
    assert wire.line("a\n- b\x1b]0;c\x07\ud800 d") == "a - b]0;c? d"


# --- the judge ------------------------------------------------------------------------


def errors(outputs) -> list[str]:
    return [o.evalue for o in outputs if o.output_type == "error"]


def test_a_test_cell_finds_the_students_names(process):
    process.run("def double(x): return 2 * x\nanswer = 42")
    judge = Judge(process)
    judge.give("import torch\nthree = 3")
    assert judge.run("assert double(three) == 6 and answer == 42") == []
    assert errors(judge.run("assert answer == 41, 'one too many'")) == ["one too many"]
    (said,) = errors(judge.run("treble(3)"))
    assert "there is no 'treble'" in said
    # What the student's process knows is looked up anew for each cell.
    process.run("answer = 43")
    assert judge.run("assert answer == 43") == []


def test_a_test_leaves_nothing_to_the_next_one(process):
    process.run("turned = 42")
    judge = Judge(process)
    judge.give("import torch\nrandom = torch.Generator().manual_seed(0)\nseen = []")
    draw = "turned, three = 1, torch.randn(3, generator=random).tolist()\n"
    assert judge.run(draw + "seen.append(three)") == []
    assert judge.run("assert turned == 42") == []
    assert judge.run(draw + "assert seen == [three]") == []


def test_replaced_functions_do_not_reach_the_judge(process):
    process.run(
        "import torch\ntorch.allclose = lambda *a, **k: True\n"
        "def one(): return torch.zeros(2)"
    )
    judge = Judge(process)
    test = "import torch\nassert torch.allclose(one(), torch.ones(2)), 'not ones'"
    assert errors(judge.run(test)) == ["not ones"]


def test_an_object_that_is_equal_to_all_is_not(process):
    process.run("class E:\n    def __eq__(self, o): return True\nanswer = E()")
    assert errors(Judge(process).run("assert answer == 5, 'not five'")) == ["not five"]


def test_a_test_may_name_an_error(process):
    test = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(error)"
    assert errors(Judge(process).run(test)) == []


def test_a_message_that_no_file_can_hold_is_mended(process):
    process.run("answer = '\\ud800'")
    (said,) = errors(Judge(process).run("assert answer == 5, f'not {answer}'"))
    assert said == "not ?"


def test_an_endless_iterator_ends(process, monkeypatch):
    monkeypatch.setattr("classroom.judge.LONGEST", 50)
    process.run("import itertools\nendless = itertools.count()")
    (said,) = errors(Judge(process).run("for x in endless: pass"))
    assert "no end in 50 steps" in said


# --- without a sandbox ----------------------------------------------------------------


def test_without_bubblewrap_it_refuses(monkeypatch):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(sandbox.Refused, match="--unsafe"):
        sandbox.check()
    sandbox.check(unsafe=True)


def test_where_apparmor_forbids_it_the_way_out_is_said(monkeypatch, tmp_path):
    switch = tmp_path / "apparmor"
    switch.write_text("1\n")
    monkeypatch.setattr(sandbox, "APPARMOR", switch)
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: name)
    monkeypatch.setattr(sandbox, "_jail", lambda limits: ["false"])
    with pytest.raises(sandbox.Refused, match="sysctl -w kernel.apparmor_restrict"):
        sandbox.check()
    switch.write_text("0\n")
    with pytest.raises(sandbox.Refused, match="sandbox here: . On a machine"):
        sandbox.check()
