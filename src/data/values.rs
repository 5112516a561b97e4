//! Numbers that samples are made of: in memory, in a file, or from a custom source.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::Result;

/// The type of a number as it is stored, and as it travels to the device. There it becomes f32 or i32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A byte.
    U8,
    /// A signed byte.
    I8,
    /// 16 bits, unsigned.
    U16,
    /// 16 bits.
    I16,
    /// 32 bits.
    I32,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [Kind::U8, Kind::I8, Kind::U16, Kind::I16, Kind::I32, Kind::F16, Kind::F32];

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 | Kind::F16 => 2,
            Kind::I32 | Kind::F32 => 4,
        }
    }

    /// True for floats.
    pub fn is_float(self) -> bool {
        matches!(self, Kind::F16 | Kind::F32)
    }

    /// As in `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::U8 => "u8",
            Kind::I8 => "i8",
            Kind::U16 => "u16",
            Kind::I16 => "i16",
            Kind::I32 => "i32",
            Kind::F16 => "f16",
            Kind::F32 => "f32",
        }
    }

    /// The first number of little-endian bytes of this kind, exactly.
    ///
    /// # Panics
    /// If there are fewer bytes than a number has.
    pub fn number(self, bytes: &[u8]) -> f64 {
        match self {
            Kind::U8 => bytes[0].into(),
            Kind::I8 => (bytes[0] as i8).into(),
            Kind::U16 => u16::from_le_bytes([bytes[0], bytes[1]]).into(),
            Kind::I16 => i16::from_le_bytes([bytes[0], bytes[1]]).into(),
            Kind::I32 => i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
            Kind::F16 => half(u16::from_le_bytes([bytes[0], bytes[1]])),
            Kind::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
        }
    }
}

/// The value of half-precision bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(e - 25),
    }
}

/// Numbers that are not in memory: in a file, or made when they are read.
///
/// To add a source, implement this trait and give it to [`Field::new`](super::Field::new). It has numbers of one
/// kind, counted from 0; a sample takes as many as its shape has. The engine reads whole samples, in any order and
/// from several threads at once, and expects the same numbers each time.
///
/// ```
/// use downhill::data::{Dataset, Field, Kind, Part, Source, Values};
/// use downhill::error::Error;
///
/// /// Sample i is the square of the numbers i to i + 3.
/// #[derive(Debug)]
/// struct Squares;
/// impl Source for Squares {
///     fn kind(&self) -> Kind { Kind::F32 }
///     fn len(&self) -> usize { 4 * 1_000_000 }
///     fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Error> {
///         for (i, number) in into.chunks_exact_mut(4).enumerate() {
///             let of = (at + i) / 4 + (at + i) % 4;
///             number.copy_from_slice(&((of * of) as f32).to_le_bytes());
///         }
///         Ok(())
///     }
/// }
/// let field = Field::new([4], Values::from_source(Squares))?;
/// assert_eq!(field.sample(3)?, [9.0, 16.0, 25.0, 36.0]);
/// let data = Dataset::new("squares", Part::builder().input("x", field).build()?, None, None)?;
/// assert_eq!(data.train().len(), 1_000_000);
/// # Ok::<(), Error>(())
/// ```
pub trait Source: Debug + Send + Sync {
    /// The kind of its numbers.
    fn kind(&self) -> Kind;

    /// The count of numbers.
    fn len(&self) -> usize;

    /// True where there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` with the numbers from `at` on, as little-endian bytes of the kind. Never asked for more than
    /// [`Source::len`] says there are.
    ///
    /// # Errors
    /// An error of the source, with its place.
    fn read(&self, at: usize, into: &mut [u8]) -> Result<()>;

    /// A number that follows from all of the source's numbers, where computing it is cheaper than reading them.
    /// [`Dataset::fingerprint`](super::Dataset::fingerprint) uses it.
    fn contents(&self) -> Option<Result<u64>> {
        None
    }
}

/// Numbers of one kind. Cheap to clone where they lie in a source.
#[derive(Debug, Clone)]
pub enum Values {
    /// Floats in memory; NaN and infinities are the caller's business.
    F32(Vec<f32>),
    /// Integers in memory: labels or indices.
    I32(Vec<i32>),
    /// Numbers of another kind in memory, as little-endian bytes.
    Bytes(Kind, Vec<u8>),
    /// Numbers elsewhere.
    Elsewhere(Arc<dyn Source>),
}

