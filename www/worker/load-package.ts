/** The one place that knows the wasm packages: the engine with and without the GPU executor, and the jobs beside it. */
import cpuUrl from './pkg/cpu/lectern_wasm_bg.wasm?url';
import gpuUrl from './pkg/gpu/lectern_wasm_bg.wasm?url';
import jobsUrl from './pkg/jobs/lectern_wasm_bg.wasm?url';
import pdfUrl from './pkg/pdf/lectern_wasm_bg.wasm?url';
import kernelsUrl from './pkg/lectern_kernels.wasm?url';
import { CodedError } from './errors';
import type { EnginePackage, JobsPackage, StartJobs, StartPackage } from './package';

interface Package extends EnginePackage {
  default(options: { module_or_path: WebAssembly.Module }): Promise<{ memory: WebAssembly.Memory }>;
  install_kernels(module: WebAssembly.Module): void;
}

interface JobsModule extends JobsPackage {
  default(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
}

export const startPackage: StartPackage = async (kind) => {
  const [pkg, module, kernels] = await Promise.all([
    fetched((kind === 'cpu' ? import('./pkg/cpu/lectern_wasm.js') : import('./pkg/gpu/lectern_wasm.js')) as Promise<Package>),
    compile(new URL(kind === 'cpu' ? cpuUrl : gpuUrl, import.meta.url)),
    compileKernels(),
  ]);
  const { memory } = await pkg.default({ module_or_path: module });
  if (kernels) pkg.install_kernels(kernels);
  return { pkg, nBytes: () => memory.buffer.byteLength };
};

export const startJobs: StartJobs = async (kind) => {
  const [jobs, module] = await Promise.all([
    fetched((kind === 'jobs' ? import('./pkg/jobs/lectern_wasm.js') : import('./pkg/pdf/lectern_wasm.js')) as Promise<JobsModule>),
    compile(new URL(kind === 'jobs' ? jobsUrl : pdfUrl, import.meta.url)),
  ]);
  await jobs.default({ module_or_path: module });
  return jobs;
};

/** A module that did not come does not come again before a reload. */
function fetched<T>(module: Promise<T>): Promise<T> {
  return module.catch((cause: unknown) => {
    throw new CodedError('download-failed', 'The engine could not be fetched. Check the connection and reload.', { cause });
  });
}

/** The module of quick kernels, where the browser has relaxed SIMD; elsewhere the engine takes its exact path. */
async function compileKernels(): Promise<WebAssembly.Module | null> {
  const bytes = await (await get(new URL(kernelsUrl, import.meta.url))).arrayBuffer();
  return WebAssembly.validate(bytes) ? WebAssembly.compile(bytes) : null;
}

/** File servers that do not know `application/wasm` refuse streaming compilation; their bytes are as good. */
async function compile(url: URL): Promise<WebAssembly.Module> {
  const response = await get(url);
  if (response.headers.get('content-type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

async function get(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new CodedError('download-failed', `The engine could not be fetched from ${url.pathname}. Check the connection and reload.`, { cause });
  }
  if (!response.ok) {
    throw new CodedError('download-failed', `The engine could not be fetched: the server answered ${response.status} for ${url.pathname}.`);
  }
  return response;
}
