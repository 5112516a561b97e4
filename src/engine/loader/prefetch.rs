//! A part of a data set on its way to the device: threads fill slots, window after window, ahead of the steps.
//!
//! The epoch and its first step alone decide the contents of a slot, so neither the number of threads nor their order
//! changes the result.

use crate::clock::Instant;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::order::{EpochOrder, PADDING, SampleOrder};
use crate::compile::{SLOTS, StagingLayout};
use crate::data::{BatchPlan, Field, Part};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Recorder, Staging};
use crate::plan::Memory;

/// Steps that lie in a slot together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SlotWindow {
    /// Its slot.
    slot: usize,
    epoch: u64,
    /// The epoch's step that is the first.
    first: usize,
    /// The number of steps.
    steps: usize,
}

/// The place of the current window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In its slot.
    Host,
    /// The submission that is being recorded copies it.
    Copying,
    /// On the device; the slot is on its way back.
    Device,
}

/// Some samples of a window.
struct Task {
    slot: usize,
    /// Places in the slot from which on.
    from: usize,
    order: Arc<Vec<u32>>,
    count: usize,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The epoch and the step at which the next window begins.
    next: (u64, usize),
    /// The order of an epoch.
    order: Option<(u64, Arc<Vec<u32>>)>,
    /// A thread makes the tasks of a window.
    planning: bool,
    /// Threads that fill.
    busy: usize,
    /// Slots that are the host's, and empty.
    free: VecDeque<usize>,
    /// Windows in their order, from the one that the device reads on.
    windows: VecDeque<SlotWindow>,
    tasks: VecDeque<Task>,
    /// Tasks of each slot that are not done.
    left: [usize; SLOTS],
    /// The first place of each slot that could not be filled, and why.
    faults: [Option<(usize, Error)>; SLOTS],
}

struct Shared {
    state: Mutex<State>,
    /// Signals that there is something to do.
    work: Condvar,
    /// Signals that something is done.
    done: Condvar,
    part: Part,
    batches: BatchPlan,
    stage: StagingLayout,
    order: EpochOrder,
    slots: Vec<Staging>,
    threads: usize,
}

/// The stream of a part.
pub(super) struct Prefetcher {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// The window that the device reads, and where it lies.
    current: Option<(SlotWindow, Place)>,
    /// The first place of it that could not be filled, and why.
    fault: Option<(usize, Error)>,
    /// How long the steps waited for samples.
    waited: Duration,
}

