//! The rooms of the house stand on floors, and imports go downward only: see ARCHITECTURE.md.

#[path = "floors/circles.rs"]
mod circles;

use std::path::{Path, PathBuf};

const FLOORS: [&[&str]; 11] = [
    &["atomic_file", "clock", "error", "figure", "ranks", "regular_file", "shape", "units"],
    &["gpu", "graph", "data"],
    &["kernel", "nn", "optim"],
    &["plan", "check"],
    &["metrics"],
    &["compile"],
    &["engine", "infer"],
    &["train", "export"],
    &["bench", "config", "doctor", "lab"],
    &["run"],
    &["report"],
];

/// Rooms of one floor that may look at each other, and why.
const SIDEWAYS: [(&str, &str, &str); 7] = [
    ("kernel", "optim", "the update kernel is told by its optimizer which shader and slots it needs"),
    ("ranks", "clock", "the time that exchanges take is measured"),
    ("ranks", "error", "a rank that failed is a typed error"),
    ("atomic_file", "error", "a file that cannot be written is a typed error"),
    ("regular_file", "error", "a file that cannot be read is a typed error"),
    ("atomic_file", "units", "the error of a full disk names the bytes written"),
    ("figure", "units", "a count in a page's table is grouped"),
];

/// Rooms that need no device: the names of `gpu` that they use all the same, and the files that do take one.
const WITHOUT_DEVICE: [(&str, &[&str], &[&str]); 8] = [
    ("graph", &[], &[]),
    ("data", &[], &[]),
    ("nn", &[], &[]),
    ("optim", &[], &[]),
    // Texts, bindings, the family of a kernel and the ways to read a buffer; the memory budget is what an open device has left.
    ("kernel", &["Access", "Family", "Reads", "reads", "wgsl", "wgsl_items"], &["kernel/target.rs"]),
    ("plan", &["Access", "Reads", "reads", "replicas"], &["plan/function.rs", "plan/program.rs"]),
    ("metrics", &[], &[]),
    ("compile", &[], &[]),
];

/// Rooms that read and write no file.
const WITHOUT_FILES: [&str; 1] = ["train"];

/// Ways to a file. A path alone is plain data: the record of a checkpoint has one.
const FILE_NAMES: [&str; 3] = ["std::fs", "File", "atomic_file"];

/// Longest file, in lines. Meaning divides files; a file that is longer holds more than one idea.
const LONGEST: usize = 600;

/// The files below `dir` with this ending, and their text.
fn files(dir: &str, ending: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, ending: &str, out: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, ending, out);
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), ending, &mut out);
    out.sort();
    assert!(!out.is_empty(), "no .{ending} in {dir}");
    out
}

