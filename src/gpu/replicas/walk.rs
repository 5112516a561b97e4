//! Writes out a function, so that two of them can be compared.

use std::collections::HashMap;

use wgpu::naga::{
    self, BinaryOperator, Block, BuiltIn, Expression, Function, GlobalVariable, Handle, Literal, Module,
    ScalarKind, Statement, TypeInner,
};

use super::notation::{plain, type_name, whole, with_handles};

/// The private buffers of the text for replicas.
pub(super) struct Firsts {
    /// Buffer, the variable that holds the first element, and elements from a part to the next.
    pub all: Vec<(Handle<GlobalVariable>, Handle<GlobalVariable>, u64)>,
    /// Names of the buffers.
    names: Vec<String>,
}

impl Firsts {
    pub fn new(alone: &Module, replicas: &Module, private: &[(u32, u64)]) -> Result<Firsts, String> {
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

    pub fn stride(&self, variable: Handle<GlobalVariable>) -> Option<u64> {
        self.all.iter().find(|(_, first, _)| *first == variable).map(|(.., stride)| *stride)
    }
}

/// The task of the text for replicas.
pub(super) struct Task<'f> {
    pub firsts: &'f Firsts,
    pub is_entry: bool,
    pub z: u32,
}

/// Writes out a function.
pub(super) struct Walk<'w> {
    module: &'w Module,
    function: &'w Function,
    handles: Vec<Handle<Expression>>,
    /// A number for each different expression of both texts.
    ids: &'w mut HashMap<String, usize>,
    memo: HashMap<Handle<Expression>, usize>,
    /// The turn of each load and each result.
    turns: HashMap<Handle<Expression>, usize>,
    /// The words in place of parameters.
    pub known: HashMap<Handle<Expression>, String>,
    /// The one in the text for replicas.
    pub task: Option<Task<'w>>,
    /// First elements that are set.
    pub set: Vec<Handle<GlobalVariable>>,
    pub elements: usize,
    lines: Vec<String>,
}

impl<'w> Walk<'w> {
    pub fn new(
        module: &'w Module,
        function: &'w Function,
        ids: &'w mut HashMap<String, usize>,
        task: Option<Task<'w>>,
    ) -> Walk<'w> {
        Walk {
            module,
            function,
            handles: function.expressions.iter().map(|(handle, _)| handle).collect(),
            ids,
            memo: HashMap::new(),
            turns: HashMap::new(),
            known: HashMap::new(),
            task,
            set: Vec::new(),
            elements: 0,
            lines: Vec::new(),
        }
    }

    pub fn text(&mut self) -> Result<Vec<String>, String> {
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
        let firsts = self.task.as_ref()?.firsts;
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
        let Some(Task { firsts, is_entry, z }) = &self.task else { return Ok(()) };
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
                if let Some(task) = &self.task
                    && (task.firsts.of_buffer(*global).is_some() || task.firsts.stride(*global).is_some())
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
        let is_entry = self.task.as_ref().is_some_and(|task| task.is_entry);
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
        let first = self.task.as_ref().and_then(|task| task.firsts.of_buffer(global));
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

    /// The index that is added to a first element.
    fn added(&self, first: Handle<GlobalVariable>, index: Handle<Expression>) -> Option<Handle<Expression>> {
        let expressions = &self.function.expressions;
        let Expression::Binary { op: BinaryOperator::Add, left, right } = expressions[index] else {
            return None;
        };
        let Expression::Load { pointer } = expressions[left] else { return None };
        matches!(expressions[pointer], Expression::GlobalVariable(global) if global == first).then_some(right)
    }
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
