//! A run in its directory: stopped, lost, damaged, and gone on with.

use std::fs;
use std::path::Path;

use downhill::config::Config;
use downhill::error::Result;
use downhill::run::{OnDeviceLost, Session};
use downhill::train::{EpochRecord, Observer, RunEnd, RunHandle, StepRecord};
use downhill::{Error, Gpu, GpuOptions};

use crate::adapter;

/// A net with dropout, running means, an average and a plateau, 12 steps an epoch.
const CONFIG: &str = r#"
    seed = 5
    [data]
    source = "digits"
    batch_size = 128
    [model]
    layers = ["flatten", { linear = 12 }, "batch_norm", "relu", { dropout = 0.1 }, { linear = 10 }]
    loss = "cross_entropy"
    [optimizer]
    name = "adamw"
    lr = 0.01
    [schedule]
    name = "plateau"
    patience = 0
    [average]
    kind = "ema"
    decay = 0.9
    [train]
    epochs = 3
    [checkpoint]
    every_steps = 7
"#;

pub fn options() -> GpuOptions {
    GpuOptions { adapter: adapter::wanted(), ..GpuOptions::default() }
}

pub fn config(settings: &[&str]) -> Config {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    Config::parse(CONFIG, &settings).expect("a config")
}

pub fn start(run: &Path, settings: &[&str]) -> Session {
    Session::start(config(settings), run, &options(), None, &|_| Ok(())).expect("a run")
}

pub fn resume(run: &Path) -> Result<Session> {
    Session::resume(run, &options(), &[], &|_| Ok(()))
}

/// What is compared: the weights, their average, and the metrics but for times.
pub fn left(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let file = |name: &str| fs::read(run.join(name)).expect("a file");
    let metrics = String::from_utf8(file("metrics.jsonl")).expect("UTF-8");
    let lines = metrics.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line.as_object_mut().expect("an object").remove("samples_per_second");
        line
    });
    (file("model.safetensors"), file("average.safetensors"), lines.collect())
}

pub fn assert_alike(whole: &Path, other: &Path) {
    let (whole, other) = (left(whole), left(other));
    assert_eq!(whole.2, other.2);
    assert!(whole.0 == other.0 && whole.1 == other.1, "other weights");
}

/// Does something after a step.
pub struct At<F>(pub u64, pub F);

impl<F: FnMut()> Observer for At<F> {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        if steps.iter().any(|step| step.step == self.0) {
            (self.1)();
        }
        Ok(())
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_equal_bits() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    assert_eq!(start(&whole, &[]).run(&mut ()).expect("a run").end, RunEnd::Finished);
    // In the middle of an epoch, at a checkpoint, before an evaluation, and at the very end, as it falls.
    let mut session = start(&parts, &[]);
    for (i, more) in [5, 1, 1, 4, 7, 2, 36].into_iter().enumerate() {
        let (handle, step) = (session.handle(), 36.min(session.trainer().steps_done() + more));
        let outcome = session.run(&mut At(step, || handle.stop())).expect("a stop");
        assert_eq!(outcome.end, RunEnd::Stopped);
        assert!(outcome.step >= step && handle.progress().step == outcome.step, "{outcome:?}");
        assert!(!parts.join("model.safetensors").exists());
        drop(session);
        session = resume(&parts).expect("to go on");
        assert_eq!(session.from(), Some(outcome.step), "{i}");
        assert!(session.notes().is_empty(), "{:?}", session.notes());
        if outcome.step == 36 {
            break;
        }
    }
    let outcome = session.run(&mut ()).expect("the end");
    assert_eq!(
        (outcome.end, outcome.step, outcome.last.map(|last| last.epoch)),
        (RunEnd::Finished, 36, Some(3))
    );
    drop(session);
    assert_alike(&whole, &parts);
    let err = resume(&parts).expect_err("a run that is done").to_string();
    assert!(err.contains("is done") && err.contains("model.safetensors"), "{err}");
}

