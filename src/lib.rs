//! `downhill` trains small neural nets on any GPU, or on none: a static graph, differentiated, planned once into
//! a fixed list of WGSL kernels, and replayed for every minibatch.
//!
//! ```no_run
//! use downhill::prelude::*;
//!
//! fn model(net: &Net, x: &Tensor) -> Tensor {
//!     let h = net.linear("hidden", &x.flatten(), 128).relu();
//!     net.linear("out", &h, 10)
//! }
//!
//! # fn main() -> downhill::error::Result<()> {
//! let gpu = Gpu::open(&GpuOptions::default())?;
//! let data = downhill::data::digits()?;
//! let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
//! let adamw = Optimizer::AdamW(AdamW::default());
//! let mut trainer = Trainer::new(&gpu, &model, &loss, &adamw, &data, &TrainOptions::default())?;
//! let outcome = trainer.run(&mut ())?;
//! println!("{:?} {:?}", outcome.end, outcome.last);
//! # Ok(())
//! # }
//! ```
//!
//! Begin with the [`prelude`]: [`data`] holds samples, [`nn`] layers and losses, [`graph`] the operations of a tensor,
//! [`optim`] optimizers and schedules, [`train`] the loop, [`run`] a run in its directory, [`config`] the config file,
//! [`infer`] predictions from trained weights, [`export`] a run's net for PyTorch, ONNX and web pages. [`gpu`] opens a device,
//! [`compile`] plans a run without one, and [`kernel`], [`plan`], [`engine`] and [`metrics`] have what those plans are made
//! of. `ARCHITECTURE.md` says how they build on each other. Other modules serve the program `downhill`; they are not listed
//! here and may change at any time.

#![warn(missing_docs)]
#![cfg_attr(
    target_arch = "wasm32",
    expect(
        dead_code,
        unused_imports,
        reason = "a page leaves out the rooms that use the rest: runs, sweeps and reports"
    )
)]

#[doc(hidden)]
pub mod atomic_file;
#[cfg(feature = "diagnostics")]
#[doc(hidden)]
pub mod bench;
#[cfg(feature = "diagnostics")]
mod check;
mod clock;
pub mod compile;
pub mod config;
pub mod data;
#[cfg(feature = "diagnostics")]
#[doc(hidden)]
pub mod doctor;
pub mod engine;
pub mod error;
pub mod export;
#[doc(hidden)]
pub mod figure;
pub mod gpu;
pub mod graph;
pub mod infer;
pub mod kernel;
#[cfg(feature = "diagnostics")]
#[doc(hidden)]
pub mod lab;
pub mod metrics;
pub mod nn;
pub mod optim;
pub mod plan;
pub mod ranks;
mod regular_file;
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod report;
#[cfg(not(target_arch = "wasm32"))]
pub mod run;
pub mod shape;
pub mod train;
#[doc(hidden)]
pub mod units;

pub use error::Error;
pub use gpu::{Gpu, GpuOptions};
pub use graph::{Graph, Init, Tensor};
pub use plan::{Function, Value};
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use regular_file::give_file;

/// The programs in the pages are compiled as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guide/use-the-result.md")]
    mod use_the_result {}
    #[doc = include_str!("../docs/guide/survive-and-resume.md")]
    mod survive_and_resume {}
    #[doc = include_str!("../docs/guide/coming-from-pytorch-or-keras.md")]
    mod coming_from_pytorch_or_keras {}
}

/// What most programs need.
pub mod prelude {
    pub use crate::compile::{Batch, EarlyStopping, Objective, TrainOptions, TrainPlan};
    pub use crate::data::{BatchSize, Dataset, Field, Kind, Part, Sampling, Source, Values};
    pub use crate::engine::Evaluation;
    pub use crate::kernel::Precision;
    pub use crate::metrics::{Averaging, Metric, Metrics};
    pub use crate::nn::augment;
    pub use crate::nn::loss::{self, CrossEntropy};
    pub use crate::nn::{
        BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Embedding, GroupNorm, InstanceNorm,
        LayerNorm, MultiHeadAttention, Net, Padding, Pool1d, Pool2d, Positional, Recurrent, RmsNorm,
        Sequential, Upsample, UpsampleMode, UpsampleSize,
    };
    pub use crate::optim::{
        Adadelta, Adagrad, Adam, AdamW, Adamax, Adan, Average, Clip, Lamb, Lars, Lion, MomentumForm, NAdam,
        Optimizer, ParamGroup, RAdam, RmsProp, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Update,
    };
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::run::RunDir;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::train::LrFinder;
    pub use crate::train::{
        CheckpointRecord, EpochRecord, Observer, Outcome, RunEnd, RunHandle, RunStart, StepRecord, Trainer,
    };
    pub use crate::{Error, Function, Gpu, GpuOptions, Graph, Init, Tensor, Value};
}
