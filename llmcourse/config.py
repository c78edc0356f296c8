"""The shape of a model: a few independent choices, checked once."""

import math
from dataclasses import dataclass, replace

from .rope import RopeScaling

NORMS = ("rms", "layer")
FFNS = ("relu", "gelu", "gelu_tanh", "silu", "swiglu")
POSITIONS = ("rope", "learned")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and choices of a decoder-only transformer.

    max_len: context length in tokens. window: how many tokens a token sees (itself
    counted), None for all. d_rotary: how many of a head's numbers rotate, None for all.
    model_type: the Hugging Face family whose file layout the model is stored in; no
    computation looks at it. stop_ids: tokens that end a text.
    """

    vocab_size: int  # V
    d_model: int  # D
    n_layers: int
    n_heads: int  # H
    n_kv_heads: int  # G
    d_head: int  # K
    d_ff: int  # F
    max_len: int
    norm: str = "rms"
    norm_eps: float = 1e-6
    ffn: str = "swiglu"
    positions: str = "rope"
    rope_base: float = 10000.0
    rope_scaling: RopeScaling | None = None
    d_rotary: int | None = None
    window: int | None = None
    qkv_bias: bool = False
    o_bias: bool = False
    ffn_bias: bool = False
    tied: bool = False
    model_type: str = "llama"
    stop_ids: tuple[int, ...] = ()

    def __post_init__(self):
        for name in (
            "vocab_size d_model n_layers n_heads n_kv_heads d_head d_ff max_len"
        ).split():
            value = getattr(self, name)
            if not _is_whole(value) or not 1 <= value < 2**31:
                raise ValueError(
                    f"{name} is a whole number from 1 to 2³¹ - 1, got {value!r}"
                )
        for name in ("norm_eps", "rope_base"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name} is a number above 0, got {value!r}")
        if self.rope_scaling and self.rope_base <= 1:
            raise ValueError(
                f"scaled RoPE needs a base above 1, got rope_base {self.rope_base}"
            )
        for token in self.stop_ids:
            if not _is_whole(token):
                raise ValueError(f"stop_ids are whole numbers, got {token!r}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is not a multiple of "
                f"n_kv_heads {self.n_kv_heads}"
            )
        for name, known in (("norm", NORMS), ("ffn", FFNS), ("positions", POSITIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is one of {known}, got {getattr(self, name)!r}"
                )
        window = self.window
        if window is not None and (not _is_whole(window) or window < 1):
            raise ValueError(f"window is a whole number from 1 on, got {window!r}")
        if self.positions == "rope" and not self._rotary_fits:
            raise ValueError(
                f"RoPE needs an even width of at most d_head {self.d_head}, "
                f"got d_rotary {self.rotary_width}"
            )

    @property
    def rotary_width(self) -> int:
        """R: how many of a head's K numbers rotate."""
        return self.d_head if self.d_rotary is None else self.d_rotary

    @property
    def _rotary_fits(self) -> bool:
        return 2 <= self.rotary_width <= self.d_head and self.rotary_width % 2 == 0

    @property
    def context(self) -> int:
        """The longest sequence the model takes.

        It is max_len, but where scaling stretches it. With linear and dynamic scaling
        max_len is, by convention, the context in training. With YaRN some files say in
        max_len how far it stretches, and others leave that to the factor.
        """
        scaling = self.rope_scaling
        if scaling and scaling.kind in ("linear", "dynamic"):
            return int(self.max_len * scaling.factor)
        if scaling and scaling.kind == "yarn":
            return max(self.max_len, int(scaling.original_max_len * scaling.factor))
        return self.max_len


def _gpt2(n_layers: int, d_model: int, n_heads: int, **changes) -> ModelConfig:
    config = ModelConfig(
        vocab_size=50257,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        d_head=d_model // n_heads,
        d_ff=4 * d_model,
        max_len=1024,
        norm="layer",
        norm_eps=1e-5,
        ffn="gelu_tanh",
        positions="learned",
        qkv_bias=True,
        o_bias=True,
        ffn_bias=True,
        tied=True,
        model_type="gpt2",
    )
    return replace(config, **changes)


def _llama(model_type: str, vocab_size: int, n_layers: int, d_model: int, **rest):
    defaults = dict(d_head=128, norm_eps=1e-5, qkv_bias=model_type == "qwen2")
    return ModelConfig(
        model_type=model_type,
        vocab_size=vocab_size,
        n_layers=n_layers,
        d_model=d_model,
        **(defaults | rest),
    )


# Sources: GPT-2 (Radford 2019), GPT-3 (Brown 2020, table 2.1), and the config.json
# files that were published with the other models.
PRESETS = {
    "gpt2": _gpt2(12, 768, 12),
    "gpt2-medium": _gpt2(24, 1024, 16),
    "gpt2-large": _gpt2(36, 1280, 20),
    "gpt2-xl": _gpt2(48, 1600, 25),
    "gpt3-175b": _gpt2(96, 12288, 96, max_len=2048),
    "llama-2-7b": _llama(
        "llama", 32000, 32, 4096, n_heads=32, n_kv_heads=32, d_ff=11008, max_len=4096
    ),
    "llama-2-70b": _llama(
        "llama", 32000, 80, 8192, n_heads=64, n_kv_heads=8, d_ff=28672, max_len=4096
    ),
    "llama-3-8b": _llama(
        "llama", 128256, 32, 4096, n_heads=32, n_kv_heads=8, d_ff=14336, max_len=8192,
        rope_base=500000.0,
    ),
    "llama-3-70b": _llama(
        "llama", 128256, 80, 8192, n_heads=64, n_kv_heads=8, d_ff=28672, max_len=8192,
        rope_base=500000.0,
    ),
    "llama-3.1-8b": _llama(
        "llama", 128256, 32, 4096, n_heads=32, n_kv_heads=8, d_ff=14336,
        max_len=131072, rope_base=500000.0,
        rope_scaling=RopeScaling("llama3", factor=8.0, original_max_len=8192),
    ),
    "llama-3.2-1b": _llama(
        "llama", 128256, 16, 2048, n_heads=32, n_kv_heads=8, d_head=64, d_ff=8192,
        max_len=131072, rope_base=500000.0, tied=True,
        rope_scaling=RopeScaling("llama3", factor=32.0, original_max_len=8192),
    ),
    "qwen2.5-0.5b": _llama(
        "qwen2", 151936, 24, 896, n_heads=14, n_kv_heads=2, d_head=64, d_ff=4864,
        max_len=32768, rope_base=1e6, norm_eps=1e-6, tied=True,
    ),
    "qwen2.5-7b": _llama(
        "qwen2", 152064, 28, 3584, n_heads=28, n_kv_heads=4, d_ff=18944,
        max_len=131072, rope_base=1e6, norm_eps=1e-6,
    ),
    "qwen2.5-32b": _llama(
        "qwen2", 152064, 64, 5120, n_heads=40, n_kv_heads=8, d_ff=27648,
        max_len=131072, rope_base=1e6,
    ),
    "qwen2-72b": _llama(
        "qwen2", 152064, 80, 8192, n_heads=64, n_kv_heads=8, d_ff=29568,
        max_len=131072, rope_base=1e6,
    ),
    "phi-3-mini": _llama(
        "phi3", 32064, 32, 3072, n_heads=32, n_kv_heads=32, d_head=96, d_ff=8192,
        max_len=4096, window=2047,
    ),
    "mistral-7b": _llama(
        "mistral", 32000, 32, 4096, n_heads=32, n_kv_heads=8, d_ff=14336,
        max_len=32768, window=4096,
    ),
}  # fmt: skip
