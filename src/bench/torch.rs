//! PyTorch's times of the same work, measured by a Python that the user names: a script runs as a child process and
//! answers a job a line.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Summary;
use super::sheet::{Cell, Column, Unit};
use super::timing::Effort;
use crate::error::{Error, Result};

/// The script. It imports torch and Python's own library, and nothing else.
const SCRIPT: &str = include_str!("torch_times.py");
/// Lines of standard error that are kept for an error.
const LAST_LINES: usize = 12;

/// The PyTorch that is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TorchDevice {
    /// The Python that has it.
    pub python: PathBuf,
    /// torch's version.
    pub version: String,
    /// The name of the CUDA device, or `processor`.
    pub device: String,
    /// It computes with CUDA.
    pub cuda: bool,
    /// Threads that torch chooses on the processor.
    pub threads: usize,
}

/// The first line of the script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: String,
    device: String,
    cuda: bool,
    threads: usize,
}

/// What the script answers a job: times, or why there are none.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Answer {
    unsupported: Option<String>,
    wall: Vec<f64>,
    device: Vec<f64>,
    way: String,
    parameters: Option<usize>,
}

/// PyTorch's seconds of a turn, one number a round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TorchTimes {
    /// By the wall's clock.
    wall: Vec<f64>,
    /// By CUDA's events; empty on the processor.
    device: Vec<f64>,
    /// As `fused, graph`.
    way: String,
    /// Parameters of the net that was trained.
    parameters: Option<usize>,
}

/// The columns of [`cells`].
pub(super) const COLUMNS: [Column; 5] = [
    Column::new("torch_seconds", "torch", Unit::Seconds),
    Column::new("torch_lower_seconds", "quartiles", Unit::Seconds),
    Column::new("torch_upper_seconds", "", Unit::Seconds),
    Column::new("torch_way", "by", Unit::Text),
    Column::new("torch_over_ours", "torch / ours", Unit::Times),
];

/// The meaning of the columns.
pub(super) const NOTE: &str = "torch: PyTorch's time of the same work, measured right after the row's own, in f32 without \
    TF32. By: the way in which PyTorch does it. torch / ours: above 1, downhill is faster.";

/// Which clock of PyTorch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// The device's where it has one, as for single kernels.
    Best,
    /// The wall's, as for whole steps.
    Wall,
}

/// The cells of a row whose own time is `ours`, in seconds.
pub(super) fn cells(times: Option<&TorchTimes>, clock: Clock, ours: f64) -> [Cell; 5] {
    let Some(times) = times else { return [const { Cell::None }; 5] };
    let is_device = clock == Clock::Best && !times.device.is_empty();
    let summary = Summary::of(if is_device { &times.device } else { &times.wall });
    let way = times.way.as_str();
    [
        summary.median.into(),
        summary.lower.into(),
        summary.upper.into(),
        way.into(),
        (summary.median / ours).into(),
    ]
}

