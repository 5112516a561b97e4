//! The speed of a run and its waits, measured over the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use downhill::train::RunProgress;

/// Rates are averages over this time.
const WINDOW: Duration = Duration::from_secs(5);

/// The rates of a run. All are `None` before its second window of steps, since the first includes compiling.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Steps a second of training.
    pub speed: Option<f64>,
    /// Share of that time in which the host waited for the device.
    pub device_wait: Option<f64>,
    /// Share of that time in which the device waited for samples, where they are streamed.
    pub data_wait: Option<f64>,
    /// Seconds to the last step.
    pub left: Option<f64>,
}

/// The progress at the time when steps completed.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    progress: RunProgress,
}

/// Measures a run from samples of its progress.
#[derive(Debug, Default)]
pub struct Meter {
    first: Option<Mark>,
    marks: VecDeque<Mark>,
}

impl Meter {
    /// The rates at `now` of a run that started at step `from`.
    pub fn look(&mut self, at: Instant, from: u64, progress: RunProgress) -> Rates {
        let last = self.marks.back().map_or(from, |mark| mark.progress.step);
        if progress.step < last {
            // The run was restored from a checkpoint.
            *self = Meter::default();
        } else if progress.step > last {
            let mark = Mark { at, progress };
            self.first.get_or_insert(mark);
            self.marks.push_back(mark);
            while self.marks.len() > 2 && at - self.marks[1].at > WINDOW {
                self.marks.pop_front();
            }
        }
        self.rates(at).unwrap_or_default()
    }

    fn rates(&self, now: Instant) -> Option<Rates> {
        let (first, a, b) = (self.first?, self.marks.front()?, self.marks.back()?);
        let steps = b.progress.step - a.progress.step;
        let training = b.progress.training.saturating_sub(a.progress.training).as_secs_f64();
        if steps == 0 || training <= 0.0 {
            return None;
        }
        let share = |b: Duration, a: Duration| (b.saturating_sub(a).as_secs_f64() / training).clamp(0.0, 1.0);
        let waits = b.progress.data_wait.zip(a.progress.data_wait);
        // The time left includes evaluations.
        let each = (b.at - first.at).as_secs_f64() / (b.progress.step - first.progress.step) as f64;
        let missing = b.progress.total_steps.saturating_sub(b.progress.step);
        Some(Rates {
            speed: Some(steps as f64 / training),
            device_wait: Some(share(b.progress.device_wait, a.progress.device_wait)),
            data_wait: waits.map(|(b, a)| share(b, a)),
            left: Some((each * missing as f64 - (now - b.at).as_secs_f64()).max(0.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(step: u64, training: u64, device: u64, data: Option<u64>) -> RunProgress {
        let ms = Duration::from_millis;
        let (training, device_wait) = (ms(training), ms(device));
        RunProgress {
            step,
            total_steps: 100,
            training,
            device_wait,
            data_wait: data.map(ms),
            ..RunProgress::default()
        }
    }

    #[test]
    fn the_first_window_counts_for_nothing() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        assert_eq!(meter.look(at(0), 0, progress(0, 0, 0, None)), Rates::default());
        // Eight seconds of compiling.
        assert_eq!(meter.look(at(8), 0, progress(10, 8000, 100, Some(0))), Rates::default());
        // Ten steps in a second of training, and another second of evaluation.
        let rates = meter.look(at(10), 0, progress(20, 9000, 850, Some(250)));
        let want =
            Rates { speed: Some(10.0), device_wait: Some(0.75), data_wait: Some(0.25), left: Some(16.0) };
        assert_eq!(rates, want);
        // Time goes by without a step.
        let later = meter.look(at(13), 0, progress(20, 9000, 850, Some(250)));
        assert_eq!(later, Rates { left: Some(13.0), ..want });
        assert_eq!(meter.look(at(99), 0, progress(20, 9000, 850, Some(250))).left, Some(0.0));
        // Back at a checkpoint: another device, another pace.
        assert_eq!(meter.look(at(100), 0, progress(15, 0, 0, None)), Rates::default());
    }

    #[test]
    fn old_samples_are_dropped() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let mut rates = Rates::default();
        for second in 0..30 {
            // One step a second, then ten.
            let step = if second < 10 { second + 1 } else { 10 + 10 * (second - 9) };
            let at = start + Duration::from_secs(second);
            rates = meter.look(at, 0, progress(step, 1000 * second, 0, None));
        }
        assert_eq!((rates.speed, rates.data_wait), (Some(10.0), None));
    }
}
