//! `docs/contributing.md` names files and symbols that exist, and the links of every page lead to files.

use std::collections::BTreeSet;
use std::path::Path;

/// What may stand before a symbol that a file defines.
const DEFINES: &[&str] = &["fn ", "struct ", "enum ", "trait ", "const ", "static ", "type "];
/// Folders and files at the root to which a path on the page may lead.
const ROOTS: &[&str] = &["src", "shaders", "tests", "docs", "benches", "scripts", "examples", "data"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The texts in backticks of a page, with what stands before each; blocks of code are left out.
fn quoted(page: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    for text in page.split("```").step_by(2) {
        let parts: Vec<&str> = text.split('`').collect();
        out.extend(parts.chunks_exact(2).map(|pair| (pair[0], pair[1])));
    }
    out
}

/// True where the text is a path of the project.
fn is_path(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let first = text.split('/').next().unwrap_or_default();
    plain && (ROOTS.contains(&first) || root().join(text).is_file())
}

/// True where the text defines the symbol: as an item, or as a macro that it defines or invokes.
fn defines(text: &str, symbol: &str) -> bool {
    if let Some(name) = symbol.strip_suffix('!') {
        return text.contains(&format!("{name}! {{")) || text.contains(&format!("macro_rules! {name} "));
    }
    DEFINES.iter().any(|word| {
        text.match_indices(&format!("{word}{symbol}")).any(|(at, found)| {
            let rest = text[at + found.len()..].chars().next();
            !rest.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    })
}

#[test]
fn symbols_are_found_in_every_form() {
    let text = "pub struct Lion {\nfn step(\nconst TABLE: &[u8]\nlayers! {\nmacro_rules! section {\n";
    for symbol in ["Lion", "step", "TABLE", "layers!", "section!"] {
        assert!(defines(text, symbol), "{symbol}");
    }
    for symbol in ["Li", "steps", "u8", "losses!", "section"] {
        assert!(!defines(text, symbol), "{symbol}");
    }
    let found = quoted("a `src/lib.rs`: `run` b\n```sh\nmake `x`\n```\nand `c`.");
    assert_eq!(found, [("a ", "src/lib.rs"), (": ", "run"), ("\nand ", "c")]);
}

#[test]
fn every_path_and_symbol_of_the_page_exists() {
    let page = std::fs::read_to_string(root().join("docs/contributing.md")).expect("the page");
    let (mut missing, mut paths, mut pairs) = (BTreeSet::new(), 0, 0);
    let mut last = None;
    for (before, text) in quoted(&page) {
        if is_path(text) {
            paths += 1;
            if !root().join(text).exists() {
                missing.insert(text.to_owned());
            }
            last = Some(text);
        } else if let (": ", Some(path)) = (before, last.take()) {
            pairs += 1;
            let file = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            if !defines(&file, text) {
                missing.insert(format!("{path}: {text}"));
            }
        }
    }
    assert!(paths > 50 && pairs > 20, "{paths} paths and {pairs} symbols were found");
    assert!(missing.is_empty(), "docs/contributing.md names what is not there: {missing:#?}");
}

/// The Markdown files of the root, and those below these folders.
fn pages() -> Vec<std::path::PathBuf> {
    fn walk(folder: &Path, deep: bool, out: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && deep {
                walk(&path, deep, out);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    walk(root(), false, &mut out);
    for folder in ["docs", "data", "benches", "tests"] {
        walk(&root().join(folder), true, &mut out);
    }
    out
}

#[test]
fn links_lead_to_files() {
    let (mut broken, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("UTF-8");
        for prose in text.split("```").step_by(2) {
            for link in prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
                let target = link.0.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains("://") {
                    continue;
                }
                count += 1;
                if !page.parent().expect("a folder").join(target).exists() {
                    broken.push(format!("{}: {target}", page.display()));
                }
            }
        }
    }
    assert!(count > 30, "{count} links");
    assert!(broken.is_empty(), "{broken:#?}");
}
