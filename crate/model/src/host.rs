//! What the core needs from whoever runs it, and cannot have by itself in a page.

/// A clock, a way to be stopped, and a turn for others.
pub trait Host {
    /// Milliseconds since any fixed moment.
    fn now_ms(&self) -> f64;

    /// Whether the person asked to stop.
    fn cancelled(&self) -> bool;

    /// Why the GPU can no longer be trusted, if the host has seen it fail.
    fn gpu_failure(&self) -> Option<String>;

    /// Gives way, so that a message ("stop") can arrive between two tokens.
    fn breathe(&self) -> impl Future<Output = ()>;
}

/// Nobody: a clock that stands still, and no one to give way to.
impl Host for () {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn gpu_failure(&self) -> Option<String> {
        None
    }

    async fn breathe(&self) {}
}
