//! Kernels side by side: several that do not depend on each other become one dispatch.
//!
//! A dispatch costs a GPU more than the work of a small net's kernel, and no two that touch a buffer overlap. So the
//! workgroups of one kernel are followed by those of the next, in one grid. The text is put together from the kernels'
//! own: each keeps its functions under names with a number, its constants become constants of the text, and its entry
//! point becomes a branch that works out the workgroup's place in the kernel's own grid. So every kernel computes what it
//! computes alone, to the bit. `plan/side_by_side.rs` decides which kernels.
//!
//! Kernels need equally large workgroups, but one without barriers may have smaller ones: then several of its
//! workgroups become one. Only one of the kernels runs in a workgroup, so they share workgroup memory.

use std::collections::HashMap;
use std::fmt::Write;

use super::target::{JOINT_BUFFERS, JOINT_WORKGROUP_BYTES};
use super::{Kernel, MAX_GROUPS, Operand, grid};
use crate::gpu::Access;
use crate::gpu::reads::resolved;
use crate::gpu::wgsl_items::{Item, Kind, items, reached, renamed};

/// The entry point.
pub const ENTRY: &str = "side_by_side";
/// The most kernels: more make a text that takes long to compile.
pub const MOST_KERNELS: usize = 6;

/// A kernel taken apart.
#[derive(Debug, Clone)]
pub struct Part {
    kernel: Kernel,
    /// The items that the entry point reaches; constants have their values.
    items: Vec<Item>,
    /// Names and kinds of the entry point's parameters, as `("lane", "local_invocation_index")`.
    parameters: Vec<(String, String)>,
    body: String,
    /// Invocations of a workgroup along x, and in all.
    width: usize,
    invocations: usize,
    has_barriers: bool,
}

/// A variable in workgroup memory: the type of its elements, and how many there are; `None` where it is no array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shared {
    element: String,
    length: Option<usize>,
}

impl Shared {
    /// Bytes, if the type is known.
    fn bytes(&self) -> Option<usize> {
        let each = match self.element.as_str() {
            "f32" | "u32" | "i32" => 4,
            "vec2<f32>" | "vec2<u32>" => 8,
            "vec4<f32>" | "vec4<u32>" => 16,
            _ => return None,
        };
        Some(each * self.length.unwrap_or(1))
    }
}

