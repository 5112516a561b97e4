//! The rooms of the house stand on floors, and imports go downward only: see ARCHITECTURE.md.

use std::path::{Path, PathBuf};

const FLOORS: [&[&str]; 8] = [
    &["atomic_file", "error", "figure", "shape", "units"],
    &["gpu", "graph", "data"],
    &["kernel", "nn", "optim"],
    &["plan"],
    &["train"],
    &["check"],
    &["bench", "config", "doctor", "report"],
    &["session"],
];

/// Rooms of one floor that may look at each other, and why.
const SIDEWAYS: [(&str, &str, &str); 1] =
    [("kernel", "optim", "the update kernel is told by its optimizer which shader and slots it needs")];

/// Longest file, in lines.
const LONGEST: usize = 500;

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
    let mut rooms = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let ident = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(ident(rest));
            continue;
        };
        // `crate::{a::{b, c}, d}`: the names at the depth of the outer braces
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    rooms.push(ident(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
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
        let code = code(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
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
}
