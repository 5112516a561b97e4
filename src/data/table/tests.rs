use super::*;
use proptest::prelude::*;

mod columns;

/// `text` as a file, beside it `eval.csv` where there is one.
fn load(text: &str, options: &TableOptions, eval: Option<&str>) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let mut options = options.clone();
    if let Some(eval) = eval {
        let path = dir.path().join("eval.csv");
        std::fs::write(&path, eval).unwrap();
        options.eval = Some(path);
    }
    table(&path, TableFormat::Csv, &options)
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

fn all() -> TableOptions {
    TableOptions { eval_fraction: 0.0, ..TableOptions::new("y") }
}

#[track_caller]
fn assert_refused(text: &str, options: &TableOptions, usage: bool, words: &[&str]) {
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
    assert_eq!(
        (plot.name.as_str(), &plot.kind),
        ("plot", &InputKind::Numeric { mean: 1.0, std: 1.0, fill: None })
    );
    assert_eq!((encoding(&data).value(4.5), encoding(&data).class(0)), (Some(4.5), None));
}

#[test]
fn lists_say_what_is_what() {
    let names = |options: &TableOptions| {
        let data = load(GARDEN, options, None).unwrap();
        let columns = encoding(&data).columns.clone();
        let name = |c: InputColumn| format!("{} {}", c.name, c.width());
        columns.into_iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let list = |columns: &[&str]| Some(columns.iter().map(|&c| c.to_owned()).collect::<Vec<_>>());
    assert_eq!(names(&all()), "rain 1, soil 3, plot 1");
    assert_eq!(names(&TableOptions { numeric: list(&["rain"]), ..all() }), "rain 1, soil 3");
    assert_eq!(names(&TableOptions { categorical: list(&["rain"]), ..all() }), "rain 3, plot 1");
    assert_eq!(names(&TableOptions { categorical: list(&[]), ..all() }), "rain 1, plot 1");
    let both = TableOptions { numeric: list(&["plot"]), categorical: list(&["rain"]), ..all() };
    assert_eq!(names(&both), "rain 3, plot 1");

    for (options, words) in [
        (TableOptions { numeric: list(&["rian"]), ..all() }, &["numeric", "\"rian\"", "mean \"rain\""][..]),
        (TableOptions { target: "yy".into(), ..all() }, &["target", "\"yy\"", "did you mean \"y\""]),
        (TableOptions { categorical: list(&["y"]), ..all() }, &["categorical", "\"y\" is the target"]),
        (TableOptions { numeric: list(&["rain", "rain"]), ..all() }, &["\"rain\" is named twice"]),
        (TableOptions { numeric: list(&["rain"]), categorical: list(&["rain"]), ..all() }, &["one of them"]),
        (TableOptions { numeric: list(&[]), categorical: list(&[]), ..all() }, &["none is an input"]),
        (TableOptions { delimiter: Some(b';'), ..all() }, &["its only column is", "delimiter"]),
        (TableOptions { delimiter: Some(b'"'), ..all() }, &["delimiter", "ASCII"]),
        (TableOptions { eval_fraction: 1.0, ..all() }, &["eval_fraction = 1"]),
    ] {
        assert_refused(GARDEN, &options, true, words);
    }
    assert_refused(
        GARDEN,
        &TableOptions { numeric: list(&["soil"]), ..all() },
        false,
        &["row 1", "\"clay\""],
    );
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
    let numbers = load(text, &TableOptions { classes: true, ..all() }, None).unwrap();
    assert_eq!((i32s(numbers.train().targets()), numbers.classes()), (&[2, 1, 0, 2][..], Some(3)));
    let scaled = load(text, &TableOptions { standardise_target: true, ..all() }, None).unwrap();
    let values = f32s(scaled.train().targets());
    assert!(
        values.iter().sum::<f32>().abs() < 1e-6
            && (values.iter().map(|v| v * v).sum::<f32>() - 4.0).abs() < 1e-5
    );
    for (value, want) in values.iter().zip([10.0, 9.0, -1.0, 10.0]) {
        assert!((encoding(&scaled).value(*value).unwrap() - want).abs() < 1e-5);
    }
    let classes = TableOptions { standardise_target: true, classes: true, ..all() };
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
        ("x,y\n1,2\n\"3,4\n5,6\n", &["t.csv, row 2 (line 3): a quote is opened here and never closed"]),
        ("x,y\n1,2\n3,\"4\n", &["row 2 (line 3): a quote"]),
    ] {
        assert_refused(text, &all(), false, words);
    }
    let numeric = TableOptions { numeric: Some(vec!["x".into()]), ..all() };
    assert_refused("x,y\n\"1,5\",2\n", &numeric, false, &["row 1", "\"1,5\" is not a number", "point"]);
    // A column of names, or one of numbers with a slip, is no category.
    let names = |slip: &str| (0..1500).fold("x,y\n".to_owned(), |t, i| t + &format!("{slip}{i},1\n"));
    assert_refused(
        &names("n"),
        &all(),
        false,
        &["column \"x\"", "over 1000 categories in the first 1001 rows", "ignore = [\"x\"]"],
    );
    let slip = names("") + "12o,1\n";
    assert_refused(
        &slip,
        &all(),
        false,
        &["1500 of 1501 cells are numbers", "\"12o\" in row 1501 (line 1502)"],
    );
    let words = (0..500).fold(names(""), |text, i| text + &format!("w{i},1\n"));
    assert_refused(&words, &all(), false, &["over 1000 categories", "\"w0\" in row 1501"]);
    let err = table(Path::new("/no/such.csv"), TableFormat::Csv, &all()).unwrap_err();
    assert!(matches!(err, Error::Io { .. }) && err.to_string().contains("/no/such.csv"), "{err:?}");
    assert_refused(
        "x,y\n1,2\n",
        &TableOptions { eval_fraction: 0.5, ..all() },
        false,
        &["has 1 row,", "none to train on"],
    );
}

