//! Books: whole files, or one part of a well-formed one.

#![no_main]

use lectern_fuzz::{check_extract, package};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_extract("a.epub", &package::file(&package::BOOK, bytes)));
