//! The description at the head of a packed data set.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::data::{Encoding, Kind, Scale};

pub(in crate::data) const MAGIC: [u8; 8] = *b"\x89DHD\r\n\x1a\n";
pub(super) const VERSION: u32 = 1;
/// Bytes before the description.
pub(super) const PREFIX: usize = 40;
/// Bytes of the head that the checksum covers.
pub(super) const SUMMED: usize = 32;
/// Arrays begin at multiples of it.
pub(super) const ALIGN: u64 = 4096;
/// Bytes that are read at once.
pub(super) const BLOCK: usize = 4 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub name: String,
    pub classes: Option<usize>,
    pub encoding: Option<Encoding>,
    pub arrays: Vec<Array>,
    pub train: Vec<FieldDescription>,
    pub eval: Option<Vec<FieldDescription>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Array {
    pub kind: String,
    pub numbers: u64,
    pub offset: u64,
    pub xxh3: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldDescription {
    pub name: String,
    pub role: Role,
    pub shape: Vec<usize>,
    pub scale: Option<Scale>,
    pub array: usize,
    pub first: usize,
    pub hop: usize,
    pub samples: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Input,
    Target,
}

impl Array {
    pub fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == self.kind)
    }
}

/// The checksum as the description has it.
pub(super) fn digest(hash: &Xxh3) -> String {
    format!("{:016x}", hash.digest())
}