/// x counts the rows, so that a sample says which row it was.
fn counted(rows: usize) -> String {
    (0..rows).fold("x,s,y\n".to_owned(), |t, i| t + &format!("{i},k{},{i}\n", i % 7))
}

#[test]
fn rows_are_held_out_by_the_seed_alone() {
    let held = |seed| {
        let options = TableOptions { eval_fraction: 0.25, split_seed: seed, ..TableOptions::new("y") };
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
        &TableOptions { numeric: Some(vec!["rain".into()]), ..TableOptions::new("y") },
        Some(eval),
    )
    .unwrap();
    let r = 10.0 / 50f32.sqrt();
    assert_eq!(f32s(data.eval().unwrap().inputs()), [r, 0.0, 0.0, 0.0, -r, 0.0, 0.0, 1.0]);
    assert_eq!(f32s(data.eval().unwrap().targets()), [1.0, 7.0]);
    // Held-out rows take no part either: with the seeds, the mean moves with the training rows.
    for split_seed in 0..5 {
        let data = load(&counted(30), &TableOptions { split_seed, ..TableOptions::new("y") }, None).unwrap();
        let rows: Vec<f64> = f32s(data.train().targets()).iter().map(|&y| y.into()).collect();
        let InputKind::Numeric { mean, std, .. } = encoding(&data).columns[0].kind else { panic!("numeric") };
        let want = rows.iter().sum::<f64>() / 24.0;
        let deviation = (rows.iter().map(|r| (r - want).powi(2)).sum::<f64>() / 24.0).sqrt();
        assert!((mean - want).abs() < 1e-12 && (std - deviation).abs() < 1e-12);
    }
    // Classes are those of all rows, of both files.
    let classes = load("x,y\n1,b\n2,d\n", &TableOptions::new("y"), Some("x,y\n1,a\n2,d\n")).unwrap();
    assert_eq!((classes.classes(), i32s(classes.eval().unwrap().targets())), (Some(3), &[0, 2][..]));
    // A column that the other file lacks is reported as its fault.
    let err = load("x,y\n1,2\n", &TableOptions::new("y"), Some("z,y\n1,2\n")).unwrap_err().to_string();
    assert!(err.contains("eval: eval.csv has no column \"x\""), "{err}");
    let err = load("x,y\n1,2\n", &TableOptions::new("y"), Some("x,y\n1,2\n,2\n")).unwrap_err().to_string();
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
        let data = load(&text, &TableOptions { standardise_target: true, ..all() }, None).unwrap();
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
        match table(&path, TableFormat::Csv, &TableOptions::new("y")) {
            Ok(data) => prop_assert!(data.eval().is_some()),
            Err(err) => prop_assert!(!matches!(err, Error::Io { .. }), "{}", err),
        }
    }
}