impl std::fmt::Debug for Prefetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefetcher").field("stage", &self.shared.stage).field("waited", &self.waited).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steps(&self) -> usize {
        self.batches.steps()
    }

    /// Runs a thread until the stream closes.
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            if let Some(task) = state.tasks.pop_front() {
                state.busy += 1;
                drop(state);
                let result = catch_unwind(AssertUnwindSafe(|| self.fill(&task)));
                state = self.lock();
                state.busy -= 1;
                state.left[task.slot] -= 1;
                let result = result.unwrap_or_else(|_| {
                    let text = "the source of the data panicked; what it said is above";
                    Err((task.from, Error::Data(text.into())))
                });
                if let Err((place, err)) = result {
                    let first = &mut state.faults[task.slot];
                    if first.as_ref().is_none_or(|(other, _)| place < *other) {
                        *first = Some((place, err));
                    }
                }
                self.done.notify_all();
            } else if let Some(slot) = state.free.front().copied().filter(|_| !state.planning) {
                state = self.plan(state, slot);
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Makes the tasks of the next window.
    fn plan<'a>(&'a self, mut state: MutexGuard<'a, State>, slot: usize) -> MutexGuard<'a, State> {
        let (epoch, at) = state.next;
        let known = state.order.as_ref().filter(|(of, _)| *of == epoch).map(|(_, order)| Arc::clone(order));
        let order = known.unwrap_or_else(|| {
            state.planning = true;
            Arc::default()
        });
        if state.planning {
            // An order takes a while where samples are many: the others go on.
            drop(state);
            let order = Arc::new((self.order)(epoch));
            state = self.lock();
            state.planning = false;
            state.order = Some((epoch, order));
            self.done.notify_all();
            self.work.notify_all();
            return state;
        }
        let steps = self.stage.steps.min(self.steps() - at);
        let rows = Arc::new(SampleOrder::new(&self.batches, &order, at, steps).order);
        state.next = if at + steps == self.steps() { (epoch + 1, 0) } else { (epoch, at + steps) };
        state.free.pop_front();
        state.windows.push_back(SlotWindow { slot, epoch, first: at, steps });
        // Two tasks a thread, so that they end together; each begins where a mapping may.
        let each = rows.len().div_ceil(2 * self.threads).next_multiple_of(Staging::ALIGNMENT);
        for from in (0..rows.len()).step_by(each) {
            let count = each.min(rows.len() - from);
            state.tasks.push_back(Task { slot, from, order: Arc::clone(&rows), count });
            state.left[slot] += 1;
        }
        self.work.notify_all();
        state
    }

    /// Reads the samples of a task into their places. The error has the first place that could not be filled.
    fn fill(&self, task: &Task) -> Result<(), (usize, Error)> {
        let order = &task.order[task.from..task.from + task.count];
        let mut bytes = Vec::new();
        let mut fault: Option<(usize, Error)> = None;
        for ((_, field), offset) in self.part.fields().zip(&self.stage.offsets) {
            if let Err((place, err)) = gather(field, order, &mut bytes) {
                let place = task.from + place;
                if fault.as_ref().is_none_or(|(other, _)| place < *other) {
                    fault = Some((place, err));
                }
            }
            let at = *offset as usize + task.from * field.sample_bytes();
            self.slots[task.slot].put(at, &bytes).map_err(|err| (task.from, err))?;
        }
        fault.map_or(Ok(()), Err)
    }
}

/// The samples of `order`, padded to whole words; those from a place on that cannot be read are nothing.
fn gather(field: &Field, order: &[u32], bytes: &mut Vec<u8>) -> Result<(), (usize, Error)> {
    let each = field.sample_bytes();
    bytes.clear();
    bytes.resize((order.len() * each).next_multiple_of(4), 0);
    let mut place = 0;
    for stretch in order.chunk_by(|a, b| (*a == PADDING) == (*b == PADDING)) {
        if stretch[0] != PADDING {
            let into = &mut bytes[place * each..(place + stretch.len()) * each];
            field.gather(stretch, into).map_err(|(i, err)| (place + i, err))?;
        }
        place += stretch.len();
    }
    Ok(())
}

