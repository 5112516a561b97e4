//! The likeness of a cell that is no number: a number in another notation, a date, a mere sign.

/// The likeness of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// A number with a comma before its decimals: `3,14`, `1.234,5`.
    DecimalComma,
    /// A number whose thousands are marked: `1,234`, `1'234.5`, `1 234`.
    Thousands,
    /// A date or a time: `2024-01-31`, `31.01.2024`, `1/31/24 10:30`, `10:30`.
    Date,
    /// Neither a letter nor a digit: `-`, `..`.
    Sign,
    /// A word.
    Word,
}

impl Likeness {
    pub fn of(text: &str) -> Likeness {
        if !text.chars().any(char::is_alphanumeric) {
            return Likeness::Sign;
        }
        if is_date(text) {
            return Likeness::Date;
        }
        let number = text.strip_prefix(['-', '+']).unwrap_or(text);
        if is_grouped(number) {
            return Likeness::Thousands;
        }
        let decimals = number.split_once(',').filter(|(whole, rest)| {
            let whole_fits =
                whole.is_empty() || digits(whole) || (whole.contains('.') && grouped_by(whole, '.'));
            let (rest, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
            whole_fits && digits(rest) && digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
        });
        if decimals.is_some() { Likeness::DecimalComma } else { Likeness::Word }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One to three digits, then groups of three, each after the mark.
fn grouped_by(text: &str, mark: char) -> bool {
    let mut groups = text.split(mark);
    let first = groups.next().unwrap_or_default();
    digits(first) && first.len() <= 3 && groups.all(|group| digits(group) && group.len() == 3)
}

/// Thousands with a mark, and perhaps decimals after a point.
fn is_grouped(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let marked =
        [',', '\'', ' ', '_'].into_iter().any(|mark| whole.contains(mark) && grouped_by(whole, mark));
    marked && digits(decimals)
}

fn is_date(text: &str) -> bool {
    let (day, time) = match text.split_once(['T', ' ']) {
        Some((day, time)) => (day, Some(time)),
        None if text.contains(':') => return is_time(text),
        None => (text, None),
    };
    let parts = |mark: char| {
        let parts: Vec<&str> = day.split(mark).collect();
        <[&str; 3]>::try_from(parts).ok().filter(|parts| parts.iter().all(|part| digits(part)))
    };
    let fits =
        ['-', '/', '.'].into_iter().filter_map(parts).any(|[a, b, c]| match (a.len(), b.len(), c.len()) {
            (4, 1..=2, 1..=2) => b.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month)),
            (1..=2, 1..=2, 2 | 4) => {
                [a, b].iter().all(|part| part.parse::<u8>().is_ok_and(|n| (1..=31).contains(&n)))
            }
            _ => false,
        });
    fits && time.is_none_or(is_time)
}

/// `10:30`, `10:30:05.25`, with or without a zone.
fn is_time(text: &str) -> bool {
    let clock = text.trim_end_matches('Z');
    let clock = clock.split_once(['+', '-']).map_or(clock, |(clock, _)| clock);
    let mut parts = clock.split(':');
    let two = |part: Option<&str>| part.is_some_and(|part| digits(part) && part.len() <= 2);
    let hours_and_minutes = two(parts.next()) && two(parts.next());
    let seconds = parts.next().is_none_or(|part| part.split('.').all(digits));
    hours_and_minutes && seconds && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notations_are_told_apart() {
        use Likeness::{Date, DecimalComma, Sign, Thousands, Word};
        for (likeness, texts) in [
            (DecimalComma, &["3,14", "-0,5", "1.234,5", "12,3e-4", ",5", "1234,567"][..]),
            (Thousands, &["1,234", "-12,345,678.9", "1'234", "1 234.50", "1_000"]),
            (
                Date,
                &[
                    "2024-01-31",
                    "2024-01-31T10:30:00Z",
                    "2024/1/3 10:30",
                    "31.01.2024",
                    "1/31/24",
                    "10:30",
                    "23:59:59.5",
                    "2024-01-31 10:30:05+02:00",
                ],
            ),
            (Sign, &["-", "--", "..", "*", "(?)"]),
            (
                Word,
                &[
                    "a",
                    "1,2,3",
                    "1,23,456",
                    "12o",
                    "5 kg",
                    "1.2.3",
                    "2024-13-01",
                    "10:30:",
                    "1,",
                    "1-2-3",
                    "v1:2",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(Likeness::of(text), likeness, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_looks_like_something(text in "\\PC*", digits in "[-+0-9.,:/eT' Z]{0,20}") {
            let _ = (Likeness::of(&text), Likeness::of(&digits));
        }
    }
}
