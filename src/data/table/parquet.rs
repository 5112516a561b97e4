//! Parquet: row groups of columns, decoded some thousand rows at a time, and of these only the columns in use.

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::batch::{guarded, names, rows, unfit};
use super::reader::{Each, Rows};
use crate::error::{Error, Result};

/// Rows that are decoded at a time.
const BATCH: usize = 4096;

/// A file and its footer.
#[derive(Debug)]
pub(super) struct Parquet {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl Parquet {
    /// The columns' names, and the rest.
    ///
    /// # Errors
    /// [`Error::Data`] where the file is cut short or its foot is malformed.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<(Vec<String>, Parquet)> {
        let bytes = Bytes::from(bytes);
        let metadata = guarded(|| ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()));
        let metadata = metadata.map_err(|text| {
            Error::Data(format!(
                "{name}, {} bytes: {text}; no Parquet file, or one that is cut short or damaged",
                bytes.len()
            ))
        })?;
        Ok((names(metadata.schema()), Parquet { bytes, metadata }))
    }
}

impl Rows for Parquet {
    fn scan(&self, name: &str, columns: &[usize], each: &mut Each) -> Result<()> {
        let mut places = columns.to_vec();
        places.sort_unstable();
        places.dedup();
        let mut first = 0;
        let wrong = |first: usize, text: String| {
            Error::Data(format!("{name}, after {first} rows: {text}; the file is damaged"))
        };
        let open = || -> parquet::errors::Result<ParquetRecordBatchReader> {
            let reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone());
            let mask = ProjectionMask::roots(reader.parquet_schema(), places.iter().copied());
            reader.with_projection(mask).with_batch_size(BATCH).build()
        };
        let mut reader = guarded(open).map_err(|text| wrong(0, text))?;
        while let Some(batch) = guarded(|| reader.next().transpose()).map_err(|text| wrong(first, text))? {
            rows(&batch, &places, first, each)?;
            first += batch.num_rows();
        }
        Ok(())
    }

    fn unfit(&self, column: usize) -> Option<String> {
        unfit(self.metadata.schema(), column)
    }
}
