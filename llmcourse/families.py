"""How each Hugging Face family spells its config and lays out its weights.

The families differ in names and in fused matrices, not in the computation: this module
translates both ways between their `config.json` and tensor names and this package's.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .config import ModelConfig
from .rope import RopeScaling

FAMILIES = ("llama", "qwen2", "mistral", "phi3", "gpt2")
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "mistral": "MistralForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
}
GPT2_ACTIVATIONS = {
    "relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new", "silu": "silu",
}  # fmt: skip


def config_from_hf(hf: dict) -> ModelConfig:
    """Read a `config.json`, in the spelling of transformers 4 or 5."""
    family = hf.get("model_type")
    if family not in FAMILIES:
        raise ValueError(
            f"unknown model_type {family!r}: this course reads {', '.join(FAMILIES)}"
        )
    if hf.get("quantization_config"):
        raise ValueError("quantized weights are not read: quantization_config is set")
    try:
        fields = _gpt2_fields(hf) if family == "gpt2" else _llama_fields(hf)
        stop = stop_ids_from_hf(hf)
        return ModelConfig(**fields, model_type=family, stop_ids=stop)
    except KeyError as missing:
        raise ValueError(f"config.json of a {family} model lacks {missing}") from None
    except (TypeError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(
            f"config.json of a {family} model has a value of the wrong kind: {error}"
        ) from error


def stop_ids_from_hf(hf: dict) -> tuple[int, ...]:
    """`eos_token_id`: missing, one id, or a list of them."""
    stop = hf.get("eos_token_id")
    return tuple(stop) if isinstance(stop, list) else () if stop is None else (stop,)


def config_to_hf(config: ModelConfig) -> dict:
    """The `config.json` of a model, in the spelling that transformers 4 and 5 read."""
    family = config.model_type
    if family not in FAMILIES:
        raise ValueError(f"unknown model_type {family!r}: choose one of {FAMILIES}")
    hf = _gpt2_json(config) if family == "gpt2" else _llama_json(config)
    stop = list(config.stop_ids)
    hf |= {
        "model_type": family,
        "architectures": [ARCHITECTURES[family]],
        "bos_token_id": None,
        "eos_token_id": stop[0] if len(stop) == 1 else stop or None,
        "pad_token_id": None,
    }
    read_back = config_from_hf(hf)
    lost = [n for n in vars(config) if getattr(config, n) != getattr(read_back, n)]
    if lost:
        name = lost[0]
        raise ValueError(
            f"a {family} config.json cannot say {name}={getattr(config, name)!r}, "
            f"only {getattr(read_back, name)!r}"
        )
    return hf


def _llama_fields(hf: dict) -> dict:
    family, D, H = hf["model_type"], hf["hidden_size"], hf["num_attention_heads"]
    head = hf.get("head_dim")
    if not head and D % H:
        raise ValueError(f"hidden_size {D} does not divide into {H} attention heads")
    if hf.get("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act must be 'silu', got {hf['hidden_act']!r}")
    bias = family == "llama" and bool(hf.get("attention_bias", False))
    K = head or D // H
    max_len = hf["max_position_embeddings"]
    base, part, scaling = _rope_from_hf(hf, max_len)
    return dict(
        vocab_size=hf["vocab_size"],
        d_model=D,
        n_layers=hf["num_hidden_layers"],
        n_heads=H,
        n_kv_heads=hf.get("num_key_value_heads") or H,
        d_head=K,
        d_ff=hf["intermediate_size"],
        max_len=max_len,
        norm_eps=hf.get("rms_norm_eps", 1e-5 if family == "phi3" else 1e-6),
        rope_base=base,
        rope_scaling=scaling,
        d_rotary=None if part == 1 else int(K * part),
        window=_window_from_hf(hf),
        qkv_bias=bias or family == "qwen2",
        o_bias=bias,
        ffn_bias=family == "llama" and bool(hf.get("mlp_bias", False)),
        tied=bool(hf.get("tie_word_embeddings", False)),
    )


def _window_from_hf(hf: dict) -> int | None:
    if hf["model_type"] == "llama":
        return None
    width = hf.get("sliding_window", 4096 if hf["model_type"] == "mistral" else None)
    if hf["model_type"] != "qwen2":
        return width
    if not hf.get("use_sliding_window"):
        return None
    layers, first = hf["num_hidden_layers"], hf.get("max_window_layers", 28)
    kinds = ["full_attention"] * min(first, layers)
    kinds += ["sliding_attention"] * (layers - len(kinds))
    kinds = hf.get("layer_types") or kinds
    unknown = set(kinds) - {"full_attention", "sliding_attention"}
    if unknown or len(kinds) != layers:
        raise ValueError(
            f"layer_types name full_attention or sliding_attention for each of "
            f"{layers} layers, got {len(kinds)} and {sorted(map(str, unknown))}"
        )
    kinds = set(kinds)
    if len(kinds) > 1:
        raise ValueError(
            f"some layers have a sliding window and some not (max_window_layers "
            f"{first} of {layers}): this course's models have one for all or none"
        )
    return hf.get("sliding_window", 4096) if "sliding_attention" in kinds else None


def _rope_from_hf(hf: dict, max_len: int) -> tuple[float, float, RopeScaling | None]:
    """(base, rotary share of a head, scaling)."""
    rope = hf.get("rope_scaling") or hf.get("rope_parameters") or {}
    base = rope.get("rope_theta") or hf.get("rope_theta") or 10000.0
    share = rope.get("partial_rotary_factor", hf.get("partial_rotary_factor", 1.0))
    base, share = _real("rope_theta", base), _real("partial_rotary_factor", share)
    if hf["model_type"] != "phi3":
        share = 1.0  # transformers does not look at it in the other families
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return base, share, None
    if hf["model_type"] == "phi3":
        kind = "longrope"  # early Phi-3 files called it "su" or "yarn"
    original = hf.get("original_max_position_embeddings")
    original = original or rope.get("original_max_position_embeddings") or max_len
    needed = {
        "llama3": ["factor", "low_freq_factor", "high_freq_factor"],
        "yarn": [],  # these two can take the ratio of the lengths
        "longrope": [],
    }
    missing = [n for n in needed.get(kind, ["factor"]) if rope.get(n) is None]
    if missing:
        raise ValueError(f"{kind} scaling of RoPE lacks {', '.join(missing)}")
    names = "attention_factor low_freq_factor high_freq_factor beta_fast beta_slow "
    names += "truncate mscale mscale_all_dim short_factor long_factor"
    options = {n: rope[n] for n in names.split() if rope.get(n) is not None}
    for name in ("short_factor", "long_factor"):
        if name in options:
            options[name] = tuple(options[name])
    scaling = RopeScaling(
        kind=kind,
        factor=_real("factor", rope.get("factor") or max_len / original),
        original_max_len={"linear": 0, "dynamic": max_len}.get(kind, original),
        **options,
    )
    return base, share, scaling


def _real(name: str, value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is a number, got {value!r}") from None


def _llama_json(c: ModelConfig) -> dict:
    hf = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_hidden_layers": c.n_layers,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_kv_heads,
        "intermediate_size": c.d_ff,
        "hidden_act": "silu",
        "max_position_embeddings": c.max_len,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_base,
        "rope_scaling": _scaling_json(c.rope_scaling),
        "tie_word_embeddings": c.tied,
    }
    if c.d_head * c.n_heads != c.d_model:
        hf["head_dim"] = c.d_head
    if c.model_type == "llama":
        hf |= {"attention_bias": c.qkv_bias, "mlp_bias": c.ffn_bias}
    else:
        hf["sliding_window"] = c.window
    if c.model_type == "qwen2":
        hf |= {"use_sliding_window": c.window is not None, "max_window_layers": 0}
    if c.model_type == "phi3":
        original = c.rope_scaling.original_max_len if c.rope_scaling else c.max_len
        hf["original_max_position_embeddings"] = original
        hf["partial_rotary_factor"] = c.rotary_width / c.d_head
    return hf


def _scaling_json(scaling: RopeScaling | None) -> dict | None:
    if scaling is None:
        return None
    defaults = vars(RopeScaling(kind="linear"))
    rope = {"rope_type": scaling.kind, "type": scaling.kind, "factor": scaling.factor}
    for name, value in vars(scaling).items():
        if name not in ("kind", "factor", "original_max_len"):
            if value != defaults[name] or name.endswith("freq_factor"):
                rope[name] = list(value) if isinstance(value, tuple) else value
    if scaling.kind in ("llama3", "yarn", "longrope"):
        rope["original_max_position_embeddings"] = scaling.original_max_len
    return rope


def _gpt2_fields(hf: dict) -> dict:
    D, H = hf["n_embd"], hf["n_head"]
    if D % H:
        raise ValueError(f"n_embd {D} does not divide into {H} heads")
    name = hf.get("activation_function", "gelu_new")
    ffn = {hf_name: ours for ours, hf_name in GPT2_ACTIVATIONS.items()}.get(name)
    if ffn is None:
        known = ", ".join(GPT2_ACTIVATIONS.values())
        raise ValueError(f"activation_function is one of {known}, got {name!r}")
    if hf.get("scale_attn_by_inverse_layer_idx") or not hf.get("scale_attn_weights", 1):
        raise ValueError("a GPT-2 that does not divide scores by sqrt(K) is not read")
    return dict(
        vocab_size=hf["vocab_size"],
        d_model=D,
        n_layers=hf["n_layer"],
        n_heads=H,
        n_kv_heads=H,
        d_head=D // H,
        d_ff=hf.get("n_inner") or 4 * D,
        max_len=hf.get("n_positions") or hf["n_ctx"],
        norm="layer",
        norm_eps=hf.get("layer_norm_epsilon", 1e-5),
        ffn=ffn,
        positions="learned",
        qkv_bias=True,
        o_bias=True,
        ffn_bias=True,
        tied=bool(hf.get("tie_word_embeddings", True)),
    )


def _gpt2_json(c: ModelConfig) -> dict:
    return {
        "vocab_size": c.vocab_size,
        "n_embd": c.d_model,
        "n_layer": c.n_layers,
        "n_head": c.n_heads,
        "n_inner": c.d_ff,
        "n_positions": c.max_len,
        "layer_norm_epsilon": c.norm_eps,
        "activation_function": GPT2_ACTIVATIONS.get(c.ffn, c.ffn),
        "tie_word_embeddings": c.tied,
    }


Named = tuple[str, Tensor]


def is_constant(name: str) -> bool:
    """What old files stored beside the weights and nobody needs."""
    return name.endswith(("rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias"))


def tensors_from_hf(config: ModelConfig, named: Iterable[Named]) -> Iterator[Named]:
    """Tensors under their file's names -> under this package's, fused ones split."""
    split = {"phi3": _split_phi3, "gpt2": _split_gpt2}.get(config.model_type)
    for name, tensor in named:
        if is_constant(name):
            continue
        if tensor.dim() == 0:
            raise ValueError(f"{name} is a single number, not a vector or a matrix")
        yield from split(config, name, tensor) if split else [(name, tensor)]


def tensors_to_hf(config: ModelConfig, named: Iterable[Named]) -> dict[str, Tensor]:
    """The inverse of `tensors_from_hf`, with the tied head left out."""
    state = dict(named)
    if config.tied:
        state.pop("lm_head.weight", None)
    join: Callable | None = {"phi3": _join_phi3, "gpt2": _join_gpt2}.get(
        config.model_type
    )
    return join(state) if join else state


QKV = [f"self_attn.{x}_proj" for x in "qkv"]
GATE_UP = ["mlp.gate_proj", "mlp.up_proj"]


def _split_phi3(config: ModelConfig, name: str, tensor: Tensor) -> Iterator[Named]:
    H, G, K = config.n_heads, config.n_kv_heads, config.d_head
    for fused, parts, sizes in (
        ("self_attn.qkv_proj", QKV, [H * K, G * K, G * K]),
        ("mlp.gate_up_proj", GATE_UP, [config.d_ff] * 2),
    ):
        if fused in name:
            pieces = _split(name, tensor, sizes)
            names = [name.replace(fused, part) for part in parts]
            yield from zip(names, pieces, strict=True)
            return
    yield name, tensor


def _join_phi3(state: dict[str, Tensor]) -> dict[str, Tensor]:
    joined = _join(state, QKV, "self_attn.qkv_proj")
    return _join(joined, GATE_UP, "mlp.gate_up_proj")


GPT2_NAMES = (
    ("transformer.wte.", "model.embed_tokens."),
    ("transformer.wpe.", "model.embed_positions."),
    ("transformer.ln_f.", "model.norm."),
    ("transformer.h.", "model.layers."),
    (".ln_1.", ".input_layernorm."),
    (".ln_2.", ".post_attention_layernorm."),
    (".attn.c_attn.", ".self_attn.qkv_proj."),
    (".attn.c_proj.", ".self_attn.o_proj."),
    (".mlp.c_fc.", ".mlp.up_proj."),
    (".mlp.c_proj.", ".mlp.down_proj."),
)


def _split_gpt2(config: ModelConfig, name: str, tensor: Tensor) -> Iterator[Named]:
    if not name.startswith(("transformer.", "lm_head.")):
        name = f"transformer.{name}"  # the very first files had no prefix
    for theirs, ours in GPT2_NAMES:
        name = name.replace(theirs, ours)
    if name.endswith("proj.weight") and tensor.dim() == 2:
        tensor = tensor.T  # GPT-2 stores its linear maps as (in, out)
    if "qkv_proj" not in name:
        yield name, tensor
        return
    pieces = _split(name, tensor, [config.d_model] * 3)
    for part, piece in zip(QKV, pieces, strict=True):
        yield name.replace("self_attn.qkv_proj", part), piece


def _join_gpt2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in _join(state, QKV, "self_attn.qkv_proj").items():
        if name.endswith("proj.weight"):
            tensor = tensor.T
        for theirs, ours in GPT2_NAMES:
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    return renamed


def _split(name: str, tensor: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    if tensor.shape[0] != sum(sizes):
        raise ValueError(
            f"{name} has {tensor.shape[0]} rows, its parts {sizes} need {sum(sizes)}"
        )
    return tensor.split(sizes)


def _join(state: dict[str, Tensor], parts: list[str], fused: str) -> dict[str, Tensor]:
    """Stack the rows of each group of parts under one name, where the first stood."""
    joined = {}
    for name, tensor in state.items():
        if parts[0] in name:
            rows = [state[name.replace(parts[0], part)] for part in parts]
            joined[name.replace(parts[0], fused)] = torch.cat(rows)
        elif not any(part in name for part in parts[1:]):
            joined[name] = tensor
    return joined