fn rules(rules: &[(&str, Fill)]) -> Fills {
    Fills {
        numeric: None,
        columns: rules.iter().map(|(name, fill)| ((*name).to_owned(), fill.clone())).collect(),
    }
}

#[test]
fn missing_cells_become_what_the_rules_say() {
    let text = "x,s,z,y\n1,a,NA,1\n,,2,2\n4,NA,4,3\n10,a,4,4\n?,b,6,5\n";
    let word = Fill::Word("unknown".into());
    let fill = rules(&[("x", Fill::Median), ("s", word.clone()), ("z", Fill::Number(0.0))]);
    let data = load(text, &TableOptions { fill, ..all() }, None).unwrap();
    let [x, s, z] = &encoding(&data).columns[..] else { panic!("three columns") };
    // x: 1, 4, 10 have the median 4; filled 1, 4, 4, 10, 4: mean 4.6, Σ d² = 43.2.
    let InputKind::Numeric { mean, std, fill } = x.kind else { panic!("numeric") };
    assert_eq!(fill, Some(4.0));
    assert!((mean - 4.6).abs() < 1e-14 && (std * std - 43.2 / 5.0).abs() < 1e-13, "{mean} {std}");
    let categories = vec!["a".into(), "b".into(), "unknown".into()];
    assert_eq!(s.kind, InputKind::Categorical { categories, fill: Some("unknown".into()) });
    let InputKind::Numeric { mean, fill, .. } = z.kind else { panic!("numeric") };
    assert!((mean - 3.2).abs() < 1e-14 && fill == Some(0.0), "{mean}");
    // A new row is filled alike, and what was kept says so.
    let json = serde_json::to_string(data.encoding().unwrap()).unwrap();
    let Encoding::Table(read) = serde_json::from_str(&json).unwrap() else { panic!("no table") };
    let full = read.encode(&[("x", "4"), ("s", "unknown"), ("z", "0")]).unwrap();
    assert_eq!(read.encode(&[("x", "nan"), ("s", "NA"), ("z", "")]).unwrap(), full);
    let filled = &f32s(data.train().inputs())[5..10]; // row 2: x and s were missing, z is 2
    assert_eq!((&full[..4], full[4] < filled[4]), (&filled[..4], true));

    // One rule for all numbers, which words do not take.
    let means = Fills { numeric: Some(Fill::Mean), columns: Vec::new() };
    let numbers = "x,z,y\n1,,1\n,2,2\n5,4,3\n";
    let data = load(numbers, &TableOptions { fill: means.clone(), ..all() }, None).unwrap();
    let fills: Vec<_> = encoding(&data).columns.iter().map(|c| c.kind.clone()).collect();
    assert!(
        matches!(
            fills[..],
            [InputKind::Numeric { fill: Some(3.0), .. }, InputKind::Numeric { fill: Some(3.0), .. }]
        ),
        "{fills:?}"
    );
    assert_refused(
        text,
        &TableOptions { fill: means, ..all() },
        false,
        &["row 2", "column \"s\"", "missing"],
    );
    // Without the training part's numbers there is no mean, and the held-out ones' are none of it.
    let eval = Some("x,z,y\n9,9,1\n");
    let holes = "x,z,y\n,1,1\n,2,2\n";
    let fill = rules(&[("x", Fill::Mean)]);
    let numeric = Some(vec!["x".to_owned()]);
    let err = load(holes, &TableOptions { fill, numeric, ..all() }, eval).unwrap_err().to_string();
    assert!(err.contains("column \"x\"") && err.contains("no mean or median"), "{err}");

    for (fill, words) in [
        (rules(&[("x", word)]), &["\"x\" is a column of numbers", "\"unknown\""][..]),
        (rules(&[("s", Fill::Mean)]), &["\"s\" is a column of categories"]),
        (rules(&[("y", Fill::Mean)]), &["\"y\" is the target"]),
        (rules(&[("zz", Fill::Mean)]), &["fill", "no column \"zz\"", "did you mean"]),
        (rules(&[("z", Fill::Number(1e39))]), &["\"z\"", "no number that f32 has"]),
    ] {
        assert_refused(text, &TableOptions { fill, ..all() }, true, words);
    }
    let left_out = TableOptions {
        fill: rules(&[("z", Fill::Mean)]),
        numeric: Some(vec!["x".into()]),
        categorical: Some(Vec::new()),
        ..all()
    };
    assert_refused(text, &left_out, true, &["\"z\" is no input"]);
}

