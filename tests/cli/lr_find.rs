//! `downhill lr-find`: the table, the plot and the suggestion; JSON, CSV and SVG of the same; what is refused.

use serde_json::Value;

use crate::folder::{Done, Folder};

fn lr_find(folder: &Folder, more: &[&str]) -> Done {
    folder.run(&[&["lr-find", "net.toml", "--adapter", &crate::adapter::wanted()], more].concat())
}

#[track_caller]
fn found(folder: &Folder, more: &[&str]) -> String {
    let done = lr_find(folder, more);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{more:?}");
    done.stdout
}

fn json(folder: &Folder, more: &[&str]) -> Value {
    serde_json::from_str(&found(folder, &[more, &["--json"]].concat())).expect("JSON")
}

#[test]
fn a_table_a_plot_and_a_suggestion() {
    let folder = Folder::new();
    let before = folder.listing();
    let text = found(&folder, &[]);
    assert!(!text.contains(['\u{1b}', '\r', '\t']), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let (head, rest) = text.split_once("\n\n").expect("a head");
    for word in ["net.toml", "adamw", "1e-7", "10.0", "100 steps"] {
        assert!(head.contains(word), "{word}: {head}");
    }
    let (table, rest) = rest.split_once("\n\n").expect("a table");
    let rows: Vec<&str> = table.lines().collect();
    assert!((21..=23).contains(&rows.len()), "20 rows, and those of the suggestions: {table}");
    let marked = |word: &str| rows.iter().filter(|row| row.contains(word)).count();
    assert_eq!((marked("valley"), marked("steep")), (1, 1), "{table}");
    // Numbers end where their column's name does.
    let ends: Vec<usize> =
        ["step", "lr", "loss", "smoothed"].map(|name| rows[0].find(name).expect(name) + name.len()).to_vec();
    for row in &rows[1..] {
        let numbers = &row[..ends[3]];
        assert_eq!(numbers.split_whitespace().count(), 4, "{row}");
        for &end in &ends {
            let (last, next) = (row.as_bytes()[end - 1], row.as_bytes().get(end));
            assert!(last.is_ascii_digit() && next.is_none_or(|c| *c == b' '), "{end}: {row}");
        }
    }
    // In even steps of log lr, but for those rows.
    let lr = |row: &str| row.split_whitespace().nth(1).expect("lr").parse::<f64>().expect("a number");
    let even: Vec<f64> = rows[1..].iter().filter(|row| !row.contains("<-")).map(|row| lr(row)).collect();
    assert!(even.windows(2).all(|pair| pair[1] > pair[0]), "{even:?}");
    assert!(even[0] == 1e-7 && even.len() >= 17, "{even:?}");

    let (plot, ending) = rest.split_once("\n\n").expect("a plot");
    let column = plot.lines().nth(2).and_then(|line| line[12..].find('|')).expect("the suggestion");
    let ruled =
        plot.lines().filter(|line| line.get(12 + column..).is_some_and(|l| l.starts_with(['|', 'o', '.'])));
    assert!(ruled.count() >= 16, "{plot}");
    assert!(plot.contains('o') && plot.contains("1e-7") && plot.contains("1e0"), "{plot}");
    for word in ["valley", "steep", "end "] {
        assert!(ending.contains(word), "{word}: {ending}");
    }
    let last = ending.lines().last().expect("a suggestion");
    let words: Vec<&str> = last.split_whitespace().collect();
    let ["lr", "=", lr, "--set", setting] = words[..] else { panic!("{last}") };
    assert_eq!(setting, format!("optimizer.lr={lr}"));
    assert!(rows.iter().any(|row| row.contains("valley: take this")), "{table}");

    // Nothing is kept, and what is said can be used.
    assert_eq!(folder.listing(), before);
    folder.trained("run", &["--steps", "2", "--set", setting]);
}

#[test]
fn json_csv_and_svg_have_every_point() {
    let folder = Folder::new();
    let options = ["--from", "1e-5", "--to", "1", "--steps", "60", "--smooth", "0.9", "--seed", "7"];
    let report = json(&folder, &[&options[..], &["--svg", "lr.svg"]].concat());
    let points = report["points"].as_array().expect("points");
    assert!((30..=60).contains(&points.len()), "{}", points.len());
    assert_eq!((&report["steps"], &report["smooth"]), (&60.into(), &0.9.into()));
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {value}"));
    assert_eq!(number(&points[0]["lr"]), 1e-5);
    // The mean is of the losses beside it.
    let (mut mean, mut kept) = (0.0, 1.0);
    for point in points {
        mean = 0.9 * mean + 0.1 * number(&point["loss"]);
        kept *= 0.9;
        assert!((mean / (1.0 - kept) / number(&point["smoothed"]) - 1.0).abs() < 1e-6, "{point}");
    }
    let lr = number(&report["lr"]);
    assert_eq!((lr, &report["no_suggestion"]), (number(&report["suggestion"]["valley"]), &Value::Null));
    assert!(points.iter().any(|point| number(&point["lr"]) == lr));
    assert!(report["left_out"].as_array().is_some_and(Vec::is_empty));

    let csv = found(&folder, &[&options[..], &["--csv"]].concat());
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("step,lr,loss,smoothed"));
    let rows: Vec<Vec<f64>> =
        lines.map(|l| l.split(',').map(|cell| cell.parse().expect("a number")).collect()).collect();
    let same: Vec<Vec<f64>> = points
        .iter()
        .map(|p| ["step", "lr", "loss", "smoothed"].map(|key| number(&p[key])).to_vec())
        .collect();
    for (row, point) in rows.iter().zip(&same) {
        // JSON's loss is the f32 as an f64 would be printed.
        assert_eq!((row[0], row[1], row[2] as f32, row[3]), (point[0], point[1], point[2] as f32, point[3]));
    }
    assert_eq!(rows.len(), same.len());

    let svg = String::from_utf8(folder.read("lr.svg")).expect("UTF-8");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    for word in ["of net", "smoothed", "loss of a batch", "valley: ", "steep: ", "learning rate"] {
        assert!(svg.contains(word), "{word}");
    }
    // Marks of the sixth colour.
    assert!(svg.matches("<path class=\"f5").count() > 30, "{svg}");

    // Another seed, other losses; the same, the same.
    let other = json(&folder, &[&options[..8], &["--seed", "8"]].concat());
    assert_ne!(report["points"], other["points"]);
    assert_eq!(report, json(&folder, &options));
}

