//! The meaning of a model's outputs, as cells of CSV or members of JSON.

use downhill::Error;
use downhill::config::{Config, DataSpec};
use downhill::data::{Encoding, TableEncoding};
use downhill::error::Result;
use downhill::infer::Head;
use downhill::shape::Shape;
use downhill::units::plural;

use crate::cli::targets::named;

/// A label applies from this probability on.
const LIKELY: f32 = 0.5;

/// The meaning of the numbers of an answer.
enum Meaning {
    /// A probability, or a number, for each class. The prediction is one class.
    Classes(Vec<String>),
    /// An independent probability for each label.
    Labels(Vec<String>),
    /// Numbers. Those of a table are in the unit of its target.
    Numbers(Option<TableEncoding>),
}

/// How to write answers.
pub(super) struct Answers {
    meaning: Meaning,
    /// Prefix of a class in the name of its column: `p` for probabilities.
    prefix: &'static str,
    /// Number of classes to write, the likeliest ones.
    top: Option<usize>,
    width: usize,
}

impl Answers {
    /// The meaning of an output of this shape by the run's loss and data.
    pub fn new(
        config: &Config,
        encoding: Option<&Encoding>,
        output: &Shape,
        top: Option<usize>,
    ) -> Result<Answers> {
        let width = output.elements();
        let head = config.head();
        let names = config.class_names(encoding);
        let own_table = match (encoding, &config.data) {
            (_, DataSpec::Inputs(_)) => None,
            (Some(Encoding::Table(table)), _) => Some(table),
            _ => None,
        };
        let meaning = match (head, names) {
            (Head::Softmax | Head::Exp, _) if output.len() != 1 => {
                return Err(Error::Config(format!(
                    "the model's answer to a sample has shape {output}, a class at each of several places; predict tells \
                     one class a sample, of answers of one axis"
                )));
            }
            (Head::Softmax | Head::Exp, names) => Meaning::Classes(named(names, width)),
            (_, Some(names)) if names.len() == width => Meaning::Classes(names),
            (Head::Sigmoid, _) => Meaning::Labels(match own_table {
                Some(table) if width == 1 => vec![table.target.name.clone()],
                _ => named(None, width),
            }),
            (Head::Numbers, _) => Meaning::Numbers(own_table.cloned()),
        };
        if let (Some(k), Meaning::Numbers(_) | Meaning::Labels(_)) = (top, &meaning) {
            return Err(Error::Config(format!(
                "--top {k} chooses among classes, and the run's loss knows none; leave it out"
            )));
        }
        if let Some(k) = top.filter(|k| *k > width) {
            return Err(Error::Config(format!("--top {k}: the model has {}", plural(width, "class"))));
        }
        let prefix = if head == Head::Numbers { "y" } else { "p" };
        Ok(Answers { meaning, prefix, top, width })
    }

    /// The indices of the classes to write: all, or the likeliest first. Of equal ones the first is likelier.
    fn selected(&self, values: &[f32]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        if let Some(k) = self.top {
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            order.truncate(k);
        }
        order
    }

    /// A number in the unit of a table's target, else as the model returns it.
    fn number(table: Option<&TableEncoding>, value: f32) -> String {
        match table.filter(|table| table.target.standardised().is_some()).and_then(|table| table.value(value))
        {
            Some(own) => format!("{own:?}"),
            None => format!("{value:?}"),
        }
    }

    /// The names of the columns after the path.
    pub fn header(&self) -> Vec<String> {
        let p = self.prefix;
        let mut header = vec!["prediction".to_owned()];
        match (&self.meaning, self.top) {
            (Meaning::Classes(_), Some(k)) => {
                header.extend((1..=k).flat_map(|i| [format!("class_{i}"), format!("{p}_{i}")]));
            }
            (Meaning::Classes(names) | Meaning::Labels(names), _) => {
                header.extend(names.iter().map(|name| format!("{p}_{name}")));
            }
            (Meaning::Numbers(_), _) if self.width == 1 => {}
            (Meaning::Numbers(_), _) => header = (0..self.width).map(|i| format!("prediction_{i}")).collect(),
        }
        header
    }

    /// The cells under [`Answers::header`].
    pub fn cells(&self, values: &[f32]) -> Vec<String> {
        let shown = |value: f32| format!("{value:?}");
        match &self.meaning {
            Meaning::Classes(names) => {
                let mut cells = vec![names[likeliest(values)].clone()];
                for index in self.selected(values) {
                    cells.extend(self.top.map(|_| names[index].clone()));
                    cells.push(shown(values[index]));
                }
                cells
            }
            Meaning::Labels(names) => {
                let prediction = match values {
                    [one] => u8::from(*one >= LIKELY).to_string(),
                    _ => applicable(names, values).join(" "),
                };
                std::iter::once(prediction).chain(values.iter().map(|value| shown(*value))).collect()
            }
            Meaning::Numbers(table) => {
                values.iter().map(|value| Self::number(table.as_ref(), *value)).collect()
            }
        }
    }

    /// The members of a JSON object after the row and the path.
    pub fn json(&self, values: &[f32]) -> String {
        let key = if self.prefix == "p" { "probabilities" } else { "outputs" };
        let object = |names: &[String], indices: Vec<usize>| {
            let members: Vec<String> = indices
                .into_iter()
                .map(|index| format!("{}:{:?}", quoted(&names[index]), values[index]))
                .collect();
            format!("\"{key}\":{{{}}}", members.join(","))
        };
        match &self.meaning {
            Meaning::Classes(names) => {
                let prediction = quoted(&names[likeliest(values)]);
                format!("\"prediction\":{prediction},{}", object(names, self.selected(values)))
            }
            Meaning::Labels(names) => {
                let prediction = match values {
                    [one] => u8::from(*one >= LIKELY).to_string(),
                    _ => format!(
                        "[{}]",
                        applicable(names, values).iter().map(|n| quoted(n)).collect::<Vec<_>>().join(",")
                    ),
                };
                format!("\"prediction\":{prediction},{}", object(names, (0..values.len()).collect()))
            }
            Meaning::Numbers(table) => {
                let numbers: Vec<String> =
                    values.iter().map(|value| Self::number(table.as_ref(), *value)).collect();
                match &numbers[..] {
                    [one] => format!("\"prediction\":{one}"),
                    all => format!("\"prediction\":[{}]", all.join(",")),
                }
            }
        }
    }
}

/// The index of the largest; of equal ones the first, as in `torch.argmax`.
pub(super) fn likeliest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, index| if values[index] > values[best] { index } else { best })
}

/// The labels that apply.
fn applicable<'n>(names: &'n [String], values: &[f32]) -> Vec<&'n str> {
    let all = names.iter().zip(values).filter(|(_, value)| **value >= LIKELY);
    all.map(|(name, _)| name.as_str()).collect()
}

/// A string as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
