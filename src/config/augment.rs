//! The list `data.augment`: the augmentations of training samples, in this order. Each has a row in a table, from which
//! names, options, errors and the written config follow.

use serde::{Deserialize, Serialize};
use toml::Value;

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::augment::{self, Erasing, Mixup, faults};
use crate::nn::{Form, Net};

/// The entries, in order.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Augment {
    /// Mixup is the last, if it is there.
    pub entries: Vec<Augmentation>,
}

/// Each row: name, options, the option that a value beside the name stands for, an example, the augmented samples, and the
/// check of the options.
macro_rules! augmentations {
    ($net:ident, $x:ident; $(
        #[doc = $about:literal]
        $name:literal $kind:ident $options:tt $short:literal as $example:literal,
        $entry:pat => $augmented:expr $(, fault $fault:expr)?;
    )*) => {
        /// One entry; the functions are in [`crate::nn::augment`].
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "augmentation", deny_unknown_fields)]
        #[expect(missing_docs, reason = "the functions say what the fields are")]
        pub enum Augmentation {
            $(#[doc = $about] #[serde(rename = $name)] $kind $options,)*
        }

        impl Augmentation {
            /// Every augmentation there is: its form and a line about it.
            pub const TABLE: &[(Form, &str)] = &[
                $((Form { name: $name, short: Some($short), example: $example }, $about.trim_ascii()),)*
            ];

            const FORMS: &[Form] = &[$(Form { name: $name, short: Some($short), example: $example },)*];

            fn name(&self) -> &'static str {
                match self {
                    $(Augmentation::$kind { .. } => $name,)*
                }
            }

            fn fault(&self) -> Option<String> {
                match self {
                    $($($entry => $fault,)?)*
                    _ => None,
                }
            }

            fn apply(&self, $net: &Net, $x: &Tensor) -> Tensor {
                match self {
                    $($entry => $augmented,)*
                }
            }
        }
    };
}

augmentations! { net, x;
    /// Mirrors an image left to right with probability `p`.
    "horizontal_flip" HorizontalFlip { #[serde(default = "half")] p: f64 } "p" as "{ horizontal_flip = 0.5 }",
        Augmentation::HorizontalFlip { p } => augment::random_horizontal_flip(net, x, *p), fault faults::p(*p);
    /// Mirrors an image top to bottom with probability `p`.
    "vertical_flip" VerticalFlip { #[serde(default = "half")] p: f64 } "p" as "{ vertical_flip = 0.5 }",
        Augmentation::VerticalFlip { p } => augment::random_vertical_flip(net, x, *p), fault faults::p(*p);
    /// Adds `padding` zeros on every side, then cuts the original size at a random place.
    "crop" Crop { padding: usize } "padding" as "{ crop = 4 }",
        Augmentation::Crop { padding } => augment::random_crop(net, x, *padding);
    /// Moves an image by up to `pixels` whole pixels along each axis; zeros come in.
    "shift" Shift { pixels: usize } "pixels" as "{ shift = 2 }",
        Augmentation::Shift { pixels } => augment::random_shift(net, x, *pixels);
    /// Rotates an image about its centre by up to ± `degrees`, bilinear, with zeros outside.
    "rotation" Rotation { degrees: f64 } "degrees" as "{ rotation = 10 }",
        Augmentation::Rotation { degrees } => augment::random_rotation(net, x, *degrees), fault faults::degrees(*degrees);
    /// Sets a rectangle to 0 with probability `p`; `scale` is its share of the image, `ratio` height over width.
    "erasing" Erasing (Erasing) "p" as "{ erasing = 0.25 }",
        Augmentation::Erasing(options) => augment::random_erasing(net, x, *options), fault options.fault();
    /// Adds N(0, `std`²) to each element.
    "noise" Noise { std: f64 } "std" as "{ noise = 0.1 }",
        Augmentation::Noise { std } => augment::gaussian_noise(net, x, *std), fault faults::std(*std);
    /// Mixes each sample and its loss with another of the batch, λ from Beta(`alpha`, `alpha`) once a batch; the last entry.
    "mixup" Mixup { alpha: f64 } "alpha" as "{ mixup = 0.2 }",
        Augmentation::Mixup { alpha } => augment::mixup(net, x, *alpha).x().clone(), fault faults::alpha(*alpha);
}

fn half() -> f64 {
    0.5
}

impl Augmentation {
    pub(super) fn form(name: &str) -> Option<&'static Form> {
        Self::FORMS.iter().find(|form| form.name == name)
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
}

impl Augment {
    /// Checks that every option is in its range, that mixup is the last entry and occurs once, and that it has
    /// targets to mix.
    pub(super) fn check(&self, targets_are_inputs: bool) -> Result<()> {
        for (i, entry) in self.entries.iter().enumerate() {
            if let Some(fault) = entry.fault() {
                return Err(Error::Config(format!("data.augment[{i}].{}.{fault}", entry.name())));
            }
        }
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
        if targets_are_inputs {
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

    /// Augments `x`. Returns the input of the layers, and the mixup for the loss if there is one.
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
        // One pass writes it to memory, where the layers read it.
        if net.training() && !self.entries.is_empty() { (x.materialized_below(), mixed) } else { (x, mixed) }
    }
}
