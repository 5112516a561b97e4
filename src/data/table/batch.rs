//! Cells of an Arrow record batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::cell::{Cell, Cells};
use super::reader::Each;
use crate::error::Result;

/// A column of a batch, its type found once.
struct Column<'a> {
    array: &'a dyn Array,
    get: fn(&'a dyn Array, usize) -> Cell<'a>,
    /// The values of a dictionary.
    values: Option<Box<Column<'a>>>,
}

/// The columns that are read, by their number in the file, at a row.
struct Row<'a> {
    columns: &'a [Option<Column<'a>>],
    row: usize,
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Option<Column<'a>> {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let keys = Column::new(dictionary.keys())?;
            let values = Column::new(dictionary.values().as_ref())?;
            return Some(Column { values: Some(Box::new(values)), ..keys });
        }
        let get: fn(&'a dyn Array, usize) -> Cell<'a> = match array.data_type() {
            DataType::Int8 => |array, row| Cell::Integer(array.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => {
                |array, row| Cell::Integer(array.as_primitive::<Int16Type>().value(row).into())
            }
            DataType::Int32 => {
                |array, row| Cell::Integer(array.as_primitive::<Int32Type>().value(row).into())
            }
            DataType::Int64 => {
                |array, row| Cell::Integer(array.as_primitive::<Int64Type>().value(row).into())
            }
            DataType::UInt8 => {
                |array, row| Cell::Integer(array.as_primitive::<UInt8Type>().value(row).into())
            }
            DataType::UInt16 => {
                |array, row| Cell::Integer(array.as_primitive::<UInt16Type>().value(row).into())
            }
            DataType::UInt32 => {
                |array, row| Cell::Integer(array.as_primitive::<UInt32Type>().value(row).into())
            }
            DataType::UInt64 => {
                |array, row| Cell::Integer(array.as_primitive::<UInt64Type>().value(row).into())
            }
            DataType::Float16 => {
                |array, row| Cell::Number(array.as_primitive::<Float16Type>().value(row).into())
            }
            DataType::Float32 => {
                |array, row| Cell::Number(array.as_primitive::<Float32Type>().value(row).into())
            }
            DataType::Float64 => |array, row| Cell::Number(array.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => |array, row| Cell::Truth(array.as_boolean().value(row)),
            DataType::Utf8 => |array, row| Cell::Word(array.as_string::<i32>().value(row).trim()),
            DataType::LargeUtf8 => |array, row| Cell::Word(array.as_string::<i64>().value(row).trim()),
            DataType::Utf8View => |array, row| Cell::Word(array.as_string_view().value(row).trim()),
            _ => return None,
        };
        Some(Column { array, get, values: None })
    }

    fn cell(&self, row: usize) -> Cell<'a> {
        if row >= self.array.len() || self.array.is_null(row) {
            return Cell::Null;
        }
        match (&self.values, (self.get)(self.array, row)) {
            (None, cell) => cell,
            (Some(values), Cell::Integer(at)) => usize::try_from(at).map_or(Cell::Null, |at| values.cell(at)),
            (Some(_), _) => Cell::Null,
        }
    }
}

impl Cells for Row<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        self.columns.get(column).and_then(Option::as_ref).map_or(Cell::Null, |column| column.cell(self.row))
    }

    fn line(&self) -> Option<u64> {
        None
    }
}

/// The name of a type that is neither number nor word; `None` where it is one.
pub(super) fn unfit(schema: &Schema, column: usize) -> Option<String> {
    fn plain(ty: &DataType) -> bool {
        ty.is_integer() || ty.is_floating() || ty.is_string() || *ty == DataType::Boolean
    }
    let ty = schema.field(column).data_type();
    let fits = match ty {
        DataType::Dictionary(_, values) => plain(values),
        ty => plain(ty),
    };
    (!fits).then(|| ty.to_string())
}

/// The columns' names.
pub(super) fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().trim().to_owned()).collect()
}

/// Calls `each` with every row of a batch. The first row has the number `first`; `places` are the file's columns that
/// the batch has.
pub(super) fn rows(batch: &RecordBatch, places: &[usize], first: usize, each: &mut Each) -> Result<()> {
    let mut columns: Vec<Option<Column>> = Vec::new();
    columns.resize_with(places.iter().max().map_or(0, |last| last + 1), || None);
    for (array, place) in batch.columns().iter().zip(places) {
        columns[*place] = Column::new(array.as_ref());
    }
    (0..batch.num_rows()).try_for_each(|row| each(first + row, &Row { columns: &columns, row }))
}

/// Runs a decoder, and returns its panic as an error. Third-party decoders index and unwrap where a file is false;
/// that is the file's fault, and must not end the process. Only the decoder's own state is affected, and it is
/// dropped.
pub(super) fn guarded<T, E: std::fmt::Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(|err| err.to_string()),
        Err(_) => Err("what it says of itself is not so".into()),
    }
}
