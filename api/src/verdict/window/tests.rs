//! Facts about windows where clocks are set: gaps, folds, half hours, days that are skipped.

use super::*;

const WORKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
const EVERY_DAY: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn minute(text: &str) -> u16 {
    let (hours, minutes) = text.split_once(':').expect("a time");
    hours.parse::<u16>().expect("hours") * 60 + minutes.parse::<u16>().expect("minutes")
}

fn window(days: &[Weekday], start: &str, end: &str, zone: &str) -> Window {
    Window::new(days, minute(start), minute(end), zone.parse().expect("a zone")).expect("a window")
}

fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a timestamp").as_second()
}

/// Returns when the window is open between two moments, by asking it again at each edge that it names, and checks at
/// each minute that between two of them nothing changes.
fn open_times(window: &Window, from: &str, to: &str) -> Vec<(String, String)> {
    let (from, to) = (second(from), second(to));
    let mut times: Vec<(i64, i64)> = Vec::new();
    let mut now = from;
    while now < to {
        let (is_open, until) = window.at(now);
        assert!(until > now, "{until} is not after {now}");
        let until = until.min(to);
        for between in (now..until).step_by(60).chain([until - 1]) {
            assert_eq!(window.at(between).0, is_open, "{}", Timestamp::from_second(between).expect("a time"));
        }
        match times.last_mut() {
            Some((_, end)) if is_open && *end == now => *end = until,
            _ if is_open => times.push((now, until)),
            _ => {}
        }
        now = until;
    }
    let text = |second| Timestamp::from_second(second).expect("a timestamp").to_string();
    times.into_iter().map(|(start, end)| (text(start), text(end))).collect()
}

fn check(window: &Window, from: &str, to: &str, expected: &[(&str, &str)]) {
    let times = open_times(window, from, to);
    let times: Vec<_> = times.iter().map(|(start, end)| (start.as_str(), end.as_str())).collect();
    assert_eq!(times, expected, "{window:?}");
}

#[test]
fn working_hours_move_with_the_clocks() {
    let window = window(&WORKDAYS, "08:00", "18:00", "Europe/Berlin");

    check(
        &window,
        "2026-03-26T12:00:00Z",
        "2026-03-31T00:00:00Z",
        &[
            ("2026-03-26T12:00:00Z", "2026-03-26T17:00:00Z"),
            ("2026-03-27T07:00:00Z", "2026-03-27T17:00:00Z"),
            ("2026-03-30T06:00:00Z", "2026-03-30T16:00:00Z"),
        ],
    );
    check(
        &window,
        "2026-10-23T00:00:00Z",
        "2026-10-27T00:00:00Z",
        &[("2026-10-23T06:00:00Z", "2026-10-23T16:00:00Z"), ("2026-10-26T07:00:00Z", "2026-10-26T17:00:00Z")],
    );
}

