//! The page of metrics.

use super::options::options;
use super::page::Page;
use crate::metrics::Metric;

const INTRO: &str = "\
`eval.metrics` is a list: `[\"f1\", { top_k = 3 }, \"confusion_matrix\"]`. A single value in place of the options is the \
value of the main option, marked by *. The device sums counts batch by batch and the host adds them in f64, so values \
are exact over a short last batch; ignored targets are skipped. Where scikit-learn has the metric, names and values are \
scikit-learn's.

`metrics.jsonl` has the values in each epoch's line as `eval_metrics.NAME`, and the confusion matrix as `eval_confusion`. \
x is an output, t a target; TP, FP and FN count the true positives, false positives and false negatives of a class.";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("metrics", "Metrics of an evaluation", INTRO);
    let rows = Metric::TABLE.iter().map(|row| {
        let name = format!("`{}`", row.form.name);
        [name, row.about.to_owned(), row.equation.to_owned(), options::<Metric>(&row.form)]
    });
    page.table(["metric", "meaning", "value", "options"], rows);
    page
}
