//! Runs that are killed, stopped, refused and gone on with, by the binary.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{Done, Folder, events};
use crate::runs::timeless;

fn train<'a>(folder: &Folder, out: &'a str, more: &[&'a str]) -> Child {
    let adapter = crate::adapter::wanted();
    let args = [&["train", "net.toml", "--adapter", &adapter, "--out", out], more].concat();
    folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

fn resume(folder: &Folder, out: &str) -> Child {
    let args = ["resume", out, "--adapter", &crate::adapter::wanted()];
    folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

fn done(child: Child) -> Done {
    Done::of(&child.wait_with_output().expect("the binary"))
}

/// Waits until a file is there.
#[track_caller]
fn await_file(folder: &Folder, name: &str) {
    let start = Instant::now();
    while !folder.path(name).exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{name} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn assert_alike(folder: &Folder, whole: &str, other: &str) {
    assert_eq!(timeless(&folder.metrics(whole)), timeless(&folder.metrics(other)));
    let weights = |run: &str| folder.read(&format!("{run}/model.safetensors"));
    assert!(weights(whole) == weights(other), "other weights");
}

/// Kills a run `kills` times, each time some steps further on or soon after it began, and lets it end.
fn kill(kills: u32, more: &[&str]) {
    let folder = Folder::new();
    let whole = done(train(&folder, "whole", more));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let metrics = |run: &str| {
        std::fs::metadata(folder.path(&format!("{run}/metrics.jsonl"))).map_or(0, |meta| meta.len())
    };
    let share = 1.4 * metrics("whole") as f64 / f64::from(kills + 2);
    // xorshift64, from 0 to 1
    let mut seed = 0x2545_f491u64;
    let mut chance = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut at = Vec::new();
    for _ in 0..kills {
        let before = metrics("killed");
        let begun = folder.path("killed/config.toml").exists();
        let mut child = if begun { resume(&folder, "killed") } else { train(&folder, "killed", more) };
        let start = Instant::now();
        // Some before its first step: while it starts, reads a checkpoint, takes lines back.
        let soon = (chance() < 0.25).then(|| Duration::from_millis((400.0 * chance()) as u64));
        let bytes = before + (share * chance()) as u64;
        while soon.map_or(metrics("killed") < bytes, |soon| start.elapsed() < soon) {
            assert_eq!(child.try_wait().expect("a child"), None, "it ended before, after kills at {at:?}");
            std::thread::sleep(Duration::from_micros(500));
        }
        std::thread::sleep(Duration::from_micros((5000.0 * chance()) as u64));
        child.kill().expect("SIGKILL");
        child.wait().expect("a child");
        let lines = std::fs::read_to_string(folder.path("killed/metrics.jsonl")).unwrap_or_default();
        at.push(lines.matches("\"event\":\"step\"").count());
    }
    println!("{kills} kills, after steps {at:?}");
    let end = done(resume(&folder, "killed"));
    assert_eq!(end.code, 0, "after kills at {at:?}: {}{}", end.stdout, end.stderr);
    assert_alike(&folder, "whole", "killed");
}

#[test]
fn a_run_that_is_killed_goes_on_to_equal_bits() {
    kill(5, &["--steps", "300", "--set", "checkpoint.every_steps=5"]);
}

/// Some 80 kills, two thirds of the time within a write: a checkpoint after every second step.
#[test]
#[ignore = "takes minutes; benches/RESULTS.md has its result"]
fn so_does_one_that_is_killed_eighty_times() {
    kill(60, &["--steps", "3000", "--set", "checkpoint.every_steps=2"]);
    kill(20, &["--steps", "1000", "--set", "checkpoint.every_steps=3", "--set", "data.residence=streamed"]);
}

#[cfg(unix)]
#[test]
fn sigterm_and_ctrl_c_keep_a_checkpoint_and_say_how_to_go_on() {
    let folder = Folder::new();
    let steps = ["--steps", "2000"];
    let whole = done(train(&folder, "whole", &steps));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    for signal in ["-TERM", "-INT"] {
        let run = format!("run{signal}");
        let child = train(&folder, &run, &steps);
        await_file(&folder, &format!("{run}/metrics.jsonl"));
        while folder.read(&format!("{run}/metrics.jsonl")).is_empty() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let stopped = done(child);
        assert_eq!(stopped.code, 130, "{}{}", stopped.stdout, stopped.stderr);
        assert!(stopped.stdout.contains(&format!("resume {run}")), "{}", stopped.stdout);
        let steps = events(&folder.metrics(&run), "step").len();
        assert!(folder.path(&format!("{run}/checkpoints/step-{steps}")).exists(), "{steps}");
        let end = done(resume(&folder, &run));
        assert_eq!(end.code, 0, "{}", end.stderr);
        assert!(end.stdout.contains(&format!("after step {steps} of 2000")), "{}", end.stdout);
        assert_alike(&folder, "whole", &run);
        let again = done(resume(&folder, &run));
        assert_eq!(again.code, 0);
        assert!(again.stdout.contains("nothing to resume"), "{}", again.stdout);
    }
}

#[cfg(unix)]
#[test]
fn a_second_process_is_refused() {
    let folder = Folder::new();
    let mut first = train(&folder, "run", &["--steps", "1000000", "--set", "checkpoint.every_steps=10"]);
    await_file(&folder, "run/checkpoints");
    let second = done(resume(&folder, "run"));
    let third = done(train(&folder, "run", &[]));
    first.kill().expect("SIGKILL");
    first.wait().expect("a child");
    for refused in [second, third] {
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("in use by another process"), "{}", refused.stderr);
    }
}

/// A file may have so many bytes and no more, which stands for a full disk.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_an_error_and_the_checkpoint_before_stays() {
    let folder = Folder::new();
    let settings = "--steps 600 --set checkpoint.every_steps=50 --set checkpoint.keep_last=9";
    assert_eq!(done(train(&folder, "whole", &settings.split(' ').collect::<Vec<_>>())).code, 0);
    // The metrics pass 32 KiB after some 400 steps.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} train net.toml --adapter {} --out run {settings}",
        env!("CARGO_BIN_EXE_downhill"),
        crate::adapter::wanted()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path("")).env("DOWNHILL_PIPELINE_CACHE", "off");
    let full = Done::of(&command.output().expect("sh"));
    assert_eq!(full.code, 1, "{}{}", full.stdout, full.stderr);
    assert!(full.stderr.contains("cannot write") && full.stderr.contains("resume run"), "{}", full.stderr);
    let end = done(resume(&folder, "run"));
    assert_eq!(end.code, 0, "{}", end.stderr);
    assert!(end.stdout.contains("resume   run after step"), "{}", end.stdout);
    assert_alike(&folder, "whole", "run");
}

