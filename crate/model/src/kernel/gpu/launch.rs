//! The device as the executors use it: buffers, launches that are counted, asynchronous reads.

use super::Tuning;
use super::state;
use crate::error::ModelError;
use crate::packed::{PackedFormat, PackedMatrix};
use crate::sample::Sampler;
use burn::backend::DispatchDevice;
use burn::tensor::Device;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use std::cell::Cell;

/// The largest storage binding that WebGPU guarantees.
pub const MAX_BINDING_BYTES: usize = 128 << 20;

/// A CubeCL client with this crate's conventions.
pub struct Gpu {
    pub client: Client,
    pub tuning: Tuning,
    unused: [Handle; 3],
    n_launched: Cell<usize>,
}

impl Gpu {
    /// # Errors
    /// `gpu-unavailable` when the device is not one that runs shaders.
    pub fn new(device: &Device) -> Result<Self, ModelError> {
        #[allow(unreachable_patterns)]
        let client = match device.as_dispatch() {
            DispatchDevice::Cube(cube) => cube.client(),
            _ => return Err(unavailable("the chosen device runs no shaders")),
        };
        let tuning = Tuning::of(&client);
        let unused = [0; 3].map(|_: u8| client.create_from_slice(&[0; 16]));
        Ok(Self { client, tuning, unused, n_launched: Cell::new(0) })
    }

    /// One of three buffers to bind where a variant of a kernel reads nothing.
    pub fn unused(&self, i: usize) -> BufferArg {
        arg(&self.unused[i], 1)
    }

    /// Counts a launch; called beside each.
    pub fn count(&self) {
        self.n_launched.set(self.n_launched.get() + 1);
    }

    /// Launches counted since the last call.
    pub fn take_count(&self) -> usize {
        self.n_launched.replace(0)
    }

    /// A buffer of numbers.
    ///
    /// # Errors
    /// `gpu-unavailable` when it is larger than a binding may be.
    pub fn upload<T: bytemuck::NoUninit>(&self, data: &[T]) -> Result<Handle, ModelError> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        check_size(bytes.len())?;
        // An empty buffer cannot be bound.
        Ok(self.client.create_from_slice(if bytes.is_empty() { &[0; 16] } else { bytes }))
    }

    /// An uninitialised buffer of `n` words.
    ///
    /// # Errors
    /// `gpu-unavailable` when it is larger than a binding may be.
    pub fn empty(&self, n: usize) -> Result<Handle, ModelError> {
        check_size(n * 4)?;
        Ok(self.client.empty(n.max(4) * 4))
    }

    /// Overwrites a whole buffer, in order with the launches.
    pub fn write<T: bytemuck::NoUninit>(&self, handle: &Handle, data: &[T]) {
        let bytes = cubecl::bytes::Bytes::from_bytes_vec(bytemuck::cast_slice(data).to_vec());
        self.client.write(handle, bytes);
    }

    /// Words `from..from + n` of a buffer.
    ///
    /// # Errors
    /// `gpu-lost`.
    pub async fn read<T: bytemuck::Pod>(&self, handle: &Handle, from: usize, n: usize) -> Result<Vec<T>, ModelError> {
        let size = handle.size_in_used() as usize;
        let part = handle.clone().offset_start((from * 4) as u64).offset_end((size - (from + n) * 4) as u64);
        let bytes = self.client.read_async(vec![part]).await.map_err(lost)?;
        let bytes = bytes.first().ok_or_else(|| lost("the read returned nothing"))?;
        if bytes.len() != n * 4 {
            return Err(lost(format!("the read returned {} bytes of {}", bytes.len(), n * 4)));
        }
        Ok(bytemuck::pod_collect_to_vec(bytes))
    }
}

fn check_size(n_bytes: usize) -> Result<(), ModelError> {
    if n_bytes > MAX_BINDING_BYTES {
        return Err(unavailable(format!(
            "a matrix of this model takes {} MiB and graphics devices promise {}",
            n_bytes >> 20,
            MAX_BINDING_BYTES >> 20
        )));
    }
    Ok(())
}