#[test]
fn a_schedule_is_left_out_with_a_note() {
    let folder = Folder::new();
    let cosine = ["--set", "schedule={ name = \"cosine\" }", "--steps", "20"];
    let text = found(&folder, &cosine);
    assert!(text.contains("note     the test ignores the config's schedule = \"cosine\""), "{text}");
    let done = lr_find(&folder, &[&cosine[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["left_out"], serde_json::json!(["schedule = \"cosine\""]));
    assert!(done.stderr.starts_with("note ") && done.code == 0, "{}", done.stderr);
    let plain = json(&folder, &["--steps", "20"]);
    assert_eq!(report["points"], plain["points"]);
}

#[test]
fn no_descent_is_no_suggestion() {
    let folder = Folder::new();
    // Rates so small that nothing is learnt.
    let small = ["--from", "1e-12", "--to", "1e-9", "--svg", "flat.svg"];
    let text = found(&folder, &small);
    let last = text.lines().last().expect("an end");
    assert!(
        last.starts_with("no suggestion: the smoothed loss fell by ") && !text.contains("lr = "),
        "{text}"
    );
    let report = json(&folder, &small);
    assert_eq!((&report["lr"], &report["suggestion"]), (&Value::Null, &Value::Null));
    assert!(report["no_suggestion"].as_str().is_some_and(|why| last.ends_with(why)), "{report}");
    let svg = String::from_utf8(folder.read("flat.svg")).expect("UTF-8");
    assert!(svg.contains("no suggestion") && !svg.contains("valley"), "{svg}");
    let few = found(&folder, &["--steps", "2"]);
    assert!(few.contains("no suggestion: only 0 points") && few.contains("take more steps"), "{few}");
}

#[test]
fn what_makes_no_test_is_refused() {
    let folder = Folder::new();
    let before = folder.listing();
    lr_find(&folder, &["--from", "1", "--to", "0.1"]).refused(2, &["--from = 1.0 and --to = 0.1", "larger"]);
    lr_find(&folder, &["--from", "0"]).refused(2, &["--from = 0.0", "above 0"]);
    lr_find(&folder, &["--from", "-0.001"]).refused(2, &["--from = -0.001", "above 0"]);
    lr_find(&folder, &["--to", "nan"]).refused(2, &["--to = NaN", "finite"]);
    lr_find(&folder, &["--to", "fast"]).refused(2, &["--to", "fast", "1e-3"]);
    lr_find(&folder, &["--steps", "1"]).refused(2, &["--steps = 1", "at least 2"]);
    lr_find(&folder, &["--smooth", "1"]).refused(2, &["--smooth = 1.0", "below 1"]);
    lr_find(&folder, &["--json", "--csv"]).refused(2, &["--json", "--csv"]);
    lr_find(&folder, &["--set", "optimizer.lrr=1"]).refused(2, &["did you mean \"lr\""]);
    folder.run(&["lr-find", "nowhere.toml"]).refused(2, &["nowhere.toml"]);
    folder.run(&["lr-find", "net.toml", "--adapter", "no such card"]).refused(1, &["no such card"]);
    lr_find(&folder, &["--steps", "2", "--svg", "no/such/lr.svg"]).refused(1, &["cannot write", "lr.svg"]);
    assert_eq!(folder.listing(), before);
}
