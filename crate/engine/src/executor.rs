//! Which executor runs, and the sentence that says why.

use lectern_model::decoder::{Decoder, Executor, LONG_CONTEXT};
use lectern_model::encoder::Encoder;
use lectern_model::host::Host;
use lectern_model::sample::{Sampler, SamplingOptions, argmax};
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
const SELF_TEST_IDS: [u32; 24] =
    [1, 9, 33, 17, 4, 58, 2, 71, 26, 90, 45, 12, 64, 7, 83, 39, 21, 50, 96, 15, 88, 30, 5, 77];
/// How a decoder reads all of them but the last: each number of rows has kernels of its own.
const SELF_TEST_BATCHES: [usize; 2] = [20, 3];
/// The executors sum in different orders; a logit that differs by more is wrong.
const LOGIT_TOLERANCE: f32 = 0.05;
/// The same of a component of a unit vector.
const COMPONENT_TOLERANCE: f32 = 0.01;

/// Puts `decoder` on the executor that `preference` and `gpu` lead to. A GPU runs only when its
/// logits for a known prompt equal the CPU's.
///
/// # Errors
/// `gpu-unavailable` when the GPU was asked for by name and cannot be used; the decoder is then on the CPU.
pub async fn choose<H: Host>(
    decoder: &mut Decoder,
    preference: Preference,
    gpu: &Gpu,
    host: &H,
) -> Result<ExecutorInfo, ModelError> {
    decoder.reset();
    decoder.use_cpu(host).await?;
    let device = match candidate(preference, gpu)? {
        Ok(device) => device,
        Err(reason) => return Ok(gpu.on_the_cpu(reason)),
    };
    let tested = test_decoder(decoder, device, host).await;
    if tested.is_err() {
        decoder.reset();
        decoder.use_cpu(host).await?;
    }
    verdict(tested, preference, gpu)
}

/// Puts `encoder` on the executor that `preference` and `gpu` lead to, as [`choose`] does a decoder.
///
/// # Errors
/// As [`choose`]; the encoder is then on the CPU.
pub async fn choose_encoder<H: Host>(
    encoder: &mut Encoder,
    preference: Preference,
    gpu: &Gpu,
    host: &H,
) -> Result<ExecutorInfo, ModelError> {
    encoder.use_cpu();
    let device = match candidate(preference, gpu)? {
        Ok(device) => device,
        Err(reason) => return Ok(gpu.on_the_cpu(reason)),
    };
    let tested = test_encoder(encoder, device, host).await;
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
pub(crate) fn candidate(preference: Preference, gpu: &Gpu) -> Result<Result<&Device, String>, ModelError> {
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
async fn test_decoder<H: Host>(decoder: &mut Decoder, device: &Device, host: &H) -> Result<f32, ModelError> {
    fits(decoder.config().vocab_size, decoder.n_ctx())?;
    let expected = self_test_logits(decoder, host).await?;
    decoder.use_gpu(device).await?;
    let got = self_test_logits(decoder, host).await?;
    let error = compare(&expected, &got, LOGIT_TOLERANCE)?;
    // The last logits once more as in a long context, and the tokens that follow, chosen by the GPU itself.
    let ([.., last], n_before) = (SELF_TEST_IDS, SELF_TEST_IDS.len() - 1);
    let after_last = got.len() - decoder.config().vocab_size;
    decoder.truncate(n_before);
    decoder.share_attention_from(0);
    let shared = decoder.decode(last, host).await?;
    decoder.share_attention_from(LONG_CONTEXT);
    let error = error.max(compare(&expected[after_last..], &shared, LOGIT_TOLERANCE)?);
    let greedy = SamplingOptions::default();
    let mut chosen = Vec::new();
    for options in [greedy, SamplingOptions { temperature: 1.0, top_k: 1, ..greedy }] {
        decoder.truncate(n_before);
        chosen.push(decoder.decode_some(last, 3, &Sampler::new(options), host).await?);
    }
    if chosen[0] != chosen[1] || chosen[0][0] != argmax(&got[after_last..]) {
        let reason = "in its self-test it chooses tokens that its logits do not".into();
        return Err(ModelError::GpuUnavailable { reason });
    }
    decoder.reset();
    Ok(error)
}

/// Logits after each batch and after the last id.
async fn self_test_logits<H: Host>(decoder: &mut Decoder, host: &H) -> Result<Vec<f32>, ModelError> {
    decoder.reset();
    let mut logits = Vec::new();
    let mut rest = &SELF_TEST_IDS[..];
    for n in SELF_TEST_BATCHES {
        let (batch, after) = rest.split_at(n);
        logits.extend(decoder.prefill(batch, host).await?);
        rest = after;
    }
    for &id in rest {
        logits.extend(decoder.decode(id, host).await?);
    }
    Ok(logits)
}

/// Moves the encoder to `device` and compares; returns the largest difference of a component.
async fn test_encoder<H: Host>(encoder: &mut Encoder, device: &Device, host: &H) -> Result<f32, ModelError> {
    fits(encoder.config().vocab_size, encoder.config().max_tokens)?;
    let expected = self_test_vectors(encoder, host).await?;
    encoder.use_gpu(device).await?;
    compare(&expected, &self_test_vectors(encoder, host).await?, COMPONENT_TOLERANCE)
}

/// Vectors of two texts together, and of the shorter one alone: few rows have kernels of their own.
async fn self_test_vectors<H: Host>(encoder: &mut Encoder, host: &H) -> Result<Vec<f32>, ModelError> {
    let texts = [SELF_TEST_IDS.to_vec(), SELF_TEST_IDS[15..].to_vec()];
    let together = encoder.embed(&texts, host).await?;
    let alone = encoder.embed(&texts[1..], host).await?;
    Ok([together, alone].concat().concat())
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
