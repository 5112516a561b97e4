//! `mpirun` of the program: ranks that are processes have the bits of one process, and end together.
//!
//! The tests need the feature `mpi`, and `mpirun` where the program is found. `tests/ranks.rs` has what needs no processes.

#![cfg(feature = "mpi")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DOWNHILL: &str = env!("CARGO_BIN_EXE_downhill");
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits.toml");

/// `mpirun` of so many ranks, which may be more than there are processors.
fn mpirun(ranks: usize, args: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string(), DOWNHILL]).args(args).stdin(Stdio::null());
    // Open MPI's refusals of a user who is root, and of more ranks than cores.
    for name in
        ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"]
    {
        command.env(name, "1");
    }
    command
}

fn alone(args: &[&str]) -> Output {
    Command::new(DOWNHILL).args(args).output().expect("downhill starts")
}

fn on(ranks: usize, args: &[&str]) -> Output {
    match ranks {
        1 => alone(args),
        ranks => mpirun(ranks, args).output().expect("mpirun starts"),
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The arguments of a run of the digits, with others.
fn train<'a>(out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let out = out.to_str().expect("a path of text");
    let fixed = ["train", DIGITS, "--adapter", "software", "--set", "train.shards=4", "--out", out];
    fixed.into_iter().chain(more.iter().copied()).collect()
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap_or_else(|err| panic!("{}: {err}", run.display()))
}

/// The lines of metrics.jsonl without their times.
fn records(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let untimed = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let object = line.as_object_mut().expect("an object");
        for key in ["samples_per_second", "seconds", "data_wait"] {
            object.remove(key);
        }
        line.to_string()
    };
    text.lines().map(untimed).collect()
}

#[test]
fn a_run_has_the_same_bits_on_1_2_and_4_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let run = |ranks: usize| -> PathBuf {
        let out = folder.path().join(ranks.to_string());
        let output = on(ranks, &train(&out, &["--set", "train.epochs=2"]));
        assert!(output.status.success(), "{}", text(&output));
        let lines = text(&output);
        assert_eq!(lines.matches("done ").count(), 1, "rank 0 alone prints: {lines}");
        out
    };
    let one = run(1);
    for ranks in [2, 4] {
        let several = run(ranks);
        assert!(weights(&several) == weights(&one), "{ranks} ranks");
        assert_eq!(records(&several), records(&one));
        let compared = alone(&["compare", one.to_str().unwrap(), several.to_str().unwrap()]);
        assert!(compared.status.success(), "{}", text(&compared));
    }
    let evaluated = |ranks| {
        let output =
            on(ranks, &["eval", one.to_str().unwrap(), "--adapter", "software", "--batch", "100", "--json"]);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(evaluated(2), evaluated(1));
}

/// The processes that `mpirun` started, by their parent.
fn ranks_of(mpirun: u32) -> Vec<u32> {
    let listed = Command::new("pgrep").args(["-P", &mpirun.to_string()]).output().expect("pgrep");
    String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.parse().ok()).collect()
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status().expect("kill");
    assert!(sent.success(), "{name} to {process}");
}

