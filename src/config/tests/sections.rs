//! `[train]`, `[checkpoint]`, `[early_stopping]`, `[watch]`: what is read, refused and written.

use super::super::reference::{Key, entry_keys, sections};
use super::*;
use crate::compile::{EarlyStopping, MicroBatch};
use crate::metrics::Metric;
use crate::train::Mode;

#[test]
fn every_key_is_read() {
    let train = reads(
        "steps = 7\nprecision = 'f16'\nweight_rounding = 'stochastic'\nmicro_batch = 'auto'\nmemory = '1 KiB'",
    );
    let options = &train.options;
    assert_eq!((options.epochs, options.steps, options.micro_batch), (2, Some(7), MicroBatch::Auto));
    assert_eq!((options.precision, options.weight_rounding), (Precision::F16, Rounding::Stochastic));
    assert_eq!((train.memory, reads("memory = 77").memory, reads("").memory), (Some(1024), Some(77), None));

    let rule = |text: &str| reads(&format!("[checkpoint]\n{text}")).checkpoints;
    let (usual, silent) = (
        CheckpointOptions::default(),
        CheckpointOptions { every_minutes: None, ..CheckpointOptions::default() },
    );
    for (text, wanted) in [
        ("", usual.clone()),
        ("every_minutes = 0", silent.clone()),
        ("every_steps = 0", silent.clone()),
        ("every_steps = 3", CheckpointOptions { every_steps: Some(3), ..silent.clone() }),
        ("every_epochs = 3", CheckpointOptions { every_epochs: Some(3), ..silent }),
        ("every_minutes = 0.5", CheckpointOptions { every_minutes: Some(0.5), ..usual.clone() }),
        (
            "keep_last = 9\nkeep_best = true",
            CheckpointOptions { keep_last: 9, keep_best: 1, ..usual.clone() },
        ),
        (
            "keep_best = 3\nmetric = 'f1'",
            CheckpointOptions { keep_best: 3, metric: Some("f1".into()), ..usual.clone() },
        ),
        ("keep_best = false", usual),
    ] {
        assert_eq!(rule(text), wanted, "{text}");
    }

    let stopping = |text: &str| reads(text).options.early_stopping;
    assert_eq!((stopping(""), stopping("[early_stopping]")), (None, Some(EarlyStopping::default())));
    let text =
        "[early_stopping]\nmetric = 'f1'\nmode = 'max'\npatience = 3\nmin_delta = 0.5\nrestore_best = false";
    let (metric, mode) = (Some("f1".to_owned()), Some(Mode::Max));
    let wanted = EarlyStopping { metric, mode, patience: 3, min_delta: 0.5, restore_best: false };
    assert_eq!(stopping(text), Some(wanted));
}

