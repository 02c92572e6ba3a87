//! Where the models and the golden values are. A missing one fails the test that needs it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake};

use lectern_engine::ModelFile;
use lectern_model::host::Host;

const DECODER: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const EMBEDDER: &str = "all-MiniLM-L6-v2.Q8_0.gguf";

/// `LECTERN_MODELS`, or `models/cache` of the checkout.
pub fn models_dir() -> PathBuf {
    match std::env::var_os("LECTERN_MODELS") {
        Some(dir) if !dir.is_empty() => dir.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cache"),
    }
}

/// The default decoder's file.
pub fn decoder_gguf() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| model(DECODER));
    &BYTES
}

/// The default embedder's file.
pub fn embedder_gguf() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| model(EMBEDDER));
    &BYTES
}

/// A model's file as a session takes it.
pub fn model_file(bytes: &[u8]) -> ModelFile {
    ModelFile::read(bytes, None).expect("a GGUF file")
}

/// `tests/golden/<name>.json`.
pub fn golden(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; make it as tests/reference/README.md says", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Token ids of a golden file.
pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    let ids = value.as_array().expect("a list of token ids");
    ids.iter().map(|id| id.as_u64().expect("a token id") as u32).collect()
}

/// Real numbers of a golden file.
pub fn floats(value: &serde_json::Value) -> Vec<f32> {
    let values = value.as_array().expect("a list of numbers");
    values.iter().map(|value| value.as_f64().expect("a number") as f32).collect()
}

/// `adapter_config.json` and `adapter_model.safetensors` of a shipped voice.
pub fn adapter_files(name: &str) -> (Vec<u8>, Vec<u8>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/adapters").join(name);
    let read = |file: &str| {
        let path = dir.join(file);
        std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `git checkout models/adapters`", path.display()))
    };
    (read("adapter_config.json"), read("adapter_model.safetensors"))
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The largest difference of two equally long lists; not a number counts as infinite.
pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest: f32, d| if d.is_nan() { f32::INFINITY } else { largest.max(d) })
}

fn model(file: &str) -> Vec<u8> {
    let path = models_dir().join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask models`", path.display()))
}

/// A host whose clock ticks at every look and who can be told to stop.
/// Clones are the same host.
#[derive(Clone, Default)]
pub struct TestHost {
    ticks: Rc<Cell<u32>>,
    /// Whether the person has asked to stop.
    pub stop: Rc<Cell<bool>>,
    /// Looks at [`Host::cancelled`] that still find nothing; the one after them is a stop.
    pub stop_after: Rc<Cell<Option<u32>>>,
    /// Looks at [`Host::gpu_failure`] that still find nothing; from the one after them on the GPU has failed.
    pub gpu_fails_after: Rc<Cell<Option<u32>>>,
    /// Turns that others have had.
    pub turns: Rc<Cell<u32>>,
}

impl Host for TestHost {
    fn now_ms(&self) -> f64 {
        self.ticks.set(self.ticks.get() + 1);
        self.ticks.get().into()
    }

    fn cancelled(&self) -> bool {
        match self.stop_after.get() {
            Some(0) => self.stop.set(true),
            Some(n) => self.stop_after.set(Some(n - 1)),
            None => {}
        }
        self.stop.get()
    }

    fn gpu_failure(&self) -> Option<String> {
        let left = self.gpu_fails_after.get()?;
        self.gpu_fails_after.set(Some(left.saturating_sub(1)));
        (left == 0).then(|| "the test took it away".into())
    }

    async fn breathe(&self) {
        self.turns.set(self.turns.get() + 1);
    }
}
