//! The section `[init]`: the weights that a run starts from.

use std::path::{Path, PathBuf};

use super::data::root::{way_to, without_parents};
use super::described::section;
use crate::error::{Error, Result};

section! {
    /// The weights to start from. Without `file` they are drawn at random.
    pub struct Init {
        /// A safetensors file, or the directory of a run.
        pub file: Option<PathBuf> = None,
        /// Renames the file's tensors by the beginnings of their names: "model.=>" takes one away, "fc.=>head." replaces it. The
        /// first that fits a name applies.
        pub map: Vec<String> = Vec::new(),
        /// Tensors of the model that keep their initial values, by name; * stands for any characters and ? for one.
        pub skip: Vec<String> = Vec::new(),
        /// Whether every other tensor must be in both the file and the model, in one shape.
        pub strict: bool = true,
    }
}

impl Init {
    /// True where weights are drawn at random.
    pub(super) fn is_random(&self) -> bool {
        self.file.is_none()
    }

    /// The renames: from, to.
    pub(crate) fn renames(&self) -> impl Iterator<Item = (&str, &str)> {
        self.map
            .iter()
            .filter_map(|rename| rename.split_once("=>"))
            .map(|(from, to)| (from.trim(), to.trim()))
    }

    /// Makes the path absolute and refuses what cannot be.
    pub(super) fn resolved(self, folder: &Path) -> Result<Init> {
        if let Some(rename) = self.map.iter().find(|rename| rename.matches("=>").count() != 1) {
            return Err(Error::Config(format!(
                "init.map = \"{rename}\": the beginning of names in the file, => and what replaces it are needed, as \
                 \"model.=>\" or \"fc.=>head.\""
            )));
        }
        let Some(file) = &self.file else {
            if self == Init::default() {
                return Ok(self);
            }
            let text =
                "init.file is missing: a safetensors file, or the directory of a run, as --init gives it";
            return Err(Error::Config(text.into()));
        };
        let wrong =
            |_| Error::Config(format!("init.file = \"{}\": no path can be made of it", file.display()));
        let file = std::path::absolute(folder.join(file)).map_err(wrong)?;
        Ok(Init { file: Some(without_parents(file)), ..self })
    }

    /// For a config in `folder`: the file by the way to it, so that both can be moved together.
    pub(super) fn written_in(&self, folder: Option<&Path>) -> Init {
        let file = self.file.as_ref().map(|file| folder.map_or(file.clone(), |folder| way_to(folder, file)));
        Init { file, ..self.clone() }
    }
}
