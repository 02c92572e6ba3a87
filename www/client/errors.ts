import type { ErrorInfo } from './generated';

/** A failure with a stable `code` to branch on and a message a person can act on. */
export class LecternError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'LecternError';
  }
}

/** What a person stopped is the platform's AbortError, whoever noticed it first. */
export function toError(info: ErrorInfo): LecternError | DOMException {
  return info.code === 'cancelled' ? new DOMException(info.message, 'AbortError') : new LecternError(info.code, info.message);
}

export function isAbort(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'AbortError';
}

/** Anything thrown → a code and a message to show. */
export function describe(thrown: unknown): ErrorInfo {
  if (thrown instanceof LecternError) return { code: thrown.code, message: thrown.message };
  if (isAbort(thrown)) return { code: 'cancelled', message: 'Stopped.' };
  return { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown) };
}
