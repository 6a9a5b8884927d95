"""llama.cpp for the comparison: llama-bench, built once from a pinned source release, and our weights as GGUF."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile

import numpy as np
from gguf import GGUFWriter

PACKAGE = "llama-cpp-python==0.3.36"  # its source release carries llama.cpp
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_CURL=OFF",
)  # fmt: skip
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def llama_bench(folder):
    """Path of the program; downloads and builds it where it is missing (8 CPU-minutes)."""
    stamp = folder / PACKAGE
    found = list(folder.glob("*/vendor/llama.cpp/build/bin/llama-bench"))
    if stamp.exists() and found:
        return found[0]
    folder.mkdir(parents=True, exist_ok=True)
    print(f"building llama-bench from {PACKAGE} in {folder}", file=sys.stderr)
    run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-binary", "llama-cpp-python", "--dest", folder, PACKAGE)  # fmt: skip
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        # Python 3.11.2, which is Debian 12's, does not know the filter yet.
        tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (source,) = folder.glob("*/vendor/llama.cpp")
    run("cmake", "-G", "Ninja", "-S", source, "-B", source / "build", *OPTIONS, stdout=subprocess.DEVNULL)
    run("cmake", "--build", source / "build", "--target", "llama-bench", stdout=subprocess.DEVNULL)
    stamp.touch()
    return source / "build" / "bin" / "llama-bench"


def read_safetensors(path):
    """Names to arrays, mapped from the file."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    types = {"F16": np.float16, "F32": np.float32}
    data = np.memmap(path, np.uint8, "r", 8 + length)
    return {
        name: data[slice(*entry["data_offsets"])].view(types[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def interleaved(rows, heads):
    """Rows of q or k from our rotary order (first half, second half) to llama.cpp's (pairs side by side)."""
    dim = rows.shape[0] // heads
    return rows.reshape(heads, 2, dim // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def gguf_of(model, path):
    """The Hugging Face folder's weights as an F16 GGUF without a vocabulary: token ids are all a bench needs."""
    if path.exists():
        return path
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    writer = GGUFWriter(str(path) + ".partial", "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    writer.add_file_type(1)  # mostly F16
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, tensor in read_safetensors(model / "model.safetensors").items():
        if name == "model.embed_tokens.weight":
            short = "token_embd"
        elif name == "model.norm.weight":
            short = "output_norm"
        else:
            _, _, layer, rest = name.removesuffix(".weight").split(".", 3)
            kind = LAYER_NAMES[rest]
            short = f"blk.{layer}.{kind}"
            if kind in heads:
                tensor = interleaved(tensor, heads[kind])
        wide = np.float32 if tensor.ndim == 1 else np.float16  # norms are F32 in every GGUF
        writer.add_tensor(short + ".weight", np.ascontiguousarray(tensor, wide))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(str(path) + ".partial", path)
    return path


def default_folder(repository):
    return pathlib.Path(repository) / "build" / "llama.cpp"
