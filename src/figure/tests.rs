use super::*;

fn panel() -> Panel {
    Panel::new("a < b", Axis::log("x"), Axis::linear("y"))
        .with(Series::both("one", 0, vec![(1e3, 1.0), (1e6, 4.0)]))
        .with(Series::both("two", 1, vec![(1e3, 2.0), (1e6, f64::NAN)]))
}

fn figure(panels: usize) -> Figure {
    Figure { title: "t".into(), subtitle: "s & s".into(), panels: vec![panel(); panels], ..Figure::default() }
}

fn check_tags(text: &str) {
    for tag in ["svg", "text", "g", "clipPath", "title", "desc", "div"] {
        let open = text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
        assert_eq!(open, text.matches(&format!("</{tag}>")).count(), "{tag}: {text}");
    }
}

#[test]
fn every_tag_is_closed_and_text_is_escaped() {
    let text = figure(4).svg();
    check_tags(&text);
    assert!(text.contains("a &lt; b") && text.contains("s &amp; s") && !text.contains("NaN\""), "{text}");
    // One of the legend's two marks is a circle; so is each of two points in four panels.
    assert_eq!(text.matches("<circle").count(), 1 + 4 * 2);
    assert_eq!(text, figure(4).svg());
}

#[test]
fn panels_have_scales_of_their_own_or_one_for_all() {
    let mut two = figure(2);
    two.panels[1].layers = vec![Series::line("one", 0, vec![(1.0, 100.0), (10.0, 300.0)]).into()];
    let scales = |f: &Figure| {
        let text = f.svg();
        text.split("data-y=\"").skip(1).map(|t| t.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(scales(&two), ["0 5 linear", "0 400 linear"]);
    two.shared = true;
    assert_eq!(scales(&two), ["0 400 linear", "0 400 linear"]);
}

#[test]
fn each_kind_of_layer_is_drawn() {
    let heat = Heat {
        x: vec![0.0, 1.0, 2.0, 3.0],
        y: vec![0.0, 1.0, 2.0],
        values: vec![0.0, 0.0, 1.0, f64::NAN, 0.5, 0.5],
        label: "share".into(),
        range: (0.0, 1.0),
    };
    let panel = Panel::new("all", Axis::linear("x"), Axis::linear("y"))
        .with(heat)
        .with(Contours::of(|x, y| x * x + y * y, (0.0, 3.0), (0.0, 2.0), 20, vec![1.0, 2.0]))
        .with(Band { name: "band".into(), colour: 1, points: vec![(0.0, 0.0, 1.0), (3.0, 1.0, 2.0)] })
        .with(Bars { name: "bars".into(), colour: 2, width: 0.5, points: vec![(1.0, 1.0), (2.0, -1.0)] })
        .with(Rule { name: "rule".into(), colour: 3, dash: "4 3", at: At::X(1.5) });
    let figure = Figure { title: "kinds".into(), panels: vec![panel], ..Figure::default() };
    for text in [figure.svg(), figure.inline("a")] {
        check_tags(&text);
        // Cells of one colour are one rectangle, and a cell without a value is none.
        let cells = text.split("crispEdges").nth(1).and_then(|rest| rest.split("</g>").next());
        assert_eq!(cells.map(|cells| cells.matches("<rect").count()), Some(3));
        for part in ["class=\"contour\"", "class=\"f1\"", "class=\"f2\"", "class=\"s3\"", ">share<", ">rule<"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_gap_breaks_a_line_and_far_points_stay_near() {
    let nan = f64::NAN;
    let points = vec![(0.0, 1.0), (1.0, 2.0), (2.0, nan), (3.0, 1.0), (4.0, 1e300)];
    let panel = Panel::new("", Axis::linear("x"), Axis::linear("y").showing(Extent::Fixed(0.0, 2.0)))
        .with(Series::line("", 0, points));
    let text = Figure { panels: vec![panel], ..Figure::default() }.svg();
    assert_eq!(text.matches("<path class=\"s0\"").count(), 2, "{text}");
    assert!(!text.contains("inf") && !text.contains("e300"), "{text}");
}

#[test]
fn one_unit_is_as_long_on_both_axes() {
    let line = Series::line("", 0, vec![(0.0, 0.0), (1.0, 1.0)]);
    let axis = |name| Axis::linear(name).showing(Extent::Data);
    let panel = Panel { equal: true, ..Panel::new("", axis("x"), axis("y")).with(line) };
    let text = Figure { panels: vec![panel], ..Figure::default() }.svg();
    let numbers = |key: &str| -> Vec<f64> {
        let at = text.find(key).unwrap() + key.len() + 2;
        text[at..].split('"').next().unwrap().split(' ').filter_map(|w| w.parse().ok()).collect()
    };
    let (frame, x, y) = (numbers("data-frame"), numbers("data-x"), numbers("data-y"));
    let (a, b) = ((x[1] - x[0]) / (frame[1] - frame[0]), (y[1] - y[0]) / (frame[3] - frame[2]));
    assert!((a / b - 1.0).abs() < 1e-3, "{a} {b}");
}

#[test]
fn a_figure_is_described_in_words() {
    let text = figure(1).svg();
    assert!(
        text.contains("<desc>a &lt; b: y over x. one: from 1 at 1000 to 4 at 1e6, between 1 and 4."),
        "{text}"
    );
}
