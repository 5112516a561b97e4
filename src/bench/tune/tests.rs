//! A small net measured on a device with tiles; a table that changes itself; a wrong tile.

use super::*;
use crate::bench::Effort;
use crate::compile::TrainOptions;
use crate::data::{BatchSize, Dataset, digits};
use crate::gpu::{GpuOptions, Reads};
use crate::graph::Tensor;
use crate::nn::{Net, loss};
use crate::optim::{AdamW, Optimizer};

fn model(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", &x.flatten(), 24).relu();
    net.linear("2", &h, 10)
}

fn plan(data: &Dataset, table: &TunedProducts) -> Result<TrainPlan> {
    let cross_entropy = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &loss::CrossEntropy::default());
    let options = TrainOptions {
        batch_size: BatchSize::Rows(100),
        drop_last: data.eval().is_none(),
        ..TrainOptions::default()
    };
    let adamw = Optimizer::AdamW(AdamW::default());
    let target = Target::new(Family::Tiled).kernel_by_kernel();
    let builder = TrainPlan::builder(data, &adamw).model(&model, &cross_entropy).options(&options);
    builder.target(target).tuned(table).build()
}

/// A device of the tiled family, as a GPU's kernels are.
fn gpu() -> Gpu {
    let open = |adapter: &str| {
        Gpu::open(&GpuOptions {
            adapter: adapter.into(),
            family: Some(Family::Tiled),
            reads: Some(Reads::Storage),
            shader_checks: false,
            ..GpuOptions::default()
        })
    };
    open("software").or_else(|_| open("auto")).unwrap()
}

fn options() -> Options {
    let effort = Effort { rounds: 3, least: 1e-4, most: 0.05 };
    Options { effort, ..Options::new(true) }
}

#[test]
fn every_product_is_measured_once_with_tiles_of_its_own() {
    let (gpu, data) = (gpu(), digits().unwrap());
    if without_tiles(&gpu).is_some() {
        return;
    }
    let plan = |table: &TunedProducts| plan(&data, table);
    let tuning = Tuning { plan: &plan, known: TunedProducts::default() };
    let tuned = tuning.run(&gpu, &options()).unwrap();
    let final_plan = plan(&tuned.products).unwrap();
    // Two layers: outputs, gradients of weights, of the inputs of the second; a short last batch; evaluation of two sizes.
    assert_eq!(final_plan.tuned_products(), final_plan.product_tiles().count());
    assert_eq!(tuned.measured.len(), tuned.products.len());
    assert!(tuned.measured.len() >= 8, "{tuned:?}");
    for product in &tuned.measured {
        assert!(product.left_out.is_empty(), "{product:?}");
        let tiles: Vec<_> = product.candidates.iter().map(|c| c.choice.tile.name()).collect();
        assert!((2..=CANDIDATES).contains(&tiles.len()), "{tiles:?}");
        assert!((1..tiles.len()).all(|i| !tiles[..i].contains(&tiles[i])), "{tiles:?}");
        let default = crate::kernel::matmul::choose(product.kind.sizes, product.kind.row_sum);
        assert_eq!(product.candidates[0].choice, default.into());
        assert!(product.candidates.iter().all(|c| c.seconds.median > 0.0 && c.seconds.runs == 3));
        assert_eq!(tuned.products.get(&product.kind), Some(product.candidates[product.chosen].choice));
    }
    let step = &tuned.steps[0];
    assert_eq!((step.title.as_str(), step.products, step.known), ("training step, batch 100", 5, 0));
    assert!(step.before > 0.0 && step.after <= 1.05 * step.before, "{step:?}");
    let [products, steps] = &tuned.sheets()[..] else { panic!("two tables") };
    assert_eq!((products.rows.len(), steps.rows.len()), (tuned.measured.len(), tuned.steps.len()));

    // What is known is not measured again.
    let known = tuned.products.clone();
    let again = Tuning { plan: &plan, known }.run(&gpu, &options()).unwrap();
    assert_eq!((again.measured.len(), &again.products), (0, &tuned.products));
    assert_eq!((again.steps[0].products, again.steps[0].known), (0, 5));
}

/// A kernel that leaves out a part of its sums is fast, and not taken.
#[test]
fn a_tile_with_other_numbers_is_left_out() {
    let gpu = gpu();
    // Without an evaluation, and without a short last batch.
    let all = digits().unwrap();
    let data = Dataset::new("digits", all.train().clone(), None, all.classes()).unwrap();
    let rank = std::cell::Cell::new(0);
    let broken = |table: &TunedProducts| {
        let mut plan = plan(&data, table)?;
        // The plan of the second rank.
        if rank.replace(rank.get() + 1) == 2 {
            for step in plan.train.iter_mut().chain(&mut plan.eval).flat_map(|step| &mut step.plan.steps) {
                if step.tile.is_some() {
                    for constant in &mut step.kernel.constants {
                        constant.1 -= if constant.0 == "K" { 4 } else { 0 };
                    }
                }
            }
        }
        Ok(plan)
    };
    let tuned = Tuning { plan: &broken, known: TunedProducts::default() }.run(&gpu, &options()).unwrap();
    for product in &tuned.measured {
        let second: TileChoice = ranked(product.kind.sizes, product.kind.row_sum)[1].into();
        let [(tile, why)] = &product.left_out[..] else { panic!("{product:?}") };
        assert!(*tile == second && why.contains("number "), "{product:?}");
        assert!(product.candidates.iter().all(|c| c.choice != second), "{product:?}");
    }
    let notes = &tuned.sheets()[0].notes;
    assert!(notes.iter().any(|note| note.contains("left out: number")), "{notes:?}");
}
