"""What all tests share: one torch thread, so that processes do not fight over cores."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread():
    import torch

    torch.set_num_threads(1)
