//! The GPU executor of the decoder: weights stay packed, a token is one replayed graph, and several tokens one small
//! read.

mod batch;
mod lora;
mod step;
mod weights;

use cubecl::client::Graph;
use cubecl::prelude::BufferArg;
use cubecl::server::Handle;

use self::lora::{GpuLora, SegmentFactors};
use self::step::StepKind;
use self::weights::GpuWeights;
use crate::Device;
use crate::decoder::config::DecoderConfig;
use crate::decoder::executor::LONG_CONTEXT;
use crate::decoder::weights::DecoderWeights;
use crate::error::ModelError;
use crate::kernel::gpu::{
    AttentionShape, Gpu, MAX_PREFILL_ROWS, Tuning, arg, draw_words, lost, state, state_words, unavailable,
};
use crate::lora::ActiveLora;
use crate::sample::Sampler;

/// Tokens that are chosen at most before one is known.
pub const MAX_RUN: usize = state::MAX_RUN;

/// A captured step, and its kernel launches, which each replay repeats.
struct Captured {
    kind: StepKind,
    graph: Graph,
    n_launches: usize,
}

/// Workgroup memory that WebGPU guarantees, in bytes.
const WORKGROUP_BYTES: usize = 16 << 10;

/// A buffer of floats or words.
pub(crate) struct Buffer {
    handle: Handle,
    len: usize,
}

impl Buffer {
    fn new(gpu: &Gpu, len: usize) -> Result<Self, ModelError> {
        Ok(Self { handle: gpu.empty(len)?, len })
    }

    fn arg(&self) -> BufferArg {
        arg(&self.handle, self.len)
    }

    fn arg4(&self) -> BufferArg {
        arg(&self.handle, self.len / 4)
    }
}

/// Activations, for as many rows as a batch has.
struct Buffers {
    state: Buffer,
    /// `[64, hidden_size]` and a rotary row behind it.
    x: Buffer,
    /// `[64, hidden_size]`
    normed: Buffer,
    /// `[64, q_dim + 2 · kv_dim]`
    qkv: Buffer,
    /// `[64, q_dim]`
    attended: Buffer,
    /// A single row's attention in parts.
    attention_parts: Buffer,
    /// `[64, 2 · intermediate_size]`
    gate_up: Buffer,
    /// `[64, intermediate_size]`
    activated: Buffer,
    /// `[vocab_size]`
    logits: Buffer,
    /// `[workgroups of the head][value, index]`
    best: Buffer,
    hidden_size: usize,
}

impl Buffers {
    /// Offset of the rotary row in `x`, in vectors of 4.
    fn rope_offset(&self) -> usize {
        MAX_PREFILL_ROWS * self.hidden_size / 4
    }
}

/// Runs a decoder's weights on a GPU.
pub struct GpuDecoder {
    gpu: Gpu,
    config: DecoderConfig,
    n_ctx: usize,
    weights: GpuWeights,
    buffers: Buffers,
    /// Logits of a whole batch, made when first asked for.
    batch_logits: Option<Buffer>,
    loras: Vec<GpuLora>,
    /// Which of `loras` is on, and its scale.
    active: Option<(usize, f32)>,
    /// The captured steps without an adapter.
    graphs: Vec<Captured>,
    len: usize,
    dispatches: usize,
    /// Positions from which on workgroups share a head's attention.
    long_context: usize,
}

impl GpuDecoder {
    /// Uploads the weights and runs one step, so that a device that cannot says so here.
    ///
    /// # Errors
    /// `gpu-unavailable` for a device or a model that does not fit the other, `gpu-lost`.
    pub async fn new(device: &Device, weights: &DecoderWeights, n_ctx: usize) -> Result<Self, ModelError> {
        let gpu = Gpu::new(device)?;
        Self::with_gpu(gpu, weights, n_ctx).await
    }

