//! Optimizers: one file each, with defaults, slots, the scalars of a step and the kernel that takes them.
//!
//! Parameters, gradients and every slot are flat arenas, so a step is one dispatch for the whole model. What
//! depends on the step alone (learning rate, bias corrections) is computed here in f64 and read by the kernel
//! as a row of a table; nothing in a kernel branches on it. Slots start at zero.
//!
//! To add one: a WGSL file in `shaders/optim/`, a file here, a variant of [`Optimizer`] and a line in its
//! table.

mod about;
mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod average;
mod lamb;
mod lars;
mod lion;
mod muon;
mod nadam;
mod radam;
mod rmsprop;
pub mod schedule;
mod schedule_free;
mod sgd;
#[cfg(test)]
mod tests;
mod update;

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

pub use about::{About, Form};
pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::{ABSMAX, Adam, AdamW};
pub use adamax::Adamax;
pub use average::Average;
pub use lamb::Lamb;
pub use lars::Lars;
pub use lion::Lion;
pub use muon::{AdjustLr, Muon, MuonAdamW, NewtonSchulz};
pub use nadam::NAdam;
pub use radam::RAdam;
pub use rmsprop::RmsProp;
pub use schedule::{Interval, Schedule};
pub use schedule_free::{ScheduleFreeAdamW, ScheduleFreeSgd};
pub use sgd::{MomentumForm, Sgd};
use toml::{Table, Value};
pub use update::{Clip, Group, Groups, ParamGroup, Update};

use crate::error::{Error, Result, suggestion};

/// An optimizer with its hyperparameters; in a config a table with the key `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    /// `sgd`: stochastic gradient descent, with or without momentum.
    Sgd(Sgd),
    /// `rmsprop`: the gradient over the root of its running mean square.
    RmsProp(RmsProp),
    /// `adam`: running mean over the root of the running mean square, with L2 decay.
    Adam(Adam),
    /// `adamw`: Adam with decoupled decay.
    AdamW(AdamW),
    /// `nadam`: Adam with Nesterov's momentum.
    NAdam(NAdam),
    /// `radam`: Adam whose adaptive rate waits until its variance is tractable.
    RAdam(RAdam),
    /// `adamax`: Adam with the largest gradient of late.
    Adamax(Adamax),
    /// `adagrad`: the gradient over the root of the sum of all squares.
    Adagrad(Adagrad),
    /// `adadelta`: steps as large as the steps of late.
    Adadelta(Adadelta),
    /// `lion`: the sign of a blend of momentum and gradient.
    Lion(Lion),
    /// `lamb`: Adam whose step is as long as the weights of its tensor.
    Lamb(Lamb),
    /// `lars`: SGD with each tensor's gradient brought to the length of its weights.
    Lars(Lars),
    /// `adafactor`: the gradient over the root of a second moment kept as a number a row and a column.
    Adafactor(Adafactor),
    /// `muon`: momentum made orthogonal for matrices, AdamW for the others.
    Muon(Muon),
    /// `schedule_free_adamw`: AdamW with a running mean in place of a schedule.
    #[serde(rename = "schedule_free_adamw")]
    ScheduleFreeAdamW(ScheduleFreeAdamW),
    /// `schedule_free_sgd`: SGD likewise.
    #[serde(rename = "schedule_free_sgd")]
    ScheduleFreeSgd(ScheduleFreeSgd),
}

/// The names with the keys each takes beside `name`, and what is said of it.
const TABLE: &[(&str, &[&str], About)] = &[
    ("sgd", Sgd::KEYS, Sgd::ABOUT),
    ("rmsprop", RmsProp::KEYS, RmsProp::ABOUT),
    ("adam", Adam::KEYS, Adam::ABOUT),
    ("adamw", AdamW::KEYS, AdamW::ABOUT),
    ("nadam", NAdam::KEYS, NAdam::ABOUT),
    ("radam", RAdam::KEYS, RAdam::ABOUT),
    ("adamax", Adamax::KEYS, Adamax::ABOUT),
    ("adagrad", Adagrad::KEYS, Adagrad::ABOUT),
    ("adadelta", Adadelta::KEYS, Adadelta::ABOUT),
    ("lion", Lion::KEYS, Lion::ABOUT),
    ("lamb", Lamb::KEYS, Lamb::ABOUT),
    ("lars", Lars::KEYS, Lars::ABOUT),
    ("adafactor", Adafactor::KEYS, Adafactor::ABOUT),
    ("muon", Muon::KEYS, Muon::ABOUT),
    ("schedule_free_adamw", ScheduleFreeAdamW::KEYS, ScheduleFreeAdamW::ABOUT),
    ("schedule_free_sgd", ScheduleFreeSgd::KEYS, ScheduleFreeSgd::ABOUT),
];

