/** A plain static file server, and nothing more: the site must need nothing more. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.css': 'text/css', '.gguf': 'application/octet-stream', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.json': 'application/json',
  '.lectern': 'application/octet-stream', '.md': 'text/markdown; charset=utf-8', '.mjs': 'text/javascript', '.safetensors': 'application/octet-stream', '.svg': 'image/svg+xml', '.wasm': 'application/wasm',
};

/**
 * Serves each folder of `mounts` (URL prefix → folder) on a free port. `requests` lists the paths
 * asked for; `bytesPerSecond` slows the model files down; `headers` go with every file.
 */
export async function serve(mounts) {
  const server = { requests: [], bytesPerSecond: Infinity, headers: {} };
  const http = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    server.requests.push(pathname);
    const prefix = Object.keys(mounts).filter((key) => pathname.startsWith(key)).sort((a, b) => b.length - a.length)[0];
    const file = prefix && join(mounts[prefix], normalize(decodeURIComponent(pathname.slice(prefix.length) + (pathname.endsWith('/') ? 'index.html' : ''))));
    const found = file && (await stat(file).catch(() => null));
    if (!found?.isFile()) {
      response.writeHead(404, { 'access-control-allow-origin': '*' }).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const [start, end] = range ? [Number(range[1]), range[2] ? Number(range[2]) : found.size - 1] : [0, found.size - 1];
    response.writeHead(range ? 206 : 200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-length': end + 1 - start, ...(range ? { 'content-range': `bytes ${start}-${end}/${found.size}` } : {}), 'access-control-allow-origin': '*', ...server.headers });
    const stream = createReadStream(file, { highWaterMark: 1 << 16, ...(found.size ? { start, end } : {}) });
    response.on('close', () => stream.destroy());
    try {
      for await (const bytes of stream) {
        await new Promise((resolve, reject) => { response.write(bytes, (error) => { if (error) reject(error); else resolve(); }); });
        if (pathname.includes('/models/') && server.bytesPerSecond < Infinity) await new Promise((resolve) => { setTimeout(resolve, (1000 * bytes.length) / server.bytesPerSecond); });
      }
      response.end();
    } catch {
      // The page went away in the middle, or cancelled the download.
      response.destroy();
    }
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  server.url = `http://localhost:${http.address().port}`;
  server.close = () => { http.closeAllConnections(); http.close(); };
  return server;
}
