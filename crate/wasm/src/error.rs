//! Every rejection is a plain `{ code, message }`.

use lectern_engine::EngineError;
use wasm_bindgen::JsValue;

use crate::dto::{ErrorInfo, to_js};

/// An error on its way to JavaScript.
pub struct Rejection(ErrorInfo);

impl Rejection {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self(ErrorInfo { code: code.to_owned(), message: message.into() })
    }

    /// A second long call while one runs.
    #[cfg(feature = "engine")]
    pub fn busy() -> Self {
        Self::new("busy", "the engine is still at work; wait until it is done, or stop it")
    }
}

impl<E: Into<EngineError>> From<E> for Rejection {
    fn from(error: E) -> Self {
        let error = error.into();
        Self::new(error.code(), error.to_string())
    }
}

impl From<Rejection> for JsValue {
    fn from(rejection: Rejection) -> Self {
        to_js(&rejection.0)
    }
}
