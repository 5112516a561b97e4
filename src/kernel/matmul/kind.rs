//! Kinds of products, each of which has one tile: sizes, layouts, row sums.

use std::fmt;
use std::str::FromStr;

use super::block::Layout;
use super::choice::Sizes;

/// A kind of product of `matmul_block`. All products of a kind have the same tile.
///
/// As text: sizes, layouts of A and B, what comes with it, such as `128x64x784 NT`, `12x64x64x16 NN` (a batch of 12), or
/// `64x784x128 T1N row sums`. The letters are those of BLAS: N where an operand lies in rows (A along K, B along N), T where
/// it is transposed. A 1 after a letter says that the operand is loaded number by number, not in fours. `f16` says that an
/// operand lies in memory as f16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductKind {
    /// The sizes.
    pub sizes: Sizes,
    /// How A lies in memory.
    pub a: Layout,
    /// How B lies in memory.
    pub b: Layout,
    /// The kernel also sums the rows of A.
    pub row_sum: bool,
    /// An operand lies in memory as f16.
    pub half: bool,
}

/// The word of a kernel that also sums rows.
const ROW_SUMS: &str = "row sums";
/// The word of operands in f16.
const HALF: &str = "f16";

impl ProductKind {
    /// True where A, and where B, lies along K.
    fn along_k(self) -> [bool; 2] {
        [self.a.along_k, self.b.along_k]
    }
}

impl fmt::Display for ProductKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes { batch, m, n, k } = self.sizes;
        if batch > 1 {
            write!(f, "{batch}x")?;
        }
        let [a, b] = self.along_k();
        let letter = |is_plain: bool| if is_plain { "N" } else { "T" };
        let by = |layout: Layout| if layout.fours { "" } else { "1" };
        write!(f, "{m}x{n}x{k} {}{}{}{}", letter(a), by(self.a), letter(!b), by(self.b))?;
        if self.row_sum {
            write!(f, " {ROW_SUMS}")?;
        }
        if self.half { write!(f, " {HALF}") } else { Ok(()) }
    }
}

/// The layouts of A and B from letters such as `NT` or `T1N`.
fn layouts(text: &str) -> Option<[Layout; 2]> {
    let operand = |text: &mut &str, is_b: bool| {
        let is_plain = match text.chars().next()? {
            'N' => true,
            'T' => false,
            _ => return None,
        };
        *text = &text[1..];
        let rest = text.strip_prefix('1');
        *text = rest.unwrap_or(text);
        Some(Layout { along_k: is_plain != is_b, fours: rest.is_none(), mapped: false })
    };
    let mut rest = text;
    let both = [operand(&mut rest, false)?, operand(&mut rest, true)?];
    rest.is_empty().then_some(both)
}

/// Sizes such as `128x64x784`, or `12x64x64x16` with a batch.
fn sizes(text: &str) -> Option<Sizes> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok().filter(|n| *n > 0)).collect();
    let [batch, m, n, k] = match numbers?[..] {
        [m, n, k] => [1, m, n, k],
        [batch, m, n, k] => [batch, m, n, k],
        _ => return None,
    };
    // Larger ones have no plan, and their work is no number of 64 bits.
    let work = [batch, m, n, k].iter().try_fold(1_u64, |work, n| work.checked_mul(*n as u64))?;
    (work <= MOST_WORK).then_some(Sizes { batch, m, n, k })
}

/// The most multiply-adds of a product.
const MOST_WORK: u64 = 1 << 52;

impl FromStr for ProductKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let mut words = text.splitn(3, ' ');
            let sizes = sizes(words.next()?)?;
            let [a, b] = layouts(words.next()?)?;
            let more = words.next().unwrap_or_default();
            let row_sum = more.starts_with(ROW_SUMS);
            let kind = ProductKind { sizes, a, b, row_sum, half: more.ends_with(HALF) };
            // One text for each kind, so that a kind is named once.
            (kind.to_string() == text).then_some(kind)
        };
        read().ok_or_else(|| {
            format!(
                "\"{text}\" is no product; sizes and layouts are needed, as \"128x64x784 NT\" or \"64x784x128 TN {ROW_SUMS}\""
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOURS: Layout = Layout { along_k: true, fours: true, mapped: false };

    #[test]
    fn texts_read_back() {
        let sizes = Sizes { batch: 1, m: 128, n: 64, k: 784 };
        let kind = ProductKind { sizes, a: FOURS, b: FOURS, row_sum: false, half: false };
        let lines = Layout { along_k: false, ..FOURS };
        let cases = [
            (kind, "128x64x784 NT"),
            (ProductKind { b: lines, ..kind }, "128x64x784 NN"),
            (ProductKind { a: lines, b: lines, row_sum: true, ..kind }, "128x64x784 TN row sums"),
            (ProductKind { a: Layout { fours: false, ..lines }, half: true, ..kind }, "128x64x784 T1T f16"),
            (
                ProductKind {
                    sizes: Sizes { batch: 12, ..sizes },
                    b: Layout { fours: false, ..FOURS },
                    row_sum: true,
                    half: true,
                    ..kind
                },
                "12x128x64x784 NT1 row sums f16",
            ),
        ];
        for (kind, text) in cases {
            assert_eq!(kind.to_string(), text);
            assert_eq!(text.parse(), Ok(kind));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "128x64x784",
            "128x64 NT",
            "16x16x18446744073709551615 NT",
            "10000000x10000000x1000000000000 NT",
            "128x64x0 NT",
            "1x128x64x784 NT",
            "0128x64x784 NT",
            "1x2x3x4x5 NT",
            "128x64x784 NX",
            "128x64x784 N",
            "128x64x784 NT1T",
            "128x64x784 NT f16 row sums",
            "128x64x784 NT row",
            "128x64x784  NT",
        ] {
            let err = text.parse::<ProductKind>().unwrap_err();
            assert!(err.contains(&format!("\"{text}\"")) && err.contains("128x64x784 NT"), "{err}");
        }
    }
}
