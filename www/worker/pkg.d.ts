/** Stands in for the wasm package's own types where it has not been built; the built ones take precedence. */
declare module '*/lectern_wasm.js' {
  export default function init(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  export function install_kernels(module: WebAssembly.Module): void;
}
declare module '*?url' {
  const url: string;
  export default url;
}
