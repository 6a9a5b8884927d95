#!/usr/bin/env python3
"""Make tests/golden/models/*: tiny random models of every family and what transformers says about them.

Run by hand, in an environment of its own (several GB, so not part of .venv and of no set-up):

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install torch transformers safetensors numpy
    /tmp/golden/bin/python tests/golden/make_golden.py

Each folder is a Hugging Face folder: config.json in the words of the family's published files, and
model.safetensors. All weights are exact in fp16, whichever type they are stored in, because the runtime keeps
matrices in fp16: so the comparison is of fp32 arithmetic alone. golden.json holds token ids and the fp32 logits
after the prompt and after each further token.

The models are random but not bland: projections of q and k are enlarged until attention is peaked, biases and
norms are far from their initial 0 and 1. Otherwise a wrong position or a lost bias would hardly move a logit.
"""

import argparse
import json
import pathlib
import shutil

import numpy as np
import safetensors.torch
import torch
import transformers

OUT = pathlib.Path(__file__).resolve().parent / "models"
PROMPT, DECODE = 64, 12  # tokens: beyond the 32 that the scaled model claims to be trained on
VOCAB = 96
SEED = 20260418

COMMON = {
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 48,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "use_cache": True,
    "vocab_size": VOCAB,
}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False}
SCALED = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_type": "llama3",
}
MODELS = {
    "llama": {**COMMON, **LLAMA, "rope_scaling": None},
    # Six query heads over two KV heads, and every bias that the architecture knows.
    "llama3": {
        **COMMON,
        **LLAMA,
        "attention_bias": True,
        "mlp_bias": True,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_scaling": SCALED,
    },
    "qwen2": {
        **COMMON,
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "max_window_layers": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 64,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
    },
    "qwen3": {
        **COMMON,
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "attention_bias": False,
        "head_dim": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_scaling": None,
        "sliding_window": None,
        "torch_dtype": "float32",
        "use_sliding_window": False,
    },
    "opt": {
        "_remove_final_layer_norm": False,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["OPTForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "eos_token_id": 2,
        "ffn_dim": 96,
        "hidden_size": 48,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 128,
        "model_type": "opt",
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "pad_token_id": 1,
        "prefix": "</s>",
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": VOCAB,
        "word_embed_proj_dim": 48,
    },
}
STORED = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def random_tensor(name, shape, generator):
    """Values of a size that makes the tensor matter."""
    values = torch.randn(shape, generator=generator)
    if name.endswith(".bias"):
        return 0.5 * values
    if len(shape) == 1:  # a norm; those of single heads enlarge their scores
        return (2.0 if "q_norm" in name or "k_norm" in name else 1.0) + 0.3 * values
    if "embed" in name:
        return values
    gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.0
    return gain * values / shape[1] ** 0.5


def exact(values, stored):
    """Rounded so that both the stored type and fp16 hold every value."""
    values = values.to(torch.float16)
    while not torch.equal(values.to(stored).to(torch.float16), values):
        values = values.to(stored).to(torch.float16)
    return values.to(stored)


def make_weights(config, seed):
    """The tensors that the architecture asks for, by name."""
    model = transformers.AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, value in sorted(model.state_dict().items()):
        if config.tie_word_embeddings and name == "lm_head.weight":
            continue
        tensors[name] = random_tensor(name, tuple(value.shape), generator)
    return tensors


def save_file(tensors, path):
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def save_weights(folder, tensors, parts):
    """One file, or several with an index."""
    if parts == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    names = sorted(tensors)
    weight_map = {}
    for part in range(parts):
        file = f"model-{part + 1:05d}-of-{parts:05d}.safetensors"
        own = names[part::parts]
        save_file({n: tensors[n] for n in own}, folder / file)
        weight_map.update({n: file for n in own})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def logits_of(folder, ids, dtype):
    """Logits after the prompt and after each further token, fed one by one; and the largest attention weights."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    rows, cache = [], None
    with torch.no_grad():
        attention = model(torch.tensor([ids]), output_attentions=True).attentions
        for begin, end in [(0, PROMPT)] + [(i, i + 1) for i in range(PROMPT, PROMPT + DECODE)]:
            output = model(torch.tensor([ids[begin:end]]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            rows.append(output.logits[0, -1].double().numpy())
    peak = float(np.mean([a[0, :, PROMPT:].max(-1).values.mean().item() for a in attention]))
    return np.array(rows), peak


def make(name, words, seed):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(words, indent=2) + "\n")
    config = transformers.AutoConfig.from_pretrained(folder)
    stored = STORED[words["torch_dtype"]]
    tensors = {n: exact(t, stored) for n, t in make_weights(config, seed).items()}
    save_weights(folder, tensors, 2 if name == "llama3" else 1)
    ids = np.random.default_rng(seed).integers(3, VOCAB, PROMPT + DECODE).tolist()
    logits, peak = logits_of(folder, ids, torch.float32)
    exact_logits, _ = logits_of(folder, ids, torch.float64)
    noise = np.abs(logits - exact_logits).max() / logits.std()
    golden = {
        "made_by": f"tests/golden/make_golden.py: transformers {transformers.__version__}, torch "
        f"{torch.__version__.split('+')[0]} on the CPU, float32, eager attention",
        "prompt_tokens": PROMPT,
        "ids": ids,
        "mean_largest_attention_weight": round(peak, 3),
        "difference_to_float64_in_standard_deviations": float(f"{noise:.2g}"),
        "logits": [[float(f"{x:.9g}") for x in row] for row in logits],
    }
    text = json.dumps(golden)
    (folder / "golden.json").write_text(text.replace("], [", "],\n[") + "\n")
    print(f"{name}: std {logits.std():.3f}, largest attention weight {peak:.3f}, fp32 noise {noise:.2g}")


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    for index, (name, words) in enumerate(MODELS.items()):
        make(name, words, SEED + index)


if __name__ == "__main__":
    main()