/// Numbers that an optimizer has in a row of the table, for one update of one group of parameters.
pub const SCALARS: usize = 12;
/// Numbers in a row: those, then what [`Update`] has besides.
pub const ROW: usize = 16;

/// A row: the optimizer's scalars, the bound of clipping by value, and what of the average of the weights is kept.
pub fn table_row(scalars: &[f32; SCALARS], clip_value: f64, keep: f64) -> [f32; ROW] {
    let mut row = [0.0; ROW];
    row[..SCALARS].copy_from_slice(scalars);
    row[SCALARS] = clip_value as f32;
    row[SCALARS + 1] = keep as f32;
    row
}

/// The kernel that takes a step, and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateKernel {
    /// The file under `shaders/`, for [`crate::gpu::wgsl::compose`].
    pub shader: &'static str,
    /// Its entry point.
    pub entry: &'static str,
    /// Override constants of this variant; the caller adds `LENGTH`, the vec4s of an arena.
    pub constants: Vec<(&'static str, u32)>,
    /// Slots by torch's names, bound from 4 on in this order: arenas like the parameters', unless they are in 8 bits;
    /// zero at first.
    pub slots: Vec<&'static str>,
    /// Bytes read and written for each parameter: the gradient, the parameter and every slot.
    pub bytes_per_parameter: u32,
    /// Operations for each parameter; a division or a root counts as one.
    pub flops_per_parameter: u32,
    /// Where the weights to evaluate and to save are not those that are trained.
    pub average: Option<AverageKernel>,
    /// The passes over the parameters.
    pub passes: Passes,
}

/// The passes of an update.
#[derive(Debug, Clone, PartialEq)]
pub enum Passes {
    /// One, which looks at each element by itself.
    One,
    /// One, of two moments in blocks of 8 bits and of [`ABSMAX`].
    EightBit,
    /// Three: this entry point sums squares over each block, then come the norms of each tensor, and the update.
    Norms(&'static str),
    /// Adafactor's five: means of squares along rows and columns, their means, sums, norms, the update.
    Factored,
    /// Muon's: the momentum, products for each shape of matrix, the update; another for what is no matrix.
    Orthogonal(NewtonSchulz),
}

impl Passes {
    /// Each tensor has blocks of its own.
    pub fn by_tensor(&self) -> bool {
        !matches!(self, Passes::One | Passes::EightBit)
    }
}

/// The kernel that computes the weights to evaluate from those that are trained and a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AverageKernel {
    /// Its entry point, in the update's file.
    pub entry: &'static str,
    /// Override constants; the caller adds `LENGTH`.
    pub constants: Vec<(&'static str, u32)>,
    /// The slot, which starts at the weights and not at zero.
    pub base: &'static str,
}

impl UpdateKernel {
    fn new(shader: &'static str, entry: &'static str, slots: &[&'static str], flops: u32) -> Self {
        let bytes_per_parameter = 4 * (1 + 2 + 2 * slots.len() as u32);
        let (constants, slots) = (Vec::new(), slots.to_vec());
        UpdateKernel {
            shader,
            entry,
            constants,
            slots,
            bytes_per_parameter,
            flops_per_parameter: flops,
            average: None,
            passes: Passes::One,
        }
    }

    /// Bytes kept for each parameter, those of every slot.
    pub fn state_bytes(&self) -> u32 {
        if self.passes == Passes::EightBit { 2 } else { 4 * self.slots.len() as u32 }
    }

    /// The same with moments in 8 bits: a byte each is read and written. The scales of blocks are a sixteenth of a byte more.
    fn in_8_bits(self) -> Self {
        UpdateKernel { passes: Passes::EightBit, bytes_per_parameter: 4 * (1 + 2) + 4, ..self }
    }

    /// The same with norms over tensors, from the sums that `entry` makes; both passes move `bytes` for each parameter.
    fn by_tensor(self, entry: &'static str, bytes: u32) -> Self {
        UpdateKernel { passes: Passes::Norms(entry), bytes_per_parameter: bytes, ..self }
    }
}

/// What every optimizer answers; [`Optimizer`] passes its questions on.
trait Rule {
    fn lr(&self) -> f64;
    fn validate(&self) -> Result<()>;
    fn kernel(&self) -> UpdateKernel;
    fn scalars(&self, t: u64, lr: f64) -> Scalars;
}

/// What a step's row of the table holds for an optimizer.
type Scalars = [f64; SCALARS];

/// A row that begins with these numbers and goes on with zeros.
fn row<const N: usize>(numbers: [f64; N]) -> Scalars {
    let mut row = [0.0; SCALARS];
    row[..N].copy_from_slice(&numbers);
    row
}

impl Optimizer {
    /// Every name a config can give.
    pub const NAMES: [&str; TABLE.len()] = {
        let mut names = [""; TABLE.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = TABLE[i].0;
            i += 1;
        }
        names
    };

