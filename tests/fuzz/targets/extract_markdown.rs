//! Markdown.

#![no_main]

use lectern_fuzz::check_written;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_written("a.md", bytes));
