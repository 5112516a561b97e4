//! Which exhibits run, with which settings: from the words of a command line.

use std::collections::BTreeMap;

use super::EXHIBITS;
use super::exhibit::About;
use crate::error::{Error, Result, suggestion};

/// The exhibits of these names in the lecture's order, all for no name or `all`, with the value of each setting. `set` has
/// changed settings, as `ema.beta=0.5`.
///
/// # Errors
/// [`Error::Config`] for a name, a setting or a value that there is not.
pub fn plan(
    names: &[String],
    set: &[String],
    quick: bool,
) -> Result<Vec<(&'static About, BTreeMap<&'static str, f64>)>> {
    let known: Vec<&str> = EXHIBITS.iter().map(|about| about.name).collect();
    if let Some(name) = names.iter().find(|name| *name != "all" && !known.contains(&name.as_str())) {
        return Err(Error::Config(format!("\"{name}\": no such exhibit; {}", suggestion(name, &known))));
    }
    let all = names.is_empty() || names.iter().any(|name| name == "all");
    let chosen: Vec<&'static About> =
        EXHIBITS.iter().filter(|about| all || names.iter().any(|name| name == about.name)).collect();
    let set: Vec<Changed> = set.iter().map(|text| changed(text, &chosen)).collect::<Result<_>>()?;
    let settings = |about: &'static About| {
        let own: Vec<(String, f64)> =
            set.iter().filter(|c| c.exhibit == about.name).map(|c| (c.key.clone(), c.value)).collect();
        Ok((about, about.settings(quick, &own)?))
    };
    chosen.into_iter().map(settings).collect()
}

/// A setting that is changed.
struct Changed {
    exhibit: String,
    key: String,
    value: f64,
}

fn changed(text: &str, chosen: &[&About]) -> Result<Changed> {
    let wrong = |why: String| Error::Config(format!("--set {text}: {why}"));
    let form = || wrong("a setting is NAME.KEY=VALUE, as ema.beta=0.5".into());
    let (path, value) = text.split_once('=').ok_or_else(form)?;
    let (name, key) = path.split_once('.').ok_or_else(form)?;
    let names: Vec<&str> = chosen.iter().map(|about| about.name).collect();
    if !names.contains(&name) {
        return Err(wrong(format!(
            "\"{name}\" is not among the exhibits that run; {}",
            suggestion(name, &names)
        )));
    }
    let number: f64 = value.trim().parse().map_err(|_| wrong(format!("\"{value}\" is no number")))?;
    Ok(Changed { exhibit: name.to_owned(), key: key.to_owned(), value: number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(names: &[&str], set: &[&str]) -> String {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        plan(&words(names), &words(set), false).unwrap_err().to_string()
    }

    #[test]
    fn exhibits_come_in_the_lectures_order_with_their_settings() {
        let planned = plan(&["adam".into(), "ema".into()], &["ema.beta=0.5".into()], true).unwrap();
        let names: Vec<&str> = planned.iter().map(|(about, _)| about.name).collect();
        assert_eq!(names, ["ema", "adam"]);
        assert_eq!((planned[0].1["beta"], planned[0].1["steps"]), (0.5, 40.0));
        assert_eq!(plan(&[], &[], false).unwrap().len(), EXHIBITS.len());
        assert_eq!(plan(&["all".into(), "ema".into()], &[], false).unwrap().len(), EXHIBITS.len());
    }

    #[test]
    fn unknown_words_are_refused_with_the_nearest() {
        assert!(error(&["stabilty"], &[]).contains("\"stability\""));
        assert!(error(&["ema"], &["ema.bta=0.5"]).contains("\"beta\""));
        assert!(error(&["ema"], &["adam.beta1=0.5"]).contains("not among the exhibits that run"));
        assert!(error(&["ema"], &["ema.beta=2"]).contains("between 0.01 and 0.999"));
        assert!(error(&["ema"], &["ema.beta=high"]).contains("\"high\" is no number"));
        assert!(error(&["ema"], &["ema.steps=7.5"]).contains("a whole number"));
        assert!(error(&["ema"], &["beta"]).contains("NAME.KEY=VALUE"));
        assert!(error(&["ema"], &["ema.beta=nan"]).contains("between"));
    }

    #[test]
    fn every_example_of_an_exhibit_is_a_setting_of_it() {
        for about in EXHIBITS {
            for (set, _) in about.to_try {
                plan(&[about.name.into()], &[(*set).into()], false).unwrap();
            }
            for setting in about.settings {
                let (low, high) = setting.range;
                for value in [setting.value, setting.quick] {
                    assert!((low..=high).contains(&value) && !(setting.whole && value.fract() != 0.0));
                }
            }
        }
    }
}
