//! Puts the project's own sources together into one text, the data set `sources`: every `.rs` below `src` and
//! every `.wgsl` below `shaders`, in the order of their paths, each after a line that names it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

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

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let mut all = Vec::new();
    for (dir, ending) in [("src", "rs"), ("shaders", "wgsl")] {
        println!("cargo::rerun-if-changed={dir}");
        files(&root.join(dir), ending, &mut all)?;
    }
    let mut named = Vec::with_capacity(all.len());
    for path in &all {
        let below = path.strip_prefix(&root).map_err(io::Error::other)?;
        let name = below.to_string_lossy().replace('\\', "/");
        // A checkout on Windows may have other ends of lines; the text is the same everywhere.
        named.push((name, fs::read_to_string(path)?.replace("\r\n", "\n")));
    }
    named.sort();
    let mut text = String::new();
    for (name, content) in &named {
        text.push_str(&format!("// {name}\n{}\n", content.trim_end()));
    }
    fs::write(Path::new(&variable("OUT_DIR")?).join("sources.txt"), text)
}
