//! The `[eval]` table.

use super::*;
use crate::metrics::{Averaging, Metric};

fn with(list: &str) -> Config {
    reads(&format!("[eval]\nmetrics = {list}"))
}

#[test]
fn every_metric_and_option_is_read() {
    let average = Averaging::Macro;
    for (entry, wanted) in [
        ("\"accuracy\"", Metric::Accuracy),
        ("\"top_k\"", Metric::TopK { k: 5 }),
        ("{ top_k = 3 }", Metric::TopK { k: 3 }),
        ("{ top_k = { k = 3 } }", Metric::TopK { k: 3 }),
        ("\"precision\"", Metric::Precision { average }),
        ("\"recall\"", Metric::Recall { average }),
        ("\"f1\"", Metric::F1 { average }),
        ("{ f1 = \"macro\" }", Metric::F1 { average }),
        ("{ f1 = { average = \"micro\" } }", Metric::F1 { average: Averaging::Micro }),
        ("{ recall = \"weighted\" }", Metric::Recall { average: Averaging::Weighted }),
        ("{ precision = \"micro\" }", Metric::Precision { average: Averaging::Micro }),
        ("\"confusion_matrix\"", Metric::ConfusionMatrix),
        ("\"mae\"", Metric::Mae),
        ("\"rmse\"", Metric::Rmse),
        ("\"r2\"", Metric::R2),
        ("\"perplexity\"", Metric::Perplexity),
        ("\"bits_per_character\"", Metric::BitsPerCharacter),
    ] {
        assert_eq!(with(&format!("[{entry}]")).options.metrics, [wanted], "{entry}");
    }
    for row in Metric::TABLE {
        for entry in [format!("\"{}\"", row.form.name), row.form.example.to_owned()] {
            assert_eq!(with(&format!("[{entry}]")).options.metrics[0].key(), row.form.name);
        }
    }
}

#[test]
fn the_order_is_kept_and_nothing_is_the_default() {
    let config = with("[\"mae\", { top_k = 1 }, \"top_k\", \"f1\"]");
    let names: Vec<String> = config.options.metrics.iter().map(Metric::name).collect();
    assert_eq!(names, ["mae", "top_1", "top_5", "f1"]);
    for none in ["[eval]", "[eval]\nmetrics = []", ""] {
        let config = reads(none);
        assert!(config.options.metrics.is_empty() && !config.to_toml().contains("[eval]"));
    }
    let chosen = reads("[eval]\nbatch_size = 7");
    assert_eq!(chosen.options.eval_batch, Some(7));
    assert_eq!(Config::parse(&chosen.to_toml(), &[]).unwrap(), chosen);
}

#[test]
fn faults_are_named_with_their_place() {
    refused(
        r#"
        eval.batch_size=0 => eval.batch_size = 0: at least 1 sample
        eval.metrics=["precison"] => eval.metrics[0]: unknown metric "precison"; did you mean "precision"?
        eval.metrics=["f1", { topk = 3 }] => eval.metrics[1]: unknown metric "topk"; did you mean "top_k"?
        eval.metrics=[{ f1 = "samples" }] => "macro" or "micro" or "weighted" is needed
        eval.metrics=[{ top_k = -1 }] => eval.metrics[0].top_k.k = -1: a whole number from 0 on
        eval.metrics=[{ top_k = 0 }] => eval.metrics[0].top_k.k = 0: at least 1 is needed
        eval.metrics=[{ mae = 3 }] => eval.metrics[0].mae = 3: it takes no options
        eval.metrics=["f1", { f1 = "micro" }] => eval.metrics[1]: f1 is named twice
        eval.metrics=f1 => eval.metrics = "f1": a list is needed
        eval.metrics=[3] => eval.metrics[0] = 3: a metric is a name or a table of one name
        eval.metric=["f1"] => unknown key eval.metric; did you mean "metrics"?
        evla.metrics=["f1"] => unknown key evla; did you mean "eval"?
        eval.metrics=["rmse"] => eval.metrics: rmse needs targets that are numbers
        eval.metrics=["perplexity"] & model.loss=mse => eval.metrics: perplexity needs the loss cross_entropy
    "#,
    );
}

#[test]
fn a_run_is_planned_with_them() {
    let list = "[\"accuracy\", { top_k = 3 }, \"precision\", \"recall\", \"f1\", \"confusion_matrix\", \"perplexity\"]";
    let (plain, config) = (reads(""), with(list));
    let bytes = |config: &Config, name: &str| {
        let buffers = plan(config).unwrap().all_buffers();
        buffers.iter().find(|b| b.name == name).map(|b| b.bytes)
    };
    // Two counts, three sums by class, ten classes against ten, one entropy: of each batch of a window.
    let tally = Some((2 + 3 * 10 + 10 * 10 + 1) * 4 * crate::kernel::feed::MAX_WINDOW_STEPS as u64);
    for name in ["eval tally", "eval tally readback"] {
        assert_eq!((bytes(&plain, name), bytes(&config, name)), (None, tally));
    }
}
