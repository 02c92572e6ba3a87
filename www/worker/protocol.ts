/**
 * The messages between the client and the engine worker. Every call carries an id; its events, its
 * one result or its one error come back under the same id. Notices and the death of the engine
 * belong to no call.
 */
import type {
  AdapterInfo, Answer, AskEvent, AskOptions, Device, ErrorInfo, ExecutorInfo, GenerateOptions, Generation, IngestEvent,
  ModelInfo, Reading, SearchResult, SourceInfo, SourceText,
} from '../client/generated';

/** A file of the site; hashes are lower-case hex. */
export interface SiteFile {
  /** Absolute. */
  url: string;
  /** 0 when it is not known; the file is then one piece. */
  n_bytes: number;
  /** What it is kept under. */
  sha256: string;
  /** Of every piece but the last. */
  piece_bytes: number;
  /** Of every piece; empty when nothing is known of the file. */
  piece_sha256: string[];
}

/** A model of the site's `models.json`, or a file the person picked. */
export type ModelSource =
  | ({ kind: 'site'; name: string } & SiteFile)
  | { kind: 'own'; name: string; file: Blob };

/** A voice: a PEFT configuration and its weights. `sha256` is the weights'. */
export interface AdapterSource {
  name: string;
  config_url: string;
  weights_url: string;
  n_bytes: number;
  sha256: string;
}

/** The weights are one piece. */
export function weightsOf({ weights_url, n_bytes, sha256 }: AdapterSource): SiteFile {
  return { url: weights_url, n_bytes, sha256, piece_bytes: n_bytes, piece_sha256: [sha256] };
}

export interface ChatMessage {
  role: string;
  content: string;
}

/** Progress of a file on its way into the engine, in bytes; `cached` says that nothing is fetched. */
export type LoadEvent = { type: 'bytes'; done: number; total: number; cached: boolean } | { type: 'opening' };

/** What the GPU watch has counted since the worker started. */
export interface GpuCounters {
  devices: number;
  dispatches: number;
  submits: number;
  /** Milliseconds between a submission and the first dispatch that went into it, summed. */
  encode_ms: number;
  /** Of the buffers that are there. */
  buffer_bytes: number;
}

/** What the engine takes, in bytes, and what bounds it. */
export interface Facts {
  /** The engine's own memory and its buffers on the GPU. */
  memory: { engine: number; gpu: number };
  /** Of the language model, measured once; null before there is one. */
  reading: Reading | null;
}

/** A source as it is once indexed, with the text that citations point into. */
export interface AddedSource {
  info: SourceInfo;
  text: SourceText;
}

/** Method name → parameters, result and event of each call the worker answers. */
export interface Calls {
  open: { params: { device: Device; restarted: boolean }; result: ExecutorInfo; event: never };
  /** How many bytes of each file the browser keeps already. */
  held: { params: { files: SiteFile[] }; result: number[]; event: never };
  load_decoder: { params: { model: ModelSource }; result: { model: ModelInfo; executor: ExecutorInfo }; event: LoadEvent };
  load_embedder: { params: { model: ModelSource }; result: ModelInfo; event: LoadEvent };
  add_adapter: { params: { adapter: AdapterSource }; result: AdapterInfo; event: LoadEvent };
  remove_adapter: { params: { name: string }; result: null; event: never };
  /** A file that was read is cut, its texts are embedded by whoever is free, and it is laid down, or dropped, under its number. */
  cut_source: { params: { name: string; document: ReadDocument }; result: { number: number; texts: string[] }; event: IngestEvent };
  lay_down: { params: { number: number; vectors: Float32Array[] }; result: AddedSource; event: never };
  drop_source: { params: { number: number }; result: null; event: never };
  remove_source: { params: { id: number }; result: null; event: never };
  /** A page as it is stored, and back. */
  page_bytes: { params: { id: number }; result: Uint8Array<ArrayBuffer>; event: never };
  restore_page: { params: { bytes: Uint8Array }; result: AddedSource; event: never };
  /** Takes all pages off. */
  clear: { params: Record<string, never>; result: null; event: never };
  search: { params: { query: string; top_k: number; sources: number[] }; result: SearchResult; event: never };
  ask: { params: { question: string; options: AskOptions }; result: Answer; event: AskEvent };
  /** Reads what the answer to a question that is still being written begins with; how many tokens. */
  read_ahead: { params: { question: string; options: AskOptions }; result: number; event: AskEvent };
  generate: { params: { messages: ChatMessage[]; options: GenerateOptions }; result: Generation; event: AskEvent };
  export_collection: { params: { graphs: Uint8Array[] }; result: Uint8Array<ArrayBuffer>; event: never };
  /** All pages that are there then; their texts are asked for one by one. */
  import_collection: { params: { file: Blob }; result: SourceInfo[]; event: never };
  source_text: { params: { id: number }; result: SourceText; event: never };
  embed: { params: { texts: string[] }; result: Float32Array[]; event: never };
  next_segment_job: { params: Record<string, never>; result: Uint8Array | null; event: never };
  /** What it is known by, or null where it is of no use; and all that are used now. */
  install_segment: { params: { built: Uint8Array }; result: { tag: string | null; used: string[] }; event: never };
  facts: { params: Record<string, never>; result: Facts; event: never };
  gpu_counters: { params: Record<string, never>; result: GpuCounters; event: never };
}

export type Method = keyof Calls;

export type ToWorker =
  | { [M in Method]: { type: 'call'; id: number; method: M; params: Calls[M]['params'] } }[Method]
  | { type: 'cancel'; id: number };

export type FromWorker =
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number; error: ErrorInfo }
  | { type: 'event'; id: number; event: unknown }
  | { type: 'notice'; notice: ErrorInfo }
  | { type: 'died'; message: string };

/** What a file was read as, on its way from one module to the other. */
export type ReadDocument = Readonly<Record<string, unknown>>;

/** A file out of an archive, or why it could not be taken out. */
export interface ExpandedFile {
  name: string;
  file: Blob;
  error: ErrorInfo | null;
}

/** The jobs with those of PDF files have three times the bytes. */
export type JobsKind = 'jobs' | 'pdf';

/** A file to be opened; `password` if it is locked. */
export interface Opening {
  name: string;
  file: Blob;
  password: string | null;
}

/** For a worker beside the engine, one at a time: a file to read, an archive to unpack, a graph to build. */
export type Job = ({ type: 'extract' } & Opening) | ({ type: 'expand' } & Opening) | { type: 'build'; job: Uint8Array };
/** `start`: to fetch what jobs need, before there is one. */
export type JobRequest = { type: 'start'; kind: JobsKind } | Job;
export type JobResult = { document: ReadDocument } | { files: ExpandedFile[] | null } | { built: Uint8Array<ArrayBuffer> } | { error: ErrorInfo };

/** What `lectern index` wrote, or an export: pages, and graphs over them. */
export function isCollection(file: Blob): Promise<boolean> {
  return beginsWith(file, 'LECTERN\0');
}

/** One page, as it is kept. */
export function isStoredPage(file: Blob): Promise<boolean> {
  return beginsWith(file, 'LECTPAGE');
}

async function beginsWith(file: Blob, magic: string): Promise<boolean> {
  return (await file.slice(0, magic.length).text()) === magic;
}
