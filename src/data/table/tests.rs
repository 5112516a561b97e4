use super::*;
use proptest::prelude::*;

/// `text` as a file, beside it `eval.csv` where there is one.
fn load(text: &str, options: &CsvOptions, eval: Option<&str>) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let mut options = options.clone();
    if let Some(eval) = eval {
        let path = dir.path().join("eval.csv");
        std::fs::write(&path, eval).unwrap();
        options.eval_csv = Some(path);
    }
    csv(&path, &options)
}

fn encoding(data: &Dataset) -> &TableEncoding {
    let Some(Encoding::Table(encoding)) = data.encoding() else { panic!("no table") };
    encoding
}

fn f32s(field: &Field) -> &[f32] {
    let Values::F32(values) = field.values() else { panic!("no floats") };
    values
}

fn i32s(field: &Field) -> &[i32] {
    let Values::I32(values) = field.values() else { panic!("no labels") };
    values
}

fn all() -> CsvOptions {
    CsvOptions { eval_fraction: 0.0, ..CsvOptions::new("y") }
}

#[track_caller]
fn assert_refused(text: &str, options: &CsvOptions, usage: bool, words: &[&str]) {
    let err = load(text, options, None).unwrap_err();
    assert_eq!(err.is_usage(), usage, "{err:?}");
    for word in words {
        assert!(err.to_string().contains(word), "{word}: {err}");
    }
}

const GARDEN: &str = "rain,soil,plot,y\n10,clay,1,4\n20,sand,1,5\n30,loam,1,9\n20,clay,1,6\n";

