//! Tables of values apart by commas, tabs and the like.

#![no_main]

use lectern_fuzz::check_written;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_written("a.csv", bytes));
