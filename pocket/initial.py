"""The weights that a training begins with: small, random, with an idea of copying."""

import math

import torch
from torch import nn

from llmcourse.model import CausalLM
from llmcourse.rope import rope_frequencies

EMBEDDING_DEVIATION = 0.05


def initialise(model: CausalLM, seed: int) -> None:
    """Small normal weights, and the beginnings of induction.

    Matrices that write into the residual stream are smaller by sqrt(2L): there are 2L
    writes, and each adds variance (Radford et al. 2019). Random biases of queries and
    keys let every head begin with places of its own to look at.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        deviation = EMBEDDING_DEVIATION if "embed_tokens" in name else 0.02
        if "o_proj" in name or "down_proj" in name:
            deviation /= math.sqrt(2 * model.config.n_layers)
        if name.endswith("bias"):
            deviation = 0.0 if "v_proj" in name else 1.0
        if p.dim() == 2 or name.endswith("bias"):
            p.data.copy_(torch.randn(p.shape, generator=generator) * deviation)
    sketch_induction(model, generator)


@torch.no_grad()
def sketch_induction(model: CausalLM, generator: torch.Generator) -> None:
    """Draw, roughly, the two heads that copying from the context takes.

    Induction is a pair of heads in two layers (Olsson et al. 2022): the first writes
    beside each token which one stood before it, the second looks for the places where
    that was the token at hand, and says what stands there. Left to chance, a model of
    this size looks for them for a long time.

    Raises:
        ValueError: if the model has a single layer.
    """
    config = model.config
    if config.n_layers < 2:
        raise ValueError(f"induction takes 2 layers, the model has {config.n_layers}")
    K, D = config.d_head, config.d_model
    first, second = (layer.self_attn for layer in model.model.layers[:2])

    def orthogonal(*shape: int) -> torch.Tensor:
        return nn.init.orthogonal_(torch.empty(shape), generator=generator)

    # Layer 0: the query heads of the first key look 1, 2, ... tokens back. Rotated, the
    # biases score the distance alone: its fast pairs agree there and nowhere near.
    turns = rope_frequencies(K, config.rope_base)  # (K/2,)
    fast = 5.0 * (turns > 0.3)
    first.k_proj.bias[:K] = torch.cat([fast, 0 * fast])
    for h in range(config.n_heads // config.n_kv_heads):
        angle = (h + 1) * turns
        bias = torch.cat([fast * angle.cos(), -fast * angle.sin()])
        first.q_proj.bias[h * K : (h + 1) * K] = bias
    seen, written = orthogonal(K, D), orthogonal(D, K)
    first.v_proj.weight[:K] = seen
    first.o_proj.weight[:, :K] = 1.5 * EMBEDDING_DEVIATION * (D / K) ** 0.5 * written

    # Layer 1, head 0: the query says which token is at hand, the key which one stood
    # before. Slow pairs compare them: within a short text they hardly rotate.
    for m in (second.q_proj, second.k_proj):
        m.bias.zero_()
    slow = (turns < 1 / 24).repeat(2)[:, None]
    match = 1.9 * K**-0.5 * torch.randn(K, K, generator=generator) * slow
    second.q_proj.weight[:K] = match @ seen
    second.k_proj.weight[:K] = match @ written.T
    copied = orthogonal(K, D)
    second.v_proj.weight[:K] = copied
    second.o_proj.weight[:, :K] = 0.09 * copied.T
