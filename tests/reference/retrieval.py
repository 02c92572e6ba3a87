"""nDCG@10, MRR@10 and recall@100 that sentence-transformers gives on a data set in BEIR layout: title and text of a document, cut at 256 tokens, one vector each.

Usage: retrieval.py MODEL_DIR DATA_DIR   (corpus.jsonl, queries.jsonl, qrels.tsv)
"""
import json, math, sys
import torch
from sentence_transformers import SentenceTransformer, models

model_dir, data = sys.argv[1], sys.argv[2]
transformer = models.Transformer(model_dir, max_seq_length=256)
pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode='mean')
model = SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device='cpu')

rows = lambda name: [json.loads(line) for line in open(f'{data}/{name}')]
corpus, queries = rows('corpus.jsonl'), rows('queries.jsonl')
relevant = {}
for line in open(f'{data}/qrels.tsv'):
    query, document, score = line.rstrip('\n').split('\t')
    if score != 'score' and float(score) > 0:
        relevant.setdefault(query, set()).add(document)
queries = [query for query in queries if query['_id'] in relevant]

encode = lambda texts: model.encode(texts, batch_size=32, convert_to_tensor=True, normalize_embeddings=True)
documents = encode([(d['title'] + ' ' + d['text']).strip() for d in corpus])
scores = encode([q['text'] for q in queries]) @ documents.T

ndcg = mrr = recall = 0.0
for query, row in zip(queries, scores):
    gold = relevant[query['_id']]
    found = [corpus[i]['_id'] in gold for i in torch.topk(row, 100).indices.tolist()]
    ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(gold))))
    ndcg += sum(hit / math.log2(i + 2) for i, hit in enumerate(found[:10])) / ideal
    mrr += next((1 / (i + 1) for i, hit in enumerate(found[:10]) if hit), 0.0)
    recall += sum(found) / len(gold)
n = len(queries)
print(json.dumps({'n_queries': n, 'ndcg@10': round(ndcg / n, 5), 'mrr@10': round(mrr / n, 5), 'recall@100': round(recall / n, 5)}))