#[test]
fn a_lost_device_is_an_error_or_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let (whole, lost) = (dir.path().join("whole"), dir.path().join("lost"));
    start(&whole, &[]).run(&mut ()).expect("a run");
    // Before the first checkpoint and after it, in a run that was begun, and in one that is gone on with.
    for step in [3, 17] {
        let _ = fs::remove_dir_all(&lost);
        let mut session = start(&lost, &[]);
        let mut once = Some(session.gpu().clone());
        let mut lose = At(step, || drop(once.take().inspect(Gpu::lose)));
        let outcome = session.run_or(OnDeviceLost::Retry, &mut lose).expect("another device");
        assert_eq!(outcome.end, RunEnd::Finished);
        assert_alike(&whole, &lost);
    }
    let _ = fs::remove_dir_all(&lost);
    let mut session = start(&lost, &[]);
    let gpu: Gpu = session.gpu().clone();
    let err = session.run(&mut At(17, || gpu.lose())).expect_err("a lost device");
    assert!(matches!(err, Error::DeviceLost(_)), "{err}");
    drop((session, gpu));
    let mut session = resume(&lost).expect("a checkpoint");
    assert!(session.from().is_some_and(|step| step >= 7), "{:?}", session.from());
    let mut once = Some(session.gpu().clone());
    let mut lose = At(30, || drop(once.take().inspect(Gpu::lose)));
    let outcome = session.run_or(OnDeviceLost::Retry, &mut lose).expect("another device");
    assert_eq!(outcome.end, RunEnd::Finished);
    assert_alike(&whole, &lost);
}

#[test]
fn a_device_that_does_not_answer_in_time_is_lost() {
    let gpu = adapter::open_with(GpuOptions {
        patience: Some(std::time::Duration::from_nanos(1)),
        ..GpuOptions::default()
    });
    let data = downhill::data::digits().expect("digits");
    let err = config(&[]).trainer(&gpu, &data).and_then(|mut trainer| trainer.run(&mut ()).map(drop));
    // A software adapter may have done the work within the call that hands it over.
    if let Err(err) = err {
        assert!(matches!(&err, Error::DeviceLost(text) if text.contains("has not answered")), "{err}");
    }
}

#[test]
fn another_config_or_data_set_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let csv = dir.path().join("t.csv");
    let table = |last: u32| {
        let rows: String = (0..40)
            .map(|i| format!("{}.5,{},{}\n", i % 7, i % 3, if i == 39 { last } else { i % 2 }))
            .collect();
        fs::write(&csv, format!("a,b,y\n{rows}")).expect("a table");
    };
    table(1);
    let text = format!(
        "[data]\nsource = {{ csv = {csv:?}, target = \"y\" }}\nbatch_size = 4\n[model]\nlayers = [{{ linear = 1 }}]\n\
         loss = \"mse\"\n[optimizer]\nname = \"sgd\"\n[checkpoint]\nevery_steps = 3\n[train]\nepochs = 4"
    );
    let config = |settings: &[String]| Config::parse(&text, settings).expect("a config");
    let mut session = Session::start(config(&[]), &run, &options(), None, &|_| Ok(())).expect("a run");
    let handle = session.handle();
    session.run(&mut At(5, || handle.stop())).expect("a stop");
    drop(session);
    let refused = |words: &[&str]| {
        let err = resume(&run).expect_err("another run");
        assert!(matches!(err, Error::Checkpoint(_)), "{err:?}");
        words.iter().for_each(|word| assert!(err.to_string().contains(word), "{word}: {err}"));
    };
    let own = fs::read_to_string(run.join("config.toml")).expect("a config");
    fs::write(run.join("config.toml"), config(&["optimizer.lr=0.5".into()]).to_toml()).expect("a config");
    refused(&["optimizer.lr: 0.001 then, 0.5 now"]);
    // A short form and the word that it is short for are one setting.
    let sampled = |text: &str| {
        fs::write(run.join("config.toml"), own.replace("shuffle = true", text)).expect("a config");
    };
    sampled("sampling = \"epoch\"");
    drop(resume(&run).expect("the same run"));
    sampled("sampling = \"replacement\"");
    refused(&["data.sampling: \"epoch\" then, \"replacement\" now"]);
    // How often checkpoints are kept may change.
    fs::write(run.join("config.toml"), config(&["checkpoint.every_steps=4".into()]).to_toml())
        .expect("a config");
    drop(resume(&run).expect("the same run"));
    fs::write(run.join("config.toml"), own).expect("a config");
    table(0);
    refused(&["data are not those", "fingerprint"]);
    table(1);
    // Metrics that were changed.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let without: String =
        metrics.lines().filter(|line| !line.contains("\"step\":2,")).map(|l| format!("{l}\n")).collect();
    fs::write(run.join("metrics.jsonl"), without).expect("metrics");
    refused(&["metrics.jsonl", "was changed"]);
    fs::write(run.join("metrics.jsonl"), metrics).expect("metrics");
    // More epochs go on with it to what they would have been from the start.
    let more = ["train.epochs=6".to_owned()];
    Session::resume(&run, &options(), &more, &|_| Ok(())).expect("more").run(&mut ()).expect("the end");
    let whole = dir.path().join("whole");
    Session::start(config(&more), &whole, &options(), None, &|_| Ok(()))
        .expect("a run")
        .run(&mut ())
        .expect("a run");
    let model = |run: &Path| fs::read(run.join("model.safetensors")).expect("weights");
    assert!(model(&run) == model(&whole));
}

