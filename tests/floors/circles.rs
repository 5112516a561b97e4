//! Finds files that import each other in a circle, by reading their text.
//!
//! A path (`crate::a::Name`, `super::Name`, `self::a::Name`, `a::Name` for a child module, and what a `use` brought in)
//! leads to the file that defines the name: a re-export on the way is followed, so a `mod.rs` that declares and
//! re-exports its children does not depend on them. Sections under `#[cfg(test)]` and files of tests are left out.

use std::collections::{BTreeMap, BTreeSet};

/// A module's path below the crate, such as `["plan", "fuse"]`.
type Module = Vec<String>;

/// The files that each file imports, with a name of each that it uses.
pub type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// A name that a `use` brings in.
struct Use {
    path: Vec<String>,
    is_public: bool,
}

#[derive(Default)]
struct File {
    name: String,
    /// The names that `use` declarations bring in, and where from.
    uses: BTreeMap<String, Use>,
    /// Modules whose names come in by `*`.
    globs: Vec<Vec<String>>,
    /// Paths in the code itself, and single names as paths of one segment.
    paths: BTreeSet<Vec<String>>,
    /// Names that follow `fn`, `struct`, `const` and their like.
    defined: BTreeSet<String>,
}

/// Identifiers, `::` and other signs, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
    let is_ident = |c: char| c.is_alphanumeric() || c == '_';
    let find = |from: usize, end: &[char]| {
        (from..chars.len()).find(|&i| chars[i..].starts_with(end)).map_or(chars.len(), |i| i + end.len())
    };
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => i = find(i, &['\n']),
            ('/', '*') => i = find(i, &['*', '/']),
            ('r', '"') => i = find(i + 2, &['"']),
            ('r', '#') => {
                let hashes = (i + 1..).take_while(|&j| at(j) == '#').count();
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                i = find(i + 2 + hashes, &end);
            }
            ('"', _) => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            ('\'', '\\') => i = find(i + 3, &['\'']),
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            ('\'', _) => i += 1 + (i + 1..).take_while(|&j| is_ident(at(j))).count(),
            (':', ':') => {
                out.push("::".into());
                i += 2;
            }
            (c, _) if is_ident(c) => {
                let length = (i..).take_while(|&j| is_ident(at(j))).count();
                out.push(chars[i..i + length].iter().collect());
                i += length;
            }
            (c, _) => {
                if !c.is_whitespace() {
                    out.push(c.into());
                }
                i += 1;
            }
        }
    }
    out
}

/// The index after the item that begins at `start`: after its `;`, or after its outermost braces.
fn item_end(tokens: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token == ";" || token == "}") {
            return i + 1;
        }
    }
    tokens.len()
}

/// The tokens without the items under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut out = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        if tokens[i..].iter().zip(attribute).filter(|(a, b)| a == b).count() == attribute.len() {
            i = item_end(tokens, i + attribute.len());
        } else {
            out.push(tokens[i].clone());
            i += 1;
        }
    }
    out
}

/// The paths of a `use` tree, each with the name it brings in: `*` for a glob.
fn use_tree(tokens: &[String], prefix: &[String], out: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "::" => {}
            "{" => {
                let (mut depth, mut start) = (0, i + 1);
                for (j, token) in tokens.iter().enumerate().skip(i) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if (depth == 1 && token == ",") || depth == 0 {
                        use_tree(&tokens[start..j], &path, out);
                        start = j + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
                return;
            }
            "as" => {
                let name = tokens.get(i + 1).cloned().unwrap_or_default();
                out.push((path, name));
                return;
            }
            "self" if !path.is_empty() => {}
            segment => path.push(segment.to_owned()),
        }
        i += 1;
    }
    if let Some(last) = path.last().cloned().filter(|_| !tokens.is_empty()) {
        if last == "*" {
            path.pop();
        }
        out.push((path, last));
    }
}

