/** The one place that knows the wasm packages: the same engine with and without the GPU executor. */
import initCpu, * as cpu from './pkg/cpu/lectern_wasm.js';
import cpuUrl from './pkg/cpu/lectern_wasm_bg.wasm?url';
import gpuUrl from './pkg/gpu/lectern_wasm_bg.wasm?url';
import kernelsUrl from './pkg/lectern_kernels.wasm?url';
import { CodedError } from './errors';
import type { EnginePackage, FetchPackages } from './package';

type Package = EnginePackage & { install_kernels(module: WebAssembly.Module): void };

/** The module without GPU comes in any case: it builds the graphs. */
export const fetchPackages: FetchPackages = () => {
  const segmentModule = compile(new URL(cpuUrl, import.meta.url));
  const kernels = compileKernels();
  // Whoever waits for them is told.
  segmentModule.catch(() => undefined);
  kernels.catch(() => undefined);
  return async (kind) => {
    let pkg: Package;
    let memory: WebAssembly.Memory;
    if (kind === 'cpu') {
      ({ memory } = await initCpu({ module_or_path: await segmentModule }));
      pkg = cpu;
    } else {
      const { default: init, ...gpu } = await import('./pkg/gpu/lectern_wasm.js');
      ({ memory } = await init({ module_or_path: await compile(new URL(gpuUrl, import.meta.url)) }));
      pkg = gpu;
    }
    const quick = await kernels;
    if (quick) pkg.install_kernels(quick);
    return { pkg, nBytes: () => memory.buffer.byteLength, segmentModule };
  };
};

/** What builds graphs needs neither a GPU nor quick kernels. */
export async function startSegments(module: WebAssembly.Module | null): Promise<EnginePackage> {
  await initCpu({ module_or_path: module ?? (await compile(new URL(cpuUrl, import.meta.url))) });
  return cpu;
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
