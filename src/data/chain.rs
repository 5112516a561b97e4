//! Several files of numbers as one sequence.

use super::values::{Kind, Source, Values};
use crate::error::{Error, Result};

/// Values one after the other, all of one kind.
#[derive(Debug)]
pub struct Chain {
    links: Vec<Values>,
    /// The end of each link.
    ends: Vec<usize>,
    kind: Kind,
}

impl Chain {
    /// The links as one sequence.
    ///
    /// ```
    /// use downhill::data::{Chain, Values};
    /// let whole = Values::from_source(Chain::new(vec![vec![1u8, 2].into(), vec![3u8].into()])?);
    /// let mut two = [0; 2];
    /// whole.read(1, &mut two)?;
    /// assert_eq!((whole.len(), two), (3, [2, 3]));
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] without a link, or where their kinds differ.
    pub fn new(links: Vec<Values>) -> Result<Chain> {
        let Some(kind) = links.first().map(Values::kind) else {
            return Err(Error::Data("a chain needs at least one link".into()));
        };
        if let Some(other) = links.iter().map(Values::kind).find(|other| *other != kind) {
            let (kind, other) = (kind.name(), other.name());
            return Err(Error::Data(format!("{kind} and {other} cannot be one sequence")));
        }
        let mut end = 0;
        let ends = links.iter().map(|link| {
            end += link.len();
            end
        });
        Ok(Chain { ends: ends.collect(), kind, links })
    }
}

impl Source for Chain {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn read(&self, mut at: usize, mut into: &mut [u8]) -> Result<()> {
        let size = self.kind.bytes();
        let first = self.ends.partition_point(|&end| end <= at);
        for (link, end) in self.links.iter().zip(&self.ends).skip(first) {
            if into.is_empty() {
                break;
            }
            let n = (end - at).min(into.len() / size);
            let (now, rest) = into.split_at_mut(n * size);
            link.read(link.len() - (end - at), now)?;
            (at, into) = (at + n, rest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chain_reads_as_its_links_side_by_side(
            links in prop::collection::vec(prop::collection::vec(any::<i32>(), 0..6), 1..6),
            from: prop::sample::Index, to: prop::sample::Index,
        ) {
            let flat = links.concat();
            let chain = Values::from_source(Chain::new(links.into_iter().map(Values::from).collect()).unwrap());
            prop_assert_eq!(chain.len(), flat.len());
            let (a, b) = (from.index(flat.len() + 1), to.index(flat.len() + 1));
            let range = a.min(b)..a.max(b);
            let mut bytes = vec![0; 4 * range.len()];
            chain.read(range.start, &mut bytes).unwrap();
            prop_assert_eq!(bytemuck::pod_collect_to_vec::<u8, i32>(&bytes), &flat[range]);
        }
    }

    #[test]
    fn links_are_of_one_kind() {
        let mixed = Chain::new(vec![vec![1u8].into(), vec![1i32].into()]).unwrap_err().to_string();
        assert!(mixed.contains("u8 and i32"), "{mixed}");
        assert!(Chain::new(Vec::new()).is_err());
    }
}
