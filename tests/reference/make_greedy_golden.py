#!/usr/bin/env python3
"""Make tests/golden/smollm2_gpl3_greedy.json with Hugging Face transformers, on the CPU in float32.

Run by hand, in an environment of its own (2 GB, so not part of .venv):

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install torch==2.5.1 transformers==4.46.3 tokenizers==0.20.3
    /tmp/golden/bin/python tests/reference/make_greedy_golden.py

The text is Debian's /usr/share/common-licenses/GPL-3. It is not kept here; the file keeps the sha256 of
the prompt's ids, and a test compares that first.
"""

import pathlib
import sys

import numpy as np
import tokenizers
import torch
import transformers

from llama_numpy import dump, greedy, greedy_record, top_two

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models" / "smollm2-135m-instruct"
TEXT = pathlib.Path("/usr/share/common-licenses/GPL-3")
OUT = REPOSITORY / "tests" / "golden" / "smollm2_gpl3_greedy.json"
PROMPT, COUNT = 512, 64
LOGITS_AGREE = 2e-3  # two fp32 implementations sum in different orders


def transformers_greedy(prompt):
    model = transformers.LlamaForCausalLM.from_pretrained(
        MODEL, torch_dtype=torch.float32, attn_implementation="eager"
    ).eval()
    steps, fed, cache = [], torch.tensor([prompt]), None
    with torch.no_grad():
        for _ in range(COUNT):
            output = model(fed, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            steps.append(top_two(output.logits[0, -1].numpy()))
            fed = torch.tensor([[steps[-1]["ids"][0]]])
    return steps


def check_against_numpy(steps, prompt):
    worst = 0.0
    for i, (theirs, ours) in enumerate(zip(steps, greedy(MODEL, np.array(prompt), COUNT))):
        if theirs["ids"] != ours["ids"]:
            sys.exit(f"step {i}: transformers has {theirs}, llama_numpy.py {ours}")
        worst = max(worst, *(abs(a - b) for a, b in zip(theirs["logits"], ours["logits"])))
    print(f"llama_numpy.py agrees: both ids of all {COUNT} steps, logits within {worst:.4f}")
    if worst > LOGITS_AGREE:
        sys.exit(f"logits differ by more than {LOGITS_AGREE}")


def main():
    tokenizer = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    prompt = tokenizer.encode(TEXT.read_bytes().decode("utf-8"), add_special_tokens=False).ids[:PROMPT]
    steps = transformers_greedy(prompt)
    check_against_numpy(steps, prompt)
    made_by = (
        f"tests/reference/make_greedy_golden.py: transformers {transformers.__version__}, "
        f"torch {torch.__version__.split('+')[0]} on the CPU, float32, greedy, "
        f"after the first {PROMPT} tokens of {TEXT}"
    )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(dump(greedy_record(made_by, prompt, steps)))
    print(f"wrote {OUT}")


if __name__ == "__main__":
    main()
