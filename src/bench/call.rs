//! Buffers with numbers in them, and kernels bound to places in them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::error::Result;
use crate::gpu::reads::{MAX_ROWS, ROW_BYTES, ReadAs, Texel, rebind, texel};
use crate::gpu::{Access, Binding, Buffer, Dispatch, Gpu, Image, ImageBinding, Reads, ShaderKey, wgsl};
use crate::kernel::Target;
use crate::plan::{BufferPlan, Memory, Plan, Program};

/// A range of a buffer.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    pub bytes: u64,
}

impl Place {
    pub fn whole(buffer: &Buffer) -> Place {
        Place { buffer: buffer.clone(), offset: 0, bytes: buffer.bytes() }
    }

    /// A part of it.
    pub fn part(&self, offset: u64, bytes: u64) -> Place {
        Place { buffer: self.buffer.clone(), offset: self.offset + offset, bytes }
    }
}

/// A kernel's text and entry point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shader {
    /// The path below `shaders/`.
    pub file: &'static str,
    pub entry: &'static str,
}

/// The images of kernels that have no plan, by pixel, binding and bytes. Kernels use them in turn.
#[derive(Debug, Default)]
pub(super) struct Images(RefCell<BTreeMap<(Texel, u32, u64), Image>>);

impl Images {
    /// The image through which a kernel reads a place, where the adapter reads images; the text is changed for it.
    fn reading(
        &self,
        gpu: &Gpu,
        (wgsl, entry): (&mut String, &str),
        slot: u32,
        place: &Place,
    ) -> Result<Option<(Texel, Image)>> {
        let Reads::Images { above } = gpu.reads() else { return Ok(None) };
        let Some(texel) = texel(wgsl, entry, slot) else { return Ok(None) };
        let bytes = place.bytes.next_multiple_of(ROW_BYTES);
        if place.bytes <= above || bytes > MAX_ROWS * ROW_BYTES || !place.bytes.is_multiple_of(texel.bytes())
        {
            return Ok(None);
        }
        let Some(text) = rebind(wgsl, slot, ReadAs::Image(texel)) else { return Ok(None) };
        *wgsl = text;
        let mut images = self.0.borrow_mut();
        let key = (texel, slot, bytes);
        if let Some(image) = images.get(&key) {
            return Ok(Some((texel, image.clone())));
        }
        let image = gpu.image(&format!("bench image {slot}"), texel, bytes)?;
        Ok(Some((texel, images.entry(key).or_insert(image).clone())))
    }
}

/// A dispatch of a kernel that has no printed parts; binding N is the Nth place.
pub(super) fn call(
    gpu: &Gpu,
    images: &Images,
    shader: Shader,
    constants: &[(&'static str, u32)],
    places: &[(Access, &Place)],
    grid: [u32; 3],
) -> Result<Dispatch> {
    let mut wgsl = wgsl::compose(shader.file, &[]);
    let mut read = Vec::with_capacity(places.len());
    for (slot, (access, place)) in (0..).zip(places) {
        let image = match access {
            Access::Read => images.reading(gpu, (&mut wgsl, shader.entry), slot, place)?,
            _ => None,
        };
        read.push(image);
    }
    bound(gpu, shader.entry, &wgsl, constants, places, &read, grid)
}

/// The same with every place bound as a storage buffer, on an adapter that reads images too.
pub(super) fn call_on_storage(
    gpu: &Gpu,
    shader: Shader,
    constants: &[(&'static str, u32)],
    places: &[(Access, &Place)],
    grid: [u32; 3],
) -> Result<Dispatch> {
    let wgsl = wgsl::compose(shader.file, &[]);
    bound(gpu, shader.entry, &wgsl, constants, places, &vec![None; places.len()], grid)
}

/// A kernel's text with its places, some read through images.
fn bound(
    gpu: &Gpu,
    entry: &str,
    wgsl: &str,
    constants: &[(&'static str, u32)],
    places: &[(Access, &Place)],
    read: &[Option<(Texel, Image)>],
    grid: [u32; 3],
) -> Result<Dispatch> {
    let accesses = places.iter().zip(read).map(|((access, _), image)| match image {
        Some((texel, _)) => Access::Image(*texel),
        None => *access,
    });
    let key = ShaderKey {
        entry: entry.into(),
        wgsl: wgsl.into(),
        constants: constants.to_vec(),
        bindings: (0..).zip(accesses).collect(),
    };
    let bindings: Vec<Binding<'_>> = (0..)
        .zip(places.iter().zip(read))
        .map(|(slot, ((_, place), image))| Binding {
            image: image.as_ref().map(|(_, image)| ImageBinding { image, copied: true, parts: None }),
            ..bind(slot, place)
        })
        .collect();
    Ok(gpu.dispatch(&gpu.pipeline(&key)?, &bindings, grid))
}

/// A plan, with memory for the buffers that only its own kernels use. All runs of the plan share it in turn.
#[derive(Debug)]
pub(super) struct Planned {
    pub plan: Plan,
    memory: Memory,
}

impl Planned {
    /// `outside` names the buffers whose places differ from run to run.
    pub fn new(gpu: &Gpu, mut plan: Plan, outside: impl Fn(&str) -> bool) -> Result<Planned> {
        plan.read_as(gpu.reads(), Target::for_gpu(gpu).memory.budget);
        let own: Vec<BufferPlan> =
            Memory::plan([&plan]).into_iter().filter(|buffer| !outside(&buffer.name)).collect();
        let memory = Memory::allocate(gpu, &own)?;
        for (name, words) in &plan.constants {
            gpu.write(memory.get(name), 0, bytemuck::cast_slice(words));
        }
        Ok(Planned { plan, memory })
    }

    /// Its dispatches, with a place for each buffer from outside.
    pub fn dispatches(&self, gpu: &Gpu, place: impl Fn(&str) -> Place) -> Result<Vec<Dispatch>> {
        let program = Program::placed(gpu, &self.plan, &self.memory, |name| {
            let own = self.memory.find(name).map(Place::whole);
            let Place { buffer, offset, bytes } = own.unwrap_or_else(|| place(name));
            (buffer, offset, bytes)
        })?;
        Ok(program.dispatches)
    }
}

/// A place bound to a slot.
fn bind(slot: u32, place: &Place) -> Binding<'_> {
    Binding { slot, buffer: &place.buffer, offset: place.offset, bytes: place.bytes, image: None }
}

/// Fills a place with numbers over and over, beginning with the one at `first`.
pub(super) fn fill(gpu: &Gpu, place: &Place, numbers: &[f32], first: usize) -> Result<()> {
    let (mut at, mut from) = (0, first % numbers.len());
    while at < place.bytes {
        let bytes: &[u8] = bytemuck::cast_slice(&numbers[from..]);
        let now = (place.bytes - at).min(bytes.len() as u64);
        gpu.write(&place.buffer, place.offset + at, &bytes[..now as usize]);
        (at, from) = (at + now, 0);
        // Writes wait on the host until a submission.
        gpu.recorder().submit()?;
    }
    gpu.wait()
}
