"""A process for a student's code: no network, no files but its own, and limits.

Linux namespaces, set up by bubblewrap (https://github.com/containers/bubblewrap), hide
the network and every file but Python, its packages and an empty ``/tmp``. What the
process may use of memory, processes, file size and time is limited. Root grades as a
user without rights.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from . import wire

HERE = Path(__file__).parent
PROGRAM = ("worker.py", "wire.py")  # what of the grader is seen in there
GIB = 2**30
COUNT = itertools.count()
FILES = 64  # open at once; a file in memory (memfd_create) is in no process's memory
PATIENCE = 4  # a cell may wait, or stand behind other programs, so many times longer
START = 120.0  # seconds; a busy machine imports torch slowly
# The most characters of an error's parts.
PARTS = {"ename": 200, "evalue": 2_000, "traceback": 20_000}
# What a reply to `run` may hold.
FORM = {
    "stdout": str, "stderr": str, "printed": int,
    "changed": list, "shown": list, "result": list, "error": dict,
}  # fmt: skip
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


class Refused(RuntimeError):
    """There is no sandbox here, and nobody said to go on without."""


class Lost(RuntimeError):
    """The student's process is gone: it ended, took too long, or wanted too much."""


class Failed(RuntimeError):
    """The student's code raised an error. `reply` has its name, text and traceback."""

    def __init__(self, reply: dict):
        self.reply = error_parts(reply)
        super().__init__(f"{self.reply['ename']}: {self.reply['evalue']}")


def error_parts(error: dict) -> dict[str, str]:
    """Name, text and traceback of an error, cut to a length that a page can hold."""
    return {part: wire.text(error.get(part, ""), n) for part, n in PARTS.items()}


def well_formed(reply: dict) -> bool:
    """Whether a reply to `run` is one that ``worker.py`` writes."""
    if not all(isinstance(reply.get(k, kind()), kind) for k, kind in FORM.items()):
        return False
    shown = reply.get("shown", []) + reply.get("result", [])
    names = reply.get("changed", [])
    return all(isinstance(d, dict) for d in shown) and all(
        isinstance(name, str) for name in names
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one student's process may use."""

    seconds: float = 30.0  # of computing, for a cell or a call
    memory: int = 4 * GIB  # bytes, of all its processes together
    processes: int = 32
    file_size: int = 16 * 2**20  # bytes of one file, and of all of /tmp

    @property
    def total(self) -> float:
        """Seconds on the clock, for all cells and calls together."""
        return 20 * self.seconds


def check(unsafe: bool = False) -> None:
    """Raise Refused unless a sandbox can be made here, or unsafe is given."""
    if unsafe:
        return
    if not shutil.which("bwrap"):
        raise Refused(
            "bubblewrap is not installed, so a submission could read the gradebook and "
            "change it. Install it (Debian, Ubuntu: apt-get install bubblewrap), or "
            "grade on a machine that you can throw away with --unsafe."
        )
    tried = subprocess.run(
        [*_jail(Limits()), "true"], capture_output=True, text=True, timeout=60
    )
    if tried.returncode:
        raise Refused(
            f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()}. "
            f"{_allow()}On a machine that you can throw away, grade with --unsafe."
        )


def _allow() -> str:
    """How to allow sandboxes where AppArmor forbids them to users, as Ubuntu does."""
    if not APPARMOR.exists() or APPARMOR.read_text().strip() != "1":
        return ""
    return (
        "AppArmor forbids it to users; allow it with: sudo sysctl -w "
        "kernel.apparmor_restrict_unprivileged_userns=0 (until the next start; an "
        "AppArmor profile for bwrap lasts). "
    )


def _jail(limits: Limits) -> list[str]:
    """The bubblewrap command: namespaces, and the few folders that are seen."""
    seen = {"/usr", "/lib", "/lib64", "/bin", "/etc/alternatives", "/etc/ld.so.cache"}
    seen |= {sys.prefix, sys.base_prefix, *(str(HERE / name) for name in PROGRAM)}
    folders = sorted({str(f) for path in seen for f in Path(path).parents})
    # bubblewrap would make them for its own user only.
    binds = [part for f in folders[1:] if f != "/tmp"
             for part in ("--perms", "0755", "--dir", f)]  # fmt: skip
    binds += [part for path in sorted(seen) for part in ("--ro-bind-try", path, path)]
    return [
        *("bwrap", "--die-with-parent", "--new-session", "--unshare-net"),
        *("--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"),
        *("--size", str(limits.file_size), "--perms", "1777", "--tmpfs", "/tmp"),
        *("--proc", "/proc", "--dev", "/dev", *binds, "--chdir", "/tmp"),
        # Who is not root owns these two, and could fill them.
        *("--remount-ro", "/dev", "--remount-ro", "/"),
    ]  # fmt: skip


