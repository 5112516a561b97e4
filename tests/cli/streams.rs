//! Standard output, standard error and files that cannot be written: an error, never a panic or a signal.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{Done, Folder};

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device that is full").into()
}

/// A line of a shell in the folder; `"$@"` is the program with `args`.
fn shell(folder: &Folder, line: &str, args: &[&str]) -> Command {
    let own = folder.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).arg(own.get_program()).args(args);
    command.current_dir(folder.path("")).stdin(Stdio::null()).env("RUST_BACKTRACE", "1");
    command.env("DOWNHILL_PIPELINE_CACHE", "off");
    command
}

fn in_shell(folder: &Folder, line: &str, args: &[&str]) -> Done {
    Done::of(&shell(folder, line, args).output().expect("a shell"))
}

#[test]
fn lost_output_is_an_error() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    folder.write("image.npy", npy());
    let adapter = crate::adapter::wanted();
    for args in [
        &["optimizers"][..],
        &["explain", "net.toml"],
        &["explain", "net.toml", "--json"],
        &["data", "inspect", "net.toml"],
        &["completions", "bash"],
        &["reference"],
        &["reference", "layers"],
        &["--help"],
        &["--version"],
        &["help", "train"],
        &["compare", "run", "run"],
        &["adapters"],
        &["eval", "run", "--json", "--adapter", &adapter],
        &["predict", "run", "image.npy", "--adapter", &adapter],
        &["lr-find", "net.toml", "--steps", "3", "--csv", "--adapter", &adapter],
        &["train", "net.toml", "--json", "--out", "json", "--adapter", &adapter],
        &["train", "net.toml", "--out", "plain", "--adapter", &adapter],
    ] {
        let output = folder.command(args).stdout(full()).output().expect("the binary");
        let done = Done::of(&output);
        done.refused(1, &["cannot write standard output", "No space left"]);
        assert_eq!(done.stderr.matches("error: ").count(), 1, "{args:?}: {}", done.stderr);
    }
    // The runs themselves are whole.
    for run in ["json", "plain"] {
        assert_eq!(folder.read(&format!("{run}/model.safetensors")), folder.read("run/model.safetensors"));
    }
    // An error that came before decides the exit code.
    let mut broken = folder.command(&["eval", "run", "--adapter", &adapter, "--assert", "eval_loss < 0"]);
    let done = Done::of(&broken.stdout(full()).output().expect("the binary"));
    done.refused(3, &["eval_loss < 0", "cannot write standard output"]);
}

/// An image of zeros as the digits are, in NumPy's format.
fn npy() -> Vec<u8> {
    let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8, 8), }".to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([0; 256]);
    bytes
}

