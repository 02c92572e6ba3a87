//! Source code; the first byte chooses the language.

#![no_main]

use lectern_fuzz::check_written;
use libfuzzer_sys::fuzz_target;

/// One for each set of line rules.
const NAMES: [&str; 11] = ["a.py", "a.rs", "a.ts", "a.go", "a.java", "a.c", "a.rb", "a.php", "a.sh", "a.lua", "a.tex"];

fuzz_target!(|bytes: &[u8]| {
    if let Some((&first, source)) = bytes.split_first() {
        check_written(NAMES[usize::from(first) % NAMES.len()], source);
    }
});
