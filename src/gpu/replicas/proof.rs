//! The proof that a text for replicas is that of a net alone, by naga's reading of both.
//!
//! Both texts are read, and every function is written out in one notation: each expression by its parts, each load and each
//! result of a call by its turn. In the text for replicas an element of a private buffer has to be the sum of the variable
//! that holds the replica's first element and of the element's place, and is written as that place; the entry point's
//! workgroup has to be the one worked out from `z`, and is written as the parameter. The rest is written as it stands. So
//! the two agree only where nothing else differs.

use std::collections::HashMap;

use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
use wgpu::naga::{self, BuiltIn, Expression, Function, GlobalVariable, Handle, Module, TypeInner};

use super::notation::{global_value, type_name, whole};
use super::walk::{Firsts, Task, Walk};
use crate::error::{Error, Result};

/// Checks that `many` is the text that [`rebased`](super::rebased) has to make of `one`, and that naga accepts it. Gives the
/// number of places at which an element of a private buffer stands.
///
/// # Errors
/// [`Error::Gpu`] with the first difference.
pub fn check(one: &str, many: &str, entry: &str, private: &[(u32, u64)], z: u32) -> Result<usize> {
    compare(one, many, entry, private, z)
        .map_err(|what| Error::Gpu(format!("kernel {entry} for several nets is another one: {what}")))
}

fn compare(one: &str, many: &str, entry: &str, private: &[(u32, u64)], z: u32) -> Result<usize, String> {
    let [alone, replicas] = [one, many].map(|text| {
        let module = naga::front::wgsl::parse_str(text).map_err(|err| err.emit_to_string(text))?;
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        validator.validate(&module).map_err(|err| err.emit_to_string(text))?;
        Ok::<Module, String>(module)
    });
    let (alone, replicas) = (alone?, replicas?);
    let firsts = Firsts::new(&alone, &replicas, private)?;
    declarations(&alone, &replicas, &firsts)?;
    let mut ids = HashMap::new();
    let mut elements = 0;
    let functions = |module: &Module| -> Vec<(String, Function)> {
        let named = module.functions.iter().map(|(_, f)| (f.name.clone().unwrap_or_default(), f.clone()));
        let points = module.entry_points.iter().map(|point| (point.name.clone(), point.function.clone()));
        named.chain(points).collect()
    };
    let (before, after) = (functions(&alone), functions(&replicas));
    if before.iter().map(|f| &f.0).ne(after.iter().map(|f| &f.0)) {
        return Err("the functions have other names".into());
    }
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        let task = Task { firsts: &firsts, is_entry: name == entry, z };
        let arguments = arguments(&alone, before, &replicas, after, &task)?;
        let mut own = Walk::new(&alone, before, &mut ids, None);
        let wanted = own.text().map_err(|what| format!("{name}: {what}"))?;
        let mut theirs = Walk::new(&replicas, after, &mut ids, Some(task));
        theirs.known = arguments;
        let found = theirs.text().map_err(|what| format!("{name}: {what}"))?;
        if theirs.task.as_ref().is_some_and(|task| task.is_entry) && theirs.set.len() != firsts.all.len() {
            return Err(format!("{name} does not set every first element"));
        }
        elements += theirs.elements;
        if let Some((a, b)) = wanted.iter().zip(&found).find(|(a, b)| a != b) {
            return Err(format!("{name}: {} in place of {}", explained(b, &ids), explained(a, &ids)));
        }
        if wanted.len() != found.len() {
            return Err(format!("{name} has {} statements in place of {}", found.len(), wanted.len()));
        }
    }
    Ok(elements)
}

/// Buffers, constants and entry points have to be the same, but for the first elements.
fn declarations(alone: &Module, replicas: &Module, firsts: &Firsts) -> Result<(), String> {
    let buffers = |module: &Module, skipped: &[Handle<GlobalVariable>]| -> Vec<String> {
        let rest = module.global_variables.iter().filter(|(handle, _)| !skipped.contains(handle));
        let text = |v: &GlobalVariable| {
            let (name, kind) = (v.name.as_deref().unwrap_or_default(), type_name(module, v.ty));
            let init = v.init.is_some();
            format!("{name} {kind} {:?} {:?} {init} {:?}", v.space, v.binding, v.memory_decorations)
        };
        let mut all: Vec<String> = rest.map(|(_, variable)| text(variable)).collect();
        all.sort();
        all
    };
    let added: Vec<Handle<GlobalVariable>> = firsts.all.iter().map(|(_, first, _)| *first).collect();
    let constants = |module: &Module| -> Vec<String> {
        let init = |init: Handle<Expression>| global_value(module, init);
        let named = module.constants.iter().map(|(_, constant)| {
            format!("const {:?} {} {}", constant.name, type_name(module, constant.ty), init(constant.init))
        });
        let given = module.overrides.iter().map(|(_, given)| {
            let value = given.init.map(init).unwrap_or_default();
            format!("override {:?} {} {value}", given.name, type_name(module, given.ty))
        });
        let points = module.entry_points.iter().map(|point| {
            let sizes = point.workgroup_size_overrides;
            let sizes = sizes.map(|sizes| sizes.map(|size| size.map(init)));
            format!("{} {:?} {:?} {sizes:?}", point.name, point.stage, point.workgroup_size)
        });
        let mut all: Vec<String> = named.chain(given).chain(points).collect();
        all.sort();
        all
    };
    if buffers(alone, &[]) != buffers(replicas, &added) || constants(alone) != constants(replicas) {
        return Err("it declares other buffers or constants".into());
    }
    Ok(())
}

