//! Spans of time in the Chrome trace event format, which <https://ui.perfetto.dev> opens.
//!
//! Source: "Trace Event Format" (Chromium project): complete events (`"ph": "X"`), times in microseconds; those of one
//! thread nest.

use crate::clock::Instant;
use crate::plan::Step;
use serde_json::{Value, json};

/// The process of the host, and that of the device; each has one thread.
pub(super) const HOST: u32 = 1;
const DEVICE: u32 = 2;
const THREAD: u32 = 1;

/// The timeline of the host and the device.
#[derive(Debug, Clone)]
pub struct Trace {
    start: Instant,
    events: Vec<Value>,
    /// When the last span of the host began, and how long it was.
    last: [f64; 2],
}

impl Trace {
    /// Begins now; the device has this name.
    pub(super) fn new(device: &str) -> Trace {
        let named = |what: &str, pid: u32, name: &str| json!({ "ph": "M", "name": what, "pid": pid, "tid": THREAD, "ts": 0, "args": { "name": name } });
        let events = vec![
            named("process_name", HOST, "host"),
            named("thread_name", HOST, "training"),
            named("process_name", DEVICE, "device"),
            named("thread_name", DEVICE, device),
        ];
        Trace { start: Instant::now(), events, last: [0.0; 2] }
    }

    /// Seconds from the trace's beginning.
    fn at(&self, instant: Instant) -> f64 {
        instant.saturating_duration_since(self.start).as_secs_f64()
    }

    fn complete(&mut self, pid: u32, name: &str, from: f64, seconds: f64, args: Value) {
        let category = if pid == HOST { "host" } else { "device" };
        self.events.push(json!({
            "ph": "X", "name": name, "cat": category, "pid": pid, "tid": THREAD,
            "ts": 1e6 * from, "dur": 1e6 * seconds, "args": args,
        }));
    }

    /// A span of the host.
    pub(super) fn span(&mut self, pid: u32, name: &str, from: Instant, to: Instant) {
        let (from, to) = (self.at(from), self.at(to));
        self.last = [from, to - from];
        self.complete(pid, name, from, to - from, json!({}));
    }

    /// A span of the host that ends now; gives its seconds.
    pub(super) fn host(&mut self, name: &str, from: Instant) -> f64 {
        self.span(HOST, name, from, Instant::now());
        self.last[1]
    }

    /// Adds `seconds` within the last span of the host. Only their number is known, so they are placed at its
    /// beginning.
    pub(super) fn within(&mut self, name: &str, seconds: f64) {
        let [from, whole] = self.last;
        self.complete(HOST, name, from, seconds.min(whole), json!({}));
    }

    /// A span of the device, in seconds after its first work of that submission. The device has another clock than
    /// the host, so that first work is placed where the host submits.
    pub(super) fn device(&mut self, name: &str, submitted: Instant, lap: [f64; 2], step: Option<&Step>) {
        let args = step.map_or(json!({}), |step| {
            json!({
                "what": step.title, "makes": step.shape.to_string(), "flops": step.kernel.flops,
                "bytes": step.bytes(),
            })
        });
        let from = self.at(submitted) + lap[0];
        self.complete(DEVICE, name, from, lap[1] - lap[0], args);
    }

    /// The whole trace.
    pub fn to_json(&self) -> Value {
        json!({
            "displayTimeUnit": "ms",
            "otherData": {
                "clock": "The device's clock is its own: the first kernel of a step is put where the host submits it.",
            },
            "traceEvents": self.events,
        })
    }
}
