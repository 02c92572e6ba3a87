"""A tiny BERT re-ranker of seeded weights, and the logits that transformers gives for pairs -> tests/golden/reranker.json.

The golden holds config.json, tokenizer.json and, in their order, each tensor's name, shape, centre and spread: its
values are centre + spread · (2u - 1) in single precision, u the next numbers of one SplitMix64 (`Rng` of the tests).
Usage: reranker.py tests/golden
"""
import json, sys
from pathlib import Path
import numpy as np
import torch, transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

out = Path(sys.argv[1])
SEED, MAX_TOKENS, MASK = 0x2e2a, 40, (1 << 64) - 1
torch.set_grad_enabled(False)

def splitmix64(state):
    while True:
        state = (state + 0x9e3779b97f4a7c15) & MASK
        z = ((state ^ (state >> 30)) * 0xbf58476d1ce4e5b9) & MASK
        z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
        yield z ^ (z >> 31)

letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
words = 'the who built tower was in by and stands tall its lamp can be seen from sea it lighthouse keeper where is'.split()
marks = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
tokens = marks + list('.,;:?!\'-()') + ['東'] + list(letters) + ['##' + c for c in letters] + words + ['##er', '##ing', '##ed']
tokenizer = Tokenizer(models.WordPiece(vocab={t: i for i, t in enumerate(tokens)}, unk_token='[UNK]'))
tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in marks])
tokenizer.normalizer = normalizers.BertNormalizer()
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.post_processor = processors.TemplateProcessing(
    single='[CLS]:0 $A:0 [SEP]:0', pair='[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1', special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
tokenizer.decoder = decoders.WordPiece()
hf = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token='[UNK]', cls_token='[CLS]', sep_token='[SEP]',
                             pad_token='[PAD]', mask_token='[MASK]', model_max_length=MAX_TOKENS,
                             model_input_names=['input_ids', 'token_type_ids', 'attention_mask'])
tokenizer_json = json.loads(tokenizer.to_str())

config = BertConfig(vocab_size=len(tokens), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                    max_position_embeddings=MAX_TOKENS, type_vocab_size=2, num_labels=1, architectures=['BertForSequenceClassification'])
model = BertForSequenceClassification._from_config(config, attn_implementation='eager').eval()

def distribution(name, shape):
    """Centre and spread: wide enough that every part of the model moves the logit."""
    if 'LayerNorm' in name: return (1.0, 0.3) if name.endswith('weight') else (0.0, 0.2)
    if 'embeddings' in name: return 0.0, 1.0
    if name == 'classifier.weight': return 0.0, 0.5
    if name.endswith('bias'): return 0.0, 0.2
    return 0.0, round((6 / shape[1]) ** 0.5, 3)

numbers = splitmix64(SEED)
tensors, state = [], {}
for name, tensor in model.state_dict().items():
    shape = list(tensor.shape)
    centre, spread = distribution(name, shape)
    u = np.array([next(numbers) >> 40 for _ in range(tensor.numel())], np.float32) / np.float32(1 << 24)
    values = np.float32(centre) + np.float32(spread) * (np.float32(2) * u - np.float32(1))
    assert values.dtype == np.float32
    tensors.append([name, shape, centre, spread])
    state[name] = torch.from_numpy(values.reshape(shape))
model.load_state_dict(state)

question = 'Who built the lighthouse?'
pairs = [
    (question, 'The lighthouse was built by Margaret Holm in 1874; it stands 41 metres tall.'),  # longer than the model reads
    (question, 'By Holm, in 1874.'),
    (question, ''),
    ('Where is the sea?', 'Its lamp can be seen.'),
    ('Où est le café naïf de Zürich?', 'À Zürich, 東京 (in the tower) 🦜.'),
    ('Is the keeper of the tall tower by the sea in?', 'It was built by the keeper and its lamp can be seen from the tower.'),
]
cases = []
for question, passage in pairs:
    # In lists: alone, an empty second text would count as none.
    encoded = hf([question], [passage], truncation='only_second', max_length=MAX_TOKENS, return_tensors='pt')
    logit = float(model(**encoded).logits[0, 0])
    one_segment = float(model(**{**encoded, 'token_type_ids': torch.zeros_like(encoded['token_type_ids'])}).logits[0, 0])
    cases.append({'question': question, 'passage': passage, 'logit': round(logit, 6)})
    whole = len(hf([question], [passage]).input_ids[0])
    print(f'{logit:9.5f} (one segment {one_segment:9.5f}) {encoded["input_ids"].shape[1]} of {whole} tokens: {passage}')

wanted = ['architectures', 'model_type', 'hidden_act', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads',
          'max_position_embeddings', 'type_vocab_size', 'vocab_size', 'layer_norm_eps', 'id2label']
golden = {
    'source': f'transformers {transformers.__version__}, torch {torch.__version__.split("+")[0]}, fp32',
    'config': {key: config.to_dict()[key] for key in wanted},
    'tokenizer': tokenizer_json, 'seed': SEED, 'tensors': tensors, 'pairs': cases,
}
def line(value):
    return json.dumps(value, ensure_ascii=False)
def block(value):  # a list's elements on a line each
    return '[\n  ' + ',\n  '.join(map(line, value)) + '\n ]' if isinstance(value, list) else line(value)
(out / 'reranker.json').write_text('{\n ' + ',\n '.join(f'"{k}": {block(v)}' for k, v in golden.items()) + '\n}\n')
