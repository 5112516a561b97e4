//! A folder of images as a source.

use std::path::PathBuf;

use toml::{Table, Value};

use super::super::section::kind;
use super::values::{entry, integer, path_text, whole};
use super::{DataSpec, FileKeys, Source, normalise};
use crate::data::{self, Dataset, Fit, ImageOptions};
use crate::error::{Error, Result};

/// A folder of images, in errors.
pub(super) const FORM: &str = "{ images = \"DIR\" }";
/// Its keys, which are sometimes put beside it.
pub(super) const INSIDE: &[&str] = &["size", "fit", "channels"];

const FITS: [(&str, Fit); 2] = [("crop", Fit::Crop), ("stretch", Fit::Stretch)];

/// A folder of images, and what is made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagesSpec {
    /// The folder.
    pub path: PathBuf,
    /// What is made of them, but for the seed of the split.
    pub options: ImageOptions,
    /// The seed of the split; the run's where it is `None`.
    pub split_seed: Option<u64>,
    /// The folder has its own part to evaluate on, so that nothing is held out.
    pub own_eval: bool,
}

impl Source for &ImagesSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let mut options = self.options.clone();
        options.hold.seed = self.split_seed.unwrap_or(seed);
        data::images(&self.path, &options)
    }

    fn source(&self) -> Value {
        let mut table = Table::from_iter([entry("images", path_text(&self.path))]);
        table.extend(self.options.size.map(|size| entry("size", Value::Array(size.map(integer).to_vec()))));
        let fit =
            FITS.iter().find(|(_, fit)| *fit == self.options.fit).filter(|_| self.options.size.is_some());
        table.extend(fit.map(|(name, _)| entry("fit", (*name).into())));
        table.extend(self.options.channels.map(|n| entry("channels", integer(n))));
        Value::Table(table)
    }

    fn beside(&self) -> Table {
        let mut table = Table::from_iter([normalise::to_toml(&self.options.normalise)]);
        if !self.own_eval {
            let hold = self.options.hold;
            table.extend([
                entry("eval_fraction", hold.fraction.into()),
                entry("stratify", hold.stratify.into()),
            ]);
            table.extend(self.split_seed.map(|seed| entry("split_seed", whole(seed))));
        }
        table
    }
}

/// A folder of images.
pub(super) fn read(keys: FileKeys) -> Result<DataSpec> {
    let FileKeys { path, source, beside, .. } = keys;
    let mut options = ImageOptions::new(0);
    options.size = match source.take("size") {
        None => None,
        Some(value) => Some(size(&value)?),
    };
    let fit = source.choice("fit", &FITS)?;
    if fit.is_some() && options.size.is_none() {
        return Err(Error::Config(
            "data.source.fit says how images come to data.source.size, which is missing; for example size = [32, 32]"
                .into(),
        ));
    }
    options.fit = fit.unwrap_or_default();
    options.channels = source.whole("channels")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    options.normalise = normalise::read(beside)?;
    let own_eval = data::images_have_eval(&path);
    let mut split_seed = None;
    if !own_eval {
        options.hold.fraction = beside.number("eval_fraction", options.hold.fraction)?;
        options.hold.stratify = beside.boolean("stratify", options.hold.stratify)?;
        split_seed = beside.whole("split_seed")?;
    }
    Ok(DataSpec::Images(ImagesSpec { path, options, split_seed, own_eval }))
}

/// Height and width.
fn size(value: &Value) -> Result<[usize; 2]> {
    let extent = |v: &Value| v.as_integer().and_then(|n| usize::try_from(n).ok());
    let list: Option<Vec<usize>> = value.as_array().and_then(|list| list.iter().map(extent).collect());
    list.and_then(|list| <[usize; 2]>::try_from(list).ok()).ok_or_else(|| {
        let what = kind(value);
        Error::Config(format!(
            "data.source.size = {value}: height and width are needed, as [32, 32], and this is {what}"
        ))
    })
}
