//! The ways in which a kernel reads a buffer, and its text for each.
//!
//! Kernels are written with `var<storage, read>`. Mesa's software adapter before version 25 builds a load from storage as
//! a loop over the lanes, whose every turn spills and reloads a vector: 60 ns for eight numbers. A uniform buffer or an
//! image is read without that loop, in 5 to 11 ns. So the same text is bound in another way there: the declaration
//! changes, and each `name[i]` becomes a call of `read_name(i)`. All ways give the same bits.

use super::replica_part::Part;

/// The way in which a kernel's text reads a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAs {
    /// From a uniform buffer of these bytes, a multiple of 16.
    Uniform(u64),
    /// From an image that holds the buffer's words in order.
    Image(Texel),
    /// From an image that holds the parts of so many replicas: a row of each one's first words, then a row of each one's next.
    Parts(Texel, u32),
}

/// What a pixel of an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Texel {
    /// One word of 32 bits.
    One,
    /// Four words.
    Four,
}

/// Bytes of a row of an image, whatever its pixels hold.
pub const ROW_BYTES: u64 = 16384;
/// The most rows of an image, as WebGPU promises.
pub const MAX_ROWS: u64 = 8192;
/// The most images of a kernel.
pub const MAX_IMAGES: usize = 16;
/// The largest uniform buffer.
pub const MAX_UNIFORM_BYTES: u64 = 65536;
/// The most uniform buffers of a kernel.
pub const MAX_UNIFORMS: usize = 15;

impl Texel {
    /// Bytes of a pixel.
    pub fn bytes(self) -> u64 {
        match self {
            Texel::One => 4,
            Texel::Four => 16,
        }
    }

    /// Pixels of a row.
    pub fn width(self) -> u64 {
        ROW_BYTES / self.bytes()
    }

    /// The format in WGSL.
    fn format(self) -> &'static str {
        match self {
            Texel::One => "r32uint",
            Texel::Four => "rgba32uint",
        }
    }
}

/// The format of an image.
pub(super) fn format(texel: Texel) -> wgpu::TextureFormat {
    match texel {
        Texel::One => wgpu::TextureFormat::R32Uint,
        Texel::Four => wgpu::TextureFormat::Rgba32Uint,
    }
}

/// A storage binding as the text declares it.
struct Declaration<'t> {
    /// Its place in the text, without the semicolon.
    range: std::ops::Range<usize>,
    name: &'t str,
    /// The type of an element, aliases resolved.
    element: String,
    written: bool,
}

/// The declarations of a binding: entry points of one text may name it differently.
fn declarations(wgsl: &str, slot: u32) -> Vec<Declaration<'_>> {
    let head = format!("@group(0) @binding({slot}) var<storage, ");
    let starts = wgsl.match_indices(&head).map(|(start, _)| start);
    let parsed = starts.filter_map(|start| {
        let end = start + wgsl[start..].find(';')?;
        let (access, declared) = wgsl[start + head.len()..end].split_once("> ")?;
        let (name, kind) = declared.split_once(": array<")?;
        let element = resolved(wgsl, kind.strip_suffix('>')?);
        Some(Declaration { range: start..end, name, element, written: access == "read_write" })
    });
    parsed.collect()
}

/// A type with its aliases replaced, that of a vector's numbers too.
pub fn resolved(wgsl: &str, kind: &str) -> String {
    if let Some((vector, number)) = kind.strip_suffix('>').and_then(|k| k.split_once('<')) {
        return format!("{vector}<{}>", resolved(wgsl, number));
    }
    let alias = format!("alias {kind} = ");
    match wgsl.find(&alias).map(|at| &wgsl[at + alias.len()..]) {
        Some(rest) => resolved(wgsl, rest.split(';').next().unwrap_or(rest).trim()),
        None => kind.to_owned(),
    }
}

/// The pixels that suit the elements of a binding; `None` where the entry point does not read it, or it cannot be read from
/// an image.
pub fn texel(wgsl: &str, entry: &str, slot: u32) -> Option<Texel> {
    let declared = declarations(wgsl, slot);
    let texels = declared.iter().map(|d| element_text(&d.element).map(texel_of));
    let texel = texels.reduce(|a, b| if a == b { a } else { None })??;
    let reached = reached(wgsl, entry);
    let is_read = |d: &Declaration<'_>| reached.iter().any(|text| calls(text, d.name) != *text);
    declared.iter().any(is_read).then_some(texel)
}

