"""Reference figures -> tests/golden/{decoder,embeddings,adapters}.json: only what the tests compare, and no text.

DIR holds inputs.json (inputs.py) and what torch_reference.py wrote; ADAPTERS holds <name>/golden.json as PEFT's forward
passes gave them (forward.py recomputes those without any model code).
Usage: golden.py DIR ADAPTERS tests/golden
"""
import json, re, sys
from pathlib import Path

reference, adapters, out = map(Path, sys.argv[1:4])
read = lambda path: json.loads(path.read_text())

def top20(logits):
    return {'ids': logits['ids'], 'values': [round(v, 4) for v in logits['values']]}

def write(name, value):
    text = json.dumps(value, indent=1)
    text = re.sub(r'\[([^\[\]{}]*)\]', lambda m: '[' + ' '.join(m[1].split()) + ']', text)  # a list of numbers on one line
    (out / name).write_text(text + '\n')

smol, mini, inputs = read(reference / 'smollm2_torch_fp32.json'), read(reference / 'minilm_torch_fp32.json'), read(reference / 'inputs.json')
NAMES = ['capital', 'poem', 'lighthouse', 'long']
write('decoder.json', {
    'source': f"torch {smol['torch']}, fp32, over SmolLM2-135M-Instruct.Q4_1.gguf dequantised",
    'prompts': {name: {
        'ids': p['ids'], 'first_logits_top20': top20(p['first_logits_top20']),
        'greedy_ids': p['greedy_ids'], 'margins': p['greedy_top1_top2_margin'],
    } for name, p in zip(NAMES, smol['prompts'])},
    'perplexity': {'ids': inputs['ppl']['ids'], 'value': round(smol['ppl']['perplexity'], 4)},
})

def embedded(rows):
    return [{'ids': r['ids'], 'embedding': [round(v, 6) for v in r['embedding']]} for r in rows]

write('embeddings.json', {
    'source': 'transformers, fp32, over sentence-transformers/all-MiniLM-L6-v2; mean pooling, unit length',
    'sentences': embedded(mini['sentences']), 'passages': embedded(mini['passages']),
})

def case(c):
    n = len(c['generated_ids'])
    return {
        'id': c['id'], 'scale': c['scale'] if isinstance(c['scale'], float) else None, 'prompt_ids': c['prompt_ids'],
        'first_logits_top20': top20(c['first_logits_top20']),
        'generated_ids': c['generated_ids'], 'margins': c['top1_minus_top2_per_step'][:n],
    }

cases = {}
for name in ['pirate', 'cite']:
    golden = read(adapters / name / 'golden.json')
    cases[name] = {'sha256': golden['adapter_sha256'], 'cases': [case(c) for c in golden['cases']]}
write('adapters.json', {
    'source': f"peft {golden['versions']['peft']}, torch {golden['versions']['torch']}, fp32, over SmolLM2-135M-Instruct.Q4_1.gguf dequantised",
    'adapters': cases,
})
