//! ZIP, as far as NumPy writes it: stored members are read in place, and deflated members are unpacked.
//!
//! ```text
//! for each member   local header (0x04034b50), name, extra field, data
//! the directory     for each member: header (0x02014b50), name, extra field, comment
//! its place         zip64: 0x06064b50, and 0x07064b50 that says where; end of directory (0x06054b50)
//! ```
//!
//! Source: PKWARE, *APPNOTE.TXT*, 6.3.10, sections 4.3 and 4.5.3. All numbers are little-endian.

use std::io;
use std::sync::Arc;

use flate2::bufread::DeflateDecoder;
use flate2::{Crc, CrcReader};

use super::super::file::DataFile;
use super::super::spill::Spill;
use super::super::stream::Stream;
use super::gzip::wrong;
use crate::error::Result;

/// A file in the archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name.
    pub name: String,
    /// Its length in the archive, and its length unpacked.
    packed: u64,
    bytes: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
    /// The offset of its local header.
    header: u64,
    /// The offset of its entry in the directory, for errors.
    entry: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

const END: u64 = 22;
const END_MARK: u32 = 0x0605_4b50;
const COMMENT: u64 = 0xffff;
const ENTRY: usize = 46;
const LOCAL: u64 = 30;

/// Offset and length of the directory, and its count of members.
fn directory(file: &DataFile) -> Result<(u64, u64, u64)> {
    let size = file.bytes();
    let tail = size.min(END + COMMENT);
    let bytes = file.take(size - tail, tail as usize)?;
    let fits = |at: &usize| u32_at(&bytes, *at) == END_MARK;
    let Some(at) = (0..(bytes.len() + 1).saturating_sub(END as usize)).rev().find(fits) else {
        return Err(file.fault(size, "the file has no end of a ZIP directory; is it whole, and an .npz?"));
    };
    let end = size - tail + at as u64;
    let (count, length, place) = (u16_at(&bytes, at + 10), u32_at(&bytes, at + 12), u32_at(&bytes, at + 16));
    if count != u16::MAX && length != u32::MAX && place != u32::MAX {
        return Ok((place.into(), length.into(), count.into()));
    }
    let wrong = |at| file.fault(at, "the file has no end of a ZIP64 directory here");
    let locator = end.checked_sub(20).ok_or_else(|| wrong(end))?;
    let bytes = file.take(locator, 20)?;
    if u32_at(&bytes, 0) != 0x0706_4b50 {
        return Err(wrong(locator));
    }
    let end = u64_at(&bytes, 8);
    let bytes = file.take(end, 56)?;
    if u32_at(&bytes, 0) != 0x0606_4b50 {
        return Err(wrong(end));
    }
    Ok((u64_at(&bytes, 48), u64_at(&bytes, 40), u64_at(&bytes, 32)))
}

/// The members of an archive.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) with the place of what is wrong.
pub(super) fn members(file: &DataFile) -> Result<Vec<Member>> {
    let (place, length, count) = directory(file)?;
    let bytes = file.take(place, usize::try_from(length).unwrap_or(usize::MAX))?;
    let (mut members, mut at) = (Vec::new(), 0);
    for _ in 0..count {
        let entry = place + at as u64;
        let cut = || file.fault(entry, format!("the directory ends inside one of its {count} entries"));
        let head = bytes.get(at..at + ENTRY).ok_or_else(cut)?;
        if u32_at(head, 0) != 0x0201_4b50 {
            return Err(file.fault(entry, "no entry of a ZIP directory begins here"));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(head, at)));
        let rest = bytes.get(at + ENTRY..at + ENTRY + lengths.iter().sum::<usize>()).ok_or_else(cut)?;
        let (name, rest) = rest.split_at(lengths[0]);
        let sizes = [24, 20, 42].map(|at| u32_at(head, at));
        let [unpacked, packed, header] = wide(sizes, &rest[..lengths[1]])
            .ok_or_else(|| file.fault(entry, "the entry has no ZIP64 sizes, and says that it has"))?;
        members.push(Member {
            name: String::from_utf8_lossy(name).into_owned(),
            packed,
            bytes: unpacked,
            method: u16_at(head, 10),
            encrypted: u16_at(head, 8) & 1 == 1,
            crc: u32_at(head, 16),
            header,
            entry,
        });
        at += ENTRY + lengths.iter().sum::<usize>();
    }
    Ok(members)
}

