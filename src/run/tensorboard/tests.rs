//! Files are taken apart by a reader that shares nothing with the writer, and compared with TensorBoard's own bytes.

use super::event::{Event, Summary, What};
use super::*;
use crate::engine::GradientCheck;
use crate::metrics::Metrics;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Whole(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// CRC32C from its definition: the reflected polynomial, bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn masked(data: &[u8]) -> u32 {
    let crc = crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The data of every record.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> &'a [u8; N] {
        let (head, rest) = bytes.split_first_chunk().expect("a whole record");
        *bytes = rest;
        head
    }
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length: &[u8; 8] = take(&mut bytes);
        assert_eq!(u32::from_le_bytes(*take(&mut bytes)), masked(length));
        let (data, rest) = bytes.split_at(u64::from_le_bytes(*length) as usize);
        bytes = rest;
        assert_eq!(u32::from_le_bytes(*take(&mut bytes)), masked(data));
        out.push(data.to_vec());
    }
    out
}

/// The fields of a message, in order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().expect("a varint");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                out.push((key >> 3, Field::Whole(varint(&mut bytes))));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("kind {other}"),
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        out.push((
            key >> 3,
            match key & 7 {
                1 => Field::Double(f64::from_le_bytes(value.try_into().unwrap())),
                5 => Field::Float(f32::from_le_bytes(value.try_into().unwrap())),
                _ => Field::Bytes(value.to_vec()),
            },
        ));
    }
    out
}

/// The events of a file: step, and the scalars by tag; what else an event says is left out. Each has a time of today.
fn scalars(path: &Path) -> Vec<(u64, Vec<(String, f32)>)> {
    let bytes = fs::read(path).unwrap();
    let messages = |message: &[(u64, Field)], field: u64| -> Vec<Vec<(u64, Field)>> {
        let values = message.iter().filter(|(number, _)| *number == field);
        values
            .map(
                |(_, value)| {
                    if let Field::Bytes(bytes) = value { fields(bytes) } else { panic!("{value:?}") }
                },
            )
            .collect()
    };
    records(&bytes)
        .iter()
        .map(|record| {
            let event = fields(record);
            let (1, Field::Double(time)) = event[0] else { panic!("{event:?}") };
            assert!((now() - 3600.0..=now()).contains(&time), "{time}");
            let step = match event[1] {
                (2, Field::Whole(step)) => step,
                _ => 0,
            };
            let values =
                messages(&event, 5).iter().flat_map(|summary| messages(summary, 1)).collect::<Vec<_>>();
            let scalar = |value: &Vec<(u64, Field)>| match &value[..] {
                [(1, Field::Bytes(tag)), (2, Field::Float(value))] => {
                    (String::from_utf8(tag.clone()).unwrap(), *value)
                }
                other => panic!("{other:?}"),
            };
            (step, values.iter().map(scalar).collect())
        })
        .collect()
}

#[test]
fn checksums_are_those_of_the_standard() {
    // RFC 3720, B.4, and the check value of the catalogue of CRCs.
    let ascending: Vec<u8> = (0..32).collect();
    for (data, crc) in [
        (&b"123456789"[..], 0xe306_9283),
        (&[0; 32], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&ascending, 0x46dd_794e),
        (b"", 0),
    ] {
        assert_eq!(crc32c(data), crc, "the reader's");
        let record = record::framed(data);
        assert_eq!(record.len(), data.len() + 16);
        assert_eq!(record[..8], (data.len() as u64).to_le_bytes());
        let tail = u32::from_le_bytes(*record.last_chunk().unwrap());
        assert_eq!(tail.wrapping_sub(0xa282_ead8).rotate_left(15), crc, "the writer's");
        assert_eq!(records(&record), [data]);
    }
}

/// `tests/fixtures/events/make.py` wrote the file.
#[test]
fn the_bytes_are_those_of_tensorboard() {
    let histogram = Histogram {
        min: -0.5,
        max: 1.25,
        num: 6.0,
        sum: 1.5,
        sum_squares: 2.75,
        bucket_limit: vec![-0.25, 0.0, 0.5, 2.0],
        bucket: vec![1.0, 0.0, 3.0, 2.0],
    };
    let empty = Histogram { min: -0.0, ..Histogram::default() };
    let first = [("train/loss", Summary::Scalar(2.5)), ("train/lr", Summary::Scalar(0.001))];
    let histograms = [
        ("weights/1.weight", Summary::Histogram(&histogram)),
        ("weights/\u{fc}", Summary::Histogram(&empty)),
    ];
    let events = [
        (0.25, 0, What::FileVersion("brain.Event:2")),
        (0.5, 1, What::Summary(&first)),
        (0.75, 127, What::Summary(&[("train/loss", Summary::Scalar(0.0))])),
        (1.0, 300, What::Summary(&[("eval/loss", Summary::Scalar(f32::INFINITY))])),
        (1.5, 1 << 40, What::Summary(&histograms)),
        (2.0, 128, What::SessionStart),
    ];
    let have: Vec<Vec<u8>> = events
        .into_iter()
        .map(|(time, step, what)| Event { wall_time: 1.7e9 + time, step, what }.encode())
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events/golden.tfevents");
    let golden = fs::read(path).unwrap();
    for (i, (have, want)) in have.iter().zip(records(&golden)).enumerate() {
        assert_eq!(fields(have), fields(&want), "event {i}");
    }
    let have: Vec<u8> = have.iter().flat_map(|event| record::framed(event)).collect();
    assert_eq!(have, golden);
}

