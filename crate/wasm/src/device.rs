//! The browser's graphics device.

use lectern_engine::{Gpu, Preference};

/// Opens WebGPU where it is there and worth it: software adapters only when asked for by name.
#[cfg(feature = "gpu")]
pub async fn open(preference: Preference) -> Gpu {
    use std::cell::RefCell;

    // The runtime can be started once in a module's life.
    thread_local! { static OPEN: RefCell<Option<burn::tensor::Device>> = const { RefCell::new(None) }; }

    if preference == Preference::Cpu {
        return Gpu::None("it was not asked for".into());
    }
    let adapter = match probe().await {
        Ok(adapter) => adapter,
        Err(reason) => return Gpu::None(reason.into()),
    };
    if adapter.software && preference == Preference::Auto {
        return Gpu::None(format!("the graphics adapter ({}) is a program, slower than the CPU path", adapter.name));
    }
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
    Gpu::Device { device, name: adapter.name, software: adapter.software }
}

#[cfg(not(feature = "gpu"))]
pub async fn open(_: Preference) -> Gpu {
    Gpu::None("this build has no GPU executor".into())
}

#[cfg(feature = "gpu")]
struct Adapter {
    name: String,
    software: bool,
}

/// Asks the browser what it would give.
#[cfg(feature = "gpu")]
async fn probe() -> Result<Adapter, &'static str> {
    use js_sys::{Function, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED);
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let request = get(&gpu, "requestAdapter").dyn_into::<Function>().map_err(|_| "this browser has no WebGPU")?;
    let promise = request.call0(&gpu).ok().and_then(|p| p.dyn_into::<Promise>().ok()).ok_or("WebGPU did not answer")?;
    let adapter = JsFuture::from(promise).await.map_err(|_| "WebGPU gave no adapter")?;
    if adapter.is_null() || adapter.is_undefined() {
        return Err("WebGPU found no graphics adapter");
    }
    let info = get(&adapter, "info");
    let words: Vec<String> = ["description", "device", "architecture", "vendor"]
        .into_iter()
        .filter_map(|key| get(&info, key).as_string())
        .filter(|w| !w.is_empty())
        .collect();
    let is_fallback = [&info, &adapter].into_iter().any(|o| get(o, "isFallbackAdapter").as_bool() == Some(true));
    let all = words.join(" ").to_lowercase();
    let software =
        is_fallback || ["swiftshader", "llvmpipe", "lavapipe", "basic render", "warp"].iter().any(|s| all.contains(s));
    Ok(Adapter { name: words.into_iter().next().unwrap_or_else(|| "unnamed".into()), software })
}
