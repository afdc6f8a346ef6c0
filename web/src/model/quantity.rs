//! Bytes and rates for people: three digits at most, decimal units.

const STEPS: [&str; 5] = ["", "k", "M", "G", "T"];

/// Returns a count of bytes, such as `1.2 GB`.
pub fn bytes(count: u64) -> String {
    // Beyond 2^53 a byte more or less does not show.
    scaled(count as f64, "B")
}

/// Returns a rate given in bits a second, such as `12.4 Mbit/s`.
pub fn rate(bits_per_second: f64) -> String {
    // The sum of no rates is a negative zero, and would be shown as one.
    let is_shown = bits_per_second.is_finite() && bits_per_second > 0.0;
    scaled(if is_shown { bits_per_second } else { 0.0 }, "bit/s")
}

/// Returns a count with its noun, such as `1 file` or `3 files`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn scaled(value: f64, unit: &str) -> String {
    let mut value = value;
    let mut step = 0;
    // 999.5 would be shown as 1000.
    while value >= 999.5 && step + 1 < STEPS.len() {
        value /= 1000.0;
        step += 1;
    }
    let digits = if step == 0 || value >= 99.95 { 0 } else { 1 };
    format!("{value:.digits$} {}{unit}", STEPS[step])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_at_most() {
        let check = |count, expected: &str| assert_eq!(bytes(count), expected);

        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(99_949, "99.9 kB");
        check(99_960, "100 kB");
        check(999_499, "999 kB");
        check(999_500, "1.0 MB");
        check(1_234_000_000, "1.2 GB");
        check(5_000_000_000_000_000, "5000 TB");
    }

    #[test]
    fn rates_are_never_odd() {
        let check = |bps, expected: &str| assert_eq!(rate(bps), expected);

        check(12_440_000.0, "12.4 Mbit/s");
        check(-1.0, "0 bit/s");
        check(-0.0, "0 bit/s");
        check(f64::NAN, "0 bit/s");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(0, "file"), counted(1, "file")], ["0 files", "1 file"]);
    }
}
