//! Writes two files that the library includes:
//! - `shaders.rs`, the list of every `.wgsl` below `shaders` with its text, for `gpu::wgsl`;
//! - `sources.txt`, the data set `sources`: every `.rs` below `src` and every `.wgsl` below `shaders` in the order of
//!   their paths, each after a line that names it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Collects the files below `dir` that have this ending.
fn files(dir: &Path, ending: &str, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, ending, out)?;
        } else if path.extension().is_some_and(|e| e == ending) {
            out.push(path);
        }
    }
    Ok(())
}

/// The text of `shaders.rs`: an array of names without the ending, each with its text. `names` are paths below the
/// project that begin with `shaders/`.
fn shader_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::from("&[\n");
    for path in names {
        let name = path.trim_start_matches("shaders/").trim_end_matches(".wgsl");
        let text = format!(r#"include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/{path}"))"#);
        list.push_str(&format!("    ({name:?}, {text}),\n"));
    }
    list + "]\n"
}

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let mut paths = Vec::new();
    for (dir, ending) in [("src", "rs"), ("shaders", "wgsl")] {
        println!("cargo::rerun-if-changed={dir}");
        files(&root.join(dir), ending, &mut paths)?;
    }
    let mut sources = Vec::with_capacity(paths.len());
    for path in &paths {
        let below = path.strip_prefix(&root).map_err(io::Error::other)?;
        let name = below.to_string_lossy().replace('\\', "/");
        // A checkout on Windows may end lines with CR LF. The data set is the same everywhere.
        sources.push((name, fs::read_to_string(path)?.replace("\r\n", "\n")));
    }
    sources.sort();
    let shaders = sources.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("shaders/"));
    fs::write(out.join("shaders.rs"), shader_list(shaders))?;
    let mut text = String::new();
    for (name, content) in &sources {
        text.push_str(&format!("// {name}\n{}\n", content.trim_end()));
    }
    fs::write(out.join("sources.txt"), text)
}
