//! Runs and sweeps for the tests of reports: those in `tests/fixtures/report`, as downhill wrote them, and others made of them.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use downhill::figure::page::{Page, document};
use downhill::report::{RunRecord, several_page as several, single_page, sweep_page as sweep};

/// The run and the sweep, by paths that are the same on every machine.
pub const RUN: &str = "tests/fixtures/report/run";
pub const SWEEP: &str = "tests/fixtures/report/sweep";
/// Points of a curve, as the program has them.
pub const POINTS: usize = 2_000;

/// A run's page, without an evaluation.
pub fn page_of(run: &Path) -> Page {
    single_page(&RunRecord::read(run, POINTS).expect("a run"), None, None)
}

/// A folder with a run of this config, these lines of metrics, and other files.
pub fn run(parent: &Path, name: &str, config: &str, metrics: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = parent.join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for (file, text) in [("config.toml", config), ("metrics.jsonl", metrics)].iter().chain(files) {
        fs::write(folder.join(file), text).expect("a file is written");
    }
    folder
}

/// The config of the run in the fixture.
pub fn config() -> String {
    fs::read_to_string(Path::new(RUN).join("config.toml")).expect("a config")
}

/// Lines of steps whose loss falls, with a spike in the middle.
pub fn steps(count: u64) -> String {
    let mut out = String::new();
    for step in 1..=count {
        let spike = if step == count / 2 { 9.5 } else { 0.0 };
        let loss =
            2.0 / (1.0 + step as f64 * 20.0 / count as f64) + 0.05 * ((step * 7919) % 13) as f64 + spike;
        let _ = writeln!(
            out,
            "{{\"event\":\"step\",\"step\":{step},\"epoch\":1,\"loss\":{loss},\"lr\":0.01,\"skipped_steps\":0,\"grad_norm\":{}}}",
            loss * 1.5
        );
    }
    out
}

pub fn run_page() -> String {
    document(&page_of(Path::new(RUN)))
}

/// The fixture beside two others, of which one failed.
pub fn several_records(parent: &Path) -> Vec<RunRecord> {
    let other = config().replace("lr = 0.01", "lr = 0.1").replace("adamw", "adam");
    let metrics = fs::read_to_string(Path::new(RUN).join("metrics.jsonl")).expect("metrics");
    let half: String = metrics.lines().take(45).map(|line| format!("{line}\n")).collect();
    let failed =
        "{\"event\":\"failed\",\"step\":40,\"state\":\"diverged\",\"error\":\"the loss became NaN\"}\n";
    let a = run(parent, "other", &other, &metrics.replace("\"loss\":2", "\"loss\":1"), &[]);
    let b = run(parent, "failed", &other.replace("0.1", "1.0"), &(half + failed), &[]);
    [Path::new(RUN), &a, &b].iter().map(|path| RunRecord::read(path, POINTS).expect("a run")).collect()
}

pub fn several_page() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    document(&several(&several_records(folder.path()), None))
}

pub fn sweep_page() -> String {
    document(&sweep(Path::new(SWEEP), None, 2000).expect("a sweep"))
}

/// A text that breaks out of a page where it is not escaped.
pub const HOSTILE: &str =
    "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload=\"alert(3)&amp;'";

/// A run whose names, classes, config and errors are hostile.
pub fn hostile_run(parent: &Path) -> PathBuf {
    // A folder's name has no slash.
    let name = HOSTILE.replace('/', "\u{2215}");
    let quoted = serde_json::to_string(HOSTILE).expect("JSON");
    let data = format!(
        "{{\"kind\":\"images\",\"classes\":[{quoted},\"b\"],\"channels\":1,\"height\":8,\"width\":8,\"fit\":null,\
         \"scale\":{{\"factor\":[1.0],\"offset\":[0.0]}}}}"
    );
    let config = format!("{}\n# {HOSTILE}\n", config().replace("\"digits\"", "\"images\"\npath = \"x\""));
    let system = format!(
        "{{\"adapter\":{quoted},\"driver\":{quoted},\"version\":{quoted},\"segments\":[{{\"end\":{quoted}}}]}}"
    );
    let profile = format!(
        "{{\"kernels\":[{{\"kernel\":{quoted},\"what\":{quoted},\"makes\":[1],\"share\":1.0,\"calls\":10,\"mean_seconds\":1e-5}}]}}"
    );
    let metrics = format!(
        "{{\"event\":\"step\",\"step\":1,\"epoch\":1,\"loss\":1.0,\"lr\":0.1,\"metrics\":{{{quoted}:0.5}}}}\n\
         {{\"event\":\"step\",\"step\":2,\"epoch\":1,\"loss\":0.5,\"lr\":0.1,\"metrics\":{{{quoted}:0.25}}}}\n\
         {{\"event\":\"statistics\",\"step\":2,\"tensors\":[{{\"name\":{quoted},\"update_ratio\":0.01}}],\
         \"dead_units\":[{{\"layer\":{quoted},\"units\":8,\"dead\":2}}]}}\n\
         {{\"event\":\"epoch\",\"epoch\":1,\"train_loss\":0.75,\"eval_loss\":0.5,\"eval_metrics\":{{{quoted}:0.25}},\
         \"eval_confusion\":[[3,1],[2,4]]}}\n\
         {{\"event\":\"failed\",\"step\":2,\"state\":\"failed\",\"error\":{quoted}}}\n"
    );
    run(
        parent,
        &name,
        &config,
        &metrics,
        &[("data.json", &data), ("system.json", &system), ("profile.json", &profile)],
    )
}

pub fn hostile_page() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    document(&page_of(&hostile_run(folder.path())))
}

/// A sweep of so many runs over learning rates and seeds, each with `epochs` epochs.
pub fn large_sweep(parent: &Path, runs: usize, epochs: usize) -> PathBuf {
    let folder = parent.join("large");
    fs::create_dir_all(&folder).expect("a folder");
    let mut toml = String::from("[sweep]\n");
    let mut events = String::new();
    for i in 0..runs {
        let lr = 1e-3 * (1 + i / 8) as f64;
        let _ = write!(toml, "\n[[run]]\n\"optimizer.lr\" = {lr:?}\nseed = {}\n", i % 8);
        for epoch in 1..=epochs {
            let loss = 2.0 / epoch as f64 + 0.01 * i as f64;
            let line = format!(
                "\"epoch\":{epoch},\"train_loss\":{loss},\"eval_loss\":{loss},\"eval_accuracy\":0.5,\"samples_per_second\":1e4"
            );
            let _ = writeln!(events, "{{\"event\":\"epoch\",\"replica\":{i},{line}}}");
            if epoch == epochs {
                let _ = writeln!(
                    events,
                    "{{\"event\":\"end\",\"replica\":{i},\"end\":\"finished\",\"steps\":60,\"last\":{{{line}}}}}"
                );
            }
        }
    }
    fs::write(folder.join("sweep.toml"), toml).expect("a file is written");
    fs::write(folder.join("sweep.jsonl"), events).expect("a file is written");
    for i in 0..runs {
        let lr = 1e-3 * (1 + i / 8) as f64;
        let own =
            folder.join(format!("{i:0width$}-lr={lr}-seed={}", i % 8, width = (runs - 1).to_string().len()));
        fs::create_dir_all(&own).expect("a folder");
        fs::write(own.join("config.toml"), config()).expect("a file is written");
    }
    folder
}
