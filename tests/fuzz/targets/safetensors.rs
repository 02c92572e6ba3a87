//! Adapters; the first two bytes say how long their description is, and the tensors come after it.

#![no_main]

use lectern_adapter::PeftAdapter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (config, tensors) = rest.split_at(length);
    let Ok(adapter) = PeftAdapter::parse(config, tensors) else { return };
    let _ = adapter.config.target_names();
    for (module, factors) in &adapter.modules {
        let rank = adapter.config.rank_of(module);
        let _ = adapter.config.scaling(module, rank);
        for factor in [&factors.a, &factors.b].into_iter().flatten() {
            assert_eq!(factor.values.len(), factor.shape[0] * factor.shape[1]);
        }
    }
});
