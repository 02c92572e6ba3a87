/** The model files of `--mode fake`: small, and only well-formed enough for the fake engine. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

/** `GGUF`, the file's length, padding; the same bytes for the same name. */
function ggufBytes(name: string, nBytes: number): Buffer {
  const bytes = Buffer.alloc(nBytes, name);
  bytes.write('GGUF', 0, 'latin1');
  bytes.writeUInt32LE(nBytes, 4);
  return bytes;
}

/** Path under `models/` → bytes. */
export function fakeModelFiles(): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const model = (role: string, name: string, file: string, nBytes: number) => {
    const bytes = ggufBytes(name, nBytes);
    files.set(file, bytes);
    return { role, name, file, url: file, n_bytes: nBytes, sha256: sha256(bytes), piece_bytes: nBytes, piece_sha256: [sha256(bytes)], licence: 'Apache-2.0' };
  };
  const adapter = (name: string, title: string, description: string) => {
    const weights = Buffer.alloc(49_386, name);
    files.set(`adapters/${name}/adapter_model.safetensors`, weights);
    files.set(`adapters/${name}/adapter_config.json`, Buffer.from('{"r": 8, "lora_alpha": 16}'));
    return { name, title, description, config_url: `adapters/${name}/adapter_config.json`, weights_url: `adapters/${name}/adapter_model.safetensors`, n_bytes: weights.length, sha256: sha256(weights) };
  };
  const list = {
    models: [
      model('decoder', 'SmolLM2 135M Instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf', 981_504),
      model('embedder', 'all-MiniLM-L6-v2', 'all-MiniLM-L6-v2.Q8_0.gguf', 249_856),
    ],
    adapters: [
      adapter('pirate', 'Pirate', 'Answers in the voice of a pirate; the facts stay.'),
      adapter('cite', 'Cite', 'Brief answers that point to their passage.'),
    ],
  };
  files.set('models.json', Buffer.from(JSON.stringify(list, null, 2)));
  return files;
}

export async function writeFakeModels(dist: string): Promise<void> {
  for (const [file, bytes] of fakeModelFiles()) {
    const path = join(dist, 'models', file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}

/** Serves them in `vite --mode fake`. */
export function fakeModels(): Plugin {
  const files = fakeModelFiles();
  return {
    name: 'lectern-fake-models',
    configureServer(server) {
      server.middlewares.use('/models', (request, response, next) => {
        const bytes = files.get((request.url ?? '').slice(1).split('?')[0] ?? '');
        if (bytes) response.end(bytes);
        else next();
      });
    },
  };
}
