"""One round of llama.cpp through llama-cpp-python, one thread: llama.py GGUF cpu|gpu N_TOKENS < prompt

Prints {"prefill": tokens/s of the prompt, "decode": tokens/s after it, greedy, "gpu": whether it can use one}.
"""
import json
import sys
import time

import llama_cpp
import numpy
from llama_cpp import Llama

gguf, device, n_tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = Llama(gguf, n_ctx=2112, n_batch=512, n_ubatch=512, n_threads=1, n_threads_batch=1, verbose=False,
              use_mmap=False, n_gpu_layers=-1 if device == "gpu" else 0)
ids = model.tokenize(sys.stdin.buffer.read(), add_bos=False, special=True)
context = model._ctx.ctx


def read(tokens):
    batch = (llama_cpp.llama_token * len(tokens))(*tokens)
    # Positions go on from the cache; a batch holds 512 tokens at most.
    if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(batch, len(tokens))) != 0:
        sys.exit("llama_decode failed")


def prefill():
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    started = time.perf_counter()
    for first in range(0, len(ids), 512):
        read(ids[first:first + 512])
    llama_cpp.llama_synchronize(context)
    return len(ids) / (time.perf_counter() - started)


if len(ids) <= 512 or device == "gpu":
    # The first pass touches the weights.
    prefill()
speed = prefill()
started = time.perf_counter()
for _ in range(n_tokens - 1):
    logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(model.n_vocab(),))
    read([int(logits.argmax())])
llama_cpp.llama_synchronize(context)
decode = (n_tokens - 1) / (time.perf_counter() - started)
print(json.dumps({"prefill": speed, "decode": decode, "gpu": bool(llama_cpp.llama_supports_gpu_offload())}))
