//! The page of a run, with a guest that means harm.

use bootgate::machine::Class;
use bootgate::report::{PageInputs, PageLog, PagePicture, report_page};
use proptest::prelude::*;
use serde_json::json;

use crate::forms::HOSTILE;

fn log(name: &str, bytes: &[u8]) -> PageLog {
    PageLog {
        name: name.to_owned(),
        title: format!("Console {name}"),
        bytes: bytes.to_vec(),
        offset_bytes: 0,
    }
}

fn page(class: Class, bytes: &[u8]) -> String {
    let records = crate::traced();
    let qmp = [json!({"t_us": 1_000_000, "dir": "rx", "line": "{\"event\": \"RESET<script>\", \"data\": {}}"})];
    report_page(&PageInputs {
        result: crate::result(class),
        records: &records,
        qmp: &qmp,
        logs: vec![log("serial.log", bytes)],
        pictures: vec![PagePicture {
            name: format!("screen-{HOSTILE}.png"),
            png: vec![0x89, b'P'],
            text: Some(HOSTILE.to_owned()),
        }],
        argv: HOSTILE.to_owned(),
        gate: HOSTILE.to_owned(),
    })
}

/// What a browser would read as elements, in order: the page is well-formed by construction, so names are enough.
fn elements(page: &str) -> Vec<&str> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| tag.split([' ', '>', '\n']).next().unwrap_or_default())
        .collect()
}

#[test]
fn the_page_of_a_failure() {
    let page = page(Class::Failed, b"\x1b[32mOK\x1b[m Linux\r\n");
    let body = page
        .split("<body>")
        .nth(1)
        .and_then(|body| body.split("<script>").next());
    let lines = body.expect("a body").replace("><", ">\n<");
    insta::assert_snapshot!("page_failed", lines);
}

#[test]
fn a_guest_adds_no_element_and_no_control_character() {
    let plain = page(Class::Failed, b"quiet\n");
    let hostile = page(Class::Failed, HOSTILE.as_bytes());
    assert_eq!(elements(&plain), elements(&hostile));
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(hostile.chars().find(|c| acts(*c)), None);
}

#[test]
fn a_page_asks_nobody_for_anything() {
    let page = page(Class::Passed, b"x");
    assert!(
        page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"),
        "{}",
        &page[..600]
    );
    let outside = ["http://", "https://", "src=\"/", "@import", "url("];
    for text in outside {
        assert!(!page.contains(text), "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_a_console_says_the_page_keeps_its_shape(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "(?s)[<>&\"'/a-z\u{1b}\n]{0,40}") {
        let mut noise = bytes;
        noise.extend_from_slice(text.as_bytes());
        let shaped = elements(&page(Class::Failed, &noise)).len();
        prop_assert_eq!(shaped, elements(&page(Class::Failed, b"quiet")).len());
    }
}
