//! A pointer chase: a buffer in which each word names the next, so that a load waits for the one before it.

use super::call::{Place, Shader, call_on_storage};
use crate::error::{Error, Result};
use crate::gpu::{Access, Buffer, Dispatch, Gpu};
use crate::units;

const CHASE: Shader = Shader { file: "bench/launch", entry: "launch_chase" };

/// Loads of a dispatch, below the 65,535 turns after which a software adapter ends a loop.
pub(super) const LOADS: usize = 16_384;
/// Dispatches of a submission while the chase is checked.
const AT_ONCE: usize = 64;

/// The buffer of a chase and the place where it stands.
#[derive(Debug)]
pub(super) struct Chase {
    links: Buffer,
    state: Buffer,
    /// One dispatch of [`LOADS`] loads from where the last one ended.
    pub dispatch: Dispatch,
}

impl Chase {
    /// A chase through a buffer of `bytes`, checked.
    ///
    /// # Errors
    /// [`Error::Config`] for bytes that are no buffer of two words or more; [`Error::Gpu`] where the chase ends elsewhere
    /// than the host's.
    pub fn new(gpu: &Gpu, bytes: u64) -> Result<Chase> {
        if bytes < 8 || !bytes.is_multiple_of(4) || bytes > gpu.largest_buffer() {
            return Err(Error::Config(format!(
                "a chase through {bytes} bytes is not possible: whole words of 4 bytes are needed, from 8 bytes to this \
                 adapter's largest buffer, {} ({})",
                gpu.largest_buffer(),
                units::bytes(gpu.largest_buffer())
            )));
        }
        let words = cycle((bytes / 4) as usize);
        let links = gpu.storage("bench links", bytes)?;
        gpu.write(&links, 0, bytemuck::cast_slice(&words));
        let state = gpu.storage("bench chase", 8)?;
        gpu.write(&state, 0, bytemuck::cast_slice(&[0_u32, 0]));
        let places = [Place::whole(&state), Place::whole(&links)];
        let bound = [(Access::Write, &places[0]), (Access::Read, &places[1])];
        let dispatch = call_on_storage(gpu, CHASE, &[("LOADS", LOADS as u32)], &bound, [1, 1, 1])?;
        let chase = Chase { links, state, dispatch };
        chase.check(gpu, &words)?;
        Ok(chase)
    }

    /// Bytes of the buffer.
    pub fn bytes(&self) -> u64 {
        self.links.bytes()
    }

    /// Chases through every word at least once, and compares the last place and the sum of all places with the host's.
    fn check(&self, gpu: &Gpu, words: &[u32]) -> Result<()> {
        let mut left = words.len().div_ceil(LOADS);
        let want = walk(words, left * LOADS);
        while left > 0 {
            let now = left.min(AT_ONCE);
            let mut recorder = gpu.recorder();
            recorder.pass(std::slice::from_ref(&self.dispatch), now);
            recorder.submit()?;
            gpu.wait()?;
            left -= now;
        }
        let bytes = pollster::block_on(gpu.read(&self.state, 0, 8))?;
        let got: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        if got == want {
            return Ok(());
        }
        Err(Error::Gpu(format!(
            "a chase through {} ends at word {} with sum {} where word {} and sum {} should be: the adapter cut its loop \
             short or read other words; nothing was timed",
            units::bytes(self.bytes()),
            got[0],
            got[1],
            want[0],
            want[1]
        )))
    }
}

/// A permutation with one cycle through all words (Sattolo 1986), the same each time.
fn cycle(words: usize) -> Vec<u32> {
    let mut links: Vec<u32> = (0..words as u32).collect();
    let mut s = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..words).rev() {
        s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high 32 bits as a fraction of 1, times i: a whole number below i.
        let j = (((s >> 32) * i as u64) >> 32) as usize;
        links.swap(i, j);
    }
    links
}

/// The place after `loads` loads from word 0, and the sum of the places passed, modulo 2^32.
fn walk(links: &[u32], loads: usize) -> [u32; 2] {
    let (mut at, mut total) = (0_u32, 0_u32);
    for _ in 0..loads {
        at = links[at as usize];
        total = total.wrapping_add(at);
    }
    [at, total]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuOptions;

    #[test]
    fn a_chase_through_other_words_is_found() {
        let open =
            |adapter: &str| Gpu::open(&GpuOptions { adapter: adapter.into(), ..GpuOptions::default() });
        let gpu = open("software").or_else(|_| open("auto")).unwrap();
        // More loads than words, and fewer.
        for words in [1024, LOADS + 4] {
            let links = cycle(words);
            let chase = Chase::new(&gpu, 4 * words as u64).unwrap();
            let again = |links_there: &[u32]| {
                gpu.write(&chase.links, 0, bytemuck::cast_slice(links_there));
                gpu.write(&chase.state, 0, bytemuck::cast_slice(&[0_u32, 0]));
                chase.check(&gpu, &links)
            };
            again(&links).unwrap();
            let mut other = links.clone();
            other.swap(3, 700);
            let text = again(&other).unwrap_err().to_string();
            assert!(text.contains("ends at word") && text.contains("nothing was timed"), "{text}");
        }
    }

    #[test]
    fn the_cycle_passes_every_word_once() {
        for words in [2, 3, 64, 4096, 5000] {
            let links = cycle(words);
            let mut seen = vec![false; words];
            let mut at = 0;
            for _ in 0..words {
                assert!(!seen[at], "{words}: word {at} is passed twice");
                seen[at] = true;
                at = links[at] as usize;
            }
            assert_eq!((at, seen.iter().all(|s| *s)), (0, true), "{words}");
            let all = (words * (words - 1) / 2) as u32;
            assert_eq!(walk(&links, words), [0, all]);
            assert_ne!(walk(&links, words - 1)[0], 0);
        }
    }
}
