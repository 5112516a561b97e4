//! Views of runs, small ones to the character, all others by what must hold.

use console::{measure_text_width, strip_ansi_codes};
use downhill::train::{EpochRecord, RunStart, StepRecord};
use proptest::prelude::*;

use super::super::meter::Rates;
use super::*;

/// Ten epochs of four steps of 8 samples.
const START: RunStart = RunStart {
    step: 0,
    total_steps: 40,
    steps_per_epoch: 4,
    batch_size: 8,
    parameters: 100,
    memory: 3 << 20,
    budget: None,
};

fn step(step: u64, epoch: u64, loss: f32) -> StepRecord {
    let text = format!("{{\"step\":{step},\"epoch\":{epoch},\"loss\":0,\"lr\":0.1}}");
    StepRecord { loss, ..serde_json::from_str(&text).unwrap() }
}

/// An epoch with metrics of these names.
fn epoch(eval_loss: f64, names: &[&str]) -> EpochRecord {
    let metrics: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), 0.25.into())).collect();
    let record: EpochRecord = serde_json::from_value(serde_json::json!({
        "epoch": 1, "train_loss": 1.0, "eval_accuracy": 0.9694, "eval_metrics": metrics, "samples_per_second": 1.0
    }))
    .unwrap();
    EpochRecord { eval_loss: Some(eval_loss), ..record }
}

/// In the third epoch.
fn midway() -> State {
    let mut state = State::new(&START);
    state.steps(&(1..=10).map(|at| step(at, (at - 1) / 4 + 1, 2.0 - 0.1 * at as f32)).collect::<Vec<_>>());
    state.epoch(&epoch(1.25, &["precision"]));
    state.rates =
        Rates { speed: Some(1500.0), device_wait: Some(0.914), data_wait: Some(0.031), left: Some(83.2) };
    state.budget = Some(64 << 20);
    state.checkpoint = Some(8);
    state
}

fn plain(state: &State, columns: usize, rows: usize) -> Vec<String> {
    render(state, Terminal { columns, rows, colour: false })
}

fn full(columns: usize) -> String {
    "\u{2501}".repeat(columns)
}

#[test]
fn a_run_on_eighty_columns() {
    let lines = plain(&midway(), 80, 24);
    let head = [
        format!("epoch 3/10 {}{}  50%    2/4 steps", full(17), " ".repeat(17)),
        format!("run        {}{}  25%  10/40 steps  1 min 24 s left", full(9), " ".repeat(25)),
        "loss 1.4500  eval loss 1.2500  eval accuracy 96.94%  eval precision 0.2500".into(),
        "12.0 k samples/s  GPU waits for data 3%  host waits for GPU 91%".into(),
        "memory 3.0 MiB of 64.0 MiB  checkpoint step 8".into(),
    ];
    for (line, want) in lines.iter().zip(&head) {
        assert_eq!(line.replace('\u{2578}', "\u{2501}").trim_end(), want.as_str());
    }
    assert_eq!(lines.len(), head.len() + CURVE_ROWS + 1);
    assert!(lines[5].starts_with("1.9000 \u{28}") || lines[5].starts_with("1.9000 "), "{}", lines[5]);
    assert!(lines[10].starts_with("1.0000 "), "{}", lines[10]);
    let axis = &lines[11];
    assert!(
        axis.starts_with("       step 1 ") && axis.ends_with(" step 10") && axis.contains(" loss "),
        "{axis}"
    );
    assert_eq!(axis.len(), 80);
}

#[test]
fn parts_are_dropped_where_there_is_no_room() {
    let state = midway();
    let count = |columns, rows, text: &str| plain(&state, columns, rows).join("\n").matches(text).count();
    assert_eq!([80, 60, 50, 40].map(|columns| count(columns, 24, " steps")), [2, 2, 0, 0]);
    assert_eq!([80, 60, 40, 30].map(|columns| count(columns, 24, " left")), [1, 1, 1, 0]);
    assert_eq!([80, 60, 40, 25].map(|columns| count(columns, 24, "%") > 1), [true; 4]);
    assert!([80, 60, 40].iter().all(|columns| count(*columns, 24, "step 10") == 1), "the curve stays");
    assert_eq!(count(20, 24, "step 10"), 0);
    // Few rows: a lower curve, then none, then the bars.
    assert_eq!([24, 12, 9, 8, 3, 1].map(|rows| plain(&state, 80, rows).len()), [12, 11, 8, 5, 2, 0]);
    assert_eq!(count(80, 8, "step 10"), 0);
}

#[test]
fn what_is_not_known_is_not_shown() {
    let state = State::new(&START);
    let lines = plain(&state, 80, 24);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("epoch 1/10 ") && lines[0].contains("   0%  "), "{}", lines[0]);
    assert_eq!(lines[2], "memory 3.0 MiB");
    let mut state = midway();
    (state.rates, state.stopping) = (Rates::default(), true);
    let text = plain(&state, 80, 24).join("\n");
    assert!(
        text.contains("\nstopping  memory") && !text.contains("waits") && !text.contains("left"),
        "{text}"
    );
}