fn start(ranks: usize, args: &[&str]) -> Child {
    mpirun(ranks, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mpirun starts")
}

#[test]
fn a_rank_that_is_killed_ends_the_job_and_any_number_resumes_to_equal_bits() {
    killed_and_resumed(4);
}

/// mpirun takes seconds to end a job, so that CI does less.
#[test]
#[ignore = "takes two minutes"]
fn twenty_kills() {
    killed_and_resumed(20);
}

fn killed_and_resumed(kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, run) = (folder.path().join("whole"), folder.path().join("killed"));
    let settings = ["--json", "--set", "train.epochs=60", "--set", "checkpoint.every_steps=5"];
    assert!(alone(&train(&whole, &settings)).status.success());
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = move |most: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % most
    };
    let resume = ["resume", run.to_str().unwrap(), "--adapter", "software", "--json"];
    let mut killed = 0;
    while killed < kills && !run.join("model.safetensors").exists() {
        let ranks = [2, 4][next(2) as usize];
        let args = if killed == 0 { train(&run, &settings) } else { resume.to_vec() };
        let mut job = start(ranks, &args);
        // From the first step on: mpirun may hang where a rank is killed while MPI begins.
        let mut lines = BufReader::new(job.stdout.take().unwrap()).lines();
        let line = lines.next().and_then(Result::ok).unwrap_or_default();
        assert!(line.contains("\"start\""), "{line} {}", text(&job.wait_with_output().unwrap()));
        let rest = std::thread::spawn(move || lines.count());
        std::thread::sleep(Duration::from_millis(next(400)));
        let processes = ranks_of(job.id());
        let is_alive = |process: &u32| Path::new(&format!("/proc/{process}")).exists();
        if let Some(process) = processes.get(next(ranks as u64) as usize) {
            let _ = Command::new("kill").args(["-9", &process.to_string()]).status();
            killed += 1;
        }
        let began = Instant::now();
        while job.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "the job goes on without a rank");
            std::thread::sleep(Duration::from_millis(10));
        }
        // mpirun kills the other ranks, and does not wait until the system has put them away.
        while processes.iter().any(is_alive) {
            assert!(began.elapsed() < Duration::from_secs(30), "a rank goes on without the job");
            std::thread::sleep(Duration::from_millis(10));
        }
        rest.join().unwrap();
        let output = job.wait_with_output().unwrap();
        if !output.status.success() {
            assert!(text(&output).contains("process rank"), "{}", text(&output));
        }
    }
    if !run.join("model.safetensors").exists() {
        let output = on([1, 2, 4][next(3) as usize], &resume);
        assert!(output.status.success(), "{}", text(&output));
    }
    assert_eq!(killed, kills, "the run ended before");
    assert!(weights(&run) == weights(&whole), "after {killed} kills");
    assert_eq!(records(&run), records(&whole));
}

#[test]
fn signals_stop_all_ranks_after_the_same_step() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, run) = (folder.path().join("whole"), folder.path().join("stopped"));
    let settings = ["--set", "train.epochs=40", "--json"];
    assert!(alone(&train(&whole, &settings)).status.success());
    // To a rank that is not the first, to mpirun by a person's Ctrl-C, and by a queue's SIGTERM.
    for (i, to) in ["-TERM rank", "-INT mpirun", "-TERM mpirun"].iter().enumerate() {
        let (name, target) = to.split_once(' ').unwrap();
        let resume = ["resume", run.to_str().unwrap(), "--adapter", "software", "--json"];
        let mut job = start(2, &if i == 0 { train(&run, &settings) } else { resume.to_vec() });
        let mut lines = BufReader::new(job.stdout.take().unwrap()).lines();
        let epoch = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("\"epoch\"")));
        assert!(epoch.is_some(), "{to}: the run had ended");
        match target {
            "rank" => signal(name, ranks_of(job.id())[1]),
            _ => signal(name, job.id()),
        }
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        let output = job.wait_with_output().unwrap();
        assert!(!output.status.success());
        let end = rest.iter().find(|line| line.contains("\"event\":\"end\""));
        assert!(end.is_some_and(|end| end.contains("\"stopped\"")), "{to}: {rest:?} {}", text(&output));
    }
    let output = on(4, &["resume", run.to_str().unwrap(), "--adapter", "software"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(weights(&run) == weights(&whole));
}

/// The files of a sweep's runs that have no times in them.
fn runs_of(sweep: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(sweep).unwrap() {
        let folder = entry.unwrap().path();
        for name in ["model.safetensors", "config.toml"] {
            let file = folder.join(name);
            if file.exists() {
                let place = file.strip_prefix(sweep).unwrap().display().to_string();
                files.push((place, fs::read(&file).unwrap()));
            }
        }
    }
    files.push(("replicas.csv".into(), fs::read(sweep.join("replicas.csv")).unwrap()));
    files.sort_unstable();
    files
}

fn assert_same_runs(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (runs_of(ours), runs_of(theirs));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            ours == theirs || name.ends_with(".safetensors"),
            "{name}: {} and {}",
            text(ours),
            text(theirs)
        );
        assert!(ours == theirs, "{name}");
    }
}

