//! Other data than a run's for its model: of the same kind, and encoded as the run's were.

use std::path::Path;

use super::alone::DataConfig;
use super::pack::PackSpec;
use super::source::Run;
use super::spec::DataSpec;
use crate::data::{Dataset, Encoding};
use crate::error::{Error, Result};

impl DataSpec {
    /// Loads the data at `path`, encoded as this spec's own data were. `encoding` is the encoding of its own data;
    /// nothing is fitted again. `path` is data of the same kind, a config (`.toml`) whose `[data]` names them, or a
    /// packed data set.
    ///
    /// Data divided into parts give the part to evaluate on; other data give all samples. Both parts of the result are this
    /// part.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, or do not fit the encoding; [`Error::Config`] where they are of another
    /// kind; [`Error::Io`].
    pub fn other(&self, path: &Path, encoding: Option<&Encoding>) -> Result<Dataset> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let spec = match (ending.as_str(), self.own()) {
            ("toml", _) | (_, DataSpec::Pack(_) | DataSpec::Memory(_)) if ending != "dhd" => {
                DataConfig::open(path, &[])?.spec
            }
            ("dhd", _) => DataSpec::Pack(PackSpec { path: path.to_owned() }),
            (_, own) => own.at(path)?,
        };
        let is_digits = matches!(self.own(), DataSpec::Digits);
        let run = Run { encoding, is_digits, context: self.context() };
        let Some((part, classes)) = spec.source().part(&run)? else {
            let about = match encoding {
                Some(Encoding::Text { .. }) => "a text",
                Some(Encoding::Table(_)) => "a table",
                Some(Encoding::Images(_)) => "a folder of images",
                Some(Encoding::Array(_)) | None => "arrays",
            };
            return Err(Error::Config(format!(
                "{}: data of another kind than the run's, which are {about}",
                path.display()
            )));
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let data = Dataset::new(name, part.clone(), Some(part), classes)?;
        let data = match encoding {
            Some(encoding) => data.with_encoding(encoding.clone()),
            None => data,
        };
        Ok(if matches!(self, DataSpec::Inputs(_)) { data.without_targets() } else { data })
    }
}
