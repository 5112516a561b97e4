//! The engine in a page: what `engine.js` exports. A page's worker opens a [`Device`], gives it a config as TOML, and has the
//! [`Run`](run::Run) train piece by piece. Nothing here blocks.
#![cfg(target_arch = "wasm32")]

mod device;
mod listener;
mod run;
mod tables;

use wasm_bindgen::prelude::*;

/// An error of the engine, in its own words.
fn fault(err: impl std::fmt::Display) -> JsError {
    JsError::new(&err.to_string())
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Reports a panic before it ends the worker.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}