impl Values {
    /// The numbers of a source.
    pub fn from_source(source: impl Source + 'static) -> Values {
        Values::Elsewhere(Arc::new(source))
    }

    /// The kind of the numbers.
    pub fn kind(&self) -> Kind {
        match self {
            Values::F32(_) => Kind::F32,
            Values::I32(_) => Kind::I32,
            Values::Bytes(kind, _) => *kind,
            Values::Elsewhere(source) => source.kind(),
        }
    }

    /// The count of numbers.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::Bytes(kind, v) => v.len() / kind.bytes(),
            Values::Elsewhere(source) => source.len(),
        }
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that they take on the device.
    pub fn bytes(&self) -> u64 {
        self.len() as u64 * self.kind().bytes() as u64
    }

    /// True where they lie in memory.
    pub fn in_memory(&self) -> bool {
        !matches!(self, Values::Elsewhere(_))
    }

    /// Fills `into` with the numbers from `at` on, as little-endian bytes.
    ///
    /// # Errors
    /// As [`Source::read`].
    ///
    /// # Panics
    /// If they pass the end.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result<()> {
        let size = self.kind().bytes();
        let from = at * size..at * size + into.len();
        match self {
            Values::F32(v) => into.copy_from_slice(&bytemuck::cast_slice(v)[from]),
            Values::I32(v) => into.copy_from_slice(&bytemuck::cast_slice(v)[from]),
            Values::Bytes(_, v) => into.copy_from_slice(&v[from]),
            Values::Elsewhere(source) => {
                assert!(at + into.len() / size <= source.len(), "numbers past the end of {source:?}");
                source.read(at, into)?;
            }
        }
        Ok(())
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Values::F32(a), Values::F32(b)) => a == b,
            (Values::I32(a), Values::I32(b)) => a == b,
            (Values::Bytes(a, x), Values::Bytes(b, y)) => a == b && x == y,
            (Values::Elsewhere(a), Values::Elsewhere(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Values::F32(values)
    }
}

impl From<Vec<i32>> for Values {
    fn from(values: Vec<i32>) -> Self {
        Values::I32(values)
    }
}

impl From<Vec<u8>> for Values {
    fn from(values: Vec<u8>) -> Self {
        Values::Bytes(Kind::U8, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_numbers() {
        let read = |kind: Kind, bytes: &[u8]| kind.number(bytes);
        assert_eq!(read(Kind::U8, &[200]), 200.0);
        assert_eq!(read(Kind::I8, &[200]), -56.0);
        assert_eq!(read(Kind::U16, &[1, 255]), 65281.0);
        assert_eq!(read(Kind::I16, &[1, 255]), -255.0);
        assert_eq!(read(Kind::I32, &(-7i32).to_le_bytes()), -7.0);
        assert_eq!(read(Kind::F32, &0.1f32.to_le_bytes()), f64::from(0.1f32));
        // 1, the largest, the smallest normal, the smallest, -2, minus nothing.
        for (bits, value) in [
            (0x3c00u16, 1.0),
            (0x7bff, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0xc000, -2.0),
            (0x8000, 0.0),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(read(Kind::F16, &bits.to_le_bytes()), value, "{bits:04x}");
        }
        assert!(read(Kind::F16, &0x7e00u16.to_le_bytes()).is_nan());
    }

    #[test]
    fn values_are_read_from_any_place() {
        let mut two = [0; 2];
        Values::from(vec![1u8, 2, 3]).read(1, &mut two).unwrap();
        assert_eq!(two, [2, 3]);
        let shorts = Values::Bytes(Kind::I16, vec![1, 0, 2, 0, 3, 0]);
        shorts.read(2, &mut two).unwrap();
        assert_eq!((two, shorts.len(), shorts.bytes()), ([3, 0], 3, 6));
        let mut four = [0; 4];
        Values::from(vec![5, 6]).read(1, &mut four).unwrap();
        assert_eq!(four, 6i32.to_le_bytes());
    }
}
