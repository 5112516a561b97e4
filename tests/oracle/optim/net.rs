//! Any rule over the tensors of a net.

use super::{
    OptimOracle, Rule,
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

impl NetRule {
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
