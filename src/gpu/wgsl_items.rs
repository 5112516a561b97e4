//! The items of a shader: its declarations and functions, one by one, so that shaders can be put together.
//!
//! The texts are those that `wgsl.rs` composes. Comments are left out. A name that a module declares may be given
//! another; members of structs keep theirs.

use std::collections::HashMap;
use std::ops::Range;

/// The kind of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An extension of the language.
    Enable,
    /// A constant that the pipeline sets.
    Override,
    /// A variable of the module: a buffer, or memory of the workgroup or of an invocation.
    Variable,
    /// A function, entry points among them.
    Function,
    /// A constant, an alias, a struct.
    Other,
}

/// A declaration of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The kind.
    pub kind: Kind,
    /// The name; of [`Kind::Enable`] the extension.
    pub name: String,
    /// The whole text, attributes included, without comments.
    pub text: String,
}

/// The items of a module in order.
pub fn items(wgsl: &str) -> Vec<Item> {
    let text = uncommented(wgsl);
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A brace closes a function or a struct; everything else ends with a semicolon.
        if depth == 0 && (c == ';' || c == '}') {
            items.extend(item(text[start..=at].trim()));
            start = at + 1;
        }
    }
    items
}

fn uncommented(wgsl: &str) -> String {
    wgsl.lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim_end().to_owned() + "\n")
        .collect()
}

fn item(text: &str) -> Option<Item> {
    let mut words = words(text).map(|range| &text[range]);
    let kind = words.by_ref().find_map(|word| match word {
        "enable" => Some(Kind::Enable),
        "override" => Some(Kind::Override),
        "var" => Some(Kind::Variable),
        "fn" => Some(Kind::Function),
        "const" | "alias" | "struct" => Some(Kind::Other),
        _ => None,
    })?;
    let is_name = |word: &&str| kind != Kind::Variable || !ADDRESS_SPACES.contains(word);
    Some(Item { kind, name: words.find(is_name)?.to_owned(), text: text.to_owned() })
}

/// Words between `var` and the name of a variable.
const ADDRESS_SPACES: [&str; 7] =
    ["storage", "read", "read_write", "uniform", "workgroup", "private", "function"];

/// The places of identifiers and keywords; members of structs and parts of numbers are none.
pub fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            if !is_part(bytes[at]) {
                at += 1;
                continue;
            }
            while at < bytes.len() && is_part(bytes[at]) {
                at += 1;
            }
            let is_member = start > 0 && bytes[start - 1] == b'.';
            if !bytes[start].is_ascii_digit() && !is_member {
                return Some(start..at);
            }
        }
        None
    })
}

/// The text with other names for what `names` lists.
pub fn renamed(text: &str, names: &HashMap<String, String>) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len() * 2), 0);
    for word in words(text) {
        if let Some(name) = names.get(&text[word.clone()]) {
            out.push_str(&text[from..word.start]);
            out.push_str(name);
            from = word.end;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Those of `items` that the entry point reaches, itself included, and the extensions, in order; `None` where it is missing.
pub fn reached(items: &[Item], entry: &str) -> Option<Vec<Item>> {
    let by_name: HashMap<&str, usize> = (0..).zip(items).map(|(i, item)| (item.name.as_str(), i)).collect();
    let mut is_reached: Vec<bool> = items.iter().map(|item| item.kind == Kind::Enable).collect();
    let mut open = vec![*by_name.get(entry)?];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut is_reached[at], true) {
            let text = &items[at].text;
            open.extend(words(text).filter_map(|word| by_name.get(&text[word])));
        }
    }
    Some(items.iter().zip(is_reached).filter(|(_, reached)| *reached).map(|(item, _)| item.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "enable f16;
alias T = f32; // of numbers
@group(0) @binding(3) var<storage, read> a: array<vec4<T>>; // a[i]
override N: u32 = 1u;
struct Pair { a: f32, b: f32 }
var<workgroup> tree: array<f32, N>;
fn f(i: u32) -> Pair { return Pair(a[i].x, 1.5e-3f); }
fn g() {}
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) { if (lane < N) { tree[lane] = f(lane).a + 2.a; } }
";

    #[test]
    fn a_module_falls_into_its_items() {
        let items = items(TEXT);
        let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["f16", "T", "a", "N", "Pair", "tree", "f", "g", "main"]);
        assert_eq!(items[2].text, "@group(0) @binding(3) var<storage, read> a: array<vec4<T>>;");
        assert!(items[8].text.starts_with("@compute") && items[8].text.ends_with("} }"));
    }

    #[test]
    fn an_entry_point_reaches_what_it_names() {
        let all = items(TEXT);
        let names: Vec<String> = reached(&all, "main").unwrap().into_iter().map(|item| item.name).collect();
        assert_eq!(names, ["f16", "T", "a", "N", "Pair", "tree", "f", "main"]);
        assert!(reached(&all, "other").is_none());
    }

    #[test]
    fn members_keep_their_names() {
        let names = [("a", "b"), ("x", "y")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        let text = renamed("a[x] + s.a + a1 + 1.x + ax.x", &HashMap::from(names));
        assert_eq!(text, "b[y] + s.a + a1 + 1.x + ax.x");
    }
}
