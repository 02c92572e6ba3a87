//! One line for each step: what is done, how long it took, or that it was done before.

use std::io::IsTerminal;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Between two signs of life of a step where there is no terminal to animate.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A step that was done before.
pub fn skip(what: impl std::fmt::Display) {
    eprintln!("✓ {what}");
}

/// Something that was not done, and why.
pub fn left_out(what: impl std::fmt::Display) {
    eprintln!("– {what}");
}

/// A step whose program reports its own progress (cargo, npm, pip, test runners).
pub fn loud<T>(what: impl std::fmt::Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("→ {what}");
    work()
}

/// A step that is silent while it runs: a spinner on a terminal, now and then a line elsewhere.
pub fn quiet<T>(what: impl std::fmt::Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let what = what.to_string();
    let started = Instant::now();
    let life = SignOfLife::start(&what);
    let result = work();
    life.stop();
    if result.is_ok() {
        let seconds = started.elapsed().as_secs_f32();
        if seconds < 1.0 {
            eprintln!("✓ {what}");
        } else {
            eprintln!("✓ {what} ({seconds:.0} s)");
        }
    }
    result
}

enum SignOfLife {
    Spinner(ProgressBar),
    Lines { stop: Sender<()>, thread: JoinHandle<()> },
}

impl SignOfLife {
    fn start(what: &str) -> Self {
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(120));
            return Self::Spinner(spinner);
        }
        eprintln!("→ {what}");
        let (stop, stopped) = channel::<()>();
        let what = what.to_owned();
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            while stopped
                .recv_timeout(HEARTBEAT)
                .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                eprintln!("  {what}: {} s so far", started.elapsed().as_secs());
            }
        });
        Self::Lines { stop, thread }
    }

    fn stop(self) {
        match self {
            Self::Spinner(spinner) => spinner.finish_and_clear(),
            Self::Lines { stop, thread } => {
                drop(stop);
                let _ = thread.join();
            }
        }
    }
}
