//! Runs and sweeps on arrays of a program: those of the same numbers in a file, to the bit.

use std::fs;
use std::path::Path;

use downhill::Error;
use downhill::config::{Config, Sweep as Keys};
use downhill::data::{Array, Arrays, Values};
use downhill::run::{Session, Sweep, SweepBase, SweepSource};
use downhill::train::{EpochRecord, Observer, RunEnd};
use toml::Table;

use crate::session::{config, left, options};

/// The digits as arrays of this program.
fn digits() -> Arrays {
    let data = downhill::data::digits().expect("the digits");
    let arrays = |part: &downhill::data::Part| {
        let array = |name: &str, field: &downhill::data::Field| {
            let rows: Vec<f64> = (0..part.len() as u32)
                .flat_map(|i| field.sample(part.source_index(i) as usize).expect("a sample"))
                .collect();
            let shape = [&[part.len()], &field.shape()[..]].concat();
            let values: Values = match field.is_float() {
                true => rows.iter().map(|&x| x as f32).collect::<Vec<f32>>().into(),
                false => rows.iter().map(|&x| x as i32).collect::<Vec<i32>>().into(),
            };
            Array { name: name.into(), shape, values }
        };
        (array("x", part.inputs()), Some(array("t", part.targets())))
    };
    Arrays { name: "digits".into(), train: arrays(data.train()), eval: data.eval().map(arrays) }
}

fn start(run: &Path, settings: &[&str]) -> Session {
    let settings = [&["data.source=memory"], settings].concat();
    Session::start_on(config(&settings), &digits(), run, &options(), None, &|_| Ok(())).expect("a run")
}

/// Stops a run after its first epoch.
struct Stop;

impl Observer for Stop {
    fn epoch(&mut self, _: &EpochRecord) -> Result<(), Error> {
        Err(Error::Cancelled)
    }
}

#[test]
fn a_run_on_arrays_has_the_bits_of_one_on_a_source_and_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let [own, whole, stopped] = ["own", "whole", "stopped"].map(|name| dir.path().join(name));
    crate::session::start(&own, &[]).run(&mut ()).expect("a run");
    start(&whole, &[]).run(&mut ()).expect("a run");
    assert_eq!(left(&own), left(&whole));

    let mut session = start(&stopped, &[]);
    assert_eq!(session.run(&mut Stop).expect("a stop").end, RunEnd::Stopped);
    drop(session);
    let err = Session::resume(&stopped, &options(), &[], &|_| Ok(())).expect_err("no arrays").to_string();
    assert!(err.contains("data.source = \"memory\"") && err.contains("Session::resume_on"), "{err}");
    let mut other = digits();
    other.train.0.values = vec![0.5; other.train.0.values.len()].into();
    let err = Session::resume_on(&stopped, &other, &options(), &[], &|_| Ok(())).expect_err("other data");
    assert!(err.to_string().contains("the data are not those of the run"), "{err}");
    let mut session =
        Session::resume_on(&stopped, &digits(), &options(), &[], &|_| Ok(())).expect("a resumed run");
    assert_eq!(session.run(&mut ()).expect("the end").end, RunEnd::Finished);
    assert_eq!(left(&whole), left(&stopped));
    let text = fs::read_to_string(stopped.join("config.toml")).expect("a config");
    assert!(text.contains("source = \"memory\"") && text.contains("sample = [1, 8, 8]"), "{text}");
}

#[test]
fn a_sweep_on_arrays_has_the_runs_of_each_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let [sweep, alone] = ["sweep", "alone"].map(|name| dir.path().join(name));
    let text = "data = { source = \"memory\", batch_size = 128 }\ntrain = { epochs = 2 }\n\
                model = { layers = [\"flatten\", { linear = 10 }], loss = \"cross_entropy\" }\n\
                optimizer = { name = \"sgd\", lr = 0.1 }\n";
    let (base, arrays): (Table, Arrays) = (text.parse().expect("TOML"), digits());
    let keys: Table = "grid = { \"optimizer.lr\" = [0.05, 0.2] }\nkeep = \"all\"".parse().expect("TOML");
    let keys = Keys::read(toml::Value::Table(keys)).expect("a sweep");
    let source = SweepSource {
        base: SweepBase::Arrays { config: &base, arrays: &arrays },
        settings: &["train.steps=20".to_owned()],
        keys,
    };
    let mut swept = Sweep::start(&source, &sweep, &options()).expect("a sweep");
    swept.run(&mut ()).expect("its runs");
    let folder = sweep.join(&swept.rows()[1].folder);
    drop(swept);
    let settings = ["train.steps=20", "optimizer.lr=0.2"].map(str::to_owned);
    let config = Config::from_table(&base, &settings).expect("a config");
    Session::start_on(config, &arrays, &alone, &options(), None, &|_| Ok(()))
        .expect("a run")
        .run(&mut ())
        .expect("a run");
    let weights = |run: &Path| fs::read(run.join("model.safetensors")).expect("weights");
    assert_eq!(weights(&folder), weights(&alone));

    let err = Sweep::resume(&sweep, &options()).expect_err("no arrays").to_string();
    assert!(err.contains("data.source = \"memory\""), "{err}");
    let mut again = Sweep::resume_on(&sweep, &arrays, &options()).expect("a sweep");
    again.run(&mut ()).expect("nothing is left to do");
    assert_eq!(again.rows().len(), 2);
}
