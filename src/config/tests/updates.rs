//! Keys beside an optimizer's own in `[optimizer]`; `[average]`; `train.micro_batch`.

use super::*;
use crate::compile::MicroBatch;
use crate::optim::{Average, Clip, ParamGroup};

/// DIGITS with these lines in `[optimizer]`.
#[track_caller]
fn with(lines: &str) -> Config {
    let config = Config::parse(&DIGITS.replace("lr = 3e-3", &format!("lr = 3e-3\n{lines}")), &[]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config, "{text}");
    config
}

#[test]
fn nothing_is_on_unless_said() {
    let update = with("").update;
    assert_eq!(update, Update::new(update.optimizer.clone()));
    assert_eq!(with("").options.micro_batch, MicroBatch::Whole);
    assert_eq!(reads("[average]").update.average, None);
}

#[test]
fn keys_beside_the_optimizer_s_are_read_and_written_back() {
    assert_eq!(with("clip_norm = 1").update.clip, Some(Clip::Norm(1.0)));
    assert_eq!(with("clip_value = 0.5").update.clip, Some(Clip::Value(0.5)));
    assert_eq!(with("clip_norm = inf").update.clip, Some(Clip::Norm(f64::INFINITY)));
    for on in [true, false] {
        assert_eq!(with(&format!("skip_nonfinite = {on}")).update.skip_nonfinite, Some(on));
        assert_eq!(with(&format!("decay_biases_and_norms = {on}")).update.decay_biases_and_norms, on);
    }
    let groups = "groups = [{ params = '*.bias', weight_decay = 0, lr_factor = 2 }, { params = ['1.*', '4.w?ight'], \
                  frozen = true }, { params = ['*'], betas = [0.8, 0.9] }]";
    let wanted = vec![
        ParamGroup::new(["*.bias"]).set("weight_decay", 0).lr_factor(2.0),
        ParamGroup::new(["1.*", "4.w?ight"]).frozen(),
        ParamGroup::new(["*"]).set("betas", vec![0.8, 0.9]),
    ];
    assert_eq!(with(groups).update.groups, wanted);
    let tables = "[[optimizer.groups]]\nparams = ['*.bias']\nlr_factor = 3";
    assert_eq!(with(tables).update.groups, vec![ParamGroup::new(["*.bias"]).lr_factor(3.0)]);
}

#[test]
fn averages_are_read_and_written_back() {
    let of = |text: &str| reads(&format!("[average]\n{text}")).update.average;
    assert_eq!(of("kind = 'ema'"), Some(Average::Ema { decay: 0.999, eval: true }));
    assert_eq!(of("kind = 'ema'\ndecay = 0\neval = false"), Some(Average::Ema { decay: 0.0, eval: false }));
    assert_eq!(of("kind = 'swa'"), Some(Average::Swa { start_epoch: 0, eval: true }));
    assert_eq!(
        of("kind = 'swa'\nstart_epoch = 3\neval = false"),
        Some(Average::Swa { start_epoch: 3, eval: false })
    );
}

/// 64 samples a batch; the last of an epoch has 29.
#[test]
fn micro_batches_are_read_and_planned() {
    let of = |n: usize| {
        let config = Config::parse(DIGITS, &[format!("train.micro_batch={n}")]).unwrap();
        assert_eq!(config.options.micro_batch, MicroBatch::Rows(n));
        assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
        let train_plan = plan(&config).unwrap();
        let sizes: Vec<usize> = train_plan.train.iter().map(|build| build.batch).collect();
        (sizes, train_plan.update.is_some())
    };
    assert_eq!(of(1), (vec![1], true));
    assert_eq!(of(24), (vec![24, 16, 5], true));
    // As many as a batch has, or more: it stays whole.
    for n in [64, 1000] {
        assert_eq!(of(n), (vec![64, 29], false));
    }
}

