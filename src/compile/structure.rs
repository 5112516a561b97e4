//! Two runs can train at once if their plans are alike: everything but the numbers that the host writes.

use super::step::StepPlan;
use super::train_plan::TrainPlan;
use crate::plan::Plan;

impl TrainPlan {
    /// The first thing that keeps nets of this and of the other plan from training at once, in words; `None` where they can:
    /// they then differ in seeds, learning rates and other numbers of the optimizer's table, norms to clip to, and lengths.
    pub fn difference(&self, other: &TrainPlan) -> Option<String> {
        let names = |plan: &TrainPlan| -> Vec<_> {
            let parameters = plan.parameters.iter().map(|p| (p.name.clone(), p.shape.clone()));
            parameters.chain(plan.buffers.iter().map(|b| (b.name.clone(), b.shape.clone()))).collect()
        };
        if names(self) != names(other) {
            return Some("their layers".into());
        }
        let starts = |plan: &TrainPlan| -> Vec<_> {
            let own = plan.parameters.iter().map(|p| p.init);
            own.map(|init| format!("{init:?}"))
                .chain(plan.buffers.iter().map(|b| b.init.to_bits().to_string()))
                .collect()
        };
        if starts(self) != starts(other) {
            return Some("how their weights are drawn".into());
        }
        if (self.batches, self.eval_batches) != (other.batches, other.eval_batches) {
            return Some("their batches".into());
        }
        if self.groups.of != other.groups.of || self.rule.optimizer.kernel() != other.rule.optimizer.kernel()
        {
            return Some("their optimizer, its options or its groups".into());
        }
        let is_same = self.checked == other.checked
            && self.ring == other.ring
            && self.precision == other.precision
            && self.eval_metrics == other.eval_metrics
            && self.metrics == other.metrics
            && self.predictions == other.predictions
            && self.staging == other.staging
            && self.statistics.is_some() == other.statistics.is_some();
        if !is_same {
            return Some("their precision, metrics, or where their samples lie".into());
        }
        let pairs = [(&self.train, &other.train), (&self.eval, &other.eval)];
        let steps = pairs.into_iter().flat_map(|(own, others)| differing(own, others));
        let rest = [(&self.update, &other.update), (&self.average, &other.average)];
        let rest = rest.into_iter().find_map(|(own, other)| match (own, other) {
            (Some(own), Some(other)) => own.difference(other),
            (None, None) => None,
            _ => Some("how their weights are updated or averaged".into()),
        });
        steps.into_iter().next().or(rest)
    }
}

fn differing(own: &[StepPlan], others: &[StepPlan]) -> Option<String> {
    let sizes = |steps: &[StepPlan]| -> Vec<usize> { steps.iter().map(|step| step.batch).collect() };
    if sizes(own) != sizes(others) {
        return Some("their batches".into());
    }
    own.iter().zip(others).find_map(|(own, other)| own.plan.difference(&other.plan))
}

impl Plan {
    /// The first kernel, as `linear 1: matmul`, whose text, constants or buffers differ from the other plan's.
    fn difference(&self, other: &Plan) -> Option<String> {
        let pairs = self.steps.iter().zip(&other.steps);
        let kernel = pairs.into_iter().find(|(own, other)| {
            let (a, b) = (&own.kernel, &other.kernel);
            (a.entry, &a.wgsl, &a.constants, a.grid) != (b.entry, &b.wgsl, &b.constants, b.grid)
                || own.bindings != other.bindings
        });
        let is_same = self.steps.len() == other.steps.len()
            && self.buffers == other.buffers
            && self.constants == other.constants
            && self.arena == other.arena;
        match kernel {
            Some((own, _)) => Some(format!("the kernel of {}", own.title)),
            None if !is_same => Some("their kernels".into()),
            None => None,
        }
    }
}
