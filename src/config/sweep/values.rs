//! An axis of a sweep: a key of the config, and the values that it takes.

use toml::Value;

use crate::error::{Error, Result, suggestion};

/// Most values of an axis, and most points of a sweep.
pub(super) const MOST: usize = 100_000;
/// Largest whole number of a range: f64 has each up to this one.
const LARGEST_WHOLE: i64 = 1 << 53;
/// Characters of the command line or of a value that an error shows.
const SHOWN: usize = 160;

/// A key of the config and the values that a sweep gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The dotted key, such as `optimizer.lr`.
    pub key: String,
    /// Its values.
    pub values: Values,
}

/// The values of an axis: a list, or a range.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// These, at least one.
    List(Vec<Value>),
    /// Numbers between two ends.
    Range(Range),
}

/// Numbers from one end to the other, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first.
    pub from: f64,
    /// The last. It may be the smaller one.
    pub to: f64,
    /// How the others lie between them.
    pub scale: Scale,
    /// How many values there are, with both ends.
    pub count: usize,
    /// Whether both ends are written as whole numbers. Then all values are whole.
    pub is_whole: bool,
}

/// How the values of a range follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By equal differences.
    Linear,
    /// By equal ratios.
    Log,
}

impl Axis {
    /// Reads `KEY=VALUES` of the command line. VALUES is one of
    /// - `1e-4..1e-1:log:8` or `0.1..0.9:lin:5`: this many values, both ends inclusive. Between the ends, values are rounded
    ///   to 6 significant digits, or to whole numbers where both ends are whole, as in `32..512:log:5`.
    /// - `0..8`: whole numbers, the end exclusive.
    /// - `[1e-3, 3e-3]`: a TOML array of any values.
    /// - `1e-3,3e-3` or `adam,sgd`: values with commas between. What is not TOML is a string.
    ///
    /// # Errors
    /// [`Error::Config`] that begins with `FLAG KEY=VALUES`.
    pub fn parse(flag: &str, text: &str) -> Result<Axis> {
        let place = format!("{flag} {}", short(text));
        let Some((key, values)) = text.split_once('=') else {
            let wanted = "a key and its values are needed, as --grid optimizer.lr=1e-4..1e-1:log:8";
            return Err(Error::Config(format!("{place}: {wanted}")));
        };
        Self::read(&place, key, || read_values(values.trim()))
    }

    /// Reads the value of a key in the section `[sweep]`: an array, or a string as on the command line.
    ///
    /// # Errors
    /// [`Error::Config`] that begins with `[sweep] KEY = VALUE`.
    pub fn from_value(key: &str, value: &Value) -> Result<Axis> {
        let place = format!("[sweep] {} = {}", short(key), short(&value.to_string()));
        Self::read(&place, key, || match value {
            Value::Array(values) => list(values.clone()),
            Value::String(text) => read_values(text.trim()),
            _ => Err("a list or a string is needed, as [1e-3, 3e-3] or \"1e-4..1e-1:log:8\"".into()),
        })
    }

    fn read(place: &str, key: &str, values: impl FnOnce() -> Result<Values, String>) -> Result<Axis> {
        let key = key.trim();
        if key.split('.').any(|part| part.trim().is_empty()) {
            return Err(Error::Config(format!("{place}: the key is not whole; for example optimizer.lr")));
        }
        let values = values().map_err(|fault| Error::Config(format!("{place}: {fault}")))?;
        Ok(Axis { key: key.to_owned(), values })
    }
}

impl Values {
    /// How many values there are.
    pub fn count(&self) -> usize {
        match self {
            Values::List(values) => values.len(),
            Values::Range(range) => range.count,
        }
    }

    /// All values in their order.
    pub fn all(&self) -> Vec<Value> {
        match self {
            Values::List(values) => values.clone(),
            Values::Range(range) => (0..range.count).map(|index| range.value(index)).collect(),
        }
    }

    /// The value that a uniform number draws, `0 <= uniform < 1`. Each value of a list is equally likely. A range gives a
    /// number between its ends, uniform on its scale: a whole one, or one of 6 significant digits.
    pub fn draw(&self, uniform: f64) -> Value {
        match self {
            Values::List(values) => {
                let index = (uniform * values.len() as f64) as usize;
                values[index.min(values.len() - 1)].clone()
            }
            Values::Range(range) => range.draw(uniform),
        }
    }
}

impl Range {
    fn value(&self, index: usize) -> Value {
        let last = self.count - 1;
        match index {
            0 => self.number(self.from),
            _ if index == last => self.number(self.to),
            _ => self.number(self.between(self.from, self.to, index as f64 / last as f64)),
        }
    }