/// Sizes and place of an entry; those that do not fit into 32 bits are in the extra field, in this order.
fn wide(narrow: [u32; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut field: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let (body, rest) = rest.split_at_checked(usize::from(u16_at(head, 2)))?;
        if u16_at(head, 0) == 1 {
            field = body;
        }
        extra = rest;
    }
    let mut out = narrow.map(u64::from);
    for (out, narrow) in out.iter_mut().zip(narrow) {
        if narrow == u32::MAX {
            let (number, rest) = field.split_at_checked(8)?;
            *out = u64_at(number, 0);
            field = rest;
        }
    }
    Some(out)
}

impl Member {
    /// The file that holds its bytes, and their range. A stored member lies in the archive itself. Its checksum is
    /// not checked, because that would read all of it.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) with the place where it is cut short, corrupt, or packed in a way that
    /// is not known.
    pub fn open(&self, file: &Arc<DataFile>) -> Result<(Arc<DataFile>, u64, u64)> {
        let name = &self.name;
        if self.encrypted {
            return Err(file.fault(self.entry, format!("{name} is encrypted; save it without a password")));
        }
        let head = file.take(self.header, LOCAL as usize)?;
        if u32_at(&head, 0) != 0x0403_4b50 {
            return Err(file.fault(self.header, format!("{name} does not begin here, as the directory says")));
        }
        let skip = LOCAL + u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        let begin = self.header + skip;
        let Some(end) = begin.checked_add(self.packed).filter(|end| *end <= file.bytes()) else {
            let (packed, has) = (self.packed, file.bytes());
            let text = format!("{name} has {packed} bytes from here on, and the file ends at byte {has}");
            return Err(file.fault(begin.min(has), text));
        };
        match self.method {
            0 if self.packed == self.bytes => Ok((Arc::clone(file), begin, end)),
            0 => {
                let (n, m) = (self.packed, self.bytes);
                Err(file.fault(self.entry, format!("{name} is stored in {n} bytes, and has {m}")))
            }
            8 => {
                let unpacked = self.inflate(file, begin, end)?;
                let bytes = unpacked.bytes();
                Ok((unpacked, 0, bytes))
            }
            other => Err(file.fault(
                self.entry,
                format!("{name} is packed by method {other}; np.savez and np.savez_compressed use 0 and 8"),
            )),
        }
    }

    fn inflate(&self, file: &Arc<DataFile>, begin: u64, end: u64) -> Result<Arc<DataFile>> {
        let name = &self.name;
        let spill = Spill::new(file.path(), format!("{name} unpacked"));
        let mut reader = CrcReader::new(DeflateDecoder::new(Stream::new(file, begin, end)));
        type Packed<'a> = CrcReader<DeflateDecoder<Stream<'a>>>;
        let unpacked = spill.fill(&mut reader, self.bytes, |reader: &Packed<'_>, n, err: &io::Error| {
            let place = reader.get_ref().get_ref().offset();
            file.fault(place, format!("{name}: {}", wrong(n, err)))
        })?;
        let sum: &Crc = reader.crc();
        if unpacked.bytes() != self.bytes || sum.sum() != self.crc {
            let (n, m) = (unpacked.bytes(), self.bytes);
            let text = format!(
                "{name} unpacks to {n} bytes of check sum {:08x}, and should to {m} of {:08x}; load or copy the file \
                 again",
                sum.sum(),
                self.crc
            );
            return Err(file.fault(self.entry, text));
        }
        Ok(unpacked)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;

