//! Python expressions, laid out as a person would.

/// Columns of a line.
const WIDTH: usize = 100;

/// An expression: a text, or a call or a list with parts between its ends.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Code {
    open: String,
    parts: Vec<Part>,
    close: String,
}

/// A part of an expression, with the text around it.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    before: String,
    code: Code,
    /// The comma is in here.
    after: String,
}

impl Code {
    /// A text without parts.
    pub fn text(text: impl Into<String>) -> Code {
        Code { open: text.into(), parts: Vec::new(), close: String::new() }
    }

    /// Parts between two ends, with commas between.
    pub fn between(open: &str, parts: impl IntoIterator<Item = Code>, close: &str) -> Code {
        let part = |code| Part { before: String::new(), code, after: ",".into() };
        Code { open: open.into(), parts: parts.into_iter().map(part).collect(), close: close.into() }
    }

    /// Named parts: each name, `between` and the part, `after`.
    pub fn pairs(
        [open, close]: [&str; 2],
        [before, between, after]: [&str; 3],
        parts: impl IntoIterator<Item = (String, Code)>,
    ) -> Code {
        let part = |(name, code)| Part {
            before: format!("{before}{name}{between}"),
            code,
            after: format!("{after},"),
        };
        Code { open: open.into(), parts: parts.into_iter().map(part).collect(), close: close.into() }
    }

    /// `[code for _ in range(times)]`, spread into the arguments of a call.
    pub fn copies(call: &str, code: Code, times: usize) -> Code {
        let part = Part { before: String::new(), code, after: format!(" for _ in range({times})") };
        Code { open: format!("{call}(*["), parts: vec![part], close: "])".into() }
    }

    /// On one line.
    fn flat(&self) -> String {
        let mut text = self.open.clone();
        for (i, Part { before, code, after }) in self.parts.iter().enumerate() {
            let after = if i + 1 < self.parts.len() { after.as_str() } else { after.trim_end_matches(',') };
            let space = if i > 0 { " " } else { "" };
            text.extend([space, before, &code.flat(), after]);
        }
        text + &self.close
    }

    /// At this indentation, with `beside` more columns taken on its first line. Over several lines where it does not fit
    /// on one, or where `open` asks for it.
    pub fn lines(&self, indent: usize, beside: usize, open: bool) -> String {
        let flat = self.flat();
        if self.parts.is_empty() || (!open && indent + beside + flat.len() <= WIDTH) {
            return flat;
        }
        let inner = indent + 4;
        let mut text = format!("{}\n", self.open);
        for Part { before, code, after } in &self.parts {
            let code = code.lines(inner, before.len() + after.len(), false);
            text += &format!("{:inner$}{before}{code}{after}\n", "");
        }
        text + &format!("{:indent$}{}", "", self.close)
    }
}

/// A call with positional arguments and keywords.
pub(super) struct Call {
    name: &'static str,
    arguments: Vec<String>,
}

impl Call {
    pub fn new(name: &'static str) -> Call {
        Call { name, arguments: Vec::new() }
    }

    /// A positional argument.
    pub fn arg(mut self, value: impl ToString) -> Call {
        self.arguments.push(value.to_string());
        self
    }

    /// A keyword, left out where it is torch's default.
    pub fn key(mut self, name: &str, value: impl ToString, default: &str) -> Call {
        let value = value.to_string();
        if value != default {
            self.arguments.push(format!("{name}={value}"));
        }
        self
    }

    pub fn code(self) -> Code {
        Code::text(format!("{}({})", self.name, self.arguments.join(", ")))
    }
}

/// `True` or `False`.
pub(super) fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A float as Python writes it.
pub(super) fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => format!("float(\"{value}\")"),
    }
}

/// The shortest float that is this f32.
pub(super) fn single(value: f32) -> String {
    match value.is_finite() {
        true => format!("{value:?}"),
        false => number(value.into()),
    }
}

/// A tuple.
pub(super) fn tuple(values: &[usize]) -> String {
    let list = values.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if values.len() == 1 { format!("({list},)") } else { format!("({list})") }
}

/// A number for each axis: one where all are equal, else a tuple.
pub(super) fn axes(values: &[usize]) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|n| n == first) => first.to_string(),
        all => tuple(all),
    }
}

/// A string. JSON's escapes are Python's.
pub(super) fn string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_broken_where_a_line_is_full() {
        let relu = || Code::text("nn.ReLU()");
        let short = Code::between("nn.Sequential(", [relu(), relu()], ")");
        assert_eq!(short.lines(0, 0, false), "nn.Sequential(nn.ReLU(), nn.ReLU())");
        assert_eq!(short.lines(4, 0, true), "nn.Sequential(\n        nn.ReLU(),\n        nn.ReLU(),\n    )");
        let long = Code::copies("nn.Sequential", Code::between("f(", vec![relu(); 9], ")"), 3);
        let lines = long.lines(0, 0, false);
        assert!(lines.starts_with("nn.Sequential(*[\n    f(\n        nn.ReLU(),\n"), "{lines}");
        assert!(lines.ends_with("        nn.ReLU(),\n    ) for _ in range(3)\n])"), "{lines}");
        assert!(lines.lines().all(|line| line.len() <= WIDTH), "{lines}");
    }

    #[test]
    fn literals_are_python() {
        assert_eq!([number(1e-5), number(2.0), number(f64::INFINITY)], ["1e-5", "2.0", "float(\"inf\")"]);
        assert_eq!([single(0.1), single(1.0 / 255.0)], ["0.1", "0.003921569"]);
        assert_eq!([axes(&[3, 3]), axes(&[3, 5]), axes(&[2]), tuple(&[2])], ["3", "(3, 5)", "2", "(2,)"]);
        assert_eq!(string("a \"b\"\n\u{e9}"), "\"a \\\"b\\\"\\n\u{e9}\"");
    }
}