    fn draw(&self, uniform: f64) -> Value {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        if !self.is_whole {
            return self.number(self.between(low, high, uniform));
        }
        // A whole number n takes the stretch from n to n + 1.
        self.number(self.between(low, high + 1.0, uniform).floor().min(high))
    }

    /// The number at this share of the way. It has 6 significant digits where it need not be whole.
    fn between(&self, from: f64, to: f64, share: f64) -> f64 {
        let mix = |from: f64, to: f64| from * (1.0 - share) + to * share;
        let exact = match self.scale {
            Scale::Log => mix(from.ln(), to.ln()).exp(),
            // Rounding leaves 1e-17 where 0 should be.
            Scale::Linear if mix(from, to).abs() < 1e-12 * from.abs().max(to.abs()) => 0.0,
            Scale::Linear => mix(from, to),
        };
        let digits = format!("{exact:.5e}");
        let rounded = if self.is_whole { exact } else { digits.parse().unwrap_or(exact) };
        rounded.max(from.min(to)).min(from.max(to))
    }

    fn number(&self, number: f64) -> Value {
        if self.is_whole { Value::Integer(number.round() as i64) } else { Value::Float(number) }
    }

    /// Refuses a range with no values, too many, or one of them twice.
    fn checked(self) -> Result<Values, String> {
        let Range { from, to, scale, count, is_whole } = self;
        let low = from.min(to);
        if !from.is_finite() || !to.is_finite() {
            return Err("both ends must be finite, as 1e-4..1e-1:log:8".into());
        }
        if from == to {
            return Err("both ends are the same number; a range is for example 0.1..0.9:lin:5".into());
        }
        if scale == Scale::Log && low <= 0.0 {
            return Err(format!("{low} has no logarithm; both ends must be above 0, as 1e-4..1e-1:log:8"));
        }
        if count < 2 {
            return Err(format!("a count of {count}; a range has at least its 2 ends, as 0.1..0.9:lin:5"));
        }
        if count > MOST {
            return Err(format!("{count} values; at most {MOST} are possible, as 0.1..0.9:lin:5"));
        }
        let values = Values::Range(self);
        let Some(twice) =
            values.all().windows(2).find_map(|pair| (pair[0] == pair[1]).then(|| pair[0].clone()))
        else {
            return Ok(values);
        };
        Err(match is_whole {
            true => format!(
                "{twice} appears twice after rounding to whole numbers; give a smaller count, or ends with a decimal point, \
                 as {from:?}..{to:?}"
            ),
            false => format!("{twice} appears twice after rounding to 6 digits; give a smaller count"),
        })
    }
}

/// Reads VALUES.
fn read_values(text: &str) -> Result<Values, String> {
    let is_toml = text.starts_with(['[', '{', '"', '\'']);
    match text.split_once("..") {
        Some((from, rest)) if !is_toml => read_range(from.trim(), rest),
        _ => read_list(text),
    }
}

/// Reads `FROM..TO:SCALE:COUNT`, or `FROM..TO` of whole numbers.
fn read_range(from: &str, rest: &str) -> Result<Values, String> {
    let mut parts = rest.splitn(3, ':').map(str::trim);
    let to = parts.next().unwrap_or_default();
    let ((first, first_is_whole), (last, last_is_whole)) = (read_end(from)?, read_end(to)?);
    let is_whole = first_is_whole && last_is_whole;
    let Some(name) = parts.next() else {
        if !is_whole {
            return Err(format!("a scale and a count are needed, as {from}..{to}:lin:5"));
        }
        return match (last - first) as i64 {
            ..=0 => Err("it is empty; the end is exclusive and above the first, as 0..8".into()),
            1 => Err(format!("it has one value, for the end is exclusive; write [{from}] for it alone")),
            count => {
                let (count, to) = (count as usize, last - 1.0);
                Range { from: first, to, scale: Scale::Linear, count, is_whole }.checked()
            }
        };
    };
    let scale = match name {
        "lin" => Scale::Linear,
        "log" => Scale::Log,
        _ => return Err(format!("\"{name}\" is no scale; {}", suggestion(name, &["lin", "log"]))),
    };
    let example = format!("{from}..{to}:{name}:5");
    let count = parts.next().ok_or_else(|| format!("a count is needed, as {example}"))?;
    let count = count.parse().map_err(|_| format!("\"{count}\" is no count; for example {example}"))?;
    Range { from: first, to: last, scale, count, is_whole }.checked()
}

