//! The points of a sweep: which settings each of its runs has, and what its folder is called.

use toml::Value;

use super::values::{Axis, MOST};
use crate::error::{Error, Result};

/// The key of the seed.
const SEED: &str = "seed";
/// An example of an axis, for errors.
const EXAMPLE: &str = "--grid optimizer.lr=1e-4..1e-1:log:8";
/// Bytes of a folder's name, at most.
const LONGEST: usize = 100;

/// How axes make points.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axes {
    /// Axes that multiply: each value of one with each value of the others. The first varies slowest.
    pub grid: Vec<Axis>,
    /// Axes that go together, value by value. They multiply with the grid as its last axis.
    pub zip: Vec<Axis>,
    /// Draws this many points from the grid's axes, in place of all their combinations.
    pub random: Option<usize>,
    /// Repeats each point with each of these seeds. They vary fastest.
    pub seeds: Vec<u64>,
}

/// Settings of one run: keys with their values, in the order of the axes; the seed last, as key `seed`.
pub type Point = Vec<(String, Value)>;

impl Axes {
    /// The keys that each point has, in their order.
    pub fn keys(&self) -> Vec<String> {
        let seed = (!self.seeds.is_empty()).then(|| SEED.to_owned());
        self.grid.iter().chain(&self.zip).map(|axis| axis.key.clone()).chain(seed).collect()
    }

    /// All points in their order. With `random`, a value depends on `seed`, the index of the draw and the index of the axis
    /// alone: more draws, or another axis at the end, do not change it.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no axis, a key twice, settings that exclude each other, or too many points.
    pub fn points(&self, seed: u64) -> Result<Vec<Point>> {
        self.check()?;
        let mut points = match self.random {
            Some(draws) => (0..draws).map(|draw| self.drawn(seed, draw)).collect(),
            None => self
                .grid
                .chunks(1)
                .fold(vec![Point::new()], |points, axis| each_with_each(&points, &together(axis))),
        };
        if !self.zip.is_empty() {
            points = each_with_each(&points, &together(&self.zip));
        }
        if !self.seeds.is_empty() {
            let seeds =
                self.seeds.iter().map(|seed| Ok(vec![(SEED.to_owned(), Value::Integer(whole(*seed)?))]));
            points = each_with_each(&points, &seeds.collect::<Result<Vec<_>>>()?);
        }
        Ok(points)
    }

    fn drawn(&self, seed: u64, draw: usize) -> Point {
        let axes = self.grid.iter().enumerate();
        axes.map(|(index, axis)| (axis.key.clone(), axis.values.draw(uniform(seed, draw, index)))).collect()
    }

    fn check(&self) -> Result<()> {
        self.check_keys()?;
        let (grid, zip) = (count(&self.grid), self.zip.first().map_or(1, |axis| axis.values.count()));
        let points = match self.random {
            None => grid.saturating_mul(zip as u128),
            Some(0) => return refuse("--random 0: at least 1 draw is needed, as --random 20"),
            Some(draws) if !self.zip.is_empty() => {
                return refuse(format!(
                    "--random {draws} draws each key alone, and --zip binds keys; leave one out"
                ));
            }
            Some(draws) if self.grid.is_empty() => {
                return refuse(format!("--random {draws} has nothing to draw; give it {EXAMPLE}"));
            }
            Some(draws) => draws as u128,
        };
        if let Some(other) = self.zip.iter().find(|axis| axis.values.count() != zip) {
            let (first, key, count) = (&self.zip[0].key, &other.key, other.values.count());
            return refuse(format!(
                "--zip needs lists of one length: {first} has {zip} values, {key} has {count}"
            ));
        }
        let points = points.saturating_mul(self.seeds.len().max(1) as u128);
        if points > MOST as u128 {
            let remedy = "give fewer values, or draw some points by --random 1000";
            return refuse(format!("the sweep has {points} points, at most {MOST} are possible; {remedy}"));
        }
        Ok(())
    }

    /// Refuses a sweep of no key, a key twice, and a key inside another.
    fn check_keys(&self) -> Result<()> {
        let axes: Vec<&Axis> = self.grid.iter().chain(&self.zip).collect();
        if axes.is_empty() && self.seeds.is_empty() {
            return refuse(format!("the sweep varies nothing; give it {EXAMPLE} or --seeds 0..8"));
        }
        for (index, Axis { key, values }) in axes.iter().enumerate() {
            if values.count() == 0 {
                return refuse(format!("{key} has no value; values are for example [1e-3, 3e-3]"));
            }
            if key == SEED && !self.seeds.is_empty() {
                return refuse("seed is a key of the sweep, and --seeds is given; leave one out");
            }
            for other in axes[..index].iter().map(|other| &other.key) {
                if key == other {
                    return refuse(format!(
                        "{key} is given twice; give it all its values at once, as {key}=[1, 2]"
                    ));
                }
                let is_in = |key: &str, table: &str| {
                    key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
                };
                if is_in(key, other) || is_in(other, key) {
                    return refuse(format!("{other} and {key} set the same value twice; leave one out"));
                }
            }
        }
        Ok(())
    }
}