impl Prefetcher {
    /// A stream of `part` by slots of `stage`, filled by `threads` threads, from the beginning on.
    pub fn new(
        gpu: &Gpu,
        part: &Part,
        batches: BatchPlan,
        stage: &StagingLayout,
        threads: usize,
        order: EpochOrder,
    ) -> Result<Prefetcher> {
        let slots = stage.slots().map(|slot| gpu.staging(&slot.name, slot.bytes)).collect::<Result<_>>()?;
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { free: (0..SLOTS).collect(), ..State::default() }),
            work: Condvar::new(),
            done: Condvar::new(),
            part: part.clone(),
            batches,
            stage: stage.clone(),
            order,
            slots,
            threads,
        });
        let mut stream =
            Prefetcher { shared, workers: Vec::new(), current: None, fault: None, waited: Duration::ZERO };
        for i in 0..threads {
            let shared = Arc::clone(&stream.shared);
            let thread = std::thread::Builder::new().name(format!("downhill-{}-{i}", stage.name));
            let thread = thread.spawn(move || shared.run());
            stream.workers.push(thread.map_err(|err| {
                Error::Data(format!("data.workers = {threads}: thread {i} could not be started: {err}"))
            })?);
        }
        Ok(stream)
    }

    /// How long the steps have waited for samples.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Threads that fill.
    pub fn workers(&self) -> usize {
        self.shared.threads
    }

    /// The window of an epoch's step, if it is the one that the device reads.
    fn current(&self, epoch: u64, at: usize) -> Option<SlotWindow> {
        let (window, _) = self.current?;
        let inside = (window.first..window.first + window.steps).contains(&at);
        (window.epoch == epoch && inside).then_some(window)
    }

    /// True where [`Prefetcher::window`] would not wait.
    pub fn is_ready(&self, epoch: u64, at: usize) -> bool {
        if self.current(epoch, at).is_some() {
            return true;
        }
        let state = self.shared.lock();
        state.windows.front().is_some_and(|w| (w.epoch, w.first) == (epoch, at) && state.left[w.slot] == 0)
    }

    /// The window that step `at` of an epoch is in; waits until it is full.
    fn window(&mut self, epoch: u64, at: usize) -> SlotWindow {
        if let Some(window) = self.current(epoch, at) {
            return window;
        }
        let start = Instant::now();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if let Some((window, Place::Host)) = self.current.take() {
            state.free.push_back(window.slot);
            shared.work.notify_all();
        }
        let first = state.windows.front().map_or(state.next, |w| (w.epoch, w.first));
        if first != (epoch, at) {
            state = Self::seek(&shared, state, (epoch, at));
        }
        loop {
            let front = state.windows.front().copied();
            if let Some(window) = front.filter(|w| state.left[w.slot] == 0) {
                state.windows.pop_front();
                self.fault = state.faults[window.slot].take();
                drop(state);
                self.waited += start.elapsed();
                self.current = Some((window, Place::Host));
                return window;
            }
            state = shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops all windows, and restarts at another step.
    fn seek<'a>(
        shared: &'a Shared,
        mut state: MutexGuard<'a, State>,
        to: (u64, usize),
    ) -> MutexGuard<'a, State> {
        state.tasks.clear();
        while state.busy > 0 || state.planning {
            state = shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.tasks.clear();
        }
        while let Some(window) = state.windows.pop_front() {
            state.free.push_back(window.slot);
        }
        (state.left, state.faults) = Default::default();
        state.next = to;
        shared.work.notify_all();
        state
    }

    /// The passes of up to `count` steps from step `at` of an epoch on, as many as lie in a slot, and how many steps that
    /// is; sample numbers are places in the slot. Waits until it is full.
    ///
    /// # Errors
    /// A sample that cannot be read, at the step it belongs to.
    pub fn take(&mut self, epoch: u64, at: usize, count: usize) -> Result<(SampleOrder, usize)> {
        let window = self.window(epoch, at);
        let batches = &self.shared.batches;
        // Rows of the slot are in the order of the epoch, and each is `micro` places long.
        let parts = batches.parts(batches.rows).count();
        let step = parts * batches.micro;
        let mut whole = window.first + window.steps;
        if let Some((place, err)) = &self.fault {
            // The steps before the sample that cannot be read are still valid.
            whole = window.first + place / step;
            if whole <= at {
                return Err(err.clone());
            }
        }
        let count = count.min(whole - at);
        let first = ((at - window.first) * step) as u32;
        let rows = SampleOrder::sequential(batches, batches.samples(), at, count, first);
        Ok((rows, count))
    }

    /// Copies the slot of the current window to the device, once.
    pub fn copy_to_device(&mut self, recorder: &mut Recorder<'_>, memory: &Memory) {
        let stage = &self.shared.stage;
        if let Some((window, place @ Place::Host)) = &mut self.current {
            let slot = self.shared.slots[window.slot].give();
            recorder.copy(slot, 0, memory.get(&stage.staged()), 0, stage.bytes);
            *place = Place::Copying;
        }
    }

    /// Asks for the slot back that the last submission copied.
    pub fn reclaim(&mut self) {
        let Some((window, place @ Place::Copying)) = &mut self.current else { return };
        *place = Place::Device;
        // A stream that is dropped in the meantime takes its slots along.
        let (window, shared) = (*window, Arc::downgrade(&self.shared));
        self.shared.slots[window.slot].take_back(move |mapped| {
            // If the device is lost, the run ends elsewhere.
            if let Some(shared) = shared.upgrade().filter(|_| mapped) {
                shared.lock().free.push_back(window.slot);
                shared.work.notify_all();
            }
        });
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A thread that panicked has already reported it.
            let _ = worker.join();
        }
    }
}
