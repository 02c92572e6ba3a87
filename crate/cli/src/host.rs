//! The clock of a command line; nobody stops it but the terminal.

use std::time::Instant;

use lectern_engine::model::host::Host;

pub struct Terminal {
    started: Instant,
}

impl Terminal {
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Host for Terminal {
    fn now_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn gpu_failure(&self) -> Option<String> {
        None
    }

    async fn breathe(&self) {}
}
