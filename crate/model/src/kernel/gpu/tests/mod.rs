//! Kernels against plain loops, on whatever Vulkan adapter the machine has.

mod attention;
mod choose;
mod matmul;
mod matvec;
mod rows;

use super::{Gpu, GpuMatrix, Tuning};
use crate::packed::{BLOCK, PackedFormat, PackedMatrix};
use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;
use std::sync::OnceLock;

pub const FORMATS: [PackedFormat; 4] = [PackedFormat::Q4, PackedFormat::Q8, PackedFormat::F16, PackedFormat::F32];
pub const TUNINGS: [Tuning; 2] = [Tuning::SOFTWARE, Tuning::HARDWARE];

/// The test's device.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            Device::wgpu_options()
                .graphics_api(WgpuBackend::Vulkan)
                .init()
                .unwrap_or_else(|error| panic!("no Vulkan adapter: apt-get install mesa-vulkan-drivers ({error})"))
        })
        .clone()
}

pub fn gpu(tuning: Tuning) -> Gpu {
    let mut gpu = Gpu::new(&device()).unwrap();
    gpu.tuning = tuning;
    gpu
}

/// Repeatable numbers in −1..1.
pub struct Noise(pub u32);

impl Noise {
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 ^ self.0 >> 15
    }

    pub fn number(&mut self) -> f32 {
        self.word() as f32 / 2f32.powi(31) - 1.0
    }

    pub fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.number()).collect()
    }

    fn half(&mut self) -> u32 {
        half::f16::from_f32(self.number()).to_bits() as u32
    }

    pub fn matrix(&mut self, format: PackedFormat, rows: usize, cols: usize) -> PackedMatrix {
        let n_words = rows * cols / BLOCK * format.block_bytes() / 4;
        let quants = (0..n_words)
            .map(|_| match format {
                PackedFormat::F32 => self.number().to_bits(),
                PackedFormat::F16 => self.half() | self.half() << 16,
                _ => self.word(),
            })
            .collect();
        let scale = |noise: &mut Self, by: f32| half::f16::from_f32(noise.number() * by).to_bits() as u32;
        let scales = match format {
            PackedFormat::Q4 => (0..rows * cols / BLOCK).map(|_| scale(self, 0.1) | scale(self, 1.0) << 16).collect(),
            PackedFormat::Q8 => (0..rows * cols / BLOCK).map(|_| scale(self, 0.01)).collect(),
            _ => Vec::new(),
        };
        PackedMatrix { rows, cols, format, quants, scales }
    }
}

/// `W x`, in double precision.
pub fn product(matrix: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    (0..matrix.rows)
        .map(|row| matrix.row(row).iter().zip(x).map(|(w, x)| *w as f64 * *x as f64).sum::<f64>() as f32)
        .collect()
}

pub fn rms_normed(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let inverse = 1.0 / (x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32 + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * inverse * w).collect()
}

pub fn silu(v: f32) -> f32 {
    v / (1.0 + (-v).exp())
}

#[track_caller]
pub fn assert_close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1f32, |max, v| max.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{what}: [{i}] is {g} where {e} is expected (scale {scale})");
    }
}

pub fn upload(gpu: &Gpu, matrix: &PackedMatrix) -> GpuMatrix {
    GpuMatrix::new(gpu, &[matrix]).unwrap()
}

pub fn read(gpu: &Gpu, handle: &cubecl::server::Handle, n: usize) -> Vec<f32> {
    pollster::block_on(gpu.read(handle, 0, n)).unwrap()
}
