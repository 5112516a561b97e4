//! The text of a kernel that runs for several nets at once, its replicas.
//!
//! Each replica has a part of every private buffer, one after the other, and the workgroups of replica r have
//! `z = r Z ..` up to `(r + 1) Z`, where Z workgroups along z are those of one net. So the text changes in two places:
//!
//! - an element `name[e]` of a private buffer becomes `name[name_first + (e)]`, where `name_first` is the first element of
//!   the replica's part;
//! - the entry point works out its replica and these first elements, and sees its workgroup as that of a net alone.
//!
//! Everything else stays as it is, comments included, so a replica computes what it computes alone. naga, which compiles the
//! text, says where the elements are; a private buffer used in any other way is refused. [`proof`] checks the result.
//!
//! A driver that knew more of a replica's place than of a net's would compile another program: where Z is 1, `z % Z` is 0,
//! so the ends of loops are constants, loops are unrolled, and Mesa's software adapter then takes 0 + x for x, which
//! changes the sign of zeros. So a term that no driver knows to be 0 is added to the place: `z`, where there are no
//! workgroups.

mod notation;
pub mod proof;
mod walk;

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;

use wgpu::naga;
use wgpu::naga::valid::{Capabilities, FunctionInfo, ValidationFlags, Validator};

use super::wgsl_items::words;
use crate::error::{Error, Result};

/// A buffer of which each replica has a part.
struct Private {
    global: naga::Handle<naga::GlobalVariable>,
    name: String,
    /// The variable that holds the first element of the replica's part.
    first: String,
    /// Elements from a replica's part to the next.
    stride: u64,
}

/// Changes of a text: what is put in place of a range.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.0.push((at..at, text.into()));
    }

    fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut out, mut from) = (String::with_capacity(text.len() * 2), 0);
        for (range, new) in &self.0 {
            out.push_str(&text[from..range.start]);
            out.push_str(new);
            from = range.end;
        }
        out.push_str(&text[from..]);
        out
    }
}

/// The text of a kernel for replicas. `private`: the binding number of each private buffer, and the bytes from a replica's
/// part to the next. `z`: workgroups along z of one replica.
///
/// # Errors
/// [`Error::Gpu`] where the text does not parse, a binding is missing, or a private buffer is used otherwise than by its
/// elements.
pub fn rebased(wgsl: &str, entry: &str, private: &[(u32, u64)], z: u32) -> Result<String> {
    let failed = |what: String| Error::Gpu(format!("kernel {entry} cannot run for several nets: {what}"));
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|err| failed(err.emit_to_string(wgsl)))?;
    let code = without_comments(wgsl);
    let mut taken: HashSet<String> = words(&code).map(|word| code[word].to_owned()).collect();
    let buffers = privates(&module, private, &mut taken).map_err(failed)?;
    let mut edits = Edits::default();
    edit_elements(&mut edits, wgsl, &module, &buffers).map_err(failed)?;
    edit_entry(&mut edits, &code, entry, &module, &buffers, z, &mut taken).map_err(failed)?;
    let mut text = edits.apply(wgsl);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for Private { first, .. } in &buffers {
        let _ = writeln!(text, "var<private> {first}: u32;");
    }
    Ok(text)
}

