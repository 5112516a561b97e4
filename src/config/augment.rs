//! The list `data.augment`: what training makes of the samples by chance, in this order.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::DataSpec;
use super::read::{kind, read};
use super::section::Section;
use crate::error::{Error, Result, suggestion};
use crate::graph::Tensor;
use crate::nn::augment::{self, Erasing, Mixup, faults};
use crate::nn::{Form, Net};

/// The entries, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Augment {
    /// Mixup is the last, if it is there.
    pub entries: Vec<Augmentation>,
}

/// One entry; the functions are in [`crate::nn::augment`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename = "augmentation", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the functions say what the fields are")]
pub enum Augmentation {
    /// [`augment::random_horizontal_flip`]
    HorizontalFlip {
        #[serde(default = "half")]
        p: f64,
    },
    /// [`augment::random_vertical_flip`]
    VerticalFlip {
        #[serde(default = "half")]
        p: f64,
    },
    /// [`augment::random_crop`]
    Crop { padding: usize },
    /// [`augment::random_shift`]
    Shift { pixels: usize },
    /// [`augment::random_rotation`]
    Rotation { degrees: f64 },
    /// [`augment::random_erasing`]
    Erasing(Erasing),
    /// [`augment::gaussian_noise`]
    Noise { std: f64 },
    /// [`augment::mixup`]
    Mixup { alpha: f64 },
}

fn half() -> f64 {
    0.5
}

/// How a config names each, and the key that the value beside the name stands for.
const FORMS: &[Form] = &[
    form("horizontal_flip", "p", "{ horizontal_flip = 0.5 }"),
    form("vertical_flip", "p", "{ vertical_flip = 0.5 }"),
    form("crop", "padding", "{ crop = 4 }"),
    form("shift", "pixels", "{ shift = 2 }"),
    form("rotation", "degrees", "{ rotation = 10 }"),
    form("erasing", "p", "{ erasing = 0.25 }"),
    form("noise", "std", "{ noise = 0.1 }"),
    form("mixup", "alpha", "{ mixup = 0.2 }"),
];

const EXAMPLE: &str = "for example augment = [{ horizontal_flip = 0.5 }, { crop = 4 }]";

const fn form(name: &'static str, short: &'static str, example: &'static str) -> Form {
    Form { name, short: Some(short), example }
}

impl Augmentation {
    pub(super) fn form(name: &str) -> Option<&'static Form> {
        FORMS.iter().find(|form| form.name == name)
    }

    fn name(&self) -> &'static str {
        match self {
            Augmentation::HorizontalFlip { .. } => "horizontal_flip",
            Augmentation::VerticalFlip { .. } => "vertical_flip",
            Augmentation::Crop { .. } => "crop",
            Augmentation::Shift { .. } => "shift",
            Augmentation::Rotation { .. } => "rotation",
            Augmentation::Erasing(_) => "erasing",
            Augmentation::Noise { .. } => "noise",
            Augmentation::Mixup { .. } => "mixup",
        }
    }

    fn fault(&self) -> Option<String> {
        match self {
            Augmentation::HorizontalFlip { p } | Augmentation::VerticalFlip { p } => faults::p(*p),
            Augmentation::Crop { .. } | Augmentation::Shift { .. } => None,
            Augmentation::Rotation { degrees } => faults::degrees(*degrees),
            Augmentation::Erasing(options) => options.fault(),
            Augmentation::Noise { std } => faults::std(*std),
            Augmentation::Mixup { alpha } => faults::alpha(*alpha),
        }
    }

    /// An entry at `path`: `{ erasing = 0.5, scale = [0.02, 0.2] }`.
    fn read(path: &str, value: Value) -> Result<Augmentation> {
        let value = match value {
            Value::Table(table) => Value::Table(nested(path, table)?),
            Value::String(_) => value,
            other => {
                return Err(Error::Config(format!(
                    "{path} = {other}: a table with a name is needed, and this is {}; {EXAMPLE}",
                    kind(&other)
                )));
            }
        };
        let entry: Augmentation = read(path, value)?;
        match entry.fault() {
            Some(fault) => Err(Error::Config(format!("{path}.{}.{fault}", entry.name()))),
            None => Ok(entry),
        }
    }

    /// The entry with every option: the first beside the name, the others beside that.
    fn to_toml(self) -> Value {
        let name = self.name();
        let entry = Value::try_from(self).ok();
        let mut table =
            entry.as_ref().and_then(|entry| entry.get(name)?.as_table()).cloned().unwrap_or_default();
        let main = Self::form(name).and_then(|form| table.remove(form.short?));
        table.extend(main.map(|main| (name.to_owned(), main)));
        Value::Table(table)
    }

    /// Mixup is none of these.
    fn apply(self, net: &Net, x: &Tensor) -> Tensor {
        match self {
            Augmentation::HorizontalFlip { p } => augment::random_horizontal_flip(net, x, p),
            Augmentation::VerticalFlip { p } => augment::random_vertical_flip(net, x, p),
            Augmentation::Crop { padding } => augment::random_crop(net, x, padding),
            Augmentation::Shift { pixels } => augment::random_shift(net, x, pixels),
            Augmentation::Rotation { degrees } => augment::random_rotation(net, x, degrees),
            Augmentation::Erasing(options) => augment::random_erasing(net, x, options),
            Augmentation::Noise { std } => augment::gaussian_noise(net, x, std),
            Augmentation::Mixup { .. } => x.clone(),
        }
    }
}