fn read(name: &str, text: &str) -> File {
    let tokens = without_tests(&tokens(text));
    let mut file = File { name: name.to_owned(), ..File::default() };
    let is_name = |t: &str| t.chars().all(|c| c.is_alphanumeric() || c == '_');
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "use" => {
                let end = (i..tokens.len()).find(|&j| tokens[j] == ";").map_or(tokens.len(), |j| j + 1);
                let before = i.checked_sub(1).map_or("", |j| tokens[j].as_str());
                let mut found = Vec::new();
                use_tree(&tokens[i + 1..end - 1], &[], &mut found);
                for (path, name) in found {
                    if name == "*" {
                        file.globs.push(path);
                    } else {
                        file.uses.insert(name, Use { path, is_public: before == "pub" || before == ")" });
                    }
                }
                i = end;
            }
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "macro_rules" => {
                let name = tokens[i + 1..].iter().find(|t| *t != "!" && *t != "mut");
                file.defined.extend(name.cloned());
                i += 1;
            }
            token if is_name(token) => {
                let mut path = vec![token.to_owned()];
                i += 1;
                while tokens.get(i).is_some_and(|t| t == "::")
                    && tokens.get(i + 1).is_some_and(|t| is_name(t))
                {
                    path.push(tokens[i + 1].clone());
                    i += 2;
                }
                file.paths.insert(path);
            }
            _ => i += 1,
        }
    }
    file
}

/// The module of a file below `src`; the roots of library and binary are the crate's.
fn module_of(name: &str) -> Module {
    let name = name.trim_end_matches(".rs");
    let mut module: Module = name.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

struct Tree {
    modules: BTreeMap<Module, File>,
}

/// Where a path leads.
enum Found {
    Module(Module),
    File(String),
}

impl Tree {
    /// The end of a path that begins in `from`; `None` where it leaves the crate.
    fn resolve(&self, from: &Module, path: &[String], seen: &mut Vec<(Module, String)>) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Found::Module(Vec::new()),
            "self" => Found::Module(from.clone()),
            "super" => Found::Module(from[..from.len().checked_sub(1)?].to_vec()),
            name => self.member(from, name, seen, false)?,
        };
        self.walk(start, rest, seen)
    }

    fn walk(&self, start: Found, rest: &[String], seen: &mut Vec<(Module, String)>) -> Option<Found> {
        let mut cursor = start;
        for segment in rest {
            let Found::Module(module) = cursor else { break };
            cursor = match segment.as_str() {
                "super" => Found::Module(module[..module.len().checked_sub(1)?].to_vec()),
                name => self.member(&module, name, seen, true)?,
            };
        }
        Some(cursor)
    }

    /// What `name` is in a module: a child, a name brought in, or (`is_inside`) what the module's file must define.
    fn member(
        &self,
        module: &Module,
        name: &str,
        seen: &mut Vec<(Module, String)>,
        is_inside: bool,
    ) -> Option<Found> {
        let child: Module = module.iter().cloned().chain([name.to_owned()]).collect();
        if self.modules.contains_key(&child) {
            return Some(Found::Module(child));
        }
        let file = self.modules.get(module)?;
        let key = (module.clone(), name.to_owned());
        if let Some(used) = file.uses.get(name).filter(|_| !seen.contains(&key)) {
            seen.push(key);
            return self.resolve(module, &used.path, seen);
        }
        for glob in file.globs.iter().filter(|_| !file.defined.contains(name)) {
            if let Some(Found::Module(there)) = self.resolve(module, glob, &mut seen.clone())
                && let Some(other) = self.modules.get(&there)
                && (other.defined.contains(name) || other.uses.get(name).is_some_and(|used| used.is_public))
            {
                return self.member(&there, name, seen, true);
            }
        }
        (is_inside || file.defined.contains(name)).then(|| Found::File(file.name.clone()))
    }
}

/// The imports between files, each a path below `src` with its text.
pub fn imports<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Imports {
    let is_test = |name: &str| name.split('/').any(|part| part == "tests" || part == "tests.rs");
    let files = files.into_iter().filter(|(name, _)| !is_test(name));
    let tree = Tree { modules: files.map(|(name, text)| (module_of(name), read(name, text))).collect() };
    let mut all = Imports::new();
    for (module, file) in &tree.modules {
        let out = all.entry(file.name.clone()).or_default();
        let private = file.uses.values().filter(|used| !used.is_public).map(|used| &used.path);
        for path in file.paths.iter().chain(private) {
            // A name of the library that the binary's root re-exports under itself is not resolved: another crate.
            if let Some(Found::File(to)) = tree.resolve(module, path, &mut Vec::new())
                && to != file.name
            {
                out.entry(to).or_insert_with(|| path.join("::"));
            }
        }
    }
    all
}

