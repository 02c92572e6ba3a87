"""The models of the bench in the ONNX files that transformers.js loads.

    export.py GGUF MINILM OUT

GGUF is the SmolLM2 file the others read: its weights are dequantised, so that all run the same model. MINILM is the folder
of all-MiniLM-L6-v2. Quantised as scripts/quantize.py of transformers.js does: `model_quantized` is dynamic 8-bit, by channel
and of reduced range; `model_q4` has 4-bit weights in symmetric blocks of 32.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from gguf import GGUFReader, dequantize
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from optimum.exporters.onnx import main_export
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL = 3


def unpermuted(weight, heads):
    """Undoes the row order that llama.cpp gives to what is rotated."""
    rows, cols = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, cols).transpose(0, 2, 1, 3).reshape(rows, cols)


def write_checkpoint(gguf, folder):
    """A Hugging Face checkpoint in fp32 of a Llama-architecture GGUF with the `smollm` pre-tokenizer."""
    reader = GGUFReader(gguf)

    def value(key):
        return reader.fields[key].contents()

    tokens, merges = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.merges")
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(merge.split(" ", 1)) for merge in merges]))
    digits = pre_tokenizers.Digits(individual_digits=True)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, value("tokenizer.ggml.token_type")) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=value("llama.context_length"),
    )
    fast.chat_template = value("tokenizer.chat_template")
    fast.save_pretrained(folder)

    heads, kv_heads = value("llama.attention.head_count"), value("llama.attention.head_count_kv")
    is_tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=value("llama.embedding_length"),
        intermediate_size=value("llama.feed_forward_length"),
        num_hidden_layers=value("llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=value("llama.context_length"),
        # The GGUF holds it rounded to 32 bits.
        rms_norm_eps=1e-5,
        rope_theta=float(value("llama.rope.freq_base")),
        tie_word_embeddings=is_tied,
        bos_token_id=vocab["<|im_start|>"],
        eos_token_id=vocab["<|im_end|>"],
        pad_token_id=vocab["<|im_end|>"],
    )
    state = {}
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        first, *rest = tensor.name.split(".")
        if first == "blk":
            layer, part = rest[:2]
            if part in ("attn_q", "attn_k"):
                weight = unpermuted(weight, heads if part == "attn_q" else kv_heads)
            name = f"model.layers.{layer}.{LAYER[part]}.weight"
        else:
            name = f"{WHOLE[first]}.weight"
        state[name] = torch.from_numpy(np.ascontiguousarray(weight))
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    model.save_pretrained(folder)


def lay_out(exported, folder):
    (folder / "onnx").mkdir(parents=True)
    for file in exported.iterdir():
        if file.suffix in (".json", ".txt", ".jinja"):
            shutil.copy(file, folder)
    shutil.copy(exported / "model.onnx", folder / "onnx")
    model = folder / "onnx/model.onnx"
    quantize_dynamic(
        model,
        folder / "onnx/model_quantized.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"EnableSubgraph": True},
    )
    return model


def main(gguf, minilm, out):
    out = Path(out)
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        main_export(minilm, work / "minilm", task="feature-extraction", opset=17)
        lay_out(work / "minilm", out / "minilm")
        write_checkpoint(gguf, work / "checkpoint")
        main_export(str(work / "checkpoint"), work / "smollm2", task="text-generation-with-past", opset=18)
        model = lay_out(work / "smollm2", out / "smollm2")
        quantizer = MatMulNBitsQuantizer(onnx.load(model), bits=4, block_size=32, is_symmetric=True)
        quantizer.process()
        onnx.save(quantizer.model.model, model.with_name("model_q4.onnx"))
    print(json.dumps({str(file.relative_to(out)): file.stat().st_size for file in sorted(out.rglob("*.onnx"))}))


main(*sys.argv[1:])
