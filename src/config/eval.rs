//! The `[eval]` table: what evaluation computes.

use toml::{Table, Value};

use super::model::to_value;
use super::read::read as read_value;
use super::section::Section;
use crate::error::{Error, Result};
use crate::metrics::Metric;
use crate::nn::Form;

/// How a config may name each metric.
pub(super) const FORMS: &[Form] = &[
    form("accuracy", None),
    form("top_k", Some("k")),
    form("precision", Some("average")),
    form("recall", Some("average")),
    form("f1", Some("average")),
    form("confusion_matrix", None),
    form("mae", None),
    form("rmse", None),
    form("r2", None),
    form("perplexity", None),
    form("bits_per_character", None),
];

const fn form(name: &'static str, short: Option<&'static str>) -> Form {
    Form { name, short, example: "{ top_k = 3 }" }
}

pub(super) fn read(mut s: Section) -> Result<Vec<Metric>> {
    let metrics = match s.take("metrics") {
        None => Vec::new(),
        Some(list @ Value::Array(_)) => {
            read_value("eval.metrics", list, |name| FORMS.iter().find(|form| form.name == name))?
        }
        Some(other) => {
            return Err(Error::Config(format!(
                "eval.metrics = {other}: a list is needed; for example [\"f1\", {{ top_k = 3 }}]"
            )));
        }
    };
    s.finish()?;
    Metric::check(&metrics)?;
    Ok(metrics)
}

/// Nothing where nothing is asked for.
pub(super) fn to_toml(metrics: &[Metric]) -> Option<Value> {
    let table = || Table::from_iter([("metrics".to_owned(), to_value(&metrics))]);
    (!metrics.is_empty()).then(|| Value::Table(table()))
}
