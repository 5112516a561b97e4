//! A config's trained net, to export.

use super::{Config, DataSpec};
use crate::data::{Encoding, digits_encoding};
use crate::error::{Error, Result};
use crate::export::Exported;
use crate::graph::DType;
use crate::shape::Shape;

impl Config {
    /// The encoding of a run's data: `stored`, or that of the digits, which no run stores.
    pub fn encoding(&self, stored: Option<Encoding>) -> Option<Encoding> {
        match self.data.own() {
            DataSpec::Digits => stored.or_else(|| Some(Encoding::Array(digits_encoding()))),
            _ => stored,
        }
    }

    /// The net of a run by the name `title`, to export. `encoding` is [`Config::encoding`]. The data are read only where
    /// neither it nor the config says what a sample's shape is.
    ///
    /// # Errors
    /// As [`Config::dataset`].
    pub fn exported<'a>(&'a self, title: &str, encoding: Option<&'a Encoding>) -> Result<Exported<'a>> {
        let (sample, dtype) = self.sample(encoding)?;
        let target = match (encoding, &self.data) {
            (_, DataSpec::Inputs(_)) => None,
            (Some(Encoding::Table(table)), _) => table.target.standardised(),
            _ => None,
        };
        let delimiter = match self.data.own() {
            DataSpec::Table(table) => table.options.delimiter,
            _ => None,
        };
        Ok(Exported {
            title: title.to_owned(),
            model: &self.model,
            sample,
            dtype,
            encoding,
            delimiter,
            head: self.head(),
            classes: self.class_names(encoding).unwrap_or_default(),
            target,
        })
    }

    /// The shape and the type of a sample as the model takes it.
    fn sample(&self, encoding: Option<&Encoding>) -> Result<(Shape, DType)> {
        match (encoding, self.data.context()) {
            (Some(Encoding::Array(array)), _) => return Ok((Shape::from(array.shape.clone()), DType::F32)),
            (Some(Encoding::Images(images)), _) => {
                return Ok((Shape::from([images.channels, images.height, images.width]), DType::F32));
            }
            (Some(Encoding::Table(table)), _) => return Ok((Shape::from([table.width()]), DType::F32)),
            (Some(Encoding::Text { .. }), Some(context)) => {
                return Ok((Shape::from([context]), DType::I32));
            }
            _ => {}
        }
        if let DataSpec::Memory(spec) = self.data.own()
            && let Some(sample) = spec.sample()
        {
            return Ok(sample);
        }
        let data = self.dataset().map_err(|err| match err {
            Error::Config(text) => {
                Error::Config(format!("the shape of a sample is known by the data alone: {text}"))
            }
            Error::Data(text) => {
                Error::Data(format!("the shape of a sample is known by the data alone: {text}"))
            }
            other => other,
        })?;
        let inputs = data.train().inputs();
        Ok((inputs.shape().clone(), if inputs.is_float() { DType::F32 } else { DType::I32 }))
    }
}
