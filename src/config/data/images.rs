//! A folder of images as a source.

use std::path::{Path, PathBuf};

use toml::Table;

use super::keys::{self, HoldoutKeys, Inputs, Keys};
use super::source::{Other, Run, Source};
use crate::data::{self, Dataset, Encoding, ImageOptions};
use crate::error::{Error, Result};

/// A folder of images with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagesSpec {
    /// The folder.
    pub path: PathBuf,
    /// Options, but for the images that are held out.
    pub options: ImageOptions,
    /// The held-out images, where the folder has no part to evaluate on.
    pub holdout: HoldoutKeys,
    /// The folder has its own part to evaluate on, so that nothing is held out.
    pub own_eval: bool,
}

impl ImagesSpec {
    /// The same source at another path.
    pub(super) fn at(&self, path: &Path) -> ImagesSpec {
        ImagesSpec { path: path.to_owned(), ..self.clone() }
    }
}

impl Source for ImagesSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let options = ImageOptions { hold: self.holdout.holdout(seed), ..self.options.clone() };
        data::images(&self.path, &options)
    }

    fn holds_out(&self) -> bool {
        !self.own_eval
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        ("images", Some(&self.path))
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.path]
    }

    fn keys(&self) -> (Table, Table) {
        let mut source = keys::table(&self.options);
        if self.options.size.is_none() {
            source.remove("fit");
        }
        let mut beside = keys::table(&Inputs { normalise: self.options.normalise.clone() });
        beside.extend(keys::table(&self.holdout));
        (source, beside)
    }

    fn part(&self, run: &Run) -> Result<Option<Other>> {
        let Some(Encoding::Images(encoding)) = run.encoding else { return Ok(None) };
        Ok(Some((data::images_part(&self.path, encoding)?, Some(encoding.classes.len()))))
    }
}

pub(super) fn read(keys: Keys) -> Result<ImagesSpec> {
    let options: ImageOptions = keys.source()?;
    if keys.source.contains_key("fit") && options.size.is_none() {
        return Err(Error::Config(
            "data.source.fit says how images come to data.source.size, which is missing; for example size = [32, 32]"
                .into(),
        ));
    }
    let options = ImageOptions { normalise: keys.normalise()?, ..options };
    let own_eval = data::images_have_eval(&keys.path);
    let holdout = keys.holdout()?.with_share();
    Ok(ImagesSpec { path: keys.path, options, holdout, own_eval })
}
