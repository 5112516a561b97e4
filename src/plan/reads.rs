//! Chooses the way in which each kernel of a plan reads its operands, where storage buffers are read slowly.
//!
//! An operand of up to 64 KiB is bound as a uniform buffer. A larger one is copied into an image before the kernel, unless
//! an image still holds it, and unless the kernel reads so little of it that the copy would take longer. Images are
//! shared: each holds the operand that was read last through it.

use super::buffers::{BufferPlan, Location, image_buffer};
use super::replicate::Replicas;
use super::steps::{ImageParts, ImageUse, Plan, Step};
use crate::gpu::reads::{
    MAX_IMAGES, MAX_ROWS, MAX_UNIFORM_BYTES, MAX_UNIFORMS, ROW_BYTES, ReadAs, Texel, is_in_parts, old,
    rebind, texel,
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

/// A range, and the parts of it that replicas have.
#[derive(Clone, Copy, PartialEq)]
struct Content {
    location: Location,
    parts: Option<ImageParts>,
}

impl Content {
    /// Bytes that are copied.
    fn bytes(&self) -> u64 {
        self.parts.map_or(self.location.bytes, |parts| parts.count * parts.bytes)
    }

    /// Rows of its image.
    fn rows(&self) -> u64 {
        match self.parts {
            Some(parts) => parts.count * parts.bytes.div_ceil(ROW_BYTES),
            None => self.location.bytes.div_ceil(ROW_BYTES),
        }
    }

    /// True where whole pixels hold it, and an image is as large.
    fn fits(&self, texel: Texel, most: u64) -> bool {
        let own = self.parts.map_or(self.location.bytes, |parts| parts.bytes);
        own.is_multiple_of(texel.bytes()) && self.bytes() <= most && self.rows() <= MAX_ROWS
    }
}

/// An image, and what it holds.
struct Held {
    texel: Texel,
    /// Index into the plan's buffers.
    image: usize,
    content: Option<Content>,
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
            self.read_by(reads, most, None);
            if budget.is_none_or(|budget| self.bytes() <= budget) {
                return;
            }
        }
    }

    /// Binds read-only operands in the way of an adapter, with images of operands of at most `most` bytes. `replicas`: those
    /// that the plan is of.
    pub fn read_by(&mut self, reads: Reads, most: u64, replicas: Option<&Replicas>) {
        let (above, reuse) = match reads {
            Reads::Storage => return,
            Reads::Products => (MAX_UNIFORM_BYTES, REUSE),
            Reads::Images { above } => (above.min(MAX_UNIFORM_BYTES), 0),
        };
        let mut held: Vec<Held> = Vec::new();
        for i in 0..self.steps.len() {
            self.bind_uniforms(i, above, reuse);
            self.bind_images(i, most, (above == 0, reuse), replicas, &mut held);
            let written: Vec<usize> =
                self.steps[i].bindings.iter().filter(|b| b.1 == Access::Write).map(|b| b.2.buffer).collect();
            for image in &mut held {
                image.content = image.content.filter(|held| !written.contains(&held.location.buffer));
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

    /// The range that a binding reads.
    fn content(&self, i: usize, binding: usize, replicas: Option<&Replicas>) -> Content {
        let Step { kernel, bindings, .. } = &self.steps[i];
        let (slot, _, location) = bindings[binding];
        let parts = replicas.filter(|_| is_in_parts(&kernel.wgsl, slot)).map(|replicas| {
            let (count, stride) =
                (replicas.count() as u64, replicas.stride(&self.buffers[location.buffer].name));
            ImageParts { count, stride, bytes: location.bytes - (count - 1) * stride }
        });
        Content { location, parts }
    }

    fn bind_images(
        &mut self,
        i: usize,
        most: u64,
        (always, reuse): (bool, u64),
        replicas: Option<&Replicas>,
        held: &mut Vec<Held>,
    ) {
        let step = &self.steps[i];
        let worth = |bytes: u64| {
            (always || step.loads() >= LOADS_OF_A_COPY + bytes / 4 / WORDS_OF_A_LOAD)
                && step.kernel.flops >= reuse * bytes / 4
        };
        let most = most.min(MAX_ROWS * ROW_BYTES);
        let wanted: Vec<(usize, Texel, Content)> = (0..step.bindings.len())
            .filter(|&b| match step.bindings[b].1 {
                Access::Read => true,
                Access::Write => step.kernel.reads_old,
                Access::Uniform | Access::Image(_) => false,
            })
            .map(|b| (b, self.content(i, b, replicas)))
            .filter(|(_, content)| worth(content.bytes()))
            .filter_map(|(b, content)| {
                Some((b, texel(&step.kernel.wgsl, step.kernel.entry, step.bindings[b].0)?, content))
            })
            .filter(|(_, texel, content)| content.fits(*texel, most))
            .take(MAX_IMAGES)
            .collect();
        // What is held already comes first, so that it is not overwritten.
        let (kept, copied): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|&(_, texel, content)| {
            let holds = |h: &&mut Held| h.texel == texel && h.content == Some(content);
            held.iter_mut().find(holds).map(|h| h.used = i).is_some()
        });
        for (b, texel, content) in kept {
            let image = held.iter().find(|h| h.texel == texel && h.content == Some(content)).map(|h| h.image);
            self.bind_image(i, b, texel, image, (false, content.parts));
        }
        for (b, texel, content) in copied {
            let free =
                held.iter_mut().filter(|h| h.texel == texel && (h.used < i || h.content == Some(content)));
            let slot = match free.min_by_key(|h| (h.content != Some(content), h.used)) {
                Some(slot) => slot,
                None => {
                    let number = held.iter().filter(|h| h.texel == texel).count();
                    let image = self.buffer(&image_buffer(texel, number), 0);
                    held.push(Held { texel, image, content: None, used: i });
                    let last = held.len() - 1;
                    &mut held[last]
                }
            };
            let copied = slot.content != Some(content);
            (slot.content, slot.used) = (Some(content), i);
            let image = slot.image;
            let buffer: &mut BufferPlan = &mut self.buffers[image];
            buffer.bytes = buffer.bytes.max(content.rows() * ROW_BYTES);
            self.bind_image(i, b, texel, Some(image), (copied, content.parts));
        }
    }

    fn bind_image(
        &mut self,
        i: usize,
        binding: usize,
        texel: Texel,
        image: Option<usize>,
        (copied, parts): (bool, Option<ImageParts>),
    ) {
        let Step { kernel, bindings, images, .. } = &mut self.steps[i];
        let (slot, access, location) = bindings[binding];
        let way = parts.map_or(ReadAs::Image(texel), |parts| ReadAs::Parts(texel, parts.count as u32));
        if let (Some(image), Some(text)) = (image, rebind(&kernel.wgsl, slot, way)) {
            kernel.wgsl = text;
            let slot = if access == Access::Write { old(slot) } else { slot };
            match access {
                Access::Write => bindings.push((slot, Access::Image(texel), location)),
                _ => bindings[binding].1 = Access::Image(texel),
            }
            images.push(ImageUse { slot, image, copied, parts });
        }
    }
}
