//! The browser's graphics device.

use lectern_engine::{Gpu, Preference};

use crate::dto::Adapter;

/// Opens the adapter where it is worth it: software adapters only when asked for by name.
pub async fn open(preference: Preference, adapter: Adapter) -> Gpu {
    match (preference, adapter) {
        (Preference::Cpu, _) => Gpu::None("it was not asked for".into()),
        (_, Adapter::None { reason }) => Gpu::None(reason),
        (Preference::Auto, Adapter::Found { name, software: true }) => {
            Gpu::None(format!("the graphics adapter ({name}) is a program, slower than the CPU path"))
        }
        (_, Adapter::Found { name, software }) => start(name, software).await,
    }
}

#[cfg(feature = "gpu")]
async fn start(name: String, software: bool) -> Gpu {
    use std::cell::RefCell;

    // The runtime can be started once in a module's life.
    thread_local! { static OPEN: RefCell<Option<burn::tensor::Device>> = const { RefCell::new(None) }; }

    let open = OPEN.with_borrow(Clone::clone);
    let device = match open {
        Some(device) => device,
        None => match burn::tensor::Device::wgpu_options().tasks_max(256).init_async().await {
            Ok(device) => {
                OPEN.set(Some(device.clone()));
                device
            }
            Err(error) => return Gpu::None(format!("WebGPU could not be started ({error})")),
        },
    };
    Gpu::Device { device, name, software }
}

#[cfg(not(feature = "gpu"))]
async fn start(_: String, _: bool) -> Gpu {
    Gpu::None("this module has no GPU executor".into())
}