/// The sets of files that import each other in a circle.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut todo: Vec<&String> = imports[from].keys().collect();
        while let Some(next) = todo.pop() {
            if seen.insert(next) {
                todo.extend(imports.get(next).into_iter().flat_map(BTreeMap::keys));
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<&String>> = imports.keys().map(|f| (f, reached(f))).collect();
    let mut out: Vec<Vec<String>> = Vec::new();
    for (&file, seen) in &reach {
        if seen.contains(file) && !out.iter().flatten().any(|f| f == file) {
            let both = seen.iter().filter(|other| reach[**other].contains(file));
            out.push(both.map(|f| (*f).clone()).collect());
        }
    }
    out
}

/// The circles in words: each set, then the imports within it.
pub fn report(imports: &Imports) -> String {
    let mut text = String::new();
    for circle in circles(imports) {
        text.push_str(&format!("{}\n", circle.join(", ")));
        for from in &circle {
            for (to, path) in imports[from].iter().filter(|(to, _)| circle.contains(to)) {
                text.push_str(&format!("    {from} uses {path} of {to}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&imports(files.iter().copied()))
    }

    #[test]
    fn circles_are_found_however_the_import_is_written() {
        let c = "pub struct C; fn f() { crate::a::one(); }";
        for a in [
            "use crate::b::{D, c::C}; pub fn one() {}",
            "use super::b::c; pub fn one() { let _ = c::C; }",
            "pub fn one() -> crate::b::c::C { panic!() }",
            "pub fn one() -> super::b::c::C { panic!() }",
            "use crate::b::*; pub fn one() -> C { panic!() }",
            "pub use crate::b::C; pub fn one() -> C { panic!() }",
        ] {
            let files = [("a.rs", a), ("b/mod.rs", "mod c; pub use c::C; pub struct D;"), ("b/c.rs", c)];
            assert_eq!(found(&files), [["a.rs", "b/c.rs"]], "{a}");
        }
    }

    #[test]
    fn a_parent_that_only_re_exports_stands_in_no_circle() {
        let child = ("a/b.rs", "use super::X; pub struct B(X);");
        assert!(found(&[("a/mod.rs", "mod b; pub use b::{A, B}; pub struct X;"), child]).is_empty());
        let user = ("a/mod.rs", "mod b; pub use b::B; pub struct X; fn f(_: B) {}");
        assert_eq!(found(&[user, child]), [["a/b.rs", "a/mod.rs"]]);
        let inline = ("a/mod.rs", "mod b; pub struct X; fn f() { b::B::new(); }");
        assert_eq!(found(&[inline, child]), [["a/b.rs", "a/mod.rs"]]);
        // The name comes from elsewhere: the parent is not what the child needs.
        let passes = ("a/mod.rs", "mod b; pub use crate::x::X; fn f() { b::B::new(); }");
        assert!(found(&[passes, child, ("x.rs", "pub struct X;")]).is_empty());
    }

    #[test]
    fn tests_comments_strings_and_other_crates_are_no_imports() {
        let a = r##"
            // crate::b::B
            /* crate::b::B */
            use std::b::B;
            const T: &str = "crate::b::B"; const U: char = '"'; const R: &str = r#"crate::b::B" "#;
            fn a<'a>(x: &'a str) {}
            #[cfg(test)]
            mod tests { use crate::b::B; fn f() {} }
            #[cfg(test)]
            use crate::b::B;
        "##;
        let b = ("b.rs", "use crate::a::T; pub struct B;");
        assert!(found(&[("a.rs", a), b]).is_empty());
        assert_eq!(imports([("a.rs", a), b])["b.rs"].keys().collect::<Vec<_>>(), ["a.rs"]);
        assert!(imports([("a.rs", a), b])["a.rs"].is_empty());
        let c = ("c/tests.rs", "use crate::b::B;");
        assert!(!imports([("a.rs", a), b, c]).contains_key("c/tests.rs"));
    }
}
