//! The update of a step: groups of parameters with an optimizer each, clipping, skipped steps, averages.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};
use wildmatch::WildMatch;

use super::update_kernel::SLOTS_BESIDE_AVERAGE;
use super::{Average, Interval, Optimizer, Schedule, at_least_zero_of, refuse_of};
use crate::error::{Error, Result, suggestion};
use crate::graph::Parameter;

/// Bounds for the gradients of a step, after the loss scale is removed and micro-batches are added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clip {
    /// Every gradient times min(1, max / (‖g‖ + 1e-6)), the norm over all that are trained.
    ///
    /// Source: torch.nn.utils.clip_grad_norm_.
    Norm(f64),
    /// Every gradient within [−max, max].
    ///
    /// Source: torch.nn.utils.clip_grad_value_.
    Value(f64),
}

/// Parameters with settings of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParamGroup {
    /// Names, in which `*` stands for any characters and `?` for one: `"*.bias"`. A parameter belongs to the first group
    /// that names it.
    #[serde(deserialize_with = "names")]
    pub params: Vec<String>,
    /// The factor of the learning rate.
    #[serde(default = "one")]
    pub lr_factor: f64,
    /// Do not train: no gradient is computed and no state is kept.
    #[serde(default)]
    pub frozen: bool,
    /// Keys of the optimizer that differ here: `weight_decay = 0.0`.
    #[serde(flatten)]
    pub keys: Table,
}

/// Reads a list of names, or one name.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Vec<String>, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut names = Vec::new();
            while let Some(value) = list.next_element::<Value>()? {
                match value {
                    Value::String(name) => names.push(name),
                    other => {
                        return Err(de::Error::invalid_type(de::Unexpected::Other(other.type_str()), &self));
                    }
                }
            }
            Ok(names)
        }
    }

    deserializer.deserialize_any(Names)
}

/// True above 0, in f32 too.
fn positive(max: f64) -> bool {
    max as f32 > 0.0
}

fn one() -> f64 {
    1.0
}

impl ParamGroup {
    /// A group of the parameters with these names, with the settings of the others.
    pub fn new<S: Into<String>>(params: impl IntoIterator<Item = S>) -> Self {
        let params = params.into_iter().map(Into::into).collect();
        ParamGroup { params, lr_factor: 1.0, frozen: false, keys: Table::new() }
    }

    /// The same at `factor` times the learning rate.
    pub fn lr_factor(self, factor: f64) -> Self {
        ParamGroup { lr_factor: factor, ..self }
    }

    /// The same, not trained.
    pub fn frozen(self) -> Self {
        ParamGroup { frozen: true, ..self }
    }

    /// The same with a key of the optimizer set otherwise.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }
}

/// The update of a step. An [`Optimizer`] alone is an update with nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Parameters with settings of their own, by name.
    pub groups: Vec<ParamGroup>,
    /// Apply weight decay to parameters of fewer than two axes too: biases, and the factors of norms.
    pub decay_biases_and_norms: bool,
    /// Bounds for the gradients.
    pub clip: Option<Clip>,
    /// Skip a step whose gradients are not finite, instead of ending the run. `None`: skip it where the norm is computed in any
    /// case, with [`Clip::Norm`] and in f16.
    pub skip_nonfinite: Option<bool>,
    /// An average of the weights.
    pub average: Option<Average>,
    /// The schedule of the learning rate; `None` keeps it constant.
    pub schedule: Option<Schedule>,
    /// The unit of the schedule's steps.
    pub interval: Interval,
}

impl Update {
    /// An optimizer and nothing else.
    pub fn new(optimizer: Optimizer) -> Self {
        Update {
            optimizer,
            groups: Vec::new(),
            decay_biases_and_norms: true,
            clip: None,
            skip_nonfinite: None,
            average: None,
            schedule: None,
            interval: Interval::Step,
        }
    }
}

impl From<Optimizer> for Update {
    fn from(optimizer: Optimizer) -> Self {
        Update::new(optimizer)
    }
}