/// `{ name = value, key = .. }` as a name with its options.
fn nested(path: &str, mut table: Table) -> Result<Table> {
    let named: Vec<&Form> = FORMS.iter().filter(|form| table.contains_key(form.name)).collect();
    match named[..] {
        [form] if table.len() > 1 => {
            let main = table.remove(form.name).zip(form.short);
            let mut options = table;
            options.extend(main.map(|(value, key)| (key.to_owned(), value)));
            Ok(Table::from_iter([(form.name.to_owned(), Value::Table(options))]))
        }
        [_] => Ok(table),
        [] if table.len() == 1 => Ok(table),
        [] => {
            let names: Vec<&str> = FORMS.iter().map(|form| form.name).collect();
            let hint = table.keys().next().map_or(EXAMPLE.to_owned(), |key| suggestion(key, &names));
            Err(Error::Config(format!("{path} = {}: no key of it is a name; {hint}", Value::Table(table))))
        }
        [first, second, ..] => Err(Error::Config(format!(
            "{path} = {}: an entry has one name; write {{ {} = .. }}, {{ {} = .. }}",
            Value::Table(table.clone()),
            first.name,
            second.name
        ))),
    }
}

impl Augment {
    /// Takes `augment` from the section `[data]`, where it need not be.
    pub(super) fn read(section: &mut Section) -> Result<Augment> {
        let entries = match section.take("augment") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let one = |(i, value)| Augmentation::read(&format!("data.augment[{i}]"), value);
                list.into_iter().enumerate().map(one).collect::<Result<_>>()?
            }
            Some(other) => {
                return Err(Error::Config(format!(
                    "data.augment = {other}: a list is needed, and this is {}; {EXAMPLE}",
                    kind(&other)
                )));
            }
        };
        Ok(Augment { entries })
    }

    /// Mixup is the last and alone, and has targets to mix.
    pub(super) fn check(&self, data: &DataSpec) -> Result<()> {
        let Some(at) = self.entries.iter().position(|entry| matches!(entry, Augmentation::Mixup { .. }))
        else {
            return Ok(());
        };
        if at + 1 < self.entries.len() {
            return Err(Error::Config(format!(
                "data.augment[{at}]: mixup mixes what the others made, so it comes last, and once; data.augment[{}] is \
                 {}",
                at + 1,
                self.entries[at + 1].name()
            )));
        }
        if matches!(data, DataSpec::Inputs(_)) {
            return Err(Error::Config(format!(
                "data.augment[{at}]: mixup with data.target = \"inputs\": a target would be two inputs at once; leave one \
                 of them out, or take another augmentation: the target is the input before it"
            )));
        }
        Ok(())
    }

    /// The list, if there is anything in it.
    pub(super) fn to_toml(&self) -> Option<Value> {
        let list: Vec<Value> = self.entries.iter().map(|entry| entry.to_toml()).collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// What the layers see of `x`, and what the loss is mixed by.
    pub(super) fn apply(&self, net: &Net, x: &Tensor) -> (Tensor, Option<Mixup>) {
        let (mut x, mut mixed) = (x.clone(), None);
        for (i, entry) in self.entries.iter().enumerate() {
            net.graph().scoped(&format!("data.augment[{i}] ({})", entry.name()), || {
                if let Augmentation::Mixup { alpha } = *entry {
                    let mix = augment::mixup(net, &x, alpha);
                    x = mix.x().clone();
                    mixed = Some(mix);
                } else {
                    x = entry.apply(net, &x);
                }
            });
        }
        // The layers read it from memory, where it is put in one pass.
        if net.training() && !self.entries.is_empty() { (x.materialized_below(), mixed) } else { (x, mixed) }
    }
}
