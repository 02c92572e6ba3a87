/* eslint-disable @typescript-eslint/consistent-type-imports -- an import would make this a module, whose declarations hold for nobody else */
/** Stands in for the wasm package's own types where it has not been built; the built ones take precedence. */
declare module '*/lectern_wasm.js' {
  export default function init(options: { module_or_path: WebAssembly.Module }): Promise<{ memory: WebAssembly.Memory }>;
  export function install_kernels(module: WebAssembly.Module): void;
  export const Engine: import('./package').EnginePackage['Engine'];
  export const ModelFile: import('./package').EnginePackage['ModelFile'];
  export const extract: import('./package').JobsPackage['extract'];
  export const expand: import('./package').JobsPackage['expand'];
  export const build_segment: import('./package').JobsPackage['build_segment'];
}
declare module '*?url' {
  const url: string;
  export default url;
}