/// A loss that is not a number belongs to a skipped step. The displayed loss and the curve leave it out.
#[test]
fn losses_that_are_no_numbers_leave_no_trace() {
    let mut state = midway();
    let before = plain(&state, 80, 24);
    state.steps(&[step(10, 3, f32::NAN), step(10, 3, f32::INFINITY)]);
    assert_eq!(plain(&state, 80, 24), before);
    state.epoch(&epoch(f64::NAN, &[]));
    let text = plain(&state, 80, 24).join("\n");
    assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("eval loss"), "{text}");
}

#[test]
fn a_run_that_goes_on_and_one_that_ends_within_an_epoch() {
    let mut state = State::new(&RunStart { step: 8, total_steps: 10, ..START });
    assert!(plain(&state, 80, 24)[0].starts_with("epoch 3/3 "));
    assert_eq!(state.steps_in_epoch(), (0, 2));
    state.steps(&[step(9, 3, 1.0), step(10, 3, 1.0)]);
    let lines = plain(&state, 80, 24);
    assert!(lines[..2].iter().all(|line| line.contains(&(full(8) + " 100%"))), "{lines:?}");
    // A run that is already at its end.
    let state = State::new(&RunStart { step: 12, total_steps: 12, ..START });
    assert!(plain(&state, 80, 24)[0].contains("3/3") && plain(&state, 80, 24)[0].contains("4/4 steps"));
    let nothing = State::new(&RunStart { total_steps: 0, steps_per_epoch: 0, ..START });
    assert!(plain(&nothing, 80, 24)[1].contains("   0%  0/0 steps"), "{:?}", plain(&nothing, 80, 24));
}

#[test]
fn numbers_and_times_are_short() {
    let texts = [0.0, 0.5, -2.25, 1e-3, 9.99e-4, 99_999.0, 1e5, 1e300].map(|x| number(x).unwrap());
    assert_eq!(
        texts,
        ["0.0000", "0.5000", "-2.2500", "0.0010", "9.990e-4", "99999.0000", "1.000e5", "1.000e300"]
    );
    assert_eq!([f64::NAN, f64::INFINITY].map(number), [None, None]);
    let times = [0.0, 59.0, 59.5, 200.0, 3600.0, 90_000.0].map(|s| time_left(s).unwrap());
    assert_eq!(times, ["0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "1 d 1 h"]);
    assert_eq!([1e9, f64::NAN, f64::INFINITY].map(time_left), [None, None, None]);
}

#[test]
fn colours_change_nothing_but_colours() {
    let mut state = midway();
    // A bar that is not full has other characters.
    state.steps(&[step(40, 10, 0.5)]);
    for columns in [116, 80, 40, 9] {
        let [with, without] =
            [true, false].map(|colour| render(&state, Terminal { columns, rows: 24, colour }));
        assert!(with.iter().any(|line| line.contains('\u{1b}')));
        assert_eq!(with.iter().map(|line| strip_ansi_codes(line)).collect::<Vec<_>>(), without);
    }
}

fn any_state() -> impl Strategy<Value = State> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), 0..4u8);
    let losses = prop::collection::vec(prop_oneof![any::<f32>(), Just(f32::NAN), 0.0..3.0f32], 0..50);
    let names = prop::collection::vec(any::<String>(), 0..4);
    let rates = prop::option::of(any::<f64>());
    (numbers, losses, names, any::<f64>(), rates).prop_map(
        |((total, per_epoch, at, small), losses, names, x, rate)| {
            let small = |n: u64| if small & 1 == 0 { n } else { n % 50 };
            let (total, per_epoch) = (small(total), small(per_epoch));
            let at = at.checked_rem(total).unwrap_or(0);
            let budget = Some(at).filter(|at| at % 2 == 0);
            let start = RunStart {
                step: at,
                total_steps: total,
                steps_per_epoch: per_epoch,
                memory: total,
                budget,
                ..START
            };
            let mut state = State::new(&start);
            let number = |i: usize| at.saturating_add(i as u64);
            let steps = losses.iter().enumerate();
            state.steps(
                &steps
                    .map(|(i, loss)| step(number(i), number(i) / per_epoch.max(1) + 1, *loss))
                    .collect::<Vec<_>>(),
            );
            state.epoch(&epoch(x, &names.iter().map(String::as_str).collect::<Vec<_>>()));
            state.rates = Rates { speed: rate, device_wait: rate, data_wait: rate, left: rate };
            state.checkpoint = budget;
            state.stopping = budget.is_none();
            state
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_line_is_wider_than_the_terminal(
        state in any_state(), columns in 0..200usize, rows in 0..40usize, colour in any::<bool>()
    ) {
        let lines = render(&state, Terminal { columns, rows, colour });
        prop_assert!(lines.len() <= rows.saturating_sub(1));
        for line in &lines {
            prop_assert!(measure_text_width(line) <= columns, "{line:?}");
            prop_assert!(!strip_ansi_codes(line).contains(|c: char| c.is_control()), "{line:?}");
        }
    }
}