/// Reads an end of a range, and whether it is whole.
fn read_end(text: &str) -> Result<(f64, bool), String> {
    match text.parse() {
        Ok(Value::Integer(n)) if n.unsigned_abs() > LARGEST_WHOLE as u64 => {
            Err(format!("{n} is too large; whole numbers of a range go up to {LARGEST_WHOLE}"))
        }
        Ok(Value::Integer(n)) => Ok((n as f64, true)),
        Ok(Value::Float(number)) => Ok((number, false)),
        _ => Err(format!(
            "\"{text}\" is no number; a range is for example 1e-4..1e-1:log:8 or 0..8, and a string with .. in it is \
             [\"a..b\"]"
        )),
    }
}

/// Reads an array, or values with commas between.
fn read_list(text: &str) -> Result<Values, String> {
    for array in [text, &format!("[{text}]")] {
        if let Ok(Value::Array(values)) = array.parse() {
            return list(values);
        }
    }
    if text.contains(['[', ']', '{', '}', '"', '\'']) {
        let example = "[\"adam\", \"sgd\"]";
        return Err(format!("it is no TOML; a list is for example {example}, or adam,sgd without brackets"));
    }
    list(text.split(',').map(|part| read_value(part.trim())).collect::<Result<_, _>>()?)
}

/// Reads a value between commas: TOML, or else a string.
fn read_value(text: &str) -> Result<Value, String> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(_) if text.is_empty() => Err("a value is missing; values are for example 1e-3,3e-3".into()),
        Err(_) if text.parse::<f64>().is_ok() => {
            Err(format!("\"{text}\" is no number of TOML; one is for example 0.5 or 1e-3"))
        }
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