#[test]
fn steps_and_epochs_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = EventFile::create(dir.path()).unwrap();
    let names = ["kl", "lr", "accuracy"].map(str::to_owned).into();
    let step = |step, checks| StepRecord {
        step,
        epoch: 1,
        loss: 0.5 / step as f32,
        lr: 0.25,
        metrics: Metrics::new(&names, [1.0, 2.0, 3.0]),
        gradient_check: checks,
    };
    let checks = GradientCheck { loss_scale: None, skipped_steps: 0, skipped: false, grad_norm: 7.5 };
    let epoch = EpochRecord {
        epoch: 1,
        step: 2,
        train_loss: 0.375,
        eval_loss: Some(0.125),
        eval_accuracy: Some(0.75),
        train_metrics: Metrics::new(&names, [1.5, 2.5, 3.5]),
        eval_metrics: Metrics::new(&names, [4.0, 5.0, 6.0]),
        samples_per_second: 1e4,
        data_wait: None,
        eval_confusion: None,
    };
    file.steps(&[step(1, None), step(2, Some(checks))]).unwrap();
    // Nothing waits in the buffer.
    assert_eq!(scalars(file.path()).len(), 3);
    file.epoch(&epoch).unwrap();
    let eval_less = EpochRecord { eval_loss: None, eval_accuracy: None, step: 3, ..epoch };
    file.epoch(&EpochRecord {
        train_metrics: Metrics::default(),
        eval_metrics: Metrics::default(),
        ..eval_less
    })
    .unwrap();
    let read = scalars(file.path());
    let want: [(u64, &[(&str, f32)]); 5] = [
        (0, &[]),
        (
            1,
            &[
                ("train/loss", 0.5),
                ("train/lr", 0.25),
                ("train/kl", 1.0),
                ("train/metrics/lr", 2.0),
                ("train/accuracy", 3.0),
            ],
        ),
        (
            2,
            &[
                ("train/loss", 0.25),
                ("train/lr", 0.25),
                ("train/grad_norm", 7.5),
                ("train/kl", 1.0),
                ("train/metrics/lr", 2.0),
                ("train/accuracy", 3.0),
            ],
        ),
        (
            2,
            &[
                ("epoch/train_loss", 0.375),
                ("epoch/train_kl", 1.5),
                ("epoch/train_lr", 2.5),
                ("epoch/train_accuracy", 3.5),
                ("epoch/samples_per_second", 1e4),
                ("eval/loss", 0.125),
                ("eval/accuracy", 0.75),
                ("eval/kl", 4.0),
                ("eval/lr", 5.0),
                ("eval/metrics/accuracy", 6.0),
            ],
        ),
        (3, &[("epoch/train_loss", 0.375), ("epoch/samples_per_second", 1e4)]),
    ];
    let read: Vec<(u64, Vec<(&str, f32)>)> = read
        .iter()
        .map(|(step, all)| (*step, all.iter().map(|(tag, value)| (&tag[..], *value)).collect()))
        .collect();
    assert_eq!(read, want.map(|(step, all)| (step, all.to_vec())));
}

/// TensorBoard reads files in the order of their names, also those that begin within a second.
#[test]
fn a_file_comes_after_those_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> =
        (0..3).map(|_| EventFile::create(dir.path()).unwrap().path().to_owned()).collect();
    fs::write(dir.path().join("events.out.tfevents.9999999990.elsewhere.1.v2"), "").unwrap();
    paths.push(EventFile::resume(dir.path(), 40).unwrap().path().to_owned());
    assert!(paths.is_sorted_by(|a, b| a < b), "{paths:?}");
    let last = paths[3].file_name().unwrap().to_str().unwrap();
    assert!(last.starts_with("events.out.tfevents.9999999991.") && last.ends_with(".v2"), "{last}");
    let events: Vec<_> = records(&fs::read(&paths[3]).unwrap()).iter().map(|record| fields(record)).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0][1..], [(3, Field::Bytes(b"brain.Event:2".into()))]);
    // A session log whose status is START, 1, at the first step to come.
    assert_eq!(events[1][1..], [(2, Field::Whole(41)), (7, Field::Bytes(vec![8, 1]))]);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("none");
    let err = EventFile::create(&nowhere).unwrap_err().to_string();
    assert!(err.contains(&*nowhere.to_string_lossy()), "{err}");
    let mut file = EventFile::create(dir.path()).unwrap();
    let histogram = Histogram { bucket_limit: vec![1.0, 2.0], bucket: vec![3.0], ..Histogram::default() };
    let err = file.histograms(1, &[("w", &histogram)]).unwrap_err().to_string();
    assert_eq!(err, "histogram w: 2 limits for 1 buckets; each bucket has an upper limit");
    assert_eq!(records(&fs::read(file.path()).unwrap()).len(), 1);
}
