//! The programs of a run, each compiled at its first use.

use std::cell::OnceCell;

use crate::compile::{StepPlan, TrainPlan};
use crate::error::{Error, Result};
use crate::gpu::{Dispatch, Gpu};
use crate::plan::{Memory, Program};
use crate::units::plural;

/// The programs of a [`TrainPlan`], as far as they have been needed: the first step does not wait for those of short
/// batches and of evaluation.
#[derive(Debug)]
pub(super) struct Programs {
    train: ByBatch,
    own_shards: Option<Program>,
    update: Option<Program>,
    average: OnceCell<Program>,
    eval: ByBatch,
}

/// A program for each size of batch.
#[derive(Debug)]
pub(super) struct ByBatch(Vec<Option<Program>>);

/// The number of the plan for batches of `rows` samples.
fn index_for(steps: &[StepPlan], rows: usize) -> Result<usize> {
    steps.iter().position(|step| step.batch == rows).ok_or_else(|| {
        let sizes: Vec<String> = steps.iter().map(|step| step.batch.to_string()).collect();
        Error::Data(format!(
            "the plan has no program for a batch of {}, only for {}: it was made for other batches",
            plural(rows, "sample"),
            sizes.join(" and ")
        ))
    })
}

impl ByBatch {
    /// Compiles the program for batches of `rows` samples, where it is not there yet, and gives its number.
    async fn compile(
        &mut self,
        gpu: &Gpu,
        steps: &[StepPlan],
        memory: &Memory,
        rows: usize,
    ) -> Result<usize> {
        let index = index_for(steps, rows)?;
        if self.0[index].is_none() {
            self.0[index] = Some(Program::make(gpu, &steps[index].plan, memory).await?);
        }
        Ok(index)
    }

    /// [`ByBatch::compile`] for each pass.
    async fn compile_all(
        &mut self,
        gpu: &Gpu,
        steps: &[StepPlan],
        memory: &Memory,
        passes: &[(usize, usize)],
    ) -> Result<Vec<usize>> {
        let mut indices = Vec::with_capacity(passes.len());
        for &(rows, _) in passes {
            indices.push(self.compile(gpu, steps, memory, rows).await?);
        }
        Ok(indices)
    }

    fn dispatches(&self, index: usize) -> &[Dispatch] {
        self.0[index].as_ref().map_or(&[], |program| &program.dispatches)
    }
}

impl Programs {
    /// Compiles the training step of a full batch.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub async fn new(gpu: &Gpu, plan: &TrainPlan, memory: &Memory) -> Result<Programs> {
        let none = |steps: &[StepPlan]| ByBatch(steps.iter().map(|_| None).collect());
        let mut programs = Programs {
            train: none(&plan.train),
            own_shards: None,
            update: None,
            average: OnceCell::new(),
            eval: none(&plan.eval),
        };
        programs.train.compile(gpu, &plan.train, memory, plan.train[0].batch).await?;
        Ok(programs)
    }

    /// Compiles the programs of training passes of these sizes, and of the update where it is apart; gives the number of
    /// each pass's program.
    ///
    /// # Errors
    /// A kernel that does not compile; a size that the plan does not have.
    pub async fn compile_train(
        &mut self,
        gpu: &Gpu,
        plan: &TrainPlan,
        memory: &Memory,
        passes: &[(usize, usize)],
    ) -> Result<Vec<usize>> {
        if let (Some(update), None) = (&plan.update, &self.update) {
            self.update = Some(Program::make(gpu, update, memory).await?);
        }
        if let (Some(own), None) = (&plan.own_shards, &self.own_shards) {
            self.own_shards = Some(Program::make(gpu, own, memory).await?);
        }
        self.train.compile_all(gpu, &plan.train, memory, passes).await
    }

    /// [`Programs::compile_train`] for the passes of an evaluation.
    ///
    /// # Errors
    /// As there.
    pub async fn compile_eval(
        &mut self,
        gpu: &Gpu,
        plan: &TrainPlan,
        memory: &Memory,
        passes: &[(usize, usize)],
    ) -> Result<Vec<usize>> {
        self.eval.compile_all(gpu, &plan.eval, memory, passes).await
    }

    /// The dispatches of a training pass.
    pub fn train(&self, index: usize) -> &[Dispatch] {
        self.train.dispatches(index)
    }

    /// The dispatches of an evaluation pass.
    pub fn eval(&self, index: usize) -> &[Dispatch] {
        self.eval.dispatches(index)
    }

    /// The dispatches that add the shards of this rank, where there are other ranks.
    pub fn own_shards(&self) -> Option<&[Dispatch]> {
        self.own_shards.as_ref().map(|program| &program.dispatches[..])
    }

    /// The dispatches of the update after the last micro-batch of a batch.
    pub fn update(&self) -> Option<&[Dispatch]> {
        self.update.as_ref().map(|program| &program.dispatches[..])
    }

    /// The dispatches that compute the averaged weights, for optimizers that train other weights.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub async fn average(&self, gpu: &Gpu, plan: &TrainPlan, memory: &Memory) -> Result<Option<&[Dispatch]>> {
        let Some(average) = &plan.average else { return Ok(None) };
        if self.average.get().is_none() {
            let _ = self.average.set(Program::make(gpu, average, memory).await?);
        }
        Ok(self.average.get().map(|program| &program.dispatches[..]))
    }
}
