"""Decode steps in Hugging Face transformers: a Llama shape with random weights over a cache of random K and V."""

import inspect
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a config object is all that is needed

import torch  # noqa: E402
import transformers  # noqa: E402

SHAPES = {  # hidden, layers, query heads, KV heads, head dim, FFN, vocabulary
    "llama-3.1-8b": (4096, 32, 32, 8, 128, 14336, 128256),
    "small": (256, 4, 8, 2, 32, 512, 1000),
}
TAKES_OFFLOADING = "offloading" in inspect.signature(transformers.DynamicCache).parameters
CHECK_CONTEXT, CHECK_STEPS = 100, 4
CHECK_BOUND = 1e-4  # fp32, share of the largest logit: sums in another order differ by about 1e-6
LOST = 1e9  # as good as infinite, and JSON has a word for it
STEP_BOUND = 1e-3  # fp16: the same kernels over the same rows, equal but for a last bit; one wrong layer gives 2e-3


class Unavailable(Exception):
    """The installed transformers lacks what was asked for."""


class OrderedCache(transformers.DynamicCache):
    """Offloaded; a layer is fetched only after the work enqueued before it: the copy to the host that it reads, and the
    last reader of the buffer that it takes over. transformers 5.24 waits so by itself, 5.17 does not."""

    def __init__(self):
        super().__init__(offloading=True)

    def prefetch(self, *arguments, **options):
        self.prefetch_stream.wait_stream(torch.cuda.current_stream())
        super().prefetch(*arguments, **options)


def released_cache():
    """The offloaded cache as the installed version has it."""
    if TAKES_OFFLOADING:
        return transformers.DynamicCache(offloading=True)
    if hasattr(transformers, "OffloadedCache"):  # most of transformers 4
        return transformers.OffloadedCache()
    raise Unavailable(f"transformers {transformers.__version__} has no offloaded KV cache")


def caches(which):
    """Names to makers; the surest comes first, the others' logits are held against its."""
    makers = {"resident": transformers.DynamicCache} if which != "offloaded" else {}
    if which != "resident":
        if TAKES_OFFLOADING:
            makers["offloaded, ordered"] = OrderedCache
        makers["offloaded"] = released_cache
    return makers


def model_of(shape, layers, dtype, device, positions):
    hidden, all_layers, heads, kv_heads, head_dim, ffn, vocabulary = SHAPES[shape]
    config = transformers.LlamaConfig(
        hidden_size=hidden, num_hidden_layers=layers or all_layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads, head_dim=head_dim, intermediate_size=ffn, vocab_size=vocabulary,
        max_position_embeddings=positions, rope_theta=500000.0, rms_norm_eps=1e-5, attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):  # weights are made where they stay
            return transformers.LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def kv_bytes(model, context):
    config = model.config
    return 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * context * model.dtype.itemsize


def random_rows(model, context):
    """K and V of each layer, the same at every call."""
    shape = (1, model.config.num_key_value_heads, context, model.config.head_dim)
    generator = torch.Generator(model.device).manual_seed(2)
    for _ in range(model.config.num_hidden_layers):
        yield tuple(torch.randn(shape, generator=generator, dtype=model.dtype, device=model.device) for _ in "kv")


def random_tokens(model, count):
    generator = torch.Generator(model.device).manual_seed(3)
    return torch.randint(model.config.vocab_size, (count, 1, 1), generator=generator, device=model.device)


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fill(cache, rows):
    for layer, (keys, values) in enumerate(rows):
        cache.update(keys, values, layer)
        wait(keys.device)
    return cache


def step(model, token, cache):
    """Logits of the token behind this one; the greedy choice is part of a step, as in bench-machine."""
    logits = model(input_ids=token, past_key_values=cache, use_cache=True).logits[0, -1]
    logits.argmax()
    wait(logits.device)
    return logits


def off(found, expected):
    """Largest difference as a share of the largest logit; LOST where there is a NaN or an infinity."""
    found, expected = found.float(), expected.float()
    return torch.nan_to_num((found - expected).abs().max() / expected.abs().max(), nan=LOST, posinf=LOST).item()


@torch.inference_mode()
def check(makers, device):
    """How far decode over each cache is from recomputing all tokens without one, and from decode over the first."""
    model = model_of("small", None, torch.float32, device, CHECK_CONTEXT + CHECK_STEPS)
    tokens = random_tokens(model, CHECK_CONTEXT + CHECK_STEPS)
    recomputed = model(input_ids=tokens.view(1, -1), use_cache=False).logits[0, CHECK_CONTEXT:]
    prompt = transformers.DynamicCache()
    model(input_ids=tokens[:CHECK_CONTEXT].view(1, -1), past_key_values=prompt, use_cache=True)
    rows = [layer[:2] for layer in prompt]  # known K and V enter a cache as random ones do
    first, errors = None, {}
    for name, make in makers.items():
        cache = fill(make(), rows)
        decoded = torch.stack([step(model, token, cache) for token in tokens[CHECK_CONTEXT:]])
        first = decoded if first is None else first
        errors[name] = max(off(decoded, recomputed), off(decoded, first))
    return errors


@torch.inference_mode()
def run(model, make, context, warmup, steps):
    """Milliseconds and logits of each step after the warm-up."""
    cache = fill(make(), random_rows(model, context))
    times, logits = [], []
    for token in random_tokens(model, warmup + steps):
        begin = time.perf_counter_ns()
        logits.append(step(model, token, cache))
        times.append((time.perf_counter_ns() - begin) / 1e6)
    return times[warmup:], logits[warmup:]


def measure(model, makers, options, context):
    """The caches take turns. Yields name, times of all repeats' steps, and how far logits were from the first's."""
    times, furthest = {name: [] for name in makers}, dict.fromkeys(makers)
    for _ in range(options.repeats):
        expected = None
        for name, make in makers.items():
            taken, logits = run(model, make, context, options.warmup, options.steps)
            times[name] += taken
            if expected is None:
                expected = logits
            else:
                furthest[name] = max(furthest[name] or 0, *map(off, logits, expected))
    for name in makers:
        yield name, times[name], furthest[name]


def link_gb_per_s():
    """Host to card from pinned memory, 256 MiB, the best of five: machines with the same card differ in it."""
    host = torch.zeros(2**28, dtype=torch.uint8).pin_memory()
    card, seconds = torch.empty_like(host, device="cuda"), []
    for _ in range(5):
        wait(card.device)
        begin = time.perf_counter()
        card.copy_(host, non_blocking=True)
        wait(card.device)
        seconds.append(time.perf_counter() - begin)
    return len(host) / min(seconds) / 1e9
