//! Images are read as Pillow reads them: `tests/fixtures/images/make.py` has written both.

#![cfg(feature = "images")]

use std::path::Path;

use downhill::data::{Fit, Holdout, ImageOptions, Normalise, images};
use serde_json::Value;

/// Square errors and the largest one.
struct Errors {
    mean_square: f64,
    largest: f64,
}

impl Errors {
    fn of(found: &[f64], want: &Value) -> Errors {
        let want: Vec<f64> =
            want.as_array().expect("pixels").iter().map(|v| v.as_f64().expect("a number")).collect();
        assert_eq!(found.len(), want.len());
        let errors = || found.iter().zip(&want).map(|(a, b)| (a - b).abs());
        Errors {
            mean_square: errors().map(|e| e * e).sum::<f64>() / want.len() as f64,
            largest: errors().fold(0.0, f64::max),
        }
    }

    #[track_caller]
    fn within(&self, mean_square: f64, largest: f64, what: &str) {
        assert!(self.largest <= largest, "{what}: off by {}, {largest} is allowed", self.largest);
        assert!(self.mean_square <= mean_square, "{what}: {} in the mean of squares", self.mean_square);
    }
}

fn read(path: &Path, channels: Option<usize>, size: Option<[usize; 2]>) -> (Vec<usize>, Vec<f64>) {
    let dir = tempfile::tempdir().expect("a folder");
    let class = dir.path().join("class");
    std::fs::create_dir(&class).expect("a folder");
    std::fs::copy(path, class.join(path.file_name().expect("a name"))).expect("a copy");
    let hold = Holdout { fraction: 0.0, ..Holdout::new(0) };
    let options = ImageOptions { size, fit: Fit::Stretch, channels, normalise: Normalise::None, hold };
    let data = images(dir.path(), &options).unwrap_or_else(|err| panic!("{err}"));
    let input = data.train().inputs();
    (input.shape().to_vec(), input.sample(0).unwrap_or_else(|err| panic!("{err}")))
}

/// PNG to the bit. For JPEG two decoders may differ by their inverse cosine transforms, each of which is off by 1 at most
/// and by 0.02 in the mean of squares (IEEE 1180): by 2 and 0.08 in a grey image. B = Y + 1.772 Cb adds up to 2 · 2.772 and
/// two roundings, and (1 + 1.772)² · 0.08 and two roundings of 1/12 in the mean, grey less. Scaled images are off by the
/// rounding that Pillow does between its passes and by the last one of both: by 1.
#[test]
fn pixels_are_those_of_pillow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let list = expected["images"].as_object().expect("images");
    assert_eq!(list.len(), 10);
    for (name, want) in list {
        let path = folder.join(name);
        let extent = |key: &str| want[key].as_u64().expect("an extent") as usize;
        let (height, width) = (extent("height"), extent("width"));
        let (jpeg, colour) = (name.ends_with(".jpg"), !name.starts_with("grey") && !name.starts_with("bits"));
        let (square, largest) = match (jpeg, colour) {
            (false, _) => (0.0, 0.0),
            (true, false) => (0.08, 2.0),
            (true, true) => (0.08 * 2.772 * 2.772 + 2.0 / 12.0, 2.0 * 2.772 + 1.0),
        };
        for (key, channels) in [("grey", 1), ("colour", 3)] {
            let (shape, found) = read(&path, Some(channels), None);
            assert_eq!(shape, [channels, height, width]);
            Errors::of(&found, &want[key]).within(square, largest, &format!("{name}, {key}"));
        }
        let (_, found) = read(&path, Some(1), Some([5, 4]));
        Errors::of(&found, &want["stretched"]).within(
            square + 1.0,
            largest + 1.0,
            &format!("{name}, scaled"),
        );
        // What is grey by its header has one channel.
        assert_eq!(read(&path, None, None).0[0], if colour { 3 } else { 1 }, "{name}");
    }
}
