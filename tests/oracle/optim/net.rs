//! Any rule over the tensors of a net.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Adadelta, Adagrad, Adam, Adamax, Lion, NAdam, OptimOracle, RAdam, RmsProp, Rule, ScheduleFreeAdamW,
    ScheduleFreeSgd, Sgd,
    adafactor::{Adafactor, Factors},
    layerwise::{Lamb, Lars, Moments},
    muon::{Muon, State},
};
use crate::oracle::Array;

#[derive(Clone, Copy, Debug)]
pub enum NetRule {
    /// Each element by itself.
    Each(Rule),
    Lamb(Lamb),
    Lars(Lars),
    Adafactor(Adafactor),
    Muon(Muon),
}

/// One rule with its state over tensors of given sizes. A schedule sets the rate between steps.
pub struct NetOracle {
    rule: NetRule,
    initial_lr: f64,
    t: i32,
    states: Vec<TensorState>,
}

enum TensorState {
    Each(Box<OptimOracle>),
    Lamb(Moments),
    Lars(Vec<f64>),
    Adafactor(Factors),
    Muon(State),
}

/// A rule by the name and the keys that a config has for it.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
enum Named {
    Sgd(Sgd),
    RmsProp(RmsProp),
    Adam(Adam),
    AdamW(Adam),
    NAdam(NAdam),
    RAdam(RAdam),
    Adamax(Adamax),
    Adagrad(Adagrad),
    Adadelta(Adadelta),
    Lion(Lion),
    #[serde(rename = "schedule_free_adamw")]
    ScheduleFreeAdamW(ScheduleFreeAdamW),
    #[serde(rename = "schedule_free_sgd")]
    ScheduleFreeSgd(ScheduleFreeSgd),
    Lamb(Lamb),
    Lars(Lars),
    Adafactor(Adafactor),
    Muon(Muon),
}

impl NetRule {
    /// True for the optimizers that have a rule here. Others are compared with their golden traces alone.
    pub fn knows(name: &str) -> bool {
        let named = Named::deserialize(serde_json::json!({ "name": name }));
        !named.is_err_and(|err| err.to_string().starts_with("unknown variant"))
    }

    /// From a table as in a config, with every key.
    pub fn read(table: Map<String, Value>) -> Result<Self, serde_json::Error> {
        Ok(Self::Each(match Named::deserialize(Value::Object(table))? {
            Named::Lamb(rule) => return Ok(Self::Lamb(rule)),
            Named::Lars(rule) => return Ok(Self::Lars(rule)),
            Named::Adafactor(rule) => return Ok(Self::Adafactor(rule)),
            Named::Muon(rule) => return Ok(Self::Muon(rule)),
            Named::Sgd(rule) => Rule::Sgd(rule),
            Named::RmsProp(rule) => Rule::RmsProp(rule),
            Named::Adam(rule) => Rule::Adam(rule),
            Named::AdamW(rule) => Rule::Adam(Adam { decoupled: true, ..rule }),
            Named::NAdam(rule) => Rule::NAdam(rule),
            Named::RAdam(rule) => Rule::RAdam(rule),
            Named::Adamax(rule) => Rule::Adamax(rule),
            Named::Adagrad(rule) => Rule::Adagrad(rule),
            Named::Adadelta(rule) => Rule::Adadelta(rule),
            Named::Lion(rule) => Rule::Lion(rule),
            Named::ScheduleFreeAdamW(rule) => Rule::ScheduleFreeAdamW(rule),
            Named::ScheduleFreeSgd(rule) => Rule::ScheduleFreeSgd(rule),
        }))
    }

    pub fn lr_mut(&mut self) -> &mut f64 {
        match self {
            NetRule::Each(rule) => rule.lr_mut(),
            NetRule::Lamb(rule) => &mut rule.lr,
            NetRule::Lars(rule) => &mut rule.lr,
            NetRule::Adafactor(rule) => &mut rule.lr,
            NetRule::Muon(rule) => &mut rule.lr,
        }
    }

    fn state(&self, elements: usize) -> TensorState {
        match self {
            NetRule::Each(rule) => TensorState::Each(Box::new(OptimOracle::new(*rule, elements))),
            NetRule::Lamb(_) => TensorState::Lamb(Moments::default()),
            NetRule::Lars(_) => TensorState::Lars(Vec::new()),
            NetRule::Adafactor(_) => TensorState::Adafactor(Factors::default()),
            NetRule::Muon(_) => TensorState::Muon(State::default()),
        }
    }
}

impl NetOracle {
    /// `elements`: how many each tensor has.
    pub fn new(rule: NetRule, elements: &[usize]) -> Self {
        let initial_lr = *rule.clone().lr_mut();
        Self { rule, initial_lr, t: 0, states: elements.iter().map(|&n| rule.state(n)).collect() }
    }

    pub fn set_lr(&mut self, lr: f64) {
        *self.rule.lr_mut() = lr;
        for state in &mut self.states {
            if let TensorState::Each(oracle) = state {
                *oracle.rule.lr_mut() = lr;
            }
        }
    }

    /// One update of every tensor.
    pub fn step(&mut self, w: &mut [Array], g: &[Array]) {
        assert!(w.len() == self.states.len() && g.len() == w.len());
        self.t += 1;
        for ((w, g), state) in w.iter_mut().zip(g).zip(&mut self.states) {
            assert_eq!(w.shape, g.shape);
            match (&self.rule, state) {
                (_, TensorState::Each(oracle)) => oracle.step(&mut w.data, &g.data),
                (NetRule::Lamb(rule), TensorState::Lamb(state)) => rule.update(w, g, self.t, state),
                (NetRule::Lars(rule), TensorState::Lars(state)) => rule.update(w, g, self.t, state),
                (NetRule::Adafactor(rule), TensorState::Adafactor(state)) => rule.update(w, g, self.t, state),
                (NetRule::Muon(rule), TensorState::Muon(state)) => {
                    rule.update(w, g, self.t, self.initial_lr, state);
                }
                (rule, _) => unreachable!("the state of another rule than {rule:?}"),
            }
        }
    }

    /// What is evaluated in place of the parameters, where that is another thing.
    pub fn evaluated(&self) -> Option<Vec<Vec<f64>>> {
        let tensor = |state: &TensorState| match state {
            TensorState::Each(oracle) => oracle.evaluated(),
            _ => None,
        };
        self.states.iter().map(tensor).collect()
    }
}