/// Refuses a list with no values, too many, or one that is not finite.
fn list(values: Vec<Value>) -> Result<Values, String> {
    fn is_finite(value: &Value) -> bool {
        match value {
            Value::Float(number) => number.is_finite(),
            Value::Array(values) => values.iter().all(is_finite),
            Value::Table(table) => table.values().all(is_finite),
            _ => true,
        }
    }
    let example = "for example [1e-3, 3e-3]";
    match values.iter().find(|value| !is_finite(value)) {
        Some(value) => Err(format!("{} is not finite; values are {example}", short(&value.to_string()))),
        None if values.is_empty() => Err(format!("there is no value; values are {example}")),
        None if values.len() > MOST => Err(format!("{} values; at most {MOST} are possible", values.len())),
        None => Ok(Values::List(values)),
    }
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_read() {
        for (text, want) in [
            ("1e-4..1e-1:log:4", "[0.0001, 0.001, 0.01, 0.1]"),
            ("0.1..0.9:lin:5", "[0.1, 0.3, 0.5, 0.7, 0.9]"),
            ("1e-1 .. 1e-3 : log : 3", "[0.1, 0.01, 0.001]"),
            ("1.0..2.0:log:4", "[1.0, 1.25992, 1.5874, 2.0]"),
            ("0.12345678..1:lin:3", "[0.12345678, 0.561728, 1.0]"),
            ("-0.2..0.4:lin:4", "[-0.2, 0.0, 0.2, 0.4]"),
            ("1e-14..1e-2:log:3", "[0.00000000000001, 0.00000001, 0.01]"),
            ("32..512:log:5", "[32, 64, 128, 256, 512]"),
            ("1..10:lin:3", "[1, 6, 10]"),
            ("0..4", "[0, 1, 2, 3]"),
            ("-1..1", "[-1, 0]"),
            ("[1e-3, 3e-3]", "[0.001, 0.003]"),
            ("[[64, 64], \"x\", true, { a = 1 }]", "[[64, 64], \"x\", true, { a = 1 }]"),
            ("[64,64],[32]", "[[64, 64], [32]]"),
            ("1e-3,3e-3", "[0.001, 0.003]"),
            ("adam, sgd,3,true", "[\"adam\", \"sgd\", 3, true]"),
            ("\"a..b\"", "[\"a..b\"]"),
            ("7", "[7]"),
        ] {
            let axis = Axis::parse("--grid", &format!(" a.b = {text}")).unwrap();
            let all = axis.values.all();
            assert_eq!((axis.key.as_str(), all.len()), ("a.b", axis.values.count()));
            assert_eq!(Value::Array(all).to_string(), want, "{text}");
            assert_eq!(Axis::from_value("a.b", &Value::String(text.into())).unwrap(), axis);
        }
        let list = vec![Value::Integer(1), Value::String("0..8".into())];
        assert_eq!(Axis::from_value("k", &Value::Array(list.clone())).unwrap().values.all(), list);
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, words) in [
            ("optimizer.lr", "a key and its values"),
            ("=1,2", "key is not whole"),
            ("a..b=1,2", "key is not whole"),
            ("a.=1,2", "key is not whole"),
            ("a=", "no value"),
            ("a=x,,y", "a value is missing"),
            ("a=[]", "no value"),
            ("a=[1, 2", "no TOML"),
            ("a=[adam, sgd]", "[\"adam\", \"sgd\"], or adam,sgd"),
            ("a=.5,.6", "\".5\" is no number of TOML"),
            ("a=[1, [inf]]", "[inf] is not finite"),
            ("a=1,nan", "nan is not finite"),
            ("a=1..inf:lin:3", "must be finite"),
            ("a=1e999..1:lin:3", "\"1e999\" is no number"),
            ("a=..", "\"\" is no number"),
            ("a=../x.csv", "[\"a..b\"]"),
            ("a=0..=8", "\"=8\" is no number"),
            ("a=1..1:lin:3", "the same number"),
            ("a=0.1..0.9", "0.1..0.9:lin:5"),
            ("a=8..0", "it is empty"),
            ("a=0..1", "[0]"),
            ("a=0..200000", "200000 values"),
            ("a=0..9007199254740993", "9007199254740993 is too large"),
            ("a=0.1..0.9:ln:5", "did you mean \"lin\""),
            ("a=0.1..0.9:log", "a count is needed"),
            ("a=0.1..0.9:log:x", "\"x\" is no count; for example 0.1..0.9:log:5"),
            ("a=0.1..0.9:log:1", "a count of 1"),
            ("a=0.1..0.9:log:100001", "100001 values"),
            ("a=0..1.5:log:3", "0 has no logarithm"),
            ("a=-1.5..1.5:log:3", "-1.5 has no logarithm"),
            ("a=0..1:lin:5", "0 appears twice after rounding to whole numbers; give a smaller count"),
            ("a=1.0..1.000001:lin:9", "1.0 appears twice"),
        ] {
            let err = Axis::parse("--grid", text).unwrap_err().to_string();
            assert!(err.starts_with(&format!("--grid {text}: ")) && err.contains(words), "{err}");
        }
        for long in ["x".repeat(1 << 20), format!("a={}", "[".repeat(1 << 20))] {
            let err = Axis::parse("--grid", &long).unwrap_err().to_string();
            assert!(err.len() < 400, "{} bytes", err.len());
        }
        let err = Axis::from_value("a.b", &Value::Integer(3)).unwrap_err().to_string();
        assert!(err.starts_with("[sweep] a.b = 3: a list or a string is needed"), "{err}");
    }

    #[test]
    fn draws_follow_the_scale() {
        for (text, uniform, want) in [
            ("a,b,c,d", 0.49, "\"b\""),
            ("a,b,c,d", 1.0, "\"d\""),
            ("1e-4..1e-2:log:2", 0.5, "0.001"),
            ("1e-2..1e-4:log:2", 0.0, "0.0001"),
            ("0.0..3.0:lin:2", 0.1234567, "0.37037"),
            ("0..8", 0.999, "7"),
            ("0..8", 0.5, "4"),
            ("1..15:log:3", 0.5, "4"),
        ] {
            let drawn = Axis::parse("--grid", &format!("a={text}")).unwrap().values.draw(uniform);
            assert_eq!(drawn.to_string(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(
            text in any::<String>(),
            range in "[-0-9e.]{1,6}\\.\\.[-0-9e.]{1,6}(:(lin|log):[0-9]{1,3})?",
            list in "[-0-9.e:,a{}='\" \\[\\]#\n]{0,16}",
            uniform in 0.0..1.0,
        ) {
            let read = [format!("a={text}"), format!("a=[{text}]"), format!("a={range}"), format!("a={list}")];
            for text in read.into_iter().chain([text, list]) {
                let Ok(axis) = Axis::parse("--grid", &text) else { continue };
                prop_assert_eq!(axis.values.all().len(), axis.values.count());
                let drawn = axis.values.draw(uniform);
                if let Values::Range(Range { from, to, .. }) = axis.values {
                    let drawn = drawn.as_float().or(drawn.as_integer().map(|n| n as f64)).unwrap();
                    prop_assert!(from.min(to) <= drawn && drawn <= from.max(to));
                }
            }
        }
    }
}
