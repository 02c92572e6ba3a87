/** What runs in transformers.js's page; bundled for it. */
import { AutoModelForCausalLM, AutoTokenizer, BaseStreamer, env, pipeline } from '@huggingface/transformers';

Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/models/', useBrowserCache: false, useWasmCache: false });
env.backends.onnx.wasm.wasmPaths = '/ort/';
env.backends.onnx.wasm.numThreads = 1;

class Clock extends BaseStreamer {
  times = [];
  put() { this.times.push(performance.now()); }
  end() {}
}

let [embedder, tokenizer, model] = [];
globalThis.peer = {
  async load({ device, embedderType, decoderType }) {
    const started = performance.now();
    embedder = await pipeline('feature-extraction', 'minilm', { device, dtype: embedderType });
    tokenizer = await AutoTokenizer.from_pretrained('smollm2');
    model = await AutoModelForCausalLM.from_pretrained('smollm2', { device, dtype: decoderType });
    return performance.now() - started;
  },
  async embed(texts) {
    const started = performance.now();
    await embedder(texts, { pooling: 'mean', normalize: true });
    return (1000 * texts.length) / (performance.now() - started);
  },
  async complete(prompt, n) {
    const inputs = tokenizer(prompt, { add_special_tokens: false });
    const streamer = new Clock();
    const started = performance.now();
    await model.generate({ ...inputs, max_new_tokens: n, min_new_tokens: n, do_sample: false, streamer });
    // The first is the prompt itself.
    const times = streamer.times.slice(1);
    return { prompt: inputs.input_ids.dims.at(-1), tokens: times.length, first: times[0] - started, decode: times.at(-1) - times[0] };
  },
};