class Process:
    """A student's process: give it cells to run and functions to call.

    spent: seconds that an earlier process has taken for the same notebook.

    Raises:
        Lost: if it does not start.
    """

    def __init__(
        self,
        limits: Limits,
        absent: list[str],
        unsafe: bool = False,
        spent: float = 0.0,
    ):
        self.limits, self.why, self.spent = limits, "", spent
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
        command = [sys.executable, str(HERE / "worker.py")]
        command += [str(theirs_in), str(theirs_out), *absent]
        self.process = subprocess.Popen(
            command if unsafe else [*_jail(limits), *command],
            env=self._environment(unsafe),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self.source = os.fdopen(ours_in, "rb")
        self.target = os.fdopen(ours_out, "wb")
        self._wait(START)

    def _environment(self, unsafe: bool) -> dict[str, str]:
        # Root's sandboxes have a user each: the limit counts what a user runs.
        user = 60_000 + (os.getpid() + next(COUNT)) % 5_000
        return {
            "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",
            "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "IPYTHONDIR": "/tmp/ipython",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LIMIT_AS": str(self.limits.memory + 2 * GIB),  # torch reserves more
            "LIMIT_NPROC": "-1" if unsafe else str(self.limits.processes),
            "LIMIT_FSIZE": str(self.limits.file_size), "LIMIT_NOFILE": str(FILES),
            "USER_ID": str(user) if os.geteuid() == 0 and not unsafe else "",
        }  # fmt: skip

    def run(self, code: str) -> dict:
        """Run a cell. The reply of `worker.Worker.run`."""
        reply = self._ask({"do": "run", "code": code})
        if not well_formed(reply):
            self._end("the answer was garbled")
        return reply

    def do(self, what: str, *arguments: Any, keep: Any) -> Any:
        """What a method of `worker.Worker` gives. keep: what to do with an object.

        Raises:
            Failed: if the student's code raised an error.
        """
        sent = [wire.encode(argument, reference) for argument in arguments]
        reply = self._ask({"do": what, "with": sent})
        if isinstance(error := reply.get("error"), dict):
            raise Failed(error)
        return wire.decode(reply.get("value"), keep)

    @property
    def exhausted(self) -> bool:
        """Whether the time for the whole notebook is over."""
        return self.spent > self.limits.total

    def _ask(self, request: dict) -> dict:
        if self.why:
            raise Lost(self.why)
        if self.exhausted:
            self._end(f"all cells together took longer than {self.limits.total:g} s")
        start = time.monotonic()
        try:
            return self._wait(self.limits.seconds, request)
        finally:
            self.spent += time.monotonic() - start

    def _wait(self, seconds: float, request: dict | None = None) -> dict:
        """The next message; the process is watched until it comes.

        seconds: that it may compute. request: what is sent before.
        """
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(seconds, done))
        watch.start()
        try:
            if request is not None:  # watched: who does not read blocks the pipe
                wire.send(self.target, request)
            return wire.receive(self.source.read)
        except (EOFError, OSError, wire.Garbled) as error:
            ended = "the process ended: did it call exit, or run out of memory?"
            garbled = isinstance(error, wire.Garbled)
            done.set()
            watch.join()
            self._end(self.why or (f"the answer was {error}" if garbled else ended))
        finally:
            done.set()
            watch.join()

    def _watch(self, seconds: float, done: threading.Event) -> None:
        """Kill the process when it takes too long or too much."""
        limits, (before, _) = self.limits, self._used()
        until = time.monotonic() + PATIENCE * seconds
        while not done.wait(0.1):
            computed, size = self._used()
            if computed - before > seconds:
                self.why = f"it took longer than {seconds:g} s"
            elif time.monotonic() > until:
                self.why = f"it took longer than {PATIENCE * seconds:g} s of waiting"
            elif size > limits.memory:
                self.why = (
                    f"it used {size / GIB:.1f} GiB, of {limits.memory / GIB:g} GiB"
                )
            if self.why:
                return self._kill()

    def _used(self) -> tuple[float, int]:
        """Seconds that it and all its children have computed, bytes that they hold."""
        seconds, size = 0.0, 0
        with contextlib.suppress(psutil.Error):  # one of them has just ended
            whole = psutil.Process(self.process.pid)
            for process in [whole, *whole.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    seconds += sum(process.cpu_times()[:4])  # with ended children's
                    size += process.memory_info().rss
        return seconds, size

    def _end(self, why: str):
        self.why = why
        self.close()
        raise Lost(why)

    def _kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it, and close our ends of the pipes."""
        self._kill()
        for pipe in (self.source, self.target):
            with contextlib.suppress(OSError):  # half a request may be left in it
                pipe.close()


def reference(value: Any) -> dict:
    """What stands for an object of the student's in a request."""
    number = getattr(value, "_classroom_number", None)
    if number is None:
        raise TypeError(f"a {type(value).__name__} cannot be given to a student's code")
    return {"object": number}
