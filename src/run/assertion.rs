//! An assertion on a run's last epoch: a name, an operator, a number.

use crate::compile::TrainPlan;
use crate::error::{Error, Result};
use crate::metrics::matches_name;
use std::fmt;

/// The comparison of a value with the number.
type Holds = fn(&f64, &f64) -> bool;

/// The operators, longer ones first: `>` begins `>=`.
const OPERATORS: [(&str, Holds); 5] =
    [(">=", f64::ge), ("<=", f64::le), ("==", f64::eq), (">", f64::gt), ("<", f64::lt)];

/// An assertion such as `eval_accuracy >= 0.95`, checked at the end of a run.
///
/// ```
/// # use downhill::run::Assertion;
/// let assertion = Assertion::parse("eval_accuracy >= 0.95")?;
/// assert_eq!(assertion.name(), "eval_accuracy");
/// # Ok::<(), downhill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    name: String,
    /// The index in [`OPERATORS`].
    operator: usize,
    bound: f64,
}

impl Assertion {
    /// Reads a name, one of `>=`, `<=`, `>`, `<`, `==`, and a finite number.
    ///
    /// The names are `eval_loss`, `eval_accuracy`, `train_loss`, `samples_per_second`, `steps`, and the objective's metrics
    /// as `eval_metrics.NAME` or `train_metrics.NAME`. `NAME` alone is that of the evaluation, where there is one.
    ///
    /// # Errors
    /// [`Error::Config`] with the valid forms, where it is anything else.
    pub fn parse(text: &str) -> Result<Assertion> {
        let wrong = |what: &str| {
            Error::Config(format!(
                "\"{text}\": {what}; a name, an operator and a number are needed, as eval_accuracy >= 0.95. Names are \
                 eval_loss, eval_accuracy, train_loss, samples_per_second, steps, and the model's own metrics as \
                 eval_metrics.NAME, train_metrics.NAME or NAME; operators are >=, <=, >, <, =="
            ))
        };
        // The first place at which an operator stands; `>=` before `>`.
        let found = (0..OPERATORS.len()).filter_map(|i| text.find(OPERATORS[i].0).map(|at| (at, i))).min();
        let (at, operator) = found.ok_or_else(|| wrong("there is no operator"))?;
        let (name, bound) = (text[..at].trim(), text[at + OPERATORS[operator].0.len()..].trim());
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong(&format!("\"{name}\" is no name")));
        }
        let number = bound.parse::<f64>().ok().filter(|number| number.is_finite());
        let bound = number.ok_or_else(|| wrong(&format!("\"{bound}\" is no finite number")))?;
        Ok(Assertion { name: name.to_owned(), operator, bound })
    }

    /// The name of the number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks the assertion against the values of an epoch or an evaluation, and returns the value.
    ///
    /// # Errors
    /// [`Error::Assertion`] where it does not hold, with the value; [`Error::Config`] where there is no such value, with
    /// those that there are.
    pub fn check(&self, values: &[(String, f64)]) -> Result<f64> {
        let Some((_, value)) = values.iter().find(|(name, _)| self.is(name)) else {
            return Err(self.unknown(values.iter().map(|(name, _)| name.as_str())));
        };
        if OPERATORS[self.operator].1(value, &self.bound) {
            Ok(*value)
        } else {
            Err(Error::Assertion(format!("asserted {self}, but {} is {value:?}", self.name)))
        }
    }

    /// Checks all assertions. One error lists all that do not hold; a name without a value is reported first.
    ///
    /// # Errors
    /// As [`Assertion::check`].
    pub fn check_all(assertions: &[Assertion], values: &[(String, f64)]) -> Result<()> {
        let mut failed = Vec::new();
        for assertion in assertions {
            match assertion.check(values) {
                Ok(_) => {}
                Err(Error::Assertion(text)) => failed.push(text),
                Err(other) => return Err(other),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::Assertion(failed.join("; "))) }
    }

    /// Checks that the run of this plan will report such a value.
    ///
    /// # Errors
    /// [`Error::Config`] with the values that it will have.
    pub fn check_plan(&self, plan: &TrainPlan) -> Result<()> {
        let names = plan.reported_names();
        if names.iter().any(|name| self.is(name)) {
            return Ok(());
        }
        Err(self.unknown(names.iter().map(String::as_str)))
    }

    /// True where it is about the number with this whole name.
    fn is(&self, name: &str) -> bool {
        matches_name(&self.name, name)
    }

    fn unknown<'a>(&self, names: impl Iterator<Item = &'a str>) -> Error {
        let names = names.collect::<Vec<_>>().join(", ");
        Error::Config(format!("asserted {self}, but the run has no {}; it has {names}", self.name))
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.name, OPERATORS[self.operator].0, self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::train::EpochRecord;

    fn epoch() -> EpochRecord {
        let names = ["kl", "accuracy"].map(str::to_owned).into();
        EpochRecord {
            epoch: 2,
            step: 90,
            train_loss: 0.5,
            eval_loss: Some(0.625),
            eval_accuracy: Some(0.875),
            train_metrics: Metrics::new(&names, [1.5, 0.75]),
            eval_metrics: Metrics::new(&names, [2.5, f64::NAN]),
            samples_per_second: 1e4,
            data_wait: None,
            eval_confusion: None,
        }
    }

    fn check(text: &str, epoch: &EpochRecord) -> Result<f64> {
        Assertion::parse(text)?.check(&epoch.values())
    }

    #[test]
    fn every_name_and_operator() {
        for (name, value) in [
            ("train_loss", 0.5),
            ("eval_loss", 0.625),
            ("eval_accuracy", 0.875),
            ("samples_per_second", 1e4),
            ("steps", 90.0),
            ("eval_metrics.kl", 2.5),
            ("train_metrics.kl", 1.5),
            ("kl", 2.5),
            ("train_metrics.accuracy", 0.75),
        ] {
            let (less, more) = (value - 0.25, value + 0.25);
            for (operator, holds) in [
                (">=", [true, true, false]),
                ("<=", [false, true, true]),
                ("==", [false, true, false]),
                (">", [true, false, false]),
                ("<", [false, false, true]),
            ] {
                for (bound, holds) in [less, value, more].into_iter().zip(holds) {
                    for text in
                        [format!("{name} {operator} {bound:?}"), format!(" {name}{operator}{bound:e} ")]
                    {
                        match check(&text, &epoch()) {
                            Ok(seen) => assert!(holds && seen == value, "{text}: {seen}"),
                            Err(Error::Assertion(told)) => {
                                let seen =
                                    format!("asserted {name} {operator} {bound:?}, but {name} is {value:?}");
                                assert!(!holds && told == seen, "{text}: {told}");
                            }
                            Err(other) => panic!("{text}: {other}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_holds_of_what_is_no_number() {
        for operator in ["<", "<=", ">", ">=", "=="] {
            let err = check(&format!("accuracy {operator} 0"), &epoch()).unwrap_err();
            assert!(matches!(&err, Error::Assertion(text) if text.ends_with("accuracy is NaN")), "{err}");
        }
    }

    #[test]
    fn without_an_evaluation_a_metric_is_that_of_training() {
        let epoch =
            EpochRecord { eval_loss: None, eval_accuracy: None, eval_metrics: Metrics::default(), ..epoch() };
        assert_eq!(check("kl < 2", &epoch).unwrap(), 1.5);
        for name in ["eval_loss", "eval_metrics.kl", "metrics.kl", "epoch"] {
            let err = check(&format!("{name} < 2"), &epoch).unwrap_err();
            let there =
                "it has train_loss, samples_per_second, steps, train_metrics.kl, train_metrics.accuracy";
            assert!(err.is_usage() && err.to_string().ends_with(there), "{err}");
        }
    }

    #[test]
    fn all_that_fail_are_told_and_a_wrong_name_first() {
        let list =
            |texts: &[&str]| texts.iter().map(|text| Assertion::parse(text).unwrap()).collect::<Vec<_>>();
        Assertion::check_all(&list(&["steps == 90", "kl > 0"]), &epoch().values()).unwrap();
        let err =
            Assertion::check_all(&list(&["steps > 90", "kl > 0", "kl > 3"]), &epoch().values()).unwrap_err();
        let Error::Assertion(text) = err else { panic!("{err}") };
        assert_eq!(text, "asserted steps > 90.0, but steps is 90.0; asserted kl > 3.0, but kl is 2.5");
        let err = Assertion::check_all(&list(&["steps > 90", "k > 0"]), &epoch().values()).unwrap_err();
        assert!(err.is_usage() && err.to_string().contains("no k;"), "{err}");
    }

    #[test]
    fn what_is_no_assertion_is_refused_with_what_is() {
        for (text, fault) in [
            ("", "no operator"),
            ("eval_loss", "no operator"),
            ("eval_loss = 3", "no operator"),
            (">= 3", "\"\" is no name"),
            ("eval loss < 3", "\"eval loss\" is no name"),
            ("eval_loss < ", "\"\" is no finite number"),
            ("eval_accuracy >= 95%", "\"95%\" is no finite number"),
            ("eval_loss < inf", "\"inf\" is no finite number"),
            ("eval_loss < nan", "\"nan\" is no finite number"),
            ("eval_loss =< 3", "\"eval_loss =\" is no name"),
            ("0 < eval_loss < 3", "\"eval_loss < 3\" is no finite number"),
        ] {
            let err = Assertion::parse(text).unwrap_err();
            let told = err.to_string();
            assert!(err.is_usage() && told.starts_with(&format!("\"{text}\": ")), "{told}");
            for words in [fault, "eval_accuracy, train_loss", ">=, <=, >, <, =="] {
                assert!(told.contains(words), "{words}: {told}");
            }
        }
    }
}