/// Work that PyTorch measures.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job<'j> {
    /// Updates of `tensors` tensors of a shape, each time of another of the sets.
    Optim { optimizer: &'j str, shape: [usize; 2], tensors: usize, sets: usize },
    /// Products of square matrices in a layout, each time of another of the sets.
    Matmul { layout: &'j str, batch: usize, side: usize, sets: usize },
    /// Training steps of a built-in net.
    Train { net: &'j str },
}

impl Job<'_> {
    fn json(self, effort: Effort) -> Value {
        let Effort { rounds, least, most } = effort;
        // No limit is null.
        let effort = json!({ "rounds": rounds, "least": least, "most": most.is_finite().then_some(most) });
        match self {
            Job::Optim { optimizer, shape, tensors, sets } => json!({
                "job": "optim", "optimizer": optimizer, "shape": shape, "tensors": tensors, "sets": sets, "effort": effort,
            }),
            Job::Matmul { layout, batch, side, sets } => json!({
                "job": "matmul", "layout": layout, "batch": batch, "side": side, "sets": sets, "effort": effort,
            }),
            Job::Train { net } => json!({ "job": "train", "net": net, "effort": effort }),
        }
    }
}

/// A running script.
#[derive(Debug)]
pub(super) struct Torch {
    pub device: TorchDevice,
    child: Child,
    /// `None` once no job comes any more.
    jobs: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Reads the last lines of standard error until its end.
    errors: Option<JoinHandle<VecDeque<String>>>,
    _folder: TempDir,
}

impl Torch {
    /// Starts the script in a Python, where one is named.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no such Python or it has no torch, with its last lines of standard error.
    pub fn start(python: Option<&Path>) -> Result<Option<Torch>> {
        python.map(|python| Torch::run(python, SCRIPT)).transpose()
    }

    fn run(python: &Path, script: &str) -> Result<Torch> {
        // A folder of its own: Python imports what lies beside a script before anything else.
        let folder = tempfile::tempdir()
            .map_err(|err| Error::io("cannot create a folder in", std::env::temp_dir(), &err))?;
        let path = folder.path().join("torch_times.py");
        std::fs::write(&path, script).map_err(|err| Error::io("cannot write", &path, &err))?;
        let spawned = Command::new(python)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|err| {
            Error::Config(format!(
                "--python {} cannot be started: {err}; name a Python that has torch, as \
                 --python /path/to/venv/bin/python",
                python.display()
            ))
        })?;
        let (Some(jobs), Some(answers), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three streams are pipes")
        };
        let errors = std::thread::spawn(move || last_lines(BufReader::new(errors)));
        let device = TorchDevice {
            python: python.to_owned(),
            version: String::new(),
            device: String::new(),
            cuda: false,
            threads: 0,
        };
        let mut torch = Torch {
            device,
            child,
            jobs: Some(jobs),
            answers: BufReader::new(answers),
            errors: Some(errors),
            _folder: folder,
        };
        let head = torch.answer::<Head>().map_err(|fault| {
            Error::Config(format!(
                "--python {}: the script of PyTorch's times {fault}\nName a Python that has torch",
                python.display()
            ))
        })?;
        let Head { version, device, cuda, threads } = head;
        torch.device = TorchDevice { version, device, cuda, threads, ..torch.device.clone() };
        Ok(torch)
    }

    /// PyTorch's times of a job; `None` where PyTorch has no such thing.
    ///
    /// # Errors
    /// [`Error::Program`] where the script ends or answers nonsense, with its last lines of standard error.
    pub fn measure(&mut self, job: Job<'_>, effort: Effort) -> Result<Option<TorchTimes>> {
        let line = job.json(effort).to_string();
        // A script that ended is told by its missing answer.
        if let Some(jobs) = &mut self.jobs {
            let _ = writeln!(jobs, "{line}").and_then(|()| jobs.flush());
        }
        let answer = self.answer::<Answer>().and_then(|answer| {
            let timed = !answer.wall.is_empty() && answer.wall.iter().chain(&answer.device).all(|s| *s > 0.0);
            if answer.unsupported.is_some() || timed {
                Ok(answer)
            } else {
                Err(format!("answered without times above 0: {answer:?}"))
            }
        });
        let answer = answer.map_err(|fault| {
            let python = self.device.python.display();
            Error::Program(format!(
                "--python {python}: the script of PyTorch's times {fault}\nThe job was {line}"
            ))
        })?;
        let Answer { unsupported, wall, device, way, parameters } = answer;
        Ok(unsupported.is_none().then_some(TorchTimes { wall, device, way, parameters }))
    }

    /// The next line of the script, or its fault: how it ended and what it wrote to standard error.
    fn answer<T: serde::de::DeserializeOwned>(&mut self) -> std::result::Result<T, String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        if read.as_ref().is_ok_and(|bytes| *bytes > 0) {
            return match serde_json::from_str(&line) {
                Ok(answer) => Ok(answer),
                Err(err) => Err(format!("answered {:?}, where JSON is needed: {err}", line.trim_end())),
            };
        }
        self.jobs = None;
        let ended = self.child.wait().map_or_else(|err| err.to_string(), |status| status.to_string());
        let lines = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        let said = if lines.is_empty() {
            "and wrote nothing to standard error".to_owned()
        } else {
            let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
            format!("and wrote to standard error at last:\n{}", lines.join("\n"))
        };
        Err(format!("ended with {ended} {said}"))
    }
}

impl TorchTimes {
    /// Refuses times of a net with another number of parameters.
    ///
    /// # Errors
    /// [`Error::Program`] with both numbers.
    pub fn check_parameters(&self, net: &str, ours: usize) -> Result<()> {
        match self.parameters {
            Some(theirs) if theirs != ours => Err(Error::Program(format!(
                "{net} has {ours} parameters and PyTorch's form of it {theirs}: these are not the same net, so their times \
                 are not compared"
            ))),
            _ => Ok(()),
        }
    }
}

impl Drop for Torch {
    /// Ends the script.
    fn drop(&mut self) {
        self.jobs = None;
        // It may be in the middle of a job.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a stream, once it ends.
fn last_lines(stream: impl BufRead) -> VecDeque<String> {
    let mut lines = VecDeque::new();
    for line in stream.split(b'\n').map_while(std::result::Result::ok) {
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
    lines
}
