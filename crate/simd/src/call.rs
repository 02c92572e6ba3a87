//! One product as the kernels take it.

use crate::BLOCK;

/// Weight rows that meet activations together.
pub const PANEL: usize = 8;

/// One block of eight weight rows.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct PanelBlock {
    /// `[32/4, PANEL, 4]`
    pub quants: [[[u8; 4]; PANEL]; BLOCK / 4],
    pub d: [f32; PANEL],
    /// What an activation block's offset is multiplied with: the minima, or `d·Σq` for Q8.
    pub m: [f32; PANEL],
}

impl PanelBlock {
    pub const ZERO: Self = Self { quants: [[[0; 4]; PANEL]; BLOCK / 4], d: [0.0; PANEL], m: [0.0; PANEL] };
}

/// One product, as it crosses to another module.
#[repr(C)]
pub struct Call {
    pub is_q8: u32,
    pub rows: usize,
    pub n_blocks: usize,
    pub n: usize,
    /// `[rows, n_blocks]` blocks.
    pub quants: *const u8,
    /// `[rows, n_blocks]`
    pub scales: *const u32,
    /// `[⌈n/TILE⌉, n_blocks]` of `TileBlock<TILE>`, or for one row and Q4 `[n_blocks]` of `TileBlock<1>`.
    pub tiles: *const u32,
    /// `[n, rows]`
    pub out: *mut f32,
    /// `[n_blocks + 1]`; the last is room for sums.
    pub panel: *mut PanelBlock,
}
