//! Naga's reading of a text, in words without handles.

use std::fmt::{Debug, Write};

use wgpu::naga::{self, Expression, Function, Handle, Module, Type, TypeInner};

/// The value of a constant, all parts written out.
pub(super) fn global_value(module: &Module, handle: Handle<Expression>) -> String {
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

pub(super) fn type_name(module: &Module, ty: Handle<Type>) -> String {
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
pub(super) fn with_handles(value: &impl Debug, mut of: impl FnMut(usize) -> String) -> String {
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

/// An expression with all its parts written out.
pub(super) fn whole(function: &Function, handle: Handle<Expression>) -> String {
    with_handles(&function.expressions[handle], |index| {
        let part = function.expressions.iter().nth(index).map(|(handle, _)| handle);
        part.map_or_else(String::new, |part| whole(function, part))
    })
}

/// An expression without parts.
pub(super) fn plain(expression: &Expression) -> String {
    format!("{expression:?}")
}