#[test]
fn early_stopping_ends_a_run_and_puts_the_best_weights_back() {
    let dir = tempfile::tempdir().expect("a folder");
    // A rate so high that the second epoch is worse.
    let wild = [
        "optimizer.lr=0.6",
        "train.epochs=40",
        "early_stopping.patience=2",
        "average={ kind = \"ema\", eval = false }",
    ];
    let run = dir.path().join("run");
    let mut session = start(&run, &wild);
    let outcome = session.run(&mut ()).expect("a run");
    let (best, epoch) = session.trainer().best_epoch().expect("a best epoch");
    let last = outcome.last.expect("epochs");
    assert_eq!((outcome.end, last.epoch), (RunEnd::EarlyStopped, epoch + 2));
    assert!(last.eval_loss.expect("a loss") >= best);
    // The weights that were written evaluate to the best.
    let weights = downhill::run::load(&run.join("model.safetensors")).expect("weights");
    let gpu = adapter::open_with(GpuOptions::default());
    let mut trainer = config(&wild).trainer(&gpu, session.data()).expect("a trainer");
    trainer.load_state_dict(&weights).expect("its weights");
    assert_eq!(trainer.evaluate().expect("an evaluation").expect("a part").loss, best);
    // Left within the epochs that were no better, and gone on with: the same end.
    let parts = dir.path().join("parts");
    let mut first = start(&parts, &wild);
    let handle = first.handle();
    first.run(&mut At(12 * (epoch + 1) + 3, || handle.stop())).expect("a stop");
    drop(first);
    resume(&parts).expect("to go on").run(&mut ()).expect("the end");
    assert_alike(&run, &parts);
    let err = Config::parse(CONFIG, &["early_stopping.metric=\"f1\"".into()]).expect("a config");
    let err = err.trainer(&gpu, session.data()).expect_err("no such metric").to_string();
    assert!(err.contains("early_stopping.metric = \"f1\"") && err.contains("eval_accuracy"), "{err}");
}

#[test]
fn an_observer_and_a_handle_stop_a_run() {
    struct Stops;
    impl Observer for Stops {
        fn epoch(&mut self, _: &EpochRecord) -> Result<()> {
            Err(Error::Cancelled)
        }
    }
    let gpu = adapter::open_with(GpuOptions::default());
    let data = downhill::data::digits().expect("digits");
    let mut trainer = config(&[]).trainer(&gpu, &data).expect("a trainer");
    let handle: RunHandle = trainer.handle();
    let outcome = trainer.run(&mut Stops).expect("a stop is no error");
    assert_eq!((outcome.end, outcome.step), (RunEnd::Stopped, 12));
    assert_eq!((trainer.steps_done(), handle.progress().step, handle.progress().total_steps), (12, 12, 36));
    assert!(handle.progress().eval_loss.is_some() && !handle.is_stopped());
    // It goes on as if nothing had been.
    handle.stop();
    assert!(matches!(trainer.advance(1), Err(Error::Cancelled)));
    handle.stop();
    assert_eq!(trainer.run(&mut ()).expect("a stop").end, RunEnd::Stopped);
    let outcome = trainer.run(&mut ()).expect("the rest");
    assert_eq!((outcome.end, outcome.step), (RunEnd::Finished, 36));
    let last = outcome.last.expect("an epoch");
    assert_eq!((last.epoch, last.step), (3, 36));
}

/// What was waited is part of the time in steps.
#[test]
fn a_handle_tells_what_was_waited_for() {
    let gpu = adapter::open_with(GpuOptions::default());
    let data = downhill::data::digits().expect("digits");
    for (residence, streamed) in [("resident", false), ("streamed", true)] {
        let settings = format!("data.residence=\"{residence}\"");
        let mut trainer = config(&[&settings]).trainer(&gpu, &data).expect("a trainer");
        let handle = trainer.handle();
        assert_eq!(handle.progress(), downhill::train::RunProgress::default());
        trainer.run(&mut ()).expect("a run");
        let now = handle.progress();
        assert_eq!(now.data_wait.is_some(), streamed);
        assert_eq!(now.data_wait, trainer.waited());
        assert!(!now.device_wait.is_zero(), "{now:?}");
        assert!(now.device_wait + now.data_wait.unwrap_or_default() < now.training, "{now:?}");
    }
}

