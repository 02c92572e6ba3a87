//! The decoder as callers see it, whichever executor runs.

use std::rc::Rc;

use crate::decoder::config::DecoderConfig;
use crate::decoder::cpu::{CpuDecoder, Logits};
#[cfg(feature = "gpu")]
use crate::decoder::gpu::{GpuDecoder, MAX_RUN};
use crate::decoder::weights::DecoderWeights;
use crate::error::ModelError;
use crate::host::Host;
use crate::lora::{ActiveLora, LoraSet};
use crate::sample::Sampler;
use crate::{Device, Precision};

/// Rows that share one reading of the weights in prefill.
pub const PREFILL_BATCH: usize = 64;

/// Positions from which on a context is long: on a GPU several workgroups then share a head's attention.
pub const LONG_CONTEXT: usize = 512;

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    Cpu,
    Gpu,
}

/// Has `device` compile what decoders of these shapes take without an adapter, so that the first of them need not wait
/// for it. Returns how many kernels were launched for that.
///
/// # Errors
/// `gpu-unavailable`, `gpu-lost`.
pub fn compile_ahead(device: &Device, weights: &DecoderWeights, n_ctx: usize) -> Result<usize, ModelError> {
    #[cfg(not(feature = "gpu"))]
    {
        let _ = (weights, n_ctx);
        match *device {}
    }
    #[cfg(feature = "gpu")]
    GpuDecoder::compile(device, weights, n_ctx.min(weights.config.context_length))
}

/// A decoder with its KV cache. The CPU executor is always there, so that a lost GPU loses nothing. A host has its turns
/// while the CPU reads.
pub struct Decoder {
    weights: Rc<DecoderWeights>,
    n_ctx: usize,
    cpu: CpuDecoder,
    #[cfg(feature = "gpu")]
    gpu: Option<GpuDecoder>,
    lora: Option<ActiveLora>,
    precision: Precision,
    /// Ids read so far: what the cache holds, in order.
    ids: Vec<u32>,
}

impl Decoder {
    /// On the CPU; `n_ctx` positions at most, or the model's own limit if that is less.
    pub fn new(weights: DecoderWeights, n_ctx: usize) -> Self {
        let weights = Rc::new(weights);
        Self {
            n_ctx: n_ctx.min(weights.config.context_length),
            cpu: CpuDecoder::new(Rc::clone(&weights)),
            #[cfg(feature = "gpu")]
            gpu: None,
            lora: None,
            precision: Precision::Exact,
            ids: Vec::new(),
            weights,
        }
    }

    /// Moves the weights to `device` and runs there from now on.
    ///
    /// # Errors
    /// `gpu-unavailable` or `gpu-lost`; the decoder then stays on the CPU.
    pub async fn use_gpu(&mut self, device: &Device) -> Result<(), ModelError> {
        #[cfg(not(feature = "gpu"))]
        match *device {}
        #[cfg(feature = "gpu")]
        {
            let mut gpu = GpuDecoder::new(device, &self.weights, self.n_ctx).await?;
            gpu.set_adapter(self.lora.as_ref())?;
            self.reset();
            self.gpu = Some(gpu);
            Ok(())
        }
    }

    /// Leaves the GPU and reads again on the CPU what was read there.
    ///
    /// # Errors
    /// None that reading the same ids before did not have.
    pub async fn use_cpu<H: Host>(&mut self, host: &H) -> Result<(), ModelError> {
        #[cfg(feature = "gpu")]
        if self.gpu.take().is_some() {
            let ids = std::mem::take(&mut self.ids);
            self.cpu.truncate(0);
            for batch in ids.chunks(PREFILL_BATCH) {
                self.read(batch, Logits::None, host).await?;
            }
        }
        #[cfg(not(feature = "gpu"))]
        let _ = host;
        Ok(())
    }

    pub fn executor(&self) -> Executor {
        #[cfg(feature = "gpu")]
        if self.gpu.is_some() {
            return Executor::Gpu;
        }
        Executor::Cpu
    }

    pub fn config(&self) -> &DecoderConfig {
        &self.weights.config
    }