/// Compares parameters. Gives the expressions of the text for replicas that stand for parameters.
fn arguments(
    alone: &Module,
    before: &Function,
    replicas: &Module,
    after: &Function,
    task: &Task<'_>,
) -> Result<HashMap<Handle<Expression>, String>, String> {
    let mut known = HashMap::new();
    let text = |module: &Module, argument: &naga::FunctionArgument| {
        format!("{} {:?}", type_name(module, argument.ty), argument.binding)
    };
    let mut pairs = before.arguments.iter().zip(&after.arguments);
    let is_same = pairs.all(|(a, b)| text(alone, a) == text(replicas, b));
    let added = after.arguments.get(before.arguments.len()..).unwrap_or_default();
    let is_group = |argument: &naga::FunctionArgument| {
        let groups = [BuiltIn::WorkGroupId, BuiltIn::NumWorkGroups].map(naga::Binding::BuiltIn);
        argument.binding.as_ref().is_some_and(|binding| groups.contains(binding))
    };
    let may_add = task.is_entry && added.iter().all(is_group);
    if !is_same || after.arguments.len() < before.arguments.len() || !(added.is_empty() || may_add) {
        return Err("the parameters are others".into());
    }
    if !task.is_entry {
        return Ok(known);
    }
    let counts = Some(naga::Binding::BuiltIn(BuiltIn::NumWorkGroups));
    let groups = after.arguments.iter().position(|argument| argument.binding == counts).unwrap_or(usize::MAX);
    for (i, argument) in before.arguments.iter().enumerate() {
        let z = format!("<AccessIndex {{ base: <FunctionArgument({i})>, index: 2 }}>");
        let place = match argument.binding {
            Some(naga::Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::GlobalInvocationId)) => {
                format!("Binary {{ op: Modulo, left: {z}, right: <Literal(U32({}))> }}", task.z)
            }
            Some(naga::Binding::BuiltIn(BuiltIn::NumWorkGroups)) => format!("Literal(U32({}))", task.z),
            _ => continue,
        };
        // No workgroup runs where there are none.
        let never = format!(
            "Binary {{ op: Equal, left: <AccessIndex {{ base: <FunctionArgument({groups})>, index: 0 }}>, right: \
             <Literal(U32(0))> }}"
        );
        let unknown = format!(
            "Binary {{ op: Multiply, left: {z}, right: <As {{ expr: <{never}>, kind: Uint, convert: Some(4) }}> }}"
        );
        let along = format!("Binary {{ op: Add, left: <{place}>, right: <{unknown}> }}");
        let plane = format!("Swizzle {{ size: Bi, vector: <FunctionArgument({i})>, pattern: [X, Y");
        let is_place = |handle: Handle<Expression>| match &after.expressions[handle] {
            Expression::Compose { ty, components } if components.len() == 2 => {
                let parts = components.iter().map(|part| whole(after, *part)).collect::<Vec<_>>();
                let kind = TypeInner::Vector { size: naga::VectorSize::Tri, scalar: naga::Scalar::U32 };
                parts[0].starts_with(&plane) && parts[1] == along && replicas.types[*ty].inner == kind
            }
            _ => false,
        };
        let named = after.named_expressions.iter().filter(|(_, name)| Some(*name) == argument.name.as_ref());
        let places: Vec<Handle<Expression>> =
            named.map(|(handle, _)| *handle).filter(|handle| is_place(*handle)).collect();
        let [place] = places[..] else {
            return Err(format!("the parameter {:?} is not worked out", argument.name));
        };
        known.insert(place, format!("FunctionArgument({i})"));
    }
    Ok(known)
}

/// A line, with the expressions that its numbers stand for.
fn explained(line: &str, ids: &HashMap<String, usize>) -> String {
    let numbers: Vec<usize> = line.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse).collect();
    let mut parts: Vec<_> = ids.iter().filter(|(_, id)| numbers.contains(id)).collect();
    parts.sort_by_key(|(_, id)| **id);
    let parts: Vec<String> = parts.into_iter().map(|(text, id)| format!("{id} = {text}")).collect();
    format!("\"{line}\" ({})", parts.join("; "))
}
