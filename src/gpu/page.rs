//! The device in a page. Nothing may wait there: what natively blocks a thread is awaited here.
//!
//! A call that makes something returns before the browser says whether it could. Its error becomes the device's fault, and
//! the next wait returns it: a browser answers in order, so it is known by then. Pipelines are awaited by themselves, all at
//! once, since compiling them takes most of the time before the first step.

use std::collections::HashSet;

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::compile::refused;
use super::pipeline::{Parts, Pipeline};
use super::submissions::Submission;
use super::{Gpu, Inner, ShaderKey};
use crate::clock::Instant;
use crate::error::{Error, Result};

impl Inner {
    /// Ends an error scope. The error that it caught becomes the device's fault, as `fault` words it, when it arrives.
    pub(super) fn caught(
        &self,
        scope: wgpu::ErrorScopeGuard,
        fault: impl FnOnce(wgpu::Error) -> Error + 'static,
    ) -> Result<()> {
        let (error, faults) = (scope.pop(), self.faults.clone());
        spawn_local(async move {
            if let Some(err) = error.await {
                faults.keep(fault(err));
            }
        });
        Ok(())
    }
}

impl Gpu {
    /// Waits until a submission is done, one after the other of those before it.
    ///
    /// # Errors
    /// The device's fault.
    pub(super) async fn arrived(&self, submission: &Submission) -> Result<()> {
        while let Some(next) = self.inner.submissions.next_until(Some(submission)) {
            let begun = Instant::now();
            next.submission.point.wait().await;
            self.inner.submissions.done(&next, begun.elapsed());
        }
        submission.point.wait().await;
        self.check()
    }

    /// Compiles what is not compiled yet of these, all of them at once.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub async fn make_pipelines(&self, keys: &[ShaderKey]) -> Result<()> {
        let Inner { device, pipelines, shader_checks, .. } = &*self.inner;
        let mut missing: Vec<&ShaderKey> = keys.iter().filter(|key| !pipelines.has(key)).collect();
        let mut seen = HashSet::new();
        missing.retain(|key| seen.insert(*key));
        let Some(raw) = device.as_webgpu() else { return Ok(()) };
        let raw: &JsValue = raw.as_ref();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let parts: Vec<Parts<'_>> =
            missing.iter().map(|key| Parts::new(device, key, *shader_checks)).collect();
        // A text that is refused is refused again by its pipeline.
        let _ = scope.pop();
        let mut promises = Vec::with_capacity(parts.len());
        for (parts, key) in parts.iter().zip(&missing) {
            let asked = ask(raw, || drop(parts.assemble(device, None)));
            promises.push(asked.map_err(|err| refused(&key.entry, text(&err)))?);
        }
        for ((parts, key), promise) in parts.iter().zip(missing).zip(promises) {
            let made = match JsFuture::from(promise).await {
                Ok(made) => made,
                Err(err) => return Err(refused(&key.entry, parts.fault().await.unwrap_or(text(&err)))),
            };
            pipelines.get(key, || {
                take(raw, &made, || parts.assemble(device, None))
                    .map_err(|err| refused(&key.entry, text(&err)))
            })?;
        }
        Ok(())
    }
}

/// The method of a device that wgpu calls. wgpu has none that awaits a pipeline, and its descriptor is its own: so the
/// device's method is another one during such a call.
const METHOD: &str = "createComputePipeline";

/// Asks for the pipeline that `make` makes, by the method that does not wait.
fn ask(device: &JsValue, make: impl FnOnce()) -> Result<Promise, JsValue> {
    let awaited: Function = Reflect::get(device, &"createComputePipelineAsync".into())?.dyn_into()?;
    let promises = Array::new();
    let (this, kept) = (device.clone(), promises.clone());
    let method = Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |descriptor: JsValue| {
        if let Ok(promise) = awaited.call1(&this, &descriptor) {
            kept.push(&promise);
        }
        // In place of a pipeline, which nobody uses.
        descriptor
    });
    with_method(device, method.as_ref(), make)?;
    promises.get(0).dyn_into()
}

/// Calls `make` with a pipeline that is there already.
fn take(device: &JsValue, pipeline: &JsValue, make: impl FnOnce() -> Pipeline) -> Result<Pipeline, JsValue> {
    let pipeline = pipeline.clone();
    let method = Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |_| pipeline.clone());
    with_method(device, method.as_ref(), make)
}

/// Runs `call` while the device has another method.
fn with_method<T>(device: &JsValue, method: &JsValue, call: impl FnOnce() -> T) -> Result<T, JsValue> {
    Reflect::set(device, &METHOD.into(), method)?;
    let result = call();
    Reflect::delete_property(device.unchecked_ref::<Object>(), &METHOD.into())?;
    Ok(result)
}

/// The words of an error of JavaScript.
fn text(err: &JsValue) -> String {
    let message = Reflect::get(err, &"message".into()).ok().and_then(|message| message.as_string());
    message.unwrap_or_else(|| format!("{err:?}"))
}

/// Texts of kernels for several nets. naga reads and proves them, and a page leaves it out for its size.
pub mod replicas {
    use crate::error::{Error, Result};

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn rebased(_: &str, entry: &str, _: &[(u32, u64)], _: u32) -> Result<String> {
        Err(Error::Gpu(format!(
            "kernel {entry} cannot run for several nets: in a page one net trains at a time"
        )))
    }
}
