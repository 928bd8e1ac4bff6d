//! The page of a run, with a guest that means harm.

use bootgate::machine::Class;
use bootgate::report::{PAGE_PICTURES_BYTES_MAX, PageInputs, PageLog, PageLogFile, PagePicture, report_page};
use proptest::prelude::*;
use serde_json::json;

use crate::forms::HOSTILE;
use crate::hostile::bytes_of_any_length;
use crate::oracles::{assert_page, elements, shape};

/// The most bytes of a page whose logs are empty.
const PAGE_BYTES_MAX: usize = 200_000;

fn log(name: &str, bytes: &[u8]) -> PageLog {
    PageLog {
        name: name.to_owned(),
        title: format!("Console {name}"),
        bytes: bytes.to_vec(),
        offset_bytes: 0,
        files: Vec::new(),
        is_minor: false,
    }
}

pub(crate) fn page(class: Class, bytes: &[u8]) -> String {
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
            record: None,
        }],
        argv: HOSTILE.to_owned(),
        gate: HOSTILE.to_owned(),
        files: vec!["serial.log".to_owned(), HOSTILE.to_owned()],
    })
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
    assert_page(&hostile);
}

/// The headings' levels, and the landmarks, in order.
fn structure(page: &str) -> Vec<&str> {
    let wanted = ["h1", "h2", "h3", "header", "nav", "main", "/main"];
    elements(page)
        .into_iter()
        .filter(|name| wanted.contains(name))
        .collect()
}

#[test]
fn it_is_one_page_with_its_parts_in_order() {
    for class in [Class::Failed, Class::Passed] {
        let page = page(class, b"x");
        let structure = structure(&page);
        assert_eq!(structure[..4], ["header", "nav", "main", "h1"]);
        assert_eq!(structure.last(), Some(&"/main"));
        assert_eq!(structure.iter().filter(|name| **name == "h1").count(), 1);
        // Stages, timeline, screens, one log, machine, how to reproduce, files.
        assert_eq!(
            structure.iter().filter(|name| **name == "h2").count(),
            7,
            "{structure:?}"
        );
        assert!(page.contains("<html lang=\"en\">") && page.contains("<title>"));
        // Each link within the page leads somewhere.
        for link in page.split("href=\"#").skip(1) {
            let id = link.split(['"', ':']).next().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "#{id}");
        }
        // Each part has its name.
        for named in page.split("aria-labelledby=\"").skip(1) {
            let id = named.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}

#[test]
fn pictures_are_shown_in_their_order_and_not_without_end() {
    let records = crate::traced();
    let records: Vec<_> = records
        .into_iter()
        .zip(1_u64..)
        .map(|(mut record, number)| {
            record["seq"] = number.into();
            record
        })
        .collect();
    let picture = |name: &str, record, size_bytes| PagePicture {
        name: name.to_owned(),
        png: vec![0; size_bytes],
        text: None,
        record,
    };
    let page = report_page(&PageInputs {
        result: crate::result(Class::Failed),
        records: &records,
        pictures: vec![
            picture("screen-1.png", None, 10),
            picture("screens/0008-MarkerSeen.png", Some(8), 10),
            picture("screens/0003-Booting.png", Some(3), 10),
            picture(
                "screens/0009-Huge.png",
                Some(9),
                usize::try_from(PAGE_PICTURES_BYTES_MAX).unwrap(),
            ),
        ],
        ..PageInputs::default()
    });
    let order = [
        "Booting: kernel-seen",
        "MarkerSeen: marker-seen",
        "as the machine was stopped",
    ];
    let places: Vec<_> = order.iter().map(|what| page.rfind(what)).collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{places:?}");
    assert!(page.contains("Not on the page, for their size: screens/0009-Huge.png"));
    assert!(page.len() < 200_000);
}

#[test]
fn a_console_in_several_files_is_named_with_its_parts() {
    let kept = |name: &str, bytes| PageLogFile {
        name: name.to_owned(),
        bytes,
    };
    let page = |files: &[&str]| {
        let log = PageLog {
            offset_bytes: 190,
            files: vec![kept("serial.log", 0..100), kept("serial.log.from-150", 150..200)],
            ..log("serial.log", b"the\nend\r\n")
        };
        report_page(&PageInputs {
            result: crate::result(Class::Failed),
            logs: vec![log],
            files: files.iter().map(|name| (*name).to_owned()).collect(),
            ..PageInputs::default()
        })
    };
    let told = "serial.log, 2 lines: bytes 190 to 199. All that the run has kept: FIRST, bytes 0 to 100; \
                bytes 100 to 150 were not kept; SECOND, bytes 150 to 200</p>";
    let names = ["serial.log", "serial.log.from-150"];
    let shown = |link: &dyn Fn(&str) -> String| {
        told.replace("FIRST", &link(names[0]))
            .replace("SECOND", &link(names[1]))
    };
    let linked = shown(&|name| format!("<a href=\"./{name}\">{name}</a>"));
    assert!(
        page(&names).contains(&linked),
        "report.html leads to each part of the console"
    );
    assert!(
        page(&[]).contains(&shown(&str::to_owned)),
        "a page elsewhere leads to none"
    );
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_console_says_the_page_keeps_its_shape(bytes in bytes_of_any_length(), more in prop::collection::vec(any::<u8>(), 0..400)) {
        let noise = [bytes, more].concat();
        let noisy = page(Class::Failed, &noise);
        assert_page(&noisy);
        let quiet = page(Class::Failed, b"quiet");
        prop_assert_eq!(shape(&noisy), shape(&quiet));
        // A character takes six bytes at most, in the script's text and in the lines that are there without one.
        prop_assert!(noisy.len() <= PAGE_BYTES_MAX + 2 * 6 * noise.len(), "{} bytes", noisy.len());
    }
}