#[test]
fn an_hour_that_is_skipped_is_in_no_window() {
    // 2026-03-29 in Berlin: 01:59:59 CET (00:59:59Z) is followed by 03:00:00 CEST.
    let check = |start, end, expected: &[(&str, &str)]| {
        let window = window(&[Weekday::Sunday], start, end, "Europe/Berlin");
        check(&window, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", expected);
    };

    check("02:00", "03:00", &[]);
    check("02:30", "04:00", &[("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")]);
    check("01:00", "02:30", &[("2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z")]);
    check("01:30", "03:30", &[("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z")]);
    check("00:00", "24:00", &[("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")]);
}

#[test]
fn an_hour_that_comes_twice_is_in_the_window_both_times() {
    // 2026-10-25 in Berlin: 02:59:59 CEST (00:59:59Z) is followed by 02:00:00 CET.
    let check = |start, end, expected: &[(&str, &str)]| {
        let window = window(&[Weekday::Sunday], start, end, "Europe/Berlin");
        check(&window, "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", expected);
    };

    check("02:00", "03:00", &[("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z")]);
    check(
        "02:00",
        "02:30",
        &[("2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"), ("2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z")],
    );
    check(
        "02:30",
        "04:00",
        &[("2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"), ("2026-10-25T01:30:00Z", "2026-10-25T03:00:00Z")],
    );
    check("00:00", "24:00", &[("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")]);
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_starts() {
    let friday_night = window(&[Weekday::Friday], "22:00", "06:00", "America/New_York");
    let whole_friday = window(&[Weekday::Friday], "00:00", "00:00", "America/New_York");
    let week = ("2026-10-29T00:00:00Z", "2026-11-05T00:00:00Z");

    check(&friday_night, week.0, week.1, &[("2026-10-31T02:00:00Z", "2026-10-31T10:00:00Z")]);
    check(&whole_friday, week.0, week.1, &[("2026-10-30T04:00:00Z", "2026-10-31T04:00:00Z")]);
}

#[test]
fn a_night_across_a_change_lasts_as_long_as_it_does() {
    // New York: 2026-03-08 02:00 EST becomes 03:00 EDT, 2026-11-01 02:00 EDT becomes 01:00 EST.
    let night = window(&[Weekday::Saturday], "22:00", "06:00", "America/New_York");

    check(
        &night,
        "2026-03-07T12:00:00Z",
        "2026-03-09T00:00:00Z",
        &[("2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z")],
    );
    check(
        &night,
        "2026-10-31T12:00:00Z",
        "2026-11-02T00:00:00Z",
        &[("2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z")],
    );
}

#[test]
fn clocks_may_be_set_by_half_an_hour() {
    // Lord Howe: 2026-04-05 02:00 +11 becomes 01:30 +10:30; 2026-10-04 02:00 +10:30 becomes 02:30 +11.
    let check = |start, end, from, to, expected: &[(&str, &str)]| {
        check(&window(&[Weekday::Sunday], start, end, "Australia/Lord_Howe"), from, to, expected);
    };
    let autumn = ("2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z");
    let spring = ("2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z");

    check("01:30", "02:00", autumn.0, autumn.1, &[("2026-04-04T14:30:00Z", "2026-04-04T15:30:00Z")]);
    check(
        "01:00",
        "01:45",
        autumn.0,
        autumn.1,
        &[("2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z"), ("2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z")],
    );
    check("02:00", "02:30", spring.0, spring.1, &[]);
    check("02:15", "03:00", spring.0, spring.1, &[("2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z")]);
}

#[test]
fn clocks_may_be_set_at_midnight() {
    // Havana: 2024-11-03 01:00 CDT becomes 00:00 CST. Beirut: 2026-03-29 00:00 becomes 01:00.
    let havana = window(&[Weekday::Sunday], "00:00", "01:00", "America/Havana");
    let beirut = window(&[Weekday::Sunday], "00:00", "02:00", "Asia/Beirut");

    check(
        &havana,
        "2024-11-02T00:00:00Z",
        "2024-11-04T00:00:00Z",
        &[("2024-11-03T04:00:00Z", "2024-11-03T06:00:00Z")],
    );
    check(
        &beirut,
        "2026-03-28T00:00:00Z",
        "2026-03-30T00:00:00Z",
        &[("2026-03-28T22:00:00Z", "2026-03-28T23:00:00Z")],
    );
}

#[test]
fn a_day_that_a_country_skips_has_no_window() {
    // Samoa went from Thursday, 2011-12-29 to Saturday, 2011-12-31.
    let friday = window(&[Weekday::Friday], "00:00", "24:00", "Pacific/Apia");
    let thursday_night = window(&[Weekday::Thursday], "22:00", "06:00", "Pacific/Apia");

    check(&friday, "2011-12-28T00:00:00Z", "2012-01-02T00:00:00Z", &[]);
    check(
        &thursday_night,
        "2011-12-28T00:00:00Z",
        "2012-01-02T00:00:00Z",
        &[("2011-12-30T08:00:00Z", "2011-12-30T10:00:00Z")],
    );
}

#[test]
fn every_day_all_day_is_always() {
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"] {
        let times = open_times(
            &window(&EVERY_DAY, "00:00", "24:00", zone),
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        );

        assert_eq!(times, [("2026-01-01T00:00:00Z".to_owned(), "2027-01-01T00:00:00Z".to_owned())], "{zone}");
    }
}

#[test]
fn the_end_of_time_has_no_window() {
    let window = window(&EVERY_DAY, "00:00", "24:00", "Europe/Berlin");

    assert_eq!(window.at(i64::MAX), (false, i64::MAX));
    assert_eq!(window.at(i64::MIN), (false, i64::MAX));
}

#[test]
fn a_window_survives_its_bytes() {
    let window = window(&WORKDAYS, "22:00", "24:00", "America/New_York");

    let again: Window = crate::cbor::decode(&crate::cbor::encode(&window)).expect("our own bytes");

    assert_eq!(again, window);
}

#[test]
fn what_is_no_window_is_refused() {
    let refused = |days, start_min, end_min, zone: &str| {
        let wire = WireWindow { days, start_min, end_min, zone: zone.to_owned() };
        crate::cbor::decode::<Window>(&crate::cbor::encode(&wire)).expect_err("no window").to_string()
    };

    assert!(refused(0, 0, 60, "UTC").contains("needs a day"));
    assert!(refused(0x80, 0, 60, "UTC").contains("needs a day"));
    assert!(refused(1, 1440, 60, "UTC").contains("not at minute 1440"));
    assert!(refused(1, 0, 1441, "UTC").contains("not at minute 1441"));
    for zone in ["Mars/Olympus", "", "europe/berlin", "Etc/Unknown", "+02:00"] {
        assert!(refused(1, 0, 60, zone).contains("no time zone"), "{zone}");
    }
}

#[test]
fn a_zone_says_what_its_clocks_show() {
    let zone: Zone = "Europe/Berlin".parse().expect("a zone");

    assert_eq!(zone.shown(second("2026-03-29T00:59:00Z")), "Sun 01:59");
    assert_eq!(zone.shown(second("2026-03-29T01:00:00Z")), "Sun 03:00");
    assert!(Zone::names().any(|name| name == "Europe/Berlin"));
}
