"""Dequantise the SmolLM2 GGUF to an fp32 Hugging Face checkpoint (weights, config, tokenizer.json, chat template).

The weights are dequantised by the gguf package and llama.cpp's Q/K row permutation is undone. The tokenizer is
rebuilt from the GGUF vocabulary and merges with the "smollm" pre-tokenizer (single digits, then GPT-2 byte level).
Usage: checkpoint.py GGUF OUT_DIR
"""
import json, os, sys
import numpy as np
import torch
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer, AddedToken, models, pre_tokenizers, decoders
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

gguf_path, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
reader = GGUFReader(gguf_path)
get = lambda k: reader.fields[k].contents()

tokens, types, merges = get('tokenizer.ggml.tokens'), get('tokenizer.ggml.token_type'), get('tokenizer.ggml.merges')
tk = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(' ', 1)) for m in merges],
                          fuse_unk=False, byte_fallback=False))
tk.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
tk.decoder = decoders.ByteLevel()
tk.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, ty in zip(tokens, types) if ty == 3])  # CONTROL
fast = PreTrainedTokenizerFast(tokenizer_object=tk, bos_token='<|im_start|>', eos_token='<|im_end|>',
                               pad_token='<|im_end|>', unk_token='<|endoftext|>', clean_up_tokenization_spaces=False,
                               model_max_length=get('llama.context_length'))
fast.chat_template = get('tokenizer.chat_template')
fast.save_pretrained(out)

H, KV = get('llama.attention.head_count'), get('llama.attention.head_count_kv')
config = LlamaConfig(
    vocab_size=len(tokens), hidden_size=get('llama.embedding_length'), intermediate_size=get('llama.feed_forward_length'),
    num_hidden_layers=get('llama.block_count'), num_attention_heads=H, num_key_value_heads=KV,
    max_position_embeddings=get('llama.context_length'), rms_norm_eps=1e-5,  # the GGUF stores 1e-5 rounded to f32
    rope_theta=float(get('llama.rope.freq_base')), tie_word_embeddings='output.weight' not in {t.name for t in reader.tensors},
    bos_token_id=1, eos_token_id=2, pad_token_id=2, hidden_act='silu', attention_bias=False, mlp_bias=False)

def unpermute(w, heads):  # undo llama.cpp's interleaved-rope row order
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).transpose(0, 2, 1, 3).reshape(w.shape)

NAMES = {'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj', 'attn_output': 'self_attn.o_proj',
         'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj',
         'attn_norm': 'input_layernorm', 'ffn_norm': 'post_attention_layernorm'}
state = {}
for t in reader.tensors:
    w = dequantize(t.data, t.tensor_type).astype(np.float32)
    p = t.name.split('.')
    if p[0] == 'blk':
        if p[2] == 'attn_q': w = unpermute(w, H)
        if p[2] == 'attn_k': w = unpermute(w, KV)
        name = f'model.layers.{p[1]}.{NAMES[p[2]]}.weight'
    else:
        name = {'token_embd': 'model.embed_tokens.weight', 'output_norm': 'model.norm.weight', 'output': 'lm_head.weight'}[p[0]]
    state[name] = torch.from_numpy(np.ascontiguousarray(w))
model = LlamaForCausalLM(config)
missing, unexpected = model.load_state_dict(state, strict=False)
assert not unexpected and set(missing) <= {'lm_head.weight'}, (missing, unexpected)
model.tie_weights()
model.save_pretrained(out)
cfg = json.load(open(out + '/config.json'))  # readable by transformers 4 (export) as well as 5
cfg['rope_theta'], cfg['torch_dtype'] = float(get('llama.rope.freq_base')), 'float32'
json.dump(cfg, open(out + '/config.json', 'w'), indent=2)
json.dump({'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 2}, open(out + '/generation_config.json', 'w'))
tc = json.load(open(out + '/tokenizer_config.json'))
tc['tokenizer_class'], tc['chat_template'] = 'PreTrainedTokenizerFast', fast.chat_template
json.dump(tc, open(out + '/tokenizer_config.json', 'w'), indent=2)
print(json.dumps({'out': out, 'params': sum(p.numel() for p in model.parameters()), 'vocab': len(tokens),
                  'tied': model.config.tie_word_embeddings, 'specials': sum(t == 3 for t in types)}))
