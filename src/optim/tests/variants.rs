//! Settings of every optimizer that the tests of the kernels go through.

use super::super::*;

/// Every kernel, form and switch, with decay where torch has it.
pub fn variants() -> Vec<Optimizer> {
    use MomentumForm::{Average, Velocity};
    let sgd = Sgd { lr: 0.02, weight_decay: 0.05, ..Sgd::default() };
    let momentum = Sgd { lr: 0.01, momentum: 0.9, ..sgd.clone() };
    let sgds = [
        sgd,
        Sgd { dampening: 0.3, ..momentum.clone() },
        Sgd { nesterov: true, ..momentum.clone() },
        Sgd { form: Velocity, ..momentum.clone() },
        Sgd { form: Average, ..momentum.clone() },
        momentum,
    ];
    let rms = RmsProp { weight_decay: 0.05, ..RmsProp::default() };
    let ball = RmsProp { lr: 0.005, momentum: 0.7, ..rms.clone() };
    let rmsprops = [
        RmsProp { bias_correction: true, ..rms.clone() },
        RmsProp { centered: true, ..rms.clone() },
        RmsProp { bias_correction: true, ..ball.clone() },
        RmsProp { centered: true, alpha: 0.9, eps: 1e-3, ..ball.clone() },
        ball,
        rms,
    ];
    let adam = Adam { lr: 0.01, weight_decay: 0.1, ..Adam::default() };
    let adams = [
        Adam { amsgrad: true, betas: [0.9, 0.9], ..adam.clone() },
        Adam { betas: [0.2, 0.9], eps: 1e-3, ..adam.clone() }, // the other end of `blend`
        adam,
    ];
    let adamw = AdamW { lr: 0.01, weight_decay: 0.1, ..AdamW::default() };
    let adamws = [AdamW { amsgrad: true, betas: [0.9, 0.9], ..adamw.clone() }, adamw];
    let sgds = sgds.into_iter().map(Optimizer::Sgd);
    let rmsprops = rmsprops.into_iter().map(Optimizer::RmsProp);
    let adams = adams.into_iter().map(Optimizer::Adam);
    let first = sgds.chain(rmsprops).chain(adams).chain(adamws.into_iter().map(Optimizer::AdamW));
    first.chain(kin_of_adam()).chain(others()).collect()
}

fn kin_of_adam() -> Vec<Optimizer> {
    let nadam = NAdam { lr: 0.01, weight_decay: 0.1, ..NAdam::default() };
    let radam = RAdam { lr: 0.01, weight_decay: 0.1, ..RAdam::default() };
    vec![
        Optimizer::NAdam(nadam.clone()),
        Optimizer::NAdam(NAdam {
            decoupled_weight_decay: true,
            betas: [0.5, 0.9],
            eps: 1e-3,
            ..nadam.clone()
        }),
        Optimizer::NAdam(NAdam { momentum_decay: 0.5, betas: [0.999, 0.9999], ..nadam }),
        Optimizer::RAdam(radam.clone()),
        Optimizer::RAdam(RAdam {
            decoupled_weight_decay: true,
            betas: [0.5, 0.95],
            eps: 1e-3,
            ..radam.clone()
        }),
        Optimizer::RAdam(RAdam { betas: [0.9, 0.5], ..radam }), // never adaptive
        Optimizer::Adamax(Adamax { weight_decay: 0.1, ..Adamax::default() }),
        Optimizer::Adamax(Adamax { betas: [0.5, 0.9], eps: 0.05, ..Adamax::default() }),
    ]
}

fn others() -> Vec<Optimizer> {
    let lion = Lion { lr: 0.001, weight_decay: 0.1, ..Lion::default() };
    let adamw = ScheduleFreeAdamW { lr: 0.01, weight_decay: 0.1, ..ScheduleFreeAdamW::default() };
    let sgd = ScheduleFreeSgd { lr: 0.01, weight_decay: 0.1, ..ScheduleFreeSgd::default() };
    vec![
        Optimizer::Adagrad(Adagrad { weight_decay: 0.1, ..Adagrad::default() }),
        Optimizer::Adagrad(Adagrad {
            lr_decay: 0.1,
            initial_accumulator_value: 0.5,
            eps: 0.1,
            ..Adagrad::default()
        }),
        Optimizer::Adadelta(Adadelta { weight_decay: 0.1, ..Adadelta::default() }),
        Optimizer::Adadelta(Adadelta { rho: 0.5, eps: 1e-3, ..Adadelta::default() }),
        Optimizer::Lion(Lion { betas: [0.5, 0.9], ..lion.clone() }),
        Optimizer::Lion(lion),
        Optimizer::ScheduleFreeAdamW(ScheduleFreeAdamW { warmup_steps: 9, ..adamw.clone() }),
        Optimizer::ScheduleFreeAdamW(ScheduleFreeAdamW {
            r: 1.5,
            betas: [0.5, 0.9],
            eps: 1e-3,
            ..adamw.clone()
        }),
        Optimizer::ScheduleFreeAdamW(adamw),
        Optimizer::ScheduleFreeSgd(ScheduleFreeSgd { warmup_steps: 5, momentum: 0.5, ..sgd.clone() }),
        Optimizer::ScheduleFreeSgd(sgd),
    ]
}
