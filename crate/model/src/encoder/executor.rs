//! The encoder as callers see it, whichever executor runs.

use std::rc::Rc;

use crate::decoder::Executor;
use crate::encoder::config::EncoderConfig;
use crate::encoder::cpu::CpuEncoder;
#[cfg(feature = "gpu")]
use crate::encoder::gpu::GpuEncoder;
use crate::encoder::weights::EncoderWeights;
use crate::error::ModelError;
use crate::host::Host;
use crate::{Device, Precision};

/// Tokens of a batch on the CPU, padding aside: enough rows to reuse each weight, few enough for its rows to stay in
/// cache.
pub const CPU_BATCH_TOKENS: usize = 128;
#[cfg(feature = "gpu")]
const GPU_BATCH_TOKENS: usize = 256;

/// An encoder. The CPU executor is always there, so that a lost GPU loses nothing.
pub struct Encoder {
    weights: Rc<EncoderWeights>,
    cpu: CpuEncoder,
    #[cfg(feature = "gpu")]
    gpu: Option<GpuEncoder>,
}

impl Encoder {
    /// On the CPU.
    pub fn new(weights: EncoderWeights) -> Self {
        let weights = Rc::new(weights);
        Self {
            cpu: CpuEncoder::new(Rc::clone(&weights)),
            #[cfg(feature = "gpu")]
            gpu: None,
            weights,
        }
    }

    /// Moves the weights to `device` and runs there from now on.
    ///
    /// # Errors
    /// `gpu-unavailable` or `gpu-lost`; the encoder then stays on the CPU.
    pub async fn use_gpu(&mut self, device: &Device) -> Result<(), ModelError> {
        #[cfg(not(feature = "gpu"))]
        match *device {}
        #[cfg(feature = "gpu")]
        {
            self.gpu = Some(GpuEncoder::new(device, &self.weights).await?);
            Ok(())
        }
    }

    /// Leaves the GPU.
    pub fn use_cpu(&mut self) {
        #[cfg(feature = "gpu")]
        {
            self.gpu = None;
        }
    }

    /// How the CPU executor rounds activations from now on.
    pub fn set_precision(&mut self, precision: Precision) {
        self.cpu.set_precision(precision);
    }

    pub fn executor(&self) -> Executor {
        #[cfg(feature = "gpu")]
        if self.gpu.is_some() {
            return Executor::Gpu;
        }
        Executor::Cpu
    }

    pub fn config(&self) -> &EncoderConfig {
        &self.weights.config
    }

    /// Tokens of a batch that is quick, padding aside.
    pub fn batch_tokens(&self) -> usize {
        #[cfg(feature = "gpu")]
        if self.gpu.is_some() {
            return GPU_BATCH_TOKENS;
        }
        CPU_BATCH_TOKENS
    }

    /// One unit vector `[hidden_size]` for each sequence; a sequence longer than
    /// [`EncoderConfig::max_tokens`] is read up to there (its last id kept, for the end marker). `host` has its turns
    /// between the CPU's layers.
    ///
    /// # Errors
    /// `model-invalid` for an empty sequence or an id outside the vocabulary, `gpu-lost`.
    pub async fn embed<H: Host>(&mut self, batch: &[Vec<u32>], host: &H) -> Result<Vec<Vec<f32>>, ModelError> {
        let config = &self.weights.config;
        let mut cut = Vec::with_capacity(batch.len());
        for ids in batch {
            self.weights.check_ids(ids)?;
            let mut ids = ids.clone();
            if ids.len() > config.max_tokens {
                let last = ids[ids.len() - 1];
                ids.truncate(config.max_tokens - 1);
                ids.push(last);
            }
            cut.push(ids);
        }
        let batch: Vec<&[u32]> = cut.iter().map(Vec::as_slice).collect();
        #[cfg(feature = "gpu")]
        if let Some(gpu) = &mut self.gpu {
            return gpu.embed(&batch).await;
        }
        Ok(self.cpu.embed(&batch, host).await)
    }
}