#[test]
fn encodings_from_before_the_fills_are_read() {
    let old = r#"{"kind":"table","columns":[{"name":"x","kind":"numeric","mean":1.0,"std":2.0},
        {"name":"s","kind":"categorical","categories":["a"]}],"target":{"name":"y","kind":"numeric","mean":0.0,"std":1.0}}"#;
    let Encoding::Table(table) = serde_json::from_str(old).unwrap() else { panic!("no table") };
    assert_eq!(table.encode(&[("x", "5"), ("s", "a")]).unwrap(), [2.0, 1.0]);
    let err = table.encode(&[("x", ""), ("s", "a")]).unwrap_err().to_string();
    assert!(err.contains("missing"), "{err}");
}

#[test]
fn each_class_is_held_out_by_its_share() {
    let text = (0..60)
        .fold("x,y\n".to_owned(), |t, i| t + &format!("{i},{}\n", ["a", "b", "b", "c", "b", "b"][i % 6]));
    let options = |split_seed| TableOptions { stratify: true, split_seed, ..TableOptions::new("y") };
    let labels = |seed| {
        let data = load(&text, &options(seed), None).unwrap();
        let [train, eval] = [data.train(), data.eval().unwrap()].map(|part| i32s(part.targets()).to_vec());
        [train, eval].map(|labels| {
            (0..3).map(|class| labels.iter().filter(|l| **l == class).count()).collect::<Vec<_>>()
        })
    };
    for seed in 0..5 {
        assert_eq!(labels(seed), [vec![8, 32, 8], vec![2, 8, 2]]);
    }
    let rows = |seed| f32s(load(&text, &options(seed), None).unwrap().eval().unwrap().inputs()).to_vec();
    assert!(rows(1) == rows(1) && rows(1) != rows(2));
    let numbers = TableOptions { stratify: true, ..TableOptions::new("y") };
    assert_refused(
        GARDEN,
        &numbers,
        true,
        &["data.stratify", "\"y\" is a target of numbers", "classes = true"],
    );
}

#[test]
fn tabs_are_found_where_no_delimiter_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let columns = |name: &str, text: &str, delimiter| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let summary = TableSummary::read(&path, delimiter).unwrap();
        summary.columns.into_iter().map(|column| column.name).collect::<Vec<_>>().join("|")
    };
    assert_eq!(columns("a.csv", "x\ty z\n1\t2\n", None), "x|y z");
    assert_eq!(columns("a.tsv", "x,y\n1\n", None), "x,y");
    assert_eq!(columns("a.csv", "\nx,\"y\tz\",w\n1,2,3\n", None), "x|y\tz|w");
    assert_eq!(columns("a.csv", "x\ty\n1\n", Some(b',')), "x\ty");
    assert_eq!(columns("a.csv", "x;y,z;w\n1;2;3\n", None), "x|y,z|w");
    assert_eq!(columns("a.csv", "x;y,z\n1,2\n", None), "x;y|z");
}