/// The text with a space for each byte of a comment.
fn without_comments(wgsl: &str) -> String {
    let mut out = String::with_capacity(wgsl.len());
    for line in wgsl.split_inclusive('\n') {
        let end = line.find("//").unwrap_or(line.len());
        out.push_str(&line[..end]);
        out.extend(line[end..].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
    }
    out
}

/// A name that the text does not have.
fn fresh(name: &str, taken: &mut HashSet<String>) -> String {
    let mut name = name.to_owned();
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

fn privates(
    module: &naga::Module,
    private: &[(u32, u64)],
    taken: &mut HashSet<String>,
) -> Result<Vec<Private>, String> {
    let mut found = Vec::new();
    for (global, variable) in module.global_variables.iter() {
        let Some(binding) = variable.binding.filter(|binding| binding.group == 0) else { continue };
        let Some((_, bytes)) = private.iter().find(|(slot, _)| *slot == binding.binding) else { continue };
        let name = variable.name.clone().unwrap_or_default();
        let naga::TypeInner::Array { stride: each, .. } = module.types[variable.ty].inner else {
            return Err(format!("{name} is no array"));
        };
        let is_storage = matches!(variable.space, naga::AddressSpace::Storage { .. });
        if !is_storage || !bytes.is_multiple_of(u64::from(each)) {
            return Err(format!("{bytes} B are no whole elements of {name}, of {each} B each, in storage"));
        }
        let first = fresh(&format!("{name}_first"), taken);
        found.push(Private { global, name, first, stride: bytes / u64::from(each) });
    }
    for (slot, _) in private {
        let is_bound = |buffer: &Private| {
            module.global_variables[buffer.global].binding.is_some_and(|bound| bound.binding == *slot)
        };
        if !found.iter().any(is_bound) {
            return Err(format!("no buffer is bound at {slot}"));
        }
    }
    Ok(found)
}

/// Has each element of a private buffer begin at the replica's part.
fn edit_elements(
    edits: &mut Edits,
    wgsl: &str,
    module: &naga::Module,
    buffers: &[Private],
) -> Result<(), String> {
    let info = Validator::new(ValidationFlags::empty(), Capabilities::all()).validate(module);
    let info = info.map_err(|err| err.emit_to_string(wgsl))?;
    let mut done: HashSet<Range<usize>> = HashSet::new();
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate();
    let entries = entries.map(|(i, point)| (&point.function, info.get_entry_point(i)));
    for (function, info) in functions.chain(entries) {
        let is_pointer = |argument: &naga::FunctionArgument| {
            let inner = &module.types[argument.ty].inner;
            matches!(inner.pointer_space(), Some(naga::AddressSpace::Storage { .. }))
        };
        if function.arguments.iter().any(is_pointer) {
            return Err("a function takes the address of a buffer".into());
        }
        let private = |base: naga::Handle<naga::Expression>| match function.expressions[base] {
            naga::Expression::GlobalVariable(global) => buffers.iter().find(|b| b.global == global),
            _ => None,
        };
        for (handle, expression) in function.expressions.iter() {
            let (buffer, index) = match *expression {
                naga::Expression::Access { base, index } => (private(base), Ok(index)),
                naga::Expression::AccessIndex { base, index } => (private(base), Err(index)),
                naga::Expression::ArrayLength(base) if private(base).is_some() => {
                    return Err("its text takes the length of a buffer".into());
                }
                _ => continue,
            };
            let Some(Private { name, first, .. }) = buffer else { continue };
            let span = function.expressions.get_span(handle).to_range().unwrap_or_default();
            let within = brackets(wgsl, &span, name)
                .ok_or_else(|| format!("no element of {name}: \"{}\"", &wgsl[span.clone()]))?;
            if !done.insert(span) {
                continue;
            }
            match index {
                Err(number) => edits.replace(within, format!("{first} + {number}u")),
                Ok(index) => {
                    let open = if is_signed(module, info, index) { "u32(" } else { "(" };
                    edits.insert(within.start, format!("{first} + {open}"));
                    edits.insert(within.end, ")");
                }
            }
        }
    }
    Ok(())
}

fn is_signed(module: &naga::Module, info: &FunctionInfo, index: naga::Handle<naga::Expression>) -> bool {
    let kind = info[index].ty.inner_with(&module.types).scalar_kind();
    kind == Some(naga::ScalarKind::Sint)
}

/// The text between the brackets of `name[..]`, which is the whole of `span`.
fn brackets(wgsl: &str, span: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let text = &wgsl[span.clone()];
    let inner = text.strip_prefix(name)?.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let end = span.end - 1;
    Some(end - inner.len()..end)
}

/// Has the entry point find its replica, and see its workgroup as one net's.
fn edit_entry(
    edits: &mut Edits,
    code: &str,
    entry: &str,
    module: &naga::Module,
    buffers: &[Private],
    z: u32,
    taken: &mut HashSet<String>,
) -> Result<(), String> {
    let point = module.entry_points.iter().find(|point| point.name == entry).ok_or("no such entry point")?;
    let sizes = point.workgroup_size_overrides;
    if point.workgroup_size[2] != 1 || sizes.is_some_and(|sizes| sizes[2].is_some()) {
        return Err("its workgroups are larger than 1 along z".into());
    }
    let Head { parameters, body } = head(code, entry).ok_or("its head is not understood")?;
    let (mut renamed, mut group, mut groups) = (Vec::new(), None, None);
    for (builtin, name) in builtins(code, &parameters) {
        let (is_place, known) = match builtin {
            "workgroup_id" | "global_invocation_id" => (true, &mut group),
            "num_workgroups" => (false, &mut groups),
            "local_invocation_index"
            | "local_invocation_id"
            | "num_subgroups"
            | "subgroup_id"
            | "subgroup_size"
            | "subgroup_invocation_id" => continue,
            other => return Err(format!("it takes {other}")),
        };
        let own = &code[name.clone()];
        let all = fresh(&format!("{own}_of_all"), taken);
        edits.replace(name, all.clone());
        known.get_or_insert_with(|| all.clone());
        renamed.push((own, all, is_place));
    }
    let mut added = String::new();
    let before = code[parameters.clone()].trim_end();
    let mut add = |builtin: &str, name: &str| {
        let name = fresh(name, taken);
        let comma = if added.is_empty() && (before.is_empty() || before.ends_with(',')) { "" } else { ", " };
        let _ = write!(added, "{comma}@builtin({builtin}) {name}: vec3<u32>");
        name
    };
    let group = group.unwrap_or_else(|| add("workgroup_id", "group_of_all"));
    let groups = groups.unwrap_or_else(|| add("num_workgroups", "groups_of_all"));
    edits.insert(parameters.start + before.len(), added);
    let mut lets = String::new();
    for (own, all, is_place) in renamed {
        let along = if is_place { format!("{all}.z % {z}u") } else { format!("{z}u") };
        let unknown = format!("{all}.z * u32({groups}.x == 0u)");
        let _ = writeln!(lets, "    let {own} = vec3<u32>({all}.xy, {along} + {unknown});");
    }
    let replica = fresh("replica", taken);
    let _ = writeln!(lets, "    let {replica} = {group}.z / {z}u;");
    for Private { first, stride, .. } in buffers {
        let _ = writeln!(lets, "    {first} = {replica} * {stride}u;");
    }
    edits.insert(body, format!("\n{lets}"));
    Ok(())
}

/// The head of a function.
struct Head {
    /// The text between its parentheses.
    parameters: Range<usize>,
    /// The beginning of its body.
    body: usize,
}

fn head(code: &str, entry: &str) -> Option<Head> {
    let mut words = words(code).peekable();
    let name = loop {
        let word = words.next()?;
        if code[word] == *"fn" && words.peek().is_some_and(|next| code[next.clone()] == *entry) {
            break words.next()?;
        }
    };
    let start = name.end + code[name.end..].find('(')? + 1;
    let mut depth = 1;
    let close = code[start..].find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    let end = start + close;
    let body = end + code[end..].find('{')? + 1;
    Some(Head { parameters: start..end, body })
}

/// The built-in value of each parameter, and the place of its name.
fn builtins<'c>(code: &'c str, parameters: &Range<usize>) -> Vec<(&'c str, Range<usize>)> {
    let text = &code[parameters.clone()];
    let found = text.match_indices("@builtin(").filter_map(|(at, open)| {
        let start = at + open.len();
        let end = start + text[start..].find(')')?;
        let name = words(&text[end..]).next()?;
        let from = parameters.start + end;
        Some((text[start..end].trim(), from + name.start..from + name.end))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "// fn main( of a[i]
alias T = f32;
@group(0) @binding(0) var<storage, read> a: array<vec4<T>>; // a[i]
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
struct Pair { a: u32 }
fn f(i: i32) -> vec4<f32> { let a_first = 1u; return a[b[a_first]] + a [ i ] + a[0]; }
fn shadow(a: array<u32, 4>) -> u32 { var own = a; return own[2]; }
@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let s = Pair(id.z * groups.z);
    out[id.x] += f(i32(s.a)).x;
}
@compute @workgroup_size(1)
fn one() { out[0] = 1.0; }
";

    #[test]
    fn elements_of_private_buffers_begin_at_the_replicas_part() {
        let text = rebased(TEXT, "main", &[(0, 512), (2, 256)], 3).unwrap();
        assert!(text.starts_with("// fn main( of a[i]\nalias T = f32;\n"), "{text}");
        let f = "return a[a_first_ + (b[a_first])] + a [a_first_ + u32( i )] + a[a_first_ + 0u]; }";
        assert!(text.contains(f), "{text}");
        assert!(text.contains("fn shadow(a: array<u32, 4>) -> u32 { var own = a; return own[2]; }"));
        let entry = "    @builtin(global_invocation_id) id_of_all: vec3<u32>,
    @builtin(num_workgroups) groups_of_all: vec3<u32>,
) {
    let id = vec3<u32>(id_of_all.xy, id_of_all.z % 3u + id_of_all.z * u32(groups_of_all.x == 0u));
    let groups = vec3<u32>(groups_of_all.xy, 3u + groups_of_all.z * u32(groups_of_all.x == 0u));
    let replica = id_of_all.z / 3u;
    a_first_ = replica * 32u;
    out_first = replica * 64u;

    let s = Pair(id.z * groups.z);
    out[out_first + (id.x)] += f(i32(s.a)).x;
}";
        assert!(text.contains(entry), "{text}");
        assert!(text.ends_with("var<private> a_first_: u32;\nvar<private> out_first: u32;\n"), "{text}");
        proof::check(TEXT, &text, "main", &[(0, 512), (2, 256)], 3).unwrap();
    }

    #[test]
    fn an_entry_point_without_a_workgroup_gets_one() {
        let text = rebased(TEXT, "one", &[(2, 4)], 1).unwrap();
        assert!(text.contains("fn one(@builtin(workgroup_id) group_of_all: vec3<u32>, @builtin(num_workgroups) groups_of_all: vec3<u32>) {\n"), "{text}");
        assert!(text.contains("out[out_first + 0u] = 1.0; }"), "{text}");
        proof::check(TEXT, &text, "one", &[(2, 4)], 1).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refused =
            |text: &str, private: &[(u32, u64)]| rebased(text, "main", private, 1).unwrap_err().to_string();
        assert!(refused(TEXT, &[(0, 500)]).contains("500 B are no whole elements of a, of 16 B each"));
        assert!(refused(TEXT, &[(7, 512)]).contains("no buffer is bound at 7"));
        let length = TEXT.replace("f(i32(s.a)).x", "f32(arrayLength(&out))");
        assert!(refused(&length, &[(2, 512)]).contains("the length of a buffer"));
        let address = TEXT.replace("out[id.x] +=", "let p = &out; (*p)[id.x] =");
        assert!(refused(&address, &[(2, 512)]).contains("no element of out: \"(*p)[id.x]\""));
        let tall = TEXT.replace("@workgroup_size(64)", "@workgroup_size(8, 1, 2)");
        assert!(refused(&tall, &[]).contains("larger than 1 along z"));
    }

    /// The proof sees an element that was forgotten, a wrong stride, another computation.
    #[test]
    fn the_proof_can_fail() {
        let private = [(0, 512), (2, 256)];
        let text = rebased(TEXT, "main", &private, 3).unwrap();
        let wrong = [
            ("a[a_first_ + 0u]", "a[0]"),
            ("a[a_first_ + 0u]", "a[a_first_ + 1u]"),
            ("a[a_first_ + 0u]", "a[out_first + 0u]"),
            ("replica * 32u", "replica * 64u"),
            ("id_of_all.z / 3u", "id_of_all.z / 2u"),
            ("id_of_all.z % 3u", "id_of_all.z / 3u"),
            ("u32(groups_of_all.x == 0u)", "u32(groups_of_all.x == 1u)"),
            ("Pair(id.z * groups.z)", "Pair(id_of_all.z * groups.z)"),
            ("b[a_first]", "b[a_first + 1u]"),
            ("out_first = replica * 64u;", ""),
            ("let s =", "a_first_ = 0u; let s ="),
            ("+ a[a_first_", "- a[a_first_"),
            ("array<u32>;", "array<i32>;"),
        ];
        for (right, changed) in wrong {
            assert!(text.contains(right), "{right}: {text}");
            let text = text.replacen(right, changed, 1);
            assert!(proof::check(TEXT, &text, "main", &private, 3).is_err(), "{right} as {changed}");
        }
    }
}