    /// The keys that optimizer `name` takes beside `name` itself; `None` for an unknown one.
    pub fn keys(name: &str) -> Option<&'static [&'static str]> {
        TABLE.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Equation and source of optimizer `name`; `None` for an unknown one.
    pub fn about(name: &str) -> Option<&'static About> {
        TABLE.iter().find(|row| row.0 == name).map(|row| &row.2)
    }

    fn rule(&self) -> &dyn Rule {
        match self {
            Optimizer::Sgd(rule) => rule,
            Optimizer::RmsProp(rule) => rule,
            Optimizer::Adam(rule) => rule,
            Optimizer::AdamW(rule) => rule,
            Optimizer::NAdam(rule) => rule,
            Optimizer::RAdam(rule) => rule,
            Optimizer::Adamax(rule) => rule,
            Optimizer::Adagrad(rule) => rule,
            Optimizer::Adadelta(rule) => rule,
            Optimizer::Lion(rule) => rule,
            Optimizer::Lamb(rule) => rule,
            Optimizer::Lars(rule) => rule,
            Optimizer::Adafactor(rule) => rule,
            Optimizer::Muon(rule) => rule,
            Optimizer::ScheduleFreeAdamW(rule) => rule,
            Optimizer::ScheduleFreeSgd(rule) => rule,
        }
    }

    /// The same optimizer with some of its keys set otherwise, as a config would.
    ///
    /// # Errors
    /// [`Error::Config`] for a key it does not have, and for a value that is none.
    pub fn with(&self, keys: &Table) -> Result<Optimizer> {
        let mut table = self.table();
        for (key, value) in keys {
            if !table.contains_key(key) {
                let known: Vec<&str> =
                    table.keys().map(String::as_str).filter(|key| *key != "name").collect();
                return Err(Error::Config(format!(
                    "unknown key optimizer.{key}; {}",
                    suggestion(key, &known)
                )));
            }
            table.insert(key.clone(), value.clone());
        }
        let wrong = |err: toml::de::Error| Error::Config(format!("optimizer.{keys}: {}", err.message()));
        let optimizer: Optimizer = table.try_into().map_err(wrong)?;
        optimizer.validate()?;
        Ok(optimizer)
    }

    /// The same optimizer without weight decay.
    fn without_decay(&self) -> Optimizer {
        if let Optimizer::Muon(muon) = self {
            return Optimizer::Muon(muon.without_decay());
        }
        let none = Table::from_iter([("weight_decay".to_owned(), 0.0.into())]);
        self.with(&none).unwrap_or_else(|_| self.clone())
    }

    /// The optimizer as it is for parameters of this many axes.
    fn of_axes(self, axes: usize) -> Optimizer {
        match self {
            Optimizer::Muon(muon) => Optimizer::Muon(Muon { use_muon: muon.use_muon && axes == 2, ..muon }),
            other => other,
        }
    }

    /// True where the parameters are updated as matrices, which lie before the others.
    pub fn of_matrices(&self) -> bool {
        matches!(self, Optimizer::Muon(muon) if muon.use_muon)
    }

    /// The same optimizer without a warm-up or a decay of the rate of its own: its rate is what it is told.
    pub fn steady(&self) -> Optimizer {
        let keys = [("warmup_steps", Value::Integer(0)), ("lr_decay", Value::Float(0.0))];
        keys.into_iter().fold(self.clone(), |optimizer, (key, none)| {
            optimizer.with(&Table::from_iter([(key.to_owned(), none)])).unwrap_or(optimizer)
        })
    }

