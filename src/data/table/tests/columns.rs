//! The handling of columns with odd cells: slips among numbers, other notations, dates, ids, no name.

use super::*;

/// `rows` numbers in a column x, some of whose cells are others.
fn column(rows: usize, others: &[(usize, &str)]) -> String {
    let cell = |row: usize| match others.iter().find(|(at, _)| *at == row) {
        Some((_, other)) => format!("\"{other}\""),
        None => format!("{}.5", row * 7 % 50),
    };
    (0..rows).fold("x,s,y\n".to_owned(), |text, row| text + &format!("{},k{},{row}\n", cell(row), row % 3))
}

#[test]
fn a_column_of_numbers_but_for_some_cells_is_an_error_or_has_missing_cells() {
    let dash = column(60, &[(7, "-")]);
    let words = [
        "column \"x\": 59 of 60 cells are numbers, and 1 is not: \"-\" in row 8 (line 9)",
        "missing = [\"-\"]",
        "fill = \"median\"",
        "categorical = [\"x\", \"s\"], a complete list",
    ];
    assert_refused(&dash, &all(), false, &words);
    let missing = TableOptions { missing: vec!["-".into()], ..all() };
    assert_refused(&dash, &missing, false, &["row 8 (line 9), column \"x\": the value is missing"]);
    let filled =
        TableOptions { fill: Fills { numeric: Some(Fill::Median), columns: Vec::new() }, ..missing.clone() };
    let data = load(&dash, &filled, None).unwrap();
    assert_eq!(data.train().inputs().shape()[..], [4]);
    // A new row's dash is missing too, and other data's.
    let json = serde_json::to_string(data.encoding().unwrap()).unwrap();
    let Encoding::Table(read) = serde_json::from_str(&json).unwrap() else { panic!("no table") };
    let [marked, empty] = ["-", ""].map(|cell| read.encode(&[("x", cell), ("s", "k0")]).unwrap());
    assert_eq!(marked, empty);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("o.csv"), &dash).unwrap();
    assert_eq!(table_part(&dir.path().join("o.csv"), TableFormat::Csv, None, &read).unwrap().len(), 60);
    // Declared by the user, it is what they say.
    let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let codes = TableOptions { categorical: list(&["x", "s"]), ..all() };
    assert_eq!(load(&dash, &codes, None).unwrap().train().inputs().shape()[..], [51 + 3]);
    let numeric = TableOptions { numeric: list(&["x"]), ..all() };
    assert_refused(&dash, &numeric, false, &["row 8", "\"-\" is not a number"]);
    let left_out = TableOptions { ignore: vec!["x".into()], ..all() };
    assert_eq!(load(&dash, &left_out, None).unwrap().train().inputs().shape()[..], [3]);
    // A number stands for every way to write it.
    let sentinel = column(60, &[(1, "-999"), (2, "-999.0")]);
    let data =
        load(&sentinel, &TableOptions { missing: vec!["-999".into()], ..filled.clone() }, None).unwrap();
    assert!(matches!(encoding(&data).columns[0].kind, InputKind::Numeric { mean, .. } if mean > 0.0));
    // So is a target, which is not made up.
    let y = column(60, &[(7, "x"), (8, "y"), (9, "z"), (10, "z")]).replace("x,s,y", "y,s,x");
    let words = ["\"x\" in row 8", ", and 1 more", "a target is not made up", "classes = true", "56 of 60"];
    let words = words.map(|word| word.replace("a target", "A target"));
    assert_refused(&y, &all(), false, &words.each_ref().map(String::as_str));
    assert_eq!(load(&y, &TableOptions { classes: true, ..all() }, None).unwrap().classes(), Some(49 + 3));
}

#[test]
fn codes_and_words_stay_categories() {
    for (others, rows) in [
        (&[(3, "x"), (5, "y")][..], 12),                            // a sixth are words
        (&[(0, "a"), (1, "b"), (2, "a"), (9, "c"), (11, "d")], 40), // an eighth
    ] {
        let data = load(&column(rows, others), &all(), None).unwrap();
        assert!(matches!(encoding(&data).columns[0].kind, InputKind::Categorical { .. }), "{others:?}");
        let remark = data.columns()[0].remark.as_ref().unwrap();
        assert!(remark.contains("are categories") || remark.contains("are different"), "{remark}");
    }
    // Few different numbers are codes, whatever their share.
    let text =
        (0..100).fold("x,y\n".to_owned(), |t, i| t + &format!("{},1\n", if i == 9 { 8 } else { i % 3 }));
    let data = load(&text.replace("8,1", "x,1"), &all(), None).unwrap();
    assert_eq!(encoding(&data).width(), 4);
    // Unless what is no number is a mere sign.
    assert_refused(&text.replace("8,1", "-,1"), &all(), false, &["99 of 100", "\"-\" in row 10"]);
    let half: String = (0..40)
        .fold("x,y\n".into(), |t, i| t + &if i % 2 == 0 { format!("{i},1\n") } else { "..,1\n".into() });
    assert_refused(&half, &all(), false, &["20 of 40 cells are numbers", "missing = [\"..\"]"]);
}