/// Points of a grid.
fn count(grid: &[Axis]) -> u128 {
    grid.iter().map(|axis| axis.values.count() as u128).fold(1, u128::saturating_mul)
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Config(text.into()))
}

/// Each point with each of the settings after it; the settings vary fastest.
fn each_with_each(points: &[Point], settings: &[Point]) -> Vec<Point> {
    points.iter().flat_map(|point| settings.iter().map(|more| [point.as_slice(), more].concat())).collect()
}

/// The settings of axes that go together, value by value.
fn together(axes: &[Axis]) -> Vec<Point> {
    let mut settings = vec![Point::new(); axes.first().map_or(0, |axis| axis.values.count())];
    for axis in axes {
        for (setting, value) in settings.iter_mut().zip(axis.values.all()) {
            setting.push((axis.key.clone(), value));
        }
    }
    settings
}

/// A seed as TOML has it.
fn whole(seed: u64) -> Result<i64> {
    let largest = i64::MAX;
    i64::try_from(seed)
        .map_err(|_| Error::Config(format!("the seed {seed} is too large; seeds go to {largest}")))
}

/// A number from 0 to below 1 for a draw of an axis: 53 bits of `mix(mix(mix(seed) + draw) + axis)`.
fn uniform(seed: u64, draw: usize, axis: usize) -> f64 {
    let draws = mix(mix(seed).wrapping_add(draw as u64));
    (mix(draws.wrapping_add(axis as u64)) >> 11) as f64 / (1u64 << 53) as f64
}

/// The first output of splitmix64 with this state (Steele, Lea and Flood, 2014).
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The name of a point's folder, such as `007-lr=0.001-weight_decay=0.01-seed=3`. The index makes it unique. Of each key it
/// has the last part; lists and tables are left out. Other characters than `A-Z a-z 0-9 . _ = + -` become `_`, and a long name is cut to 100 bytes.
pub fn folder(index: usize, count: usize, point: &Point) -> String {
    let width = count.saturating_sub(1).to_string().len();
    let mut name = format!("{index:0width$}");
    for (key, value) in point.iter().filter(|(_, value)| !(value.is_array() || value.is_table())) {
        let key = key.rsplit('.').next().unwrap_or_default();
        let value = value.as_str().map_or_else(|| written(value), str::to_owned);
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "._=+-".contains(c);
        name.extend(format!("-{key}={value}").chars().map(|c| if is_safe(c) { c } else { '_' }));
    }
    name.truncate(LONGEST);
    // Windows drops a dot at the end of a name.
    name.truncate(name.trim_end_matches('.').len());
    name
}