#[test]
fn train_goes_on_with_its_run_by_resume() {
    let folder = Folder::new();
    let steps = ["--steps", "40", "--set", "checkpoint.every_steps=10"];
    // There is no run yet: it is begun.
    let begun = done(train(&folder, "run", &[&steps[..], &["--resume"]].concat()));
    assert_eq!(begun.code, 0, "{}", begun.stderr);
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("the run is not done");
    std::fs::remove_dir_all(folder.path("run/checkpoints/step-40")).expect("the last checkpoint");
    let lr = [&steps[..], &["--resume", "--set", "optimizer.lr=0.1"]].concat();
    let other = done(train(&folder, "run", &lr));
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("optimizer.lr: 0.001 then, 0.1 now"), "{}", other.stderr);
    let gone_on = done(train(&folder, "run", &[&steps[..], &["--resume"]].concat()));
    assert_eq!(gone_on.code, 0, "{}", gone_on.stderr);
    assert!(gone_on.stdout.contains("after step 30 of 40"), "{}", gone_on.stdout);
    // By the run alone it is the same as resume.
    let run = folder.run(&["train", "--resume", "run"]);
    assert!(run.code == 0 && run.stdout.contains("nothing to resume"), "{}{}", run.stdout, run.stderr);
    let nowhere = folder.run(&["resume", "nowhere"]);
    assert!(nowhere.code == 2 && nowhere.stderr.contains("no such directory"), "{}", nowhere.stderr);
}

/// Weights that a run began from are kept with it.
#[test]
fn a_run_from_weights_that_is_killed_at_once_begins_from_them_again() {
    let folder = Folder::new();
    folder.trained("first", &["--steps", "20"]);
    let init = ["--init", "first/model.safetensors", "--steps", "20"];
    assert_eq!(done(train(&folder, "whole", &init)).code, 0);
    let mut child = train(&folder, "killed", &init);
    await_file(&folder, "killed/config.toml");
    child.kill().expect("SIGKILL");
    child.wait().expect("a child");
    let end = done(resume(&folder, "killed"));
    assert_eq!(end.code, 0, "{}", end.stderr);
    assert_alike(&folder, "whole", "killed");
}