#[test]
fn faults_beside_the_optimizer_name_key_value_and_remedy() {
    refused(
        r#"
        optimizer.clip_norm=-1 => optimizer.clip_norm = -1.0: a norm above 0 is needed
        optimizer.clip_norm=0 => optimizer.clip_norm = 0.0: a norm above 0 is needed
        optimizer.clip_norm=nan => optimizer.clip_norm = NaN: a norm above 0 is needed
        optimizer.clip_norm=1e-60 => optimizer.clip_norm = 1e-60: a norm above 0 is needed
        optimizer.clip_norm=tight => optimizer.clip_norm = "tight": a number is needed, and this is a string
        optimizer.clip_value=-0.5 => optimizer.clip_value = -0.5: a number above 0 is needed
        optimizer.clip_value=nan => optimizer.clip_value = NaN: a number above 0 is needed
        optimizer.clip_value=1 & optimizer.clip_norm=1 => optimizer.clip_norm and optimizer.clip_value: one of them, not both
        optimizer.clipnorm=1 => unknown key optimizer.clipnorm for adamw; did you mean "clip_norm"?
        optimizer.skip_nonfinite=1 => optimizer.skip_nonfinite = 1: true or false is needed
        optimizer.decay_biases_and_norms=no => optimizer.decay_biases_and_norms = "no": true or false
        optimizer.groups=3 => optimizer.groups = 3: a list of tables is needed, as [{ params = ["*.bias"]
        optimizer.groups=['*.bias'] => optimizer.groups[0] = "*.bias": a table is needed
        optimizer.groups=[{ lr_factor = 2 }] => optimizer.groups[0].params is missing; for example params = 
        optimizer.groups=[{ param = ['*'] }] => unknown key optimizer.groups[0].param; did you mean "params"?
        optimizer.groups=[{ params = [] }] => optimizer.groups[0].params = []: a group needs names
        optimizer.groups=[{ params = [3] }] => optimizer.groups[0].params = [3]: a list of names is needed
        optimizer.groups=[{ params = ['*.bais'] }] => optimizer.groups[0]: no parameter is named "*.bais"; did you mean "
        optimizer.groups=[{ params = ['*.bias'], weight_decya = 0 }] => unknown key optimizer.groups[0].weight_decya; did you mean "weight_decay"?
        optimizer.groups=[{ params = ['*.bias'], lr_facter = 2 }] => unknown key optimizer.groups[0].lr_facter; did you mean "lr_factor"?
        optimizer.groups=[{ params = ['*.bias'], momentum = 0.5 }] => unknown key optimizer.groups[0].momentum; there are: params, lr_factor, frozen, lr
        optimizer.groups=[{ params = ['*.bias'], name = 'sgd' }] => optimizer.groups[0].name = "sgd": a group has the run's optimizer
        optimizer.groups=[{ params = ['*.bias'], weight_decay = 'none' }] => optimizer.groups[0].weight_decay = "none": a number is needed, and this
        optimizer.groups=[{ params = ['*.bias'], betas = 0.9 }] => optimizer.groups[0].betas = 0.9: two numbers
        optimizer.groups=[{ params = ['*.bias'], weight_decay = -1 }] => optimizer.groups[0].weight_decay = -1.0: weight decay is finite and at least 0
        optimizer.groups=[{ params = ['*.bias'], lr_factor = -1 }] => optimizer.groups[0].lr_factor = -1.0: a factor is finite and at least 0
        optimizer.groups=[{ params = ['*.bias'], frozen = 1 }] => optimizer.groups[0].frozen = 1: true or false is needed
        optimizer.groups=[{ params = ['*.bias'], amsgrad = true }] => optimizer.groups[0]: ["amsgrad"] change what the optimizer keeps
        optimizer.groups=[{ params = ['*.bias'], state_bits = 8 }] => optimizer.groups[0]: ["state_bits"] change what the optimizer keeps
        optimizer.groups=[{ params = ['*.bias'], state_bits = 4 }] => optimizer.groups[0].state_bits = 4: moments are kept in 32 bits, or in 8
        optimizer.groups=[{ params = ['*'], frozen = true }] => optimizer.groups: every parameter is frozen, so there is nothing to train
    "#,
    );
}

#[test]
fn faults_of_averages_and_micro_batches_name_key_value_and_remedy() {
    refused(
        r#"
        average=ema => average = "ema": a table is needed
        average.decay=0.9 => average.kind is missing; for example kind = "ema"
        average.kid=ema => unknown key average.kid; did you mean "kind"?
        average.kind=mean => average.kind = "mean": "ema" or "swa" is needed
        average.kind=ema & average.decay=1 => average.decay = 1.0: a decay is at least 0 and below 1
        average.kind=ema & average.decay=-0.1 => average.decay = -0.1: a decay is at least 0 and below 1
        average.kind=ema & average.decay=nan => average.decay = NaN: a decay is at least 0 and below 1
        average.kind=ema & average.decay=slow => average.decay = "slow": a number is needed, and this is a string
        average.kind=ema & average.eval=1 => average.eval = 1: true or false is needed
        average.kind=ema & average.start_epoch=1 => unknown key average.start_epoch; there are: kind, decay, eval
        average.kind=swa & average.start_epoch=-1 => average.start_epoch = -1: a whole number from 0 on
        average.kind=swa & average.decay=0.5 => unknown key average.decay; there are: kind, start_epoch, eval
        train.micro_batch=0 => train.micro_batch = 0: a micro-batch has at least 1 sample
        train.micro_batch=-1 => train.micro_batch = -1: a whole number of samples, or "auto", is needed
        train.micro_batch=half => train.micro_batch = "half": a whole number
        train.microbatch=4 => unknown key train.microbatch; did you mean "micro_batch"?
        train.micro_batch=1 & data.batch_size=65 => train.micro_batch = 1: a batch of 65 samples would go in 65 micro-batches, and at most 64 fit in a submission; the least is 2
    "#,
    );
}
