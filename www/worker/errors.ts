import type { ErrorInfo } from '../client/generated';

/** An error with a stable code, made by the worker itself. */
export class CodedError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'CodedError';
  }
}

/** Anything thrown → what crosses to the client. The package rejects with `{ code, message }`. */
export function errorInfo(thrown: unknown): ErrorInfo {
  if (thrown instanceof DOMException && thrown.name === 'AbortError') return { code: 'cancelled', message: 'Stopped.' };
  if (isDeath(thrown)) return { code: 'engine-died', message: `The engine stopped unexpectedly (${thrown.message}).` };
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown && typeof thrown.code === 'string') {
    return { code: thrown.code, message: String(thrown.message) };
  }
  return { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** A wasm trap: with `panic=abort` the instance must not be entered again. */
export function isDeath(thrown: unknown): thrown is WebAssembly.RuntimeError {
  return thrown instanceof WebAssembly.RuntimeError;
}
