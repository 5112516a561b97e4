//! Pages and examples that say what the code says.

use std::collections::BTreeMap;

use downhill::config::Config;
use downhill::data::synth::{self, Kind, SynthOptions};
use downhill::kernel::{Family, Target};
use toml::Table;

fn text(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{name}: {err}"))
}

/// `docs/reference/` holds what the program writes, file by file, and nothing else.
#[test]
fn the_reference_pages_are_what_the_code_says() {
    const AGAIN: &str = "write the pages again: cargo run --release -- reference --out docs/reference";
    let written = tempfile::tempdir().expect("a folder");
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_downhill"))
        .args(["reference", "--out"])
        .arg(written.path())
        .output()
        .expect("the program");
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    let pages = |folder: &std::path::Path| {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("UTF-8"))
        };
        std::fs::read_dir(folder).expect("the folder").map(read).collect::<BTreeMap<String, String>>()
    };
    let have = pages(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference"));
    let want = pages(written.path());
    assert!(have.keys().eq(want.keys()), "{:?} against {:?}; {AGAIN}", have.keys(), want.keys());
    for (name, want) in &want {
        for (line, (have, want)) in (1..).zip(have[name].lines().zip(want.lines())) {
            assert_eq!(have, want, "docs/reference/{name}, line {line}; {AGAIN}");
        }
        assert_eq!(have[name].len(), want.len(), "docs/reference/{name}; {AGAIN}");
    }
}

/// Every file of `benches/atlas` reads, and `docs/atlas.md` with its figure is what the program makes of them.
#[test]
fn the_atlas_page_is_what_the_files_say() {
    const AGAIN: &str =
        "write the page again: downhill bench atlas --compare benches/atlas/*.json --page docs/atlas.md";
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("benches/atlas")).expect("the folder");
    let mut files: Vec<std::path::PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let written = tempfile::tempdir().expect("a folder");
    let page = written.path().join("atlas.md");
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_downhill"))
        .args(["bench", "atlas", "--compare"])
        .args(&files)
        .arg("--page")
        .arg(&page)
        .output()
        .expect("the program");
    assert!(program.status.success(), "{}", String::from_utf8_lossy(&program.stderr));
    for name in ["atlas.md", "atlas.svg"] {
        let want = std::fs::read_to_string(written.path().join(name)).expect("UTF-8");
        assert_eq!(text(&format!("docs/{name}")), want, "docs/{name}; {AGAIN}");
    }
}

/// Every file there is a result to report, and the README lists it.
#[test]
fn the_files_of_the_atlas_are_results() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/atlas");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    for entry in std::fs::read_dir(&root).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let atlas = downhill::bench::Atlas::read(&path).expect("an atlas");
        assert!(!atlas.quick, "{}: made with --quick", path.display());
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(readme.contains(&format!("`{name}`")), "benches/atlas/README.md does not list {name}");
    }
}

/// The README and every page below `docs`.
fn pages() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut pages, mut folders) = (vec!["README.md".to_owned()], vec!["docs".to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{folder}/{}", entry.file_name().display());
            match entry.file_type().expect("a type") {
                kind if kind.is_dir() => folders.push(name),
                _ if name.ends_with(".md") => pages.push(name),
                _ => {}
            }
        }
    }
    pages
}

/// Data that a reader of the pages has, and the repository has not.
const OWN_DATA: [&str; 5] = ["photos", "book.txt", "data/digits28", "low.safetensors", "high.safetensors"];

/// A PNG of one pixel.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\xdachpP\0\0\x02$\0\xe1\x95\xa4\xb1\x8b\0\0\0\0IEND\xaeB`\x82";

/// A folder with a little of each of [`OWN_DATA`].
fn own_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for class in ["cat", "dog"] {
        let class = folder.path().join("photos").join(class);
        std::fs::create_dir_all(&class).expect("a folder");
        for image in 0..8 {
            std::fs::write(class.join(format!("{image}.png")), PIXEL).expect("an image");
        }
    }
    std::fs::write(folder.path().join("book.txt"), "Once upon a time there was a mouse.\n".repeat(100))
        .expect("a text");
    let digits = SynthOptions { kind: Kind::Digits28, count: 256, seed: 0, force: false };
    synth::write(&digits, &folder.path().join("data/digits28"), &mut |_| {}).expect("digits");
    for (name, classes) in [("low", 7), ("high", 3)] {
        std::fs::write(folder.path().join(format!("{name}.safetensors")), arrays(classes)).expect("digits");
    }
    folder
}

/// Digits of this many classes, as docs/guide/fine-tuning.md has them.
fn arrays(classes: i64) -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let images = vec![0; 8 * 64 * 4];
    let labels: Vec<u8> = (0..8).flat_map(|i| (i % classes).to_le_bytes()).collect();
    let part = |part: &str| {
        let x = TensorView::new(Dtype::F32, vec![8, 1, 8, 8], &images).expect("images");
        let y = TensorView::new(Dtype::I64, vec![8], &labels).expect("labels");
        [(format!("x_{part}"), x), (format!("y_{part}"), y)]
    };
    safetensors::serialize(part("train").into_iter().chain(part("test")), None).expect("safetensors")
}

/// Every TOML in a page can be planned; sections it does not have are those of `examples/digits.toml`.
#[test]
fn configs_in_pages_can_be_planned() {
    let base: Table = text("examples/digits.toml").parse().expect("TOML");
    let own = own_data();
    let mut count = 0;
    for name in &pages() {
        for block in text(name).split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let block = OWN_DATA.iter().fold(block.to_owned(), |block, data| {
                block.replace(&format!("\"{data}\""), &format!("'{}'", own.path().join(data).display()))
            });
            let mut table = base.clone();
            table.extend(block.parse::<Table>().unwrap_or_else(|err| panic!("{name}: {err}: {block}")));
            let config = Config::parse(&table.to_string(), &[]).unwrap_or_else(|err| panic!("{name}: {err}"));
            let data = config.dataset().unwrap_or_else(|err| panic!("{name}: {err}"));
            let planned = config.plan(&data, Target::new(Family::Tiled));
            planned.unwrap_or_else(|err| panic!("{name}: {err}"));
            count += 1;
        }
    }
    assert!(count > 0, "no page has a config");
}
