"""Write inputs.json: every text that decoder and embedder are held to, with token counts.

Prose comes from Python's own documentation (pydoc_data.topics, ships with CPython 3.11), so it can be regenerated.
Usage: inputs.py SMOL_DIR MINILM_DIR OUT.json
"""
import json, re, sys
from pydoc_data.topics import topics
from tokenizers import Tokenizer

smol_dir, minilm_dir, out = sys.argv[1:4]
smol, mini = Tokenizer.from_file(smol_dir + '/tokenizer.json'), Tokenizer.from_file(minilm_dir + '/tokenizer.json')
mini.no_padding(); mini.no_truncation()
n_smol = lambda s: len(smol.encode(s, add_special_tokens=False).ids)
n_mini = lambda s: len(mini.encode(s).ids)

def prose(name):
    t = re.sub(r'\n[*=~"\-^]{3,}\n', '\n', topics[name]).replace('’', "'").replace('“', '"').replace('”', '"').replace('‘', "'")
    t = re.sub(r'[^\x20-\x7e\n]', '', t)
    return re.sub(r'\s+', ' ', t).strip()

SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'
chatml = lambda user: (f'<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n')

users = [
    'What is the capital of France?',
    'Write a short poem about the sea.',
    'Answer the question using only the context.\n\nContext:\nThe Aldersey lighthouse was built in 1874 by the engineer '
    'Margaret Holm. It stands 41 metres tall and was automated in 1986. Its lamp can be seen from 22 nautical miles.\n\n'
    'Question: Who built the Aldersey lighthouse, and when was it automated?',
]

def fit(words, n, make):
    """the longest run of words for which make(run) has at most n tokens"""
    lo, hi = 1, len(words)
    while lo < hi:
        mid = (lo + hi + 1) // 2
        if make(' '.join(words[:mid]))[1] <= n: lo = mid
        else: hi = mid - 1
    return make(' '.join(words[:lo]))

def long_prompt(ctx):
    s = chatml(f'Answer the question using only the context.\n\nContext:\n{ctx}\n\nQuestion: What is the difference between a mutable and an immutable object?')
    return s, n_smol(s)
obj = prose('objects').split(' ')
long_text, long_n = fit(obj, 512, long_prompt)

ppl_text = prose('exceptions') + ' ' + prose('execmodel')
ppl_words = ppl_text.split(' ')
ppl_text, ppl_n = fit(ppl_words, 512, lambda s: (s, n_smol(s)))

# 32 distinct passages, each as close to 128 MiniLM tokens (with [CLS] and [SEP]) as whole words allow
pool = ' '.join(prose(k) for k in sorted(topics) if len(topics[k]) > 4000).split(' ')
passages, i = [], 0
while len(passages) < 32:
    s, n = fit(pool[i:i + 128], 128, lambda s: (s, n_mini(s)))
    i += max(1, len(s.split(' ')))
    i += 300  # skip on, so that the passages come from different topics
    if n >= 126 and s.count('"') < 24: passages.append(s)

sentences = [
    'The cat sat on the mat.',
    'A kitten was resting on the rug.',
    'How do I reset my password?',
    'To change your password, open Settings and choose Security.',
    'The stock market fell sharply on Monday.',
    'WebGPU exposes compute shaders to web pages.',
    'Vector search finds the nearest neighbours of a query embedding.',
    'Der schnelle braune Fuchs springt über den faulen Hund.',
    'E = mc² relates energy and mass; naïve café 東京 tests Unicode handling.',
    'antidisestablishmentarianism',
]
doc = {
    'system': SYSTEM,
    'prompts': [{'user': u, 'chatml': chatml(u), 'ids': smol.encode(chatml(u), add_special_tokens=False).ids} for u in users],
    'long_prompt': {'chatml': long_text, 'n_tokens': long_n, 'ids': smol.encode(long_text, add_special_tokens=False).ids},
    'ppl': {'text': ppl_text, 'n_tokens': ppl_n, 'ids': smol.encode(ppl_text, add_special_tokens=False).ids},
    'passages': passages, 'passages_n_tokens': [n_mini(p) for p in passages],
    'sentences': sentences, 'sentences_ids': [mini.encode(s).ids for s in sentences],
}
json.dump(doc, open(out, 'w'), indent=1)
print(json.dumps({'prompt_tokens': [len(p['ids']) for p in doc['prompts']], 'long': long_n, 'ppl': ppl_n,
                  'passages': len(passages), 'passage_tokens': [min(doc['passages_n_tokens']), max(doc['passages_n_tokens'])]}))
