//! A file of bytes that only this program, and only for the same key, reads again: compiled kernels of a driver.
//!
//! A driver trusts the bytes that it is given. So the file has a digest of the key and of the bytes, and a file whose digest
//! is another is no file at all: a torn, shortened or lengthened one, one of another driver, another version or another
//! program. The digest finds accidents, not attacks: whoever can write to the user's folder can do worse. Folders that are
//! made are for the user alone.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::atomic_file::write_whole;
use crate::error::{Error, Result};
use crate::regular_file::read_regular;

/// The beginning of every file.
const MAGIC: [u8; 8] = *b"DHKERNEL";
/// Magic and digest.
const HEADER: usize = 24;
/// The largest file. Kernels of earlier models add up in it; past this it begins anew.
const LIMIT: usize = 64 << 20;

/// A file and the key of its bytes.
#[derive(Debug)]
pub(super) struct CacheFile {
    path: PathBuf,
    key: String,
    limit: usize,
    /// The digest of the bytes that were read or written last.
    seen: Option<u128>,
}

impl CacheFile {
    /// The file at `path` for bytes of `key`. It need not be there.
    pub fn new(path: PathBuf, key: String) -> CacheFile {
        CacheFile { path, key, limit: LIMIT, seen: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes, where it is there and was written for this key.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let (digest, data) = self.load()?;
        self.seen = Some(digest);
        Some(data)
    }

    /// Replaces its bytes, and returns true. Where another process writes it just now, or has written more since this one
    /// read it, it stays, and the answer is false. Bytes past the limit remove it.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be made or written to.
    pub fn write(&mut self, data: &[u8]) -> Result<bool> {
        if HEADER + data.len() > self.limit {
            let removed = fs::remove_file(&self.path);
            self.seen = None;
            let path = &self.path;
            return removed.map(|()| false).map_err(|err| Error::io("cannot remove", path, &err));
        }
        let Some(_lock) = self.lock()? else { return Ok(false) };
        if let Some((digest, there)) = self.load()
            && self.seen != Some(digest)
            && there.len() >= data.len()
        {
            return Ok(false);
        }
        let digest = self.digest(data);
        let header = [MAGIC.as_slice(), &digest.to_le_bytes()].concat();
        write_whole(&self.path, &[&header, data].concat())?;
        self.seen = Some(digest);
        Ok(true)
    }

    fn load(&self) -> Option<(u128, Vec<u8>)> {
        let is_small = fs::metadata(&self.path).is_ok_and(|meta| meta.len() <= self.limit as u64);
        let mut bytes = is_small.then(|| read_regular(&self.path).ok()).flatten()?;
        let digest = u128::from_le_bytes(bytes.get(MAGIC.len()..HEADER)?.try_into().ok()?);
        let is_ours = bytes.starts_with(&MAGIC) && self.digest(&bytes[HEADER..]) == digest;
        is_ours.then(|| (digest, bytes.split_off(HEADER)))
    }

    fn digest(&self, data: &[u8]) -> u128 {
        let mut digest = Xxh3::new();
        digest.update(&(self.key.len() as u64).to_le_bytes());
        digest.update(self.key.as_bytes());
        digest.update(data);
        digest.digest128()
    }

    /// The right to write the file until it is dropped; `None` where another process has it.
    fn lock(&self) -> Result<Option<File>> {
        let path = self.path.with_added_extension("lock");
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|err| Error::io("cannot make", folder, &err))?;
        let open = File::options().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|err| Error::io("cannot write", &path, &err))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(err)) => Err(Error::io("cannot lock", &path, &err)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, key: &str) -> CacheFile {
        CacheFile::new(dir.join("sub/kernels.bin"), key.into())
    }

    #[test]
    fn bytes_come_back_for_their_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = file(dir.path(), "driver 1");
        assert_eq!(ours.read(), None);
        assert!(ours.write(b"kernels").unwrap());
        assert_eq!(file(dir.path(), "driver 1").read().unwrap(), b"kernels");
        for key in ["driver 2", "driver 1k", "driver "] {
            assert_eq!(file(dir.path(), key).read(), None, "{key}");
        }
        // A file of another key is replaced, also by fewer bytes.
        assert!(file(dir.path(), "driver 2").write(b"new").unwrap());
        assert_eq!(file(dir.path(), "driver 2").read().unwrap(), b"new");
        assert_eq!(ours.read(), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("sub")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }

    #[test]
    fn a_file_with_any_other_byte_or_length_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = file(dir.path(), "key");
        ours.write(&[7; 40]).unwrap();
        let whole = fs::read(ours.path()).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(ours.path(), &other).unwrap();
            assert_eq!(ours.read(), None, "byte {at}");
            fs::write(ours.path(), &whole[..at]).unwrap();
            assert_eq!(ours.read(), None, "the first {at} bytes");
        }
        fs::write(ours.path(), [whole.as_slice(), &[7]].concat()).unwrap();
        assert_eq!(ours.read(), None);
        fs::write(ours.path(), &whole).unwrap();
        assert_eq!(ours.read().unwrap(), [7; 40]);
        // Something else in its place is no error, and is not opened.
        fs::remove_file(ours.path()).unwrap();
        fs::create_dir(ours.path()).unwrap();
        assert_eq!(ours.read(), None);
        assert!(ours.write(b"x").is_err());
    }

    #[test]
    fn what_another_process_wrote_since_stays_if_it_is_more() {
        let dir = tempfile::tempdir().unwrap();
        let [mut a, mut b] = ["key"; 2].map(|key| file(dir.path(), key));
        assert!(a.write(b"four").unwrap());
        // b has not seen it, and has less, as much, then more.
        assert!(!b.write(b"few").unwrap());
        assert!(!b.write(b"same").unwrap());
        assert_eq!(a.read().unwrap(), b"four");
        assert!(b.write(b"more than four").unwrap());
        // a has seen only its own.
        assert!(!a.write(b"12345").unwrap());
        assert_eq!(a.read().unwrap(), b"more than four");
        // Now a knows what is there and may replace it by less.
        assert!(a.write(b"12345").unwrap());
        assert_eq!(b.read().unwrap(), b"12345");
    }

    #[test]
    fn a_writer_does_not_wait_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let [mut a, b] = ["key"; 2].map(|key| file(dir.path(), key));
        let lock = b.lock().unwrap().unwrap();
        assert!(!a.write(b"kernels").unwrap());
        assert_eq!(a.read(), None);
        drop(lock);
        assert!(a.write(b"kernels").unwrap());
    }

    #[test]
    fn an_oversized_file_is_none_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = CacheFile { limit: 1000, ..file(dir.path(), "key") };
        let most = vec![1; 1000 - HEADER];
        assert!(ours.write(&most).unwrap());
        assert_eq!(ours.read().unwrap().len(), most.len());
        let one_more = vec![1; 1000 - HEADER + 1];
        assert!(!ours.write(&one_more).unwrap());
        assert!(!ours.path().exists());
        // Right but for its length.
        let digest = ours.digest(&one_more).to_le_bytes();
        fs::write(ours.path(), [MAGIC.as_slice(), &digest, &one_more].concat()).unwrap();
        assert_eq!(ours.read(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("sub"), "a file").unwrap();
        let err = file(dir.path(), "key").write(b"x").unwrap_err().to_string();
        assert!(err.contains("sub"), "{err}");
    }
}
