//! The framing of a TFRecord: length, its checksum, data, their checksum; everything little-endian.
//!
//! Source: `tensorflow/core/lib/io/record_writer.h`.

/// A record of `data`.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The CRC32C, turned and shifted so that the checksum of data which hold their own checksum is none of the easy ones.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}
