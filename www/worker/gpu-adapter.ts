/** Asks the browser what it would compute with, before any engine is fetched. */
import type { Adapter } from '../client/generated';

/** What CPUs that pretend to be an adapter call themselves. */
const SOFTWARE = ['swiftshader', 'llvmpipe', 'lavapipe', 'basic render', 'warp'];

export async function gpuAdapter(): Promise<Adapter> {
  const none = (reason: string): Adapter => ({ type: 'none', reason });
  const gpu = (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu;
  if (!gpu) return none('this browser has no WebGPU');
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter();
  } catch {
    return none('WebGPU gave no adapter');
  }
  if (!adapter) return none('WebGPU found no graphics adapter');
  const { description, device, architecture, vendor } = adapter.info;
  const words = [description, device, architecture, vendor].filter(Boolean);
  const all = words.join(' ').toLowerCase();
  const isFallback = [adapter.info, adapter].some((told) => (told as { isFallbackAdapter?: boolean }).isFallbackAdapter === true);
  return { type: 'found', name: words[0] ?? 'unnamed', software: isFallback || SOFTWARE.some((name) => all.includes(name)) };
}
