//! A net that trains alone in a process of its own, block by block, as asked. So it can train without the threads of
//! Mesa's software adapter, which hold for a whole process, while others of the same bench have them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use downhill::bench::Workload;
use downhill::compile::TrainPlan;
use downhill::train::Trainer;

use super::dense::{adamw, cross_entropy, options};
use super::{Outcome, common};

/// The option that makes a process one that [`Alone`] starts; its value is the net's name.
pub const OPTION: &str = "--alone";

/// Answers each line of standard input by the seconds of a step, the mean of a block that takes about this long.
pub fn serve(net: &Workload, block: Duration) -> Outcome<()> {
    let mut trainer =
        Trainer::new(&common::gpu(), &*net.model, &cross_entropy, adamw(1e-3), &net.data, &options(net))?;
    let mut advance = |steps: u64| -> Outcome<f64> {
        let start = Instant::now();
        trainer.advance(steps)?;
        Ok(start.elapsed().as_secs_f64())
    };
    // The first step compiles; then the number of steps is found that takes a block.
    advance(1)?;
    let (mut steps, mut seconds) = (1, advance(1)?);
    while seconds < block.as_secs_f64() / 2.0 {
        steps *= 2;
        seconds = advance(steps)?;
    }
    steps = (steps as f64 * block.as_secs_f64() / seconds).ceil() as u64;
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", advance(steps)? / steps as f64);
    }
    Ok(())
}

/// The process.
pub struct Alone {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Alone {
    /// Starts it, without the adapter's threads where `downhill train` would have none for this plan.
    pub fn start(net: &Workload, plan: &TrainPlan) -> Outcome<Alone> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([OPTION, &net.name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if plan.suits_one_thread() && std::env::var_os("LP_NUM_THREADS").is_none() {
            command.env("LP_NUM_THREADS", "0");
        }
        let mut child = command.spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("its output is piped")?);
        Ok(Alone { child, answers })
    }

    /// Seconds of a step in the next block. The first call waits for the process to warm up, too.
    pub fn block(&mut self) -> Outcome<f64> {
        writeln!(self.child.stdin.as_mut().ok_or("its input is piped")?)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse().map_err(|_| "the process of the net alone has ended")?)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Closes its input, which ends it.
        let _ = self.child.wait();
    }
}
