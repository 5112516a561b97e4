//! Arrays as their own ecosystems write them, read exactly. `fixtures/arrays/make.py` wrote the files, and what they
//! hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use downhill::data::{
    self, ArrayNames, ArrayOptions, CifarLabels, Dataset, Encoding, Field, Normalise, Part, Scale,
};
use serde::Deserialize;

/// An array of the fixtures.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    shape: Vec<usize>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    labels: Vec<f64>,
    #[serde(default)]
    coarse: Vec<f64>,
    #[serde(default)]
    sum: f64,
    #[serde(default)]
    some: Vec<f64>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name)
}

fn expected() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("expected.json");
    serde_json::from_str(&text).expect("rows")
}

/// All samples, and numbers as they are in the file.
fn plain() -> ArrayOptions {
    ArrayOptions { normalise: Normalise::None, eval_fraction: Some(0.0), ..ArrayOptions::default() }
}

fn values(field: &Field) -> Vec<f64> {
    (0..field.len()).flat_map(|i| field.sample(i).expect("a sample")).collect()
}

#[track_caller]
fn assert_holds(field: &Field, row: &Row, name: &str) {
    assert_eq!(field.len(), row.shape[0], "{name}");
    assert_eq!(field.shape().elements(), row.shape[1..].iter().product::<usize>(), "{name}");
    assert_eq!(values(field), row.values, "{name}");
}

fn names(x: &str, y: &str) -> ArrayNames {
    ArrayNames { x: Some(x.into()), y: Some(y.into()), ..ArrayNames::default() }
}

#[test]
fn npy_of_every_type_order_and_version() {
    let mut count = 0;
    for (name, row) in expected().iter().filter(|(name, _)| name.starts_with("npy/")) {
        let path = fixture(name);
        let data = data::npy(&path, Some(&path), &plain()).unwrap_or_else(|err| panic!("{name}: {err}"));
        assert_holds(data.train().inputs(), row, name);
        assert_holds(data.train().targets(), row, name);
        count += 1;
    }
    assert_eq!(count, 12 + 9 + 3 + 1 + 2 + 2);
    let dir = tempfile::tempdir().expect("a folder");
    let packed = std::fs::read(fixture("npy/f8.npy.gz")).expect("a file");
    let cut = dir.path().join("f8.npy.gz");
    std::fs::write(&cut, &packed[..packed.len() - 12]).expect("a file");
    let err = data::npy(&cut, Some(&cut), &plain()).unwrap_err().to_string();
    assert!(err.contains("the compressed data end before"), "{err}");
    let inputs = data::array_inputs(&fixture("npy/f8.npy.gz"), None).expect("inputs");
    assert_holds(&inputs, &expected()["npy/f8.npy.gz"], "inputs");
    let labels = fixture("npy/labels.npy");
    assert_eq!(data::npy(&fixture("npy/f4.npy"), Some(&labels), &plain()).unwrap().classes(), Some(3));
    for (name, words) in
        [("objects", "Python objects"), ("complex", "complex numbers"), ("words", "np.unique")]
    {
        let path = fixture(&format!("npy/{name}.npy"));
        let err = data::npy(&path, Some(&labels), &plain()).unwrap_err().to_string();
        assert!(err.contains(words) && err.contains(&format!("{name}.npy, byte ")), "{err}");
    }
}

