"""A Llama forward pass in numpy, Hugging Face layout, with a PEFT adapter beside the weights: no model code of any library.

Recomputes tests/golden/adapters.json (first logits, greedy ids, margins) and prints how far it is from them.
Usage: forward.py MODEL.gguf ADAPTERS tests/golden/adapters.json [n_cases]
"""
import json, sys
from pathlib import Path
import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import load_file

gguf_path, adapters, golden_path = sys.argv[1:4]
n_cases = int(sys.argv[4]) if len(sys.argv) > 4 else 99
reader = GGUFReader(gguf_path)
get = lambda key: reader.fields[key].contents()
H, KV, L = get('llama.attention.head_count'), get('llama.attention.head_count_kv'), get('llama.block_count')
HIDDEN, EPS, THETA = get('llama.embedding_length'), get('llama.attention.layer_norm_rms_epsilon'), get('llama.rope.freq_base')
D = HIDDEN // H

def unpermute(w, heads):
    """GGUF's neighbouring rotary pairs -> Hugging Face's halves."""
    return w.reshape(heads, D // 2, 2, w.shape[1]).transpose(0, 2, 1, 3).reshape(w.shape)

W = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}
for i in range(L):
    W[f'blk.{i}.attn_q.weight'] = unpermute(W[f'blk.{i}.attn_q.weight'], H)
    W[f'blk.{i}.attn_k.weight'] = unpermute(W[f'blk.{i}.attn_k.weight'], KV)
HEAD = W.get('output.weight', W['token_embd.weight'])
PEFT = {'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj', 'attn_output': 'self_attn.o_proj',
        'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj'}
FREQ = THETA ** (-2.0 * np.arange(D // 2) / D)

class Adapter:
    def __init__(self, folder):
        config = json.loads((folder / 'adapter_config.json').read_text())
        self.scaling = config['lora_alpha'] / config['r']
        self.tensors = {k: v.astype(np.float32) for k, v in load_file(folder / 'adapter_model.safetensors').items()}

    def delta(self, layer, name, x):
        key = f'base_model.model.model.layers.{layer}.{PEFT[name]}.lora_'
        return self.scaling * (x @ self.tensors[key + 'A.weight'].T) @ self.tensors[key + 'B.weight'].T

class Model:
    def __init__(self, adapter, scale):
        self.adapter, self.scale, self.cache = adapter, scale, [None] * L

    def linear(self, layer, name, x):
        y = x @ W[f'blk.{layer}.{name}.weight'].T
        return y + self.scale * self.adapter.delta(layer, name, x) if self.scale else y

    def forward(self, ids):
        """Reads `ids` after what was read; logits after the last."""
        norm = lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * W[w]
        past = 0 if self.cache[0] is None else self.cache[0][0].shape[0]
        n = len(ids)
        angles = np.arange(past, past + n)[:, None] * FREQ[None]
        cos, sin = [np.concatenate([f(angles)] * 2, -1).astype(np.float32)[:, None] for f in (np.cos, np.sin)]
        rotate = lambda x: x * cos + np.concatenate([-x[..., D // 2:], x[..., :D // 2]], -1) * sin
        mask = np.where(np.arange(past + n)[None] > np.arange(past, past + n)[:, None], -np.inf, 0)
        x = W['token_embd.weight'][ids]
        for i in range(L):
            h = norm(x, f'blk.{i}.attn_norm.weight')
            q = rotate(self.linear(i, 'attn_q', h).reshape(n, H, D))
            k = rotate(self.linear(i, 'attn_k', h).reshape(n, KV, D))
            v = self.linear(i, 'attn_v', h).reshape(n, KV, D)
            if past:
                k, v = np.concatenate([self.cache[i][0], k]), np.concatenate([self.cache[i][1], v])
            self.cache[i] = (k, v)
            k, v = np.repeat(k, H // KV, 1), np.repeat(v, H // KV, 1)
            s = np.einsum('qhd,khd->hqk', q, k) / np.sqrt(D) + mask
            s = np.exp(s - s.max(-1, keepdims=True))
            s /= s.sum(-1, keepdims=True)
            x = x + self.linear(i, 'attn_output', np.einsum('hqk,khd->qhd', s, v).reshape(n, -1).astype(np.float32))
            h = norm(x, f'blk.{i}.ffn_norm.weight')
            g = self.linear(i, 'ffn_gate', h)
            x = x + self.linear(i, 'ffn_down', g / (1 + np.exp(-g)) * self.linear(i, 'ffn_up', h))
        return HEAD @ norm(x[-1], 'output_norm.weight')

golden = json.loads(Path(golden_path).read_text())
for name, expected in golden['adapters'].items():
    adapter = Adapter(Path(adapters) / name)
    for case in expected['cases'][:n_cases]:
        model = Model(adapter, case['scale'] or 0.0)
        logits = model.forward(case['prompt_ids'])
        first = case['first_logits_top20']
        first_error = np.abs(logits[first['ids']] - first['values']).max()
        margin_error = 0.0
        for id, margin in zip(case['generated_ids'], case['margins']):
            top = np.sort(logits)[-2:]
            margin_error = max(margin_error, abs(top[1] - top[0] - margin))
            assert logits.argmax() == id or margin < 1e-3, (name, case['id'], id, logits.argmax())
            logits = model.forward([id])
        print(f"{name} {case['id']} scale {case['scale']}: first logits {first_error:.1e}, margins {margin_error:.1e}", flush=True)
