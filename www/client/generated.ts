/** The data that crosses the wasm boundary, generated from crate/wasm/src/dto.rs. `start` and `end` are UTF-8 byte offsets into a source's text. */

export type Device = "auto" | "gpu" | "cpu";

export type Adapter = { "type": "none", reason: string, } | { "type": "found", name: string, software: boolean, };

export type Executor = "gpu" | "cpu";

export type ExecutorInfo = { executor: Executor, reason: string, adapter: string | null, self_test_max_error: number | null, };

export type ModelInfo = { name: string, architecture: string, n_layers: number, n_ctx: number, n_bytes: number, quantization: string, sha256: string, };

export type LoadedDecoder = { model: ModelInfo, executor: ExecutorInfo, };

export type Reading = { bytes_per_token: number, ms: number, };

export type AdapterInfo = { name: string, rank: number, alpha: number, target_modules: Array<string>, n_bytes: number, };

export type SourceFormat = "markdown" | "html" | "plain" | "rst" | "ascii-doc" | "csv" | "json" | "code" | "docx" | "epub" | "pdf";

export type SourceInfo = { id: number, name: string, format: SourceFormat, title: string | null, n_bytes: number, n_chunks: number, warnings: Array<string>, };

export type OpenedCollection = { sources: Array<SourceInfo>, lost: Array<string>, };

export type Section = { title: string, level: number, start: number, end: number, page: number | null, };

export type SourceText = { id: number, name: string, text: string, sections: Array<Section>, pages: Array<number>, };

export type Hit = { source_id: number, source: string, start: number, end: number, page: number | null, text: string, headings: Array<string>, score: number, dense: number | null, bm25: number | null, };

export type DensePath = "none" | "exact" | "graph" | "mixed";

export type Respelling = { written: string, read: string, };

export type SearchResult = { respelled: Array<Respelling>, hits: Array<Hit>, dense_path: DensePath, embed_ms: number, retrieve_ms: number, };

export type SamplingOptions = { temperature: number, top_k: number, top_p: number, repetition_penalty: number, seed: number, };

export type AskOptions = { rag: boolean, top_k: number | null, max_tokens: number, adapter: string | null, scale: number, sampling: SamplingOptions, stop: Array<string>, before: Exchange | null, extractive?: boolean, fresh?: boolean, sources?: Array<number>, };

export type Exchange = { question: string, answer: string, };

export type Precision = "exact" | "fast";

export type GenerateOptions = { max_tokens: number, precision: Precision | null, adapter: string | null, scale: number, sampling: SamplingOptions, stop: Array<string>, };

export type Citation = { marker: number, source_id: number, source: string, start: number, end: number, page: number | null, text: string, };

export type Support = "supported" | "partly" | "not-found";

export type Sentence = { start: number, end: number, support: Support, marker: number | null, };

export type Usage = { prompt_tokens: number, cached_tokens: number, completion_tokens: number, };

export type Timings = { load: number, embed: number, retrieve: number, prefill: number, decode: number, total: number, };

export type Stopped = "end" | "length" | "cancelled" | "stop" | "repeat" | "refused";

export type Answer = { answer: string, respelled: Array<Respelling>, refused: boolean, sentences: Array<Sentence>, citations: Array<Citation>, hits: Array<Hit>, usage: Usage, timings_ms: Timings, executor: Executor, dense_path: DensePath, n_passages: number, n_passages_dropped: number, stopped: Stopped, dispatches_per_token: number | null, extractive: boolean, set_aside: string | null, cached: boolean, };

export type AskEvent = { "type": "retrieved", hits: Array<Hit>, } | { "type": "prefill", done: number, total: number, } | { "type": "token", text: string, } | { "type": "notice", code: string, message: string, } | { "type": "executor", info: ExecutorInfo, };

export type IngestEvent = { "type": "extracted", n_chars: number, } | { "type": "chunked", n_chunks: number, } | { "type": "embedded", done: number, total: number, };

export type TopLogits = { ids: Array<number>, values: Array<number>, };

export type Generation = { text: string, ids: Array<number>, prompt_ids: Array<number>, first_logits_top20: TopLogits, usage: Usage, timings_ms: Timings, stopped: Stopped, };

export type ErrorInfo = { code: string, message: string, };
