"""What all tests share: one torch thread, so that processes do not fight over cores."""

import os
import warnings

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sandboxed():
    """Skip where no sandbox can be made; REQUIRE_SANDBOX=1 makes that a failure."""
    from classroom import sandbox

    try:
        sandbox.check()
    except sandbox.Refused as error:
        if os.environ.get("REQUIRE_SANDBOX") == "1":
            pytest.fail(str(error), pytrace=False)
        warnings.warn(f"THE CLASSROOM WAS NOT TESTED: {error}", stacklevel=2)
        pytest.skip(str(error))
