//! Checkpoints of a run: when they come, which stay, what is in them, and what becomes of damaged ones.

use std::fs;
use std::path::Path;

use downhill::error::Result;
use downhill::train::{CheckpointRecord, EpochRecord, Observer, RunEnd, RunStart, StepRecord};

use crate::session::{At, assert_alike, resume, start};

/// Flips a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("a file");
}

#[test]
fn damaged_checkpoints_are_passed_over_and_told_of() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, run) = (dir.path().join("whole"), dir.path().join("run"));
    start(&whole, &[]).run(&mut ()).expect("a run");
    for name in ["state.safetensors", "model.safetensors", "checkpoint.json", "checksums.txt"] {
        for cut in [false, true] {
            let _ = fs::remove_dir_all(&run);
            let mut session = start(&run, &["checkpoint.keep_last=3"]);
            let handle = session.handle();
            session.run(&mut At(16, || handle.stop())).expect("a stop");
            drop(session);
            let checkpoints = run.join("checkpoints");
            let newest = fs::read_dir(&checkpoints).expect("checkpoints").flatten().map(|e| e.path());
            let newest =
                newest.max_by_key(|p| p.to_string_lossy().rsplit('-').next().map(|n| n.parse::<u64>().ok()));
            let file = newest.expect("one").join(name);
            match cut {
                false => flip(&file),
                true => {
                    let bytes = fs::read(&file).expect("a file");
                    fs::write(&file, &bytes[..bytes.len() / 2]).expect("a file");
                }
            }
            let mut session = resume(&run).expect("the one before");
            let notes = session.notes().join("\n");
            assert!(notes.contains("passed over") && notes.contains(name), "{notes}");
            if cut && name == "state.safetensors" {
                session.run(&mut ()).expect("the end");
                assert_alike(&whole, &run);
            }
        }
    }
    // None is whole.
    let _ = fs::remove_file(run.join("model.safetensors"));
    for entry in fs::read_dir(run.join("checkpoints")).expect("checkpoints").flatten() {
        flip(&entry.path().join("state.safetensors"));
    }
    let err = resume(&run).expect_err("no whole one").to_string();
    assert!(err.contains("no checkpoint") && err.contains("checksum"), "{err}");
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    starts: Vec<u64>,
    steps: usize,
    epochs: Vec<EpochRecord>,
    checkpoints: Vec<u64>,
    ends: Vec<(RunEnd, u64)>,
}

impl Observer for Told {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        assert_eq!((start.total_steps, start.steps_per_epoch, start.batch_size), (36, 12, 128));
        self.starts.push(start.step);
        Ok(())
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.steps += steps.len();
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.epochs.push(epoch.clone());
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        assert!(checkpoint.path.ends_with(format!("step-{}", checkpoint.step)));
        self.checkpoints.push(checkpoint.step);
        Ok(())
    }

    fn end(&mut self, end: RunEnd, step: u64) -> Result<()> {
        self.ends.push((end, step));
        Ok(())
    }
}

fn kept(run: &Path) -> Vec<u64> {
    let names = fs::read_dir(run.join("checkpoints")).expect("checkpoints").flatten().map(|e| e.file_name());
    let step = |name: std::ffi::OsString| name.to_str().and_then(|n| n.strip_prefix("step-")?.parse().ok());
    let mut steps: Vec<u64> = names.map(|name| step(name).expect("a checkpoint and nothing else")).collect();
    steps.sort_unstable();
    steps
}

#[test]
fn checkpoints_come_when_they_are_due_and_the_last_and_best_stay() {
    let dir = tempfile::tempdir().expect("a folder");
    let runs = |settings: &[&str]| {
        let run = dir.path().join("run");
        let _ = fs::remove_dir_all(&run);
        let mut told = Told::default();
        start(&run, settings).run(&mut told).expect("a run");
        assert_eq!((told.starts, told.steps, told.epochs.len()), (vec![0], 36, 3));
        assert_eq!(told.ends, [(RunEnd::Finished, 36)]);
        (told.checkpoints, kept(&run), told.epochs)
    };
    let (written, kept, _) = runs(&[]);
    assert_eq!((written, kept), (vec![7, 14, 21, 28, 35], vec![28, 35]));
    let (written, kept, _) = runs(&["checkpoint.every_epochs=2", "checkpoint.every_steps=0"]);
    assert_eq!((written, kept), (vec![24], vec![24]));
    let (written, kept, _) =
        runs(&["checkpoint.every_steps=0", "checkpoint.every_minutes=1e-6", "checkpoint.keep_last=1"]);
    assert!(written.len() > 3 && kept.len() == 1, "{written:?} {kept:?}");
    let best = ["checkpoint.every_steps=5", "checkpoint.keep_last=1", "checkpoint.keep_best=1"];
    let (written, kept, epochs) = runs(&best);
    let losses: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.eval_loss).collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let lowest = 12 * (1 + losses.iter().position(|loss| *loss == lowest).expect("one") as u64);
    assert!(
        written.contains(&12) && kept.contains(&lowest) && kept.contains(written.last().expect("some")),
        "{kept:?}"
    );
}

