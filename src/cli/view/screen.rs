//! A run on a terminal, drawn by its own thread so that no step waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use console::Term;
use downhill::error::Result;
use downhill::train::{CheckpointRecord, EpochRecord, Observer, RunHandle, RunStart, StepRecord};

use super::frame::Frame;
use super::meter::Meter;
use super::render::{Terminal, render};
use super::state::State;
use crate::cli::progress::colours;

/// Time between two frames.
const PAUSE: Duration = Duration::from_millis(100);
/// Rows and columns of a terminal of unknown size.
const DEFAULT_SIZE: (u16, u16) = (24, 80);

#[derive(Default)]
struct Board {
    /// `None` before the run starts.
    state: Option<State>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws a run until it is closed.
pub struct Screen {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    pub fn open(handle: RunHandle) -> Screen {
        let shared = Arc::<Shared>::default();
        let its = Arc::clone(&shared);
        // Without the thread the run trains undrawn.
        let thread =
            thread::Builder::new().name("downhill-view".into()).spawn(move || draw(&its, &handle)).ok();
        Screen { shared, thread }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let _ = self.shared.lock().state.as_mut().map(change);
    }
}

/// Clears the drawing from the terminal.
impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(shared: &Shared, handle: &RunHandle) {
    let (term, colour) = (Term::buffered_stderr(), colours());
    let (mut frame, mut meter) = (Frame::default(), Meter::default());
    let mut board = shared.lock();
    loop {
        let (rows, columns) = term.size_checked().filter(|(_, columns)| *columns > 0).unwrap_or(DEFAULT_SIZE);
        let terminal = Terminal { columns: columns.into(), rows: rows.into(), colour };
        let closed = board.closed;
        let lines = match board.state.as_mut().filter(|_| !closed) {
            None => Vec::new(),
            Some(state) => {
                state.rates = meter.look(Instant::now(), state.from, handle.progress());
                state.stopping = handle.is_stopped();
                render(state, terminal)
            }
        };
        drop(board);
        if let Some(text) = frame.replace(lines, terminal.columns) {
            // A closed terminal does not end the run.
            let _ = term.write_str(&text).and_then(|()| term.flush());
        }
        if closed {
            return;
        }
        let wait = shared.changed.wait_timeout_while(shared.lock(), PAUSE, |board| !board.closed);
        board = wait.unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Observer for Screen {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        self.shared.lock().state = Some(State::new(start));
        Ok(())
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.change(|state| state.steps(steps));
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.change(|state| state.epoch(epoch));
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        self.change(|state| state.checkpoint(checkpoint));
        Ok(())
    }
}
