//! Turns for others within long work.

use crate::host::Host;

/// Milliseconds of work after which others have a turn: a page's worker is to be heard within 50.
const MAX_MS: f64 = 10.0;

/// When the last turn was.
pub struct Pace<'a, H: Host> {
    host: &'a H,
    last: f64,
}

impl<'a, H: Host> Pace<'a, H> {
    pub fn new(host: &'a H) -> Self {
        Self { host, last: host.now_ms() }
    }

    /// To be called after every small step.
    pub async fn step(&mut self) {
        if self.host.now_ms() - self.last >= MAX_MS {
            self.host.breathe().await;
            self.last = self.host.now_ms();
        }
    }
}
