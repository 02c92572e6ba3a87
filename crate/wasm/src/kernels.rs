//! The second module, for browsers with relaxed SIMD: instantiated over this module's memory, called by its table.

use js_sys::{Function, Object, Reflect, WebAssembly};
use wasm_bindgen::prelude::*;

/// Takes the module that `crate/simd` is built to; products of `fast` precision run in it from now on.
///
/// # Errors
/// `bad-call` when it is another module.
#[wasm_bindgen]
pub fn install_kernels(module: &WebAssembly::Module) -> Result<(), JsValue> {
    let imports = Object::new();
    let environment = Object::new();
    Reflect::set(&environment, &"memory".into(), &wasm_bindgen::memory())?;
    Reflect::set(&imports, &"env".into(), &environment)?;
    let instance = WebAssembly::Instance::new(module, &imports)?;
    let table: WebAssembly::Table = wasm_bindgen::function_table().dyn_into()?;
    let function =
        |name: &str| -> Result<Function, JsValue> { Reflect::get(&instance.exports(), &name.into())?.dyn_into() };
    let place = |name: &str| -> Result<usize, JsValue> {
        let index = table.grow(1)?;
        table.set(index, &function(name)?)?;
        Ok(index as usize)
    };
    let has_dot = function("lectern_has_dot")?.call0(&JsValue::NULL)?.as_f64() == Some(1.0);
    let product = place(if has_dot { "lectern_product_dot" } else { "lectern_product" })?;
    let attention = place("lectern_attention")?;
    #[cfg(target_arch = "wasm32")]
    lectern_engine::model::install_kernels(product, attention);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (product, attention);
    Ok(())
}
