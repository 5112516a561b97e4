//! The builder of a run's plan.

use super::budget::plan_within_budget;
use super::objective::{Batch, BatchLoss, Loss, Model, Objective};
use super::options::TrainOptions;
use super::step::{ModelFn, Objectives};
use super::train_plan::TrainPlan;
use crate::data::{BatchPlan, Dataset};
use crate::error::{Error, Result};
use crate::kernel::matmul::TunedProducts;
use crate::kernel::{Family, Target};
use crate::metrics::Metric;
use crate::nn::Net;
use crate::optim::Update;
use std::fmt;

/// A model function of any fields, whatever it returns.
type Step<'a> = Box<dyn Fn(&Net, &Batch) -> Objective + 'a>;

/// The model function of a run.
enum Function<'a> {
    Model(&'a Model<'a>, &'a Loss<'a>),
    Step(Step<'a>),
}

/// Builds a [`TrainPlan`]: see [`TrainPlan::builder`].
pub struct TrainPlanBuilder<'a> {
    data: &'a Dataset,
    update: Update,
    function: Option<Function<'a>>,
    options: Option<TrainOptions>,
    metrics: Option<Vec<Metric>>,
    batches: Option<BatchPlan>,
    target: Target,
    tuned: TunedProducts,
}

impl TrainPlan {
    /// Begins the plan of a run on `data` by this optimizer. A model function is required; options and target have
    /// defaults: [`TrainOptions::default`], and a GPU of the usual kind.
    ///
    /// ```
    /// use downhill::prelude::*;
    ///
    /// # fn main() -> Result<(), Error> {
    /// let data = downhill::data::digits()?;
    /// let model = |net: &Net, x: &Tensor| net.linear("out", &x.flatten(), 10);
    /// let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
    /// let adamw = Optimizer::AdamW(AdamW::default());
    /// let plan = TrainPlan::builder(&data, &adamw).model(&model, &loss).build()?;
    /// println!("{} bytes, {} dispatches a step", plan.peak_bytes(), plan.dispatches());
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder<'a>(data: &'a Dataset, update: impl Into<Update>) -> TrainPlanBuilder<'a> {
        TrainPlanBuilder {
            data,
            update: update.into(),
            function: None,
            options: None,
            metrics: None,
            batches: None,
            target: Target::new(Family::Tiled),
            tuned: TunedProducts::default(),
        }
    }
}

impl<'a> TrainPlanBuilder<'a> {
    /// Trains `model`, from its input [batch, ..] to its output, under `loss`, from output and target to a scalar mean.
    #[must_use]
    pub fn model(mut self, model: &'a Model<'a>, loss: &'a Loss<'a>) -> Self {
        self.function = Some(Function::Model(model, loss));
        self
    }

    /// Trains a model of any fields, outputs and losses: `step` goes from a minibatch to an [`Objective`], or to a loss
    /// alone, a scalar [`Tensor`](crate::Tensor). Evaluation then counts no right predictions.
    #[must_use]
    pub fn step<O: Into<Objective>>(mut self, step: &'a BatchLoss<'a, O>) -> Self {
        self.function = Some(Function::Step(Box::new(move |net, batch| step(net, batch).into())));
        self
    }

    /// Plans under these options: batches, precision, micro-batches, residence, metrics, statistics.
    #[must_use]
    pub fn options(mut self, options: &TrainOptions) -> Self {
        self.options = Some(options.clone());
        self
    }

    /// Computes these metrics in evaluation, in place of the options'.
    #[must_use]
    pub fn metrics(mut self, metrics: &[Metric]) -> Self {
        self.metrics = Some(metrics.to_vec());
        self
    }

    /// Goes through the data in these batches, in place of the options'.
    #[must_use]
    pub fn batches(mut self, batches: BatchPlan) -> Self {
        self.batches = Some(batches);
        self
    }

    /// Plans for this device. Options, where they are given, decide its precision, rounding, residence and statistics.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Makes these products by the tiles that are named for them, in place of the predicted ones, on adapters whose products
    /// have tiles. Results may have other bits.
    #[must_use]
    pub fn tuned(mut self, tuned: &TunedProducts) -> Self {
        self.tuned = tuned.clone();
        self
    }

    /// Plans the run.
    ///
    /// # Errors
    /// [`Error::Config`] for wrong hyperparameters, labels that the output has no class for, metrics that do not fit the
    /// loss; a shape error with its layer; [`Error::Budget`] where no plan fits the target's budget.
    pub fn build(self) -> Result<TrainPlan> {
        let batches = match (self.batches, &self.options) {
            (Some(batches), _) => batches,
            (None, Some(options)) => options.batches(self.data)?,
            (None, None) => TrainOptions::default().batches(self.data)?,
        };
        let target = self.options.as_ref().map_or(self.target, |options| options.target(self.target));
        let model = match &self.function {
            Some(Function::Model(model, loss)) => ModelFn::Plain(*model, *loss),
            Some(Function::Step(step)) => ModelFn::Batches(step.as_ref()),
            None => {
                return Err(Error::Config(
                    "the plan has no model: give one by .model(&model, &loss) or .step(&step)".into(),
                ));
            }
        };
        let own = self.options.as_ref().map_or(&[][..], |options| &options.metrics);
        let objectives = Objectives { model, metrics: self.metrics.as_deref().unwrap_or(own) };
        let plan = plan_within_budget(objectives, self.update, self.data, batches, target, &self.tuned)?;
        Ok(plan.reading(target))
    }
}

impl fmt::Debug for TrainPlanBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrainPlanBuilder")
            .field("options", &self.options)
            .field("target", &self.target)
            .finish()
    }
}