/// The texts of the functions that an entry point reaches, its own first. Each goes on to the next function.
fn reached<'t>(wgsl: &'t str, entry: &str) -> Vec<&'t str> {
    let mut starts: Vec<usize> = wgsl.match_indices("fn ").map(|(at, _)| at).collect();
    starts.retain(|&at| at == 0 || wgsl.as_bytes()[at - 1] == b'\n');
    let ends = starts.iter().skip(1).copied().chain([wgsl.len()]);
    let functions: Vec<&str> = starts.iter().zip(ends).map(|(&start, end)| &wgsl[start..end]).collect();
    let named = |name: &str| functions.iter().position(|f| f[3..].split('(').next() == Some(name));
    let mut reached: Vec<usize> = named(entry).into_iter().collect();
    let mut next = 0;
    while let Some(&at) = reached.get(next) {
        for word in functions[at].split(|c: char| !c.is_alphanumeric() && c != '_') {
            let called = named(word).filter(|function| !reached.contains(function));
            reached.extend(called);
        }
        next += 1;
    }
    reached.into_iter().map(|at| functions[at]).collect()
}

fn texel_of(value: &str) -> Texel {
    if value.contains("FOUR") { Texel::Four } else { Texel::One }
}

/// The value of element `i` made of `WORD(n)`, a word, or `FOUR(n)`, four words; `None` for other types.
fn element_text(element: &str) -> Option<&'static str> {
    Some(match element {
        "u32" => "WORD(i)",
        "f32" => "bitcast<f32>(WORD(i))",
        "i32" => "bitcast<i32>(WORD(i))",
        "f16" => "f16(unpack2x16float(WORD(i >> 1u))[i & 1u])",
        "vec2<u32>" => "vec2<u32>(WORD(2u * i), WORD(2u * i + 1u))",
        "vec2<f32>" => "bitcast<vec2<f32>>(vec2<u32>(WORD(2u * i), WORD(2u * i + 1u)))",
        "vec4<f16>" => {
            "vec4<f16>(vec4<f32>(unpack2x16float(WORD(2u * i)), unpack2x16float(WORD(2u * i + 1u))))"
        }
        "vec4<u32>" => "FOUR(i)",
        "vec4<f32>" => "bitcast<vec4<f32>>(FOUR(i))",
        "vec4<i32>" => "bitcast<vec4<i32>>(FOUR(i))",
        _ => return None,
    })
}

/// The first binding of the images from which old numbers of written bindings are read.
pub const OLD: u32 = 16;

/// The binding of the image from which the old numbers of a written binding are read.
pub fn old(slot: u32) -> u32 {
    OLD + slot
}

/// True where each replica has a part of a binding, by its text.
pub fn is_in_parts(wgsl: &str, slot: u32) -> bool {
    let declared = declarations(wgsl, slot);
    !declared.is_empty() && declared.iter().all(|d| Part::of(wgsl, d.name).is_some())
}

/// The text with binding `slot` read in another way; `None` where its declaration or its elements do not allow that. What
/// is read of a binding that is written comes from an image at the binding [`old`], and is what was there before the kernel.
pub fn rebind(wgsl: &str, slot: u32, way: ReadAs) -> Option<String> {
    let names: Vec<String> = declarations(wgsl, slot).iter().map(|d| d.name.to_owned()).collect();
    let mut text = wgsl.to_owned();
    for name in &names {
        let declared = declarations(&text, slot).into_iter().find(|d| d.name == name)?;
        text = rebound(&text, slot, declared, way)?;
    }
    (!names.is_empty()).then_some(text)
}