    /// An archive of members, deflated or stored, without zip64.
    pub fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for &(name, bytes, deflated) in members {
            let mut crc = Crc::new();
            crc.update(bytes);
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).unwrap();
            let packed = if deflated { encoder.finish().unwrap() } else { bytes.to_vec() };
            let method = if deflated { 8u16 } else { 0 };
            let (version, none) = (20u16.to_le_bytes(), [0; 4]);
            let common = [
                &version[..],
                &[0; 2],
                &method.to_le_bytes(),
                &none,
                &crc.sum().to_le_bytes(),
                &(packed.len() as u32).to_le_bytes(),
                &(bytes.len() as u32).to_le_bytes(),
                &(name.len() as u16).to_le_bytes(),
                &[0; 2],
            ]
            .concat();
            let place = (out.len() as u32).to_le_bytes();
            directory
                .extend([b"PK\x01\x02", &version[..], &common, &[0; 10], &place, name.as_bytes()].concat());
            out.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
        }
        let (n, at) = ((members.len() as u16).to_le_bytes(), (out.len() as u32).to_le_bytes());
        let length = (directory.len() as u32).to_le_bytes();
        out.extend(directory);
        out.extend([b"PK\x05\x06", &[0; 4][..], &n, &n, &length, &at, &[0; 2]].concat());
        out
    }

    fn read(bytes: Vec<u8>, at: usize) -> Result<Vec<u8>> {
        let file = DataFile::memory("f.npz", bytes);
        let (inner, begin, end) = members(&file)?[at].open(&file)?;
        inner.take(begin, (end - begin) as usize)
    }

    #[test]
    fn stored_and_deflated_members_are_read() {
        let whole = archive(&[("a", b"stored", false), ("b", b"deflated deflated deflated", true)]);
        assert_eq!(read(whole.clone(), 0).unwrap(), b"stored");
        assert_eq!(read(whole.clone(), 1).unwrap(), b"deflated deflated deflated");
        // A comment behind the end.
        let mut commented = [&whole[..], b"PK words"].concat();
        let n = whole.len();
        commented[n - 2] = 8;
        assert_eq!(read(commented, 0).unwrap(), b"stored");
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let whole = archive(&[("a", b"stored", false), ("b", b"deflated deflated deflated", true)]);
        let n = whole.len();
        // Directory entries of 47 bytes each, and the end of 22.
        let entry = n - 22 - 47;
        let told = |change: &[(usize, u8)], at: usize, words: &str| {
            let mut bytes = whole.clone();
            change.iter().for_each(|&(at, to)| bytes[at] = to);
            let err = read(bytes, at).unwrap_err().to_string();
            assert!(err.starts_with("f.npz, ") && err.contains(words), "{words}: {err}");
        };
        told(&[(n - 22, 0)], 0, "no end of a ZIP directory");
        told(&[(n - 10, 255)], 0, "the file ends at byte");
        told(&[(entry, 0)], 0, "no entry");
        told(&[(n - 12, 3)], 0, "ends inside one of its");
        told(&[(entry + 8, 1)], 1, "b is encrypted");
        told(&[(entry + 10, 14)], 1, "packed by method 14");
        told(&[(entry + 16, whole[entry + 16] ^ 1)], 1, "check sum");
        told(&[(entry + 24, 25)], 1, "byte 25: the data go on");
        told(&[(entry + 24, 27)], 1, "unpacks to 26 bytes");
        told(&[(entry + 20, 4)], 1, "the compressed data end before");
        told(&[(entry + 22, 255)], 1, "and the file ends at byte");
        told(&[(entry + 42, 1)], 1, "byte 1: b does not begin here");
        told(&[(entry - 47 + 24, 5)], 0, "a is stored in 6 bytes, and has 5");
        let all = [24, 25, 26, 27].map(|at| (entry + at, 255));
        told(&all, 1, "no ZIP64 sizes");
        told(&[(n - 12, 255), (n - 11, 255)], 0, "no end of a ZIP64 directory");
        assert!(read(Vec::new(), 0).is_err());
    }

    #[test]
    fn sizes_past_32_bits_are_in_the_extra_field() {
        let all = u32::MAX;
        let field =
            [&[9, 9, 1, 0, 7, 1, 0, 16, 0][..], &5u64.to_le_bytes(), &(1u64 << 40).to_le_bytes()].concat();
        assert_eq!(wide([all, 3, all], &field), Some([5, 3, 1 << 40]));
        assert_eq!(wide([1, 2, 3], &[]), Some([1, 2, 3]));
        assert_eq!(wide([all, all, all], &field), None);
        assert_eq!(wide([1, 2, 3], &[1, 0, 9, 0]), None);
    }
}
