//! The names of numbers as a reader knows them, with their units, and how runs are told apart.

use std::path::Path;

use toml::Table;

/// The dashes of series, when the colours are used up.
const DASHES: [&str; 4] = ["", "7 4", "2 4", "9 3 2 3"];
/// Colours of series that a reader is to tell apart.
const COLOURS: usize = 7;

/// Series at most before a band of quantiles takes their place.
pub(super) const MOST_LINES: usize = 12;

/// The colour and the dashes of a series by its number.
pub(super) fn look(number: usize) -> (usize, &'static str) {
    (number % COLOURS, DASHES[number / COLOURS % DASHES.len()])
}

/// A metric as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    /// As `accuracy on samples held out`.
    pub title: String,
    /// As `accuracy (%)`.
    pub axis: String,
    /// The factor from the run's number to that of the axis.
    pub scale: f64,
    /// True where an axis begins at 0.
    pub from_zero: bool,
}

/// Letters of a metric's name, at most: it stands beside an axis with its unit.
const LETTERS: usize = 24;

/// Numbers without a unit that go from 0 to 1.
const SHARES: [&str; 8] = ["f1", "precision", "recall", "roc_auc", "auc", "r2", "mcc", "kappa"];

/// True for a number that is shown as percent, in texts and along axes: an accuracy of any kind, the share of waiting.
fn is_percent(name: &str) -> bool {
    name.ends_with("accuracy") || name == "data_wait"
}

/// The unit of a loss by its name in the config.
fn loss_unit(config: &Table) -> &'static str {
    let loss = config.get("model").and_then(|model| model.get("loss"));
    let name = match loss {
        Some(toml::Value::Table(table)) => table
            .get("name")
            .and_then(toml::Value::as_str)
            .or_else(|| table.keys().next().map(String::as_str)),
        Some(other) => other.as_str(),
        None => None,
    };
    match name {
        Some("cross_entropy" | "nll_loss" | "nll" | "bce_with_logits" | "kl_div") => "nats",
        Some("mse" | "mse_loss") => "squared units of the target",
        Some("l1" | "l1_loss" | "mae") => "units of the target",
        _ => "mean over the samples",
    }
}

/// A number of a run by its name, as in `metrics.jsonl`.
pub(super) fn shown(name: &str, config: &Table) -> Shown {
    let (place, short) = match name {
        _ if name.starts_with("eval_metrics.") => (" on samples held out", &name["eval_metrics.".len()..]),
        _ if name.starts_with("train_metrics.") => (" in training", &name["train_metrics.".len()..]),
        _ if name.starts_with("metrics.") => (" in training", &name["metrics.".len()..]),
        _ if name.starts_with("eval_") => (" on samples held out", &name["eval_".len()..]),
        _ if name.starts_with("train_") => (" in training", &name["train_".len()..]),
        _ => ("", name),
    };
    let words = cut(&short.replace('_', " "), LETTERS);
    let of = |title: &str, unit: &str| Shown {
        title: format!("{title}{place}"),
        axis: format!("{title} ({unit})"),
        scale: 1.0,
        from_zero: false,
    };
    match short {
        "loss" => Shown { from_zero: true, ..of("loss", loss_unit(config)) },
        "data_wait" => Shown { scale: 100.0, from_zero: true, ..of("waiting for samples", "% of the time") },
        _ if is_percent(short) => Shown { scale: 100.0, ..of(&words, "%") },
        "lr" => of("learning rate", "per update"),
        "grad_norm" => Shown { from_zero: true, ..of("gradient norm", "2-norm") },
        "loss_scale" => of("loss scale of f16", "factor"),
        "samples_per_second" => Shown { from_zero: true, ..of("speed", "samples a second") },
        "perplexity" => of("perplexity", "tokens"),
        "bits_per_character" => of("bits per character", "bits"),
        "mae" | "rmse" => of(&words, "units of the target"),
        "mse" => of("mse", "squared units of the target"),
        _ if SHARES.contains(&short) => of(&words, "at most 1"),
        _ => of(&words, "no unit"),
    }
}

/// The first letters of a text.
pub(super) fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{}\u{2026}", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// Points with their y in the unit of the axis.
pub(super) fn scaled(points: Vec<(f64, f64)>, scale: f64) -> Vec<(f64, f64)> {
    points.into_iter().map(|(x, y)| (x, scale * y)).collect()
}

/// A metric's value as a reader knows it: `97.22%`, `0.0831`.
pub(super) fn value_text(name: &str, value: f64) -> String {
    if is_percent(name) { format!("{:.2}%", 100.0 * value) } else { crate::figure::number(value) }
}

/// The name of a folder; its path where it has none.
pub(super) fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize().ok();
    let name = whole.as_deref().unwrap_or(folder).file_name();
    name.map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A line on the rows or pictures that are left out, and their place; nothing where there are none.
pub(super) fn and_more(left: usize, place: &str) -> String {
    if left == 0 { String::new() } else { format!("<p class=\"muted\">And {left} more{place}.</p>\n") }
}

/// The name of a run among others: its folder's, or its whole path where two folders have one name.
pub(super) fn told_apart(names: Vec<(String, String)>) -> Vec<String> {
    let is_twice = |name: &String| names.iter().filter(|(other, _)| other == name).count() > 1;
    names.iter().map(|(name, path)| if is_twice(name) { path.clone() } else { name.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_has_a_unit() {
        let config: Table = "[model]\nloss = 'cross_entropy'".parse().unwrap();
        for name in [
            "loss",
            "eval_loss",
            "lr",
            "eval_metrics.f1",
            "train_metrics.kl",
            "samples_per_second",
            "grad_norm",
        ] {
            let shown = shown(name, &config);
            assert!(shown.axis.ends_with(')') && shown.axis.contains(" ("), "{shown:?}");
        }
        assert_eq!(shown("eval_loss", &config).axis, "loss (nats)");
        assert_eq!(shown("eval_accuracy", &config).title, "accuracy on samples held out");
        assert_eq!(value_text("eval_accuracy", 0.97222), "97.22%");
        for name in [
            "eval_accuracy",
            "eval_metrics.top_k_accuracy",
            "train_metrics.balanced_accuracy",
            "eval_metrics.f1",
        ] {
            let is_percent = value_text(name, 0.5).ends_with('%');
            let shown = shown(name, &config);
            assert_eq!(
                (shown.axis.ends_with("(%)"), shown.scale == 100.0),
                (is_percent, is_percent),
                "{name}"
            );
        }
        assert_eq!(look(8), (1, "7 4"));
    }

    #[test]
    fn runs_of_one_name_go_by_their_paths() {
        let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        let names = told_apart(vec![pair("a", "x/a"), pair("b", "x/b"), pair("a", "y/a")]);
        assert_eq!(names, ["x/a", "b", "y/a"]);
    }
}