#[test]
fn faults_name_key_value_and_remedy() {
    refused(
        r#"
        model.layers=3 => model.layers = 3: a list is needed, and this is an integer; for example layers = ["fl
        train=3 => train = 3: a table is needed, and this is an integer
        data=3 => data = 3: a table is needed, and this is an integer
        train.steps=0 => train: at least 1 epoch or step is needed
        train.precision=f8 => train.precision = "f8": "f32" or "f16" is needed
        train.weight_rounding=up => train.weight_rounding = "up": "nearest" or "stochastic" is needed
        train.memory=0 => train.memory = 0: a size, as "256MiB", is needed, and this is an integer
        train.memory=1.5 => train.memory = 1.5: a size, as "256MiB", is needed, and this is a number
        train.memory=much => train.memory: "much" is no size; a number with KiB, MiB or GiB is needed
        checkpoint.every=3 => unknown key checkpoint.every; there are: every_steps, every_minutes, every_epochs
        checkpoint.every_steps=-1 => checkpoint.every_steps = -1: a whole number from 0 on is needed
        checkpoint.every_minutes=-1 => checkpoint.every_minutes = -1: a number of minutes above 0 is needed, or 0 for never
        checkpoint.keep_last=0 => checkpoint.keep_last = 0: at least the last one is kept
        checkpoint.keep_best=all => checkpoint.keep_best = "all": how many of the best are kept, or true for one, is needed
        checkpoint.metric=3 => checkpoint.metric = 3: a name is needed, and this is an integer; for example metric = "eval_loss"
        early_stopping.patience=0 => early_stopping.patience = 0: at least 1 epoch is needed
        early_stopping.min_delta=-1 => early_stopping.min_delta = -1: a number from 0 on is needed
        early_stopping.mode=less => early_stopping.mode = "less": "min" or "max" is needed
        early_stopping.patient=1 => unknown key early_stopping.patient; did you mean "patience"?
        watch.statistics=-1 => watch.statistics = -1: a whole number from 0 on is needed
        eval.metrics=f1 => eval.metrics = "f1": a list is needed, and this is a string; for example metrics = ["f1"
    "#,
    );
    for (section, key, wanted) in [
        ("model", "loss", "model.layers is missing; for example layers = [\"flatten\", { linear = 10 }]"),
        ("model", "layers", "model.loss is missing; for example loss = \"cross_entropy\""),
    ] {
        let mut table: Table = DIGITS.parse().unwrap();
        let inner = table[section].as_table_mut().unwrap();
        inner.retain(|other, _| other == key);
        assert!(error(&table.to_string(), &[]).contains(wanted));
    }
}

/// The file of a run is read by every later version: `resume`, `eval` and `predict` need it.
#[test]
fn a_run_s_config_is_whole_and_in_order() {
    let text = DIGITS.replace("\"flatten\"", "\"relu\", \"flatten\"");
    let more = "micro_batch = 4\n[checkpoint]\nevery_steps = 3\n[early_stopping]\n[eval]\nmetrics = ['accuracy', { top_k = 3 }]";
    let config = Config::parse(&format!("{text}\n{more}"), &[]).unwrap();
    let wanted = r#"seed = 3

[data]
source = "digits"
batch_size = 64
shuffle = true
drop_last = false
residence = "auto"

[model]
layers = ["relu", { flatten = { start_axis = 1 } }, { linear = { out_features = 32, bias = true } }, { leaky_relu = { negative_slope = 0.1 } }, { gelu = { approximate = "tanh" } }, { linear = { out_features = 10, bias = false } }]

[model.loss.cross_entropy]
label_smoothing = 0.1

[optimizer]
name = "adamw"
"#;
    let text = config.to_toml();
    assert!(text.starts_with(wanted), "{text}");
    let wanted = r#"
[train]
epochs = 2
precision = "f32"
weight_rounding = "nearest"
micro_batch = 4
shards = 1

[checkpoint]
every_steps = 3
every_minutes = 0.0
keep_last = 2
keep_best = 0

[early_stopping]
patience = 10
min_delta = 0.0
restore_best = true

[watch]
tensorboard = false
statistics = 0

[eval]
metrics = ["accuracy", { top_k = { k = 3 } }]
"#;
    assert!(text.ends_with(wanted), "{text}");
}

/// The reference lists what can be read: each section, key, type and default.
#[test]
fn the_reference_is_what_is_read() {
    for section in sections() {
        assert!(!section.about.is_empty() && !section.keys.is_empty(), "{section:?}");
        for Key { name, kind, about, .. } in &section.keys {
            assert!(!kind.is_empty() && !about.is_empty(), "{}.{name}: {kind}, {about}", section.name);
        }
    }
    let of = |section: &str, key: &str| {
        let section = sections().into_iter().find(|one| one.name == section).unwrap();
        let key = section.keys.into_iter().find(|one| one.name == key).unwrap();
        (key.kind, key.default)
    };
    let is = |kind: &str, default: Option<Value>| (kind.to_owned(), default);
    assert_eq!(of("", "seed"), is("a whole number from 0 on", Some(0.into())));
    assert_eq!(of("train", "precision"), is("\"f32\" or \"f16\"", Some("f32".into())));
    assert_eq!(of("train", "memory"), is("a size, as \"256MiB\"", None));
    assert_eq!(of("early_stopping", "min_delta"), is("a number", Some(0.0.into())));
    let samplings = "\"epoch\" or \"once\" or \"file\" or \"replacement\"";
    assert_eq!(of("data", "sampling"), is(samplings, Some("epoch".into())));
    assert_eq!(of("data", "shuffle"), is("true or false", None));
    assert_eq!(of("optimizer", "clip_norm"), is("a number", None));
    assert_eq!(of("schedule", "interval"), is("\"step\" or \"epoch\"", None));
    assert_eq!(of("average", "decay"), is("a number", Some(0.999.into())));
    assert_eq!(of("model", "layers"), is("a list", None));
    assert_eq!(of("eval", "metrics"), is("a list", Some(Value::Array(Vec::new()))));

    let options =
        |keys: Vec<Key>| keys.into_iter().map(|key| (key.name, key.kind, key.default)).collect::<Vec<_>>();
    let (average, number) = ("\"macro\" or \"micro\" or \"weighted\"".to_owned(), "a number".to_owned());
    assert_eq!(options(entry_keys::<Metric>("f1")), [("average", average, Some("macro".into()))]);
    assert_eq!(options(entry_keys::<LossSpec>("huber")), [("delta", number, Some(1.0.into()))]);
    assert_eq!(entry_keys::<LossSpec>("mse"), []);
    assert_eq!(entry_keys::<LossSpec>("cross_entropy").len(), 2);
}