impl Part {
    /// Takes a kernel apart; `None` where it cannot stand beside another.
    pub fn new(kernel: Kernel) -> Option<Part> {
        if kernel.reads_old || kernel.wgsl.contains("subgroup") || kernel.wgsl.contains("@coherent") {
            return None;
        }
        let mut items = reached(&items(&kernel.wgsl), kernel.entry)?;
        let entry = items.remove(items.iter().position(|item| item.name == kernel.entry)?);
        for item in items.iter_mut().filter(|item| item.kind == Kind::Override) {
            item.text = constant(item, &kernel.constants)?;
        }
        let size = |text: &str| -> Option<usize> { number(text, &items) };
        let (_, rest) = entry.text.split_once("@workgroup_size(")?;
        let (sizes, rest) = rest.split_once(')')?;
        let sizes = sizes.split(',').map(|text| size(text.trim())).collect::<Option<Vec<usize>>>()?;
        let (head, body) = rest.split_once('{')?;
        let parameters = head.split_once('(')?.1;
        let parameters = parameters.split("@builtin(").skip(1).map(|text| {
            let (builtin, name) = text.split_once(')')?;
            Some((name.split(':').next()?.trim().to_owned(), builtin.to_owned()))
        });
        let body = body.strip_suffix('}')?.to_owned();
        let has_shared = items.iter().any(is_shared);
        Some(Part {
            parameters: parameters.collect::<Option<Vec<_>>>()?,
            width: sizes[0],
            invocations: sizes.iter().product(),
            has_barriers: has_shared || body.contains("Barrier("),
            kernel,
            items,
            body,
        })
    }

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> usize {
        self.invocations
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// True where workgroups of `invocations` can do its work.
    pub fn fits(&self, invocations: usize) -> bool {
        let divides = !self.has_barriers && invocations.is_multiple_of(self.invocations);
        self.invocations == invocations || divides
    }

    fn groups(&self) -> usize {
        self.kernel.grid.iter().map(|&n| n as usize).product()
    }

    /// The binding of a buffer's variable, and the type of its elements.
    fn buffer(&self, item: &Item) -> Option<(u32, String)> {
        let slot = item.text.split_once("@binding(")?.1.split_once(')')?.0.parse().ok()?;
        let declared = item.text.split_once(": array<")?.1.strip_suffix(">;")?;
        let aliases: String =
            self.items.iter().filter(|i| i.kind == Kind::Other).map(|i| i.text.as_str()).collect();
        Some((slot, resolved(&aliases, declared)))
    }

    /// The type of a variable in workgroup memory.
    fn shared(&self, item: &Item) -> Option<Shared> {
        let declared = item.text.split_once(':')?.1.trim().strip_suffix(';')?;
        let Some(array) = declared.strip_prefix("array<") else {
            return Some(Shared { element: declared.to_owned(), length: None });
        };
        let (element, length) = array.strip_suffix('>')?.rsplit_once(',')?;
        Some(Shared { element: element.trim().to_owned(), length: Some(number(length.trim(), &self.items)?) })
    }
}

fn is_shared(item: &Item) -> bool {
    item.kind == Kind::Variable && item.text.starts_with("var<workgroup>")
}

/// An overridable constant as a constant of its value.
fn constant(item: &Item, values: &[(&'static str, u32)]) -> Option<String> {
    let declared = item.text.strip_prefix("override ")?.strip_suffix(';')?;
    let kind = declared.split_once(':')?.1.split('=').next()?.trim();
    let given = values.iter().find(|(name, _)| *name == item.name).map(|(_, value)| match kind {
        "bool" => (*value != 0).to_string(),
        "f32" => format!("{value}.0"),
        "i32" => format!("{value}i"),
        _ => format!("{value}u"),
    });
    let value = given.or_else(|| Some(declared.split_once('=')?.1.trim().to_owned()))?;
    Some(format!("const {}: {kind} = {value};", item.name))
}

/// A number, or the value of a constant.
fn number(text: &str, items: &[Item]) -> Option<usize> {
    text.trim_end_matches('u').parse().ok().or_else(|| {
        let item = items.iter().find(|item| item.name == text)?;
        item.text.split_once('=')?.1.trim().trim_end_matches(';').trim_end_matches('u').parse().ok()
    })
}

/// The kernels put together so far.
#[derive(Default)]
struct Joint {
    extensions: String,
    text: String,
    operands: Vec<(u32, Access, Operand)>,
    /// The variables of buffers that are read: operand, type, name.
    read: Vec<(Operand, String, String)>,
    shared: Vec<(Shared, String)>,
    branches: String,
    groups: usize,
}

impl Joint {
    /// Adds the declarations of a part.
    fn declare(&mut self, part: &Part, place: usize) -> Option<HashMap<String, String>> {
        let mut names: HashMap<String, String> = HashMap::new();
        let mut buffers = Vec::new();
        let mut taken = vec![false; self.shared.len()];
        for item in &part.items {
            let own = format!("{}_{place}", item.name);
            if item.kind == Kind::Enable {
                let line = format!("{}\n", item.text);
                if !self.extensions.contains(&line) {
                    self.extensions.push_str(&line);
                }
            } else if item.text.starts_with('@') && item.kind == Kind::Variable {
                let (slot, element) = part.buffer(item)?;
                let &(_, access, operand) = part.kernel.operands.iter().find(|(s, ..)| *s == slot)?;
                let twin = self.read.iter().find(|(o, e, _)| *o == operand && *e == element);
                let name =
                    twin.filter(|_| access == Access::Read).map_or(own.clone(), |(.., name)| name.clone());
                if name == own {
                    buffers.push((access, operand, element, own));
                }
                names.insert(item.name.clone(), name);
            } else if is_shared(item) {
                let shared = part.shared(item)?;
                let suits = |(known, _): &(Shared, String)| {
                    known.element == shared.element && known.length.is_some() == shared.length.is_some()
                };
                let at =
                    (0..taken.len()).find(|&i| !taken[i] && suits(&self.shared[i])).unwrap_or_else(|| {
                        self.shared.push((shared.clone(), own));
                        taken.push(false);
                        taken.len() - 1
                    });
                taken[at] = true;
                let known = &mut self.shared[at];
                known.0.length = known.0.length.max(shared.length);
                names.insert(item.name.clone(), known.1.clone());
            } else {
                names.insert(item.name.clone(), own);
            }
        }
        for item in &part.items {
            let is_own = item.kind != Kind::Enable && !item.text.starts_with('@') && !is_shared(item);
            if is_own {
                let _ = writeln!(self.text, "{}", renamed(&item.text, &names));
            }
        }
        for (access, operand, element, name) in buffers {
            let slot = self.operands.len() as u32;
            let mode = if access == Access::Write { "read_write" } else { "read" };
            let _ = writeln!(
                self.text,
                "@group(0) @binding({slot}) var<storage, {mode}> {name}: array<{element}>;"
            );
            self.operands.push((slot, access, operand));
            if access == Access::Read {
                self.read.push((operand, element, name));
            }
        }
        Some(names)
    }

    /// Adds the branch of a part to the entry point, whose workgroups have `invocations`.
    fn branch(&mut self, part: &Part, invocations: usize, names: &HashMap<String, String>) -> Option<()> {
        let [x, y, z] = part.kernel.grid;
        let (each, own) = (invocations / part.invocations, part.groups());
        let first = self.groups;
        self.groups += own.div_ceil(each);
        let open = if first == 0 { "    if" } else { " else if" };
        let _ = writeln!(self.branches, "{open} (all_groups_at < {}u) {{", self.groups);
        let _ = writeln!(self.branches, "        let own_group = all_groups_at - {first}u;");
        let (mut group, mut lane) = ("own_group".to_owned(), "all_lanes_at".to_owned());
        if each > 1 {
            let _ = writeln!(
                self.branches,
                "        let small_group = own_group * {each}u + all_lanes_at / {n}u;\n        \
                 let small_lane = all_lanes_at % {n}u;\n        if (small_group >= {own}u) {{ return; }}",
                n = part.invocations
            );
            (group, lane) = ("small_group".into(), "small_lane".into());
        }
        let wide = part.width;
        let at = match (y, z) {
            (1, 1) => format!("vec3<u32>({group}, 0u, 0u)"),
            (_, 1) => format!("vec3<u32>({group} % {x}u, {group} / {x}u, 0u)"),
            _ => format!("vec3<u32>({group} % {x}u, {group} / {x}u % {y}u, {group} / {}u)", x * y),
        };
        let within = if wide == part.invocations {
            format!("vec3<u32>({lane}, 0u, 0u)")
        } else {
            format!("vec3<u32>({lane} % {wide}u, {lane} / {wide}u, 0u)")
        };
        let tall = part.invocations / wide;
        for (name, builtin) in &part.parameters {
            let value = match builtin.as_str() {
                "workgroup_id" => at.clone(),
                "num_workgroups" => format!("vec3<u32>({x}u, {y}u, {z}u)"),
                "local_invocation_index" => lane.clone(),
                "local_invocation_id" => within.clone(),
                "global_invocation_id" => format!("{at} * vec3<u32>({wide}u, {tall}u, 1u) + {within}"),
                _ => return None,
            };
            let name = names.get(name).unwrap_or(name);
            let _ = writeln!(self.branches, "        let {name} = {value};");
        }
        let _ = write!(self.branches, "{}    }}", renamed(&part.body, names));
        Some(())
    }
}

/// The parts as one kernel; `None` where they do not fit together.
pub fn kernel(parts: &[&Part]) -> Option<Kernel> {
    let invocations = parts.iter().map(|part| part.invocations).max()?;
    if !parts.iter().all(|part| part.fits(invocations)) {
        return None;
    }
    let mut joint = Joint::default();
    for (place, part) in parts.iter().enumerate() {
        let names = joint.declare(part, place)?;
        joint.branch(part, invocations, &names)?;
    }
    let bytes: Option<usize> = joint.shared.iter().map(|(shared, _)| shared.bytes()).sum();
    if bytes? > JOINT_WORKGROUP_BYTES || joint.operands.len() > JOINT_BUFFERS {
        return None;
    }
    if joint.groups > (MAX_GROUPS as usize).pow(2) {
        return None;
    }
    let mut wgsl = joint.extensions + &joint.text;
    for (Shared { element, length }, name) in &joint.shared {
        let declared = length.map_or(element.clone(), |n| format!("array<{element}, {n}>"));
        let _ = writeln!(wgsl, "var<workgroup> {name}: {declared};");
    }
    let grid = grid(joint.groups);
    let _ = write!(
        wgsl,
        "@compute @workgroup_size({invocations})\nfn {ENTRY}(@builtin(workgroup_id) all_groups: vec3<u32>, \
         @builtin(local_invocation_index) all_lanes_at: u32) {{\n    let all_groups_at = all_groups.y * {}u + \
         all_groups.x;\n{}\n}}\n",
        grid[0], joint.branches
    );
    let kernels = parts.iter().map(|part| &part.kernel);
    Some(Kernel {
        entry: ENTRY,
        wgsl,
        constants: vec![],
        operands: joint.operands,
        reads_old: false,
        grid,
        flops: kernels.clone().map(|kernel| kernel.flops).sum(),
        iterations: kernels.clone().map(|kernel| kernel.iterations).max()?,
        parts: kernels.cloned().collect(),
        waits: None,
    })
}
