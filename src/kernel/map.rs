//! A matrix operand that no strides describe: the kernel computes the address of an element from its coordinates. Parts of
//! the address that depend on one coordinate alone are computed once for it.

use super::expr::{Coordinates, Printer, Statement};
use crate::graph::{Node, NodeId};
use crate::shape::Shape;

/// An operand of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// [m, k]
    A,
    /// [k, n]
    B,
}

/// The coordinates that a number in a printed body depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Depends {
    /// The matrix of the batch, or the row of A or the column of B.
    line: bool,
    /// The position along K.
    step: bool,
}

/// The names in a text of WGSL, without numbers.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(part).filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Sorts statements by the coordinates that they depend on.
struct Sorter {
    known: Vec<(String, Depends)>,
    line: Vec<Statement>,
    step: Vec<Statement>,
    both: Vec<Statement>,
}

impl Sorter {
    fn depends(&self, text: &str) -> Depends {
        let mut sum = Depends { line: false, step: false };
        for name in names(text) {
            let d = match name {
                "z" | "i" => Depends { line: true, step: false },
                "k" => Depends { line: false, step: true },
                _ => match self.known.iter().find(|(n, _)| n == name) {
                    Some((_, d)) => *d,
                    None => continue,
                },
            };
            sum = Depends { line: sum.line | d.line, step: sum.step | d.step };
        }
        sum
    }

    fn push(&mut self, statement: Statement) {
        let depends = self.depends(&statement.text);
        if let Some(name) = &statement.name {
            self.known.push((name.clone(), depends));
        }
        match (statement.index, depends.line, depends.step) {
            (true, _, false) => self.line.push(statement),
            (true, false, true) => self.step.push(statement),
            _ => self.both.push(statement),
        }
    }

    /// A load. Terms of its address that depend on one coordinate alone are summed beforehand.
    fn load(&mut self, statement: &Statement, address: &str, array: &str) {
        let mut sums = [Vec::new(), Vec::new(), Vec::new()];
        for term in address.split(" + ") {
            let d = self.depends(term);
            sums[if !d.step { 0 } else { usize::from(d.line) + 1 }].push(term);
        }
        let mut terms = Vec::new();
        for (i, sum) in sums.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
            let text = sum.join(" + ");
            if i == 2 {
                terms.push(text);
                continue;
            }
            let name = format!("{}_sum{}", array, self.known.len());
            self.push(Statement { name: Some(name.clone()), index: true, text });
            terms.push(name);
        }
        let text = format!("f32({array}[{}])", terms.join(" + "));
        self.push(Statement { text, ..statement.clone() });
    }
}

/// The address of a load from the only node in memory.
fn load_address(text: &str) -> Option<&str> {
    let text = text.strip_prefix("f32(").and_then(|t| t.strip_suffix(')')).unwrap_or(text);
    text.strip_prefix("in0[").and_then(|t| t.strip_suffix(']'))
}

/// A structure that carries numbers out of a function, and the function's return statement.
fn carrier(name: &str, numbers: &[String]) -> (String, String) {
    let unused = "unused".to_owned();
    let numbers = if numbers.is_empty() { std::slice::from_ref(&unused) } else { numbers };
    let fields: String = numbers.iter().map(|n| format!(" {n}: u32,")).collect();
    let value = if numbers[0] == unused { "0u".to_owned() } else { numbers.join(", ") };
    (format!("struct {name} {{{fields} }}\n"), format!("    return {name}({value});\n"))
}

/// The slot of an operand whose element [z, row, column] is that of `view` [batch.., rows, columns], a chain of views over
/// one node in memory. `turned` means that it is stored transposed.
pub fn operand(
    nodes: &[Node],
    stored: &dyn Fn(NodeId) -> bool,
    side: Side,
    view: NodeId,
    turned: bool,
) -> String {
    let shape = &nodes[view.0].shape;
    let lead = Shape::from(&shape[..shape.len() - 2]);
    let mut printer = Printer::new(nodes, stored, None, vec![]);
    let mut axes = printer.split("z", &lead);
    let line_first = (side == Side::A) != turned;
    axes.extend(if line_first { ["i".to_owned(), "k".to_owned()] } else { ["k".to_owned(), "i".to_owned()] });
    let (statements, value, _) = printer.statements(view, &Coordinates::Axes(axes));

    let array = if side == Side::A { "a" } else { "b" };
    let mut sorter = Sorter { known: vec![], line: vec![], step: vec![], both: vec![] };
    for statement in &statements {
        match load_address(&statement.text) {
            Some(address) => sorter.load(statement, address, array),
            None => sorter.push(statement.clone()),
        }
    }
    // The numbers that the last function needs from the two before it.
    let used: Vec<&str> = sorter.both.iter().flat_map(|s| names(&s.text)).collect();
    let carried = |given: &[&str], from: &[Statement]| -> Vec<String> {
        let given = given.iter().map(|&n| n.to_owned());
        let bound = given.chain(from.iter().filter_map(|s| s.name.clone()));
        bound.filter(|n| used.contains(&n.as_str())).collect()
    };
    let (line, step) = (carried(&["z", "i"], &sorter.line), carried(&["k"], &sorter.step));
    let upper = array.to_uppercase();
    let (line_struct, line_return) = carrier(&format!("{upper}Line"), &line);
    let (step_struct, step_return) = carrier(&format!("{upper}Step"), &step);
    let body = |statements: &[Statement]| statements.iter().map(Statement::line).collect::<String>();
    let opened = |from: &[String], of: &str| {
        from.iter().map(|n| format!("    let {n} = {of}.{n};\n")).collect::<String>()
    };
    format!(
        "{line_struct}{step_struct}\
         fn {array}_line(z: u32, i: u32) -> {upper}Line {{\n{}{line_return}}}\n\
         fn {array}_step(k: u32) -> {upper}Step {{\n{}{step_return}}}\n\
         fn {array}_number(line: {upper}Line, step: {upper}Step) -> f32 {{\n{}{}{}    return {value};\n}}\n",
        body(&sorter.line),
        body(&sorter.step),
        opened(&line, "line"),
        opened(&step, "step"),
        body(&sorter.both),
    )
}