#[test]
fn columns_become_numbers_by_what_they_look_like() {
    let data = load(GARDEN, &all(), None).unwrap();
    assert_eq!((data.name(), data.train().len(), data.eval()), ("t.csv", 4, None));
    // rain: mean 20, std √50; soil: clay, loam, sand; plot is constant, which gives 0.
    let r = 10.0 / 50f32.sqrt();
    let want = [
        [-r, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [r, 0.0, 1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0],
    ];
    assert_eq!(f32s(data.train().inputs()), want.concat());
    assert_eq!(data.train().inputs().shape()[..], [5]);
    assert_eq!(
        (f32s(data.train().targets()), &data.train().targets().shape()[..]),
        (&[4.0, 5.0, 9.0, 6.0][..], &[1][..])
    );
    assert_eq!(data.classes(), None);
    let plot = &encoding(&data).columns[2];
    assert_eq!((plot.name.as_str(), &plot.kind), ("plot", &InputKind::Numeric { mean: 1.0, std: 1.0 }));
    assert_eq!((encoding(&data).value(4.5), encoding(&data).class(0)), (Some(4.5), None));
}

#[test]
fn lists_say_what_is_what() {
    let names = |options: &CsvOptions| {
        let data = load(GARDEN, options, None).unwrap();
        let columns = encoding(&data).columns.clone();
        let name = |c: InputColumn| format!("{} {}", c.name, c.width());
        columns.into_iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let list = |columns: &[&str]| Some(columns.iter().map(|&c| c.to_owned()).collect::<Vec<_>>());
    assert_eq!(names(&all()), "rain 1, soil 3, plot 1");
    assert_eq!(names(&CsvOptions { numeric: list(&["rain"]), ..all() }), "rain 1, soil 3");
    assert_eq!(names(&CsvOptions { categorical: list(&["rain"]), ..all() }), "rain 3, plot 1");
    assert_eq!(names(&CsvOptions { categorical: list(&[]), ..all() }), "rain 1, plot 1");
    let both = CsvOptions { numeric: list(&["plot"]), categorical: list(&["rain"]), ..all() };
    assert_eq!(names(&both), "rain 3, plot 1");

    for (options, words) in [
        (CsvOptions { numeric: list(&["rian"]), ..all() }, &["numeric", "\"rian\"", "mean \"rain\""][..]),
        (CsvOptions { target: "yy".into(), ..all() }, &["target", "\"yy\"", "did you mean \"y\""]),
        (CsvOptions { categorical: list(&["y"]), ..all() }, &["categorical", "\"y\" is the target"]),
        (CsvOptions { numeric: list(&["rain", "rain"]), ..all() }, &["\"rain\" is named twice"]),
        (CsvOptions { numeric: list(&["rain"]), categorical: list(&["rain"]), ..all() }, &["one of them"]),
        (CsvOptions { numeric: list(&[]), categorical: list(&[]), ..all() }, &["none is an input"]),
        (CsvOptions { delimiter: b';', ..all() }, &["its only column is", "delimiter"]),
        (CsvOptions { delimiter: b'"', ..all() }, &["delimiter", "ASCII"]),
        (CsvOptions { eval_fraction: 1.0, ..all() }, &["eval_fraction = 1"]),
    ] {
        assert_refused(GARDEN, &options, true, words);
    }
    assert_refused(GARDEN, &CsvOptions { numeric: list(&["soil"]), ..all() }, false, &["row 1", "\"clay\""]);
}

#[test]
fn targets_are_numbers_or_classes() {
    let words = load("x,y\n1,no\n2,yes\n3,no\n", &all(), None).unwrap();
    assert_eq!((i32s(words.train().targets()), words.classes()), (&[0, 1, 0][..], Some(2)));
    assert!(words.train().targets().shape().is_empty());
    assert_eq!((encoding(&words).class(1), encoding(&words).class(2)), (Some("yes"), None));
    assert_eq!(encoding(&words).value(0.0), None);
    // Numbers in the order of numbers.
    let text = "x,y\n1,10\n2,9\n3,-1\n4,10\n";
    let numbers = load(text, &CsvOptions { classes: true, ..all() }, None).unwrap();
    assert_eq!((i32s(numbers.train().targets()), numbers.classes()), (&[2, 1, 0, 2][..], Some(3)));
    let scaled = load(text, &CsvOptions { standardise_target: true, ..all() }, None).unwrap();
    let values = f32s(scaled.train().targets());
    assert!(
        values.iter().sum::<f32>().abs() < 1e-6
            && (values.iter().map(|v| v * v).sum::<f32>() - 4.0).abs() < 1e-5
    );
    for (value, want) in values.iter().zip([10.0, 9.0, -1.0, 10.0]) {
        assert!((encoding(&scaled).value(*value).unwrap() - want).abs() < 1e-5);
    }
    let classes = CsvOptions { standardise_target: true, classes: true, ..all() };
    assert_refused(text, &classes, true, &["standardise_target", "\"y\"", "classes"]);
}

#[test]
fn what_is_missing_or_wrong_has_row_line_and_column() {
    for (text, words) in [
        ("x,y\n1,2\n,3\n", &["t.csv, row 2 (line 3), column \"x\"", "missing", "median"][..]),
        ("x,y\n1,2\nNA,3\n", &["row 2", "\"x\"", "missing"]),
        ("x,y\n1,2\nnan,3\n", &["row 2", "missing"]),
        ("x,s,y\n1,a,2\n3,,3\n", &["row 2", "column \"s\"", "missing", "\"unknown\""]),
        ("x,y\n1,2\n3,\n", &["row 2", "column \"y\"", "missing"]),
        ("x,y\n1,a\n3,\n", &["row 2", "column \"y\"", "missing"]),
        ("x,y\n\n1,2\n\ninf,3\n", &["row 2 (line 5)", "inf is not finite"]),
        ("x,y\n1,2\n1e39,3\n", &["1e39 is too large"]),
        ("x,y\n1,1e39\n", &["row 1", "\"y\"", "too large"]),
        ("x,y\n", &["no row"]),
        ("", &["empty"]),
    ] {
        assert_refused(text, &all(), false, words);
    }
    let numeric = CsvOptions { numeric: Some(vec!["x".into()]), ..all() };
    assert_refused("x,y\n\"1,5\",2\n", &numeric, false, &["row 1", "\"1,5\" is not a number", "point"]);
    // A column of names, or one of numbers with a slip, is no category.
    let names = |slip: &str| (0..1500).fold("x,y\n".to_owned(), |t, i| t + &format!("{slip}{i},1\n"));
    assert_refused(
        &names("n"),
        &all(),
        false,
        &["column \"x\"", "1500 categories", "numeric and categorical"],
    );
    let slip = names("") + "12o,1\n";
    assert_refused(&slip, &all(), false, &["1501 categories", "\"12o\" in row 1501"]);
    let err = csv(Path::new("/no/such.csv"), &all()).unwrap_err();
    assert!(matches!(err, Error::Io { .. }) && err.to_string().contains("/no/such.csv"), "{err:?}");
    assert_refused(
        "x,y\n1,2\n",
        &CsvOptions { eval_fraction: 0.5, ..all() },
        false,
        &["1 rows", "none to train on"],
    );
}

/// x counts the rows, so that a sample says which row it was.
fn counted(rows: usize) -> String {
    (0..rows).fold("x,s,y\n".to_owned(), |t, i| t + &format!("{i},k{},{i}\n", i % 7))
}

#[test]
fn rows_are_held_out_by_the_seed_alone() {
    let held = |seed| {
        let options = CsvOptions { eval_fraction: 0.25, split_seed: seed, ..CsvOptions::new("y") };
        let data = load(&counted(40), &options, None).unwrap();
        let [train, eval] = [data.train(), data.eval().unwrap()].map(|p| f32s(p.targets()).to_vec());
        assert_eq!((train.len(), eval.len()), (30, 10));
        assert!(train.is_sorted() && eval.is_sorted(), "in the order of the file");
        let mut both = [train, eval.clone()].concat();
        both.sort_by(f32::total_cmp);
        assert_eq!(both, (0..40).map(|i| i as f32).collect::<Vec<_>>());
        eval
    };
    assert_eq!(held(1), held(1));
    assert_ne!(held(1), held(2));
}

#[test]
fn numbers_and_categories_are_the_training_part_s() {
    // The file's own mean is 20 whatever is evaluated on, and "moss" is no category of it.
    let eval = "y,soil,rain\n1,moss,30\n7,sand,10\n";
    let data = load(
        GARDEN.replace(",plot", ",p").as_str(),
        &CsvOptions { numeric: Some(vec!["rain".into()]), ..CsvOptions::new("y") },
        Some(eval),
    )
    .unwrap();
    let r = 10.0 / 50f32.sqrt();
    assert_eq!(f32s(data.eval().unwrap().inputs()), [r, 0.0, 0.0, 0.0, -r, 0.0, 0.0, 1.0]);
    assert_eq!(f32s(data.eval().unwrap().targets()), [1.0, 7.0]);
    // Held-out rows take no part either: with the seeds, the mean moves with the training rows.
    for split_seed in 0..5 {
        let data = load(&counted(30), &CsvOptions { split_seed, ..CsvOptions::new("y") }, None).unwrap();
        let rows: Vec<f64> = f32s(data.train().targets()).iter().map(|&y| y.into()).collect();
        let InputKind::Numeric { mean, std } = encoding(&data).columns[0].kind else { panic!("numeric") };
        let want = rows.iter().sum::<f64>() / 24.0;
        let deviation = (rows.iter().map(|r| (r - want).powi(2)).sum::<f64>() / 24.0).sqrt();
        assert!((mean - want).abs() < 1e-12 && (std - deviation).abs() < 1e-12);
    }
    // Classes are those of all rows, of both files.
    let classes = load("x,y\n1,b\n2,d\n", &CsvOptions::new("y"), Some("x,y\n1,a\n2,d\n")).unwrap();
    assert_eq!((classes.classes(), i32s(classes.eval().unwrap().targets())), (Some(3), &[0, 2][..]));
    // What the other file lacks is told as its fault.
    let err = load("x,y\n1,2\n", &CsvOptions::new("y"), Some("z,y\n1,2\n")).unwrap_err().to_string();
    assert!(err.contains("eval_csv: eval.csv has no column \"x\""), "{err}");
    let err = load("x,y\n1,2\n", &CsvOptions::new("y"), Some("x,y\n1,2\n,2\n")).unwrap_err().to_string();
    assert!(err.contains("eval.csv, row 2"), "{err}");
}

#[test]
fn new_rows_become_what_the_training_rows_became() {
    let data = load(GARDEN, &all(), None).unwrap();
    let json = serde_json::to_string(data.encoding().unwrap()).unwrap();
    let Encoding::Table(read) = serde_json::from_str(&json).unwrap() else { panic!("no table") };
    assert_eq!(&read, encoding(&data), "{json}");
    let rows = [["10", "clay"], ["20", "sand"], ["30", "loam"], ["20", "clay"]];
    let encoded: Vec<f32> = rows
        .iter()
        .flat_map(|[rain, soil]| {
            read.encode(&[("soil", soil), ("rain", rain), ("plot", " 1 "), ("y", "?")]).unwrap()
        })
        .collect();
    assert_eq!(encoded, f32s(data.train().inputs()));
    let unseen = read.encode(&[("rain", "20"), ("soil", "moss"), ("plot", "3")]).unwrap();
    assert_eq!(unseen, [0.0, 0.0, 0.0, 0.0, 2.0]);
    for (row, words) in [
        (&[("rain", "20"), ("siol", "clay"), ("plot", "1")][..], &["\"soil\"", "did you mean \"siol\""][..]),
        (&[("rain", ""), ("soil", "clay"), ("plot", "1")], &["\"rain\"", "missing"]),
        (&[("rain", "wet"), ("soil", "clay"), ("plot", "1")], &["\"rain\"", "\"wet\" is not a number"]),
    ] {
        let err = read.encode(row).unwrap_err().to_string();
        assert!(words.iter().all(|word| err.contains(word)), "{err}");
    }
}

proptest! {
    /// The file that was written, the encoding that was kept: every cell's number is the same again.
    #[test]
    fn encodings_go_round_by_their_json(
        rows in prop::collection::vec((-1e6f64..1e6, "[a-e]{1,2}", -5f64..5.0), 1..20),
    ) {
        let text = rows.iter().fold("x,s,y\n".to_owned(), |t, (x, s, y)| t + &format!("{x},{s},{y}\n"));
        let data = load(&text, &CsvOptions { standardise_target: true, ..all() }, None).unwrap();
        let json = serde_json::to_vec(data.encoding().unwrap()).unwrap();
        let read: Encoding = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(Some(&read), data.encoding());
        let Encoding::Table(read) = read else { panic!("no table") };
        let mut again = Vec::new();
        for (x, s, _) in &rows {
            again.extend(read.encode(&[("x", &x.to_string()), ("s", s)]).unwrap());
        }
        prop_assert_eq!(&again[..], f32s(data.train().inputs()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0u8.., 0..200), plain: bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        let letters = b"xy,1.\n\"-e9a ";
        let bytes: Vec<u8> =
            if plain { bytes.iter().map(|b| letters[*b as usize % letters.len()]).collect() } else { bytes };
        std::fs::write(&path, [b"x,y\n", &bytes[..]].concat()).unwrap();
        match csv(&path, &CsvOptions::new("y")) {
            Ok(data) => prop_assert!(data.eval().is_some()),
            Err(err) => prop_assert!(!matches!(err, Error::Io { .. }), "{}", err),
        }
    }
}
