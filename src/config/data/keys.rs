//! The keys of a source: how they are read, and how they are written.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::super::read::read as read_value;
use super::root::Root;
use crate::data::{Holdout, Normalise};
use crate::error::Result;

/// A key and its description.
pub(super) type Key = (&'static str, &'static str);

/// Keys of `[data]` that some sources have.
#[derive(Debug)]
pub struct KeyGroup {
    /// The sources, for errors.
    pub owners: &'static str,
    /// The keys with their descriptions.
    pub keys: &'static [Key],
}

impl KeyGroup {
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| *name == key)
    }
}

/// Keys of sources that hold samples out to evaluate on.
pub(super) static HOLDOUT: KeyGroup = KeyGroup {
    owners: "sources that hold samples out: tables without eval, arrays without eval_x, images without a folder to \
             evaluate on; eval_fraction with text as well",
    keys: &[
        ("eval_fraction", "the share of the samples that is held out to evaluate on; 0 for none"),
        ("stratify", "true: the share is that of each class"),
        ("split_seed", "decides which samples are held out; the run's seed where it is left out"),
    ],
};
/// The key of images, and of arrays like them.
pub(super) static NORMALISE: KeyGroup = KeyGroup {
    owners: "images and arrays",
    keys: &[(
        "normalise",
        "\"auto\" (bytes become 0 to 1), \"unit\", \"none\", \"standard\", or { mean = [..], std = [..] } for each channel",
    )],
};
/// The keys of text.
pub(super) static TEXT: KeyGroup = KeyGroup {
    owners: "text",
    keys: &[
        ("context", "how many characters a sample of text has; for example context = 64"),
        (
            "hop",
            "characters from one training sample's beginning to the next one's; context where it is left out",
        ),
        ("eval_fraction", "the share of the text, its end, that is evaluated on; 0 for none"),
    ],
};

/// The keys of arrays of a program, which a run on them writes.
pub(super) static MEMORY: KeyGroup = KeyGroup {
    owners: "arrays of a program",
    keys: &[
        ("sample", "the shape of a sample, as [1, 8, 8]; a run writes it"),
        ("integers", "true: the model takes a sample as integers; a run writes it"),
    ],
};

/// The keys that a source is read from.
pub(super) struct Keys<'a> {
    /// The file or folder, absolute; empty for a source that is part of the program.
    pub path: PathBuf,
    /// `data.source` without the file.
    pub source: Table,
    /// The keys of `[data]` that belong to the source.
    pub beside: Table,
    /// Paths begin in it.
    pub root: &'a Root,
}

impl Keys<'_> {
    /// The options in `data.source`.
    pub fn source<T: DeserializeOwned>(&self) -> Result<T> {
        read("data.source", self.source.clone())
    }

    /// The options of a group of keys of `[data]`.
    pub fn beside<T: DeserializeOwned>(&self, group: &KeyGroup) -> Result<T> {
        let table = self.beside.iter().filter(|(key, _)| group.has(key));
        read("data", table.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    pub fn normalise(&self) -> Result<Normalise> {
        self.beside(&NORMALISE).map(|Inputs { normalise }| normalise)
    }

    pub fn holdout(&self) -> Result<HoldoutKeys> {
        self.beside(&HOLDOUT)
    }
}

/// Reads a table of the config.
fn read<T: DeserializeOwned>(path: &str, table: Table) -> Result<T> {
    read_value(path, Value::Table(table))
}

/// The scaling of inputs.
#[derive(Serialize, Deserialize)]
pub(super) struct Inputs {
    #[serde(default)]
    pub normalise: Normalise,
}

/// Which samples are held out to evaluate on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HoldoutKeys {
    /// The share; what the source has to evaluate on, or else a fifth, where it is `None`.
    #[serde(with = "share")]
    pub eval_fraction: Option<f64>,
    /// The share is that of each class.
    pub stratify: bool,
    /// Decides which samples these are; the run's seed where it is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
}

impl HoldoutKeys {
    /// With a fifth as the share where none is given.
    pub fn with_share(self) -> HoldoutKeys {
        let fifth = Holdout::default().fraction;
        HoldoutKeys { eval_fraction: Some(self.eval_fraction.unwrap_or(fifth)), ..self }
    }

    /// For a run of this seed.
    pub fn holdout(self, seed: u64) -> Holdout {
        let fraction = self.with_share().eval_fraction.unwrap_or_default();
        Holdout { fraction, seed: self.split_seed.unwrap_or(seed), stratify: self.stratify }
    }
}

/// A share, or `"auto"`.
mod share {
    use serde::{Deserializer, Serialize, Serializer};

    use crate::data::keys::{Raw, wanted};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        wanted(deserializer, "a number from 0 to below 1, or \"auto\",", |raw| match raw {
            Raw::Text(word) if word == "auto" => Some(None),
            other => other.number().map(Some),
        })
    }

    pub fn serialize<S: Serializer>(share: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match share {
            Some(share) => share.serialize(serializer),
            None => "auto".serialize(serializer),
        }
    }
}

/// Options as a table, every default filled in.
pub(super) fn table(options: &impl Serialize) -> Table {
    match Value::try_from(options) {
        Ok(Value::Table(table)) => table,
        _ => Table::new(),
    }
}
