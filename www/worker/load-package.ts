/** The one place that knows the wasm package. */
import init, * as lectern from './pkg/lectern_wasm.js';
import wasmUrl from './pkg/lectern_wasm_bg.wasm?url';
import kernelsUrl from './pkg/lectern_kernels.wasm?url';
import { CodedError } from './errors';
import type { EnginePackage, LoadPackage } from './package';

export const loadPackage: LoadPackage = async (module) => {
  const compiled = module ?? (await compile(new URL(wasmUrl, import.meta.url)));
  await init({ module_or_path: compiled });
  // A second worker builds graphs, which needs none of them.
  if (!module) await installKernels();
  return { pkg: lectern as unknown as EnginePackage, module: compiled };
};

/** The module of quick kernels, where the browser has relaxed SIMD; elsewhere the engine takes its exact path. */
async function installKernels(): Promise<void> {
  const bytes = await (await get(new URL(kernelsUrl, import.meta.url))).arrayBuffer();
  if (WebAssembly.validate(bytes)) lectern.install_kernels(await WebAssembly.compile(bytes));
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