#[test]
fn ranks_train_the_runs_of_a_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sweep = |ranks: usize, out: &Path, more: &[&str]| {
        let fixed = [
            "sweep",
            DIGITS,
            "--adapter",
            "software",
            "--set",
            "train.epochs=3",
            "--out",
            out.to_str().unwrap(),
        ];
        let args: Vec<&str> = fixed.into_iter().chain(more.iter().copied()).collect();
        let output = on(ranks, &args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        let lines = text(&output);
        assert_eq!(lines.matches("done ").count(), 1, "{lines}");
    };
    // Two fleets of three, of which the best two are kept.
    let runs =
        ["--grid", "optimizer.lr=1e-3,3e-3,1e-2", "--grid", "data.batch_size=64,32", "--keep", "best:2"];
    sweep(1, &path("alone"), &runs);
    sweep(2, &path("dealt"), &runs);
    let dealt_files = runs_of(&path("dealt"));
    assert_same_runs(&path("dealt"), &path("alone"));
    assert!(!path("dealt").join("sweep.rank1.jsonl").exists());
    assert_eq!(dealt_files.iter().filter(|(name, _)| name.ends_with("model.safetensors")).count(), 2);
    // Runs that are judged stay together: a fleet a rank.
    let judged = [
        "--grid",
        "optimizer.lr=1e-3,1e-2",
        "--grid",
        "data.batch_size=64,32",
        "--halving",
        "2:1",
        "--keep",
        "all",
    ];
    sweep(1, &path("judged alone"), &judged);
    sweep(2, &path("judged"), &judged);
    assert_same_runs(&path("judged"), &path("judged alone"));

    // Killed, and gone on with by one process.
    let killed = path("killed");
    let args = [
        "sweep",
        DIGITS,
        "--adapter",
        "software",
        "--set",
        "train.epochs=30",
        "--set",
        "checkpoint.every_epochs=1",
    ];
    let more = ["--grid", "optimizer.lr=1e-3,3e-3,1e-2,3e-2", "--keep", "all", "--out"];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let whole = path("whole");
    assert!(alone(&[&args[..], &[whole.to_str().unwrap()]].concat()).status.success());
    let mut job = start(2, &[&args[..], &[killed.to_str().unwrap()]].concat());
    let began = Instant::now();
    while !killed.join("sweep.rank1.jsonl").exists() && job.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let processes = ranks_of(job.id());
    processes.last().into_iter().for_each(|process| signal("-9", *process));
    assert!(!job.wait_with_output().unwrap().status.success());
    while processes.iter().any(|process| Path::new(&format!("/proc/{process}")).exists()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = alone(&["sweep", killed.to_str().unwrap(), "--resume", "--adapter", "software"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!killed.join("sweep.rank1.jsonl").exists());
    assert_same_runs(&killed, &whole);
}

#[test]
fn an_error_is_told_once_and_ends_all() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("metrics.jsonl"), "{}\n").unwrap();
    let out = folder.path().join("out");
    for (args, code, expected) in [
        (train(&out, &["--set", "train.shards=1"]), 2, "--set train.shards=2"),
        (train(&out, &["--set", "train.epoch=1"]), 2, "did you mean \"epochs\"?"),
        (train(&taken, &[]), 2, "taken"),
        (train(&out, &["--set", "train.epochs=1", "--assert", "eval_accuracy > 2"]), 3, "eval_accuracy"),
        (vec!["lab", "all"], 2, "this command is for one"),
        (vec!["trian"], 2, "train"),
    ] {
        let output = on(2, &args);
        let told = text(&output);
        assert_eq!(told.matches("error: ").count(), 1, "{args:?}: {told}");
        assert!(told.contains(expected), "{args:?}: {told}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    }
}
