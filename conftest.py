"""nbval starts its kernels as tools/run_chapters.py does: without a race for ports."""

import nbval.kernel
from jupyter_client import KernelManager
from run_chapters import PrivateSockets


class PrivateKernelManager(PrivateSockets, KernelManager):
    """A kernel for nbval that no other test process can disturb."""


nbval.kernel.KernelManager = PrivateKernelManager