    /// The same optimizer with `momentum` in place of its own, or of the first of its betas; `None` where it has neither.
    pub fn cycled(&self, momentum: f64) -> Option<Optimizer> {
        let table = self.table();
        let number = |value: &Value| value.as_float().unwrap_or_default();
        let (key, value) =
            match (table.get("momentum"), table.get("betas").and_then(|betas| betas.as_array())) {
                (Some(own), _) if number(own) != 0.0 => ("momentum", momentum.into()),
                (_, Some(betas)) => ("betas", vec![momentum, betas.get(1).map_or(0.0, number)].into()),
                _ => return None,
            };
        self.with(&Table::from_iter([(key.to_owned(), value)])).ok()
    }

    /// The keys whose values are not those of `other`, as `weight_decay = 0.0`.
    pub fn differing(&self, other: &Optimizer) -> Vec<String> {
        let theirs = other.table();
        let own = self.table().into_iter().filter(|(key, value)| theirs.get(key) != Some(value));
        own.map(|(key, value)| format!("{key} = {value}")).collect()
    }

    /// Every key with its value, `name` too.
    fn table(&self) -> Table {
        Table::try_from(self).unwrap_or_default()
    }

    /// Its name in a config.
    pub fn name(&self) -> &'static str {
        let table = self.table();
        let own = table.get("name").and_then(toml::Value::as_str);
        TABLE.iter().find(|row| Some(row.0) == own).map_or("", |row| row.0)
    }

    /// The learning rate, before any schedule.
    pub fn lr(&self) -> f64 {
        self.rule().lr()
    }

    /// Checks every hyperparameter, as torch does.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.rule().validate()
    }

    /// The kernel of this variant.
    pub fn kernel(&self) -> UpdateKernel {
        self.rule().kernel()
    }

    /// The row of step `t`, the first being 1, at learning rate `lr`: computed in f64, rounded once.
    pub fn scalars(&self, t: u64, lr: f64) -> [f32; SCALARS] {
        debug_assert!(t > 0, "steps count from 1");
        self.rule().scalars(t, lr).map(|x| x as f32)
    }
}

/// 1 − βᵗ: how much of a running mean from zero is real after `t` steps.
fn correction(beta: f64, t: u64) -> f64 {
    1.0 - beta.powf(t as f64)
}

fn refuse(key: &str, value: impl Debug, allowed: &str) -> Error {
    refuse_of(&format!("optimizer.{key}"), value, allowed)
}

/// The numbers that all of Adam's kin have.
fn adam_numbers(lr: f64, betas: [f64; 2], eps: f64, weight_decay: f64) -> Result<()> {
    at_least_zero("lr", lr, "a learning rate")?;
    if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
        return Err(refuse("betas", betas, "each beta is at least 0 and below 1"));
    }
    at_least_zero("eps", eps, "eps")?;
    at_least_zero("weight_decay", weight_decay, "weight decay")
}

/// Nesterov's momentum needs momentum, all of it.
fn look_ahead(nesterov: bool, momentum: f64, dampening: f64) -> Result<()> {
    if nesterov && (momentum == 0.0 || dampening != 0.0) {
        let allowed =
            format!("needs momentum above 0 and dampening = 0; they are {momentum:?} and {dampening:?}");
        return Err(refuse("nesterov", true, &allowed));
    }
    Ok(())
}

/// Of weight decay λ at the rate η what goes into the gradient, and what shrinks the weight: `[λ, 0]`, or `[0, ηλ]` where it
/// is decoupled.
fn decays(decoupled: bool, lr: f64, weight_decay: f64) -> [f64; 2] {
    if decoupled { [0.0, lr * weight_decay] } else { [weight_decay, 0.0] }
}

/// `value` is finite and at least 0; `what` names it, as `a learning rate`.
fn at_least_zero(key: &str, value: f64, what: &str) -> Result<()> {
    at_least_zero_of(&format!("optimizer.{key}"), value, what)
}

/// `value` is in [0, 1).
fn below_one(key: &str, value: f64, what: &str) -> Result<()> {
    below_one_of(&format!("optimizer.{key}"), value, what)
}

// The same for a key by its whole name.

fn refuse_of(key: &str, value: impl Debug, allowed: &str) -> Error {
    Error::Config(format!("{key} = {value:?}: {allowed}"))
}

fn at_least_zero_of(key: &str, value: f64, what: &str) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(refuse_of(key, value, &format!("{what} is finite and at least 0")))
}

fn below_one_of(key: &str, value: f64, what: &str) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(refuse_of(key, value, &format!("{what} is at least 0 and below 1")))
}
