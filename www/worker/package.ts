/** What the wasm package offers, as the rest of the worker sees it. */
import type {
  Adapter, AdapterInfo, Answer, AskEvent, AskOptions, Device, ErrorInfo, ExecutorInfo, GenerateOptions, Generation, IngestEvent, ModelInfo, OpenedCollection,
  Reading, SearchResult, SourceInfo, SourceText,
} from '../client/generated';
import type { ChatMessage, JobsKind, ReadDocument } from './protocol';

/** One long call at a time; only `cancel`, `gpu_failed` and `compile_ahead` may come in between. */
export interface Engine {
  start(device: Device, adapter: Adapter): Promise<ExecutorInfo>;
  /** For a decoder's file on its way; false when it is to be asked again. */
  compile_ahead(file: ModelFile): boolean;
  load_decoder(file: ModelFile): Promise<{ model: ModelInfo; executor: ExecutorInfo }>;
  load_embedder(file: ModelFile): Promise<ModelInfo>;
  add_adapter(name: string, config_json: Uint8Array, safetensors: Uint8Array): AdapterInfo;
  remove_adapter(name: string): void;
  cut_source(name: string, document: ReadDocument, on_event: (event: IngestEvent) => void): Promise<ReadSource>;
  /** `vectors` are those of the source's texts, made by this engine or one with the same embedder. */
  lay_down(source: ReadSource, vectors: Float32Array[]): Promise<SourceInfo>;
  remove_source(id: number): Promise<void>;
  clear(): void;
  sources(): SourceInfo[];
  source_text(id: number): SourceText;
  next_segment_job(): Promise<Uint8Array | undefined>;
  /** Its tag, to be stored under; nothing where too few of its passages are still here. */
  install_segment(built: Uint8Array): string | undefined;
  /** Those in use. */
  segments(): string[];
  search(query: string, top_k: number, sources: Uint32Array): Promise<SearchResult>;
  ask(question: string, options: AskOptions, on_event: (event: AskEvent) => void): Promise<Answer>;
  read_ahead(question: string, options: AskOptions, on_event: (event: AskEvent) => void): Promise<number>;
  /** Throws without a language model. */
  measure_reading(): Reading;
  generate(messages: ChatMessage[], options: GenerateOptions, on_event: (event: AskEvent) => void): Promise<Generation>;
  page_bytes(id: number): Uint8Array<ArrayBuffer>;
  restore_page(bytes: Uint8Array): Promise<SourceInfo>;
  export_collection(graphs: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>>;
  import_collection(bytes: Uint8Array): Promise<OpenedCollection>;
  embed(texts: string[]): Promise<Float32Array[]>;
  cancel(): void;
  gpu_failed(message: string): void;
}

/** A model's file on its way into an engine, which takes it: only one that was not handed over is freed. */
export interface ModelFile {
  /** Takes the next bytes and answers with their CRC-32. */
  push(bytes: Uint8Array): number;
  free(): void;
}

/** A file that was cut; one that was not laid down is freed. */
export interface ReadSource {
  texts(): string[];
  free(): void;
}

export interface EnginePackage {
  Engine: new () => Engine;
  /** With `is_checked` the caller holds the bytes against `sha256`, else the engine does, if there is one. */
  ModelFile: new (n_bytes: number, sha256: string | undefined, is_checked: boolean) => ModelFile;
}

/** What needs no engine, and may be stopped with its worker. */
export interface JobsPackage {
  extract(name: string, bytes: Uint8Array, password: string | undefined): ReadDocument;
  /** Gives the files of an archive one by one, with their contents or the reason why there are none; false for a file that is none. */
  expand(name: string, bytes: Uint8Array, password: string | undefined, onFile: (name: string, bytes: Uint8Array | null, error: ErrorInfo | null) => void): boolean;
  build_segment(job: Uint8Array): Uint8Array<ArrayBuffer>;
}

/** The module with the GPU executor has twice the bytes: it is fetched where there is an adapter for it. */
export type PackageKind = 'cpu' | 'gpu';

export interface StartedPackage {
  pkg: EnginePackage;
  /** Bytes of the engine's own memory. */
  nBytes: () => number;
}

export type StartPackage = (kind: PackageKind) => Promise<StartedPackage>;
export type StartJobs = (kind: JobsKind) => Promise<JobsPackage>;