/// The room a file of `src` belongs to; `None` for the roots of library and binary, and the binary's own room.
fn room(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("in src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    let name = first.trim_end_matches(".rs").to_owned();
    (!["lib", "main", "cli"].contains(&name.as_str())).then_some(name)
}

fn floor(room: &str) -> usize {
    let at = FLOORS.iter().position(|rooms| rooms.contains(&room));
    at.unwrap_or_else(|| panic!("room {room} stands on no floor; give it one in tests/floors.rs"))
}

/// The text without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The rooms that `crate::` paths of this text begin with, those in braces too.
fn imports(code: &str) -> Vec<String> {
    names_below(code, "crate::")
}

/// The names that follow `prefix` in this text, those in braces too.
fn names_below(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in code.split(prefix).skip(1) {
        let ident = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            names.push(ident(rest));
            continue;
        };
        // `{a::{b, c}, d}`: the names at the depth of the outer braces
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.push(ident(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn imports_go_downward() {
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    for (path, text) in files("src", "rs") {
        let Some(from) = room(&path) else { continue };
        for to in imports(&code(&text)) {
            // What the root re-exports counts as its room: `crate::Error`.
            let to = if to == "Error" { "error".to_owned() } else { to };
            let allowed = SIDEWAYS.iter().position(|(a, b, _)| (*a, *b) == (&from, &to));
            used.extend(allowed);
            if from != to && floor(&to) >= floor(&from) && allowed.is_none() {
                wrong.push(format!("{} imports {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward or sideways:\n{}", wrong.join("\n"));
    for (at, (from, to, _)) in SIDEWAYS.iter().enumerate() {
        assert!(used.contains(&at), "{from} does not import {to} any more: take the exception out");
    }
}

/// Paths below `src`, with `/` between, and their text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below =
        |path: PathBuf| path.strip_prefix(&root).expect("in src").to_string_lossy().replace('\\', "/");
    files("src", "rs").into_iter().map(|(path, text)| (below(path), text)).collect()
}

#[test]
fn no_file_imports_another_in_a_circle() {
    let sources = sources();
    let imports = circles::imports(sources.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let found = circles::report(&imports);
    assert!(found.is_empty(), "files that import each other:\n{found}");
}

#[test]
fn every_room_is_in_the_table_and_there() {
    let mut rooms: Vec<String> = files("src", "rs").iter().filter_map(|(path, _)| room(path)).collect();
    rooms.sort();
    rooms.dedup();
    let mut table: Vec<&str> = FLOORS.concat();
    table.sort_unstable();
    assert_eq!(rooms, table);
}

#[test]
fn only_the_room_gpu_names_wgpu() {
    for (path, text) in files("src", "rs") {
        if room(&path).as_deref() != Some("gpu") {
            assert!(!code(&text).contains("wgpu::"), "{} names wgpu", path.display());
        }
    }
}

/// The code without comments and without the tests at its end.
fn own_code(text: &str) -> String {
    code(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default())
}

/// Whether `name` stands in the code as a whole word.
fn names(code: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(name).any(|(at, _)| {
        !is_part(code[..at].chars().last()) && !is_part(code[at + name.len()..].chars().next())
    })
}

#[test]
fn plans_are_made_without_a_device() {
    for (name, text) in sources() {
        let first = name.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let Some((room, allowed, with_device)) = WITHOUT_DEVICE.iter().find(|(room, ..)| *room == first)
        else {
            continue;
        };
        if with_device.contains(&name.as_str()) || name.contains("/tests") {
            continue;
        }
        for used in names_below(&own_code(&text), "crate::gpu::") {
            assert!(allowed.contains(&used.as_str()), "{name} uses gpu::{used}, and {room} needs no device");
        }
    }
}

#[test]
fn training_touches_no_file() {
    for (name, text) in sources() {
        let first = name.split('/').next().unwrap_or_default();
        if WITHOUT_FILES.contains(&first) && !name.contains("/tests") {
            let code = own_code(&text);
            for way in FILE_NAMES {
                assert!(!names(&code, way), "{name} uses {way}");
            }
        }
    }
}

#[test]
fn the_binary_uses_the_library_as_anyone_would() {
    for (path, text) in files("src", "rs") {
        if path.components().any(|c| c.as_os_str() == "cli") {
            for to in imports(&code(&text)) {
                assert_eq!(to, "cli", "{} imports {to} by crate::, not downhill::", path.display());
            }
        }
    }
}

/// What there is to tell is told to observers and by results. Tests may print.
#[test]
fn the_library_prints_nothing() {
    for (path, text) in files("src", "rs") {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("in src");
        let first = below.components().next().expect("a name").as_os_str();
        let tests = below.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "tests.rs");
        if first == "cli" || first == "main.rs" || tests {
            continue;
        }
        let code = own_code(&text);
        for macro_name in ["print!", "println!", "eprint!", "eprintln!", "dbg!"] {
            let calls = code
                .match_indices(macro_name)
                .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            assert_eq!(calls.count(), 0, "{} calls {macro_name}", path.display());
        }
        for stream in ["io::stdout", "io::stderr"] {
            assert!(!code.contains(stream), "{} names {stream}", path.display());
        }
    }
}

#[test]
fn no_file_is_long() {
    let all = [files("src", "rs"), files("shaders", "wgsl"), files("tests", "rs"), files("examples", "rs")];
    for (path, text) in all.into_iter().flatten() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let text =
        "use crate::a::B;\nuse crate::{b, c::{self, D, E}, f::G};\nlet x = crate::h::i(); // crate::no";
    assert_eq!(imports(&code(text)), ["a", "b", "c", "f", "h"]);
    assert!(imports("use std::x;").is_empty());
    assert_eq!(
        names_below("use crate::gpu::{Access, wgsl::{a, b}}; crate::gpu::Gpu", "crate::gpu::"),
        ["Access", "wgsl", "Gpu"]
    );
    assert!(names("a File;", "File") && !names("DataFile Files", "File"));
}