/// Everything in a run's folder, by name.
fn contents(run: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(run).expect("a run").flatten().filter(|entry| entry.path().is_file());
    let file = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("it"))
    };
    let mut files: Vec<_> = files.map(file).filter(|(name, _)| name != ".lock").collect();
    files.sort();
    files
}

#[test]
fn a_run_that_is_done_is_changed_only_where_it_can_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let refused = |settings: &[&str], words: &str| {
        let before = contents(&run);
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let err = Session::resume(&run, &options(), &settings, &|_| Ok(())).expect_err("refused").to_string();
        assert!(err.contains(words), "{words}: {err}");
        assert!(contents(&run) == before, "something was changed");
    };
    // Its last checkpoint is of step 35 of 36.
    start(&run, &[]).run(&mut ()).expect("a run");
    refused(&["optimizer.lr=0.5"], "optimizer.lr: 0.01 then, 0.5 now");
    refused(&["train.epochs=5"], "not of its end");
    refused(&["watch.tensorboard=true"], "not of its end");
    // It has none.
    fs::remove_dir_all(run.join("checkpoints")).expect("checkpoints");
    refused(&["optimizer.lr=0.5"], "optimizer.lr");
    refused(&["train.epochs=5"], "not of its end");
    // One of its end, within an epoch.
    fs::remove_dir_all(&run).expect("a run");
    start(&run, &["train.steps=14"]).run(&mut ()).expect("a run");
    refused(&["train.steps=30"], "within an epoch");
    fs::remove_dir_all(&run).expect("a run");
    start(&run, &["checkpoint.every_epochs=1"]).run(&mut ()).expect("a run");
    refused(&["checkpoint.keep_last=5"], "ask for no more");
    let more = ["train.epochs=4".to_owned()];
    Session::resume(&run, &options(), &more, &|_| Ok(())).expect("more").run(&mut ()).expect("the end");
    let whole = dir.path().join("whole");
    start(&whole, &["train.epochs=4"]).run(&mut ()).expect("a run");
    assert_alike(&whole, &run);
}

/// The weights that a schedule-free optimizer leaves are made of two of its buffers.
#[test]
fn the_best_weights_of_a_schedule_free_optimizer_are_its_means() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let text = CONFIG.replace("[schedule]\n    name = \"plateau\"\n    patience = 0", "");
    let text = text.replace("[average]\n    kind = \"ema\"\n    decay = 0.9", "");
    let settings = [
        "optimizer={ name = \"schedule_free_adamw\", lr = 0.3 }",
        "train.epochs=12",
        "early_stopping.patience=1",
    ];
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let config = Config::parse(&text, &settings).expect("a config");
    let mut session = Session::start(config.clone(), &run, &options(), None, &|_| Ok(())).expect("a run");
    let outcome = session.run(&mut ()).expect("a run");
    let (best, epoch) = session.trainer().best_epoch().expect("a best epoch");
    assert!(
        outcome.last.is_some_and(|last| last.epoch > epoch),
        "the last is the best: make the rate higher"
    );
    let gpu = adapter::open_with(GpuOptions::default());
    // As plain weights: what is written is what is to be used.
    let plain = Config::parse(&text, &["optimizer={ name = \"sgd\" }".to_owned()]).expect("a config");
    let mut trainer = plain.trainer(&gpu, session.data()).expect("a trainer");
    trainer
        .load_state_dict(&downhill::run::load(&run.join("model.safetensors")).expect("weights"))
        .expect("its weights");
    let found = trainer.evaluate().expect("an evaluation").expect("a part").loss;
    assert!((found - best).abs() <= 1e-6 * best, "{found}, {best}");
}

/// A schedule of epochs is told alike wherever windows end.
#[test]
fn the_rate_of_an_epoch_is_told_for_all_of_its_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = dir.path().join("run");
    let settings = [
        "schedule={ name = \"step\", step_size = 1, gamma = 0.5, interval = \"epoch\" }",
        "optimizer.clip_norm=1.0",
    ];
    start(&run, &settings).run(&mut ()).expect("a run");
    for line in left(&run).2.iter().filter(|line| line["event"] == "step") {
        let epoch = line["epoch"].as_u64().expect("an epoch");
        assert_eq!(line["lr"].as_f64(), Some(0.01 * 0.5f64.powi(epoch as i32 - 1)), "{line}");
    }
}
