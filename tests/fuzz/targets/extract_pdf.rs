//! PDF files: whole files, or one stream or object of a well-formed one.

#![no_main]

use lectern_fuzz::{check_extract, pdf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_extract("a.pdf", &pdf::file(bytes)));
