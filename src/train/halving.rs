//! Successive halving: after some epochs, the worse nets end.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::monitor::{Mode, Monitor};

/// Ends the worse nets of a fleet early: after `first`, `first`·`factor`, `first`·`factor`² .. epochs, of n nets the best
/// ⌊n / factor⌋ go on, at least one.
///
/// Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016; Li et al.,
/// "A System for Massively Parallel Hyperparameter Tuning", 2020, for `asynchronous`.
#[derive(Debug, Clone, PartialEq)]
pub struct Halving {
    /// At least 2.
    pub factor: u64,
    /// The epochs after which nets are judged first.
    pub first: u64,
    /// The number by which they are judged.
    pub monitor: Monitor,
    /// Judges each net as soon as it arrives, against those that have arrived before, in place of waiting for all. Its slot
    /// is free for another then. Which nets go on depends on how many train at once.
    pub asynchronous: bool,
}

/// The decision on nets that had trained for so many epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The epochs.
    pub rung: u64,
    /// Nets that go on.
    pub kept: Vec<usize>,
    /// Nets that ended here, with the number by which they were judged, where it was one.
    pub dropped: Vec<usize>,
    /// The numbers of all of them, kept or dropped.
    pub values: Vec<(usize, Option<f64>)>,
}

/// A rung, with the nets that have come to it.
#[derive(Debug, Clone, Default)]
struct Rung {
    epochs: u64,
    values: Vec<(usize, Option<f64>)>,
    kept: Vec<usize>,
    dropped: Vec<usize>,
}

/// The rungs of a fleet.
#[derive(Debug)]
pub(super) struct Rungs {
    rule: Option<Halving>,
    nets: usize,
    rungs: Vec<Rung>,
}

impl Halving {
    /// Refuses numbers that cannot be.
    ///
    /// # Errors
    /// [`Error::Config`] for a factor below 2, or no first epoch.
    pub fn check(&self) -> Result<()> {
        if self.factor < 2 || self.first == 0 {
            return Err(Error::Config(format!(
                "halving by {} after {} epochs: a factor from 2 on and a first epoch from 1 on are needed, as 3:1",
                self.factor, self.first
            )));
        }
        Ok(())
    }

    /// True where nets are judged after so many epochs.
    fn is_rung(&self, epochs: u64) -> bool {
        let mut rung = self.first;
        while rung < epochs {
            rung = rung.saturating_mul(self.factor);
        }
        rung == epochs && epochs > 0
    }

    /// The better first; those without a number last; of two alike the one with the smaller number.
    fn ranked(&self, values: &[(usize, Option<f64>)]) -> Vec<usize> {
        let mut ranked = values.to_vec();
        ranked.sort_by(|(i, a), (j, b)| match (a, b) {
            (Some(a), Some(b)) => {
                let better = match self.monitor.mode {
                    Mode::Min => a.total_cmp(b),
                    Mode::Max => b.total_cmp(a),
                };
                better.then(i.cmp(j))
            }
            (a, b) => b.is_some().cmp(&a.is_some()).then(i.cmp(j)),
        });
        ranked.into_iter().map(|(net, _)| net).collect()
    }

    /// How many of `nets` go on.
    fn survivors(&self, nets: usize) -> usize {
        (nets / usize::try_from(self.factor).unwrap_or(usize::MAX)).max(1)
    }
}

impl Rungs {
    pub fn new(rule: Option<Halving>, nets: usize) -> Rungs {
        Rungs { rule, nets, rungs: Vec::new() }
    }

    /// The rule.
    pub fn rule(&self) -> Option<&Halving> {
        self.rule.as_ref()
    }

    fn rung(&mut self, epochs: u64) -> &mut Rung {
        let at = self.rungs.partition_point(|rung| rung.epochs < epochs);
        if self.rungs.get(at).is_none_or(|rung| rung.epochs != epochs) {
            self.rungs.insert(at, Rung { epochs, ..Rung::default() });
        }
        &mut self.rungs[at]
    }

    /// True where a net that has trained for so many epochs, and not to its end, waits to be judged, or is ended here.
    pub fn holds(&self, net: usize, epochs: u64) -> bool {
        let kept = || self.rungs.iter().any(|rung| rung.epochs == epochs && rung.kept.contains(&net));
        self.rule.as_ref().is_some_and(|rule| rule.is_rung(epochs)) && !kept()
    }

    /// A net came to a rung.
    pub fn arrived(&mut self, net: usize, epochs: u64, value: Option<f64>) {
        let rung = self.rung(epochs);
        if !rung.values.iter().any(|(other, _)| *other == net) {
            rung.values.push((net, value));
        }
    }

