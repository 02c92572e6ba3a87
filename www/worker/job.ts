/** A long call that needs no engine: reading a file, building a graph. */
import { CodedError, errorInfo, isDeath } from './errors';
import type { ErrorInfo } from '../client/generated';
import type { StartJobs } from './package';
import { isCollection, isStoredPage } from './protocol';
import type { ExpandedFile, Job, JobResult } from './protocol';

export async function answer(start: StartJobs, job: Job): Promise<[JobResult, Transferable[]]> {
  try {
    if (job.type === 'build') {
      const built = (await start('jobs')).build_segment(job.job);
      return [{ built }, [built.buffer]];
    }
    const bytes = await bytesOf(job.name, job.file);
    const pkg = await start(isPdf(bytes) ? 'pdf' : 'jobs');
    if (job.type === 'extract') return [{ document: pkg.extract(job.name, bytes, job.password ?? undefined) }, []];
    const files: ExpandedFile[] = [];
    // Each leaves the module's memory as it comes, for the browser to keep where it likes.
    const isArchive = pkg.expand(job.name, bytes, job.password ?? undefined, (name, content, error) => {
      files.push({ name, file: new Blob(content ? [content as Uint8Array<ArrayBuffer>] : []), error });
    });
    return [{ files: isArchive ? files : null }, []];
  } catch (thrown) {
    return [{ error: isDeath(thrown) ? died(job, thrown.message) : errorInfo(thrown) }, []];
  }
}

function died(job: Job, why: string): ErrorInfo {
  const what = job.type === 'build' ? 'A graph could not be built' : `${job.name}: The file could not be read`;
  return { code: 'worker-died', message: `${what}: its worker stopped (${why}). Try again${job.type === 'build' ? '' : ', or save it in another form'}.` };
}

/** A PDF may have other bytes before its first line. */
const PDF_BEGINS_WITHIN = 1024;

function isPdf(bytes: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(bytes.subarray(0, PDF_BEGINS_WITHIN + 5)).includes('%PDF-');
}

/** Larger files are no pages. */
const MAX_FILE_BYTES = 64e6;

async function bytesOf(name: string, file: Blob): Promise<Uint8Array> {
  // What is stored was small enough when it was read; with its vectors it may be larger.
  if (file.size > MAX_FILE_BYTES && !await isCollection(file) && !await isStoredPage(file)) {
    throw new CodedError('file-too-large', `${name}: The file has ${Math.round(file.size / 1e6)} MB; at most ${MAX_FILE_BYTES / 1e6} MB are read. Lay down the part of it you need.`);
  }
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new CodedError('file-unreadable', `${name}: The browser could not read the file (${cause instanceof Error ? cause.message : String(cause)}). It may have been moved or changed; lay it down again.`, { cause });
  }
}
