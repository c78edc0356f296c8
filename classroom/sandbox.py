"""A process for a student's code: no network, no files but its own, and limits.

Linux namespaces, set up by bubblewrap (https://github.com/containers/bubblewrap), hide
the network and every file but Python, its packages and an empty ``/tmp``. What the
process may use of memory, processes, file size and time is limited. Root grades as a
user without rights.
"""

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


class Refused(RuntimeError):
    """There is no sandbox here, and nobody said to go on without."""


class Lost(RuntimeError):
    """The student's process is gone: it ended, took too long, or wanted too much."""


class Failed(RuntimeError):
    """The student's code raised an error. `reply` has its name, text and traceback."""

    def __init__(self, reply: dict):
        parts = ("ename", "evalue", "traceback")
        self.reply = {part: str(reply.get(part, "")) for part in parts}
        super().__init__(f"{self.reply['ename']}: {self.reply['evalue']}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one student's process may use."""

    seconds: float = 30.0  # for a cell, or a call
    memory: int = 4 * GIB  # bytes, of all its processes together
    processes: int = 32
    file_size: int = 16 * 2**20  # bytes of one file, and of all of /tmp


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
            f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()}. On a "
            "machine that you can throw away, grade with --unsafe."
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
    ]  # fmt: skip


class Process:
    """A student's process: give it cells to run and functions to call."""

    def __init__(self, limits: Limits, absent: list[str], unsafe: bool = False):
        self.limits, self.why = limits, ""
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
        self._wait(60.0)

    def _environment(self, unsafe: bool) -> dict[str, str]:
        # Root's sandboxes have a user each: the limit counts what a user runs.
        user = 60_000 + (os.getpid() + next(COUNT)) % 5_000
        return {
            "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",
            "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "IPYTHONDIR": "/tmp/ipython",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LIMIT_AS": str(self.limits.memory + 2 * GIB),  # torch reserves more
            "LIMIT_NPROC": "-1" if unsafe else str(self.limits.processes),
            "LIMIT_FSIZE": str(self.limits.file_size),
            "USER_ID": str(user) if os.geteuid() == 0 and not unsafe else "",
        }  # fmt: skip

    def run(self, code: str) -> dict:
        """Run a cell. The reply of `worker.Worker.run`."""
        return self._ask({"do": "run", "code": code})

    def do(self, what: str, *arguments: Any, keep: Any) -> Any:
        """What a method of `worker.Worker` gives. keep: what to do with an object.

        Raises:
            Failed: if the student's code raised an error.
        """
        sent = [wire.encode(argument, reference) for argument in arguments]
        reply = self._ask({"do": what, "with": sent})
        if "error" in reply:
            raise Failed(reply["error"])
        return wire.decode(reply.get("value"), keep)

    def _ask(self, request: dict) -> dict:
        if self.why:
            raise Lost(self.why)
        try:
            wire.send(self.target, request)
        except OSError:
            self._end("the process ended")
        return self._wait(self.limits.seconds)

    def _wait(self, seconds: float) -> dict:
        """The next message; the process is watched until it comes."""
        done, watch = threading.Event(), threading.Thread(target=self._watch)
        self.until, self.done = time.monotonic() + seconds, done
        watch.start()
        try:
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

    def _watch(self) -> None:
        """Kill the process when it takes too long or too much."""
        limits = self.limits
        while not self.done.wait(0.1):
            if time.monotonic() > self.until:
                self.why = f"it took longer than {limits.seconds:g} s"
            elif (used := self._memory()) > limits.memory:
                self.why = (
                    f"it used {used / GIB:.1f} GiB, of {limits.memory / GIB:g} GiB"
                )
            if self.why:
                return self.close()

    def _memory(self) -> int:
        """Bytes that it and all its children have in memory."""
        total = 0
        try:
            whole = psutil.Process(self.process.pid)
            for process in [whole, *whole.children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.Error:  # one of them has just ended
            pass
        return total

    def _end(self, why: str):
        self.why = why
        self.close()
        raise Lost(why)

    def close(self) -> None:
        """End the process and all that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def reference(value: Any) -> dict:
    """What stands for an object of the student's in a request."""
    number = getattr(value, "_classroom_number", None)
    if number is None:
        raise TypeError(f"a {type(value).__name__} cannot be given to a student's code")
    return {"object": number}