#[test]
fn a_fault_that_cannot_be_told_keeps_its_exit_code() {
    let folder = Folder::new();
    for (args, code) in [
        (&["train", "absent.toml"][..], 2),
        (&["train", "--unheard-of"], 2),
        (&["train"], 2),
        (&["compare", "absent", "net.toml"], 2),
        (&["predict", "absent", "-"], 2),
    ] {
        let told = folder.run(args);
        assert_eq!(told.code, code, "{args:?}: {}", told.stderr);
        let output = folder.command(args).stderr(full()).output().expect("the binary");
        assert_eq!(output.status.code(), Some(code), "{args:?}, where standard error is full");
        for line in [r#"exec "$@" 2>&-"#, r#"exec "$@" >&- 2>&-"#, r#"exec "$@" >/dev/full 2>/dev/full"#] {
            let status = shell(&folder, line, args).status().expect("a shell");
            assert_eq!(status.code(), Some(code), "{args:?}: {line}");
        }
    }
    // Nothing is wrong with a run whose output nobody wants.
    let train = ["train", "net.toml", "--adapter", &crate::adapter::wanted(), "--steps", "2"];
    let status = shell(&folder, r#"exec "$@" >&- 2>&-"#, &train).status().expect("a shell");
    assert_eq!(status.code(), Some(0));
    let status = shell(&folder, r#"exec "$@" 2>/dev/full"#, &train).stdout(Stdio::null()).status();
    assert_eq!(status.expect("a shell").code(), Some(0));
}

#[test]
fn a_pipe_whose_reader_leaves_ends_quietly() {
    let folder = Folder::new();
    for args in
        [&["optimizers"][..], &["reference", "layers"], &["explain", "net.toml", "--json"], &["--help"]]
    {
        let line = r#"{ "$@"; echo $? > code; } | head -1 >/dev/null"#;
        let done = in_shell(&folder, line, args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        assert_eq!(folder.read("code"), b"0\n", "{args:?}");
    }
}

/// `ulimit -f`: by itself the system ends a process that writes more, with SIGXFSZ.
#[test]
fn a_limit_of_the_size_of_files_is_an_error() {
    let folder = Folder::new();
    let done = in_shell(&folder, r#"ulimit -f 2; exec "$@" > printed"#, &["optimizers"]);
    done.refused(1, &["cannot write standard output", "File too large"]);

    let train = ["train", "net.toml", "--out", "run", "-q", "--adapter", &crate::adapter::wanted()];
    let done = in_shell(&folder, r#"ulimit -f 4; exec "$@""#, &train);
    done.refused(1, &["cannot write run/model.safetensors", "File too large", "resume run"]);
    let left = [
        "net.toml",
        "printed",
        "run",
        "run/.lock",
        "run/config.toml",
        "run/metrics.jsonl",
        "run/system.json",
    ];
    assert_eq!(folder.listing(), left, "half a file is left");
    let last = folder.metrics("run").pop().expect("a line");
    assert_eq!((last["event"].as_str(), last["step"].as_u64()), (Some("failed"), Some(15)), "{last}");
    assert!(last["error"].as_str().is_some_and(|error| error.contains("File too large")), "{last}");

    // Where there is room it goes on, and is as if nothing had been.
    let done = folder.run(&["resume", "run", "--adapter", &crate::adapter::wanted()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    folder.trained("whole", &[]);
    assert_eq!(folder.read("run/model.safetensors"), folder.read("whole/model.safetensors"));
    let [run, whole] = ["run", "whole"].map(|run| crate::runs::timeless(&folder.metrics(run)));
    assert_eq!(run, whole);
}

/// A directory that is removed during the run is an error that names it. It is not made again.
#[test]
fn a_run_whose_directory_vanishes_ends() {
    let folder = Folder::new();
    for (run, settings) in
        [("a", &["checkpoint.every_steps=1"][..]), ("b", &["checkpoint={}", "watch.tensorboard=true"])]
    {
        let adapter = crate::adapter::wanted();
        let mut args = vec!["train", "net.toml", "--out", run, "--adapter", &adapter];
        args.extend(settings.iter().chain(&["train.epochs=1000000"]).flat_map(|setting| ["--set", *setting]));
        let mut command = folder.command(&args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary");
        let start = Instant::now();
        let has_begun =
            || std::fs::metadata(folder.path(run).join("metrics.jsonl")).is_ok_and(|of| of.len() > 0);
        while !has_begun() {
            assert!(start.elapsed() < Duration::from_secs(120), "{run} has not begun");
            std::thread::sleep(Duration::from_millis(10));
        }
        // A checkpoint that is being written may come between.
        while std::fs::remove_dir_all(folder.path(run)).is_err() && folder.path(run).exists() {}
        let end = Instant::now() + Duration::from_secs(120);
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > end {
                child.kill().expect("a child");
                panic!("{run}: it still trains, and its directory is gone");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let done = Done::of(&child.wait_with_output().expect("an end"));
        done.refused(1, &[&format!("{run}/")]);
        assert!(!done.stderr.contains("resume"), "there is nothing to resume: {}", done.stderr);
        assert_eq!(folder.listing(), ["net.toml"], "{run} was made again");
    }
}
