//! Writing the packed format.

use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::super::blocks::Blocks;
use super::description::{
    ALIGN, Array, BLOCK, Description, FieldDescription, MAGIC, PREFIX, Role, SUMMED, VERSION, digest,
};
use crate::atomic_file::AtomicFile;
use crate::data::{Dataset, Field, Part, Values};
use crate::error::{Error, Result};

/// The file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of the file.
    pub bytes: u64,
    /// Arrays in it.
    pub arrays: usize,
}

/// The source of an array's numbers.
enum From<'a> {
    /// All there are.
    All(&'a Arc<Values>),
    /// The samples of a part.
    Samples(&'a Part, &'a Field),
}

/// The arrays to write, with their descriptions.
#[derive(Default)]
struct Layout<'a> {
    arrays: Vec<Array>,
    from: Vec<From<'a>>,
}

impl<'a> Layout<'a> {
    /// The fields of a part; `all` are those of every part.
    fn part(&mut self, part: &'a Part, all: &[&Field]) -> Vec<FieldDescription> {
        let fields: Vec<_> = part.roles().collect();
        let describe = |(input, name, field): (bool, &str, &'a Field)| {
            let (values, each) = (field.shared(), field.shape().elements());
            let sharing = all.iter().filter(|other| Arc::ptr_eq(other.shared(), values)).count();
            let whole = part.is_whole() && (sharing > 1 || field.at().hop != each);
            let array = if whole { self.all(values) } else { self.add(From::Samples(part, field)) };
            let at = field.at();
            FieldDescription {
                name: name.to_owned(),
                role: if input { Role::Input } else { Role::Target },
                shape: field.shape().to_vec(),
                scale: field.scale().cloned(),
                array,
                first: if whole { at.first } else { 0 },
                hop: if whole { at.hop } else { each },
                samples: part.len(),
            }
        };
        fields.into_iter().map(describe).collect()
    }

    /// The array of all values, stored once.
    fn all(&mut self, values: &'a Arc<Values>) -> usize {
        let same = |from: &From| matches!(from, From::All(other) if Arc::ptr_eq(other, values));
        match self.from.iter().position(same) {
            Some(at) => at,
            None => self.add(From::All(values)),
        }
    }

    fn add(&mut self, from: From<'a>) -> usize {
        let (kind, numbers) = match &from {
            From::All(values) => (values.kind(), values.len()),
            From::Samples(part, field) => (field.values().kind(), part.len() * field.shape().elements()),
        };
        // As many digits as there will be: the description is not to change its length.
        let xxh3 = digest(&Xxh3::new());
        self.arrays.push(Array { kind: kind.name().to_owned(), numbers: numbers as u64, offset: 0, xxh3 });
        self.from.push(from);
        self.arrays.len() - 1
    }
}

/// Bytes of an array.
fn bytes(array: &Array) -> u64 {
    array.numbers * array.kind().map_or(0, |kind| kind.bytes() as u64)
}

/// Assigns offsets to the arrays, and returns the length of the file. A longer description moves the arrays, and
/// larger offsets make it longer. This ends, because each turn adds digits or nothing.
fn place(description: &mut Description) -> Result<u64> {
    loop {
        let mut end = (PREFIX + json(description)?.len()) as u64;
        let mut moved = false;
        for array in &mut description.arrays {
            let offset = end.next_multiple_of(ALIGN);
            moved |= offset > array.offset;
            array.offset = array.offset.max(offset);
            end = array.offset + bytes(array);
        }
        if !moved {
            return Ok(end);
        }
    }
}

fn json(description: &Description) -> Result<Vec<u8>> {
    serde_json::to_vec(description)
        .map_err(|err| Error::Data(format!("the description cannot be written: {err}")))
}

/// Everything before the arrays.
fn head(description: &Description, bytes: u64) -> Result<Vec<u8>> {
    let text = json(description)?;
    let mut head = MAGIC.to_vec();
    head.extend(u64::from(VERSION).to_le_bytes());
    head.extend((text.len() as u64).to_le_bytes());
    head.extend(bytes.to_le_bytes());
    let mut hash = Xxh3::new();
    hash.update(&head[..SUMMED]);
    hash.update(&text);
    head.extend(hash.digest().to_le_bytes());
    head.extend(text);
    Ok(head)
}

/// Writes a data set in the packed format to `path`: a whole file or none. `replace` overwrites an existing file.
/// Memory does not grow with its samples. `progress` receives the bytes that are done and all bytes.
///
/// # Errors
/// [`Error::Config`] where a file is there and may not be replaced; [`Error::Io`]; errors of a source.
pub fn write_pack(
    data: &Dataset,
    path: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Packed> {
    let parts = || [Some(data.train()), data.eval()].into_iter().flatten();
    let all: Vec<&Field> = parts().flat_map(|part| part.fields().map(|(_, field)| field)).collect();
    let mut layout = Layout::default();
    let train = layout.part(data.train(), &all);
    let eval = data.eval().map(|eval| layout.part(eval, &all));
    let Layout { arrays, from } = layout;
    let mut description = Description {
        name: data.name().to_owned(),
        classes: data.classes(),
        encoding: data.encoding().cloned(),
        arrays,
        train,
        eval,
    };
    let end = place(&mut description)?;
    let mut file = AtomicFile::create_new(path, replace)?;
    let head_bytes = head(&description, end)?;
    file.append(&head_bytes)?;
    let mut at = head_bytes.len() as u64;
    for (array, from) in description.arrays.iter_mut().zip(from) {
        file.append(&vec![0; (array.offset - at) as usize])?;
        at = array.offset;
        let mut hash = Xxh3::new();
        let mut put = |bytes: &[u8]| -> Result<()> {
            hash.update(bytes);
            file.append(bytes)?;
            at += bytes.len() as u64;
            progress(at, end);
            Ok(())
        };
        match from {
            From::All(values) => {
                let (size, total) = (values.kind().bytes(), values.bytes() as usize);
                let mut block = vec![0; total.min(BLOCK)];
                for from in (0..total).step_by(BLOCK) {
                    let bytes = &mut block[..(total - from).min(BLOCK)];
                    values.read(from / size, bytes)?;
                    put(bytes)?;
                }
            }
            From::Samples(part, field) => {
                let mut blocks = Blocks::new(part, field, 1);
                while let Some(bytes) = blocks.next()? {
                    put(bytes)?;
                }
            }
        }
        array.xxh3 = digest(&hash);
    }
    file.overwrite(0, &head(&description, end)?)?;
    file.persist()?;
    Ok(Packed { bytes: end, arrays: description.arrays.len() })
}
