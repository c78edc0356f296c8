"""What a model costs, predicted from its config: parameters, FLOPs, bytes. Chapter 08.

A multiply-add counts as 2 FLOPs, as torch's FlopCounterMode counts; only matrix
products are counted. Attention is counted over all T x S scores, masked ones included.
"""

from dataclasses import astuple, dataclass

from .config import ModelConfig


@dataclass(frozen=True)
class Parameters:
    """Where a model's parameters are. `head` is 0 if tied to the embedding."""

    embedding: int  # V x D
    attention: int  # the four projections of all layers
    ffn: int
    head: int
    positions: int  # learned positions
    biases: int  # of projections and FFNs
    norms: int

    @property
    def total(self) -> int:
        """All that is stored."""
        return sum(astuple(self))

    @property
    def without_embeddings(self) -> int:
        """What works on each token: no tables that are looked up, no output head."""
        return self.total - self.embedding - self.positions - self.head

    @property
    def matrices(self) -> int:
        """Embedding, attention, FFN and head: no biases, norms, learned positions."""
        return self.embedding + self.attention + self.ffn + self.head


def count_parameters(config: ModelConfig) -> Parameters:
    """Predict `sum(p.numel() for p in CausalLM(config).parameters())` and its parts."""
    c, L, D = config, config.n_layers, config.d_model
    q, kv = c.n_heads * c.d_head, c.n_kv_heads * c.d_head
    ups = 2 if c.ffn == "swiglu" else 1
    biases = c.qkv_bias * (q + 2 * kv) + c.o_bias * D
    biases += c.ffn_bias * (ups * c.d_ff + D)
    per_norm = D if c.norm == "rms" else 2 * D
    return Parameters(
        embedding=c.vocab_size * D,
        attention=L * (D * q + 2 * D * kv + q * D),
        ffn=L * (ups + 1) * D * c.d_ff,
        head=0 if c.tied else c.vocab_size * D,
        positions=c.max_len * D if c.positions == "learned" else 0,
        biases=L * biases,
        norms=(2 * L + 1) * per_norm,
    )


def forward_flops(
    config: ModelConfig, T: int, S: int | None = None, *, last_only: bool = False
) -> int:
    """FLOPs of one call on T tokens of one row that see S columns.

    S: T if None; 0 counts the maps alone.
    last_only: logits of the last position alone, as `prefill` asks for.
    """
    c, S = config, T if S is None else S
    if T < last_only:
        raise ValueError(f"a last position needs at least 1 token, got {T}")
    if T < 0 or S < 0 or 0 < S < T:
        raise ValueError(f"{T} tokens see themselves too: S is at least {T}, got {S}")
    parameters = count_parameters(config)
    maps = 2 * T * (parameters.attention + parameters.ffn)
    scores = 2 * 2 * c.n_layers * c.n_heads * c.d_head * T * S  # q k^T, then weights v
    logits = 2 * (1 if last_only else T) * c.d_model * c.vocab_size
    return maps + scores + logits


def prefill_flops(config: ModelConfig, T: int) -> int:
    """FLOPs of reading a prompt of T tokens."""
    return forward_flops(config, T, last_only=True)


def decode_flops(config: ModelConfig, S: int) -> int:
    """FLOPs of one decode step whose token sees S columns, itself included."""
    seen = S if config.window is None else min(S, config.window)
    return forward_flops(config, 1, seen)


def kv_bytes_per_token(config: ModelConfig, bytes_per_number: int = 2) -> int:
    """Bytes that one token adds to the KV cache; 2 bytes a number for half types."""
    if bytes_per_number < 1:
        raise ValueError(f"a number takes at least 1 byte, got {bytes_per_number}")
    numbers = 2 * config.n_layers * config.n_kv_heads * config.d_head
    return numbers * bytes_per_number


def kv_bytes(
    config: ModelConfig, length: int, batch_size: int = 1, bytes_per_number: int = 2
) -> int:
    """Bytes of the KV cache of a batch of texts.

    With a window it holds at most two of them. (The call that reads a longer prompt
    needs room for all of it, until the next call.)
    """
    if length < 0 or batch_size < 1:
        raise ValueError(
            f"a cache holds 0 tokens or more in 1 row or more, got {length} in "
            f"{batch_size}"
        )
    held = length if config.window is None else min(length, 2 * config.window)
    return held * batch_size * kv_bytes_per_token(config, bytes_per_number)