#[test]
fn a_checkpoint_is_safetensors_and_has_what_the_run_would_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    start(&run, &["checkpoint.every_steps=36"]).run(&mut ()).expect("a run");
    let last = run.join("checkpoints/step-36");
    for name in ["model.safetensors", "average.safetensors"] {
        assert!(
            fs::read(last.join(name)).expect("weights") == fs::read(run.join(name)).expect("weights"),
            "{name}"
        );
    }
    let bytes = fs::read(last.join("state.safetensors")).expect("a state");
    let state = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut names = state.names();
    names.sort_unstable();
    assert_eq!(
        names,
        ["average of the parameters", "exp_avg", "exp_avg_sq", "parameters", "running buffers", "state"]
    );
    let host: serde_json::Value =
        serde_json::from_slice(&fs::read(last.join("checkpoint.json")).expect("what the host knows"))
            .expect("JSON");
    assert_eq!(
        (&host["step"], &host["identity"]["version"]),
        (&36.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(host["identity"]["config"].as_str().is_some_and(|config| config.contains("seed = 5")), "{host}");
}

/// How long steps wait for a checkpoint, beside how long it takes to write one.
#[test]
#[ignore = "measures times; benches/RESULTS.md has its result"]
fn steps_wait_for_the_copy_alone() {
    #[derive(Default)]
    struct Gaps {
        last: Option<(u64, std::time::Instant)>,
        plain: Vec<f64>,
        kept: Vec<f64>,
        written: Vec<f64>,
    }
    impl Observer for Gaps {
        fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
            let (now, step) = (std::time::Instant::now(), steps[steps.len() - 1].step);
            if let Some((before, at)) = self.last {
                let gap = (now - at).as_secs_f64() / steps.len() as f64;
                if before.is_multiple_of(20) {
                    self.kept.push((now - at).as_secs_f64())
                } else {
                    self.plain.push(gap)
                }
            }
            self.last = Some((step, now));
            Ok(())
        }

        fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
            self.written.push(checkpoint.seconds);
            Ok(())
        }
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let dir = tempfile::tempdir().expect("a folder");
    let wide =
        ["model.layers=[\"flatten\", { linear = 20000 }, \"relu\", { linear = 10 }]", "train.steps=200"];
    let settings =
        [&wide[..], &["checkpoint.every_steps=20", "data.batch_size=16", "train.epochs=9"]].concat();
    let mut session = start(&dir.path().join("run"), &settings);
    let mut gaps = Gaps::default();
    session.run(&mut gaps).expect("a run");
    let start = std::time::Instant::now();
    let bytes = session.trainer().snapshot().expect("a state").bytes();
    let copy = start.elapsed().as_secs_f64();
    let (plain, kept, written) = (median(&mut gaps.plain), median(&mut gaps.kept), median(&mut gaps.written));
    println!(
        "{bytes} bytes: a step {:.1} ms, one after a checkpoint {:.1} ms; the copy {:.1} ms, writing {:.1} ms",
        1e3 * plain,
        1e3 * kept,
        1e3 * copy,
        1e3 * written
    );
    // One or two steps are in the gap, and the copy.
    assert!(kept <= 2.0 * plain + 2.0 * copy + 0.02, "{kept} s");
}

#[test]
fn a_checkpoint_that_was_about_to_be_replaced_is_put_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let mut session = start(&run, &["checkpoint.keep_last=1"]);
    let handle = session.handle();
    session.run(&mut At(9, || handle.stop())).expect("a stop");
    drop(session);
    let step = kept(&run)[0];
    let folder = run.join("checkpoints");
    fs::rename(folder.join(format!("step-{step}")), folder.join(format!(".old-step-{step}")))
        .expect("a rename");
    fs::create_dir(folder.join(format!(".new-step-{step}"))).expect("half of one");
    fs::write(folder.join(".DS_Store"), "not ours").expect("a file");
    let session = resume(&run).expect("the checkpoint");
    assert_eq!(session.from(), Some(step));
    drop(session);
    fs::remove_file(folder.join(".DS_Store")).expect("it is still there");
    assert_eq!(kept(&run), [step]);
}
