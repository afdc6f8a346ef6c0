//! Whatever a client sends, it gets an answer, and soon.

use std::time::{Duration, Instant};

use horizon_machinery::{
    collection::{Collection, Limits},
    json_path::JsonPath,
    list::{Page, Scope},
    negotiate::{Discovery, Form, OpenApi},
    parameters::{
        read::Read,
        write::{Verb, Write},
    },
    protobuf,
    query::Query,
    selector::{field, label},
};
use proptest::prelude::*;

/// Text of the signs that the grammars here care about, among others.
fn text() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec![
        "(",
        ")",
        ",",
        "!",
        "=",
        "==",
        "!=",
        ">",
        "<",
        " ",
        "in",
        "notin",
        "a",
        "b/c",
        "\\",
        "%",
        "%41",
        "&",
        "+",
        ";",
        "q=0.5",
        "*/*",
        "application/json",
        "as=Table",
        ".",
        "[",
        "]",
        "[?(@.",
        "'",
        "é",
        "\0",
        "limit=",
        "continue=",
        "labelSelector=",
        "fieldSelector=",
        "resourceVersion=",
        "watch=1",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
    ]);
    prop::collection::vec(sign, 0..40).prop_map(|signs| signs.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered(text in text()) {
        let _ = (label::Selector::parse(&text), field::Selector::parse(&text), JsonPath::parse(&text));
        let _ = (Form::of_resource(&text, false), Form::of_watch(&text), Form::of_refusal(&text, true));
        let _ = (Discovery::negotiate(&text), OpenApi::negotiate(&text));
        let Ok(query) = Query::parse(&text) else { return Ok(()) };
        for verb in [Verb::Create, Verb::Update, Verb::Patch, Verb::Apply] {
            let _ = Write::parse(&query, verb, &text);
        }
        if let Ok(Read::List(list)) = Read::parse(&query, |_| true) {
            let none = Collection::new([], 1, 1, Limits { changes_max: 1, bytes_max: 1 });
            let _ = Page::read(&none, Scope { resource: "users.horizon.dev", namespace: "default" }, &list);
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300), place in 0usize..60, byte: u8) {
        let _ = protobuf::decode(&bytes);
        let _ = protobuf::decode(&[&b"k8s\0"[..], &bytes].concat());
        // A kind that is known, with any content, and with one byte changed.
        let kind = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x0e\x0a\x05\x0a\x03key\x12\x05\x0a\x01a\x12\x00";
        let mut changed = [&kind[..], &bytes].concat();
        let _ = protobuf::decode(&changed);
        if let Some(at) = changed.get_mut(place) {
            *at = byte;
        }
        let _ = protobuf::decode(&changed);
    }

    #[test]
    fn a_selector_that_is_read_is_read_again_from_its_text(text in text()) {
        if let Ok(selector) = label::Selector::parse(&text) {
            prop_assert_eq!(label::Selector::parse(&selector.to_string()), Ok(selector));
        }
    }
}

#[test]
fn a_megabyte_takes_no_longer_than_its_bytes() {
    let signs = [
        "(", ",", "!", "a,", "a=b,", "a in (", "x,", "\\", "%41", "&", "a=1&", ";q=", "*/*,", ".a", "[*]",
        "=",
    ];

    let bad_values: Vec<String> = (0..100_000).map(|number| format!("-{number}")).collect();
    let selector = format!("a in ({})", bad_values.join(","));
    let texts = signs.iter().map(|sign| sign.repeat(1_000_000 / sign.len())).chain([selector]);

    for text in texts {
        let begin = Instant::now();
        let _ = (label::Selector::parse(&text), field::Selector::parse(&text), JsonPath::parse(&text));
        let _ = (Query::parse(&text), Form::of_resource(&text, false));
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "{:?} took {took:?}", &text[..10]);
    }
}
