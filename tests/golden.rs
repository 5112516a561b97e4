//! The engine against PyTorch in f64: every op, loss and layer with its gradients, thirty steps of every
//! optimizer, a hundred steps of whole runs. The numbers are made by `golden/make.py`; see
//! `golden/README.md`. `--nocapture` shows how much of each tolerance is used.

mod adapter;
mod driven;

#[path = "golden/examples.rs"]
mod examples;
#[path = "golden/layer_table.rs"]
mod layer_table;
#[path = "golden/layers.rs"]
mod layers;
#[path = "golden/op_table.rs"]
mod op_table;
#[path = "golden/ops.rs"]
mod ops;
#[path = "golden/optim_traces.rs"]
mod optim_traces;
#[path = "golden/optimizers.rs"]
mod optimizers;
#[path = "oracle/mod.rs"]
mod oracle;
#[path = "golden/oracle_traces.rs"]
mod oracle_traces;
#[path = "golden/runs.rs"]
mod runs;
#[path = "golden/schedules.rs"]
mod schedules;
#[path = "golden/store.rs"]
mod store;
