//! Which executor runs, and the sentence that says why.

use lectern_model::decoder::{Decoder, Executor};
use lectern_model::encoder::Encoder;
use lectern_model::{Device, ModelError};

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
    Device { device: Device, name: String, software: bool },
}

/// What runs, for the page's line of facts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorInfo {
    pub executor: Executor,
    /// A sentence for people.
    pub reason: String,
    /// The graphics adapter, if there is one.
    pub adapter: Option<String>,
    /// Largest difference between the executors in the self-test: of a logit, or of an embedder's component.
    pub self_test_max_error: Option<f32>,
}

impl ExecutorInfo {
    /// What runs when a graphics device cannot be had for `reason`.
    pub fn without_gpu(reason: &str) -> Self {
        Self {
            executor: Executor::Cpu,
            reason: format!("On the CPU: {reason}."),
            adapter: None,
            self_test_max_error: None,
        }
    }

    /// What runs after a graphics device failed with `reason`.
    pub fn gpu_lost(reason: &str) -> Self {
        Self::without_gpu(&format!("the graphics device failed ({reason})"))
    }
}

/// Ids of the known-answer test; any do, these are in every vocabulary.
const SELF_TEST_IDS: [u32; 12] = [1, 9, 33, 17, 4, 58, 2, 71, 26, 90, 45, 12];
/// The executors sum in different orders; a logit that differs by more is wrong.
const LOGIT_TOLERANCE: f32 = 0.05;
/// The same of a component of a unit vector.
const COMPONENT_TOLERANCE: f32 = 0.01;

/// Puts `decoder` on the executor that `preference` and `gpu` lead to. A GPU runs only when its
/// logits for a known prompt equal the CPU's.
///
/// # Errors
/// `gpu-unavailable` when the GPU was asked for by name and cannot be used; the decoder is then on the CPU.
pub async fn choose(decoder: &mut Decoder, preference: Preference, gpu: &Gpu) -> Result<ExecutorInfo, ModelError> {
    decoder.reset();
    decoder.use_cpu().await?;
    let device = match candidate(preference, gpu)? {
        Ok(device) => device,
        Err(reason) => return Ok(gpu.on_the_cpu(reason)),
    };
    let tested = test_decoder(decoder, device).await;
    if tested.is_err() {
        decoder.reset();
        decoder.use_cpu().await?;
    }
    verdict(tested, preference, gpu)
}

/// Puts `encoder` on the executor that `preference` and `gpu` lead to, as [`choose`] does a decoder.
///
/// # Errors
/// As [`choose`]; the encoder is then on the CPU.
pub async fn choose_encoder(
    encoder: &mut Encoder,
    preference: Preference,
    gpu: &Gpu,
) -> Result<ExecutorInfo, ModelError> {
    encoder.use_cpu();
    let device = match candidate(preference, gpu)? {
        Ok(device) => device,
        Err(reason) => return Ok(gpu.on_the_cpu(reason)),
    };
    let tested = test_encoder(encoder, device).await;
    if tested.is_err() {
        encoder.use_cpu();
    }
    verdict(tested, preference, gpu)
}

impl Gpu {
    fn on_the_cpu(&self, reason: String) -> ExecutorInfo {
        let adapter = match self {
            Self::Device { name, .. } => Some(name.clone()),
            Self::None(_) => None,
        };
        ExecutorInfo { executor: Executor::Cpu, reason, adapter, self_test_max_error: None }
    }
}

/// The device to try, or the reason to stay on the CPU.
fn candidate(preference: Preference, gpu: &Gpu) -> Result<Result<&Device, String>, ModelError> {
    Ok(match (preference, gpu) {
        (Preference::Cpu, _) => Err("The CPU was chosen.".into()),
        (Preference::Gpu, Gpu::None(reason)) => return Err(ModelError::GpuUnavailable { reason: reason.clone() }),
        (Preference::Auto, Gpu::None(reason)) => Err(format!("On the CPU: {reason}.")),
        (Preference::Auto, Gpu::Device { name, software: true, .. }) => {
            Err(format!("On the CPU: the graphics adapter ({name}) is a program, slower than this."))
        }
        (_, Gpu::Device { device, .. }) => Ok(device),
    })
}

/// What a self-test with this outcome leads to.
fn verdict(tested: Result<f32, ModelError>, preference: Preference, gpu: &Gpu) -> Result<ExecutorInfo, ModelError> {
    let reason = match preference {
        Preference::Gpu => "The GPU was chosen, and its self-test agrees with the CPU.",
        _ => "On the GPU: its self-test agrees with the CPU.",
    };
    match tested {
        Ok(error) => Ok(ExecutorInfo {
            executor: Executor::Gpu,
            self_test_max_error: Some(error),
            ..gpu.on_the_cpu(reason.into())
        }),
        Err(error) if preference == Preference::Gpu => Err(ModelError::GpuUnavailable { reason: error.to_string() }),
        Err(error) => Ok(gpu.on_the_cpu(format!("On the CPU: {error}."))),
    }
}

/// Moves the decoder to `device` and compares; returns the largest difference of a logit.
async fn test_decoder(decoder: &mut Decoder, device: &Device) -> Result<f32, ModelError> {
    let (batch, last) = SELF_TEST_IDS.split_at(SELF_TEST_IDS.len() - 1);
    fits(decoder.config().vocab_size, decoder.n_ctx())?;
    decoder.reset();
    let mut expected = decoder.prefill(batch).await?;
    expected.extend(decoder.decode(last[0]).await?);
    decoder.use_gpu(device).await?;
    let mut got = decoder.prefill(batch).await?;
    got.extend(decoder.decode(last[0]).await?);
    decoder.reset();
    compare(&expected, &got, LOGIT_TOLERANCE)
}

/// Moves the encoder to `device` and compares; returns the largest difference of a component.
async fn test_encoder(encoder: &mut Encoder, device: &Device) -> Result<f32, ModelError> {
    fits(encoder.config().vocab_size, encoder.config().max_tokens)?;
    let batch = [SELF_TEST_IDS.to_vec(), SELF_TEST_IDS[3..].to_vec()];
    let expected = encoder.embed(&batch).await?.concat();
    encoder.use_gpu(device).await?;
    compare(&expected, &encoder.embed(&batch).await?.concat(), COMPONENT_TOLERANCE)
}

fn fits(vocab_size: usize, n_positions: usize) -> Result<(), ModelError> {
    if SELF_TEST_IDS.iter().any(|&id| id as usize >= vocab_size) || n_positions <= SELF_TEST_IDS.len() {
        return Err(ModelError::GpuUnavailable { reason: "the model is too small to test it on".into() });
    }
    Ok(())
}

fn compare(expected: &[f32], got: &[f32], tolerance: f32) -> Result<f32, ModelError> {
    let differences = expected.iter().zip(got).map(|(a, b)| (a - b).abs());
    let error = differences.fold(0.0, |m: f32, e| if e.is_nan() { f32::INFINITY } else { m.max(e) });
    if expected.len() != got.len() || error > tolerance {
        return Err(ModelError::GpuUnavailable { reason: format!("its self-test differs from the CPU by {error}") });
    }
    Ok(error)
}
