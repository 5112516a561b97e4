//! Packed and read again; damage found, at its place.

use proptest::prelude::*;

use super::super::{Holdout, Kind, Scale, Summary, TextOptions, digits, text};
use super::*;

fn packed(data: &Dataset) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.dhd");
    let told = write_pack(data, &path, false, &mut |done, total| assert!(done <= total)).unwrap();
    assert_eq!(told.bytes, std::fs::metadata(&path).unwrap().len());
    (dir, path)
}

/// Every sample of every field, as the model gets it.
fn samples(data: &Dataset) -> Vec<Vec<f64>> {
    let parts = [Some(data.train()), data.eval()].into_iter().flatten();
    let all = parts.flat_map(|part| {
        let field = move |(_, field): (_, &Field)| {
            (0..part.len() as u32)
                .map(|i| field.sample(part.source_index(i) as usize).unwrap())
                .collect::<Vec<_>>()
        };
        part.fields().flat_map(field).collect::<Vec<_>>()
    });
    all.collect()
}

#[track_caller]
fn assert_same(data: &Dataset) {
    let (_dir, path) = packed(data);
    let again = pack(&path).unwrap();
    assert_eq!(samples(&again), samples(data));
    assert_eq!(
        (again.name(), again.classes(), again.encoding()),
        (data.name(), data.classes(), data.encoding())
    );
    let names = |part: &Part| {
        part.roles().map(|(input, name, f)| (input, name.to_owned(), f.scale().cloned())).collect::<Vec<_>>()
    };
    assert_eq!(names(again.train()), names(data.train()));
    assert_eq!(again.eval().map(names), data.eval().map(names));
    verify(&path, &mut |_, _| ()).unwrap();
}

#[test]
fn what_is_packed_is_what_was_there() {
    let digits = digits().unwrap();
    assert_same(&digits);
    assert_same(&digits.clone().without_targets());
    let words = text(
        "words",
        &"the quick brown fox jumps over the lazy dog ".repeat(3),
        &TextOptions { hop: Some(1), ..TextOptions::new(4) },
    );
    assert_same(&words.unwrap());
    // A split by chance, every kind, a scale for each channel.
    for (kind, n) in Kind::ALL.into_iter().zip(3..) {
        let x = Values::Bytes(kind, (0..8 * n * kind.bytes()).map(|i| (i % 60) as u8).collect());
        let x = Field::new([2, 4], x).unwrap();
        let x = x.scaled(Scale { factor: vec![0.5, 3.0], offset: vec![0.1, -1.0] }).unwrap();
        let part = Part::builder()
            .input("a", x)
            .target("b", Field::new([], (0..n as i32).collect::<Vec<_>>()).unwrap());
        let hold = Holdout { fraction: 0.4, ..Holdout::new(1) };
        assert_same(&Dataset::split("kinds", part.build().unwrap(), hold, Some(n)).unwrap());
    }
}

/// A text lies in the file once, for both fields and both parts.
#[test]
fn fields_over_a_sequence_share_it() {
    let long = "to be or not to be ".repeat(100);
    let data = text("long", &long, &TextOptions { hop: Some(1), ..TextOptions::new(64) }).unwrap();
    let (_dir, path) = packed(&data);
    let again = pack(&path).unwrap();
    let most = u64::MAX;
    let device = |data: &Dataset| Summary::new(data, most).unwrap().device_bytes;
    assert_eq!(device(&again), device(&data));
    assert!(std::fs::metadata(&path).unwrap().len() < 2 * 4096 + 4 * 1900);
}

#[test]
fn a_file_that_is_there_stays() {
    let (_dir, path) = packed(&digits().unwrap());
    let before = std::fs::read(&path).unwrap();
    let err = write_pack(&digits().unwrap(), &path, false, &mut |_, _| ()).unwrap_err();
    assert!(err.is_usage() && err.to_string().contains("--force"), "{err}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    write_pack(&digits().unwrap(), &path, true, &mut |_, _| ()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before, "the same data are the same file");
}

/// The bytes with a checksum that is right.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
    let mut hash = Xxh3::new();
    hash.update(&bytes[..SUMMED]);
    hash.update(&bytes[PREFIX..(PREFIX + length).min(bytes.len())]);
    bytes[SUMMED..PREFIX].copy_from_slice(&hash.digest().to_le_bytes());
    bytes
}

#[test]
fn damage_is_told_with_its_place() {
    let (_dir, path) = packed(&digits().unwrap());
    let good = std::fs::read(&path).unwrap();
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        pack(&path).map_err(|err| err.to_string())
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let refused = |bytes: &[u8], words: &[&str]| {
        let err = open(bytes).unwrap_err();
        assert!(words.iter().all(|word| err.contains(word)), "{words:?}: {err}");
    };
    refused(&good[..30], &["byte 0", "40 bytes are needed"]);
    refused(&changed(4, b'\n'), &["byte 0", "no packed data set"]);
    refused(&changed(8, 2), &["byte 8", "version 2"]);
    refused(&changed(23, 1), &["bytes are needed from here on"]);
    refused(&good[..good.len() - 1], &["byte 24", &format!("written with {} bytes", good.len())]);
    refused(&[&good[..], &[0]].concat(), &["byte 24", &format!("has {}", good.len() + 1)]);
    refused(&changed(PREFIX + 20, b'#'), &["byte 32", "header is damaged"]);
    refused(&summed(changed(PREFIX + 2, b'#')), &["the description", "unknown field"]);
    let text = String::from_utf8_lossy(&good).into_owned();
    let patched = |from: &str, to: &str| {
        assert!(from.len() == to.len() && text.contains(from));
        let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        summed([&good[..at], to.as_bytes(), &good[at + from.len()..]].concat())
    };
    refused(&patched("\"f32\"", "\"f33\""), &["kind \"f33\""]);
    refused(&patched("\"offset\":4096", "\"offset\":4095"), &["byte 4095", "multiples of 4096"]);
    refused(&patched("\"samples\":1437", "\"samples\":9437"), &["\"x\"", "room for 1437"]);
    refused(&patched("\"classes\":10", "\"classes\":09"), &["the description"]);
    refused(&patched("\"array\":0", "\"array\":9"), &["array 9 of 4"]);
    // Behind the header only the checksums of the contents tell.
    let flipped = changed(4096 + 77, good[4096 + 77] ^ 1);
    open(&flipped).unwrap();
    let err = verify(&path, &mut |_, _| ()).unwrap_err().to_string();
    assert!(err.contains("byte 4096") && err.contains("of \"x\", are damaged"), "{err}");
    open(&good).unwrap();
    assert_eq!(verify(&path, &mut |_, _| ()).unwrap(), (1437 + 360) * (64 + 1) * 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any description is read or refused, even under a right checksum.
    #[test]
    fn any_description_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789\",:[]{}-aetx".to_vec())), 1..6),
        sum: bool,
    ) {
        let x = Field::new([2], vec![0.5f32; 8]).unwrap();
        let part = Part::new(x, Field::new([], vec![0, 1, 1, 0]).unwrap()).unwrap();
        let (_dir, path) = packed(&Dataset::new("x", part, None, Some(2)).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let length = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        for (at, byte) in changes {
            bytes[PREFIX + at.index(length)] = byte;
        }
        std::fs::write(&path, if sum { summed(bytes) } else { bytes }).unwrap();
        match pack(&path) {
            Ok(data) => prop_assert!(data.train().inputs().sample(0).is_ok()),
            Err(err) => prop_assert!(matches!(err, Error::Data(_)), "{}", err),
        }
        let _ = verify(&path, &mut |_, _| ());
    }
}
