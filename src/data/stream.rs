//! A stretch of a file, read in order.

use std::io::{self, BufRead, Read};

use super::file::DataFile;

/// Bytes that are read at once.
const BLOCK: u64 = 1 << 16;

/// Bytes from one place of a file to another.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    file: &'a DataFile,
    /// The offset in the file behind the block.
    at: u64,
    end: u64,
    block: Vec<u8>,
    used: usize,
}

impl<'a> Stream<'a> {
    /// Bytes `from..end`.
    pub fn new(file: &'a DataFile, from: u64, end: u64) -> Stream<'a> {
        Stream { file, at: from, end, block: Vec::new(), used: 0 }
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.at - (self.block.len() - self.used) as u64
    }
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() {
            let n = self.end.saturating_sub(self.at).min(BLOCK);
            self.block.resize(n as usize, 0);
            self.used = 0;
            if let Err(err) = self.file.read(self.at, &mut self.block) {
                self.block.clear();
                return Err(io::Error::other(err));
            }
            self.at += n;
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used += n;
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}