    /// [`Self::new`] with chosen workgroup shapes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub async fn with_tuning(
        device: &Device,
        weights: &DecoderWeights,
        n_ctx: usize,
        tuning: Tuning,
    ) -> Result<Self, ModelError> {
        let mut gpu = Gpu::new(device)?;
        gpu.tuning = tuning;
        Self::with_gpu(gpu, weights, n_ctx).await
    }

    /// Launches what a decoder of these shapes runs without an adapter once, for nothing but that it is compiled.
    /// Returns how many launches that took.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn compile(device: &Device, weights: &DecoderWeights, n_ctx: usize) -> Result<usize, ModelError> {
        let mut decoder = Self::untested(Gpu::new(device)?, weights, n_ctx)?;
        for n in [MAX_PREFILL_ROWS.min(n_ctx), 1] {
            decoder.reset();
            decoder.launch_prompt(&vec![0; n])?;
        }
        for by_chance in [false, true] {
            for attention_parts in [1, decoder.gpu.tuning.attention_parts] {
                decoder.launch_step(StepKind { by_chance, attention_parts });
            }
        }
        // What is launched holds the buffers.
        decoder.gpu.client.flush().map_err(lost)?;
        Ok(decoder.gpu.take_count())
    }

    async fn with_gpu(gpu: Gpu, weights: &DecoderWeights, n_ctx: usize) -> Result<Self, ModelError> {
        let mut decoder = Self::untested(gpu, weights, n_ctx)?;
        decoder.decode_some(0, 1, None).await?;
        decoder.reset();
        Ok(decoder)
    }

    fn untested(gpu: Gpu, weights: &DecoderWeights, n_ctx: usize) -> Result<Self, ModelError> {
        let config = weights.config.clone();
        if config.head_dim > 128 {
            return Err(unavailable(format!("attention heads of {} dimensions; 128 at most run", config.head_dim)));
        }
        let rows = MAX_PREFILL_ROWS;
        let vocab_words = 2 * config.vocab_size.div_ceil(2);
        let buffers = Buffers {
            state: Buffer::new(&gpu, state::IDS + rows)?,
            x: Buffer::new(&gpu, rows * config.hidden_size + config.head_dim)?,
            normed: Buffer::new(&gpu, rows * config.hidden_size)?,
            qkv: Buffer::new(&gpu, rows * (config.q_dim() + 2 * config.kv_dim()))?,
            attended: Buffer::new(&gpu, rows * config.q_dim())?,
            attention_parts: Buffer::new(
                &gpu,
                AttentionShape::partial_len(config.num_attention_heads, config.head_dim, gpu.tuning.attention_parts),
            )?,
            gate_up: Buffer::new(&gpu, rows * 2 * config.intermediate_size)?,
            activated: Buffer::new(&gpu, rows * config.intermediate_size)?,
            logits: Buffer::new(&gpu, config.vocab_size)?,
            // At least one pair of rows a workgroup.
            best: Buffer::new(&gpu, vocab_words)?,
            hidden_size: config.hidden_size,
        };
        let weights = GpuWeights::new(&gpu, weights, n_ctx)?;
        Ok(Self {
            gpu,
            config,
            n_ctx,
            weights,
            buffers,
            batch_logits: None,
            loras: Vec::new(),
            active: None,
            graphs: Vec::new(),
            len: 0,
            dispatches: 0,
            long_context: LONG_CONTEXT,
        })
    }

    /// Switches an adapter on, or all off. Factors are uploaded when an adapter is first seen and
    /// kept as long as someone holds it; what was read before keeps its keys and values.
    ///
    /// # Errors
    /// `gpu-unavailable` when the factors are too large.
    pub fn set_adapter(&mut self, lora: Option<&ActiveLora>) -> Result<(), ModelError> {
        self.active = None;
        self.loras.retain(GpuLora::is_alive);
        let Some(lora) = lora else { return Ok(()) };
        let index = match self.loras.iter().position(|uploaded| uploaded.is(&lora.set)) {
            Some(index) => index,
            None => {
                let uploaded = GpuLora::new(&self.gpu, &self.weights, &lora.set)?;
                if self.workgroup_bytes(&uploaded) > WORKGROUP_BYTES {
                    return Err(unavailable("the adapter's rank is too high for graphics memory"));
                }
                self.loras.push(uploaded);
                self.loras.len() - 1
            }
        };
        if lora.scale != 0.0 {
            self.active = Some((index, lora.scale));
        }
        Ok(())
    }

    /// Forgets everything read.
    pub fn reset(&mut self) {
        self.len = 0;
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Positions read so far.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// From how many positions on workgroups share a head's attention; it is the same sum.
    pub fn share_attention_from(&mut self, n_positions: usize) {
        self.long_context = n_positions;
    }

    /// Kernel launches of the last token.
    pub fn dispatches_per_token(&self) -> usize {
        self.dispatches
    }

    /// Reads `ids` at the next positions and waits until they are read.
    ///
    /// # Errors
    /// `prompt-too-long` past the context, `gpu-lost`.
    pub async fn read_on(&mut self, ids: &[u32]) -> Result<(), ModelError> {
        self.launch_prompt(ids)?;
        self.gpu.take_count();
        // It comes when all before it is done.
        self.gpu.read::<u32>(&self.buffers.state.handle, state::POSITION, 1).await.map(|_| ())
    }

    /// Reads `ids` at the next positions and returns the logits after the last, `[vocab_size]`.
    ///
    /// # Errors
    /// As [`Self::read_on`].
    pub async fn prefill(&mut self, ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        self.launch_prompt(ids)?;
        self.launch_head();
        self.gpu.take_count();
        checked(self.gpu.read(&self.buffers.logits.handle, 0, self.config.vocab_size).await?)
    }

    fn launch_prompt(&mut self, ids: &[u32]) -> Result<(), ModelError> {
        self.room(ids.len())?;
        for batch in ids.chunks(MAX_PREFILL_ROWS) {
            self.write_state(batch, None);
            self.launch_batch(batch.len());
            self.len += batch.len();
        }
        Ok(())
    }

    /// Reads `ids` at the next positions and returns the logits after each, `[n, vocab_size]`.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub async fn prefill_all(&mut self, ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        self.room(ids.len())?;
        let vocab = self.config.vocab_size;
        let stride = vocab.next_multiple_of(4);
        if self.batch_logits.is_none() {
            self.batch_logits = Some(Buffer::new(&self.gpu, MAX_PREFILL_ROWS * stride)?);
        }
        let mut all = Vec::with_capacity(ids.len() * vocab);
        for batch in ids.chunks(MAX_PREFILL_ROWS) {
            self.write_state(batch, None);
            self.launch_batch(batch.len());
            self.len += batch.len();
            let Some(out) = &self.batch_logits else { return Err(lost("no buffer for logits")) };
            self.launch_head_batch(out, batch.len());
            let rows: Vec<f32> = self.gpu.read(&out.handle, 0, batch.len() * stride).await?;
            for row in rows.chunks_exact(stride) {
                all.extend(checked(row[..vocab].to_vec())?);
            }
        }
        self.gpu.take_count();
        Ok(all)
    }

    /// Reads one id and returns the logits after it, `[vocab_size]`.
    ///
    /// # Errors
    /// As [`Self::read_on`].
    pub async fn decode(&mut self, id: u32) -> Result<Vec<f32>, ModelError> {
        self.run_steps(id, 1, None)?;
        checked(self.gpu.read(&self.buffers.logits.handle, 0, self.config.vocab_size).await?)
    }

    /// Reads one id, chooses the next `n` and reads all of them but the last: `n` replays, and one read of 4·`n` bytes.
    /// The most likely ids (the lowest among equals), or those that `sampler` would draw, which it does not count.
    ///
    /// # Errors
    /// As [`Self::read_on`].
    ///
    /// # Panics
    /// For more than [`MAX_RUN`], or none.
    pub async fn decode_some(&mut self, id: u32, n: usize, sampler: Option<&Sampler>) -> Result<Vec<u32>, ModelError> {
        assert!((1..=MAX_RUN).contains(&n), "{n} tokens at once");
        self.run_steps(id, n, sampler)?;
        let results: Vec<u32> = self.gpu.read(&self.buffers.state.handle, state::RESULTS, n).await?;
        let token = |result: u32| match result {
            state::BROKEN => Err(lost("the logits are not finite or all zero")),
            0 => Err(lost("the last step did not run")),
            _ => Ok(result - 1),
        };
        results.into_iter().map(token).collect()
    }

    /// Runs steps one after another, each captured on its first run with the current adapter and replayed afterwards.
    fn run_steps(&mut self, id: u32, n: usize, sampler: Option<&Sampler>) -> Result<(), ModelError> {
        self.room(n)?;
        self.write_state(&[id], sampler);
        for _ in 0..n {
            self.run_step(self.step_kind(sampler.is_some()))?;
            self.len += 1;
        }
        Ok(())
    }

    fn run_step(&mut self, kind: StepKind) -> Result<(), ModelError> {
        let graphs = match self.active {
            Some((index, _)) => &self.loras[index].graphs,
            None => &self.graphs,
        };
        if let Some(captured) = graphs.iter().find(|captured| captured.kind == kind) {
            self.dispatches = captured.n_launches;
            // SAFETY: every buffer of the graph is owned by `self`, and used from this client alone.
            return unsafe { captured.graph.replay() }.map_err(lost);
        }
        let client = self.gpu.client.clone();
        client.graph_prepare().map_err(lost)?;
        self.gpu.take_count();
        self.launch_step(kind);
        self.dispatches = self.gpu.take_count();
        client.start_capture().map_err(lost)?;
        self.launch_step(kind);
        let graph = client.stop_capture().map_err(lost)?;
        self.gpu.take_count();
        let captured = Captured { kind, graph, n_launches: self.dispatches };
        match self.active {
            Some((index, _)) => self.loras[index].graphs.push(captured),
            None => self.graphs.push(captured),
        }
        Ok(())
    }

    fn write_state(&self, ids: &[u32], sampler: Option<&Sampler>) {
        let row = ids.len() - 1;
        let scale = self.active.map_or(0.0, |(_, scale)| scale);
        let mut words = state_words(self.len, row, scale, ids, MAX_PREFILL_ROWS);
        if let Some(sampler) = sampler {
            draw_words(&mut words, sampler);
        }
        self.gpu.write(&self.buffers.state.handle, &words);
    }

    fn room(&self, n: usize) -> Result<(), ModelError> {
        if n == 0 {
            return Err(ModelError::invalid("prompt", "it has no tokens"));
        }
        if self.len + n > self.n_ctx {
            return Err(ModelError::PromptTooLong { n_tokens: self.len + n, n_ctx: self.n_ctx });
        }
        Ok(())
    }

    /// The most workgroup memory a step with an adapter needs.
    fn workgroup_bytes(&self, lora: &GpuLora) -> usize {
        let layers = self.weights.layers.iter().enumerate();
        let segments = layers.flat_map(|(index, layer)| {
            let fused = layer.fused.iter().enumerate();
            fused.flat_map(move |(f, fused)| {
                fused.segments.iter().enumerate().map(move |(s, segment)| (index, f, s, segment))
            })
        });
        segments
            .map(|(index, fused, i, segment)| {
                let mut shape = self.gemv_shape(&segment.matrix, true);
                shape.low_rank = lora.factors(index, fused, i).map_or(Default::default(), |f| f.shape);
                shape.workgroup_bytes()
            })
            .max()
            .unwrap_or(0)
    }

    fn lora(&self) -> Option<&GpuLora> {
        self.active.map(|(index, _)| &self.loras[index])
    }

    fn factors(&self, layer: usize, fused: usize, segment: usize) -> Option<&SegmentFactors> {
        self.lora()?.factors(layer, fused, segment)
    }
}

/// Logits of one row, unless a shader that did not run left them empty or broken.
fn checked(logits: Vec<f32>) -> Result<Vec<f32>, ModelError> {
    if logits.iter().any(|v| !v.is_finite()) || logits.iter().all(|&v| v == 0.0) {
        return Err(lost("the logits are not finite or all zero"));
    }
    Ok(logits)
}