/// The text with one declaration changed.
fn rebound(wgsl: &str, slot: u32, declared: Declaration<'_>, way: ReadAs) -> Option<String> {
    let Declaration { range, name, element, written } = declared;
    let value = element_text(&element)?;
    if wgsl.contains(&format!("&{name}")) {
        return None;
    }
    let part = Part::of(wgsl, name);
    let own = match (way, &part) {
        (ReadAs::Parts(..), Some(Part { first, .. })) => format!("let i = element - {first}; "),
        (ReadAs::Parts(..), None) => return None,
        _ => String::new(),
    };
    let index = if own.is_empty() { "i" } else { "element" };
    let (binding, source) =
        if written { (old(slot), format!("old_{name}")) } else { (slot, name.to_owned()) };
    let (declared, word, four) = match way {
        ReadAs::Uniform(bytes) => (
            format!("var<uniform> {source}: array<vec4<u32>, {}>", bytes / 16),
            format!("{source}[n >> 2u][n & 3u]"),
            format!("{source}[n]"),
        ),
        ReadAs::Image(texel) | ReadAs::Parts(texel, _) => {
            let (mask, shift) = (texel.width() - 1, texel.width().trailing_zeros());
            let row = match (way, &part) {
                (ReadAs::Parts(_, replicas), Some(Part { first, stride })) => {
                    format!("(n >> {shift}u) * {replicas}u + {first} / {stride}")
                }
                _ => format!("n >> {shift}u"),
            };
            let load = format!("textureLoad({source}, vec2<u32>(n & {mask}u, {row}))");
            let declared = format!("var {source}: texture_storage_2d<{}, read>", texel.format());
            (declared, format!("{load}.x"), load)
        }
    };
    let unit = match texel_of(value) {
        Texel::Four => ("four", "vec4<u32>", four),
        Texel::One => ("word", "u32", word),
    };
    let functions = format!(
        "\nfn read_{name}_{}(n: u32) -> {} {{ return {}; }}\nfn read_{name}({index}: u32) -> {element} {{ {own}return {}; }}\n",
        unit.0,
        unit.1,
        unit.2,
        value.replace("WORD", &format!("read_{name}_word")).replace("FOUR", &format!("read_{name}_four"))
    );
    let (before, after) = (calls(&wgsl[..range.start], name), calls(&wgsl[range.end..], name));
    let stored = if written { format!("{};\n", &wgsl[range]) } else { String::new() };
    let after = after.strip_prefix(';').unwrap_or(&after);
    Some(format!("{before}{stored}@group(0) @binding({binding}) {declared};{functions}{after}"))
}

/// The text with each `name[i]` that is read replaced by `read_name(u32(i))`.
fn calls(text: &str, name: &str) -> String {
    let open = format!("{name}[");
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(&open) {
        let (before, after) = (&rest[..at], &rest[at + open.len()..]);
        out.push_str(before);
        rest = after;
        let mut depth = 1;
        let close = after.find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        });
        let index = &after[..close.unwrap_or(after.len())];
        let end = after.get(index.len() + 1..).unwrap_or_default();
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') || is_assigned(end) {
            out.push_str(&open);
            continue;
        }
        out.push_str(&format!("read_{name}(u32({}))", calls(index, name)));
        rest = end;
    }
    out.push_str(rest);
    out
}

