"""Assignment 6, FFN and norms."""

from . import Mistake

MISTAKES = {
    "t1": {
        "cut into halves": Mistake(
            """
def swiglu(x, fused, down):
    gate, up = (x @ fused.T).chunk(2, -1)
    return (functional.silu(gate) * up) @ down.T
""",
            "t1-rows t1-axes",
            "fused is cut into halves",
        ),
        "gate and up exchanged": Mistake(
            """
def swiglu(x, fused, down):
    both = x @ fused.T
    return (functional.silu(both[..., 1::2]) * both[..., 0::2]) @ down.T
""",
            "t1-silu t1-rows t1-axes",
            "SiLU works on up",
        ),
        "a sigmoid": Mistake(
            """
def swiglu(x, fused, down):
    both = x @ fused.T
    return (both[..., 0::2].sigmoid() * both[..., 1::2]) @ down.T
""",
            "t1-silu t1-rows t1-axes",
            "z times its sigmoid",
        ),
        "SiLU of both": Mistake(
            """
def swiglu(x, fused, down):
    both = functional.silu(x @ fused.T)
    return (both[..., 0::2] * both[..., 1::2]) @ down.T
""",
            "t1-silu t1-rows t1-axes",
            "SiLU works on gate and up",
        ),
        "SiLU of the product": Mistake(
            """
def swiglu(x, fused, down):
    both = x @ fused.T
    return functional.silu(both[..., 0::2] * both[..., 1::2]) @ down.T
""",
            "t1-silu t1-rows t1-axes",
            "SiLU works on the product",
        ),
        "down not transposed where that fits": Mistake(
            """
def swiglu(x, fused, down):
    both = x @ fused.T
    hidden = functional.silu(both[..., 0::2]) * both[..., 1::2]
    return hidden @ (down if down.shape[0] == down.shape[1] else down.T)
""",
            "t1-rows",
            "a row belongs to an output",
        ),
        "two axes alone": Mistake(
            """
def swiglu(x, fused, down):
    both = x @ fused.T
    return (functional.silu(both[:, 0::2]) * both[:, 1::2]) @ down.T
""",
            "t1-axes",
            "shapes cannot be multiplied",
        ),
    },
    "t2": {
        "over the tokens": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x - x.mean(-1, keepdim=True)
    x = x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    return x * gain[:, None] + shift[:, None]
""",
            "t2-axis t2-spread t2-eps t2-learned",
            "taken over the tokens",
        ),
        "divided by D - 1": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + eps).sqrt()
    return x * gain[:, None] + shift[:, None]
""",
            "t2-spread t2-eps t2-learned",
            "the variance is divided by D - 1",
        ),
        "the squares of what was there": Mistake(
            """
def column_norm(gain, shift, x, eps):
    size = (x.square().mean(1, keepdim=True) + eps).sqrt()
    return (x - x.mean(1, keepdim=True)) / size * gain[:, None] + shift[:, None]
""",
            "t2-spread t2-learned",
            "before the mean is subtracted",
        ),
        "RMSNorm": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x / (x.square().mean(1, keepdim=True) + eps).sqrt()
    return x * gain[:, None] + shift[:, None]
""",
            "t2-axis t2-spread t2-eps t2-learned",
            "is it subtracted",
        ),
        "eps behind the root": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x - x.mean(1, keepdim=True)
    x = x / (x.square().mean(1, keepdim=True).sqrt() + eps)
    return x * gain[:, None] + shift[:, None]
""",
            "t2-eps t2-learned",
            "added to the standard deviation",
        ),
        "no eps": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x - x.mean(1, keepdim=True)
    x = x / x.square().mean(1, keepdim=True).sqrt()
    return x * gain[:, None] + shift[:, None]
