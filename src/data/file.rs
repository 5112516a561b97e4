//! Numbers in a file, read when they are used.
//!
//! Reads are positioned reads, which the page cache serves, and not a mapping of the file: where the file is cut short
//! or its disk fails, a read is an error that can be reported; a mapping would end the process.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::values::{Kind, Source, Values};
use crate::error::{Error, Result};
use crate::regular_file::check_regular;

/// Numbers are read into memory at once up to this many bytes.
const SMALL: u64 = 4 << 20;

/// The name of a data set that comes from a file.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A file that is open for reading at any place, by several threads; or what was unpacked of one, which reads alike.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    /// Names the part of the file at `path`, if this is not the file itself.
    inside: Option<String>,
    body: Body,
    bytes: u64,
}

/// The bytes.
#[derive(Debug)]
pub(super) enum Body {
    File(File),
    Memory(Cow<'static, [u8]>),
}

impl DataFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened, or is no regular file.
    pub fn open(path: &Path) -> Result<Arc<DataFile>> {
        #[cfg(target_arch = "wasm32")]
        return Ok(Self::memory(path, crate::regular_file::read_regular(path)?));
        #[cfg(not(target_arch = "wasm32"))]
        Self::open_on_disk(path)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn open_on_disk(path: &Path) -> Result<Arc<DataFile>> {
        let fault = |err: std::io::Error| Error::io("cannot read", path, &err);
        check_regular(path)?;
        let file = File::open(path).map_err(fault)?;
        let meta = file.metadata().map_err(fault)?;
        let (path, body) = (path.to_owned(), Body::File(file));
        Ok(Arc::new(DataFile { path, inside: None, body, bytes: meta.len() }))
    }

    /// Bytes in memory that read as a file of this name.
    pub fn memory(name: impl Into<PathBuf>, bytes: impl Into<Cow<'static, [u8]>>) -> Arc<DataFile> {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        Arc::new(DataFile { path: name.into(), inside: None, body: Body::Memory(bytes), bytes: len })
    }

    /// The bytes unpacked from the file at `path`.
    pub(super) fn unpacked(path: &Path, inside: String, body: Body, bytes: u64) -> Arc<DataFile> {
        Arc::new(DataFile { path: path.to_owned(), inside: Some(inside), body, bytes })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name without the folder, for errors.
    pub fn name(&self) -> String {
        file_name(&self.path)
    }

    /// Its length when it was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// An error at an offset.
    pub fn fault(&self, offset: u64, text: impl std::fmt::Display) -> Error {
        let path = self.path.display();
        Error::Data(match &self.inside {
            None => format!("{path}, byte {offset}: {text}"),
            Some(inside) => format!("{path}, {inside}, byte {offset}: {text}"),
        })
    }

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Data`] where the file ends before, with what has become of it; [`Error::Io`].
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let result = match &self.body {
            Body::File(file) => read_exact_at(file, offset, into),
            Body::Memory(bytes) => copy_exact_at(bytes, offset, into),
        };
        result.map_err(|err| {
            if err.kind() != std::io::ErrorKind::UnexpectedEof {
                return Error::io("cannot read", &self.path, &err);
            }
            let now = match &self.body {
                Body::File(file) => file.metadata().map_or(0, |meta| meta.len()),
                Body::Memory(bytes) => bytes.len() as u64,
            };
            let end = offset.saturating_add(into.len() as u64);
            let was = self.bytes;
            let cut = if now < was {
                format!("; it had {was} when it was opened, and has been cut short since")
            } else {
                String::new()
            };
            self.fault(offset, format!("bytes up to {end} are needed, and the file has {now}{cut}"))
        })
    }

    /// `count` bytes from `offset` on. Takes no memory for bytes that the file does not have.
    ///
    /// # Errors
    /// As [`DataFile::read`].
    pub fn take(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        if offset.saturating_add(count as u64) > self.bytes {
            let has = self.bytes;
            let text = format!("{count} bytes are needed from here on, and the file ends at byte {has}");
            return Err(self.fault(offset.min(has), text));
        }
        let mut bytes = vec![0; count];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

fn copy_exact_at(bytes: &[u8], offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
    let from = rest.and_then(|rest| rest.get(..into.len()));
    into.copy_from_slice(from.ok_or(std::io::ErrorKind::UnexpectedEof)?);
    Ok(())
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

/// A page has no files: its data are in memory.
#[cfg(not(any(unix, windows)))]
fn read_exact_at(_: &File, _: u64, _: &mut [u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut into: &mut [u8]) -> std::io::Result<()> {
    while !into.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, into, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => (offset, into) = (offset + n as u64, &mut into[n..]),
        }
    }
    Ok(())
}

/// How a number is written in a file. A type with a [`Kind`] of its own travels as it is; others are narrowed, and
/// refused where they do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// As a kind.
    As(Kind),
    /// A byte, 0 or 1.
    Bool,
    /// 32 bits, unsigned: becomes i32.
    U32,
    /// 64 bits, unsigned: becomes i32.
    U64,
    /// 64 bits: becomes i32.
    I64,
    /// Double precision: becomes f32, the nearest.
    F64,
}

impl Written {
    /// Bytes of a number in the file.
    pub fn bytes(self) -> usize {
        match self {
            Written::As(kind) => kind.bytes(),
            Written::Bool => 1,
            Written::U32 => 4,
            Written::U64 | Written::I64 | Written::F64 => 8,
        }
    }

    /// The kind that it becomes.
    pub fn kind(self) -> Kind {
        match self {
            Written::As(kind) => kind,
            Written::Bool => Kind::U8,
            Written::U32 | Written::U64 | Written::I64 => Kind::I32,
            Written::F64 => Kind::F32,
        }
    }

    /// As in `float64`.
    pub fn name(self) -> &'static str {
        match self {
            Written::As(kind) => kind.name(),
            Written::Bool => "bool",
            Written::U32 => "u32",
            Written::U64 => "u64",
            Written::I64 => "i64",
            Written::F64 => "f64",
        }
    }

    /// One number that is no kind of its own, from its little-endian bytes; the integer where it does not fit.
    fn narrow(self, bytes: &[u8], into: &mut [u8]) -> Result<(), i128> {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        let whole = match self {
            Written::F64 => {
                into.copy_from_slice(&(f64::from_le_bytes(eight) as f32).to_le_bytes());
                return Ok(());
            }
            Written::I64 => i64::from_le_bytes(eight).into(),
            _ => i128::from(u64::from_le_bytes(eight)),
        };
        into.copy_from_slice(&i32::try_from(whole).map_err(|_| whole)?.to_le_bytes());
        Ok(())
    }
}

/// Numbers one after the other in a file.
#[derive(Debug)]
pub struct FileValues {
    file: Arc<DataFile>,
    offset: u64,
    len: usize,
    written: Written,
    big_endian: bool,
}

impl FileValues {
    /// `len` numbers from byte `offset` on. Few numbers are read at once; many are read when they are used.
    ///
    /// # Errors
    /// [`Error::Data`] where the file ends before; as [`Source::read`] for numbers that do not fit.
    pub fn open(
        file: &Arc<DataFile>,
        offset: u64,
        len: usize,
        written: Written,
        big_endian: bool,
    ) -> Result<Values> {
        let end = (len as u64).checked_mul(written.bytes() as u64).and_then(|n| n.checked_add(offset));
        if end.is_none_or(|end| end > file.bytes()) {
            let (has, name) = (file.bytes().saturating_sub(offset), written.name());
            let text = format!(
                "{len} numbers of type {name} are needed from here on, and the file has {has} bytes more, room for {}",
                has / written.bytes() as u64
            );
            return Err(file.fault(offset, text));
        }
        let values = FileValues { file: Arc::clone(file), offset, len, written, big_endian };
        let kind = values.kind();
        let bytes = len as u64 * kind.bytes() as u64;
        if bytes > SMALL {
            return Ok(Values::from_source(values));
        }
        let mut near = vec![0; bytes as usize];
        values.read(0, &mut near)?;
        Ok(match kind {
            Kind::F32 => Values::F32(bytemuck::pod_collect_to_vec(&near)),
            Kind::I32 => Values::I32(bytemuck::pod_collect_to_vec(&near)),
            kind => Values::Bytes(kind, near),
        })
    }
}

impl Source for FileValues {
    fn kind(&self) -> Kind {
        self.written.kind()
    }

    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Result<()> {
        let (size, wide) = (self.kind().bytes(), self.written.bytes());
        let offset = self.offset + (at * wide) as u64;
        let straighten = |bytes: &mut [u8]| {
            if self.big_endian && wide > 1 {
                bytes.chunks_exact_mut(wide).for_each(<[u8]>::reverse);
            }
        };
        if let Written::As(_) | Written::Bool = self.written {
            self.file.read(offset, into)?;
            straighten(into);
            return Ok(());
        }
        let mut bytes = vec![0; into.len() / size * wide];
        self.file.read(offset, &mut bytes)?;
        straighten(&mut bytes);
        let numbers = bytes.chunks_exact(wide).zip(into.chunks_exact_mut(size));
        for (i, (from, to)) in numbers.enumerate() {
            self.written.narrow(from, to).map_err(|number| {
                let text = format!("{number} does not fit into 32 bits, from {} to {}", i32::MIN, i32::MAX);
                self.file.fault(offset + (i * wide) as u64, text)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, Arc<DataFile>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers");
        std::fs::write(&path, bytes).unwrap();
        let file = DataFile::open(&path).unwrap();
        (dir, file)
    }

    #[test]
    fn numbers_are_narrowed_and_straightened() {
        let wide = [-5i64, 7, i64::from(i32::MAX)];
        let (_dir, big) = file(&wide.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>());
        let open = |written, len| FileValues::open(&big, 0, len, written, true);
        assert_eq!(open(Written::I64, 3).unwrap(), Values::I32(vec![-5, 7, i32::MAX]));
        let err = open(Written::U64, 3).unwrap_err().to_string();
        assert!(err.contains("byte 0: 18446744073709551611 does not fit"), "{err}");
        let err = open(Written::F64, 4).unwrap_err().to_string();
        assert!(err.contains("4 numbers of type f64") && err.contains("room for 3"), "{err}");
        let err = open(Written::I64, usize::MAX).unwrap_err().to_string();
        assert!(err.contains("room for 3"), "{err}");
        let (_dir, doubles) = file(&[0.1f64, 1e300].map(f64::to_le_bytes).concat());
        let doubles = FileValues::open(&doubles, 0, 2, Written::F64, false).unwrap();
        assert_eq!(doubles, Values::F32(vec![0.1, f32::INFINITY]));
        let (_dir, shorts) = file(&[1, 2, 3, 4, 5]);
        let shorts = FileValues::open(&shorts, 1, 2, Written::As(Kind::I16), true).unwrap();
        assert_eq!(shorts, Values::Bytes(Kind::I16, vec![3, 2, 5, 4]));
    }

    #[test]
    fn what_is_large_stays_in_the_file_and_a_file_that_shrinks_is_told() {
        let bytes: Vec<u8> = (0..SMALL as usize + 10).map(|i| (i * i % 251) as u8).collect();
        let (dir, open) = file(&bytes);
        let values = FileValues::open(&open, 10, SMALL as usize, Written::As(Kind::U8), false).unwrap();
        assert!(values.in_memory());
        let values = FileValues::open(&open, 4, SMALL as usize + 6, Written::As(Kind::U8), false).unwrap();
        assert!(!values.in_memory());
        let mut some = [0; 100];
        values.read(1000, &mut some).unwrap();
        assert_eq!(some, bytes[1004..1104]);
        let path = dir.path().join("numbers");
        let cut = File::options().write(true).open(&path).unwrap();
        cut.set_len(1050).unwrap();
        (&cut).flush().unwrap();
        let err = values.read(1000, &mut some).unwrap_err().to_string();
        for words in ["byte 1004", "up to 1104", "has 1050", "had 4194314 when it was opened", "cut short"] {
            assert!(err.contains(words), "{words}: {err}");
        }
        let err = open.take(0, usize::MAX).unwrap_err().to_string();
        assert!(err.contains("ends at byte 4194314"), "{err}");
        assert!(matches!(DataFile::open(dir.path()), Err(Error::Io { .. })));
    }
}