/// The value as `--set` takes it: TOML on one line, numbers in their shortest form, such as `0.001` and `1e-6`.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Float(number) if number.is_nan() => "nan".into(),
        Value::Float(number) => format!("{number:?}"),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Table(table) if table.is_empty() => "{}".into(),
        Value::Table(table) => {
            let is_bare = |key: &str| {
                !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
            };
            let key = |key: &String| if is_bare(key) { key.clone() } else { quoted(key) };
            let pairs: Vec<String> =
                table.iter().map(|(k, value)| format!("{} = {}", key(k), written(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Integer(_) | Value::Boolean(_) | Value::Datetime(_) => value.to_string(),
    }
}

/// A string of TOML on one line.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::super::values::Values;
    use super::*;
    use proptest::prelude::*;

    fn axes(grid: &[&str], zip: &[&str], random: Option<usize>, seeds: &[u64]) -> Axes {
        let [grid, zip] =
            [grid, zip].map(|texts| texts.iter().map(|text| Axis::parse("--grid", text).unwrap()).collect());
        Axes { grid, zip, random, seeds: seeds.to_vec() }
    }

    /// The values of a point.
    fn row(point: &Point) -> String {
        point.iter().map(|(_, value)| written(value)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn axes_multiply_in_their_order() {
        for (axes, keys, want) in [
            (axes(&["a=1,2", "b=3,4"], &[], None, &[]), "a b", vec!["1 3", "1 4", "2 3", "2 4"]),
            (
                axes(&["a=1,2"], &["b=3,4", "c=5,6"], None, &[]),
                "a b c",
                vec!["1 3 5", "1 4 6", "2 3 5", "2 4 6"],
            ),
            (axes(&["a=1,2"], &[], None, &[8, 9]), "a seed", vec!["1 8", "1 9", "2 8", "2 9"]),
            (axes(&[], &[], None, &[7]), "seed", vec!["7"]),
        ] {
            let points = axes.points(0).unwrap();
            assert_eq!(points.iter().map(row).collect::<Vec<_>>(), want);
            assert_eq!(axes.keys().join(" "), keys);
            assert!(points.iter().all(|point| point.iter().map(|(key, _)| key).eq(&axes.keys())));
        }
    }

    #[test]
    fn draws_depend_on_seed_draw_and_axis_alone() {
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        let few = axes(&["a=0.0..1.0:lin:2"], &[], Some(3), &[]).points(5).unwrap();
        assert_eq!(few.iter().map(row).collect::<Vec<_>>(), ["0.652613", "0.644929", "0.755846"]);
        let many = axes(&["a=0.0..1.0:lin:2", "b=x,y"], &[], Some(1000), &[1, 2]).points(5).unwrap();
        assert_eq!(many.len(), 2000);
        for (index, point) in many.iter().enumerate() {
            assert_eq!(point[..2], many[index / 2 * 2][..2], "seeds are innermost");
            assert!(few.get(index / 2).is_none_or(|drawn| drawn[0] == point[0]));
        }
        let mean = many.iter().map(|point| point[0].1.as_float().unwrap()).sum::<f64>() / 2000.0;
        let share = many.iter().filter(|point| point[1].1.as_str() == Some("x")).count() as f64 / 2000.0;
        // 5 standard deviations of 1000 draws are 0.046 and 0.079.
        assert!((mean - 0.5).abs() < 0.046 && (share - 0.5).abs() < 0.079, "{mean} {share}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (axes, words) in [
            (Axes::default(), "--grid optimizer.lr=1e-4..1e-1:log:8 or --seeds 0..8"),
            (axes(&["a=1,2"], &["a=1,2"], None, &[]), "a is given twice"),
            (axes(&["m.a=1,2", "m=3"], &[], None, &[]), "m.a and m set the same value"),
            (axes(&["seed=1,2"], &[], None, &[1]), "seed is a key of the sweep"),
            (axes(&[], &["a=1,2", "b=1,2,3"], None, &[]), "a has 2 values, b has 3"),
            (axes(&["a=1,2"], &[], Some(0), &[]), "at least 1 draw"),
            (axes(&["a=1,2"], &["b=1"], Some(5), &[]), "--zip"),
            (axes(&[], &[], Some(5), &[1]), "nothing to draw"),
            (axes(&["a=0..400", "b=0..300"], &[], None, &[]), "120000 points"),
            (axes(&["a=0..400"], &[], Some(50_000), &[1, 2, 3]), "150000 points"),
            (axes(&["a=1,2"], &[], None, &[u64::MAX]), "18446744073709551615 is too large"),
            (
                Axes {
                    grid: vec![Axis { key: "a".into(), values: Values::List(vec![]) }],
                    ..Axes::default()
                },
                "a has no value",
            ),
        ] {
            let err = axes.points(0).unwrap_err().to_string();
            assert!(err.contains(words), "{words}: {err}");
        }
    }

    #[test]
    fn folders_are_short_and_safe() {
        let long = format!("0-a={}", "x".repeat(95));
        for (index, count, point, want) in [
            (7, 512, "lr=0.001 o.weight_decay=0.01 seed=3", "007-lr=0.001-weight_decay=0.01-seed=3"),
            (9, 10, "a='/../\u{e9}b'", "9-a=_..__b"),
            (10, 11, "a=[64,-1e-9] b=2", "10-b=2"),
            (5, 1, "", "5"),
            (0, 1, &format!("a='{}.y'", "x".repeat(95)), &long),
        ] {
            let setting = |text: &str| text.split_once('=').map(|(k, v)| (k.to_owned(), v.parse().unwrap()));
            let point: Point = point.split(' ').filter_map(setting).collect();
            assert_eq!(folder(index, count, &point), want);
        }
    }

    #[test]
    fn values_are_written_as_a_person_writes_them() {
        let simple = "0.001 1e-6 1.0 -3 true \"adam\" {} [] 1979-05-27 \"\\u000A\"".split(' ');
        for text in simple.chain(["[64, [0.5]]", "{ a = 1, \"b c\" = [] }"]) {
            assert_eq!(written(&text.parse().unwrap()), text);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_filter("not NaN", |n| !n.is_nan()).prop_map(Value::Float),
            any::<bool>().prop_map(Value::Boolean),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|pairs| Value::Table(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_read_back(value in values(), key in any::<String>(), index in 0usize..1000) {
            let text = written(&value);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(text.trim().parse::<Value>().unwrap(), value.clone());
            let name = folder(index, 1000, &vec![(key, value)]);
            let first = format!("{index:03}");
            prop_assert!(name.len() <= LONGEST && name.starts_with(&first));
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._=+-".contains(c)));
        }
    }
}
