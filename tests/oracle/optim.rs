//! The optimizers' update rules.
//!
//! Written from the table in the design's numerics: w parameter, g gradient of the minibatch, η
//! learning rate, λ weight decay, t = 1 at the first update. "L2" is g ← g + λw before anything else,
//! "decoupled" w ← w(1 − ηλ). Here and in [`adaptive`] and [`schedule_free`] are the rules that take each
//! element by itself; [`layerwise`], [`adafactor`] and [`muon`] take a tensor, [`wrap`] all of them.

pub mod adafactor;
pub mod adaptive;
pub mod blocks;
pub mod first;
pub mod layerwise;
pub mod muon;
pub mod net;
pub mod room;
pub mod schedule_free;
pub mod wrap;

pub use adaptive::{Adadelta, Adagrad, Adamax, Lion, NAdam, RAdam};
pub use first::{ADAM, ADAMW, Adam, Form, RMSPROP, RmsProp, SGD, Sgd};
pub use schedule_free::{ScheduleFreeAdamW, ScheduleFreeSgd};

#[derive(Clone, Copy, Debug)]
pub enum Rule {
    Sgd(Sgd),
    RmsProp(RmsProp),
    Adam(Adam),
    NAdam(NAdam),
    RAdam(RAdam),
    Adamax(Adamax),
    Adagrad(Adagrad),
    Adadelta(Adadelta),
    Lion(Lion),
    ScheduleFreeAdamW(ScheduleFreeAdamW),
    ScheduleFreeSgd(ScheduleFreeSgd),
}

/// Calls the same method, or names the same field, of whichever rule it is.
macro_rules! of_each {
    ($rule:expr, $inner:ident => $answer:expr) => {
        match $rule {
            Rule::Sgd($inner) => $answer,
            Rule::RmsProp($inner) => $answer,
            Rule::Adam($inner) => $answer,
            Rule::NAdam($inner) => $answer,
            Rule::RAdam($inner) => $answer,
            Rule::Adamax($inner) => $answer,
            Rule::Adagrad($inner) => $answer,
            Rule::Adadelta($inner) => $answer,
            Rule::Lion($inner) => $answer,
            Rule::ScheduleFreeAdamW($inner) => $answer,
            Rule::ScheduleFreeSgd($inner) => $answer,
        }
    };
}

impl Rule {
    pub fn lr_mut(&mut self) -> &mut f64 {
        of_each!(self, rule => &mut rule.lr)
    }

    pub fn weight_decay_mut(&mut self) -> &mut f64 {
        of_each!(self, rule => &mut rule.weight_decay)
    }
}

/// One rule with its state over a flat vector of parameters. The rule is public: a test of a
/// schedule sets the learning rate between steps.
#[derive(Clone, Debug)]
pub struct OptimOracle {
    pub rule: Rule,
    /// Whether the moments are kept in 8 bits between steps, as [`blocks`] says.
    pub eight_bit: bool,
    t: i32,
    slots: Vec<Slots>,
}

/// The state of one parameter: momentum or first moment, second moment, and the rule's third.
#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    first: f64,
    second: f64,
    third: f64,
    /// Of schedule-free rules alone.
    free: schedule_free::Sequences,
}

impl OptimOracle {
    pub fn new(rule: Rule, parameters: usize) -> Self {
        Self { rule, eight_bit: false, t: 0, slots: vec![Slots::default(); parameters] }
    }

    /// One update of `w` with gradient `g`.
    pub fn step(&mut self, w: &mut [f64], g: &[f64]) {
        assert!(w.len() == self.slots.len() && g.len() == w.len());
        self.t += 1;
        for ((w, &g), slots) in w.iter_mut().zip(g).zip(&mut self.slots) {
            *w = of_each!(&self.rule, rule => rule.update(*w, g, self.t, slots));
        }
        if self.eight_bit {
            self.store_in_eight_bits();
        }
    }

    fn store_in_eight_bits(&mut self) {
        let others = self.slots.iter().all(|slots| slots.third == 0.0);
        assert!(others, "8 bits are defined for a first and a second moment only: {:?}", self.rule);
        let mut first: Vec<f64> = self.slots.iter().map(|slots| slots.first).collect();
        let mut second: Vec<f64> = self.slots.iter().map(|slots| slots.second).collect();
        blocks::store_signed(&mut first);
        blocks::store_unsigned(&mut second);
        for (slots, (first, second)) in self.slots.iter_mut().zip(first.into_iter().zip(second)) {
            (slots.first, slots.second) = (first, second);
        }
    }

    /// What is evaluated in place of the parameters: x of schedule-free rules, after a step at least.
    pub fn evaluated(&self) -> Option<Vec<f64>> {
        let free = matches!(self.rule, Rule::ScheduleFreeAdamW(_) | Rule::ScheduleFreeSgd(_));
        (free && self.t > 0).then(|| self.slots.iter().map(|slots| slots.free.x).collect())
    }
}
