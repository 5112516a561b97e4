//! The proof that a text for replicas is that of a net alone, by naga's reading of both.
//!
//! Both texts are read, and every function is written out in one notation: each expression by its parts, each load and each
//! result of a call by its turn. In the text for replicas an element of a private buffer has to be the sum of the variable
//! that holds the replica's first element and of the element's place, and is written as that place; the entry point's
//! workgroup has to be the one worked out from `z`, and is written as the parameter. The rest is written as it stands. So
//! the two agree only where nothing else differs.

use std::collections::HashMap;
use std::fmt::{Debug, Write};

use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
use wgpu::naga::{
    self, BinaryOperator, Block, BuiltIn, Expression, Function, GlobalVariable, Handle, Literal, Module,
    ScalarKind, Statement, Type, TypeInner,
};

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
        let plan = Plan { firsts: &firsts, is_entry: name == entry, z };
        let arguments = arguments(&alone, before, &replicas, after, &plan)?;
        let mut own = Walk::new(&alone, before, &mut ids, None);
        let wanted = own.text().map_err(|what| format!("{name}: {what}"))?;
        let mut theirs = Walk::new(&replicas, after, &mut ids, Some(plan));
        theirs.known = arguments;
        let found = theirs.text().map_err(|what| format!("{name}: {what}"))?;
        if theirs.plan.as_ref().is_some_and(|plan| plan.is_entry) && theirs.set.len() != firsts.all.len() {
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

/// The private buffers of the text for replicas.
struct Firsts {
    /// Buffer, the variable that holds the first element, and elements from a part to the next.
    all: Vec<(Handle<GlobalVariable>, Handle<GlobalVariable>, u64)>,
    /// Names of the buffers.
    names: Vec<String>,
}

impl Firsts {
    fn new(alone: &Module, replicas: &Module, private: &[(u32, u64)]) -> Result<Firsts, String> {
        let mut firsts = Firsts { all: Vec::new(), names: Vec::new() };
        for (handle, buffer) in replicas.global_variables.iter() {
            let Some(binding) = buffer.binding else { continue };
            let Some((_, bytes)) = private.iter().find(|(slot, _)| *slot == binding.binding) else {
                continue;
            };
            let name = buffer.name.clone().unwrap_or_default();
            let is_first = |variable: &GlobalVariable| {
                let own = variable.name.as_deref().unwrap_or_default();
                let is_new = alone.global_variables.iter().all(|(_, v)| v.name.as_deref() != Some(own));
                is_new && own.trim_end_matches('_') == format!("{name}_first").trim_end_matches('_')
            };
            let mut found = replicas.global_variables.iter().filter(|(_, variable)| is_first(variable));
            let (Some((first, variable)), None) = (found.next(), found.next()) else {
                return Err(format!("{name} has no first element"));
            };
            let is_number = replicas.types[variable.ty].inner == TypeInner::Scalar(naga::Scalar::U32);
            if variable.space != naga::AddressSpace::Private || variable.init.is_some() || !is_number {
                return Err(format!("the first element of {name} is no plain number"));
            }
            let TypeInner::Array { stride, .. } = replicas.types[buffer.ty].inner else {
                return Err(format!("{name} is no array"));
            };
            firsts.all.push((handle, first, bytes / u64::from(stride)));
            firsts.names.push(name);
        }
        Ok(firsts)
    }

    fn of_buffer(&self, global: Handle<GlobalVariable>) -> Option<Handle<GlobalVariable>> {
        self.all.iter().find(|(buffer, ..)| *buffer == global).map(|(_, first, _)| *first)
    }

    fn stride(&self, variable: Handle<GlobalVariable>) -> Option<u64> {
        self.all.iter().find(|(_, first, _)| *first == variable).map(|(.., stride)| *stride)
    }
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

/// The value of a constant, all parts written out.
fn global_value(module: &Module, handle: Handle<Expression>) -> String {
    match &module.global_expressions[handle] {
        Expression::Constant(constant) => format!("{:?}", module.constants[*constant].name),
        Expression::Override(given) => format!("{:?}", module.overrides[*given].name),
        Expression::ZeroValue(ty) => format!("zero {}", type_name(module, *ty)),
        Expression::Compose { ty, components } => {
            let parts: Vec<String> = components.iter().map(|part| global_value(module, *part)).collect();
            format!("{}({})", type_name(module, *ty), parts.join(", "))
        }
        other => with_handles(other, |index| {
            let mut all = module.global_expressions.iter().map(|(handle, _)| handle);
            all.nth(index).map_or_else(String::new, |handle| global_value(module, handle))
        }),
    }
}

fn type_name(module: &Module, ty: Handle<Type>) -> String {
    let kind = &module.types[ty];
    match &kind.inner {
        TypeInner::Array { base, size, stride } => {
            let size = match size {
                naga::ArraySize::Pending(given) => format!("{:?}", module.overrides[*given].name),
                other => format!("{other:?}"),
            };
            format!("array<{}, {size}, {stride}>", type_name(module, *base))
        }
        TypeInner::Pointer { base, space } => format!("ptr<{}, {space:?}>", type_name(module, *base)),
        TypeInner::Struct { members, .. } => {
            let member = |m: &naga::StructMember| format!("{:?}: {}", m.name, type_name(module, m.ty));
            format!("{:?} {{{}}}", kind.name, members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        inner => format!("{inner:?}"),
    }
}

/// The text of `value`, with what `of` gives for each handle in it.
fn with_handles(value: &impl Debug, mut of: impl FnMut(usize) -> String) -> String {
    let text = format!("{value:?}");
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(open) = rest.find('[') {
        let after = &rest[open + 1..];
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        out.push_str(&rest[..open]);
        rest = after;
        if digits > 0 && after[digits..].starts_with(']') {
            let _ = write!(out, "<{}>", of(after[..digits].parse().unwrap_or_default()));
            rest = &after[digits + 1..];
        } else {
            out.push('[');
        }
    }
    out.push_str(rest);
    out
}

/// What the text for replicas has to do.
struct Plan<'f> {
    firsts: &'f Firsts,
    is_entry: bool,
    z: u32,
}

/// Compares parameters. Gives the expressions of the text for replicas that stand for parameters.
fn arguments(
    alone: &Module,
    before: &Function,
    replicas: &Module,
    after: &Function,
    plan: &Plan<'_>,
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
    let may_add = plan.is_entry && added.iter().all(is_group);
    if !is_same || after.arguments.len() < before.arguments.len() || !(added.is_empty() || may_add) {
        return Err("the parameters are others".into());
    }
    if !plan.is_entry {
        return Ok(known);
    }
    let counts = Some(naga::Binding::BuiltIn(BuiltIn::NumWorkGroups));
    let groups = after.arguments.iter().position(|argument| argument.binding == counts).unwrap_or(usize::MAX);
    for (i, argument) in before.arguments.iter().enumerate() {
        let z = format!("<AccessIndex {{ base: <FunctionArgument({i})>, index: 2 }}>");
        let place = match argument.binding {
            Some(naga::Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::GlobalInvocationId)) => {
                format!("Binary {{ op: Modulo, left: {z}, right: <Literal(U32({}))> }}", plan.z)
            }
            Some(naga::Binding::BuiltIn(BuiltIn::NumWorkGroups)) => format!("Literal(U32({}))", plan.z),
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

/// An expression with all its parts written out.
fn whole(function: &Function, handle: Handle<Expression>) -> String {
    with_handles(&function.expressions[handle], |index| {
        let part = function.expressions.iter().nth(index).map(|(handle, _)| handle);
        part.map_or_else(String::new, |part| whole(function, part))
    })
}

/// Writes out a function.
struct Walk<'w> {
    module: &'w Module,
    function: &'w Function,
    handles: Vec<Handle<Expression>>,
    /// A number for each different expression of both texts.
    ids: &'w mut HashMap<String, usize>,
    memo: HashMap<Handle<Expression>, usize>,
    /// The turn of each load and each result.
    turns: HashMap<Handle<Expression>, usize>,
    /// What stands for parameters.
    known: HashMap<Handle<Expression>, String>,
    /// Of the text for replicas.
    plan: Option<Plan<'w>>,
    /// First elements that are set.
    set: Vec<Handle<GlobalVariable>>,
    elements: usize,
    lines: Vec<String>,
}

impl<'w> Walk<'w> {
    fn new(
        module: &'w Module,
        function: &'w Function,
        ids: &'w mut HashMap<String, usize>,
        plan: Option<Plan<'w>>,
    ) -> Walk<'w> {
        Walk {
            module,
            function,
            handles: function.expressions.iter().map(|(handle, _)| handle).collect(),
            ids,
            memo: HashMap::new(),
            turns: HashMap::new(),
            known: HashMap::new(),
            plan,
            set: Vec::new(),
            elements: 0,
            lines: Vec::new(),
        }
    }

    fn text(&mut self) -> Result<Vec<String>, String> {
        for (_, local) in self.function.local_variables.iter() {
            let init = local.init.map(|init| self.id(init)).transpose()?;
            self.lines.push(format!("var {:?} {} {init:?}", local.name, type_name(self.module, local.ty)));
        }
        let declared = self.lines.len();
        self.block(&self.function.body, declared)?;
        Ok(std::mem::take(&mut self.lines))
    }

    /// The variable of first elements that a pointer leads to.
    fn first(&self, pointer: Handle<Expression>) -> Option<Handle<GlobalVariable>> {
        let firsts = self.plan.as_ref()?.firsts;
        match self.function.expressions[pointer] {
            Expression::GlobalVariable(global) => firsts.stride(global).map(|_| global),
            _ => None,
        }
    }

    fn block(&mut self, block: &'w Block, declared: usize) -> Result<(), String> {
        for statement in block.iter() {
            self.statement(statement, declared)?;
        }
        Ok(())
    }

    fn nested(&mut self, title: String, block: &'w Block) -> Result<(), String> {
        self.lines.push(title);
        self.block(block, usize::MAX)?;
        self.lines.push("end".into());
        Ok(())
    }

    /// `declared`: lines before the first statement.
    fn statement(&mut self, statement: &'w Statement, declared: usize) -> Result<(), String> {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    let Expression::Load { pointer } = self.function.expressions[handle] else { continue };
                    if self.first(pointer).is_none() {
                        self.take_turn(handle);
                        let id = self.id(handle)?;
                        self.lines.push(format!("load {id}"));
                    }
                }
            }
            Statement::Store { pointer, value } => {
                let first = self.first(*pointer).filter(|_| self.lines.len() == declared);
                if let Some(first) = first {
                    return self.set_first(first, *value);
                }
                let (pointer, value) = (self.id(*pointer)?, self.id(*value)?);
                self.lines.push(format!("store {pointer} {value}"));
            }
            Statement::Block(block) => self.nested("block".into(), block)?,
            Statement::If { condition, accept, reject } => {
                let condition = self.id(*condition)?;
                self.nested(format!("if {condition}"), accept)?;
                self.nested("else".into(), reject)?;
            }
            Statement::Switch { selector, cases } => {
                let selector = self.id(*selector)?;
                self.lines.push(format!("switch {selector}"));
                for case in cases {
                    self.nested(format!("case {:?} {}", case.value, case.fall_through), &case.body)?;
                }
            }
            Statement::Loop { body, continuing, break_if } => {
                self.nested("loop".into(), body)?;
                self.nested("continuing".into(), continuing)?;
                let end = break_if.map(|end| self.id(end)).transpose()?;
                self.lines.push(format!("break if {end:?}"));
            }
            Statement::Call { function, arguments, result } => {
                let arguments = arguments.iter().map(|a| self.id(*a)).collect::<Result<Vec<_>, _>>()?;
                let name = &self.module.functions[*function].name;
                self.lines.push(format!("call {name:?} {arguments:?} {}", result.is_some()));
                if let Some(result) = result {
                    self.take_turn(*result);
                }
            }
            other => {
                let mut parts = Vec::new();
                let text = with_handles(other, |index| {
                    parts.push(self.handles[index]);
                    format!("{}", parts.len())
                });
                for &part in &parts {
                    if is_result(&self.function.expressions[part]) && !self.turns.contains_key(&part) {
                        self.take_turn(part);
                    }
                }
                let ids = parts.iter().map(|part| self.id(*part)).collect::<Result<Vec<_>, _>>()?;
                self.lines.push(format!("{text} {ids:?}"));
            }
        }
        Ok(())
    }

    fn take_turn(&mut self, handle: Handle<Expression>) {
        let turn = self.turns.len();
        self.turns.insert(handle, turn);
    }

    /// Checks the value of a first element.
    fn set_first(&mut self, first: Handle<GlobalVariable>, value: Handle<Expression>) -> Result<(), String> {
        let Some(Plan { firsts, is_entry, z }) = &self.plan else { return Ok(()) };
        let place = self.function.arguments.iter().position(|argument| {
            let group = [BuiltIn::WorkGroupId, BuiltIn::GlobalInvocationId].map(naga::Binding::BuiltIn);
            argument.binding.as_ref().is_some_and(|binding| group.contains(binding))
        });
        let wanted = format!(
            "Binary {{ op: Multiply, left: <Binary {{ op: Divide, left: <AccessIndex {{ base: <FunctionArgument({})>, \
             index: 2 }}>, right: <Literal(U32({z}))> }}>, right: <Literal(U32({}))> }}",
            place.unwrap_or(usize::MAX),
            firsts.stride(first).unwrap_or_default()
        );
        let found = whole(self.function, value);
        if !is_entry || self.set.contains(&first) || found != wanted {
            return Err(format!("a first element is {found} in place of {wanted}"));
        }
        self.set.push(first);
        Ok(())
    }

    /// The number of an expression.
    fn id(&mut self, handle: Handle<Expression>) -> Result<usize, String> {
        if let Some(&id) = self.memo.get(&handle) {
            return Ok(id);
        }
        let text = self.expression(handle)?;
        let id = self.of_text(text);
        self.memo.insert(handle, id);
        Ok(id)
    }

    fn of_text(&mut self, text: String) -> usize {
        let next = self.ids.len();
        *self.ids.entry(text).or_insert(next)
    }

    fn expression(&mut self, handle: Handle<Expression>) -> Result<String, String> {
        if let Some(known) = self.known.get(&handle) {
            return Ok(known.clone());
        }
        let turn = self.turns.get(&handle).copied();
        Ok(match &self.function.expressions[handle] {
            Expression::Constant(constant) => format!("const {:?}", self.module.constants[*constant].name),
            Expression::Override(given) => format!("override {:?}", self.module.overrides[*given].name),
            Expression::ZeroValue(ty) => format!("zero {}", type_name(self.module, *ty)),
            Expression::Compose { ty, components } => {
                let parts = components.iter().map(|part| self.id(*part)).collect::<Result<Vec<_>, _>>()?;
                format!("{} {parts:?}", type_name(self.module, *ty))
            }
            Expression::LocalVariable(local) => format!("local {}", local.index()),
            Expression::FunctionArgument(i) => self.argument(*i)?,
            Expression::GlobalVariable(global) => {
                let name = self.module.global_variables[*global].name.clone().unwrap_or_default();
                if let Some(plan) = &self.plan
                    && (plan.firsts.of_buffer(*global).is_some() || plan.firsts.stride(*global).is_some())
                {
                    return Err(format!("{name} is used in another way"));
                }
                format!("global {name}")
            }
            Expression::Access { base, index } if self.buffer(*base).is_some() => {
                self.element(*base, Ok(*index))?
            }
            Expression::AccessIndex { base, index } if self.buffer(*base).is_some() => {
                self.element(*base, Err(*index))?
            }
            Expression::Load { pointer } => {
                let pointer = self.id(*pointer)?;
                format!("load {pointer} in turn {}", turn.ok_or("a load without a turn")?)
            }
            result if is_result(result) => {
                format!("result of turn {}", turn.ok_or("a result without a turn")?)
            }
            other => {
                let mut parts = Vec::new();
                let text = with_handles(other, |index| {
                    parts.push(self.handles[index]);
                    String::new()
                });
                let ids = parts.iter().map(|part| self.id(*part)).collect::<Result<Vec<_>, _>>()?;
                if ids.is_empty() { plain(other) } else { format!("{text} {ids:?}") }
            }
        })
    }

    /// A parameter. Those that say where a workgroup is stand for nothing in the entry point for replicas.
    fn argument(&self, i: u32) -> Result<String, String> {
        let argument = &self.function.arguments[i as usize];
        let changes = [BuiltIn::WorkGroupId, BuiltIn::GlobalInvocationId, BuiltIn::NumWorkGroups];
        let is_changed = |binding: &naga::Binding| match binding {
            naga::Binding::BuiltIn(builtin) => changes.contains(builtin),
            naga::Binding::Location { .. } => false,
        };
        let is_entry = self.plan.as_ref().is_some_and(|plan| plan.is_entry);
        if is_entry && argument.binding.as_ref().is_some_and(is_changed) {
            return Err(format!("{:?} is that of all replicas", argument.name));
        }
        Ok(format!("FunctionArgument({i})"))
    }

    /// The storage buffer that an expression names.
    fn buffer(&self, base: Handle<Expression>) -> Option<Handle<GlobalVariable>> {
        let Expression::GlobalVariable(global) = self.function.expressions[base] else { return None };
        let space = self.module.global_variables[global].space;
        matches!(space, naga::AddressSpace::Storage { .. }).then_some(global)
    }

    /// An element of a buffer.
    fn element(
        &mut self,
        base: Handle<Expression>,
        index: Result<Handle<Expression>, u32>,
    ) -> Result<String, String> {
        let Some(global) = self.buffer(base) else { return Err("no buffer".into()) };
        let name = self.module.global_variables[global].name.clone().unwrap_or_default();
        let first = self.plan.as_ref().and_then(|plan| plan.firsts.of_buffer(global));
        let place = match (first, index) {
            (None, index) => index,
            (Some(first), Ok(index)) => {
                self.elements += 1;
                Ok(self.added(first, index).ok_or_else(|| format!("{name} begins elsewhere"))?)
            }
            (Some(_), Err(index)) => return Err(format!("{name}[{index}] is that of the first replica")),
        };
        let place = match place {
            Err(number) => self.of_text(plain(&Expression::Literal(Literal::U32(number)))),
            // A signed place becomes an unsigned one, so that the sum has one type.
            Ok(handle) => match self.function.expressions[handle] {
                Expression::As { expr, kind: ScalarKind::Uint, convert: Some(4) } => self.id(expr)?,
                _ => self.id(handle)?,
            },
        };
        Ok(format!("element {place} of {name}"))
    }

    /// What is added to a first element.
    fn added(&self, first: Handle<GlobalVariable>, index: Handle<Expression>) -> Option<Handle<Expression>> {
        let expressions = &self.function.expressions;
        let Expression::Binary { op: BinaryOperator::Add, left, right } = expressions[index] else {
            return None;
        };
        let Expression::Load { pointer } = expressions[left] else { return None };
        matches!(expressions[pointer], Expression::GlobalVariable(global) if global == first).then_some(right)
    }
}

/// An expression without parts.
fn plain(expression: &Expression) -> String {
    format!("{expression:?}")
}

/// A line, with the expressions that its numbers stand for.
fn explained(line: &str, ids: &HashMap<String, usize>) -> String {
    let numbers: Vec<usize> = line.split(|c: char| !c.is_ascii_digit()).flat_map(str::parse).collect();
    let mut parts: Vec<_> = ids.iter().filter(|(_, id)| numbers.contains(id)).collect();
    parts.sort_by_key(|(_, id)| **id);
    let parts: Vec<String> = parts.into_iter().map(|(text, id)| format!("{id} = {text}")).collect();
    format!("\"{line}\" ({})", parts.join("; "))
}

/// True for what a statement leaves.
fn is_result(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::CallResult(_)
            | Expression::AtomicResult { .. }
            | Expression::WorkGroupUniformLoadResult { .. }
            | Expression::SubgroupBallotResult
            | Expression::SubgroupOperationResult { .. }
    )
}