impl From<&Optimizer> for Update {
    fn from(optimizer: &Optimizer) -> Self {
        Update::new(optimizer.clone())
    }
}

impl From<&Update> for Update {
    fn from(update: &Update) -> Self {
        update.clone()
    }
}

/// Parameters that share a row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The optimizer with the group's numbers.
    pub optimizer: Optimizer,
    /// The factor of the learning rate.
    pub lr_factor: f64,
}

/// An [`Update`] for the parameters of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The groups that are trained, in their order in memory.
    pub groups: Vec<Group>,
    /// The group of each parameter; `None` is frozen.
    pub of: Vec<Option<usize>>,
}

impl Update {
    /// Checks every number. The names in groups need the model: see [`Update::resolve`].
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.optimizer.validate()?;
        match self.clip {
            Some(Clip::Norm(max)) if !positive(max) => {
                return Err(refuse_of("optimizer.clip_norm", max, "a norm above 0 is needed"));
            }
            Some(Clip::Value(max)) if !positive(max) => {
                return Err(refuse_of("optimizer.clip_value", max, "a number above 0 is needed"));
            }
            _ => {}
        }
        for (i, group) in self.groups.iter().enumerate() {
            if group.params.is_empty() {
                let allowed = "a group needs names of parameters, as [\"*.bias\"]";
                return Err(refuse_of(&format!("optimizer.groups[{i}].params"), &group.params, allowed));
            }
            at_least_zero_of(&format!("optimizer.groups[{i}].lr_factor"), group.lr_factor, "a factor")?;
            self.of_group(i)?;
        }
        self.validate_schedule()?;
        let Some(average) = self.average else { return Ok(()) };
        if self.optimizer.kernel().average.is_some() {
            let text = "average: a schedule-free optimizer has an average of its own, which evaluation is of";
            return Err(Error::Config(text.into()));
        }
        let slots = self.optimizer.kernel().slots.len();
        if slots > SLOTS_BESIDE_AVERAGE {
            return Err(Error::Config(format!(
                "average: {} keeps {slots} slots, and an update has room for {SLOTS_BESIDE_AVERAGE} beside an average; \
                 leave out the section [average]",
                self.optimizer.name()
            )));
        }
        average.validate()
    }

    fn validate_schedule(&self) -> Result<()> {
        let Some(schedule) = &self.schedule else { return Ok(()) };
        schedule.validate()?;
        if self.optimizer.kernel().average.is_some() {
            let text = "schedule: a schedule-free optimizer goes without; it has warmup_steps of its own";
            return Err(Error::Config(text.into()));
        }
        if schedule.cycles_momentum() && self.optimizer.with_momentum(0.5).is_none() {
            let text = "schedule.cycle_momentum = true: the optimizer has neither momentum above 0 nor betas; give it \
                        momentum, or set cycle_momentum = false";
            return Err(Error::Config(text.into()));
        }
        Ok(())
    }

    /// The norm that the whole gradient is clipped to.
    pub(crate) fn max_norm(&self) -> Option<f32> {
        match self.clip {
            Some(Clip::Norm(max)) => Some(max as f32),
            _ => None,
        }
    }

    /// True where evaluation uses the average.
    pub fn evaluates_average(&self) -> bool {
        self.average.is_some_and(|average| average.eval()) || self.optimizer.kernel().average.is_some()
    }

    /// The optimizer of group `i`.
    fn of_group(&self, i: usize) -> Result<Optimizer> {
        let group = &self.groups[i];
        let named = |err: Error| err.renamed("optimizer.", &format!("optimizer.groups[{i}]."));
        if let Some(name) = group.keys.get("name") {
            return Err(Error::Config(format!(
                "optimizer.groups[{i}].name = {name}: a group has the run's optimizer; leave name out"
            )));
        }
        let own = Optimizer::keys(self.optimizer.name()).unwrap_or_default();
        if let Some(key) = group.keys.keys().find(|key| !own.contains(&key.as_str())) {
            let known: Vec<&str> = ["params", "lr_factor", "frozen"].iter().chain(own).copied().collect();
            let help = suggestion(key, &known);
            return Err(Error::Config(format!("unknown key optimizer.groups[{i}].{key}; {help}")));
        }
        let optimizer = self.optimizer.with(&group.keys).map_err(named)?;
        if optimizer.kernel() != self.optimizer.kernel() {
            let keys: Vec<&String> = group.keys.keys().collect();
            return Err(Error::Config(format!(
                "optimizer.groups[{i}]: {keys:?} change what the optimizer keeps for each parameter, and that is the \
                 same for all groups; a group may differ in numbers that leave it as it is"
            )));
        }
        Ok(optimizer)
    }

    /// Assigns each of `parameters` to its group.
    ///
    /// # Errors
    /// [`Error::Config`] for a pattern that names no parameter, and where all are frozen.
    pub fn resolve(&self, parameters: &[Parameter]) -> Result<Groups> {
        self.validate()?;
        let mut owner = vec![None; parameters.len()];
        for (i, group) in self.groups.iter().enumerate() {
            for pattern in &group.params {
                let matcher = WildMatch::new(pattern);
                let named: Vec<usize> =
                    (0..parameters.len()).filter(|&p| matcher.matches(&parameters[p].name)).collect();
                if named.is_empty() {
                    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
                    return Err(Error::Config(format!(
                        "optimizer.groups[{i}]: no parameter is named \"{pattern}\"; {}",
                        suggestion(pattern, &names)
                    )));
                }
                for p in named {
                    owner[p].get_or_insert(i);
                }
            }
        }
        // By structure: groups whose numbers happen to be equal stay apart, so that a plan does not depend on numbers.
        let (mut groups, mut keys): (Vec<Group>, Vec<_>) = (Vec::new(), Vec::new());
        let mut of = Vec::with_capacity(parameters.len());
        for (parameter, owner) in parameters.iter().zip(owner) {
            if owner.is_some_and(|i| self.groups[i].frozen) {
                of.push(None);
                continue;
            }
            let mut group = match owner {
                None => Group { optimizer: self.optimizer.clone(), lr_factor: 1.0 },
                Some(i) => Group { optimizer: self.of_group(i)?, lr_factor: self.groups[i].lr_factor },
            };
            let decays = self.decay_biases_and_norms
                || parameter.shape.len() > 1
                || owner.is_some_and(|i| self.groups[i].keys.contains_key("weight_decay"));
            if !decays {
                group.optimizer = group.optimizer.without_decay();
            }
            group.optimizer = group.optimizer.for_axes(parameter.shape.len());
            let key = (owner, decays, group.optimizer.of_matrices());
            let known = keys.iter().position(|other| *other == key);
            of.push(Some(known.unwrap_or(groups.len())));
            if known.is_none() {
                keys.push(key);
                groups.push(group);
            }
        }
        let (groups, of) = matrices_first(groups, of);
        if groups.is_empty() && !parameters.is_empty() {
            return Err(Error::Config("optimizer.groups: every parameter is frozen, so there is nothing to train; leave frozen = true out of a \
                 group"
                    .into()));
        }
        Ok(Groups { groups, of })
    }
}

/// The same with the groups of matrices before the others.
fn matrices_first(groups: Vec<Group>, of: Vec<Option<usize>>) -> (Vec<Group>, Vec<Option<usize>>) {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&i| !groups[i].optimizer.of_matrices());
    let place = |old: usize| order.iter().position(|&i| i == old);
    let of = of.into_iter().map(|group| group.and_then(place)).collect();
    (order.iter().map(|&i| groups[i].clone()).collect(), of)
}

impl Groups {
    /// Parameters that are trained.
    pub fn trained(&self) -> impl Iterator<Item = usize> {
        self.of.iter().enumerate().filter(|(_, group)| group.is_some()).map(|(i, _)| i)
    }
}