#[test]
fn other_notations_are_named() {
    let table = |cell: fn(usize) -> String| {
        (0..40).fold("x;y\n".to_owned(), |text, i| text + &format!("{};{i}\n", cell(i)))
    };
    let comma = table(|i| format!("{i},{}", i % 9));
    assert_refused(
        &comma,
        &all(),
        false,
        &["a decimal comma, as \"0,0\"", "decimal=\",\"", "categorical = [\"x\"]"],
    );
    let thousands = table(|i| if i % 2 == 0 { format!("{i},500") } else { (i * 10).to_string() });
    assert_refused(&thousands, &all(), false, &["marked thousands, as \"0,500\"", "thousands=\",\""]);
    let nine = table(|i| format!("{},5", i % 9));
    assert_refused(&nine, &all(), false, &["a decimal comma, as \"0,5\""]);
    // Pairs that are few are codes.
    let data = load(&table(|i| format!("{},1", i % 3)), &all(), None).unwrap();
    assert_eq!(encoding(&data).width(), 3);
    let remark = |cell: fn(usize) -> String| {
        load(&table(cell), &all(), None).unwrap().columns()[0].remark.clone().unwrap_or_default()
    };
    assert!(remark(|i| format!("id{i:03}")).contains("40 of 40 cells are different, as names or ids are"));
    assert!(remark(|i| format!("2024-01-{:02}", i % 28 + 1)).contains("dates or times, as \"2024-01-01\""));
    assert!(
        remark(|i| i.to_string()).contains("counts the rows")
            && remark(|i| i.to_string()).contains("ignore = [\"x\"]")
    );
    assert_eq!(remark(|i| ["a", "b"][i % 2].into()) + &remark(|i| (i * i % 37).to_string()), "");
}

#[test]
fn a_mark_within_quotes_is_no_delimiter() {
    let text = (0..30)
        .fold("x,\"notes; a; b\",y\n".to_owned(), |text, i| text + &format!("{},{},1\n", i % 7, i % 5));
    assert_eq!(encoding(&load(&text, &all(), None).unwrap()).width(), 2);
}

#[test]
fn columns_without_a_name_can_be_ignored() {
    let index = (0..30).fold(",x,y\n".to_owned(), |text, i| text + &format!("{i},{},1\n", i % 7));
    assert_refused(
        &index,
        &all(),
        false,
        &["column 1 of the first line has no name", "counts the rows", "pandas", "ignore = [\"\"]"],
    );
    let ignoring =
        |names: &[&str]| TableOptions { ignore: names.iter().map(|&n| n.into()).collect(), ..all() };
    let data = load(&index, &ignoring(&[""]), None).unwrap();
    assert_eq!((encoding(&data).width(), data.columns()[0].used), (1, ColumnUse::Ignored));
    // A comma at the end of each line makes such a column too; one "" stands for all.
    let both = index.replace('\n', ",\n");
    assert_refused(&both, &all(), false, &["column 1 of the first line"]);
    assert_eq!(encoding(&load(&both, &ignoring(&[""]), None).unwrap()).width(), 1);
    let named = index.replacen(",x", "Unnamed: 0,x", 1);
    let data = load(&named, &all(), None).unwrap();
    assert!(data.columns()[0].remark.as_ref().unwrap().contains("ignore = [\"Unnamed: 0\"]"));
    assert_refused(&index, &ignoring(&["X"]), true, &["data.source.ignore", "\"X\"", "did you mean \"x\""]);
    assert_refused(&index, &ignoring(&["y"]), true, &["ignore: \"y\" is the target"]);
    let twice = TableOptions { numeric: Some(vec!["x".into()]), ..ignoring(&["x"]) };
    assert_refused(&index, &twice, true, &["in numeric and in ignore"]);
    assert_refused("x,e,y\n1,,2\n3,,4\n", &all(), false, &["column \"e\": every cell is missing", "ignore"]);
}
