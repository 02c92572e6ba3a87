//! Which executor runs, and the sentence that says why.

use lectern_model::ModelError;
use lectern_model::decoder::{Decoder, Executor};

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    Auto,
    Gpu,
    Cpu,
}

/// What the surroundings offer.
pub enum Gpu {
    /// None, and why.
    None(String),
    /// A device; `software` when a CPU pretends to be it.
    Device { device: lectern_model::Device, name: String, software: bool },
}

/// What runs, for the page's line of facts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorInfo {
    pub executor: Executor,
    /// A sentence for people.
    pub reason: String,
    /// The graphics adapter, if there is one.
    pub adapter: Option<String>,
    /// Largest difference of a logit between the executors in the self-test.
    pub self_test_max_error: Option<f32>,
}

impl ExecutorInfo {
    /// What runs after a graphics device failed with `reason`.
    pub fn gpu_lost(reason: &str) -> Self {
        let reason = format!("On the CPU: the graphics device failed ({reason}).");
        Self { executor: Executor::Cpu, reason, adapter: None, self_test_max_error: None }
    }
}

/// Ids of the known-answer test; any do, these are in every vocabulary.
const SELF_TEST_IDS: [u32; 12] = [1, 9, 33, 17, 4, 58, 2, 71, 26, 90, 45, 12];
/// The executors sum in different orders; what differs by more is wrong.
const SELF_TEST_TOLERANCE: f32 = 0.05;

/// Puts `decoder` on the executor that `preference` and `gpu` lead to. A GPU runs only when its
/// logits for a known prompt equal the CPU's.
///
/// # Errors
/// `gpu-unavailable` when the GPU was asked for by name and cannot be used; the decoder is then on the CPU.
pub async fn choose(decoder: &mut Decoder, preference: Preference, gpu: &Gpu) -> Result<ExecutorInfo, ModelError> {
    let adapter = match gpu {
        Gpu::Device { name, .. } => Some(name.clone()),
        Gpu::None(_) => None,
    };
    let cpu = |reason: String| ExecutorInfo {
        executor: Executor::Cpu,
        reason,
        adapter: adapter.clone(),
        self_test_max_error: None,
    };
    decoder.reset();
    decoder.use_cpu().await?;
    let device = match (preference, gpu) {
        (Preference::Cpu, _) => return Ok(cpu("The CPU was chosen.".into())),
        (Preference::Gpu, Gpu::None(reason)) => return Err(ModelError::GpuUnavailable { reason: reason.clone() }),
        (Preference::Auto, Gpu::None(reason)) => return Ok(cpu(format!("On the CPU: {reason}."))),
        (Preference::Auto, Gpu::Device { name, software: true, .. }) => {
            return Ok(cpu(format!("On the CPU: the graphics adapter ({name}) is a program, slower than this.")));
        }
        (_, Gpu::Device { device, .. }) => device,
    };
    match self_test(decoder, device).await {
        Ok(error) => Ok(ExecutorInfo {
            executor: Executor::Gpu,
            reason: if preference == Preference::Gpu {
                "The GPU was chosen, and its self-test agrees with the CPU.".into()
            } else {
                "On the GPU: its self-test agrees with the CPU.".into()
            },
            adapter,
            self_test_max_error: Some(error),
        }),
        Err(error) => {
            decoder.reset();
            decoder.use_cpu().await?;
            match preference {
                Preference::Gpu => Err(ModelError::GpuUnavailable { reason: error.to_string() }),
                _ => Ok(cpu(format!("On the CPU: {error}."))),
            }
        }
    }
}

/// Moves the decoder to `device` and compares; returns the largest difference of a logit.
async fn self_test(decoder: &mut Decoder, device: &lectern_model::Device) -> Result<f32, ModelError> {
    let (batch, last) = SELF_TEST_IDS.split_at(SELF_TEST_IDS.len() - 1);
    let ids_fit = SELF_TEST_IDS.iter().all(|&id| (id as usize) < decoder.config().vocab_size)
        && decoder.n_ctx() > SELF_TEST_IDS.len();
    if !ids_fit {
        return Err(ModelError::GpuUnavailable { reason: "the model is too small to test it on".into() });
    }
    decoder.reset();
    let mut expected = decoder.prefill(batch).await?;
    expected.extend(decoder.decode(last[0]).await?);
    decoder.use_gpu(device).await?;
    let mut got = decoder.prefill(batch).await?;
    got.extend(decoder.decode(last[0]).await?);
    decoder.reset();
    let error = expected
        .iter()
        .zip(&got)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |m: f32, e| if e.is_nan() { f32::INFINITY } else { m.max(e) });
    if expected.len() != got.len() || error > SELF_TEST_TOLERANCE {
        return Err(ModelError::GpuUnavailable { reason: format!("its self-test differs from the CPU by {error}") });
    }
    Ok(error)
}
