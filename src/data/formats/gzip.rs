//! gzip, RFC 1952: unpacked once, in order, and read like any file from then on.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::super::file::DataFile;
use super::super::spill::Spill;
use super::super::stream::Stream;
use crate::error::{Error, Result};

/// The name of the unpacked bytes in errors.
const INSIDE: &str = "unpacked";

/// True where the file begins as gzip does.
pub(super) fn is_packed(file: &DataFile) -> Result<bool> {
    Ok(file.bytes() >= 2 && file.take(0, 2)? == [0x1f, 0x8b])
}

fn decoder(file: &DataFile) -> MultiGzDecoder<Stream<'_>> {
    MultiGzDecoder::new(Stream::new(file, 0, file.bytes()))
}

/// Explains an error of compressed data after `unpacked` bytes.
pub(super) fn wrong(unpacked: u64, err: &io::Error) -> String {
    let what = match err.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed data end before their end mark".to_owned(),
        _ => err.to_string(),
    };
    format!("{what}, after {unpacked} unpacked bytes; load or copy the file again")
}

fn fault(file: &DataFile, decoder: &MultiGzDecoder<Stream<'_>>, unpacked: u64, err: &io::Error) -> Error {
    file.fault(decoder.get_ref().offset(), wrong(unpacked, err))
}

/// The first `most` bytes that it unpacks to, or all where there are fewer.
///
/// # Errors
/// As [`unpack`], of these bytes.
pub(super) fn start(file: &DataFile, most: u64) -> Result<Arc<DataFile>> {
    let mut bytes = Vec::new();
    let mut decoder = decoder(file);
    if let Err(err) = decoder.by_ref().take(most).read_to_end(&mut bytes) {
        return Err(fault(file, &decoder, bytes.len() as u64, &err));
    }
    let mut spill = Spill::new(file.path(), INSIDE);
    io::Write::write_all(&mut spill, &bytes).map_err(|err| Error::io("cannot unpack", file.path(), &err))?;
    spill.finish()
}

/// Unpacks the file to at most `most` bytes.
///
/// # Errors
/// [`Error::Data`] with the place where it is cut short, corrupt, or goes on; [`Error::Io`].
pub(super) fn unpack(file: &DataFile, most: u64) -> Result<Arc<DataFile>> {
    let spill = Spill::new(file.path(), INSIDE);
    spill.fill(&mut decoder(file), most, |decoder, n, err| fault(file, decoder, n, err))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    pub fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn several_members_are_one_file() {
        let packed = [pack(b"one and "), pack(b"two")].concat();
        let file = DataFile::memory("f.gz", packed);
        assert!(is_packed(&file).unwrap());
        let unpacked = unpack(&file, 11).unwrap();
        assert_eq!(unpacked.take(0, 11).unwrap(), b"one and two");
        assert_eq!(start(&file, 3).unwrap().take(0, 3).unwrap(), b"one");
        assert_eq!(start(&file, 300).unwrap().bytes(), 11);
    }

    #[test]
    fn what_goes_on_is_cut_off() {
        // A hundred MiB of zeros in a hundred KiB: nothing past the end that was said is kept.
        let file = DataFile::memory("bomb.gz", pack(&vec![0; 100 << 20]));
        assert!(file.bytes() < 200_000);
        let err = unpack(&file, 1000).unwrap_err().to_string();
        assert!(err.starts_with("bomb.gz, unpacked, byte 1000: the data go on"), "{err}");
    }

    proptest! {
        #[test]
        fn cut_or_changed_bytes_are_told(
            bytes in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, to in 1u8..,
        ) {
            let whole = pack(&bytes);
            let cut = at.index(whole.len());
            let err = unpack(&DataFile::memory("f.gz", whole[..cut].to_vec()), 1000);
            if cut > 0 {
                let err = err.unwrap_err().to_string();
                prop_assert!(err.contains("f.gz, byte ") && err.contains("unpacked bytes"), "{}", err);
            }
            // The header has bytes that say nothing of the data: time, system, flags.
            let mut changed = whole.clone();
            let at = 10 + at.index(whole.len() - 10);
            changed[at] ^= to;
            // Some bits say nothing, as those that pad the last byte, or codes that no symbol has.
            if let Ok(file) = unpack(&DataFile::memory("f.gz", changed), 1000) {
                prop_assert_eq!(file.take(0, bytes.len()).unwrap(), bytes);
            }
        }
    }
}
