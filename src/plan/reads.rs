//! Chooses the way in which each kernel of a plan reads its operands, where storage buffers are read slowly.
//!
//! An operand of up to 64 KiB is bound as a uniform buffer. A larger one is copied into an image before the kernel, unless
//! an image still holds it, and unless the kernel reads so little of it that the copy would take longer. Images are
//! shared: each holds the operand that was read last through it.

use super::buffers::{BufferPlan, Location, image_buffer};
use super::steps::{ImageUse, Plan, Step};
use crate::gpu::reads::{
    MAX_IMAGES, MAX_ROWS, MAX_UNIFORM_BYTES, MAX_UNIFORMS, ROW_BYTES, ReadAs, Texel, old, rebind, texel,
};
use crate::gpu::{Access, Reads};

/// Loads whose time equals that of a copy of nothing, about.
const LOADS_OF_A_COPY: u64 = 8192;
/// Operations for each number of an operand, from which on a kernel counts as one that loads each many times.
const REUSE: u64 = 16;
/// Words that are copied in the time of a load, about.
const WORDS_OF_A_LOAD: u64 = 12;

/// The largest operand that gets an image, where memory is short: the first of these limits that fits the budget.
pub const IMAGE_LIMITS: [u64; 5] = [u64::MAX, 16 << 20, 2 << 20, 256 << 10, 0];

/// An image, and what it holds.
struct Held {
    texel: Texel,
    /// Index into the plan's buffers.
    image: usize,
    content: Option<Location>,
    /// The step that read it last.
    used: usize,
}

impl Step {
    /// Numbers that the kernel loads, at least: as many as it writes, and two for each pair of operations.
    fn loads(&self) -> u64 {
        let written = self.bindings.iter().filter(|(_, access, _)| *access == Access::Write);
        let written = written.map(|(_, _, l)| l.bytes / 4).max().unwrap_or(0);
        written.min(self.shape.elements() as u64).max(self.kernel.flops)
    }
}

impl Plan {
    /// Binds read-only operands in the way of an adapter, of whose memory `budget` is left: with images of all operands, of
    /// small ones only, or of none.
    pub fn read_as(&mut self, reads: Reads, budget: Option<u64>) {
        if reads == Reads::Storage {
            return;
        }
        let least = self.clone();
        for most in IMAGE_LIMITS {
            *self = least.clone();
            self.read_by(reads, most);
            if budget.is_none_or(|budget| self.bytes() <= budget) {
                return;
            }
        }
    }

    /// Binds read-only operands in the way of an adapter, with images of operands of at most `most` bytes.
    pub fn read_by(&mut self, reads: Reads, most: u64) {
        let (above, reuse) = match reads {
            Reads::Storage => return,
            Reads::Products => (MAX_UNIFORM_BYTES, REUSE),
            Reads::Images { above } => (above.min(MAX_UNIFORM_BYTES), 0),
        };
        let mut held: Vec<Held> = Vec::new();
        for i in 0..self.steps.len() {
            self.bind_uniforms(i, above, reuse);
            self.bind_images(i, most, above == 0, reuse, &mut held);
            let written: Vec<usize> =
                self.steps[i].bindings.iter().filter(|b| b.1 == Access::Write).map(|b| b.2.buffer).collect();
            for image in &mut held {
                image.content = image.content.filter(|l| !written.contains(&l.buffer));
            }
        }
    }

    fn bind_uniforms(&mut self, i: usize, most: u64, reuse: u64) {
        let Step { kernel, bindings, .. } = &mut self.steps[i];
        let mut left = MAX_UNIFORMS;
        for (slot, access, location) in bindings.iter_mut().filter(|b| b.1 == Access::Read) {
            let bytes = location.bytes;
            if left == 0
                || kernel.flops < reuse * bytes / 4
                || bytes > most
                || bytes == 0
                || !bytes.is_multiple_of(16)
            {
                continue;
            }
            if let Some(text) = rebind(&kernel.wgsl, *slot, ReadAs::Uniform(bytes)) {
                kernel.wgsl = text;
                *access = Access::Uniform;
                left -= 1;
            }
        }
    }

    fn bind_images(&mut self, i: usize, most: u64, always: bool, reuse: u64, held: &mut Vec<Held>) {
        let step = &self.steps[i];
        let worth = |l: &Location| always || step.loads() >= LOADS_OF_A_COPY + l.bytes / 4 / WORDS_OF_A_LOAD;
        let most = most.min(MAX_ROWS * ROW_BYTES);
        let fits = |l: &Location, texel: Texel| l.bytes.is_multiple_of(texel.bytes()) && l.bytes <= most;
        let wanted: Vec<(usize, Texel)> = (0..step.bindings.len())
            .filter(|&b| match step.bindings[b].1 {
                Access::Read => true,
                Access::Write => step.kernel.reads_old,
                Access::Uniform | Access::Image(_) => false,
            })
            .filter(|&b| {
                worth(&step.bindings[b].2) && step.kernel.flops >= reuse * step.bindings[b].2.bytes / 4
            })
            .filter_map(|b| Some((b, texel(&step.kernel.wgsl, step.kernel.entry, step.bindings[b].0)?)))
            .filter(|&(b, texel)| fits(&step.bindings[b].2, texel))
            .take(MAX_IMAGES)
            .collect();
        // What is held already comes first, so that it is not overwritten.
        let (kept, copied): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|&(b, texel)| {
            let holds = |h: &&mut Held| h.texel == texel && h.content == Some(self.steps[i].bindings[b].2);
            held.iter_mut().find(holds).map(|h| h.used = i).is_some()
        });
        for (b, texel) in kept {
            let location = self.steps[i].bindings[b].2;
            let image =
                held.iter().find(|h| h.texel == texel && h.content == Some(location)).map(|h| h.image);
            self.bind_image(i, b, texel, image, false);
        }
        for (b, texel) in copied {
            let location = self.steps[i].bindings[b].2;
            let free =
                held.iter_mut().filter(|h| h.texel == texel && (h.used < i || h.content == Some(location)));
            let slot = match free.min_by_key(|h| (h.content != Some(location), h.used)) {
                Some(slot) => slot,
                None => {
                    let number = held.iter().filter(|h| h.texel == texel).count();
                    let image = self.buffer(&image_buffer(texel, number), 0);
                    held.push(Held { texel, image, content: None, used: i });
                    let last = held.len() - 1;
                    &mut held[last]
                }
            };
            let copied = slot.content != Some(location);
            (slot.content, slot.used) = (Some(location), i);
            let (image, rows) = (slot.image, location.bytes.div_ceil(ROW_BYTES));
            let buffer: &mut BufferPlan = &mut self.buffers[image];
            buffer.bytes = buffer.bytes.max(rows * ROW_BYTES);
            self.bind_image(i, b, texel, Some(image), copied);
        }
    }

    fn bind_image(&mut self, i: usize, binding: usize, texel: Texel, image: Option<usize>, copied: bool) {
        let Step { kernel, bindings, images, .. } = &mut self.steps[i];
        let (slot, access, location) = bindings[binding];
        if let (Some(image), Some(text)) = (image, rebind(&kernel.wgsl, slot, ReadAs::Image(texel))) {
            kernel.wgsl = text;
            let slot = if access == Access::Write { old(slot) } else { slot };
            match access {
                Access::Write => bindings.push((slot, Access::Image(texel), location)),
                _ => bindings[binding].1 = Access::Image(texel),
            }
            images.push(ImageUse { slot, image, copied });
        }
    }
}