""",
            "t2-spread t2-eps t2-learned",
            "D = 1",
        ),
        "gain along the tokens": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x - x.mean(1, keepdim=True)
    x = x / (x.square().mean(1, keepdim=True) + eps).sqrt()
    return x * gain + shift
""",
            "t2-learned",
            "they need an axis behind",
        ),
        "the shift first": Mistake(
            """
def column_norm(gain, shift, x, eps):
    x = x - x.mean(1, keepdim=True)
    x = x / (x.square().mean(1, keepdim=True) + eps).sqrt()
    return (x + shift[:, None]) * gain[:, None]
""",
            "t2-learned",
            "the shift is added before the gain",
        ),
    },
    "t3": {
        "as it was handed out": Mistake(
            "block = broken",
            "t3-stream t3-branch",
            "The stream goes past the norms",
        ),
        "only the stream mended": Mistake(
            """
def block(x, gain_1, gain_2):
    h = x + mix(rms(x, gain_1))
    return h + feed(rms(x, gain_2))
""",
            "t3-branch",
            "feed reads x, the stream before mix",
        ),
        "only the order mended": Mistake(
            """
def block(x, gain_1, gain_2):
    x = rms(x, gain_1)
    h = x + mix(x)
    return h + feed(rms(h, gain_2))
""",
            "t3-stream t3-branch",
            "The stream goes past the norms",
        ),
        "the norm of the norm": Mistake(
            """
def block(x, gain_1, gain_2):
    n = rms(x, gain_1)
    return x + mix(n) + feed(rms(n, gain_2))
""",
            "t3-branch",
            "feed reads the normed x",
        ),
        "a block of 2017": Mistake(
            """
def block(x, gain_1, gain_2):
    x = rms(x + mix(x), gain_1)
    return rms(x + feed(x), gain_2)
""",
            "t3-stream t3-branch",
            "The stream goes past the norms",
        ),
        "the second norm on the stream": Mistake(
            """
def block(x, gain_1, gain_2):
    h = rms(x + mix(rms(x, gain_1)), gain_2)
    return h + feed(h)
""",
            "t3-stream t3-branch",
            "The stream goes past the norms",
        ),
        "what mix has found is lost": Mistake(
            """
def block(x, gain_1, gain_2):
    h = x + mix(rms(x, gain_1))
    return x + feed(rms(h, gain_2))
""",
            "t3-stream t3-branch",
            "with the second gain at 0",
        ),
        "no norm before the second part": Mistake(
            """
def block(x, gain_1, gain_2):
    h = x + mix(rms(x, gain_1))
    return h + feed(h)
""",
            "t3-stream t3-branch",
            "gains of 0",
        ),
    },
    "t4": {
        "the list forgotten": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    return (x @ up + up_bias).relu() @ down + down_bias
""",
            "t4-quiet t4-twice",
            "neuron 1 still speaks",
        ),
        "its fit is 0, its bias is not": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    up = up.clone()
    up[:, quiet] = 0
    return (x @ up + up_bias).relu() @ down + down_bias
""",
            "t4-quiet t4-twice",
            "its bias still makes it fire",
        ),
        "the others are silent": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    hidden = (x @ up + up_bias).relu()
    return hidden[:, quiet] @ down[quiet] + down_bias
""",
            "t4-all t4-quiet t4-twice",
            "here everybody is",
        ),
        "rows instead of columns": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    hidden = (x @ up + up_bias).relu()
    hidden[quiet] = 0
    return hidden @ down + down_bias
""",
            "t4-quiet t4-twice",
            "that is a token",
        ),
        "columns of the output": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    out = (x @ up + up_bias).relu() @ down + down_bias
    out[:, quiet] = 0
    return out
""",
            "t4-quiet t4-twice",
            "one of the F numbers between the two maps",
        ),
        "the bias after the activation": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    hidden = (x @ up).relu() + up_bias
    hidden[:, quiet] = 0
    return hidden @ down + down_bias
""",
            "t4-all t4-quiet",
            "added after ReLU",
        ),
        "counted from 1": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    hidden = (x @ up + up_bias).relu()
    hidden[:, [j - 1 for j in quiet]] = 0
    return hidden @ down + down_bias
""",
            "t4-quiet t4-twice",
            "counted from 1",
        ),
        "subtracted twice": Mistake(
            """
def without(quiet, x, up, up_bias, down, down_bias):
    hidden = (x @ up + up_bias).relu()
    out = hidden @ down + down_bias
    for j in quiet:
        out = out - hidden[:, j, None] * down[j]
    return out
