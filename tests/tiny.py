"""Tiny models with every parameter redrawn: defaults of 0 and 1 would hide mistakes."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from llmcourse.config import ModelConfig
from llmcourse.model import CausalLM
from llmcourse.rope import RopeScaling

LLAMA = ModelConfig(
    vocab_size=64,
    d_model=32,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    d_head=8,
    d_ff=48,
    max_len=64,
    norm_eps=1e-5,
)
GPT2 = replace(
    LLAMA,
    n_kv_heads=4,
    norm="layer",
    ffn="gelu_tanh",
    positions="learned",
    qkv_bias=True,
    o_bias=True,
    ffn_bias=True,
    tied=True,
    model_type="gpt2",
)
QWEN2 = replace(LLAMA, qkv_bias=True, tied=True, model_type="qwen2")
PHI3 = replace(LLAMA, model_type="phi3")

LINEAR = RopeScaling("linear", factor=4.0)
DYNAMIC = RopeScaling("dynamic", factor=4.0, original_max_len=16)
LLAMA3 = RopeScaling(
    "llama3", factor=8.0, original_max_len=16, low_freq_factor=0.5, high_freq_factor=2.0
)
YARN = RopeScaling("yarn", factor=4.0, original_max_len=16, beta_fast=2, beta_slow=0.2)
LONGROPE = RopeScaling(
    "longrope",
    factor=4.0,
    original_max_len=16,
    short_factor=(1.0, 1.1, 1.2, 1.3),
    long_factor=(2.0, 2.5, 3.0, 3.5),
)

CONFIGS = {
    "llama": LLAMA,
    "llama-bias": replace(LLAMA, qkv_bias=True, o_bias=True, ffn_bias=True),
    "llama-mha": replace(LLAMA, n_kv_heads=4),
    "llama-mqa": replace(LLAMA, n_kv_heads=1),
    "linear": replace(LLAMA, rope_scaling=LINEAR),
    "dynamic": replace(LLAMA, max_len=16, rope_scaling=DYNAMIC),
    "llama3": replace(LLAMA, rope_scaling=LLAMA3),
    "yarn": replace(QWEN2, rope_scaling=YARN),
    "qwen2": QWEN2,
    "qwen2-window": replace(QWEN2, window=7),
    "mistral": replace(LLAMA, model_type="mistral", window=7),
    "mistral-wide-heads": replace(LLAMA, model_type="mistral", d_head=16),
    "phi3": replace(PHI3, window=7),
    "phi3-partial": replace(PHI3, d_rotary=4),
    "longrope": replace(PHI3, rope_scaling=LONGROPE),
    "gpt2": GPT2,
    "gpt2-relu": replace(GPT2, ffn="relu"),
    "gpt2-gelu": replace(GPT2, ffn="gelu"),
    "gpt2-silu": replace(GPT2, ffn="silu", tied=False),
}
ONE_REGIME = [n for n in CONFIGS if n not in ("dynamic", "longrope")]


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same every time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def draw_ids(B: int, T: int, V: int = 64, seed: int = 0) -> Tensor:
    """Token ids (B, T)."""
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def redraw(model: nn.Module, seed: int = 0, std: float = 0.15) -> nn.Module:
    """Every parameter anew: norm gains around 1, all else, biases too, around 0.

    With 0.15 logits spread by about 1, and float32 rounding stays far below 1e-5.
    """
    random = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        gain = p.dim() == 1 and name.endswith("weight")
        p.copy_(torch.randn(p.shape, generator=random) * std + gain)
    return model.eval()


def tiny(config: str | ModelConfig = "llama", seed: int = 0, **changes) -> CausalLM:
    """A redrawn model of one of the CONFIGS, or of a config."""
    config = CONFIGS[config] if isinstance(config, str) else config
    return redraw(CausalLM(replace(config, **changes)), seed)


def run(model: CausalLM, ids: Tensor, *args, **options) -> Tensor:
    """The logits, without gradients."""
    with torch.no_grad():
        return model(ids, *args, **options)


def message(kind: type[Exception], call, *args, **options) -> str:
    """What the error says that a call must raise."""
    try:
        call(*args, **options)
    except kind as error:
        return str(error)
    raise AssertionError(f"{call} did not raise {kind.__name__}")


def refuses(call, *args, says: tuple, **options) -> None:
    """The call raises ValueError, and its one-line message holds all that is wanted."""
    text = message(ValueError, call, *args, **options)
    missing = [str(part) for part in says if str(part) not in text]
    assert not missing, f"{missing} not in {text!r}"
    assert "\n" not in text, text