#[test]
fn safetensors_of_every_type() {
    let mut count = 0;
    for (name, row) in &expected() {
        let Some(tensor) = name.strip_prefix("types.safetensors/") else { continue };
        let data =
            data::safetensors(&fixture("types.safetensors"), &names(tensor, tensor), &plain()).unwrap();
        assert_holds(data.train().inputs(), row, name);
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn arrays_with_the_usual_names_are_found() {
    let rows = expected();
    for file in ["stored.npz", "deflated.npz", "keras.safetensors"] {
        let load = |options: &ArrayOptions| -> Dataset {
            let (path, names) = (fixture(file), ArrayNames::default());
            match file {
                "keras.safetensors" => data::safetensors(&path, &names, options),
                _ => data::npz(&path, &names, options),
            }
            .unwrap_or_else(|err| panic!("{file}: {err}"))
        };
        let data = load(&ArrayOptions { normalise: Normalise::None, ..ArrayOptions::default() });
        assert_eq!(data.name(), format!("{file} (x_train, y_train; x_test, y_test)"));
        assert_eq!(data.classes(), Some(3));
        for (part, word) in [(data.train(), "train"), (data.eval().expect("a part"), "test")] {
            for (field, letter) in [(part.inputs(), "x"), (part.targets(), "y")] {
                let name = format!("{file}/{letter}_{word}");
                assert_holds(field, &rows[&name], &name);
            }
        }
        assert_eq!(data.encoding(), None);
        // Bytes are numbers from 0 to 1 unless told otherwise, and what is held out is of the training part.
        let unit =
            load(&ArrayOptions { eval_fraction: Some(0.5), stratify: true, ..ArrayOptions::default() });
        assert_eq!(unit.name(), format!("{file} (x_train, y_train)"));
        assert_eq!((unit.train().len(), unit.eval().map(Part::len)), (3, Some(3)));
        let want: Vec<f64> = rows[&format!("{file}/x_train")]
            .values
            .iter()
            .map(|&byte| f64::from(byte as f32 * (1.0 / 255.0)))
            .collect();
        assert_eq!(values(unit.train().inputs()), want);
        assert_eq!(unit.train().inputs().scale(), Some(&Scale::unit()));
    }
    let path = fixture("houses.npz");
    let err = data::npz(&path, &ArrayNames::default(), &plain()).unwrap_err().to_string();
    assert!(err.contains("rooms, features, price") && err.contains("data.source.x is missing"), "{err}");
    let data = data::npz(&path, &names("features", "price"), &ArrayOptions::default()).unwrap();
    assert_eq!((data.train().len(), data.eval().map(Part::len), data.classes()), (8, Some(2), None));
    assert_eq!(values(data.train().inputs()), rows["houses.npz/features"].values);
    assert_eq!(values(data.train().targets()), rows["houses.npz/price"].values);
}

#[test]
fn idx_of_every_type_as_it_is_and_packed() {
    let rows = expected();
    for kind in ["u1", "i1", "i2", "i4", "f4", "f8"] {
        let name = format!("idx/{kind}-train-images-idx2-{kind}");
        for end in ["", ".gz"] {
            // A folder with the one or the other.
            let dir = tempfile::tempdir().unwrap();
            for file in [format!("{name}{end}"), format!("idx/{kind}-train-labels-idx1-ubyte")] {
                let to = dir.path().join(Path::new(&file).file_name().unwrap());
                std::fs::copy(fixture(&file), to).unwrap();
            }
            let data =
                data::idx(dir.path(), None, &plain()).unwrap_or_else(|err| panic!("{name}{end}: {err}"));
            assert_holds(data.train().inputs(), &rows[&format!("{name}{end}")], &name);
            assert_eq!((data.classes(), data.eval()), (Some(4), None));
        }
    }
    let err = data::idx(&fixture("idx"), None, &plain()).unwrap_err().to_string();
    assert!(err.contains("6 sets, f4, f8, i1, i2, i4, u1") && err.contains("set = "), "{err}");
}

#[test]
fn mnist_is_a_folder() {
    let rows = expected();
    let data = data::idx(&fixture("mnist"), None, &ArrayOptions::default()).unwrap();
    assert_eq!((data.name(), data.classes()), ("mnist", Some(4)));
    for (part, word) in [(data.train(), "train"), (data.eval().unwrap(), "t10k")] {
        let want = &rows[&format!("mnist/{word}-images-idx3-ubyte.gz")];
        assert_eq!(part.inputs().shape()[..], [1, 5, 4]);
        let unit: Vec<f64> = want.values.iter().map(|&byte| f64::from(byte as f32 * (1.0 / 255.0))).collect();
        assert_eq!(values(part.inputs()), unit);
        assert_eq!(values(part.targets()), rows[&format!("mnist/{word}-labels.idx1-ubyte")].values);
    }
}

#[test]
fn cifar_in_both_versions() {
    let rows = expected();
    let check = |part: &Part, files: &[&str], labels: fn(&Row) -> &Vec<f64>| {
        let pixels = values(part.inputs());
        let rows: Vec<&Row> = files.iter().map(|file| &rows[*file]).collect();
        let each = pixels.len() / rows.len();
        for (row, pixels) in rows.iter().zip(pixels.chunks(each)) {
            assert_eq!(pixels.iter().sum::<f64>(), row.sum);
            assert_eq!(pixels.iter().copied().step_by(307).collect::<Vec<_>>(), row.some);
        }
        assert_eq!(
            values(part.targets()),
            rows.iter().flat_map(|row| labels(row)).copied().collect::<Vec<_>>()
        );
        assert_eq!(part.inputs().shape()[..], [3, 32, 32]);
    };
    let options = ArrayOptions { normalise: Normalise::None, ..ArrayOptions::default() };
    let ten = data::cifar(&fixture("cifar10"), CifarLabels::Fine, &options).unwrap();
    let batches = [1, 2, 3, 4, 5].map(|i| format!("cifar10/data_batch_{i}.bin"));
    check(ten.train(), &batches.each_ref().map(String::as_str), |row| &row.labels);
    check(ten.eval().unwrap(), &["cifar10/test_batch.bin"], |row| &row.labels);
    assert_eq!(ten.classes(), Some(10));
    for (labels, classes, of) in [
        (CifarLabels::Fine, 100, (|row| &row.labels) as fn(&Row) -> &Vec<f64>),
        (CifarLabels::Coarse, 20, |row| &row.coarse),
    ] {
        let hundred = data::cifar(&fixture("cifar100"), labels, &options).unwrap();
        check(hundred.train(), &["cifar100/train.bin"], of);
        check(hundred.eval().unwrap(), &["cifar100/test.bin"], of);
        assert_eq!(hundred.classes(), Some(classes));
    }
}

/// Mean 0 and deviation 1 are what the training part has afterwards, channel by channel; what was done is kept.
#[test]
fn a_standard_part_has_mean_0_and_deviation_1() {
    let options = ArrayOptions { normalise: Normalise::Standard, ..ArrayOptions::default() };
    let data = data::cifar(&fixture("cifar10"), CifarLabels::Fine, &options).unwrap();
    let all = values(data.train().inputs());
    let plane = 32 * 32;
    for channel in 0..3 {
        let of: Vec<f64> = all.chunks(plane).skip(channel).step_by(3).flatten().copied().collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        let std = (of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / of.len() as f64).sqrt();
        // Bytes have a deviation near 74: factor and product are rounded at up to 3.5, offset and sum at up to 1.8. As
        // far as each number is off, mean and deviation can be.
        let bound = (2.0 * 3.5 + 2.0 * 1.8) * f64::from(f32::EPSILON) / 2.0;
        assert!(mean.abs() <= bound && (std - 1.0).abs() <= bound, "{mean:e} {:e}", std - 1.0);
    }
    let Some(Encoding::Array(kept)) = data.encoding() else { panic!("{:?}", data.encoding()) };
    assert_eq!((kept.shape.as_slice(), kept.divisor, kept.mean.len()), (&[3, 32, 32][..], 255.0, 3));
    assert_eq!(data.eval().unwrap().inputs().scale(), Some(&kept.scale()));
}

/// 3 GiB of pixels are not read when they are opened.
#[test]
fn a_large_file_is_open_at_once() {
    const SIDE: u32 = 224;
    const SAMPLES: u32 = (3 << 30) / (SIDE * SIDE) + 1;
    let dir = tempfile::tempdir().unwrap();
    let add = |name: &str, extents: &[u32], last: u8| {
        let mut file = File::create(dir.path().join(name)).unwrap();
        file.write_all(&[0, 0, 8, extents.len() as u8]).unwrap();
        extents.iter().for_each(|extent| file.write_all(&extent.to_be_bytes()).unwrap());
        let values: u64 = extents.iter().map(|&extent| u64::from(extent)).product();
        let end = 4 + 4 * extents.len() as u64 + values;
        file.set_len(end).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end - 1)).unwrap();
        file.write_all(&[last]).unwrap();
    };
    add("train-images-idx3-ubyte", &[SAMPLES, SIDE, SIDE], 255);
    add("train-labels-idx1-ubyte", &[SAMPLES], 9);
    let start = Instant::now();
    let options = ArrayOptions { eval_fraction: Some(0.0), ..ArrayOptions::default() };
    let data = data::idx(dir.path(), None, &options).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let (x, last) = (data.train().inputs(), SAMPLES as usize - 1);
    assert!(!x.values().in_memory() && x.values().bytes() > 3 << 30);
    let sample = x.sample(last).unwrap();
    assert_eq!((sample.len(), sample[0], sample.last()), (224 * 224, 0.0, Some(&1.0)));
    assert_eq!(data.train().targets().sample(last).unwrap(), [9.0]);
    assert_eq!(data.classes(), Some(10));
}
