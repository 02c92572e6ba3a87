//! A page's clock and its stop button.

use std::cell::{Cell, RefCell};

use js_sys::{Function, Promise, Reflect};
use lectern_engine::model::host::Host;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, Performance};

/// What may change while a long call runs.
#[derive(Default)]
pub struct Signals {
    pub cancelled: Cell<bool>,
    pub gpu_failure: RefCell<Option<String>>,
}

pub struct PageHost {
    signals: std::rc::Rc<Signals>,
    performance: Option<Performance>,
    channel: Option<MessageChannel>,
}

impl PageHost {
    pub fn new(signals: std::rc::Rc<Signals>) -> Self {
        let performance = Reflect::get(&js_sys::global(), &"performance".into()).ok().and_then(|p| p.dyn_into().ok());
        Self { signals, performance, channel: MessageChannel::new().ok() }
    }
}

impl Host for PageHost {
    fn now_ms(&self) -> f64 {
        self.performance.as_ref().map_or_else(js_sys::Date::now, Performance::now)
    }

    fn cancelled(&self) -> bool {
        self.signals.cancelled.get()
    }

    fn gpu_failure(&self) -> Option<String> {
        self.signals.gpu_failure.borrow().clone()
    }

    /// A turn of the event loop by way of a message to oneself; a timer would wait for 4 ms.
    async fn breathe(&self) {
        let Some(channel) = &self.channel else { return };
        let turn = Promise::new(&mut |resolve: Function, _| {
            channel.port1().set_onmessage(Some(&resolve));
            // Without the message the turn is simply not taken.
            if channel.port2().post_message(&JsValue::NULL).is_err() {
                let _ = resolve.call0(&JsValue::NULL);
            }
        });
        let _ = JsFuture::from(turn).await;
    }
}
