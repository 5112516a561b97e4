//! A folder to run the binary in, and what came of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// One epoch of 15 steps, the last of 37 samples.
pub const CONFIG: &str = r#"
seed = 4
[data]
source = "digits"
batch_size = 100
[model]
layers = ["flatten", { linear = 16 }, "relu", { linear = 10 }]
loss = "cross_entropy"
[optimizer]
name = "adamw"
lr = 1e-3
[train]
epochs = 1
"#;

/// A temporary folder with `net.toml`, in which commands run.
pub struct Folder {
    dir: TempDir,
}

/// What a command did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("net.toml"), CONFIG).expect("a config");
        Folder { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a file");
    }

    /// Writes a grey PNG, or one in colour where `pixels` are three bytes each.
    pub fn png(&self, name: &str, [width, height]: [u32; 2], pixels: &[u8]) {
        let file = std::fs::File::create(self.path(name)).expect("a file");
        let mut encoder = png::Encoder::new(file, width, height);
        if pixels.len() > (width * height) as usize {
            encoder.set_color(png::ColorType::Rgb);
        }
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
        written.expect("an image");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
    }

    /// A command in this folder. Backtraces are asked for, so that one would be seen; the user's cache is left alone.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_downhill"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).env("RUST_BACKTRACE", "1");
        command.env("DOWNHILL_PIPELINE_CACHE", "off");
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(&self.command(args).output().expect("the binary"))
    }

    /// The same where no Vulkan driver is found.
    pub fn run_without_adapter(&self, args: &[&str]) -> Done {
        let nowhere = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| (name, "/nonexistent"));
        Done::of(&self.command(args).envs(nowhere).output().expect("the binary"))
    }

    /// `train net.toml` on the adapter under test, with more arguments.
    pub fn train(&self, more: &[&str]) -> Done {
        self.run(&[&["train", "net.toml", "--adapter", &crate::adapter::wanted()], more].concat())
    }

    /// [`Folder::train`] into `out`, which must succeed: its metrics.
    pub fn trained(&self, out: &str, more: &[&str]) -> Vec<Value> {
        let done = self.train(&[&["--out", out], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        self.metrics(out)
    }

    /// Every line of the run's metrics; each must be whole JSON.
    pub fn metrics(&self, out: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(&format!("{out}/metrics.jsonl"))).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut: {text:?}");
        text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
    }

    /// Every path below, sorted.
    pub fn listing(&self) -> Vec<String> {
        fn walk(dir: &Path, root: &Path, out: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).expect("a folder") {
                let path = entry.expect("an entry").path();
                out.push(path.strip_prefix(root).expect("below").to_string_lossy().into_owned());
                if path.is_dir() {
                    walk(&path, root, out);
                }
            }
        }
        let mut out = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut out);
        out.sort();
        out
    }
}

impl Done {
    /// What was printed, which must look like no fault of the program.
    #[track_caller]
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        for word in ["panicked", "backtrace", "RUST_", ".rs:"] {
            assert!(!stderr.contains(word), "{word}: {stderr}");
        }
        let code = output.status.code().unwrap_or_else(|| panic!("killed: {}, {stderr}", output.status));
        Done { code, stdout, stderr }
    }

    /// It exited with `code`, saying every one of `words`, in one error that begins so.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
    }
}

/// The lines of one event.
pub fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}
