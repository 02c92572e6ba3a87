/** Lectern's command line, one thread, and llama.cpp on as many; or both on the GPU. Each round is a process of its own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quiet = { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'pipe'] };

/** `executor` is native (one thread of the processor) or native-gpu. */
export function lectern({ bin, gguf, inputs, executor }) {
  const device = executor === 'native-gpu' ? 'gpu' : 'cpu';
  const folder = mkdtempSync(join(tmpdir(), 'lectern-bench-'));
  const messages = join(folder, 'messages.json');
  const generate = (content, n) => {
    writeFileSync(messages, JSON.stringify([{ role: 'user', content }]));
    const found = JSON.parse(execFileSync(bin, ['generate', '--device', device, '--model', gguf, '--precision', 'fast', '--messages', messages, '--max-tokens', `${n}`, '--json'], quiet));
    if (found.ids.length < n / 2) throw new Error(`ended after ${found.ids.length} tokens`);
    return found;
  };
  return {
    name: `lectern-native-${device}-1`,
    prefill: (n) => {
      const { prompt_ids: ids, timings_ms: ms } = generate(inputs.prompts[n], 1);
      return (1000 * ids.length) / ms.prefill;
    },
    decode: (n, context) => {
      const { ids, timings_ms: ms } = generate(inputs.prompts[context], n);
      return (1000 * (ids.length - 1)) / ms.decode;
    },
    close: () => { rmSync(folder, { recursive: true }); },
  };
}

/** Needs a Python with llama-cpp-python: LECTERN_PYTHON, else python3. For the GPU, one built for it. */
export function llama({ gguf, inputs, chat, executor }) {
  const python = process.env.LECTERN_PYTHON ?? 'python3';
  const script = fileURLToPath(new URL('llama.py', import.meta.url));
  const run = (context, n) => JSON.parse(execFileSync(python, [script, gguf, executor === 'native-gpu' ? 'gpu' : 'cpu', `${n}`], { ...quiet, stdio: ['pipe', 'pipe', 'pipe'], input: chat(inputs.prompts[context]) }));
  try {
    execFileSync(python, ['-c', 'import llama_cpp'], quiet);
  } catch {
    throw new Error(`${python} has no llama_cpp (pip install llama-cpp-python); LECTERN_PYTHON names one that has`);
  }
  if (executor === 'native-gpu' && !run(64, 1).gpu) throw new Error('this llama_cpp was built without a GPU backend (CMAKE_ARGS=-DGGML_VULKAN=on or -DGGML_CUDA=on)');
  return {
    name: `llama.cpp-${executor === 'native-gpu' ? 'gpu' : 'cpu'}-1`,
    prefill: (n) => run(n, 1).prefill,
    decode: (n, context) => run(context, n).decode,
    close: () => undefined,
  };
}
