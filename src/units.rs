//! Numbers with units, as a person reads them.

use std::fmt::Display;

/// Bytes with a binary unit: `512 B`, `18.2 KiB`, `1.5 GiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Parses a number of bytes with a unit: `256MiB`, `1.5 GiB`, `64 kB`, `1048576`. An error names the fault and an example.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 9] = [
        ("", 1.0),
        ("b", 1.0),
        ("kib", 1024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
        ("tib", 1_099_511_627_776.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
    ];
    let digits = text.trim().find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.trim().len());
    let (number, unit) = text.trim().split_at(digits);
    let unit = unit.trim().to_lowercase();
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    match (number.parse::<f64>(), scale) {
        (Ok(number), Some(scale)) if number.is_finite() && number * scale >= 1.0 && number * scale < 9e18 => {
            Ok((number * scale).floor() as u64)
        }
        _ => Err(format!("\"{text}\" is no size; a number with KiB, MiB or GiB is needed, as 256MiB")),
    }
}

/// A count with a decimal prefix: `950`, `12.3 k`, `4.56 M`, `7.89 G`.
pub fn count(n: f64) -> String {
    let (scale, prefix) = match n.abs() {
        x if x >= 1e9 => (1e9, " G"),
        x if x >= 1e6 => (1e6, " M"),
        x if x >= 1e3 => (1e3, " k"),
        _ => return format!("{n:.0}"),
    };
    let value = n / scale;
    let decimals = match value.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{prefix}")
}

/// A whole number with commas: `950`, `12,345`.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things: `1 row`, `3 rows`, `1 class`, `2 classes`.
pub fn plural<N: Display + PartialEq + From<u8>>(n: N, one: &str) -> String {
    if n == N::from(1) {
        return format!("{n} {one}");
    }
    let is_hissed = ["ss", "x", "tch"].iter().any(|end| one.ends_with(end));
    format!("{n} {one}{}", if is_hissed { "es" } else { "s" })
}

/// A duration as `850 ms`, `12.3 s` or `3 min 20 s`.
pub fn seconds(s: f64) -> String {
    if s < 1.0 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 60.0 {
        format!("{s:.1} s")
    } else {
        format!("{} min {:.0} s", (s / 60.0) as u64, (s % 60.0).floor())
    }
}

/// Seconds as `145 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub fn duration(s: f64) -> String {
    match s {
        s if 0.0 < s && s < 0.9995e-6 => format!("{} ns", three(s * 1e9)),
        s if s < 0.9995e-3 => format!("{} µs", three(s * 1e6)),
        s if s < 0.9995 => format!("{} ms", three(s * 1e3)),
        s => format!("{} s", three(s)),
    }
}

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The date in UTC some seconds after 1970 began, as `2026-11-29`, in the Gregorian calendar (Hinnant 2013,
/// `civil_from_days`).
pub fn date(seconds: u64) -> String {
    // Years begin in March, so the leap day is a year's last; eras are of 400 years.
    let day = seconds / DAY + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The date and time in UTC some seconds after 1970 began, as `2026-11-29 08:05:00 UTC`.
pub fn date_and_time(seconds: u64) -> String {
    let (hour, minute, second) = (seconds % DAY / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", date(seconds))
}

/// Three significant digits.
pub fn three(n: f64) -> String {
    let decimals = match n.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{n:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @$((86400 * N)) +%F
        let dates = [0, 58, 59, 789, 11_016, 20_786].map(|days| date(days * DAY));
        assert_eq!(
            dates,
            ["1970-01-01", "1970-02-28", "1970-03-01", "1972-02-29", "2000-02-29", "2026-11-29"]
        );
        assert_eq!(date_and_time(20_786 * DAY + 29_105), "2026-11-29 08:05:05 UTC");
    }

    #[test]
    fn units_are_readable() {
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes(" 1.5 gib "), Ok(3 << 29));
        assert_eq!(parse_bytes("64 kB"), Ok(64_000));
        assert_eq!(parse_bytes("4096"), Ok(4096));
        for wrong in ["", "MiB", "256M", "-1MiB", "0", "1..2GiB", "1e3KiB", "9999999TiB", "NaN"] {
            let err = parse_bytes(wrong).unwrap_err();
            assert!(err.contains(&format!("\"{wrong}\"")) && err.contains("256MiB"), "{err}");
        }
        let grouped = [0, 950, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "950", "1,000", "12,345", "1,234,567"]);
        let counted = [
            ("row", "1 row, 0 rows"),
            ("class", "1 class, 0 classes"),
            ("dispatch", "1 dispatch, 0 dispatches"),
        ];
        for (one, want) in counted {
            assert_eq!(format!("{}, {}", plural(1u64, one), plural(0usize, one)), want);
        }
        assert_eq!(
            (plural(2u32, "epoch"), plural(3u32, "micro-batch")),
            ("2 epochs".into(), "3 micro-batches".into())
        );
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(18_637), "18.2 KiB");
        assert_eq!(count(950.0), "950");
        assert_eq!(count(12_345.0), "12.3 k");
        assert_eq!(count(99_960.0), "100 k");
        assert_eq!(count(4_560_000.0), "4.56 M");
        assert_eq!(seconds(200.4), "3 min 20 s");
        let durations = [0.0, 145e-9, 0.9996e-6, 12.34e-6, 4.56e-3, 1.2].map(duration);
        assert_eq!(durations, ["0.00 µs", "145 ns", "1.00 µs", "12.3 µs", "4.56 ms", "1.20 s"]);
    }
}