""",
            "t4-twice",
            "named twice",
        ),
    },
    "t5": {
        "two maps": Mistake(
            "parameters, tokens = 2_229_248, 1_536",
            "t5-parameters t5-tokens",
            "counted with two maps",
        ),
        "H heads of keys, and 4 D": Mistake(
            "parameters, tokens = 3_408_896, 2_048",
            "t5-parameters t5-tokens",
            "counted with H heads",
        ),
        "no norms, and one product": Mistake(
            "parameters, tokens = 3_014_656, 4_608",
            "t5-parameters t5-tokens",
            "the two norms are missing",
        ),
        "shifts, and G heads": Mistake(
            "parameters, tokens = 3_016_704, 9_216",
            "t5-parameters t5-tokens",
            "counted with a shift",
        ),
        "a map forgotten, and one head": Mistake(
            "parameters, tokens = 2_753_536, 18_432",
            "t5-parameters t5-tokens",
            "is it W_O?",
        ),
        "the number of tokens as a float": Mistake(
            "parameters, tokens = 3_015_680, 2304.0",
            "t5-tokens",
            "a whole number",
        ),
        "tokens for two maps": Mistake(
            "parameters, tokens = 3_015_680, 1_536",
            "t5-tokens",
            "counted with two maps",
        ),
        "one product": Mistake(
            "parameters, tokens = 3_015_680, 4_608",
            "t5-tokens",
            "are two products",
        ),
    },
}

# Other ways to be right. The last of each is off by float noise.
RIGHT = {
    "t1": [
        """
def swiglu(x, fused, down):
    gate_w, up_w = fused.view(-1, 2, fused.shape[1]).unbind(1)
    gate = functional.linear(x, gate_w)
    hidden = gate * gate.sigmoid() * functional.linear(x, up_w)
    return functional.linear(hidden, down)
""",
        """
def swiglu(x, fused, down):
    out = torch.zeros(x.shape)
    for j in range(down.shape[1]):
        gate, up = x @ fused[2 * j], x @ fused[2 * j + 1]
        out = out + (gate / (1 + torch.exp(-gate)) * up)[..., None] * down[:, j]
    return out
""",
        """
def swiglu(x, fused, down):
    both = (x.double() @ fused.double().T).unflatten(-1, (-1, 2))
    gate, up = both[..., 0], both[..., 1]
    return (functional.silu(gate) * up) @ down.double().T
""",
    ],
    "t2": [
        """
def column_norm(gain, shift, x, eps):
    x = x.transpose(1, 2)
    variance = x.var(-1, unbiased=False, keepdim=True)
    x = (x - x.mean(-1, keepdim=True)) * torch.rsqrt(variance + eps)
    return (x * gain + shift).transpose(1, 2)
""",
        """
def column_norm(gain, shift, x, eps):
    out = torch.empty_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[2]):
            token = x[b, :, t]
            token = token - token.mean()
            size = math.sqrt((token @ token).item() / len(token) + eps)
            out[b, :, t] = token / size * gain + shift
    return out
""",
        """
def column_norm(gain, shift, x, eps):
    x = x.double()
    mean = torch.einsum("bdt->bt", x)[:, None] / x.shape[1]
    variance = torch.einsum("bdt,bdt->bt", x, x)[:, None] / x.shape[1] - mean**2
    x = (x - mean) / (variance.clamp(min=0) + eps) ** 0.5
    return torch.einsum("d,bdt->bdt", gain.double(), x) + shift.view(1, -1, 1)
""",
    ],
    "t3": [
        """
def block(x, gain_1, gain_2):
    x = x + mix(rms(x, gain_1))
    x = x + feed(rms(x, gain_2))
    return x
""",
        """
def block(x, gain_1, gain_2):
    rows = []
    for t in range(len(x)):
        found = rms(x[: t + 1], gain_1).mean(0)
        h = x[t] + found
        rows.append(h + feed(rms(h, gain_2)))
    return torch.stack(rows)
""",
        """
def block(x, gain_1, gain_2):
    h = x.double() + mix(rms(x.double(), gain_1.double()))
    return (feed(rms(h, gain_2)) + h).float() + 1e-9
""",
    ],
    "t4": [
        """
def without(quiet, x, up, up_bias, down, down_bias):
    spoken = torch.ones(len(down))
    spoken[quiet] = 0
    return ((x @ up + up_bias).relu() * spoken) @ down + down_bias
""",
        """
def without(quiet, x, up, up_bias, down, down_bias):
    out = down_bias.repeat(len(x), 1)
    for j in range(len(down)):
        if j not in quiet:
            out = out + (x @ up[:, j] + up_bias[j]).clamp(min=0)[:, None] * down[j]
    return out
""",
        """
def without(quiet, x, up, up_bias, down, down_bias):
    down = down.double()
    down[sorted(set(quiet))] = 0
    hidden = (x.double() @ up.double() + up_bias).relu()
    return torch.einsum("tf,fd->td", hidden, down) + down_bias
""",
    ],
    "t5": [
        "parameters, tokens = 3_015_680, 2_304",
        "parameters, tokens = 655_360 + 2_359_296 + 1_024, 3 * 1_536 // 2",
    ],
}