    /// Positions that can be read at most.
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Ids read so far.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// From how many positions on the GPU's workgroups share a head's attention, where they do; it is the same sum.
    pub fn share_attention_from(&mut self, n_positions: usize) {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            gpu.share_attention_from(n_positions);
        }
        #[cfg(not(feature = "gpu"))]
        let _ = n_positions;
    }

    /// Kernel launches of the GPU's last token.
    pub fn dispatches_per_token(&self) -> Option<usize> {
        #[cfg(feature = "gpu")]
        return self.gpu.as_ref().map(GpuDecoder::dispatches_per_token);
        #[cfg(not(feature = "gpu"))]
        None
    }

    /// As [`DecoderWeights::read_through`].
    pub fn read_weights(&self) -> usize {
        self.weights.read_through()
    }

    /// Whether an adapter is on at a scale that matters.
    pub fn has_adapter(&self) -> bool {
        self.lora.is_some()
    }

    /// Switches an adapter on at `scale`, or all off; what was read before is forgotten, since keys
    /// and values depend on it. A scale of 0 is off.
    ///
    /// # Errors
    /// `gpu-lost` when the factors cannot be uploaded.
    pub fn set_adapter(&mut self, adapter: Option<(Rc<LoraSet>, f32)>) -> Result<(), ModelError> {
        self.lora = adapter.and_then(|(set, scale)| ActiveLora::new(set, scale));
        self.cpu.set_adapter(self.lora.clone());
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            gpu.set_adapter(self.lora.as_ref())?;
        }
        self.reset();
        Ok(())
    }

    /// How the CPU executor rounds activations from now on; what was read before at another precision is forgotten.
    pub fn set_precision(&mut self, precision: Precision) {
        if precision != self.precision {
            self.precision = precision;
            self.cpu.set_precision(precision);
            self.reset();
        }
    }

    /// Keeps what was read of the beginning that it shares with `ids` and forgets the rest, so that reading goes on
    /// there. The last of `ids` is never kept: its logits are to come.
    ///
    /// Returns how many positions are kept. They hold what reading `ids` anew would give: weights, adapter, scale and
    /// precision are those they were read with, since a change of any forgets everything. On the CPU to the bit; on the
    /// GPU ids that were generated have been read by other kernels than those of a prompt, which round otherwise.
    pub fn keep_prefix(&mut self, ids: &[u32]) -> usize {
        let shared = self.ids.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let kept = shared.min(ids.len().saturating_sub(1));
        self.truncate(kept);
        kept
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.ids.truncate(len);
        self.cpu.truncate(len);
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            gpu.truncate(len);
        }
    }

    /// Forgets everything read.
    pub fn reset(&mut self) {
        self.truncate(0);
    }

    /// Makes room for `len` positions in all.
    pub fn reserve(&mut self, len: usize) {
        if self.executor() == Executor::Cpu {
            self.cpu.reserve(len);
        }
    }

    /// Reads a batch of a prompt that goes on, at most [`PREFILL_BATCH`] ids.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub async fn read_on<H: Host>(&mut self, ids: &[u32], host: &H) -> Result<(), ModelError> {
        self.read(ids, Logits::None, host).await.map(|_| ())
    }

    /// Reads a batch of a prompt, at most [`PREFILL_BATCH`] ids, and returns the logits after its
    /// last id, `[vocab_size]`.
    ///
    /// # Errors
    /// `prompt-too-long` past [`Self::n_ctx`], `gpu-lost`.
    pub async fn prefill<H: Host>(&mut self, ids: &[u32], host: &H) -> Result<Vec<f32>, ModelError> {
        self.read(ids, Logits::Last, host).await
    }

    /// Reads a batch and returns the logits after every id, `[n, vocab_size]`.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub async fn prefill_all<H: Host>(&mut self, ids: &[u32], host: &H) -> Result<Vec<f32>, ModelError> {
        self.read(ids, Logits::All, host).await
    }

    /// Reads one generated id and returns the logits after it, `[vocab_size]`.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    pub async fn decode<H: Host>(&mut self, id: u32, host: &H) -> Result<Vec<f32>, ModelError> {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            room(self.n_ctx, self.ids.len(), 1)?;
            let logits = gpu.decode(id).await?;
            self.ids.push(id);
            return Ok(logits);
        }
        self.read(&[id], Logits::Last, host).await
    }

    /// Reads one generated id and chooses the next: as many as are wanted on the GPU (up to its own limit), which then
    /// reads all of them but the last, and one on the CPU. The sampler does not count them: [`Sampler::advance`] does.
    ///
    /// # Errors
    /// As [`Self::prefill`].
    ///
    /// # Panics
    /// When no token is wanted, or for a sampler that looks back at tokens.
    pub async fn decode_some<H: Host>(
        &mut self,
        id: u32,
        n: usize,
        sampler: &Sampler,
        host: &H,
    ) -> Result<Vec<u32>, ModelError> {
        assert!(n > 0 && !sampler.looks_back());
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            room(self.n_ctx, self.ids.len(), 1)?;
            let n = n.min(MAX_RUN).min(self.n_ctx - self.ids.len());
            let by_chance = (!sampler.is_greedy()).then_some(sampler);
            let chosen = gpu.decode_some(id, n, by_chance).await?;
            self.ids.push(id);
            self.ids.extend(&chosen[..n - 1]);
            return Ok(chosen);
        }
        let mut logits = self.read(&[id], Logits::Last, host).await?;
        Ok(vec![sampler.clone().sample(&mut logits, &[])])
    }

    async fn read<H: Host>(&mut self, ids: &[u32], logits: Logits, host: &H) -> Result<Vec<f32>, ModelError> {
        room(self.n_ctx, self.ids.len(), ids.len())?;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.weights.config.vocab_size) {
            return Err(ModelError::invalid("prompt", format!("token {id} is not in the vocabulary")));
        }
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            let out = match logits {
                Logits::None => gpu.read_on(ids).await.map(|()| Vec::new())?,
                Logits::Last => gpu.prefill(ids).await?,
                Logits::All => gpu.prefill_all(ids).await?,
            };
            self.ids.extend_from_slice(ids);
            return Ok(out);
        }
        let out = self.cpu.forward(ids, logits, host).await;
        self.ids.extend_from_slice(ids);
        Ok(out)
    }
}

fn room(n_ctx: usize, len: usize, n: usize) -> Result<(), ModelError> {
    if len + n > n_ctx {
        return Err(ModelError::PromptTooLong { n_tokens: len + n, n_ctx });
    }
    Ok(())
}