/// `gpu-lost` for a reason, which the runtime words as a report of many lines with a backtrace at its end.
pub fn lost(reason: impl std::fmt::Display) -> ModelError {
    let report = reason.to_string();
    let told = report
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Backtrace"))
        .filter(|line| !line.is_empty() && *line != "Caused by:");
    ModelError::GpuLost { reason: told.collect::<Vec<_>>().join(": ") }
}

/// `gpu-unavailable` for a reason.
pub fn unavailable(reason: impl std::fmt::Display) -> ModelError {
    ModelError::GpuUnavailable { reason: reason.to_string() }
}

/// `len` elements of a buffer as a kernel's argument.
pub fn arg(handle: &Handle, len: usize) -> BufferArg {
    // SAFETY: every caller's `len` is derived from the size the buffer was made with.
    unsafe { BufferArg::from_raw_parts(handle.clone(), len) }
}

/// Rows of one or several packed matrices of one format, one after the other.
pub struct GpuMatrix {
    pub rows: usize,
    pub cols: usize,
    pub format: PackedFormat,
    quants: Handle,
    scales: Option<Handle>,
}

impl GpuMatrix {
    /// Uploads matrices of the same format and width as one.
    ///
    /// # Errors
    /// `gpu-unavailable` when they are too large together.
    pub fn new(gpu: &Gpu, matrices: &[&PackedMatrix]) -> Result<Self, ModelError> {
        let first = matrices[0];
        debug_assert!(matrices.iter().all(|m| m.format == first.format && m.cols == first.cols));
        let (quants, scales) = match matrices {
            [one] => (gpu.upload(&one.quants)?, first.format.has_scales().then(|| gpu.upload(&one.scales))),
            _ => {
                let quants: Vec<u32> = matrices.iter().flat_map(|m| m.quants.iter().copied()).collect();
                let scales: Vec<u32> = matrices.iter().flat_map(|m| m.scales.iter().copied()).collect();
                (gpu.upload(&quants)?, first.format.has_scales().then(|| gpu.upload(&scales)))
            }
        };
        Ok(Self {
            rows: matrices.iter().map(|m| m.rows).sum(),
            cols: first.cols,
            format: first.format,
            quants,
            scales: scales.transpose()?,
        })
    }

    fn n_blocks(&self) -> usize {
        self.rows * self.cols / crate::packed::BLOCK
    }

    /// The quants in vectors of four words.
    pub fn quants4(&self) -> BufferArg {
        arg(&self.quants, self.n_blocks() * self.format.block_bytes() / 16)
    }

    /// The quants in words.
    pub fn quants(&self) -> BufferArg {
        arg(&self.quants, self.n_blocks() * self.format.block_bytes() / 4)
    }

    /// The scale words; [`Gpu::unused`] 0 for formats without.
    pub fn scales(&self, gpu: &Gpu) -> BufferArg {
        match &self.scales {
            Some(scales) => arg(scales, self.n_blocks()),
            None => gpu.unused(0),
        }
    }
}

/// State words of a step of up to `n` ids, see [`state`].
pub fn state_words(position: usize, row: usize, scale: f32, ids: &[u32], n: usize) -> Vec<u32> {
    let mut words = vec![0; state::IDS + n];
    words[state::POSITION] = position as u32;
    words[state::ROW] = row as u32;
    words[state::SCALE] = scale.to_bits();
    words[state::IDS..state::IDS + ids.len()].copy_from_slice(ids);
    words
}

/// Puts into the state how a token is drawn.
pub fn draw_words(words: &mut [u32], sampler: &Sampler) {
    let options = sampler.options();
    words[state::TEMPERATURE] = options.temperature.to_bits();
    words[state::TOP_K] = u32::try_from(options.top_k).unwrap_or(u32::MAX);
    words[state::TOP_P] = options.top_p.to_bits();
    words[state::SEED] = options.seed as u32;
    words[state::SEED + 1] = (options.seed >> 32) as u32;
    words[state::N_DRAWN] = sampler.n_drawn();
}