    /// Judges the nets that wait: `goes_on` says whether a net has not ended yet, `epochs` how many it has trained.
    pub fn judge(
        &mut self,
        goes_on: impl Fn(usize) -> bool,
        epochs: impl Fn(usize) -> u64,
    ) -> Vec<Judgement> {
        let Some(rule) = self.rule.clone() else { return Vec::new() };
        let mut judgements = Vec::new();
        let mut entered = self.nets;
        for rung in &mut self.rungs {
            let is_open = |net: usize, rung: &Rung| !rung.kept.contains(&net) && !rung.dropped.contains(&net);
            let waiting: Vec<usize> =
                rung.values.iter().map(|(net, _)| *net).filter(|net| is_open(*net, rung)).collect();
            let most = if rule.asynchronous { rung.values.len() } else { entered };
            entered = rule.survivors(entered);
            let is_awaited = |net: usize| goes_on(net) && epochs(net) < rung.epochs;
            if waiting.is_empty() || !rule.asynchronous && (0..self.nets).any(is_awaited) {
                continue;
            }
            let best: Vec<usize> = rule.ranked(&rung.values).into_iter().take(rule.survivors(most)).collect();
            let has_value = |net: usize| rung.values.iter().any(|(i, value)| *i == net && value.is_some());
            let (kept, dropped): (Vec<usize>, Vec<usize>) =
                waiting.iter().partition(|&&net| best.contains(&net) && has_value(net));
            let values = rung.values.iter().filter(|(net, _)| waiting.contains(net)).copied().collect();
            rung.kept.extend(&kept);
            rung.dropped.extend(&dropped);
            judgements.push(Judgement { rung: rung.epochs, kept, dropped, values });
        }
        judgements
    }

    /// Has judgements of a run before count.
    pub fn recall(&mut self, judgements: &[Judgement], nets: usize) -> Result<()> {
        for Judgement { rung, kept, dropped, values } in judgements {
            if kept.iter().chain(dropped).any(|net| *net >= nets) {
                return Err(Error::Config(format!(
                    "a judgement after {rung} epochs is of nets that are not there"
                )));
            }
            let own = self.rung(*rung);
            own.values.extend(values);
            own.kept.extend(kept);
            own.dropped.extend(dropped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(asynchronous: bool) -> Halving {
        Halving { factor: 3, first: 2, monitor: Monitor::new("eval_loss"), asynchronous }
    }

    #[test]
    fn rungs_are_powers() {
        let rule = rule(false);
        let rungs: Vec<u64> = (0..60).filter(|epochs| rule.is_rung(*epochs)).collect();
        assert_eq!(rungs, [2, 6, 18, 54]);
        assert!(rule.check().is_ok() && Halving { factor: 1, ..rule }.check().is_err());
    }

    #[test]
    fn all_are_awaited_and_the_best_third_goes_on() {
        let mut rungs = Rungs::new(Some(rule(false)), 7);
        for net in 0..6 {
            rungs.arrived(net, 2, (net != 5).then_some(f64::from(10 - net as u32)));
        }
        assert!(
            rungs.judge(|_| true, |net| if net == 6 { 1 } else { 2 }).is_empty(),
            "the seventh is awaited"
        );
        let [judged] = &rungs.judge(|net| net != 6, |net| if net == 6 { 1 } else { 2 })[..] else { panic!() };
        assert_eq!((&judged.kept[..], &judged.dropped[..]), (&[3, 4][..], &[0, 1, 2, 5][..]));
        assert!(!rungs.holds(3, 2) && rungs.holds(0, 2) && !rungs.holds(3, 3) && rungs.holds(3, 6));
        rungs.arrived(3, 6, Some(1.0));
        rungs.arrived(4, 6, Some(0.5));
        let [judged] = &rungs.judge(|_| true, |net| if net < 5 { 6 } else { 9 })[..] else { panic!() };
        assert_eq!(
            (&judged.kept[..], &judged.dropped[..]),
            (&[4][..], &[3][..]),
            "of two, a third is one at least"
        );
    }

    #[test]
    fn each_is_judged_as_it_arrives() {
        let mut rungs = Rungs::new(Some(rule(true)), 9);
        let mut judge = |net: usize, value: f64| {
            rungs.arrived(net, 2, Some(value));
            rungs.judge(|_| true, |_| 2).iter().any(|judged| judged.kept.contains(&net))
        };
        let kept = [5.0, 6.0, 7.0, 4.0, 3.0, 4.5].map(|value| value);
        let kept: Vec<bool> = kept.iter().enumerate().map(|(net, value)| judge(net, *value)).collect();
        assert_eq!(kept, [true, false, false, true, true, false]);
    }

    #[test]
    fn judgements_are_recalled() {
        let mut rungs = Rungs::new(Some(rule(false)), 3);
        let judged = Judgement { rung: 2, kept: vec![1], dropped: vec![0, 2], values: vec![(1, Some(0.1))] };
        rungs.recall(std::slice::from_ref(&judged), 3).unwrap();
        assert!(!rungs.holds(1, 2) && rungs.holds(0, 2));
        assert!(rungs.recall(&[judged], 2).is_err());
    }
}
