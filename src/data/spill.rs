//! Unpacked bytes: in memory while they are few, then in a temporary file without a name.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{Body, DataFile};
use crate::error::{Error, Result};

/// Bytes that are kept in memory.
const IN_MEMORY: usize = 64 << 20;

/// Takes bytes in order, and becomes a [`DataFile`] that gives them in any.
///
/// ```
/// use std::io::Write;
/// use downhill::data::Spill;
/// let mut spill = Spill::new("words.gz".as_ref(), "unpacked");
/// spill.write_all(b"some words").unwrap();
/// let file = spill.finish()?;
/// assert_eq!(file.take(5, 5)?, b"words");
/// # Ok::<(), downhill::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Spill {
    path: PathBuf,
    inside: String,
    in_memory: usize,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl Spill {
    /// An empty spill. `path` is the file that is unpacked, and `inside` names the part of it, for errors.
    pub fn new(path: &Path, inside: impl Into<String>) -> Spill {
        let (path, inside) = (path.to_owned(), inside.into());
        Spill { path, inside, in_memory: IN_MEMORY, memory: Vec::new(), file: None, bytes: 0 }
    }

    /// The bytes written.
    ///
    /// # Errors
    /// [`Error::Io`] where the temporary file cannot be written.
    pub fn finish(mut self) -> Result<Arc<DataFile>> {
        let body = match self.file.take() {
            Some(file) => Body::File(file.into_inner().map_err(|err| self.fault(err.error()))?),
            None => {
                self.memory.shrink_to_fit();
                Body::Memory(Cow::Owned(self.memory))
            }
        };
        Ok(DataFile::unpacked(&self.path, self.inside, body, self.bytes))
    }

    /// Reads all of `from`, at most `most` bytes. `wrong` words an error of `from`, with the count so far.
    ///
    /// # Errors
    /// The error of `from`, converted by `wrong`; [`Error::Data`] where there are more bytes; as [`Spill::finish`].
    pub(super) fn fill<R: Read>(
        mut self,
        from: &mut R,
        most: u64,
        wrong: impl Fn(&R, u64, &io::Error) -> Error,
    ) -> Result<Arc<DataFile>> {
        let mut block = vec![0; 1 << 16];
        loop {
            let n = match from.read(&mut block) {
                Ok(0) => return self.finish(),
                Ok(n) => n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(wrong(from, self.bytes, &err)),
            };
            if self.bytes + n as u64 > most {
                let (path, inside) = (self.path.display(), &self.inside);
                return Err(Error::Data(format!(
                    "{path}, {inside}, byte {most}: the data go on, and a header says that they end here"
                )));
            }
            self.write_all(&block[..n]).map_err(|err| self.fault(&err))?;
        }
    }

    fn fault(&self, err: &io::Error) -> Error {
        let folder = std::env::temp_dir();
        let text = format!("{err}; it goes into a temporary file in {}", folder.display());
        Error::Io { action: "cannot unpack", path: self.path.clone(), message: text }
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A page has no files, and all stays in memory there.
        #[cfg(not(target_arch = "wasm32"))]
        if self.file.is_none() && self.memory.len() + bytes.len() > self.in_memory {
            let mut file = BufWriter::new(tempfile::tempfile()?);
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        let n = match &mut self.file {
            Some(file) => file.write(bytes)?,
            None => self.memory.write(bytes)?,
        };
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_give_the_same() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        for in_memory in [0, 1, 10, 999, 1000, 5000] {
            let mut spill = Spill { in_memory, ..Spill::new(Path::new("f"), "unpacked") };
            for part in bytes.chunks(7) {
                spill.write_all(part).unwrap();
            }
            assert_eq!(spill.file.is_some(), in_memory < 1000);
            assert!(spill.memory.len() <= in_memory);
            let file = spill.finish().unwrap();
            assert_eq!((file.bytes(), file.take(0, 1000).unwrap()), (1000, bytes.clone()));
            assert_eq!(file.take(990, 10).unwrap(), bytes[990..]);
            let err = file.take(990, 11).unwrap_err().to_string();
            assert!(err.starts_with("f, unpacked, byte 990"), "{err}");
            let err = file.read(995, &mut [0; 6]).unwrap_err().to_string();
            assert!(err.contains("up to 1001") && err.contains("has 1000"), "{err}");
        }
    }
}
