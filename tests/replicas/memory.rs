//! Peak memory of R replicas is what they share and R times what each has, to the byte, and what is allocated.

use downhill::GpuOptions;
use downhill::compile::{MicroBatch, Orders, TrainOptions, TrainPlan};
use downhill::gpu::{Family, Reads};
use downhill::kernel::Target;
use downhill::plan::{BufferPlan, Memory};

use crate::adapter;
use crate::nets::{self, MODELS, half, options, plan, targets, update};

/// Bytes of one net, every buffer rounded up to 256 where each replica has a part.
fn padded(plan: &TrainPlan, is_private: impl Fn(&BufferPlan) -> bool) -> u64 {
    let bytes = |b: &BufferPlan| if is_private(b) { b.bytes.next_multiple_of(256) } else { b.bytes };
    plan.all_buffers().iter().map(bytes).sum()
}

#[test]
fn peaks_grow_by_what_each_has() {
    let parts = TrainOptions { micro_batch: MicroBatch::Rows(3), statistics: Some(1), ..options() };
    for (what, model) in MODELS {
        for target in targets() {
            for (options, orders) in
                [(options(), Orders::Own), (parts.clone(), Orders::Shared), (half(), Orders::Own)]
            {
                let alone = plan(model, &update("adamw", ""), &options, target);
                let of = |count| alone.replicated(count, orders).expect("a plan");
                let (two, many) = (of(2), of(64));
                let [bytes, others] = [&two, &many].map(|plan| plan.replica_bytes().expect("bytes"));
                assert_eq!(bytes, others, "{what}");
                assert_eq!(two.peak_bytes(), bytes.shared + 2 * bytes.private, "{what}");
                assert_eq!(many.peak_bytes(), bytes.shared + 64 * bytes.private, "{what}");
                // One net alone has the same buffers without padding between parts.
                let shared = |b: &BufferPlan| {
                    two.all_buffers().iter().any(|other| other == b && other.bytes == b.bytes)
                };
                assert_eq!(padded(&alone, |b| !shared(b)), bytes.shared + bytes.private, "{what}");
                let names =
                    |plan: &TrainPlan| plan.all_buffers().into_iter().map(|b| b.name).collect::<Vec<_>>();
                assert_eq!(names(&alone), names(&many), "{what}");
                assert_eq!(alone.dispatches(), many.dispatches(), "{what}");
            }
        }
    }
}

/// Samples and constants are there once; weights, states and tables for each replica.
#[test]
fn what_is_shared_is_there_once() {
    let alone = plan(nets::perceptron, &update("lamb", ""), &options(), Target::new(Family::Tiled));
    let size = |plan: &TrainPlan, name: &str| {
        plan.all_buffers().into_iter().find(|b| b.name == name).unwrap_or_else(|| panic!("no {name}")).bytes
    };
    for (orders, order) in [(Orders::Own, 8), (Orders::Shared, 1)] {
        let all = alone.replicated(8, orders).expect("a plan");
        let times = |name: &str| size(&all, name) as f64 / size(&alone, name) as f64;
        for name in ["train x", "train t", "spans of tensors", "weights readback"] {
            assert_eq!(times(name), 1.0, "{name}");
        }
        for name in ["parameters", "gradients", "exp_avg", "optimizer table", "metrics", "metrics readback 0"]
        {
            assert_eq!(times(name), 8.0, "{name}");
        }
        assert_eq!(size(&all, "state"), 8 * 256);
        assert_eq!((times("order"), times("input x")), (f64::from(order), f64::from(order)));
        assert_eq!(all.dispatches_for_all(), usize::from(orders == Orders::Shared));
    }
}

#[test]
fn the_ledger_holds_the_plan() {
    let options_of = GpuOptions { reads: Some(Reads::Storage), ..GpuOptions::default() };
    let gpu = adapter::open_with(options_of);
    let alone = plan(nets::convolutions, &update("adamw", ""), &options(), Target::for_gpu(&gpu));
    let all = alone.replicated(7, Orders::Own).expect("a plan");
    let memory = Memory::allocate(&gpu, &all.memory).expect("memory");
    assert_eq!(gpu.ledger().total(), all.memory.iter().map(|b| b.bytes).sum::<u64>());
    drop(memory);
}