/// True where what follows an element assigns to it.
fn is_assigned(after: &str) -> bool {
    let after = after.trim_start();
    let after = after.strip_prefix(['+', '-', '*', '/']).unwrap_or(after);
    after.starts_with('=') && !after.starts_with("==")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "alias T = f32;\n@group(0) @binding(3) var<storage, read> a: array<vec4<T>>;\n\
        @group(0) @binding(4) var<storage, read> b: array<u32>; // [n]\n\
        fn f(i: u32) -> f32 { return a[b[i] + b[0]].x + ba[i] + s.a[i]; }\n";

    #[test]
    fn a_binding_becomes_a_uniform_buffer() {
        let text = rebind(TEXT, 3, ReadAs::Uniform(64)).unwrap();
        assert!(text.contains("@group(0) @binding(3) var<uniform> a: array<vec4<u32>, 4>;"), "{text}");
        assert!(
            text.contains("fn read_a(i: u32) -> vec4<f32> { return bitcast<vec4<f32>>(read_a_four(i)); }")
        );
        assert!(text.contains("return read_a(u32(b[i] + b[0])).x + ba[i] + s.a[i];"), "{text}");
    }

    #[test]
    fn a_binding_becomes_an_image() {
        let of = |slot| texel(TEXT, "f", slot);
        assert_eq!((of(3), of(4), of(5)), (Some(Texel::Four), Some(Texel::One), None));
        let text = rebind(TEXT, 4, ReadAs::Image(Texel::One)).unwrap();
        assert!(text.contains("var b: texture_storage_2d<r32uint, read>;"), "{text}");
        assert!(text.contains("textureLoad(b, vec2<u32>(n & 4095u, n >> 12u)).x"), "{text}");
        assert!(text.contains("a[read_b(u32(i)) + read_b(u32(0))].x"), "{text}");
        assert!(text.contains(" // [n]\n"));
    }

    #[test]
    fn replicas_have_rows_of_an_image() {
        let text = "@group(0) @binding(3) var<storage, read> a: array<vec4<f32>>;\n\
            @group(0) @binding(4) var<storage, read_write> b: array<f32>;\n\
            @compute @workgroup_size(1)\nfn f(@builtin(workgroup_id) g: vec3<u32>) { b[g.x] = a[g.x].x; }\n";
        let text = crate::gpu::replicas::rebased(text, "f", &[(3, 256)], 1).unwrap();
        assert!(is_in_parts(&text, 3) && !is_in_parts(&text, 4), "{text}");
        assert!(rebind(&text, 4, ReadAs::Parts(Texel::One, 5)).is_none());
        let text = rebind(&text, 3, ReadAs::Parts(Texel::Four, 5)).unwrap();
        let row = "vec2<u32>(n & 1023u, (n >> 10u) * 5u + a_first / 16u)";
        assert!(text.contains(row), "{text}");
        let read = "fn read_a(element: u32) -> vec4<f32> { let i = element - a_first; return bitcast<vec4<f32>>(read_a_four(i)); }";
        assert!(text.contains(read), "{text}");
    }

    #[test]
    fn old_numbers_of_a_written_binding_come_from_an_image() {
        let text = "@group(0) @binding(3) var<storage, read_write> w: array<vec4<f32>>; // [n]\n\
            fn f(i: u32) { let a = w[i]; w[i] = a; if (w[i].x == 1.0) { w[i] += a; } }";
        let text = rebind(text, 3, ReadAs::Image(Texel::Four)).unwrap();
        assert!(
            text.starts_with("@group(0) @binding(3) var<storage, read_write> w: array<vec4<f32>>;\n"),
            "{text}"
        );
        assert!(
            text.contains("@group(0) @binding(19) var old_w: texture_storage_2d<rgba32uint, read>;"),
            "{text}"
        );
        let body = "let a = read_w(u32(i)); w[i] = a; if (read_w(u32(i)).x == 1.0) { w[i] += a; }";
        assert!(text.contains(body), "{text}");
    }

    #[test]
    fn what_the_entry_point_does_not_read_gets_no_image() {
        let text = "@group(0) @binding(3) var<storage, read_write> w: array<f32>;\n\
            fn deep(i: u32) -> f32 { return w[i]; }\nfn reads(i: u32) { let a = deep(i); }\nfn writes(i: u32) { w[i] = 1.0; }\n";
        assert_eq!((texel(text, "reads", 3), texel(text, "writes", 3)), (Some(Texel::One), None));
    }

    /// The rewriting takes every indexed name of a binding for the binding.
    #[test]
    fn no_local_variable_has_the_name_of_a_binding() {
        for (file, _) in crate::gpu::wgsl::FILES {
            let text = crate::gpu::wgsl::compose(file, &[]);
            for declared in (0..16).flat_map(|slot| declarations(&text, slot)) {
                let name = declared.name;
                let locals = [format!("let {name} ="), format!("var {name} ="), format!("var {name}:")];
                for function in text.split("\nfn ").filter(|function| calls(function, name) != *function) {
                    let local = locals.iter().find(|local| function.contains(local.as_str()));
                    assert_eq!(local, None, "{file}: {function}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_otherwise_is_left() {
        let text = TEXT.replace("array<u32>", "array<Row>");
        assert!(rebind(&text, 4, ReadAs::Uniform(64)).is_none() && texel(&text, "f", 4).is_none());
        let text = format!("{TEXT}fn n() -> u32 {{ return arrayLength(&b); }}");
        assert!(rebind(&text, 4, ReadAs::Uniform(64)).is_none());
    }
}
