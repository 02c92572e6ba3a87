//! Plain text in any encoding.

#![no_main]

use lectern_fuzz::check_extract;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check_extract("a.txt", bytes));
